// SPDX-License-Identifier: MIT
/*
 * The driver: whatever the number of machines and the sizes in which operations come, every machine gets all of them,
 * once and in order. The tracker is replaced by one that makes up operations.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/machine.h"
#include "replay/run.h"
#include "replay/tracker/tracker.h"

#define ROUNDS 40000
#define BASE 0x400000000000ull
#define FOLIO (64ull << 10)

struct rf_tracker {
	struct rf_tracker_options options;
	struct rf_fidelity fidelity;
	u32 round;
};

static bool tracker_fails;
static bool no_tracker;

/* A region is mapped, filled with folios, and unmapped in part; order matters for every count. */
static size_t make_ops(u32 round, struct rf_op ops[8])
{
	u64 start = BASE + (round % 97) * (4 * FOLIO);
	size_t nr = 0, i;

	memset(ops, 0, 8 * sizeof(*ops));
	if (!round)
		ops[nr++].kind = RF_OP_MM_NEW;
	if (round < 97)
		ops[nr++] = (struct rf_op){ .kind = RF_OP_MAP, .addr = start, .end = start + 4 * FOLIO, .vm_flags = 3,
					    .pgoff = start >> 12 };
	for (i = 0; i < 1 + round % 4; i++)
		ops[nr++] = (struct rf_op){ .kind = RF_OP_FAULT_ANON, .addr = start + i * FOLIO, .nr = 16, .order = 4,
					    .pfn = 0x100000 + (round * 4 + i) * 16, .flags = RF_OP_WRITE };
	ops[nr++] = (struct rf_op){ .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = start + (round % 3) * 4096,
				    .end = start + 4 * FOLIO };
	if (round % 3)
		ops[nr++] = (struct rf_op){ .kind = RF_OP_ZAP, .why = RF_WHY_OTHER, .addr = start,
					    .end = start + FOLIO };
	return nr;
}

struct rf_tracker *rf_tracker_create(struct rf_reader *reader, const struct rf_tracker_options *options,
				     struct rf_error *err)
{
	struct rf_tracker *tracker;

	if (no_tracker) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "no tracker today");
		return NULL;
	}
	tracker = calloc(1, sizeof(*tracker));
	assert_non_null(tracker);
	tracker->options = *options;
	tracker->fidelity.ptes = 3;
	tracker->fidelity.tlb_flushes_recorded.remote = 5;
	return tracker;
}

s64 rf_tracker_run(struct rf_tracker *tracker, size_t max, struct rf_error *err)
{
	struct rf_op ops[8];
	u32 i;

	if (tracker->round == ROUNDS)
		return tracker_fails ? rf_error_set(err, -EIO, RF_NO_OFFSET, "the tracker stopped") : 0;
	for (i = 0; i < 1000; i++, tracker->round++) {
		size_t nr = make_ops(tracker->round, ops);

		if (tracker->options.sink)
			assert_int_equal(tracker->options.sink(tracker->options.context, ops, nr), 0);
	}
	return 1000;
}

const struct rf_fidelity *rf_tracker_fidelity(const struct rf_tracker *tracker)
{
	return &tracker->fidelity;
}

void rf_tracker_take_trust(struct rf_tracker *tracker, struct rf_trust *trust)
{
	*trust = (struct rf_trust){ 0 };
}

void rf_tracker_file(const struct rf_tracker *tracker, u32 file, u64 *dev, u64 *ino)
{
	*dev = *ino = 0;
}

const u64 *rf_tracker_kinds(const struct rf_tracker *tracker)
{
	static const u64 kinds[RF_RECORD_KIND_MAX] = { [RF_FAULT] = 77 };

	return kinds;
}

void rf_tracker_destroy(struct rf_tracker *tracker)
{
	free(tracker);
}

