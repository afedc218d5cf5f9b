// SPDX-License-Identifier: MIT
/*
 * refold diff: what changed between two reports, or between two policies of one. Compares policy by policy, counter by
 * counter; only differences are named.
 */
#include <getopt.h>
#include <string.h>

#include "base/json.h"
#include "replay/commands/commands.h"
#include "replay/report/report.h"

static const char help[] =
	"usage: refold diff [-jx] A.json B.json\n"
	"       refold diff [-jx] A.json [B.json] --policies A,B\n\n"
	"Names what differs between two reports of 'refold replay -o', by operation and counter.\n"
	"Without --policies: reports of one policy each are compared with each other, else policies\n"
	"of the same name. With it: policy A of the first report with policy B of the last.\n\n"
	"      --policies A,B  which two policies to compare\n"
	"  -j, --json          write the differences as JSON\n"
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

static void compare_policies(const struct arguments *arguments, const json_t *in_a, const json_t *in_b,
			     json_t *comparisons)
{
	json_t *comparison = rf_diff_policies(in_a, in_b);

	json_object_set_new(comparison, "windows",
			    rf_diff_windows(arguments->sides[0].report, rf_json_string(in_a, "name"),
					    arguments->sides[1].report, rf_json_string(in_b, "name")));
	json_array_append_new(comparisons, comparison);
}

/* The pairs to compare into the array; an exit code. */
static int compare_sides(struct arguments *arguments, json_t *comparisons)
{
	const struct side *a = &arguments->sides[0], *b = &arguments->sides[1];
	json_t *in_a = json_object_get(a->report, "policies"), *in_b = json_object_get(b->report, "policies");
	json_t *policy, *other;
	size_t i;

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
	if (arguments->json)
		rf_json_write(diff, stdout);
	else
		rf_diff_write(diff, stdout);
	if (arguments->exit_code && any_difference(diff))
		code = RF_EXIT_FAILED;
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

static int parse_options(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "policies", required_argument, NULL, 'P' }, { "json", no_argument, NULL, 'j' },
		{ "exit-code", no_argument, NULL, 'x' },      { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, ret = 0;

	opterr = 0;
	while (!ret && (option = getopt_long(argc, argv, "jxh", options, NULL)) != -1) {
		switch (option) {
		case 'P':
			ret = split_policies(arguments, optarg);
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'x':
			arguments->exit_code = true;
			break;
		case 'h':
			fputs(help, stdout);
			return -1;
		default:
			ret = rf_command_bad_option("diff", argv);
		}
	}
	return ret;
}

int rf_cmd_diff(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int code = parse_options(argc, argv, &arguments), given = argc - optind;

	if (code)
		return code < 0 ? RF_EXIT_DONE : code;
	if (given < 1 || given > 2 || (given == 1 && !arguments.policies[0]))
		return rf_command_usage("diff", "needs two reports, or one report and --policies A,B");
	code = load(&arguments.sides[0], argv[optind]);
	if (code == RF_EXIT_DONE)
		code = load(&arguments.sides[1], argv[optind + given - 1]);
	if (code == RF_EXIT_DONE)
		code = compare(&arguments);
	json_decref(arguments.sides[0].report);
	json_decref(arguments.sides[1].report);
	return code;
}
