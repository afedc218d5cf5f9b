// SPDX-License-Identifier: MIT
/*
 * The command line of refold replay: its help and its options. What one says is kept in struct rf_replay_arguments;
 * whether it fits the traces is found in replay.c.
 */
#include <string.h>

#include "base/text.h"
#include "replay/commands/replay_arguments.h"

/* Rows of --by: so many unless --top says; and what a report can hold of a policy. */
#define TOP_DEFAULT 10
#define TOP_MAX 1000000u

/* The steps of contpte's history that a reader wants to see first. */
#define DEFAULT_POLICIES "linux-6.8,linux-6.9,linux-6.12,linux-7.3"

static const char help[] =
	"usage: refold replay TRACE... [-p POLICY[,POLICY...]] [-o REPORT.json] [-jq]\n\n"
	"Replays traces one after the other under every policy and prints what differs and matters.\n\n"
	"  -p, --policy LIST       policies: NAME, NAME+knob=value..., FILE.json, or \"all\"; may be repeated\n"
	"                          (default: " DEFAULT_POLICIES ")\n"
	"  -o, --output FILE       write the JSON report to FILE, \"-\": to standard output instead of the table;\n"
	"                          NAME.db, NAME.sqlite: add a row for each trace and policy to this store\n"
	"  -j, --json              write the JSON report to standard output instead of the table\n"
	"      --format FORMAT     table, markdown, csv, tsv or json (as -j)\n"
	"      --all               every counter that differs, by operation; how good the replay is\n"
	"      --baseline NAME     hold the policies against this one: differences and percent (default: the first,\n"
	"                          plain numbers)\n"
	"  -q, --quiet             neither table nor progress line\n"
	"      --max-loss N        exit with 4 if more than N events were lost while recording (default: any number)\n"
	RF_LIMITS_HELP
	"      --page-tables FILE  write each process's page tables as rebuilt, when it exits (TSV)\n"
	"      --operations FILE   write what core mm did, operation by operation, and the records that told of it\n"
	"      --only LIST         of these some: mm=N,addr=FROM-TO,op=NAME,row=NAME\n"
	"      --processes         count each process, too: in the report, in the table, in each window of the report\n"
	"      --by KEY[,KEY...]   whose counts they are: the dearest rows by vma, mapping, thread, process, call, stack,\n"
	"                          size, site, or several at once, as vma,call; in the report and below the table (csv, tsv:\n"
	"                          instead of it)\n"
	"      --top N             so many of these rows a policy (default: 10)\n"
	"      --folded COUNTER:POLICY\n"
	"                          instead of the table, call stacks and this counter of this policy, a line each, for\n"
	"                          flamegraph.pl and speedscope; by stack, if --by does not say more\n"
	"      --symbols DIR       where files with the symbols of recorded programs are, too\n"
	"      --interval TIME     what is counted from one such time to the next, as 100ms: series in the report and\n"
	"                          lines below the table (csv, tsv: instead of it); with --processes of each of them\n"
	"      --readers           add a table of who read entries: each place in core mm, its calls and loads\n"
	"      --check-backend     loaded backends end the replay where they touch memory outside of their table\n"
	"      --isolate           a loaded backend that crashes loses its column; the others are reported\n"
	"      --keep-backend      keep what is built of kernel trees as a file here, for -p FILE.so\n"
	"      --windows           add a table of the windows: phases of the recording, between marks in it\n"
	"      --window-begin RE   marks that begin a window, and its label: the first group of an extended regular\n"
	"                          expression (default: 'WL BEGIN (.*)'; if no mark matches that, every mark)\n"
	"      --window-end RE     marks that end it (default: 'WL END (.*)'; with --window-begin: the next begin)\n"
	"  -h, --help              this text\n\n"
	"'refold policies' lists policies and knobs; refold-report(5) describes the report.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged or cut trace (the report is written and says so),\n"
	"4 more events lost than --max-loss allows (likewise).\n";

static int add_policies(struct rf_replay_arguments *arguments, const char *list)
{
	struct rf_error err;
	int nr = rf_policy_parse_list(list, arguments->policies, arguments->nr_policies, RF_MAX_POLICIES, &err);

	if (nr < 0)
		return rf_command_usage("replay", "%s", err.message);
	arguments->nr_policies = nr;
	return 0;
}

static int set_only(struct rf_replay_arguments *arguments, const char *text)
{
	struct rf_error err;

	arguments->filtered = true;
	return rf_operations_parse_only(&arguments->only, text, &err)
		       ? rf_command_usage("replay", "--only: %s", err.message) : 0;
}