/* The same operations on one machine, without driver or threads. */
static void expect_direct_run(const struct rf_policy *policy, const struct rf_stats *stats)
{
	struct rf_machine *machine = rf_machine_create(policy);
	struct rf_op ops[8];
	u32 round;

	assert_non_null(machine);
	for (round = 0; round < ROUNDS; round++)
		assert_int_equal(rf_machine_run(machine, ops, make_ops(round, ops)), 0);
	assert_memory_equal(stats, rf_machine_stats(machine), sizeof(*stats));
	assert_true(stats->operations[RF_ROW_fault_anon] > ROUNDS);
	rf_machine_destroy(machine);
}

static void add_up(void *done, u64 records)
{
	*(u64 *)done += records;
}

static void run(size_t nr_policies)
{
	struct rf_policy policies[8] = { 0 };
	u64 done = 0;
	const struct rf_run_options options = { .progress = add_up, .progress_context = &done };
	struct rf_results results;
	struct rf_error err;
	size_t i;

	for (i = 0; i < nr_policies; i++)
		policies[i] = *rf_policy_named(i);
	assert_int_equal(rf_results_init(&results, policies, nr_policies), 0);
	assert_int_equal(rf_run_trace(NULL, &results, &options, &err), 0);
	assert_int_equal(done, ROUNDS);
	for (i = 0; i < nr_policies; i++)
		expect_direct_run(&policies[i], &results.stats[i]);
	assert_int_equal(results.fidelity.ptes, 3);
	assert_int_equal(results.kinds[RF_FAULT], 77);
	rf_results_free(&results);
}

static void test_one_machine(void **state)
{
	run(1);
}

static void test_many_machines(void **state)
{
	run(8);
}

static void test_traces_add_up(void **state)
{
	struct rf_policy policy = *rf_policy_find("linux-6.12");
	const struct rf_run_options options = { 0 };
	struct rf_results results;
	struct rf_stats *once;
	struct rf_error err;

	assert_int_equal(rf_results_init(&results, &policy, 1), 0);
	assert_int_equal(rf_run_trace(NULL, &results, &options, &err), 0);
	once = malloc(sizeof(*once));
	assert_non_null(once);
	*once = results.stats[0];
	assert_int_equal(rf_run_trace(NULL, &results, &options, &err), 0);
	assert_int_equal(results.stats[0].rows[RF_ROW_zap_dontneed].pte_loads,
			 2 * once->rows[RF_ROW_zap_dontneed].pte_loads);
	assert_int_equal(results.stats[0].operations[RF_ROW_fault_anon], 2 * once->operations[RF_ROW_fault_anon]);
	assert_int_equal(results.stats[0].batches.calls[ARCH_HELPER_set_ptes][16],
			 2 * once->batches.calls[ARCH_HELPER_set_ptes][16]);
	assert_int_equal(results.stats[0].peak_live_blocks, once->peak_live_blocks);
	assert_int_equal(results.fidelity.ptes, 6);
	assert_int_equal(results.fidelity.tlb_flushes_recorded.remote, 10);
	free(once);
	rf_results_free(&results);
}

/* Errors add nothing, and leave no thread behind. */
static void test_errors(void **state)
{
	struct rf_policy policies[2] = { *rf_policy_named(0), *rf_policy_named(1) };
	const struct rf_run_options options = { 0 };
	struct rf_results results;
	struct rf_error err;

	assert_int_equal(rf_results_init(&results, policies, 2), 0);
	tracker_fails = true;
	assert_int_equal(rf_run_trace(NULL, &results, &options, &err), -EIO);
	assert_string_equal(err.message, "the tracker stopped");
	tracker_fails = false;
	no_tracker = true;
	assert_int_equal(rf_run_trace(NULL, &results, &options, &err), -ENOMEM);
	no_tracker = false;
	assert_int_equal(results.fidelity.ptes, 0);
	assert_int_equal(results.stats[0].operations[RF_ROW_fault_anon], 0);
	rf_results_free(&results);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_machine),
		cmocka_unit_test(test_many_machines),
		cmocka_unit_test(test_traces_add_up),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
