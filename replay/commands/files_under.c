// SPDX-License-Identifier: MIT
/*
 * Walks a directory. Not fts_open(), which glibc has crash, and fts_read() end as if there were no more, for want of
 * memory: a file that nobody hears of would be missing from a summary.
 */
#include "replay/commands/files_under.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "replay/commands/commands.h"

/* The directories that we are in, against links that lead back to one. */
struct level {
	const struct level *above;
	dev_t device;
	ino_t inode;
};

static int walk(const char *path, const struct level *above, const char *const *endings, struct rf_files *files);

static bool ends_so(const char *name, const char *const *endings)
{
	size_t length = strlen(name);

	for (; *endings; endings++)
		if (length > strlen(*endings) && !strcmp(name + length - strlen(*endings), *endings))
			return true;
	return false;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add(struct rf_files *files, const char *path)
{
	if (array_grow(files->paths, files->room, files->nr + 1))
		return -ENOMEM;
	files->paths[files->nr] = strdup(path);
	if (!files->paths[files->nr])
		return -ENOMEM;
	files->nr++;
	return 0;
}

/* For want of memory there is no rest that would be worth having. */
static int left_out(struct rf_files *files, const char *path, int error)
{
	if (error == ENOMEM)
		return -ENOMEM;
	rf_command_errno(path, "cannot read it", error);
	files->partly = true;
	return 0;
}

static int walk_directory(const char *path, const struct level *level, const char *const *endings,
			  struct rf_files *files)
{
	size_t length = strlen(path);
	const struct dirent *entry;
	DIR *directory = opendir(path);
	int ret = 0;

	if (!directory)
		return left_out(files, path, errno);
	while (!ret && (errno = 0, entry = readdir(directory))) {
		char *inner;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&inner, "%s%s%s", path, path[length - 1] == '/' ? "" : "/", entry->d_name) < 0) {
			ret = -ENOMEM;
			break;
		}
		ret = walk(inner, level, endings, files);
		free(inner);
	}
	if (!ret && errno)
		ret = left_out(files, path, errno);
	closedir(directory);
	return ret;
}

static int walk(const char *path, const struct level *above, const char *const *endings, struct rf_files *files)
{
	struct level here = { .above = above };
	struct stat file;

	if (stat(path, &file)) {
		/* What was named is told of by who reads it; what a link leads to need not be there. */
		if (!above)
			return add(files, path);
		return errno == ENOENT ? 0 : left_out(files, path, errno);
	}
	if (!S_ISDIR(file.st_mode))
		return !above || (S_ISREG(file.st_mode) && ends_so(path, endings)) ? add(files, path) : 0;
	here.device = file.st_dev;
	here.inode = file.st_ino;
	for (; above; above = above->above)
		if (above->device == here.device && above->inode == here.inode)
			return 0;
	return walk_directory(path, &here, endings, files);
}

int rf_files_under(const char *path, const char *const *endings, struct rf_files *files)
{
	memset(files, 0, sizeof(*files));
	if (walk(path, NULL, endings, files)) {
		rf_files_free(files);
		return rf_command_errno(path, "cannot read it", ENOMEM);
	}
	if (files->nr)
		qsort(files->paths, files->nr, sizeof(*files->paths), by_path);
	return RF_EXIT_DONE;
}

void rf_files_free(struct rf_files *files)
{
	while (files->nr)
		free(files->paths[--files->nr]);
	free(files->paths);
	memset(files, 0, sizeof(*files));
}