enum {
	OPTION_MAX_LOSS = 256,
	OPTION_MAX_MEMORY,
	OPTION_MAX_TIME,
	OPTION_PAGE_TABLES,
	OPTION_OPERATIONS,
	OPTION_ONLY,
	OPTION_PROCESSES,
	OPTION_BY,
	OPTION_INTERVAL,
	OPTION_TOP,
	OPTION_FOLDED,
	OPTION_SYMBOLS,
	OPTION_READERS,
	OPTION_CHECK_BACKEND,
	OPTION_ISOLATE,
	OPTION_KEEP_BACKEND,
	OPTION_WINDOWS,
	OPTION_WINDOW_BEGIN,
	OPTION_WINDOW_END,
	OPTION_FORMAT,
	OPTION_ALL,
	OPTION_BASELINE,
};

static const struct option options[] = {
	{ "policy", required_argument, NULL, 'p' },
	{ "output", required_argument, NULL, 'o' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "all", no_argument, NULL, OPTION_ALL },
	{ "baseline", required_argument, NULL, OPTION_BASELINE },
	{ "max-loss", required_argument, NULL, OPTION_MAX_LOSS },
	{ "max-memory", required_argument, NULL, OPTION_MAX_MEMORY },
	{ "max-time", required_argument, NULL, OPTION_MAX_TIME },
	{ "page-tables", required_argument, NULL, OPTION_PAGE_TABLES },
	{ "operations", required_argument, NULL, OPTION_OPERATIONS },
	{ "only", required_argument, NULL, OPTION_ONLY },
	{ "processes", no_argument, NULL, OPTION_PROCESSES },
	{ "interval", required_argument, NULL, OPTION_INTERVAL },
	{ "by", required_argument, NULL, OPTION_BY },
	{ "top", required_argument, NULL, OPTION_TOP },
	{ "folded", required_argument, NULL, OPTION_FOLDED },
	{ "symbols", required_argument, NULL, OPTION_SYMBOLS },
	{ "readers", no_argument, NULL, OPTION_READERS },
	{ "check-backend", no_argument, NULL, OPTION_CHECK_BACKEND },
	{ "isolate", no_argument, NULL, OPTION_ISOLATE },
	{ "keep-backend", no_argument, NULL, OPTION_KEEP_BACKEND },
	{ "windows", no_argument, NULL, OPTION_WINDOWS },
	{ "window-begin", required_argument, NULL, OPTION_WINDOW_BEGIN },
	{ "window-end", required_argument, NULL, OPTION_WINDOW_END },
	{ NULL, 0, NULL, 0 },
};

/* What the table is to look like. 0, or an exit code. */
static int take_view_option(struct rf_replay_arguments *arguments, int option)
{
	switch (option) {
	case OPTION_FORMAT:
		if (!rf_view_format(&arguments->view, optarg))
			return rf_command_usage("replay", RF_FORMAT_WRONG, optarg);
		arguments->json |= arguments->view.format == RF_FORMAT_json;
		return 0;
	case OPTION_ALL:
		arguments->view.all = true;
		return 0;
	default:
		arguments->view.baseline = optarg;
		return 0;
	}
}

static int take_interval(struct rf_replay_arguments *arguments)
{
	double seconds;

	if (!rf_parse_time(optarg, &seconds))
		return rf_command_usage("replay", RF_INTERVAL_WRONG, optarg);
	arguments->interval = (u64)(seconds * 1e9 + 0.5);
	return 0;
}

/* COUNTER:POLICY. Whether there is such a policy is known when all are. */
static int take_folded(struct rf_replay_arguments *arguments, char *text)
{
	static const char *const counters[] = {
		"bytes", "operations",
#define X(name, meaning) #name,
		ARCH_COUNTERS(X)
#undef X
	};
	char *colon = strchr(text, ':');

	if (!colon)
		return rf_command_usage("replay", "--folded needs COUNTER:POLICY, as tlbi:linux-7.3, not '%s'", text);
	*colon = '\0';
	arguments->folded = text;
	arguments->folded_policy = colon + 1;
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		if (!strcmp(counters[i], text))
			return 0;
	return rf_command_usage("replay", "--folded: '%s' is no counter of refold-report(5)", text);
}

/* Whose counts. 0, or an exit code. */
static int take_attribution_option(struct rf_replay_arguments *arguments, int option)
{
	struct rf_error err;

	if (option == OPTION_BY)
		return rf_by_parse(&arguments->by, optarg, &err) ? rf_command_usage("replay", "--by: %s", err.message) :
								   0;
	if (option == OPTION_FOLDED)
		return take_folded(arguments, optarg);
	if (option == OPTION_SYMBOLS) {
		arguments->symbols = optarg;
		return 0;
	}
	return rf_parse_number(optarg, 1, TOP_MAX, &arguments->top) ? 0 :
	       rf_command_usage("replay", "--top needs a number from 1 to %u, not '%s'", TOP_MAX, optarg);
}

