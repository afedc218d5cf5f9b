// SPDX-License-Identifier: MIT
/*
 * refold diff: what changed between two reports, or between two policies of one. Compares policy by policy, counter by
 * counter; only differences are named.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/commands/commands.h"
#include "replay/report/answer.h"
#include "replay/report/price.h"
#include "replay/report/report.h"

static const char help[] =
	"usage: refold diff [-jx] A.json B.json\n"
	"       refold diff [-jx] A.json [B.json] --policies A,B\n"
	"       refold diff [-jx] A.json --baseline A\n\n"
	"Names what differs between two reports of 'refold replay -o', by operation and counter.\n"
	"Without --policies: reports of one policy each are compared with each other, else policies\n"
	"of the same name. With it: policy A of the first report with policy B of the last.\n\n"
	"      --policies A,B  which two policies to compare\n"
	"      --baseline A    compare policy A with every other one of the last report\n"
	"      --all           every counter and operation (default: the counters that matter, of the operations\n"
	"                      that make most of each difference), and the knobs that differ\n"
	"      --top N         of the operations' differences the N largest, by their share in the counter's\n"
	"      --min-change P  no differences below P percent (1%, 0.5%)\n"
	"      --price C=LOW..HIGH[,C=LOW..HIGH]  what the differences of these counters come to, from low to high, if\n"
	"                      one costs that on your machine: flush=0.31us..0.42us,unfold=90ns..2us\n"
	"      --format FORMAT table, markdown, csv, tsv or json (as -j)\n"
	"  -j, --json          write the differences as JSON, all unless --top or --min-change says else\n"
	"  -x, --exit-code     exit with 1 if there are differences\n"
	"  -h, --help          this text\n\n"
	"Exit status: 0 compared (with -x: no differences), 1 failed (or differences), 2 wrong usage,\n"
	"3 a report is damaged.\n";

/* One side of a comparison. */
struct side {
	const char *file;
	json_t *report;
};

struct arguments {
	struct side sides[2];
	const char *policies[2];	/* NULL: not given */
	struct rf_view view;		/* with the baseline */
	struct rf_diff_choice choice;
	struct rf_prices prices;
	bool json, exit_code;
};

/* ---- choosing what to compare ------------------------------------------------------ */

static json_t *find_policy(const struct side *side, const char *name)
{
	json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(side->report, "policies"), i, policy)
		if (!strcmp(rf_json_string(policy, "name"), name))
			return policy;
	return NULL;
}

static json_t *named_policy(const struct side *side, const char *name)
{
	json_t *policy = find_policy(side, name), *other;
	size_t i;

	if (policy)
		return policy;
	fprintf(stderr, "refold: %s: holds no policy '%s'; it has", side->file, name);
	json_array_foreach(json_object_get(side->report, "policies"), i, other)
		fprintf(stderr, "%s %s", i ? "," : "", rf_json_string(other, "name"));
	fputc('\n', stderr);
	return NULL;
}

/* How much the worse of the two is to be trusted. */
static void tell_trust(const struct arguments *arguments, char *text, size_t size)
{
	const json_t *a = arguments->sides[0].report, *b = arguments->sides[1].report;
	const char *word = rf_json_string(json_object_get(a, "trust"), "word");
	bool first = strcmp(word, "exact") && strcmp(rf_json_string(json_object_get(b, "trust"), "word"), "doubtful");

	rf_answer_trust(first ? a : b, text, size);
}

/* "B against A: TLBI +3.4 %; trust: exact", with the files where the policies are called alike. */
static json_t *answer(const struct arguments *arguments, const json_t *in_a, const json_t *in_b)
{
	const char *a = rf_json_string(in_a, "name"), *b = rf_json_string(in_b, "name");
	char changes[RF_ANSWER_MAX], trust[100];

	rf_answer_changes(json_object_get(in_a, "totals"), json_object_get(in_b, "totals"), changes, sizeof(changes));
	tell_trust(arguments, trust, sizeof(trust));
	if (strcmp(a, b))
		return json_sprintf("%s against %s: %s; trust: %s", b, a, changes, trust);
	return json_sprintf("%s of %s against %s: %s; trust: %s", b, arguments->sides[1].file, arguments->sides[0].file,
			    changes, trust);
}

