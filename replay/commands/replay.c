// SPDX-License-Identifier: MIT
/*
 * refold replay: traces in, one report out. Everything that can be wrong with the arguments is found before the first
 * record is read, because a replay may take minutes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"
#include "replay/commands/progress.h"
#include "replay/commands/replay_arguments.h"
#include "replay/fleet/store.h"
#include "replay/library/session.h"

/* What the arguments say of replaying; where results go and who watches is said when it begins. */
static struct rf_session session_of(const struct rf_replay_arguments *arguments)
{
	return (struct rf_session){
		.policies = arguments->policies, .nr_policies = (size_t)arguments->nr_policies, .top = arguments->top,
		.run = {
			.patterns = &arguments->patterns, .processes = arguments->processes, .by = &arguments->by,
			.symbols = arguments->symbols,
			.interval = arguments->interval, .stop_at = arguments->stop_at,
		},
	};
}

/* A trace that is replayed, or the exit code that its error calls for: what cannot be, as asked, is wrong usage. */
static int session_error(const char *path, const struct rf_error *err)
{
	if (err->code == -EINVAL)
		return rf_command_usage("replay", "%s: %s", path, err->message);
	return rf_command_error(path, err);
}

/* Open every trace once: what cannot be read is told now, but for a damaged one, which gets a report. */
static int check_traces(const struct rf_replay_arguments *arguments, u64 *records, u64 *bytes)
{
	const struct rf_session session = session_of(arguments);
	struct rf_error err;

	for (int i = 0; i < arguments->nr_traces; i++)
		if (rf_session_look(&session, arguments->traces[i], records, bytes, &err))
			return session_error(arguments->traces[i], &err);
	return RF_EXIT_DONE;
}

/* Without stacks, or without what names them, there is a report all the same. */
static void tell_of_stacks(const char *path, const struct rf_session *session)
{
	const struct rf_stack_list *stacks = &session->results.attribution.stacks;

	if (!session->run.by || !rf_by_has(session->run.by, RF_BY_stack) || (stacks->nr_calls && !stacks->unnamed))
		return;
	rf_progress_end(session->run.progress_context);
	if (!stacks->nr_calls)
		fprintf(stderr, "refold: %s: has no stacks: refold-capture -g records them\n", path);
	else
		fprintf(stderr, "refold: %s: of %u places in stacks %u have no symbol; --symbols DIR says where files "
			"with symbols are\n", path, stacks->functions, stacks->unnamed);
}

/* Replay one trace; an exit code. */
static int replay_trace(const char *path, struct rf_session *session)
{
	struct rf_error err;
	int ret = rf_session_replay(session, path, &err);
	const struct rf_results *results = &session->results;

	if ((!ret || (ret == -EBADMSG && rf_session_last_was_read(session))) && session->run.patterns->chosen &&
	    !results->windows.nr) {
		rf_progress_end(session->run.progress_context);
		fprintf(stderr, "refold: %s: none of its %llu marks begins a window\n", path,
			(unsigned long long)results->kinds[RF_MARKER]);
	}
	if (!ret || (ret == -EBADMSG && rf_session_last_was_read(session)))
		tell_of_stacks(path, session);
	if (!ret)
		return RF_EXIT_DONE;
	rf_progress_end(session->run.progress_context);
	return session_error(path, &err);
}

/* What is written, each but for the table only if it is asked for. */
struct outputs {
	struct rf_command_output report, page_tables, operations;
	struct rf_operations to_write;
	struct rf_store *store;		/* instead of a report; NULL: none */
};

/* Each trace when it is done: what comes later does not take it away again. */
static int store_trace(const struct rf_replay_arguments *arguments, struct outputs *outputs,
		       const struct rf_session *session)
{
	const json_t *trace = rf_session_last_trace(session), *damage;
	json_t *report = rf_session_report_of_last(session), *row;
	struct rf_error err;
	int ret;

	if (report) {
		row = rf_store_row(report);
		ret = rf_store_add(outputs->store, row, &err);
		json_decref(row);
		json_decref(report);
	} else {
		damage = json_array_get(json_object_get(trace, "damage"), 0);
		ret = rf_store_add_failure(outputs->store, rf_json_string(trace, "name"),
					   rf_json_string(trace, "digest"), rf_json_string(damage, "reason"), &err);
	}
	return ret ? rf_command_error(arguments->output, &err) : RF_EXIT_DONE;
}

/* Damage does not stop the run, failures do. */
static int replay_traces(const struct rf_replay_arguments *arguments, struct rf_session *session,
			 struct outputs *outputs, u64 total)
{
	int code = RF_EXIT_DONE, one, i;
	struct rf_progress progress;

