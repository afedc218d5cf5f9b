// SPDX-License-Identifier: MIT
/* --keep-backend: what was built of kernel trees, as files that other replays can load. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "engine/policy/policy.h"
#include "replay/commands/commands.h"

#define NAME_SIZE 128

/* Of another tree is another name: the hash is that of the files used. */
static void name_of(const struct refold_backend *backend, char *name)
{
	snprintf(name, NAME_SIZE, "linux-%.60s-%uk-%.8s.so", backend->release, 1u << (backend->page_shift - 10),
		 backend->files ? backend->files : "");
}

static bool copy(FILE *from, FILE *to)
{
	char bytes[65536];
	size_t nr;

	while ((nr = fread(bytes, 1, sizeof(bytes), from)))
		if (fwrite(bytes, 1, nr, to) != nr)
			return false;
	return !ferror(from);
}

static int keep(const struct arch_loaded *loaded)
{
	struct rf_command_output output;
	char name[NAME_SIZE];
	FILE *built = fopen(loaded->path, "re");
	int code = RF_EXIT_FAILED;

	if (!built)
		return rf_command_errno(loaded->path, "cannot keep it", errno);
	name_of(&loaded->backend, name);
	if (!rf_command_output_open(&output, name)) {
		fclose(built);
		return RF_EXIT_FAILED;
	}
	if (copy(built, output.file)) {
		code = rf_command_output_close(&output);
	} else {
		rf_command_errno(name, "cannot write", errno);
		rf_command_output_abandon(&output);
	}
	fclose(built);
	if (code == RF_EXIT_DONE)
		fprintf(stderr, "refold: %s is kept in %s: refold replay -p ./%s\n", loaded->backend.tree, name, name);
	return code;
}

/* One tree may have several columns. */
static bool was_kept(const struct rf_policy *policies, size_t nr, const char *path)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (policies[i].arch->loaded && !strcmp(policies[i].arch->loaded->path, path))
			return true;
	return false;
}

int rf_command_keep_backends(const struct rf_policy *policies, size_t nr)
{
	int code = RF_EXIT_DONE;
	bool any = false;
	size_t i;

	for (i = 0; i < nr && code == RF_EXIT_DONE; i++) {
		const struct arch_loaded *loaded = policies[i].arch->loaded;

		if (!loaded || !loaded->kernel)
			continue;
		any = true;
		if (!was_kept(policies, i, loaded->path))
			code = keep(loaded);
	}
	if (!any)
		return rf_command_usage("replay", "--keep-backend keeps what is built of a kernel tree, and no policy is");
	return code;
}
