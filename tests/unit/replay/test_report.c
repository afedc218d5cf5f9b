// SPDX-License-Identifier: MIT
/* The report and what is made from it: canonical JSON, warnings, the table, the diff, the progress line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "replay/commands/progress.h"
#include "replay/report/grid.h"
#include "replay/report/report.h"

static void write_json(const json_t *json, FILE *out)
{
	assert_int_equal(rf_json_write(json, out), 0);
}

/* What a function writes to a FILE, as a string to free. */
static char *written(void (*write)(const json_t *, FILE *), const json_t *json)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	write(json, out);
	fclose(out);
	return text;
}

static const struct rf_view everything = { .all = true, .width = 80 };

static void write_diff(const json_t *diff, FILE *out)
{
	rf_diff_write(diff, &everything, out);
}

static json_t *trace_of_kernel(const char *kernel)
{
	return json_pack("{s:s, s:b, s:i, s:i, s:I, s:i, s:i, s:[], s:s, s:s, s:s, s:i, s:i, s:[], s:{}}", "name", "t.mmt.zst",
			 "complete", 1, "records", 1234567, "lost_events", 0, "duration_ns", (json_int_t)2500000000,
			 "bytes", 99, "damaged_frames", 0, "damage", "end", "command", "kernel", kernel,
			 "arch", "x86_64",
			 "page_size_bytes", 4096, "cpus", 2, "missing_events", "records_by_kind");
}

/* Two policies that differ in the invalidations of fork, and in nothing else. traces: taken over. */
static json_t *report_of(json_t *traces)
{
	struct rf_policy policies[2] = { *rf_policy_find("linux-6.12"), *rf_policy_find("linux-7.3") };
	struct rf_report_parts parts;
	struct rf_results results;
	json_t *report;
	size_t i;

	assert_int_equal(rf_results_init(&results, policies, 2), 0);
	for (i = 0; i < 2; i++) {
		struct rf_stats *stats = &results.stats[i];

		stats->operations[RF_ROW_fork] = 3;
		stats->rows[RF_ROW_fork].tlbi = i ? 3 : 1203;
		stats->rows[RF_ROW_fork].pte_loads = 5000;
		stats->operations[RF_ROW_cow] = 7;
		stats->rows[RF_ROW_cow].pte_loads = 21;
		stats->batches.calls[ARCH_HELPER_set_ptes][16] = 4;
		stats->batches.calls[ARCH_HELPER_set_ptes][1] = 2;
		stats->readers[RF_SITE_fault_entry] =
			(struct rf_reader_counters){ .calls = 10, .blocks = 10, .loads = i ? 48 : 180, .lines = 20 };
		stats->live_block_time = 1000000;
		stats->peak_live_blocks = 9;
	}
	results.fidelity.ptes = 1000;
	results.fidelity.present = 1000;
	results.fidelity.pfn = 1000;
	results.fidelity.order = 999;
	results.fidelity.processes_compared = 2;
	results.fidelity.fault_checks_ok = 50;
	results.fidelity.rss_checks_ok = 40;
	parts = (struct rf_report_parts){
		.traces = traces, .windows = json_array(), .processes = json_array(), .trusts = json_array(),
	};
	report = rf_report_build(&parts, &results);
	rf_results_free(&results);
	assert_non_null(report);
	return report;
}

static json_t *tiny_report(void)
{
	return report_of(json_pack("[o]", trace_of_kernel("6.18.0")));
}

static json_t *policy(const json_t *report, size_t index)
{
	return json_array_get(json_object_get(report, "policies"), index);
}