/* An option of getopt_long() other than help. 0, or an exit code. */
static int take_option(struct rf_replay_arguments *arguments, int option)
{
	switch (option) {
	case 'p':
		return add_policies(arguments, optarg);
	case 'o':
		arguments->output = optarg;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case 'q':
		arguments->quiet = true;
		return 0;
	case OPTION_MAX_LOSS:
		arguments->limited = true;
		if (!rf_parse_number(optarg, 0, UINT64_MAX, &arguments->max_loss))
			return rf_command_usage("replay", "--max-loss needs a number, not '%s'", optarg);
		return 0;
	case OPTION_MAX_MEMORY:
		return rf_limits_take_memory(&arguments->limits, "replay", optarg);
	case OPTION_MAX_TIME:
		return rf_limits_take_time(&arguments->limits, "replay", optarg);
	case OPTION_PAGE_TABLES:
		arguments->page_tables = optarg;
		return 0;
	case OPTION_OPERATIONS:
		arguments->operations = optarg;
		return 0;
	case OPTION_ONLY:
		return set_only(arguments, optarg);
	case OPTION_PROCESSES:
		arguments->processes = true;
		return 0;
	case OPTION_INTERVAL:
		return take_interval(arguments);
	case OPTION_BY:
	case OPTION_TOP:
	case OPTION_FOLDED:
	case OPTION_SYMBOLS:
		return take_attribution_option(arguments, option);
	case OPTION_READERS:
		arguments->readers = true;
		return 0;
	case OPTION_CHECK_BACKEND:
		arguments->check_backend = true;
		return 0;
	case OPTION_ISOLATE:
		arguments->isolate = true;
		return 0;
	case OPTION_KEEP_BACKEND:
		arguments->keep_backend = true;
		return 0;
	case OPTION_WINDOWS:
		arguments->windows = true;
		return 0;
	case OPTION_WINDOW_BEGIN:
		arguments->window_begin = optarg;
		return 0;
	case OPTION_WINDOW_END:
		arguments->window_end = optarg;
		return 0;
	case OPTION_FORMAT:
	case OPTION_ALL:
	case OPTION_BASELINE:
		return take_view_option(arguments, option);
	}
	return 0;
}

static int check_policy(const struct rf_replay_arguments *arguments, const char *option, const char *name)
{
	int i;

	for (i = 0; name && i < arguments->nr_policies; i++)
		if (!strcmp(arguments->policies[i].name, name))
			name = NULL;
	return name ? rf_command_usage("replay", "%s %s is none of the policies; add it to -p", option, name) : 0;
}

/* By stack, if nothing else is asked for; and all rows, as the lines are for programs. */
static int check_folded(struct rf_replay_arguments *arguments)
{
	if (!arguments->by.nr)
		arguments->by = (struct rf_by_list){ .keys = { RF_BY_stack }, .nr = 1 };
	if (!rf_by_has(&arguments->by, RF_BY_stack))
		return rf_command_usage("replay", "--folded is of stacks: add stack to --by");
	if (arguments->json || arguments->view.format != RF_FORMAT_table)
		return rf_command_usage("replay", "--folded is a format of its own: not with -j or --format");
	if (!arguments->top)
		arguments->top = UINT64_MAX;
	return 0;
}

int rf_replay_parse_arguments(int argc, char **argv, struct rf_replay_arguments *arguments)
{
	static const struct rf_command_line line = { "replay", help, "p:o:jqh", options };
	int option = 0, stop, ret = 0;

	while (!ret && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(arguments, option);
	if (option < 0)
		return stop == RF_EXIT_DONE ? -1 : stop;
	if (ret)
		return ret;
	arguments->traces = argv + optind;
	arguments->nr_traces = argc - optind;
	if (!arguments->nr_traces)
		return rf_command_usage("replay", "no trace named");
	if (arguments->filtered && !arguments->operations)
		return rf_command_usage("replay", "--only says which operations --operations FILE gets; name that, too");
	if (arguments->folded && (ret = check_folded(arguments)))
		return ret;
	if (arguments->symbols && !rf_by_has(&arguments->by, RF_BY_stack))
		return rf_command_usage("replay", "--symbols is for --by stack; name that, too");
	if (arguments->top && !arguments->by.nr)
		return rf_command_usage("replay", "--top says how many rows --by gets; name that, too");
	if (arguments->interval && arguments->by.nr && rf_view_is_raw(&arguments->view))
		return rf_command_usage("replay", "csv and tsv are one table: --by or --interval, not both");
	if (!arguments->top)
		arguments->top = TOP_DEFAULT;
	ret = arguments->nr_policies ? 0 : add_policies(arguments, DEFAULT_POLICIES);
	if (!ret)
		ret = check_policy(arguments, "--baseline", arguments->view.baseline);
	return ret ? ret : check_policy(arguments, "--folded", arguments->folded_policy);
}