/* All of the recordings of a report, one after the other. */
static u64 recorded_ns(const json_t *report)
{
	const json_t *trace;
	u64 sum = 0;
	size_t i;

	json_array_foreach(json_object_get(report, "traces"), i, trace)
		sum += rf_json_number(trace, "duration_ns");
	return sum;
}

static void compare_policies(const struct arguments *arguments, const json_t *in_a, const json_t *in_b,
			     json_t *comparisons)
{
	json_t *comparison = rf_diff_policies(in_a, in_b);

	json_object_set_new(comparison, "answer", answer(arguments, in_a, in_b));
	if (arguments->prices.nr)
		json_object_set_new(comparison, "priced",
				    rf_price_difference(&arguments->prices, in_a, in_b,
							recorded_ns(arguments->sides[1].report)));
	json_object_set_new(comparison, "windows",
			    rf_diff_windows(arguments->sides[0].report, rf_json_string(in_a, "name"),
					    arguments->sides[1].report, rf_json_string(in_b, "name")));
	json_array_append_new(comparisons, comparison);
}

/* One policy of the first report with all others of the last. */
static int compare_baseline(const struct arguments *arguments, json_t *comparisons)
{
	json_t *base = named_policy(&arguments->sides[0], arguments->view.baseline), *policy;
	size_t i;

	if (!base)
		return RF_EXIT_USAGE;
	json_array_foreach(json_object_get(arguments->sides[1].report, "policies"), i, policy)
		if (strcmp(rf_json_string(policy, "name"), arguments->view.baseline))
			compare_policies(arguments, base, policy, comparisons);
	if (json_array_size(comparisons))
		return RF_EXIT_DONE;
	return rf_command_usage("diff", "%s holds no policy beside '%s'", arguments->sides[1].file,
				arguments->view.baseline);
}

/* The pairs to compare into the array; an exit code. */
static int compare_sides(struct arguments *arguments, json_t *comparisons)
{
	const struct side *a = &arguments->sides[0], *b = &arguments->sides[1];
	json_t *in_a = json_object_get(a->report, "policies"), *in_b = json_object_get(b->report, "policies");
	json_t *policy, *other;
	size_t i;

	if (arguments->view.baseline)
		return compare_baseline(arguments, comparisons);
	if (arguments->policies[0]) {
		policy = named_policy(a, arguments->policies[0]);
		other = named_policy(b, arguments->policies[1]);
		if (!policy || !other)
			return RF_EXIT_USAGE;
		compare_policies(arguments, policy, other, comparisons);
		return RF_EXIT_DONE;
	}
	if (json_array_size(in_a) == 1 && json_array_size(in_b) == 1) {
		compare_policies(arguments, json_array_get(in_a, 0), json_array_get(in_b, 0), comparisons);
		return RF_EXIT_DONE;
	}
	json_array_foreach(in_a, i, policy) {
		other = find_policy(b, rf_json_string(policy, "name"));
		if (other)
			compare_policies(arguments, policy, other, comparisons);
		else
			fprintf(stderr, "refold: only %s has policy '%s'; not compared\n", a->file,
				rf_json_string(policy, "name"));
	}
	json_array_foreach(in_b, i, policy)
		if (!find_policy(a, rf_json_string(policy, "name")))
			fprintf(stderr, "refold: only %s has policy '%s'; not compared\n", b->file,
				rf_json_string(policy, "name"));
	if (!json_array_size(comparisons))
		return rf_command_usage("diff", "the reports have no policy in common; name two with --policies A,B");
	return RF_EXIT_DONE;
}

static bool any_difference(const json_t *diff)
{
	json_t *one;
	size_t i;

	if (json_array_size(json_object_get(diff, "world")))
		return true;
	json_array_foreach(json_object_get(diff, "comparisons"), i, one)
		if (json_array_size(json_object_get(one, "changes")) ||
		    json_array_size(json_object_get(one, "windows")))
			return true;
	return false;
}

