// SPDX-License-Identifier: MIT
/*
 * refold ablate: which of the patches between two kernels saves how much on these traces. All columns are counted while
 * a trace is decoded once; shares, which need to know which patches matter at all, are counted in a second pass.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"
#include "replay/commands/progress.h"
#include "replay/library/session.h"
#include "replay/report/ablation.h"

#define COLUMNS_FOR_SHARES 64

static const char help[] =
	"usage: refold ablate TRACE... --from POLICY --to POLICY [--patches ID,ID] [--cpu CPU] [--by COUNTER]\n"
	"       refold ablate TRACE... --from POLICY --patches ID,ID\n\n"
	"Ranks the patches that lie between two kernels by what they save on these traces: each alone on the first,\n"
	"taken away from the second, in order of release, and its share whatever the order (Shapley's value).\n\n"
	"      --from POLICY    the kernel that is there\n"
	"      --to POLICY      the one with all of them (default: --from with --patches and what they need)\n"
	"      --patches ID,ID  rank these and what they need; all else between the two is one step\n"
	"      --cpu CPU        both on this CPU ('refold cpus' lists them)\n"
	"      --by COUNTER     what to rank by: tlbi (default), waits, unfold, flush_calls, pte_loads...\n"
	"      --seed N         of the orders that are drawn where more than 6 patches matter (default: 1)\n"
	"      --max-memory SIZE, --max-time TIME  as of 'refold replay'\n"
	"      --format FORMAT  table, markdown, csv, tsv or json (as -j)\n"
	"  -j, --json           write the result as JSON\n"
	"  -q, --quiet          no progress line\n"
	"  -h, --help           this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged or cut trace.\n";

struct arguments {
	char **traces;
	int nr_traces;
	const char *from, *to, *patches, *cpu, *by;
	struct rf_policy policies[2];
	u64 seed;
	struct rf_limits limits;
	u64 stop_at;
	struct rf_view view;
	bool quiet;
};

/* ---- replaying ---- */

static int replay_trace(const char *path, struct rf_session *session)
{
	struct rf_error err;
	int ret = rf_session_replay(session, path, &err);

	if (!ret)
		return RF_EXIT_DONE;
	rf_progress_end(session->run.progress_context);
	return ret == -EINVAL ? rf_command_usage("ablate", "%s: %s", path, err.message) : rf_command_error(path, &err);
}

/* The report of all traces under these policies, NULL with *code. */
static json_t *replay(const struct arguments *arguments, const struct rf_policy *policies, size_t nr, int *code)
{
	struct rf_progress progress;
	struct rf_session session = {
		.policies = policies, .nr_policies = nr,
		.run = {
			.progress = rf_progress_add, .progress_context = &progress, .stop_at = arguments->stop_at,
		},
	};
	json_t *report = NULL;
	struct rf_error err;
	int i, one = RF_EXIT_DONE;

	if (rf_session_begin(&session, &err)) {
		rf_session_end(&session);
		*code = rf_command_errno("ablate", "cannot begin", ENOMEM);
		return NULL;
	}
	rf_progress_begin(&progress, !arguments->quiet, 0);
	for (i = 0; i < arguments->nr_traces && (one == RF_EXIT_DONE || one == RF_EXIT_DAMAGED); i++) {
		one = replay_trace(arguments->traces[i], &session);
		*code = one == RF_EXIT_DONE ? *code : one;
	}
	rf_progress_end(&progress);
	if (*code == RF_EXIT_DONE || *code == RF_EXIT_DAMAGED)
		report = rf_session_report(&session);
	rf_session_end(&session);
	return report;
}

/* ---- columns ---- */

/* Sets that make the same policy are one machine. */
static size_t distinct(struct rf_policy *policies, size_t nr, const struct rf_policy *policy)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!memcmp(&policies[i].arch_knobs, &policy->arch_knobs, sizeof(policy->arch_knobs)) &&
		    !memcmp(&policies[i].mm, &policy->mm, sizeof(policy->mm)) &&
		    !memcmp(&policies[i].geometry, &policy->geometry, sizeof(policy->geometry)))
			return i;
	policies[nr] = *policy;
	return nr;
}

/* Up to RF_MAX_POLICIES of the columns that are not counted yet; the report, or NULL with *code. */
static json_t *count_some(const struct arguments *arguments, struct rf_ablation *ablation, struct rf_policy *policies,
			  int *code)
{
	size_t *machines = calloc(ablation->nr, sizeof(*machines)), nr = 0, i, machine;
	struct rf_policy policy;
	json_t *report;

	for (i = 0; machines && i < ablation->nr; i++) {
		machines[i] = SIZE_MAX;
		if (ablation->columns[i].policy || nr == RF_MAX_POLICIES)
			continue;
		rf_steps_policy(&ablation->steps, ablation->columns[i].set, &policy);
		machine = distinct(policies, nr, &policy);
		machines[i] = machine;
		nr += machine == nr;
	}
	if (!machines)
		*code = rf_command_errno("ablate", "cannot begin", ENOMEM);
	report = machines ? replay(arguments, policies, nr, code) : NULL;
	for (i = 0; report && i < ablation->nr; i++) {
		struct rf_column *column = &ablation->columns[i];

		if (machines[i] == SIZE_MAX)
			continue;
		column->policy = json_incref(json_array_get(json_object_get(report, "policies"), machines[i]));
		column->by = rf_matter_value(json_object_get(column->policy, "totals"), &ablation->by);
	}
	free(machines);
	return report;
}

