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
#include "replay/report/report.h"

/* Imports were once made of any clock; what is close in time is told apart by time. */
static int check_clock(const char *path, const struct rf_reader *reader)
{
	const char *clock = rf_reader_header_string(reader, RF_HEADER_CLOCK, "unknown");

	if (rf_clock_is_nanoseconds(clock))
		return RF_EXIT_DONE;
	fprintf(stderr, "refold: %s: its times are of clock %s, which does not count nanoseconds: record again with "
		"clock mono\n", path, clock);
	return RF_EXIT_FAILED;
}

/* More intervals than a report can hold are none of anybody's use. */
static int check_interval(const struct rf_replay_arguments *arguments, const char *path,
			  const struct rf_trace_summary *summary)
{
	u64 duration = summary->last_time - summary->first_time, nr = duration / arguments->interval + 1;

	if (summary->last_time < summary->first_time || nr <= RF_MAX_INTERVALS)
		return RF_EXIT_DONE;
	return rf_command_usage("replay", "--interval: %s has %llu of these, %u are the most: take %llums or more", path,
				(unsigned long long)nr, RF_MAX_INTERVALS,
				(unsigned long long)(duration / (RF_MAX_INTERVALS - 1ull) / 1000000 + 1));
}

/*
 * Open every trace once: what cannot be read is told now, but for a damaged one, which gets a report. A policy may have
 * larger pages than a trace, and the report says what that leaves open; it cannot have smaller ones, because nothing
 * tells which parts of a page were used.
 */
static int check_traces(const struct rf_replay_arguments *arguments, u64 *total_records, u64 *bytes)
{
	struct rf_reader *reader;
	struct rf_error err;
	int trace, policy, code;
	u64 page_size;

	for (trace = 0; trace < arguments->nr_traces; trace++) {
		reader = rf_reader_open(arguments->traces[trace], &err);
		if (!reader && err.code == -EBADMSG)
			continue;
		if (!reader)
			return rf_command_error(arguments->traces[trace], &err);
		*total_records += rf_reader_summary(reader)->records;
		*bytes += rf_reader_summary(reader)->file_bytes;
		page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096);
		code = check_clock(arguments->traces[trace], reader);
		if (code == RF_EXIT_DONE && arguments->interval)
			code = check_interval(arguments, arguments->traces[trace], rf_reader_summary(reader));
		rf_reader_close(reader);
		if (code != RF_EXIT_DONE)
			return code;
		for (policy = 0; policy < arguments->nr_policies; policy++)
			if (1ull << arguments->policies[policy].geometry.page_shift < page_size)
				return rf_command_usage("replay",
							"%s has pages of %llu bytes, policy %s smaller ones, of %llu; "
							"arm64's take +granule=16k or 64k, as 'all' does",
							arguments->traces[trace], (unsigned long long)page_size,
							arguments->policies[policy].name,
							1ull << arguments->policies[policy].geometry.page_shift);
	}
	return RF_EXIT_DONE;
}

/* Replay one trace and append its facts; an exit code. */
static int replay_trace(const char *path, struct rf_results *results, struct rf_run_options *run,
			const struct rf_report_parts *parts)
{
	const struct rf_error *damage;
	struct rf_reader *reader;
	struct rf_error err;
	int code = RF_EXIT_DONE;

	reader = rf_reader_open(path, &err);
	if (!reader) {
		code = rf_command_error(path, &err);
		if (code == RF_EXIT_DAMAGED)
			json_array_append_new(parts->traces, rf_report_unreadable_trace(path, &err));
		return code;
	}
	run->page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096);
	if (rf_run_trace(reader, results, run, &err)) {
		rf_progress_end(run->progress_context);
		code = rf_command_error(path, &err);
		/* Damage is never an error of the run: this is something else. */
		code = code == RF_EXIT_DAMAGED ? RF_EXIT_FAILED : code;
	} else if ((damage = rf_reader_damage(reader)) && damage->code == -ENOMEM) {
		rf_progress_end(run->progress_context);
		code = rf_command_error(path, damage);
	} else {
		json_array_append_new(parts->traces, rf_report_trace(path, reader, results));
		rf_report_add_parts(parts, path, reader, results);
		if (run->patterns->chosen && !results->windows.nr) {
			rf_progress_end(run->progress_context);
			fprintf(stderr, "refold: %s: none of its %llu marks begins a window\n", path,
				(unsigned long long)results->kinds[RF_MARKER]);
		}
		if (damage || !rf_reader_summary(reader)->complete) {
			rf_progress_end(run->progress_context);
			code = RF_EXIT_DAMAGED;
			if (damage)
				rf_command_error(path, damage);
			else
				fprintf(stderr, "refold: %s: has no end; the results cover what is there\n", path);
		}
	}
	rf_reader_close(reader);
	return code;
}