static s64 number(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static void test_progress_text(void **state)
{
	struct rf_progress progress = { .total = 10000000, .done = 2500000 };
	char text[120];

	rf_progress_text(&progress, 500000000, text, sizeof(text));
	assert_string_equal(text, "2.5 M records, 5.00 M/s, 25 %, 2 s left");
	progress.total = 0;
	rf_progress_text(&progress, 500000000, text, sizeof(text));
	assert_string_equal(text, "2.5 M records, 5.00 M/s");
	progress.total = 1000;
	rf_progress_text(&progress, 500000000, text, sizeof(text));
	assert_string_equal(text, "2.5 M records, 5.00 M/s");
}

static void test_report_is_deterministic(void **state)
{
	json_t *a = tiny_report(), *b = tiny_report();
	char *text_a = written(write_json, a), *text_b = written(write_json, b);

	assert_string_equal(text_a, text_b);
	assert_int_equal(strncmp(text_a, "{\n  \"complete\": true,\n  \"exposure\": [", 37), 0);
	assert_string_equal(text_a + strlen(text_a) - 3, "\n}\n");
	free(text_a);
	free(text_b);
	json_decref(a);
	json_decref(b);
}

static void test_report_content(void **state)
{
	json_t *report = tiny_report(), *first = policy(report, 0), *totals = json_object_get(first, "totals");
	json_t *operations = json_object_get(first, "operations"), *batches = json_object_get(first, "batches");
	char *text;

	assert_int_equal(number(totals, "tlbi"), 1203);
	assert_int_equal(number(totals, "pte_loads"), 5021);
	assert_int_equal(number(totals, "operations"), 10);
	assert_int_equal(number(totals, "peak_live_blocks"), 9);
	/* 10^6 x 2^20 ns */
	assert_int_equal(number(totals, "live_block_time_ms"), 1048576);
	assert_int_equal(json_object_size(operations), RF_NR_ROWS);
	assert_int_equal(number(json_object_get(operations, "fork"), "operations"), 3);
	assert_int_equal(number(json_object_get(operations, "cow"), "pte_loads"), 21);
	text = json_dumps(json_object_get(batches, "set_ptes"), 0);
	assert_string_equal(text, "[[1, 2], [16, 4]]");
	free(text);
	assert_int_equal(json_object_size(batches), ARCH_NR_HELPERS);
	assert_int_equal(json_object_size(json_object_get(first, "readers")), RF_NR_SITES);
	text = json_dumps(json_object_get(json_object_get(first, "readers"), "fault_entry"), JSON_SORT_KEYS);
	assert_string_equal(text, "{\"blocks\": 10, \"calls\": 10, \"lines\": 20, \"loads\": 180}");
	free(text);
	assert_string_equal(json_string_value(json_object_get(json_object_get(report, "trace"), "kernel")), "6.18.0");
	assert_int_equal(number(json_object_get(report, "trace"), "records"), 1234567);
	json_decref(report);
}

/* Each value of several traces once; one that begins like another is one of its own. */
static void test_values_of_several_traces(void **state)
{
	json_t *report = report_of(json_pack("[o, o, o, o]", trace_of_kernel("6.12.10"), trace_of_kernel("6.12.1"),
					     trace_of_kernel("6.12.10"), trace_of_kernel("6.8.0")));
	const json_t *sum = json_object_get(report, "trace");

	assert_string_equal(json_string_value(json_object_get(sum, "kernel")), "6.12.10, 6.12.1, 6.8.0");
	assert_string_equal(json_string_value(json_object_get(sum, "arch")), "x86_64");
	assert_int_equal(number(sum, "records"), 4 * 1234567);
	assert_int_equal(number(sum, "files"), 4);
	json_decref(report);
}

/* The knobs of a report with its base are a policy file: the same policy comes back from it. */
static void test_knobs_round_trip(void **state)
{
	json_t *report = tiny_report(), *value;
	struct rf_policy again = *rf_policy_find("linux-6.8");
	char mine[64], theirs[64], *text;
	const char *knob, *same;
	struct rf_error err;
	size_t i;

	json_object_foreach(json_object_get(policy(report, 1), "knobs"), knob, value) {
		text = json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
		assert_int_equal(rf_policy_set(&again, knob, text, &err), 0);
		free(text);
	}
	for (i = 0; rf_policy_knob(rf_policy_find("linux-7.3"), i, &knob, mine, sizeof(mine)); i++) {
		assert_true(rf_policy_knob(&again, i, &same, theirs, sizeof(theirs)));
		assert_string_equal(knob, same);
		assert_string_equal(mine, theirs);
	}
	assert_true(i > 0);
	json_decref(report);
}

static void set(json_t *report, const char *section, const char *key, s64 value)
{
	json_object_set_new(json_object_get(report, section), key, json_integer(value));
}

/* One change makes one warning, which holds this text. */
static void expect_warning(const char *section, const char *key, s64 value, const char *text)
{
	json_t *report = tiny_report(), *warnings;

	set(report, "fidelity", "order", 1000);
	set(report, section, key, value);
	warnings = rf_report_warnings(report);
	assert_int_equal(json_array_size(warnings), text ? 1 : 0);
	if (text)
		assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), text));
	json_decref(warnings);
	json_decref(report);
}

