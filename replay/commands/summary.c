// SPDX-License-Identifier: MIT
/* refold summary: what the reports of many traces say together, and how sure that is. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/fleet_sources.h"
#include "replay/fleet/summary.h"

static const char help[] =
	"usage: refold summary [-j] REPORT.json... | DIRECTORY | STORE.db\n\n"
	"Tells how the counters of many traces spread, by second, by fault and by process; how each policy compares\n"
	"with the baseline on the same traces, and how sure that is; the worst traces, outliers, each warning once.\n\n"
	"      --by LABEL        in groups of the traces with each value of this label, or of kernel, arch, cpus, trust\n"
	"      --baseline NAME   hold the policies against this one (default: the first by name)\n"
	"      --counter NAME    rank the worst traces, and show groups, by this one (default: tlbi)\n"
	"      --per WHAT        second, fault or process (default: second); JSON and CSV have all three\n"
	"      --seed N          of the 1000 resamples that give the 95 % intervals (default: 1)\n"
	"      --all             every counter, outlier and warning, not only what matters\n"
	"      --format FORMAT   table, markdown, csv, tsv or json (as -j)\n"
	"  -j, --json            write the summary as JSON\n"
	"  -h, --help            this text\n\n"
	"A trace is known by its content: it counts once, however often and under whatever name it is there.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 not all could be read (the summary is of the rest).\n";

struct arguments {
	struct rf_summary_options options;
	struct rf_view view;
};

/* Numbers with the digits that say something: what follows differs between compilers. */
static int write_json(const json_t *summary)
{
	int ret = json_dumpf(summary, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(10));

	return ret || putchar('\n') == EOF ? RF_EXIT_FAILED : RF_EXIT_DONE;
}

static int summarize(const struct arguments *arguments, char **sources, int nr)
{
	struct rf_fleet fleet;
	struct rf_view view = arguments->view;
	struct rf_error err;
	json_t *summary;
	int code;

	if (rf_fleet_init(&fleet))
		return rf_command_errno("summary", "cannot begin", ENOMEM);
	code = rf_fleet_read_sources(&fleet, sources, nr);
	summary = code == RF_EXIT_FAILED ? NULL : rf_summary_of(&fleet, &arguments->options, &err);
	rf_fleet_free(&fleet);
	if (code == RF_EXIT_FAILED)
		return code;
	if (!summary)
		return err.code == -EINVAL ? rf_command_usage("summary", "%s", err.message) :
					     rf_command_error("summary", &err);
	if (view.format == RF_FORMAT_json) {
		if (write_json(summary))
			code = RF_EXIT_FAILED;
	} else {
		rf_view_of(&view, stdout);
		rf_summary_write(summary, &arguments->options, &view, stdout);
	}
	json_decref(summary);
	return code;
}

static int take_rate(struct rf_summary_options *options, const char *text)
{
	for (size_t rate = 0; rate < RF_NR_RATES; rate++) {
		if (strcmp(text, rf_rate_names[rate]))
			continue;
		options->per = rate;
		return 0;
	}
	return rf_command_usage("summary", "--per is second, fault or process, not '%s'", text);
}

static int take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'b':
		arguments->options.by = optarg;
		return 0;
	case 'B':
		arguments->options.baseline = optarg;
		return 0;
	case 'c':
		arguments->options.counter = optarg;
		return 0;
	case 'p':
		return take_rate(&arguments->options, optarg);
	case 's':
		if (!rf_parse_number(optarg, 0, UINT64_MAX, &arguments->options.seed))
			return rf_command_usage("summary", "--seed needs a number, not '%s'", optarg);
		return 0;
	case 'a':
		arguments->options.all = arguments->view.all = true;
		return 0;
	case 'j':
		arguments->view.format = RF_FORMAT_json;
		return 0;
	case 'f':
		return rf_view_format(&arguments->view, optarg) ? 0 :
		       rf_command_usage("summary", RF_FORMAT_WRONG, optarg);
	}
	return 0;
}

int rf_cmd_summary(int argc, char **argv)
{
	static const struct option options[] = {
		{ "by", required_argument, NULL, 'b' },	     { "baseline", required_argument, NULL, 'B' },
		{ "counter", required_argument, NULL, 'c' }, { "per", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },    { "all", no_argument, NULL, 'a' },
		{ "format", required_argument, NULL, 'f' },  { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	     { NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "summary", help, "jh", options };
	struct arguments arguments = { .options = { .counter = "tlbi", .seed = 1 } };
	int option = 0, stop, ret = 0;

	while (!ret && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(&arguments, option);
	if (option < 0)
		return stop;
	if (ret)
		return ret;
	if (optind == argc)
		return rf_command_usage("summary", "needs reports, a directory of them, or a store");
	return summarize(&arguments, argv + optind, argc - optind);
}