	session->run.progress = rf_progress_add;
	session->run.progress_context = &progress;
	session->run.page_tables = outputs->page_tables.file;
	session->run.operations = outputs->to_write.out ? &outputs->to_write : NULL;
	rf_progress_begin(&progress, !arguments->quiet, total);
	for (i = 0; i < arguments->nr_traces; i++) {
		if (session->run.operations)
			fprintf(session->run.operations->out, "# %s\n", arguments->traces[i]);
		one = replay_trace(arguments->traces[i], session);
		if (outputs->store && (one == RF_EXIT_DONE || one == RF_EXIT_DAMAGED) &&
		    store_trace(arguments, outputs, session) != RF_EXIT_DONE)
			one = RF_EXIT_FAILED;
		if (one != RF_EXIT_DONE)
			code = one;
		if (one != RF_EXIT_DONE && one != RF_EXIT_DAMAGED)
			break;
	}
	rf_progress_end(&progress);
	return code;
}

static int write_report(const struct rf_replay_arguments *arguments, struct rf_command_output *output,
			const json_t *report)
{
	bool to_standard_output = output->file == stdout;
	struct rf_view view = arguments->view;
	int code = RF_EXIT_DONE;

	if (output->file) {
		rf_json_write(report, output->file);
		code = rf_command_output_close(output);
	}
	if (arguments->folded && !to_standard_output) {
		rf_report_write_folded(report, arguments->folded, arguments->folded_policy, stdout);
		return code;
	}
	if (arguments->json && !to_standard_output)
		rf_json_write(report, stdout);
	if (arguments->json || arguments->quiet || to_standard_output)
		return code;
	rf_view_of(&view, stdout);
	if ((!arguments->by.nr && !arguments->interval) || !rf_view_is_raw(&view))
		rf_report_write(report, &view, stdout);
	if (arguments->interval)
		rf_table_write_intervals(report, &view, stdout);
	if (arguments->by.nr)
		rf_table_write_attribution(report, &view, stdout);
	if (view.format != RF_FORMAT_table)
		return code;
	if (arguments->readers)
		rf_table_write_readers(report, stdout);
	if (arguments->windows)
		rf_table_write_windows(report, stdout);
	if (arguments->processes)
		rf_table_write_processes(report, stdout);
	return code;
}

static int check_result(const struct rf_replay_arguments *arguments, const json_t *report)
{
	u64 lost = json_integer_value(json_object_get(json_object_get(report, "trace"), "lost_events"));
	const char *nothing = rf_report_nothing(report);

	if (nothing && rf_command_nothing(arguments->traces, arguments->nr_traces, nothing) && !rf_report_idle(report))
		return RF_EXIT_FAILED;
	if (!arguments->limited || lost <= arguments->max_loss)
		return RF_EXIT_DONE;
	fprintf(stderr, "refold: %llu events were lost, --max-loss allows %llu; record again with a larger buffer\n",
		(unsigned long long)lost, (unsigned long long)arguments->max_loss);
	return RF_EXIT_LOSSY;
}

/* Replay and write, all files being open. */
static int replay(const struct rf_replay_arguments *arguments, struct outputs *outputs, u64 total)
{
	struct rf_session session = session_of(arguments);
	json_t *report = NULL;
	struct rf_error err;
	int code, written;

	if (rf_session_begin(&session, &err)) {
		rf_session_end(&session);
		return rf_command_errno("replay", "cannot begin", ENOMEM);
	}
	code = replay_traces(arguments, &session, outputs, total);
	if (code == RF_EXIT_DONE || code == RF_EXIT_DAMAGED)
		report = rf_session_report(&session);
	rf_session_end(&session);
	if (!report)
		return code == RF_EXIT_DONE ? rf_command_errno("replay", "cannot make the report", ENOMEM) : code;
	if (arguments->left_out)
		json_array_extend(json_object_get(report, "warnings"), arguments->left_out);
	written = write_report(arguments, &outputs->report, report);
	if (code == RF_EXIT_DONE)
		code = check_result(arguments, report);
	json_decref(report);
	return written == RF_EXIT_DONE ? code : written;
}

/* False: it was asked for, and cannot be. */
static bool open_output(struct rf_command_output *output, const char *path)
{
	return !path || rf_command_output_open(output, path);
}

/* A report, or a store by its name. */
static bool open_report(struct outputs *outputs, const char *path)
{
	struct rf_error err;

	if (!path || !rf_store_is_name(path))
		return open_output(&outputs->report, path);
	outputs->store = rf_store_open(path, &err);
	if (!outputs->store)
		rf_command_error(path, &err);
	return outputs->store;
}

/* The code, unless what is to be kept cannot be written. */
static int close_output(struct rf_command_output *output, int code)
{
	if (!output->file)
		return code;
	if (code == RF_EXIT_FAILED)
		rf_command_output_abandon(output);
	else if (rf_command_output_close(output) != RF_EXIT_DONE)
		code = RF_EXIT_FAILED;
	return code;
}