static bool all_counted(const struct rf_ablation *ablation)
{
	size_t i;

	for (i = 0; i < ablation->nr; i++)
		if (!ablation->columns[i].policy)
			return false;
	return true;
}

/* The first report, for what it says of the traces; NULL with *code. */
static json_t *count(const struct arguments *arguments, struct rf_ablation *ablation, int *code)
{
	struct rf_policy *policies = calloc(RF_MAX_POLICIES, sizeof(*policies));
	json_t *first = NULL, *report = NULL;

	if (!policies || ablation->failed)
		*code = rf_command_errno("ablate", "cannot begin", ENOMEM);
	while (policies && !ablation->failed && !all_counted(ablation)) {
		report = count_some(arguments, ablation, policies, code);
		if (!report)
			break;
		first = first ? first : json_incref(report);
		json_decref(report);
	}
	free(policies);
	if (!report && first) {
		json_decref(first);
		first = NULL;
	}
	return first;
}

/* ---- the answer ---- */

/* All columns are called alike, and contradict alike. */
static json_t *distinct_warnings(const json_t *report)
{
	json_t *list = json_array(), *warning;
	size_t i, k;

	json_array_foreach(json_object_get(report, "warnings"), i, warning) {
		for (k = 0; k < json_array_size(list) && !json_equal(json_array_get(list, k), warning); k++)
			;
		if (k == json_array_size(list))
			json_array_append(list, warning);
	}
	return list;
}

static void add_answer(const struct arguments *arguments, const struct rf_ablation *ablation, const json_t *report,
		       json_t *result)
{
	const json_t *from = json_object_get(ablation->columns[0].policy, "totals");
	const json_t *to = json_object_get(ablation->columns[1].policy, "totals");
	const char *with = arguments->to ? "" : " with the patches";
	char changes[RF_ANSWER_MAX], trust[100];

	rf_answer_changes(from, to, changes, sizeof(changes));
	rf_answer_trust(report, trust, sizeof(trust));
	json_object_set_new(result, "answer",
			    json_sprintf("%s%s against %s: %s; trust: %s", arguments->policies[1].name, with,
					 arguments->policies[0].name, changes, trust));
	json_object_set_new(result, "warnings", distinct_warnings(report));
}

static int write_result(struct arguments *arguments, const json_t *result)
{
	const json_t *warning;
	size_t i;

	if (arguments->view.format == RF_FORMAT_json)
		return rf_json_write(result, stdout) ? RF_EXIT_FAILED : RF_EXIT_DONE;
	rf_view_of(&arguments->view, stdout);
	if (!rf_view_is_raw(&arguments->view))
		rf_answer_print(rf_json_string(result, "answer"), &arguments->view, stdout);
	json_array_foreach(json_object_get(result, "warnings"), i, warning)
		if (!rf_view_is_raw(&arguments->view))
			printf("WARNING    %s\n", json_string_value(warning));
	if (arguments->view.format == RF_FORMAT_markdown)
		putchar('\n');
	rf_ablation_write(result, &arguments->view, stdout);
	return RF_EXIT_DONE;
}

static int rank(struct arguments *arguments, struct rf_ablation *ablation)
{
	int code = RF_EXIT_DONE, written = RF_EXIT_DONE;
	json_t *report, *more, *result;
	const char *nothing;

	rf_ablation_begin(ablation);
	report = count(arguments, ablation, &code);
	if (!report)
		return code;
	nothing = rf_report_nothing(report);
	if (nothing) {
		json_decref(report);
		return rf_command_nothing(arguments->traces, arguments->nr_traces, nothing);
	}
	rf_ablation_shares(ablation, arguments->seed, COLUMNS_FOR_SHARES);
	/* Without a column that is wanted, too, which is one that there is no memory for. */
	more = all_counted(ablation) && !ablation->failed ? NULL : count(arguments, ablation, &code);
	if (all_counted(ablation) && !ablation->failed) {
		result = rf_ablation_result(ablation);
		add_answer(arguments, ablation, report, result);
		written = write_result(arguments, result);
		json_decref(result);
	}
	json_decref(more);
	json_decref(report);
	return written == RF_EXIT_DONE ? code : written;
}

/* ---- arguments ---- */

