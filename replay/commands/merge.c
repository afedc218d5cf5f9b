// SPDX-License-Identifier: MIT
/*
 * refold merge: reports, stores and merged files into one, whatever the order; a trace that is in several of them is in
 * the result once.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "replay/commands/commands.h"
#include "replay/commands/fleet_sources.h"
#include "replay/fleet/store.h"

static const char help[] =
	"usage: refold merge REPORT.json | DIRECTORY | STORE.db... -o FILE.json | STORE.db\n\n"
	"Joins what reports and stores say of traces: the order does not matter, nor what is there twice. The result\n"
	"is a document that 'refold summary' and 'refold merge' read (docs/fleet.md), or a store.\n\n"
	"  -o, --output FILE  where to; \"-\": standard output; NAME.db or NAME.sqlite: a new store\n"
	"  -h, --help         this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 not all could be read (the result is of the rest).\n";

static int write_document(const struct rf_fleet *fleet, const char *path)
{
	struct rf_command_output output;

	if (!rf_command_output_open(&output, path))
		return RF_EXIT_FAILED;
	rf_fleet_write(fleet, output.file);
	return rf_command_output_close(&output);
}

static int write_store(const struct rf_fleet *fleet, const char *path)
{
	struct rf_store *store;
	struct rf_error err;
	json_t *row, *failure;
	size_t i;
	int ret = 0;

	if (!access(path, F_OK))
		return rf_command_usage("merge", "%s is there already: give another name, and it as a source", path);
	store = rf_store_open(path, &err);
	if (!store)
		return rf_command_error(path, &err);
	for (i = 0; !ret && i < fleet->nr; i++) {
		row = rf_fleet_row(fleet, &fleet->traces[i]);
		ret = rf_store_add(store, row, &err);
		json_decref(row);
	}
	json_array_foreach(fleet->failures, i, failure)
		if (!ret)
			ret = rf_store_add_failure(store, rf_json_string(failure, "name"),
						   rf_json_string(failure, "digest"),
						   rf_json_string(failure, "error"), &err);
	rf_store_close(store);
	return ret ? rf_command_error(path, &err) : RF_EXIT_DONE;
}

static void tell_notes(const struct rf_fleet *fleet)
{
	json_t *note;
	size_t i;

	json_array_foreach(fleet->notes, i, note)
		fprintf(stderr, "refold merge: %s\n", json_string_value(note));
}

static int merge(const char *output, char **sources, int nr)
{
	struct rf_fleet fleet;
	int code, written = RF_EXIT_DONE;

	for (int i = 0; i < nr; i++)
		if (rf_command_not_input("merge", output, sources[i]))
			return RF_EXIT_USAGE;
	if (rf_fleet_init(&fleet))
		return rf_command_errno("merge", "cannot begin", ENOMEM);
	fleet.whole = true;
	code = rf_fleet_read_sources(&fleet, sources, nr);
	if (code != RF_EXIT_FAILED) {
		tell_notes(&fleet);
		written = rf_store_is_name(output) ? write_store(&fleet, output) : write_document(&fleet, output);
	}
	rf_fleet_free(&fleet);
	return written == RF_EXIT_DONE ? code : written;
}

int rf_cmd_merge(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "merge", help, "o:h", options };
	const char *output = NULL;
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'o':
			output = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (optind == argc || !output)
		return rf_command_usage("merge", "needs reports or stores, and -o FILE");
	return merge(output, argv + optind, argc - optind);
}
