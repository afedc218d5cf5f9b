/* SPDX-License-Identifier: MIT */
/* The files that are meant where a directory is named. */
#ifndef REFOLD_REPLAY_COMMANDS_FILES_UNDER_H
#define REFOLD_REPLAY_COMMANDS_FILES_UNDER_H

#include "base/types.h"

struct rf_files {
	char **paths;
	size_t nr, room;
	bool partly;		/* some could not be looked at, which was told */
};

/*
 * Files under a directory whose names end so (NULL at the end), in order of their paths; links are followed. A file is
 * taken as it is, whatever it is called. An exit code other than 0: it was told why there are none.
 */
int rf_files_under(const char *path, const char *const *endings, struct rf_files *files);
void rf_files_free(struct rf_files *files);

#endif
