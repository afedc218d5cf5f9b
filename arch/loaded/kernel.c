// SPDX-License-Identifier: MIT
/*
 * The page-table code of a kernel tree as a backend: kernel/build.sh does the work, with shell, sed, awk and the user's
 * compiler. It and what it compiles beside the tree's code are part of this program, and written out for it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/loaded/embedded.h"
#include "arch/loaded/loaded.h"
#include "base/text.h"

/* ---- files ---- */

/* Of FOLDER_SIZE, and names within. */
#define PATH_SIZE (PATH_MAX + 64)

static const char *join(char *path, const char *folder, const char *name)
{
	struct rf_line line;

	rf_line_begin(&line, path, PATH_SIZE);
	rf_line_add(&line, "%s/%s", folder, name);
	return path;
}

static int write_files(const char *folder, struct rf_error *err)
{
	const struct arch_embedded *file;
	char path[PATH_SIZE];
	FILE *stream;
	bool good;

	for (file = arch_embedded; file->name; file++) {
		stream = fopen(join(path, folder, file->name), "we");
		good = stream && fwrite(file->text, 1, file->size, stream) == file->size;
		if (!stream || fclose(stream) || !good)
			return rf_error_set(err, -errno, RF_NO_OFFSET, "%.200s: cannot write: %s", path,
					    strerror(errno));
	}
	return 0;
}

static void remove_files(const char *folder)
{
	const struct arch_embedded *file;
	char path[PATH_SIZE];

	for (file = arch_embedded; file->name; file++) {
		unlink(join(path, folder, file->name));
	}
	rmdir(folder);
}

static void cache_folder(char *path)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache)
		join(path, cache, "refold/backends");
	else
		join(path, home && *home ? home : "/tmp", ".cache/refold/backends");
}

/* ---- running it ---- */

#define MAX_ARGUMENTS 24

/* What it says: "key value" lines. */
struct said {
	char so[PATH_SIZE], reason[PATH_SIZE];
	bool built;
	u32 ms;
};

static void hear(FILE *stream, struct said *said)
{
	char line[PATH_SIZE];

	while (fgets(line, sizeof(line), stream)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "so ", 3))
			strcpy(said->so, line + 3);
		else if (!strncmp(line, "reason ", 7))
			strcpy(said->reason, line + 7);
		else if (!strncmp(line, "milliseconds ", 13))
			said->ms = strtoul(line + 13, NULL, 10);
		else if (!strcmp(line, "state built"))
			said->built = true;
	}
}

static int run(const char *const *arguments, struct said *said, struct rf_error *err)
{
	int pipes[2], status;
	FILE *stream;
	pid_t child;

	if (pipe(pipes))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot start a program: %s", strerror(errno));
	child = fork();
	if (!child) {
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execv("/bin/sh", (char *const *)arguments);
		_exit(127);
	}
	close(pipes[1]);
	stream = child > 0 ? fdopen(pipes[0], "r") : NULL;
	if (!stream) {
		close(pipes[0]);
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot start a program: %s", strerror(errno));
	}
	hear(stream, said);
	fclose(stream);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status) && *said->so)
		return 0;
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.300s",
			    *said->reason ? said->reason : "it cannot be built: see above");
}

static int build(const struct arch_loaded_kernel *kernel, const char *folder, struct said *said, struct rf_error *err)
{
	const char *arguments[MAX_ARGUMENTS] = { "sh" };
	char script[PATH_SIZE], cache[PATH_SIZE], page_shift[8];
	size_t nr = 1;

	snprintf(page_shift, sizeof(page_shift), "%u", kernel->page_shift);
	cache_folder(cache);
	arguments[nr++] = join(script, folder, "build.sh");
	arguments[nr++] = "-p";
	arguments[nr++] = page_shift;
	arguments[nr++] = "-c";
	arguments[nr++] = cache;
#define ARGUMENT(option, value)                                                                    \
	do {                                                                                       \
		if (value) {                                                                       \
			arguments[nr++] = option;                                                  \
			arguments[nr++] = value;                                                   \
		}                                                                                  \
	} while (0)
	ARGUMENT("-k", kernel->tree);
	ARGUMENT("-b", kernel->base);
	ARGUMENT("-P", kernel->releases);
	ARGUMENT("-o", kernel->output);
	ARGUMENT("-d", kernel->keep);
#undef ARGUMENT
	return run(arguments, said, err);
}

struct arch_loaded *arch_loaded_build(const struct arch_loaded_kernel *kernel, struct rf_error *err)
{
	const char *temporary = getenv("TMPDIR");
	struct arch_loaded *loaded = NULL;
	struct said *said = calloc(1, sizeof(*said));
	char folder[PATH_MAX];
	struct rf_error inner;

	snprintf(folder, sizeof(folder), "%s/refold-XXXXXX", temporary && *temporary ? temporary : "/tmp");
	if (!said || !mkdtemp(folder)) {
		rf_error_set(err, -errno, RF_NO_OFFSET, "%.200s: cannot make a folder: %s", folder, strerror(errno));
		free(said);
		return NULL;
	}
	if (write_files(folder, err))
		;
	else if (build(kernel, folder, said, &inner))
		rf_error_set(err, inner.code, RF_NO_OFFSET, "%.150s: %.240s", kernel->tree, inner.message);
	else
		loaded = arch_loaded_open(said->so, err);
	if (loaded) {
		loaded->built_now = said->built;
		loaded->build_ms = said->ms;
	}
	remove_files(folder);
	free(said);
	return loaded;
}