static int set_by(struct rf_ablation *ablation, const char *name)
{
	const struct rf_matter *matter;
	size_t i;

	for (i = 0; (matter = rf_matter_at(i)); i++) {
		if (strcmp(matter->key, name) && strcmp(matter->word, name))
			continue;
		ablation->by = *matter;
		return 0;
	}
	for (i = 0; i < ARCH_NR_COUNTERS; i++) {
		if (strcmp(arch_counter_names[i], name))
			continue;
		ablation->by = (struct rf_matter){ arch_counter_names[i], arch_counter_names[i], 1, false };
		return 0;
	}
	return rf_command_usage("ablate", "--by %s is no counter of refold-report(5)", name);
}

static int parse_policy(struct rf_policy *policy, const char *text, const char *cpu)
{
	char *name = NULL;
	struct rf_error err;
	int ret;

	if (asprintf(&name, "%s%s%s", text, cpu ? "+cpu=" : "", cpu ? cpu : "") < 0)
		return rf_command_errno("ablate", "cannot begin", ENOMEM);
	ret = rf_policy_parse(name, policy, &err);
	free(name);
	return ret ? rf_command_usage("ablate", "%s", err.message) : 0;
}

static int parse_policies(struct arguments *arguments)
{
	int ret;

	if (!arguments->from || (!arguments->to && !arguments->patches))
		return rf_command_usage("ablate", "needs --from POLICY, and --to POLICY or --patches ID,ID");
	ret = parse_policy(&arguments->policies[0], arguments->from, arguments->cpu);
	if (!ret)
		ret = parse_policy(&arguments->policies[1], arguments->to ? arguments->to : arguments->from,
				   arguments->cpu);
	return ret;
}

static int take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'f':
		arguments->from = optarg;
		return 0;
	case 't':
		arguments->to = optarg;
		return 0;
	case 'p':
		arguments->patches = optarg;
		return 0;
	case 'c':
		arguments->cpu = optarg;
		return 0;
	case 'b':
		arguments->by = optarg;
		return 0;
	case 's':
		if (!rf_parse_number(optarg, 0, UINT32_MAX, &arguments->seed))
			return rf_command_usage("ablate", "--seed needs a number, not '%s'", optarg);
		return 0;
	case 'M':
		return rf_limits_take_memory(&arguments->limits, "ablate", optarg);
	case 'T':
		return rf_limits_take_time(&arguments->limits, "ablate", optarg);
	case 'F':
		if (!rf_view_format(&arguments->view, optarg))
			return rf_command_usage("ablate", RF_FORMAT_WRONG, optarg);
		return 0;
	case 'j':
		arguments->view.format = RF_FORMAT_json;
		return 0;
	case 'q':
		arguments->quiet = true;
		return 0;
	}
	return 0;
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' }, { "to", required_argument, NULL, 't' },
		{ "patches", required_argument, NULL, 'p' }, { "cpu", required_argument, NULL, 'c' },
		{ "by", required_argument, NULL, 'b' }, { "seed", required_argument, NULL, 's' },
		{ "max-memory", required_argument, NULL, 'M' }, { "max-time", required_argument, NULL, 'T' },
		{ "format", required_argument, NULL, 'F' }, { "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const struct rf_command_line line = { "ablate", help, "jqh", options };
	int option = 0, stop, ret = 0;

	while (!ret && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(arguments, option);
	if (option < 0)
		return stop == RF_EXIT_DONE ? -1 : stop;
	arguments->traces = argv + optind;
	arguments->nr_traces = argc - optind;
	if (!ret && !arguments->nr_traces)
		ret = rf_command_usage("ablate", "no trace named");
	return ret ? ret : parse_policies(arguments);
}

/* Those that cannot be read are told of when they are opened. */
static u64 bytes_of_traces(const struct arguments *arguments)
{
	struct stat status;
	u64 bytes = 0;

	for (int i = 0; i < arguments->nr_traces; i++)
		bytes += stat(arguments->traces[i], &status) ? 0 : (u64)status.st_size;
	return bytes;
}

int rf_cmd_ablate(int argc, char **argv)
{
	static struct arguments arguments = { .by = "tlbi", .seed = 1 };
	struct rf_ablation ablation = { 0 };
	struct rf_error err;
	int code = parse_arguments(argc, argv, &arguments);

	if (code)
		return code < 0 ? RF_EXIT_DONE : code;
	code = set_by(&ablation, arguments.by);
	if (code)
		return code;
	if (rf_steps_between(&ablation.steps, &arguments.policies[0], arguments.to ? &arguments.policies[1] : NULL,
			     arguments.patches, &err))
		return rf_command_usage("ablate", "%s", err.message);
	arguments.stop_at = rf_limits_begin(&arguments.limits, bytes_of_traces(&arguments), COLUMNS_FOR_SHARES);
	code = rank(&arguments, &ablation);
	rf_ablation_free(&ablation);
	return code;
}
