// SPDX-License-Identifier: MIT
/* refold export --perfetto: a trace, and what policies make of it, as a picture for another program. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"
#include "replay/commands/progress.h"
#include "replay/export/timeline.h"

#define DEFAULT_POLICY "linux-7.3"
#define DEFAULT_INTERVAL 10000000ull

static const char help[] =
	"usage: refold export --perfetto TRACE -o FILE [-p POLICY[,POLICY...]]\n\n"
	"Replays a trace and writes what happened when, for ui.perfetto.dev: long calls and faults of threads, counters of\n"
	"each policy and process, blocks folded and unfolded, marks, losses.\n\n"
	"      --perfetto         as a Perfetto trace; 'refold export -h' has formats for reports\n"
	"  -o, --output FILE      the file to write\n"
	"  -p, --policy LIST      policies (default: " DEFAULT_POLICY "); may be repeated\n"
	"      --interval TIME    what counters count from one such time to the next (default: 10ms, or longer if there\n"
	"                         were too many)\n"
	"      --min-size SIZE    show calls and faults with an operation on so much memory (default: 64K)\n"
	"      --max-memory SIZE, --max-time TIME  as of 'refold replay'\n"
	"  -q, --quiet            no progress line\n"
	"  -h, --help             this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged or cut trace (what is readable is written).\n";

struct arguments {
	const char *trace, *output;
	struct rf_policy policies[RF_MAX_POLICIES];
	int nr_policies;
	bool quiet;
	u64 interval, least_bytes;
	struct rf_limits limits;
};

/* The interval that was asked for, or as many as there may be. 0: there would be too many of those asked for. */
static u64 interval_for(const struct arguments *arguments, const struct rf_trace_summary *summary)
{
	u64 duration = summary->last_time > summary->first_time ? summary->last_time - summary->first_time : 0;
	u64 least = duration / (RF_MAX_INTERVALS - 1) + 1;

	if (!arguments->interval)
		return max_u64(DEFAULT_INTERVAL, (least + 999999) / 1000000 * 1000000);
	return arguments->interval >= least ? arguments->interval : 0;
}

static int write_results(const struct arguments *arguments, struct rf_reader *reader, struct rf_timeline *timeline,
			  struct rf_results *results, FILE *out)
{
	struct rf_limits limits = arguments->limits;
	struct rf_progress progress;
	struct rf_run_options run = {
		.progress = rf_progress_add, .progress_context = &progress, .processes = true,
		.explain = rf_timeline_explain, .observe = rf_timeline_observe, .watcher = timeline,
		.interval = interval_for(arguments, rf_reader_summary(reader)),
		.page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096),
	};
	struct rf_error err;
	int ret;

	if (!run.interval)
		return rf_command_usage("export", "--interval: the trace has too many of these, %u are the most",
					RF_MAX_INTERVALS);
	run.stop_at = rf_limits_begin(&limits, rf_reader_summary(reader)->file_bytes, results->nr_policies);
	rf_progress_begin(&progress, !arguments->quiet, rf_reader_summary(reader)->records);
	ret = rf_run_trace(reader, results, &run, &err);
	rf_progress_end(&progress);
	if (ret || rf_timeline_write(timeline, results, reader, out, &err)) {
		rf_command_error(arguments->trace, &err);
		return RF_EXIT_FAILED;
	}
	if (rf_reader_damage(reader))
		return rf_command_error(arguments->trace, rf_reader_damage(reader));
	return rf_reader_summary(reader)->complete ? RF_EXIT_DONE : RF_EXIT_DAMAGED;
}

static int write_to(const struct arguments *arguments, struct rf_reader *reader, FILE *out)
{
	u64 page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096);
	size_t nr = (size_t)arguments->nr_policies;
	struct rf_timeline timeline;
	struct rf_results results;
	int code;

	if (rf_results_init(&results, arguments->policies, nr))
		return rf_command_errno("export", "cannot begin", ENOMEM);
	if (rf_timeline_start(&timeline, nr, (u32)__builtin_ctzll(page_size), arguments->least_bytes))
		code = rf_command_errno("export", "cannot begin", ENOMEM);
	else
		code = write_results(arguments, reader, &timeline, &results, out);
	rf_timeline_free(&timeline);
	rf_results_free(&results);
	return code;
}

