// SPDX-License-Identifier: MIT
/* The parts of the report that hold counters: policies, windows, processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/report/json.h"

/* ---- counters and policies ---------------------------------------------------- */

static json_t *counters_object(const struct arch_counters *counters)
{
	const u64 *values = (const u64 *)counters;
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		rf_json_set_count(object, arch_counter_names[i], values[i]);
	return object;
}

/* Knobs typed, so that {"base": ..., knobs...} is a policy file again. */
static void set_knob(void *context, const char *knob, const char *text)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	if (!strcmp(text, "true") || !strcmp(text, "false"))
		json_object_set_new(context, knob, json_boolean(text[0] == 't'));
	else if (end != text && !*end)
		json_object_set_new(context, knob, json_integer(number));
	else
		json_object_set_new(context, knob, json_string(text));
}

json_t *knobs_object(const struct rf_policy *policy)
{
	json_t *object = json_object();

	rf_policy_each_knob(policy, set_knob, object);
	return object;
}

static json_t *batches_object(const struct arch_batches *batches)
{
	json_t *object = json_object();
	size_t helper, size;

	for (helper = 0; helper < ARCH_NR_HELPERS; helper++) {
		json_t *list = json_array();

		for (size = 0; size <= ARCH_BATCH_MAX; size++)
			if (batches->calls[helper][size])
				json_array_append_new(list, json_pack("[I, I]", (json_int_t)size,
								      (json_int_t)batches->calls[helper][size]));
		json_object_set_new(object, arch_helper_names[helper], list);
	}
	return object;
}

static json_t *runs_object(const struct rf_stats *stats)
{
	json_t *object = json_object(), *counts;
	size_t run;

	for (run = 0; run < RF_NR_RUNS; run++) {
		if (!stats->runs[run].looked)
			continue;
		counts = json_object();
#define X(name, meaning) rf_json_set_count(counts, #name, stats->runs[run].name);
		RF_RUN_COUNTERS(X)
#undef X
		json_object_set_new(object, rf_run_names[run], counts);
	}
	return object;
}

static json_t *readers_object(const struct rf_stats *stats, bool all_sites)
{
	json_t *object = json_object(), *counts;
	size_t site;

	for (site = 0; site < RF_NR_SITES; site++) {
		const struct rf_reader_counters *reader = &stats->readers[site];

		if (!all_sites && !reader->calls)
			continue;
		counts = json_object();
#define X(name, meaning) rf_json_set_count(counts, #name, reader->name);
		RF_READER_COUNTERS(X)
#undef X
		json_object_set_new(object, rf_site_names[site], counts);
	}
	return object;
}

/* Times are nanoseconds / 2^20, of so many each. */
static u64 time_ms(u64 time, u32 each)
{
	return (u64)(((unsigned __int128)time << 20) * each / 1000000);
}

json_t *row_object(const struct arch_counters *row, u64 operations)
{
	json_t *counters = counters_object(row);

	rf_json_set_count(counters, "operations", operations);
	return counters;
}

static json_t *totals_object(const struct rf_stats *stats)
{
	struct arch_counters sum;
	json_t *totals;
	u64 nr = 0;
	size_t row;

	for (row = 0; row < RF_NR_ROWS; row++)
		nr += stats->operations[row];
	rf_stats_totals(stats, &sum);
	totals = row_object(&sum, nr);
	rf_json_set_count(totals, "live_blocks", stats->live_blocks);
	rf_json_set_count(totals, "live_block_time_ms", time_ms(stats->live_block_time, 1));
	return totals;
}

static bool row_is_empty(const struct rf_stats *stats, size_t row)
{
	const u64 *values = (const u64 *)&stats->rows[row];
	size_t i;

	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		if (values[i])
			return false;
	return !stats->operations[row];
}

/* What was counted, in all and by operation: the common part of policies and of their windows. all: nothings, too. */
static json_t *counted_object(const struct rf_policy *policy, const struct rf_stats *stats, bool all)
{
	json_t *object = json_object(), *operations = json_object();
	size_t row;

	for (row = 0; row < RF_NR_ROWS; row++)
		if (all || !row_is_empty(stats, row))
			json_object_set_new(operations, rf_row_names[row],
					    row_object(&stats->rows[row], stats->operations[row]));
	rf_json_set_string(object, "name", policy->name);
	json_object_set_new(object, "totals", totals_object(stats));
	json_object_set_new(object, "operations", operations);
	json_object_set_new(object, "batches", batches_object(&stats->batches));
	json_object_set_new(object, "readers", readers_object(stats, all));
	return object;
}

json_t *policy_totals(const struct rf_policy *policy, const struct rf_stats *stats)
{
	json_t *totals = totals_object(stats);

	rf_json_set_count(totals, "loaded_blocks",
			  stats->loaded.born + stats->loaded.fold - stats->loaded.unfold - stats->loaded.erased);
	rf_json_set_count(totals, "peak_live_blocks", stats->peak_live_blocks);
	rf_json_set_count(totals, "folded_page_ms", time_ms(stats->live_block_time, policy->geometry.cont_ptes));
	rf_json_set_count(totals, "coalesced_page_ms", time_ms(stats->coalesced_time, 1));
	rf_json_set_count(totals, "valid_page_ms", time_ms(stats->valid_time, 1));
	return totals;
}

