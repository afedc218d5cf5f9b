// SPDX-License-Identifier: MIT
/* Finds the files of commands about many traces, and reads what reports and stores say. */
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "replay/commands/commands.h"
#include "replay/commands/fleet_sources.h"

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

char **rf_files_under(const char *path, const char *const *endings, size_t *nr)
{
	char *roots[] = { (char *)path, NULL }, **files = NULL;
	FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
	size_t room = 0;
	FTSENT *entry;

	*nr = 0;
	while (walk && (entry = fts_read(walk))) {
		/* What was named is taken whatever it is called, and told if it cannot be read. */
		bool named = entry->fts_level == FTS_ROOTLEVEL && entry->fts_info != FTS_D && entry->fts_info != FTS_DP;

		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
			rf_command_errno(entry->fts_path, "cannot read it", entry->fts_errno);
		if (!named && (entry->fts_info != FTS_F || !ends_so(entry->fts_name, endings)))
			continue;
		if (array_grow(files, room, *nr + 1) || !(files[*nr] = strdup(entry->fts_path)))
			break;
		++*nr;
	}
	if (walk)
		fts_close(walk);
	if (!walk || (!files && array_grow(files, room, 1))) {
		rf_command_errno(path, "cannot read it", ENOMEM);
		return NULL;
	}
	qsort(files, *nr, sizeof(*files), by_path);
	return files;
}

static int read_source(struct rf_fleet *fleet, const char *source, size_t *read)
{
	static const char *const endings[] = { ".json", ".db", ".sqlite", NULL };
	char **files;
	size_t nr, i;
	int code = RF_EXIT_DONE;

	files = rf_files_under(source, endings, &nr);
	if (!files)
		return RF_EXIT_DAMAGED;
	if (!nr) {
		fprintf(stderr, "refold: %s: holds neither reports (*.json) nor stores (*.db)\n", source);
		code = RF_EXIT_DAMAGED;
	}
	for (i = 0; i < nr; i++) {
		struct rf_error err;

		if (rf_fleet_read(fleet, files[i], &err)) {
			rf_command_error(files[i], &err);
			code = RF_EXIT_DAMAGED;
		} else {
			++*read;
		}
		free(files[i]);
	}
	free(files);
	return code;
}

int rf_fleet_read_sources(struct rf_fleet *fleet, char **sources, int nr)
{
	int code = RF_EXIT_DONE;
	size_t read = 0;

	for (int i = 0; i < nr; i++)
		if (read_source(fleet, sources[i], &read) != RF_EXIT_DONE)
			code = RF_EXIT_DAMAGED;
	rf_fleet_sort(fleet);
	if (!fleet->nr && !json_array_size(fleet->failures)) {
		if (read)
			fprintf(stderr, "refold: there is no trace in what was read\n");
		return RF_EXIT_FAILED;
	}
	return code;
}