static int write_trace(const struct arguments *arguments)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(arguments->trace, &err);
	struct rf_command_output output;
	int code;

	if (!reader)
		return rf_command_error(arguments->trace, &err);
	if (!rf_command_output_open(&output, arguments->output)) {
		rf_reader_close(reader);
		return RF_EXIT_FAILED;
	}
	code = write_to(arguments, reader, output.file);
	if (code != RF_EXIT_DONE && code != RF_EXIT_DAMAGED)
		rf_command_output_abandon(&output);
	else if (rf_command_output_close(&output) != RF_EXIT_DONE)
		code = RF_EXIT_FAILED;
	rf_reader_close(reader);
	return code;
}

static int add_policies(struct arguments *arguments, const char *list)
{
	struct rf_error err;
	int nr = rf_policy_parse_list(list, arguments->policies, arguments->nr_policies, RF_MAX_POLICIES, &err);

	if (nr < 0)
		return rf_command_usage("export", "%s", err.message);
	arguments->nr_policies = nr;
	return 0;
}

enum { OPTION_PERFETTO = 256, OPTION_INTERVAL, OPTION_MIN_SIZE, OPTION_MAX_MEMORY, OPTION_MAX_TIME };

/* 0, or an exit code. */
static int take_option(struct arguments *arguments, int option)
{
	double seconds;

	switch (option) {
	case 'o':
		arguments->output = optarg;
		return 0;
	case 'p':
		return add_policies(arguments, optarg);
	case 'q':
		arguments->quiet = true;
		return 0;
	case OPTION_PERFETTO:
		return 0;
	case OPTION_INTERVAL:
		if (!rf_parse_time(optarg, &seconds))
			return rf_command_usage("export", RF_INTERVAL_WRONG, optarg);
		arguments->interval = (u64)(seconds * 1e9 + 0.5);
		return 0;
	case OPTION_MIN_SIZE:
		if (!rf_parse_size(optarg, 1, UINT64_MAX, &arguments->least_bytes))
			return rf_command_usage("export", "--min-size needs a size, as 64K or 1M, not '%s'", optarg);
		return 0;
	case OPTION_MAX_MEMORY:
		return rf_limits_take_memory(&arguments->limits, "export", optarg);
	case OPTION_MAX_TIME:
		return rf_limits_take_time(&arguments->limits, "export", optarg);
	}
	return 0;
}

int rf_export_perfetto(int argc, char **argv)
{
	static const struct option options[] = {
		{ "perfetto", no_argument, NULL, OPTION_PERFETTO },
		{ "output", required_argument, NULL, 'o' },
		{ "policy", required_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, OPTION_INTERVAL },
		{ "min-size", required_argument, NULL, OPTION_MIN_SIZE },
		{ "max-memory", required_argument, NULL, OPTION_MAX_MEMORY },
		{ "max-time", required_argument, NULL, OPTION_MAX_TIME },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "export", help, "o:p:qh", options };
	static struct arguments arguments = { .least_bytes = 64 << 10 };
	int option = 0, stop, code = 0;

	while (!code && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		code = take_option(&arguments, option);
	if (option < 0)
		return stop;
	if (code)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("export", "--perfetto needs one trace");
	if (!arguments.output)
		return rf_command_usage("export", "--perfetto needs -o FILE");
	arguments.trace = argv[optind];
	if (rf_command_not_input("export", arguments.output, arguments.trace))
		return RF_EXIT_USAGE;
	code = arguments.nr_policies ? 0 : add_policies(&arguments, DEFAULT_POLICY);
	return code ? code : write_trace(&arguments);
}
