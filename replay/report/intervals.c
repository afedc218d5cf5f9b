// SPDX-License-Identifier: MIT
/* Series for the report: of each counter an array, a number for each interval. */
#include <stdlib.h>

#include "replay/report/json.h"

static json_t *series_of_policy(const struct rf_series *series)
{
	json_t *object = json_object(), *live = json_array();

	for (u32 i = 0; i < RF_NR_SERIALS; i++) {
		json_t *list = json_array();

		for (u32 k = 0; k < series->nr; k++)
			json_array_append_new(list, json_integer((json_int_t)series->list[k].counted[i]));
		json_object_set_new(object, rf_serial_names[i], list);
	}
	for (u32 k = 0; k < series->nr; k++)
		json_array_append_new(live, json_integer((json_int_t)series->list[k].live_blocks));
	json_object_set_new(object, "live_blocks", live);
	return object;
}

/* ---- processes ---- */

/* The intervals in which a process did anything. */
struct span {
	u32 first, end;
};

static json_t *series_of_process(const struct rf_series *series, u32 process, struct span span)
{
	json_t *object = json_object(), *lists[RF_NR_SERIALS];
	u64 values[RF_NR_SERIALS];

	for (u32 i = 0; i < RF_NR_SERIALS; i++) {
		lists[i] = json_array();
		json_object_set_new(object, rf_serial_names[i], lists[i]);
	}
	for (u32 k = span.first; k < span.end; k++) {
		const struct rf_account *account = rf_ledger_find(&series->list[k].processes, process);
		static const struct arch_counters nothing;

		rf_serials_of(account ? &account->counters : &nothing, values);
		for (u32 i = 0; i < RF_NR_SERIALS; i++)
			json_array_append_new(lists[i], json_integer((json_int_t)values[i]));
	}
	return object;
}

static json_t *process_object(const struct rf_results *results, u32 number, struct span span)
{
	const struct rf_process *process = &results->processes.list[number];
	json_t *object = json_object(), *policies = json_array();

	for (size_t k = 0; k < results->nr_policies; k++)
		json_array_append_new(policies,
				      json_pack("{s:s, s:o}", "name", results->policies[k].name, "series",
						series_of_process(&results->series[k], number, span)));
	rf_json_set_count(object, "pid", process->pid);
	rf_json_set_string(object, "command", process->command);
	rf_json_set_count(object, "first", span.first);
	json_object_set_new(object, "policies", policies);
	return object;
}

/* All machines had the same operations, so the first one's ledgers name everybody. */
static json_t *processes_of(const struct rf_results *results)
{
	struct span *spans = rf_json_memory(results->processes.nr + 1ul, sizeof(*spans));
	const struct rf_series *series = &results->series[0];
	json_t *list = json_array();

	for (u32 k = 0; spans && k < series->nr; k++) {
		const struct rf_ledger *ledger = &series->list[k].processes;

		for (u32 i = 0; i < ledger->nr; i++) {
			struct span *span = &spans[ledger->accounts[i].mm];

			if (!span->end)
				span->first = k;
			span->end = k + 1;
		}
	}
	for (u32 i = 0; spans && i < results->processes.nr; i++)
		if (spans[i].end)
			json_array_append_new(list, process_object(results, i, spans[i]));
	free(spans);
	return list;
}

json_t *intervals_of_trace(const char *name, const struct rf_results *results, bool processes)
{
	json_t *object = json_object(), *policies = json_array();

	for (size_t k = 0; k < results->nr_policies; k++)
		json_array_append_new(policies, json_pack("{s:s, s:o}", "name", results->policies[k].name, "series",
							  series_of_policy(&results->series[k])));
	rf_json_set_string(object, "trace", name);
	rf_json_set_count(object, "interval_ns", results->series[0].length);
	json_object_set_new(object, "policies", policies);
	json_object_set_new(object, "processes", processes ? processes_of(results) : json_array());
	return object;
}