static int compare(struct arguments *arguments)
{
	json_t *comparisons = json_array(), *diff;
	int code = compare_sides(arguments, comparisons);

	if (code != RF_EXIT_DONE) {
		json_decref(comparisons);
		return code;
	}
	diff = json_pack("{s:s, s:o, s:o}", "schema", RF_DIFF_SCHEMA, "comparisons", comparisons, "world",
			 rf_diff_worlds(arguments->sides[0].report, arguments->sides[1].report));
	if (arguments->exit_code && any_difference(diff))
		code = RF_EXIT_FAILED;
	rf_diff_choose(diff, &arguments->choice);
	rf_view_of(&arguments->view, stdout);
	if (arguments->json)
		rf_json_write(diff, stdout);
	else
		rf_diff_write(diff, &arguments->view, stdout);
	json_decref(diff);
	return code;
}

/* ---- arguments ----------------------------------------------------------------------- */

static int load(struct side *side, const char *file)
{
	struct rf_error err;

	side->file = file;
	side->report = rf_report_load(file, &err);
	return side->report ? RF_EXIT_DONE : rf_command_error(file, &err);
}

/* "A,B" */
static int split_policies(struct arguments *arguments, char *list)
{
	char *comma = strchr(list, ',');

	if (!comma || strchr(comma + 1, ','))
		return rf_command_usage("diff", "--policies needs two names, A,B, not '%s'", list);
	*comma = '\0';
	arguments->policies[0] = list;
	arguments->policies[1] = comma + 1;
	return 0;
}

/* "1%", "0.5%", "2" into hundredths of a percent. */
static int set_least(struct arguments *arguments, const char *text)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%")) || !(percent >= 0 && percent <= 1000000))
		return rf_command_usage("diff", "--min-change needs a percentage (1%%), not '%s'", text);
	arguments->choice.least = percent * 100 + .5;
	return 0;
}

static int take_option(struct arguments *arguments, int option)
{
	struct rf_error err;

	switch (option) {
	case 'P':
		return split_policies(arguments, optarg);
	case 'b':
		arguments->view.baseline = optarg;
		return 0;
	case 'a':
		arguments->view.all = true;
		return 0;
	case 't':
		if (!rf_parse_number(optarg, 1, UINT32_MAX, &arguments->choice.top))
			return rf_command_usage("diff", "--top needs a number, not '%s'", optarg);
		return 0;
	case 'm':
		return set_least(arguments, optarg);
	case 'p':
		return rf_prices_parse(&arguments->prices, optarg, &err) ?
		       rf_command_usage("diff", "--price: %s", err.message) : 0;
	case 'f':
		if (!rf_view_format(&arguments->view, optarg))
			return rf_command_usage("diff", RF_FORMAT_WRONG, optarg);
		arguments->json = arguments->view.format == RF_FORMAT_json;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case 'x':
		arguments->exit_code = true;
		return 0;
	}
	return 0;
}

static int parse_options(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "policies", required_argument, NULL, 'P' }, { "baseline", required_argument, NULL, 'b' },
		{ "all", no_argument, NULL, 'a' },	      { "top", required_argument, NULL, 't' },
		{ "min-change", required_argument, NULL, 'm' }, { "price", required_argument, NULL, 'p' },
		{ "format", required_argument, NULL, 'f' }, { "json", no_argument, NULL, 'j' },
		{ "exit-code", no_argument, NULL, 'x' },      { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "diff", help, "jxh", options };
	int option = 0, stop, ret = 0;

	while (!ret && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(arguments, option);
	if (option < 0)
		return stop == RF_EXIT_DONE ? -1 : stop;
	if (!ret && arguments->view.baseline && arguments->policies[0])
		return rf_command_usage("diff", "--policies A,B or --baseline A, not both");
	arguments->choice.matters = !arguments->view.all && !arguments->json;
	return ret;
}

int rf_cmd_diff(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int code = parse_options(argc, argv, &arguments), given = argc - optind;

	if (code)
		return code < 0 ? RF_EXIT_DONE : code;
	if (given < 1 || given > 2 || (given == 1 && !arguments.policies[0] && !arguments.view.baseline))
		return rf_command_usage("diff", "needs two reports, or one report and --policies A,B or --baseline A");
	code = load(&arguments.sides[0], argv[optind]);
	if (code == RF_EXIT_DONE)
		code = load(&arguments.sides[1], argv[optind + given - 1]);
	if (code == RF_EXIT_DONE)
		code = compare(&arguments);
	json_decref(arguments.sides[0].report);
	json_decref(arguments.sides[1].report);
	return code;
}