static void test_warnings(void **state)
{
	expect_warning("fidelity", "present", 1000, NULL);
	expect_warning("fidelity", "present", 999, NULL);
	expect_warning("fidelity", "present", 998, "only 99.80 % of the snapshots' entries are present");
	expect_warning("fidelity", "pfn", 998, "right page frame");
	expect_warning("fidelity", "order", 500, "only 50.00 %");
	expect_warning("fidelity", "extra", 2, "2 entries that the snapshots do not have");
	expect_warning("fidelity", "ptes", 0, "no final snapshot");
	expect_warning("fidelity", "fault_checks_bad", 1, "98.03 % of the faults");
	expect_warning("fidelity", "rss_checks_bad", 1, "RSS counters");
	expect_warning("trust", "marked_address_spaces", 1, "1 of 0 address spaces are marked");
	expect_warning("trust", "hidden_processes", 2, "2 processes ran that the replay does not have: they ended");
	expect_warning("trace", "lost_events", 5, "5 events were lost");
}

static void test_warning_of_damage(void **state)
{
	json_t *report = tiny_report(), *trace = json_array_get(json_object_get(report, "traces"), 0), *warnings;

	json_object_set_new(trace, "complete", json_false());
	warnings = rf_report_warnings(report);
	assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "t.mmt.zst has no end"));
	json_decref(warnings);
	json_array_append_new(json_object_get(trace, "damage"), json_pack("{s:s, s:i, s:s}", "file", "t.mmt.zst",
									  "offset_bytes", 77, "reason", "bad sum"));
	warnings = rf_report_warnings(report);
	assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "damaged at byte 77 (bad sum)"));
	json_decref(warnings);
	json_decref(report);
}

static void test_table(void **state)
{
	json_t *report = tiny_report();
	char *text = written(rf_table_write, report);

	assert_string_equal(
		text,
		"trace      t.mmt.zst: 1,234,567 records in 2.500 s, Linux 6.18.0 x86_64, 4 KiB pages, 2 CPUs\n"
		"trust      exact: every check agrees, nothing was lost, nothing had to be guessed\n"
		"fidelity   of 1,000 entries in the final snapshots of 2 processes 100.00 % are present, 100.00 %\n"
		"           have the right page, 99.90 % the right folio order; 0 too many\n"
		"           50 of 50 faults hit the entry their error code says; 40 of 40 RSS counters agree; 0\n"
		"           events lost\n"
		"\n"
		"                                              linux-6.12   linux-7.3\n"
		"total                     tlbi                     1,203           3\n"
		"all alike  pte_loads 5,021, peak_live_blocks 9, live_block_time_ms 1,048,576,\n"
		"           folded_page_ms 16,777,216\n"
		"\n"
		"operation          times                      linux-6.12   linux-7.3\n"
		"fork                   3  tlbi                     1,203           3\n"
		"all alike  cow\n");
	free(text);
	json_decref(report);
}

/* A poor report says so before anything else. */
static void test_table_begins_with_warnings(void **state)
{
	json_t *report = tiny_report();
	char *text;

	json_array_append_new(json_object_get(report, "warnings"), json_string("something is wrong"));
	text = written(rf_table_write, report);
	assert_int_equal(strncmp(text, "WARNING    something is wrong\ntrace ", 36), 0);
	free(text);
	json_decref(report);
}

