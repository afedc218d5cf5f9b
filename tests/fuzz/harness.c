// SPDX-License-Identifier: MIT
/* What the harnesses share. Without libFuzzer (plain.c) they run over files. */
#include "tests/fuzz/harness.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/policy/text.h"
#include "replay/run.h"
#include "traces/trace.h"

static char directory[] = "/tmp/refold-fuzz-XXXXXX";

static void remove_files(void)
{
	char command[sizeof(directory) + 16];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	if (system(command))
		perror(directory);
}

static const char *path_of(const char *name, const char *suffix)
{
	static char paths[2][64];
	static bool begun;
	char *path = paths[name[0] == 'o'];

	if (!begun) {
		begun = true;
		if (!mkdtemp(directory) || atexit(remove_files))
			abort();
	}
	snprintf(path, sizeof(paths[0]), "%s/%s%s", directory, name, suffix);
	return path;
}

const char *input_file(const u8 *data, size_t size, const char *suffix)
{
	const char *path = path_of("input", suffix);
	FILE *file = fopen(path, "we");

	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
	return path;
}

const char *output_file(void)
{
	return path_of("output", "");
}

void replay_file(const char *path)
{
	static struct rf_policy policies[2];
	static int nr;
	struct rf_run_options run = { .processes = true, .stop_at = rf_monotonic() + 5 * RF_NS_PER_SECOND };
	struct rf_window_patterns patterns;
	struct rf_results results;
	struct rf_reader *reader;
	struct rf_error err;

	if (!nr)
		nr = rf_policy_parse_list("linux-7.3,linux-6.12+granule=64k", policies, 0, 2, &err);
	reader = rf_reader_open(path, &err);
	if (!reader)
		return;
	run.page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096);
	run.patterns = &patterns;
	if (nr != 2 || rf_window_patterns_compile(&patterns, NULL, NULL, &err) ||
	    rf_results_init(&results, policies, 2))
		abort();
	/* As refold replay does: of what no policy can have, nothing is asked. */
	if (run.page_size <= 4096)
		rf_run_trace(reader, &results, &run, &err);
	rf_results_free(&results);
	rf_window_patterns_free(&patterns);
	rf_reader_close(reader);
}

void run_quietly(int (*command)(int argc, char **argv), char **argv)
{
	static bool quiet;
	int argc = 0;

	/* libFuzzer has a copy of standard error for itself: -close_fd_mask. */
	if (!quiet && (!freopen("/dev/null", "w", stdout)))
		abort();
	quiet = true;
	while (argv[argc])
		argc++;
	optind = 0;
	command(argc, argv);
}
