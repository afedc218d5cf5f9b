// SPDX-License-Identifier: MIT
/* Finds the files of commands about many traces, and reads what reports and stores say. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/commands/commands.h"
#include "replay/commands/files_under.h"
#include "replay/commands/fleet_sources.h"

static int read_source(struct rf_fleet *fleet, const char *source, size_t *read)
{
	static const char *const endings[] = { ".json", ".db", ".sqlite", NULL };
	struct rf_files files;
	size_t i;
	int code;

	if (rf_files_under(source, endings, &files))
		return RF_EXIT_FAILED;
	code = files.partly ? RF_EXIT_DAMAGED : RF_EXIT_DONE;
	if (!files.nr) {
		fprintf(stderr, "refold: %s: holds neither reports (*.json) nor stores (*.db)\n", source);
		code = RF_EXIT_DAMAGED;
	}
	for (i = 0; i < files.nr && code != RF_EXIT_FAILED; i++) {
		struct rf_error err;
		int ret = rf_fleet_read(fleet, files.paths[i], &err);

		if (ret) {
			rf_command_error(files.paths[i], &err);
			/* Without memory, what the rest would be is chance. */
			code = ret == -ENOMEM ? RF_EXIT_FAILED : RF_EXIT_DAMAGED;
		} else {
			++*read;
		}
	}
	rf_files_free(&files);
	return code;
}

int rf_fleet_read_sources(struct rf_fleet *fleet, char **sources, int nr)
{
	int code = RF_EXIT_DONE, ret;
	size_t read = 0;

	for (int i = 0; i < nr; i++) {
		ret = read_source(fleet, sources[i], &read);
		if (ret == RF_EXIT_FAILED)
			return ret;
		if (ret != RF_EXIT_DONE)
			code = RF_EXIT_DAMAGED;
	}
	rf_fleet_sort(fleet);
	if (!fleet->nr && !json_array_size(fleet->failures)) {
		if (read)
			fprintf(stderr, "refold: there is no trace in what was read\n");
		return RF_EXIT_FAILED;
	}
	return code;
}