json_t *policy_object(const struct rf_policy *policy, const struct rf_stats *stats, bool all)
{
	json_t *object = counted_object(policy, stats, all), *anomalies = json_object();
	size_t i;

	json_object_set_new(object, "totals", policy_totals(policy, stats));
	for (i = 0; i < RF_NR_ANOMALIES; i++)
		rf_json_set_count(anomalies, rf_anomaly_names[i], stats->anomalies[i]);
	rf_json_set_count(anomalies, rf_anomaly_names[RF_ANOMALY_kernel_warning], backend_warnings(policy));
	rf_json_set_string(object, "base", policy->base);
	rf_json_set_string(object, "arch", policy->arch->name);
	json_object_set_new(object, "knobs", knobs_object(policy));
	json_object_set_new(object, "runs", runs_object(stats));
	json_object_set_new(object, "anomalies", anomalies);
	if (policy->arch->loaded)
		json_object_set_new(object, "backend", backend_object(policy));
	return object;
}

/* ---- processes and windows ------------------------------------------------------ */

/* Why address spaces of a process are marked: the names of the reasons. */
static json_t *reasons_array(const struct rf_results *results, u32 number)
{
	const struct rf_trust *trust = &results->trust;
	json_t *list = json_array();
	u64 seen = 0;

	for (u32 i = 0; i < trust->nr_mms; i++) {
		if (!trust->mms[i].known || rf_process_of(&results->processes, trust->mms[i].mm) != number)
			continue;
		for (u32 at = trust->mms[i].first; at; at = trust->marks[at - 1].next)
			seen |= 1ull << trust->marks[at - 1].reason;
	}
	for (u32 i = 0; i < RF_NR_REASONS; i++)
		if (seen >> i & 1)
			json_array_append_new(list, json_string(rf_reason_names[i]));
	return list;
}

_Static_assert(RF_NR_REASONS <= 64, "a bit for each");

/* counts: of a window, one per policy; NULL: of the whole trace. */
static json_t *process_object(const struct rf_results *results, const struct rf_window_counts *counts, u32 number,
			      u64 first_time)
{
	static const struct rf_account nothing;
	const struct rf_process *process = &results->processes.list[number];
	json_t *object = json_object(), *policies = json_array();
	size_t k;

	for (k = 0; k < results->nr_policies; k++) {
		const struct rf_ledger *ledger = counts ? &counts[k].processes : &results->ledgers[k];
		const struct rf_account *account = rf_ledger_find(ledger, number);

		if (!account)
			account = &nothing;
		json_array_append_new(policies, json_pack("{s:s, s:o}", "name", results->policies[k].name, "totals",
							  row_object(&account->counters, account->operations)));
	}
	rf_json_set_count(object, "pid", process->pid);
	rf_json_set_string(object, "command", process->command);
	rf_json_set_count(object, "begin_ns", process->begin > first_time ? process->begin - first_time : 0);
	json_object_set_new(object, "marked", reasons_array(results, number));
	json_object_set_new(object, "policies", policies);
	return object;
}

/* All machines had the same operations, so the first one's ledger names everybody. */
static json_t *window_processes(const struct rf_window_counts *counts, const struct rf_results *results, u64 first_time)
{
	const struct rf_ledger *first = &counts[0].processes;
	json_t *list = json_array();
	u32 i;

	for (i = 0; i < first->nr; i++)
		json_array_append_new(list, process_object(results, counts, first->accounts[i].mm, first_time));
	return list;
}

static const char *window_end_name(enum rf_window_end end)
{
	switch (end) {
	case RF_WINDOW_END_MARK:
		return "mark";
	case RF_WINDOW_END_NEXT:
		return "next";
	case RF_WINDOW_END_RECORDING:
		break;
	}
	return "recording";
}

static json_t *window_object(u32 number, const struct rf_results *results, u64 first_time, struct rf_stats *scratch)
{
	const struct rf_window_counts *counts = &results->window_counts[number * results->nr_policies];
	const struct rf_window *window = &results->windows.windows[number];
	json_t *object = json_object(), *policies = json_array();
	size_t k;

	for (k = 0; k < results->nr_policies; k++) {
		rf_counted_expand(&counts[k].counted, scratch);
		json_array_append_new(policies, counted_object(&results->policies[k], scratch, false));
	}
	rf_json_set_string(object, "label", window->label);
	rf_json_set_count(object, "occurrence", window->occurrence);
	rf_json_set_count(object, "begin_ns", window->begin - first_time);
	rf_json_set_count(object, "end_ns", window->end - first_time);
	rf_json_set_string(object, "ended_by", window_end_name(window->ended_by));
	json_object_set_new(object, "records_by_kind", records_by_kind(window->kinds));
	json_object_set_new(object, "policies", policies);
	json_object_set_new(object, "processes", window_processes(counts, results, first_time));
	return object;
}

int rf_report_add_parts(const struct rf_report_parts *parts, const char *path, struct rf_reader *reader,
			const struct rf_results *results)
{
	u64 first_time = rf_reader_summary(reader)->first_time;
	const struct rf_ledger *first = &results->ledgers[0];
	struct rf_stats scratch;
	json_t *part;
	u32 i;

	for (i = 0; i < results->windows.nr; i++) {
		part = window_object(i, results, first_time, &scratch);
		rf_json_set_string(part, "trace", base_name(path));
		json_array_append_new(parts->windows, part);
	}
	if (parts->intervals)
		json_array_append_new(parts->intervals,
				      intervals_of_trace(base_name(path), results, parts->each_process));
	if (parts->attributions &&
	    json_array_append_new(parts->attributions, attribution_of_trace(base_name(path), results, parts->top)))
		return -ENOMEM;
	part = trust_of_trace(base_name(path), results, first_time);
	json_array_append_new(parts->trusts, part);
	rf_report_add_row(json_array_get(parts->traces, json_array_size(parts->traces) - 1), part, results);
	for (i = 0; i < first->nr; i++) {
		part = process_object(results, NULL, first->accounts[i].mm, first_time);
		rf_json_set_string(part, "trace", base_name(path));
		json_array_append_new(parts->processes, part);
	}
	return 0;
}