/* What is written, each but for the table only if it is asked for. */
struct outputs {
	struct rf_command_output report, page_tables, operations;
	struct rf_operations to_write;
	struct rf_store *store;		/* instead of a report; NULL: none */
};

/* Each trace when it is done: what comes later does not take it away again. */
static int store_trace(const struct rf_replay_arguments *arguments, struct outputs *outputs,
		       const struct rf_report_parts *parts, const struct rf_results *results)
{
	const json_t *trace = json_array_get(parts->traces, json_array_size(parts->traces) - 1);
	struct rf_error err;
	json_t *report, *row;
	int ret;

	if (!json_array_size(json_object_get(trace, "policies"))) {
		const json_t *damage = json_array_get(json_object_get(trace, "damage"), 0);

		ret = rf_store_add_failure(outputs->store, rf_json_string(trace, "name"),
					   rf_json_string(trace, "digest"), rf_json_string(damage, "reason"), &err);
	} else {
		report = rf_report_of_last(parts, results);
		row = rf_store_row(report);
		ret = rf_store_add(outputs->store, row, &err);
		json_decref(row);
		json_decref(report);
	}
	return ret ? rf_command_error(arguments->output, &err) : RF_EXIT_DONE;
}

/* Damage does not stop the run, failures do. */
static int replay_traces(const struct rf_replay_arguments *arguments, struct rf_results *results,
			 struct outputs *outputs, u64 total, const struct rf_report_parts *parts)
{
	struct rf_progress progress;
	struct rf_run_options run = {
		.progress = rf_progress_add,
		.progress_context = &progress,
		.page_tables = outputs->page_tables.file,
		.operations = outputs->to_write.out ? &outputs->to_write : NULL,
		.patterns = &arguments->patterns,
		.processes = arguments->processes,
		.by = &arguments->by,
		.interval = arguments->interval,
		.stop_at = arguments->stop_at,
	};
	int code = RF_EXIT_DONE, one, i;

	rf_progress_begin(&progress, !arguments->quiet, total);
	for (i = 0; i < arguments->nr_traces; i++) {
		if (run.operations)
			fprintf(run.operations->out, "# %s\n", arguments->traces[i]);
		one = replay_trace(arguments->traces[i], results, &run, parts);
		if (outputs->store && (one == RF_EXIT_DONE || one == RF_EXIT_DAMAGED) &&
		    store_trace(arguments, outputs, parts, results) != RF_EXIT_DONE)
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

	if (nothing) {
		fprintf(stderr, "refold: %s: nothing was replayed: %s\n",
			arguments->nr_traces == 1 ? arguments->traces[0] : "all traces", nothing);
		if (!rf_report_idle(report))
			return RF_EXIT_FAILED;
	}
	if (!arguments->limited || lost <= arguments->max_loss)
		return RF_EXIT_DONE;
	fprintf(stderr, "refold: %llu events were lost, --max-loss allows %llu; record again with a larger buffer\n",
		(unsigned long long)lost, (unsigned long long)arguments->max_loss);
	return RF_EXIT_LOSSY;
}

static void forget(struct rf_report_parts *parts)
{
	json_decref(parts->traces);
	json_decref(parts->windows);
	json_decref(parts->processes);
	json_decref(parts->trusts);
	json_decref(parts->intervals);
	json_decref(parts->attributions);
}

/* Replay and write, all files being open. */
static int replay(const struct rf_replay_arguments *arguments, struct outputs *outputs, u64 total)
{
	struct rf_results results;
	struct rf_report_parts parts = {
		.traces = json_array(), .windows = json_array(), .processes = json_array(), .trusts = json_array(),
		.intervals = arguments->interval ? json_array() : NULL,
		.each_process = arguments->processes,
		.attributions = arguments->by.nr ? json_array() : NULL, .top = arguments->top,
	};
	json_t *report;
	int code, written;

	if (rf_results_init(&results, arguments->policies, arguments->nr_policies)) {
		forget(&parts);
		return rf_command_errno("replay", "cannot begin", ENOMEM);
	}
	code = replay_traces(arguments, &results, outputs, total, &parts);
	if (code != RF_EXIT_DONE && code != RF_EXIT_DAMAGED) {
		forget(&parts);
		rf_results_free(&results);
		return code;
	}
	report = rf_report_build(&parts, &results);
	if (arguments->left_out)
		json_array_extend(json_object_get(report, "warnings"), arguments->left_out);
	written = write_report(arguments, &outputs->report, report);
	if (code == RF_EXIT_DONE)
		code = check_result(arguments, report);
	json_decref(report);
	rf_results_free(&results);
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