/* Everything is in order: open the files to write, and go. */
static int begin(const struct rf_replay_arguments *arguments, u64 total)
{
	struct outputs outputs = { .to_write.only = arguments->only };
	int code = RF_EXIT_FAILED;

	if (open_output(&outputs.page_tables, arguments->page_tables) &&
	    open_output(&outputs.operations, arguments->operations) &&
	    open_report(&outputs, arguments->output)) {
		outputs.to_write.out = outputs.operations.file;
		code = replay(arguments, &outputs, total);
	}
	code = close_output(&outputs.page_tables, code);
	code = close_output(&outputs.operations, code);
	/* Where there is a report, it has been written. */
	rf_command_output_abandon(&outputs.report);
	if (outputs.store)
		rf_store_close(outputs.store);
	return code;
}

/* What a child of --isolate does. */
struct replaying {
	struct rf_replay_arguments *arguments;
	u64 total;
};

static int begin_isolated(void *context)
{
	const struct replaying *replaying = context;

	return begin(replaying->arguments, replaying->total);
}

/* The columns of a backend that crashed are not tried again; the report says so. */
static void leave_out(struct rf_replay_arguments *arguments, const struct arch_loaded *crashed)
{
	int i, left = 0;

	for (i = 0; i < arguments->nr_policies; i++) {
		const char *name = arguments->policies[i].name;

		if (arguments->policies[i].arch->loaded != crashed) {
			arguments->policies[left++] = arguments->policies[i];
			continue;
		}
		json_array_append_new(arguments->left_out, json_sprintf("%s crashed and has no column", name));
		if (arguments->view.baseline && !strcmp(arguments->view.baseline, name))
			arguments->view.baseline = NULL;
	}
	arguments->nr_policies = left;
}

/* --isolate: begin again without what has crashed, until what is left comes to its end. */
static int begin_until_it_ends(struct rf_replay_arguments *arguments, u64 total)
{
	struct replaying replaying = { arguments, total };
	const struct arch_loaded *crashed;
	bool any = false;
	int code;

	arguments->left_out = json_array();
	do {
		code = rf_command_isolated(begin_isolated, &replaying, &crashed);
		any |= crashed != NULL;
		if (crashed)
			leave_out(arguments, crashed);
	} while (crashed && arguments->nr_policies);
	json_decref(arguments->left_out);
	return any && code == RF_EXIT_DONE ? RF_EXIT_FAILED : code;
}

static int check_outputs(const struct rf_replay_arguments *arguments)
{
	const char *outputs[] = { arguments->output, arguments->page_tables, arguments->operations };

	for (size_t o = 0; o < ARRAY_SIZE(outputs); o++)
		for (int i = 0; i < arguments->nr_traces; i++)
			if (rf_command_not_input("replay", outputs[o], arguments->traces[i]))
				return RF_EXIT_USAGE;
	for (size_t o = 0; o < ARRAY_SIZE(outputs); o++)
		for (size_t p = 0; p < o; p++)
			if (outputs[o] && outputs[p] && strcmp(outputs[o], "-") &&
			    (!strcmp(outputs[o], outputs[p]) || rf_same_file(outputs[o], outputs[p])))
				return rf_command_usage("replay", "%s: two outputs cannot be one file", outputs[o]);
	return RF_EXIT_DONE;
}

int rf_cmd_replay(int argc, char **argv)
{
	static struct rf_replay_arguments arguments;
	struct rf_error err;
	u64 total = 0, bytes = 0;
	int code, i;

	code = rf_replay_parse_arguments(argc, argv, &arguments);
	if (code)
		return code < 0 ? RF_EXIT_DONE : code;
	if (rf_window_patterns_compile(&arguments.patterns, arguments.window_begin, arguments.window_end, &err))
		return rf_command_usage("replay", "%s", err.message);
	rf_command_loaded(arguments.policies, arguments.nr_policies, arguments.quiet, arguments.check_backend);
	code = check_outputs(&arguments);
	if (code == RF_EXIT_DONE && arguments.keep_backend)
		code = rf_command_keep_backends(arguments.policies, arguments.nr_policies);
	if (code == RF_EXIT_DONE)
		code = check_traces(&arguments, &total, &bytes);
	for (i = 0; i < arguments.nr_policies && code == RF_EXIT_DONE && !arguments.quiet; i++)
		rf_command_policy_notes("replay", &arguments.policies[i]);
	arguments.stop_at = rf_limits_begin(&arguments.limits, bytes, (size_t)arguments.nr_policies);
	if (code == RF_EXIT_DONE)
		code = arguments.isolate ? begin_until_it_ends(&arguments, total) : begin(&arguments, total);
	rf_window_patterns_free(&arguments.patterns);
	return code;
}
