// SPDX-License-Identifier: MIT
/*
 * Writes the tables of counters, names and meanings, as JSON: for scripts/describe-report, which keeps the schema and
 * refold-report(5) saying what the tables say. Not installed.
 */
#include <stdio.h>

#include <jansson.h>

#include "arch/counters.h"
#include "engine/stats.h"
#include "replay/attribution/keys.h"
#include "replay/report/totals.h"
#include "replay/run.h"

static void put(json_t *table, const char *name, const char *meaning)
{
	json_object_set_new(table, name, json_string(meaning));
}

/* Rows of names alone: of operations, of helpers. */
static json_t *name_list(const char *const *names, size_t nr)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < nr; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

/* Which places convert to a load of one entry, as refold-report(5) marks them. */
static json_t *site_table(void)
{
	static const char *const marks[] = {
		[RECENCY_NEEDED] = "", [RECENCY_UNUSED] = "(C) ", [RECENCY_RFC] = "(R) ",
	};
	json_t *table = json_object();

#define X(name, recency, sentence) \
	json_object_set_new(table, #name, json_sprintf("%s%s", marks[RECENCY_##recency], sentence));
	RF_SITES(X)
#undef X
	return table;
}

int main(void)
{
	static const char *const serials[] = {
#define X(name) #name,
		RF_SERIES(X)
#undef X
	};
	json_t *tables = json_object(), *table;

#define X(name, meaning) put(table, #name, meaning);
#define TABLE(name, ROWS) \
	json_object_set_new(tables, name, table = json_object()); \
	ROWS(X)
	TABLE("counters", ARCH_COUNTERS)
	TABLE("row", REPORT_ROW)
	TABLE("totals", REPORT_TOTALS)
	TABLE("policy_totals", REPORT_POLICY_TOTALS)
	TABLE("machine_anomalies", RF_ANOMALIES)
	TABLE("reader", RF_READER_COUNTERS)
	TABLE("by", RF_BYS)
	TABLE("run", RF_RUN_COUNTERS)
	TABLE("fidelity", RF_FIDELITY)
	TABLE("tlb_flushes_recorded", RF_RECORDED_FLUSHES)
#undef X
#define X(name, effect, meaning) put(table, #name, meaning);
	TABLE("inferred", RF_INFERENCES)
	TABLE("anomalies", RF_TRACKER_ANOMALIES)
#undef X
#define CERTAIN 0
#define MARKS 1
#define DOUBTS 1
#define X(name, effect, meaning) if (effect) put(table, #name, meaning);
	TABLE("reasons", RF_REASONS)
#undef TABLE
#undef X
	json_object_set_new(tables, "sites", site_table());
	json_object_set_new(tables, "serials", name_list(serials, RF_NR_SERIALS));
	json_object_set_new(tables, "operations", name_list(rf_row_names, RF_NR_ROWS));
	json_object_set_new(tables, "runs", name_list(rf_run_names, RF_NR_RUNS));
	json_object_set_new(tables, "helpers", name_list(arch_helper_names, ARCH_NR_HELPERS));
	json_dumpf(tables, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(tables);
	return ferror(stdout) ? 1 : 0;
}