/* Lists longer than any replay's are written whole, or end in "..."; nothing is written past a line's end. */
static void test_table_of_long_lists(void **state)
{
	json_t *report = tiny_report(), *first = policy(report, 0), *assumptions = json_array(), *row;
	const char *cause;
	json_t *value;
	char *text;
	int i;

	json_object_set_new(first, "arch", json_string("x86"));
	json_object_foreach(json_object_get(json_object_get(report, "fidelity"), "tlb_flushes_recorded"), cause, value)
		json_integer_set(value, INT64_MAX / 3);
	json_object_foreach(json_object_get(first, "operations"), cause, row)
		json_object_set_new(row, "flush_calls", json_integer(INT64_MAX / 32));
	for (i = 0; i < 40; i++)
		json_array_append_new(assumptions, json_pack("{s:o, s:I}", "name",
							     json_sprintf("an_assumption_with_quite_a_name_%d", i),
							     "count", (json_int_t)INT64_MAX));
	json_object_set_new(first, "assumptions", assumptions);
	text = written(rf_table_write, report);
	/* 22 rows against three causes. */
	assert_non_null(strstr(text, "madvise+userfaultfd+other "
				     "6,341,068,275,337,658,346/9,223,372,036,854,775,806\n"));
	assert_non_null(strstr(text, "an_assumption_with_quite_a_name_39 9,223,372,036,854,775,807\n"));
	assert_null(strstr(text, "..."));
	free(text);
	for (i = 0; i < 1000; i++)
		json_array_append_new(assumptions, json_pack("{s:o}", "name", json_sprintf("another_one_%d", i)));
	text = written(rf_table_write, report);
	assert_non_null(strstr(text, "...\n"));
	free(text);
	json_decref(report);
}

/* Who read nothing has no line; lines that are alike under all policies are left out. */
static void test_readers_table(void **state)
{
	json_t *report = tiny_report();
	char *text = written(rf_table_write_readers, report);

	assert_string_equal(text,
			    "\nreader              calls                     linux-6.12   linux-7.3\n"
			    "fault_entry            10 blocks                      10          10\n"
			    "                          loads                      180          48\n");
	free(text);
	json_decref(report);
}

static void test_diff(void **state)
{
	json_t *report = tiny_report(), *one = rf_diff_policies(policy(report, 0), policy(report, 1));
	json_t *changes = json_object_get(one, "changes"), *change = json_array_get(changes, 0), *diff;
	char *text;

	/* tlbi of the totals and of fork, loads of a reader */
	assert_int_equal(json_array_size(changes), 3);
	assert_int_equal(number(change, "change"), -1200);
	assert_int_equal(number(change, "ratio_ppm"), 2493);
	assert_string_equal(json_string_value(json_object_get(json_array_get(changes, 1), "operation")), "fork");
	assert_string_equal(json_string_value(json_object_get(json_array_get(changes, 2), "reader")), "fault_entry");
	json_object_clear(json_object_get(one, "knobs"));
	diff = json_pack("{s:[o], s:[]}", "comparisons", one, "world");
	text = written(write_diff, diff);
	assert_string_equal(
		text,
		"\n"
		"                    linux-6.12  linux-7.3  change\n"
		"totals       tlbi        1,203          3  -1,200  -99.8 %\n"
		"fork         tlbi        1,203          3  -1,200  -99.8 %\n"
		"readers\n"
		"fault_entry  loads         180         48    -132    -73 %\n");
	free(text);
	json_decref(diff);

	one = rf_diff_policies(policy(report, 0), policy(report, 0));
	assert_int_equal(json_array_size(json_object_get(one, "changes")), 0);
	assert_int_equal(json_object_size(json_object_get(one, "knobs")), 0);
	json_decref(one);
	json_decref(report);
}

/* What differs is never "0.0 %", and what is left never "-100 %". */
static void test_changes(void **state)
{
	static const struct {
		s64 a, b;
		const char *text;
	} changes[] = {
		{ 5, 5, "=" }, { 0, 5, "new" }, { 5, 0, "-100 %" }, { 100, 1100, "x 11" }, { 1000, 1034, "+3.4 %" },
		{ 100000, 100040, "+0.04 %" }, { 100000, 99990, "-0.01 %" }, { 1000000, 1000001, "+<0.01 %" },
		{ 1000000, 999999, "-<0.01 %" }, { 100000, 1, "-99.9 %" }, { 1000, 5, "-99.5 %" },
		{ 100, 138, "+38 %" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		assert_string_equal(rf_change_percent(changes[i].a, changes[i].b, text, sizeof(text)), changes[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_progress_text),
		cmocka_unit_test(test_report_is_deterministic),
		cmocka_unit_test(test_report_content),
		cmocka_unit_test(test_values_of_several_traces),
		cmocka_unit_test(test_knobs_round_trip),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_warning_of_damage),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_begins_with_warnings),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_table_of_long_lists),
		cmocka_unit_test(test_readers_table),
		cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
