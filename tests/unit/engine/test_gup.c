// SPDX-License-Identifier: MIT
/*
 * GUP over huge pages and folios: the table of kernel-model.md 6.3 row by row, and what fork, zap and exit make of
 * hugetlb. The same rows come out of recordings in tests/golden/gup_*.
 */
#include "machine_script.h"

#define HUGE_BASE (1ull << 40)

static struct rf_machine *machine_with_huge_page(const char *policy, const char *knobs, unsigned int shift,
						 u16 vm_flags)
{
	struct rf_machine *machine = machine_of(policy, knobs);

	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	run(machine, .kind = RF_OP_MAP, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + (2ull << shift),
	    .vm_flags = RW | RF_VM_HUGETLB | vm_flags);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .mm = 0, .addr = HUGE_BASE + 4096, .order = shift,
	    .flags = RF_OP_WRITE);
	return machine;
}

struct row {
	const char *policy, *granule;
	unsigned int shift;
	u64 lookups, loads;
};

/* What remains to be checked of a row: one huge page, completely, by slow GUP. */
static void check_slow(const struct row *row, const char *slow_gup)
{
	const struct arch_counters *counted;
	struct rf_machine *machine;
	char knobs[64];

	snprintf(knobs, sizeof(knobs), "granule=%s slow_gup=%s", row->granule, slow_gup);
	machine = machine_with_huge_page(row->policy, knobs, row->shift, 0);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + (1ull << row->shift));
	counted = row_of(machine, RF_ROW_gup_slow);
	assert_int_equal(counted->gup_lookups, row->lookups);
	assert_int_equal(counted->gup_locks, row->lookups);
	assert_int_equal(counted->pte_loads, row->loads);
	assert_no_anomalies(machine);
	rf_machine_destroy(machine);
}

static void test_before(void **state)
{
	static const struct row rows[] = {
		{ "linux-6.9", "4k", 16, 1, 17 }, { "linux-6.9", "4k", 21, 1, 1 }, { "linux-6.9", "4k", 25, 1, 17 },
		{ "linux-6.9", "4k", 30, 1, 1 }, { "linux-6.9", "16k", 21, 1, 129 }, { "linux-6.9", "16k", 30, 1, 33 },
		{ "linux-6.9", "64k", 21, 1, 33 }, { "linux-6.9", "64k", 34, 1, 33 }, { "x86-6.18", "4k", 21, 1, 1 },
		{ "x86-6.18", "4k", 30, 1, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_slow(&rows[i], "hugetlb");
}

static void test_after(void **state)
{
	static const struct row rows[] = {
		{ "linux-6.12", "4k", 16, 16, 272 }, { "linux-7.3", "4k", 16, 16, 48 },
		{ "linux-6.12", "4k", 21, 1, 1 }, { "linux-7.3", "4k", 21, 1, 1 },
		{ "linux-6.12", "4k", 25, 16, 16 }, { "linux-7.3", "4k", 25, 16, 16 },
		{ "linux-6.12", "4k", 30, 1, 1 }, { "linux-7.3", "4k", 30, 1, 1 },
		{ "linux-6.12", "16k", 21, 128, 16512 }, { "linux-7.3", "16k", 21, 128, 384 },
		{ "linux-6.12", "16k", 30, 32, 32 }, { "linux-7.3", "16k", 30, 32, 32 },
		{ "linux-6.12", "64k", 21, 32, 1056 }, { "linux-7.3", "64k", 21, 32, 96 },
		{ "linux-6.12", "64k", 34, 32, 32 }, { "linux-7.3", "64k", 34, 32, 32 },
		{ "x86-6.18", "4k", 21, 1, 1 }, { "x86-6.18", "4k", 30, 1, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_slow(&rows[i], "entry");
}

static void test_recognises_cont(void **state)
{
	static const struct row rows[] = {
		{ "linux-6.12", "4k", 16, 1, 17 }, { "linux-7.3", "4k", 16, 1, 3 }, { "linux-6.12", "4k", 25, 1, 1 },
		{ "linux-6.12", "16k", 21, 1, 129 }, { "linux-6.12", "16k", 30, 1, 1 },
		{ "linux-6.12", "64k", 21, 1, 33 }, { "linux-6.12", "64k", 34, 1, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_slow(&rows[i], "cont");
}

/* A range that begins and ends inside contiguous blocks takes what is left of them. */
static void test_partial_range(void **state)
{
	struct rf_machine *machine = machine_with_huge_page("gup-cont", "", 25, 0);

	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE + M(3), .end = HUGE_BASE + M(5));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 1);
	rf_machine_destroy(machine);

	machine = machine_with_huge_page("gup-unified", "", 25, 0);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE + M(3), .end = HUGE_BASE + M(5));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 2);
	rf_machine_destroy(machine);
}

/*
 * process_vm_readv() has room for the pointers to 1024 pages, and calls GUP anew for the next 4M: each time it looks.
 */
static void test_calls_for_parts(void **state)
{
	struct rf_machine *machine = machine_with_huge_page("gup-old", "", 30, 0);

	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + G(1), .nr = 2);
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 256);
	rf_machine_destroy(machine);
}

/* kernel-model.md 4.12: a folded block costs slow GUP 16 gathers and 16 locks, GUP fast 560 loads and no lock. */
static void test_folded_block(void **state)
{
	static const struct { const char *policy; u64 slow, fast; } rows[] = {
		{ "linux-6.12", 16 * 17, 16 * (18 + 17) }, { "linux-7.3", 16 * 3, 16 * (4 + 4) },
		{ "gup-cont", 17, 16 * (18 + 17) },
	};
	struct rf_machine *machine;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		machine = machine_with_folios(rows[i].policy, "", K(64));
		run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = BASE, .end = BASE + K(64));
		run(machine, .kind = RF_OP_GUP_FAST, .mm = 0, .addr = BASE, .end = BASE + K(64), .flags = RF_OP_WRITE);
		assert_int_equal(row_of(machine, RF_ROW_gup_slow)->pte_loads, rows[i].slow);
		assert_int_equal(row_of(machine, RF_ROW_gup_fast)->pte_loads, rows[i].fast);
		assert_int_equal(row_of(machine, RF_ROW_gup_fast)->gup_lookups, 16);
		assert_int_equal(row_of(machine, RF_ROW_gup_fast)->gup_locks, 0);
		rf_machine_destroy(machine);
	}
	machine = machine_with_folios("linux-6.12", "fast_gup=cont", K(64));
	run(machine, .kind = RF_OP_GUP_FAST, .mm = 0, .addr = BASE, .end = BASE + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->pte_loads, 36);
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->gup_lookups, 1);
	rf_machine_destroy(machine);
}

static void test_fast_hugetlb(void **state)
{
	struct rf_machine *machine = machine_with_huge_page("linux-6.12", "", 16, 0);

	run(machine, .kind = RF_OP_GUP_FAST, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->gup_lookups, 16);
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->pte_loads, 560);
	rf_machine_destroy(machine);

	machine = machine_with_huge_page("x86-6.18", "", 21, 0);
	run(machine, .kind = RF_OP_GUP_FAST, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + M(2));
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->gup_lookups, 1);
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->pte_loads, 2);
	rf_machine_destroy(machine);
}

/* GUP fast ends at the first entry it may not use; slow GUP does the rest. */
static void test_fast_falls_back(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");

	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	map_anon(machine, 0, BASE, K(64));
	fault_anon(machine, 0, BASE, K(16), 0, PFN);
	run(machine, .kind = RF_OP_GUP_FAST, .mm = 0, .addr = BASE, .end = BASE + K(32));
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->gup_lookups, 5);
	assert_int_equal(row_of(machine, RF_ROW_gup_fast)->pte_loads, 4 * 2 + 1);
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 4);
	rf_machine_destroy(machine);
}

/* Before it faults a page in, GUP has looked for it; afterwards it looks again. */
static void test_populate(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");

	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	map_anon(machine, 0, BASE, K(64));
	run(machine, .kind = RF_OP_FAULT_ANON, .mm = 0, .addr = BASE, .pfn = PFN, .order = 4,
	    .flags = RF_OP_WRITE | RF_OP_POPULATE);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = BASE, .end = BASE + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 1 + 16);
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_locks, 16);
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->pte_loads, 16 * 17);
	rf_machine_destroy(machine);
}

/* One clear for each entry, and none is left in parent or child. */
static void test_fork_and_zap(void **state)
{
	struct rf_machine *machine = machine_with_huge_page("linux-6.12", "", 16, 0);
	const struct rf_stats *stats = rf_machine_stats(machine);

	run(machine, .kind = RF_OP_FORK, .mm = 0, .mm2 = 1);
	/* The parent's entries are cleared, flushed and set; the child's, too. */
	assert_int_equal(row_of(machine, RF_ROW_fork)->pte_stores, 32);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .mm = 1, .addr = HUGE_BASE, .order = 16, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 1, .addr = HUGE_BASE, .end = HUGE_BASE + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 16);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	assert_int_equal(row_of(machine, RF_ROW_zap_exit)->pte_atomics, 16);
	run(machine, .kind = RF_OP_ZAP, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + K(64), .why = RF_WHY_DONTNEED);
	assert_int_equal(row_of(machine, RF_ROW_zap_dontneed)->pte_atomics, 16);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 17);
	run(machine, .kind = RF_OP_MUNMAP, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + K(128),
	    .why = RF_WHY_MUNMAP);
	assert_int_equal(row_of(machine, RF_ROW_zap_munmap)->pte_atomics, 0);
	assert_int_equal(stats->live_blocks, 0);
	assert_no_anomalies(machine);
	rf_machine_destroy(machine);
}

static void test_mremap(void **state)
{
	struct rf_machine *machine = machine_with_huge_page("linux-6.12", "", 16, 0);

	run(machine, .kind = RF_OP_MREMAP, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + K(64),
	    .addr2 = HUGE_BASE + G(1), .nr = 16);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE + G(1), .end = HUGE_BASE + G(1) + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_locks, 16);
	assert_no_anomalies(machine);
	rf_machine_destroy(machine);
}

/* What the machine has no huge page of is made of smaller ones: 1G of 512M pages, and 64K of 4K pages on x86. */
static void test_foreign_sizes(void **state)
{
	struct rf_machine *machine = machine_with_huge_page("linux-6.12", "granule=64k", 30, 0);

	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + G(1));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 2);	/* 512M each */
	rf_machine_destroy(machine);

	machine = machine_with_huge_page("x86-6.18", "", 16, 0);
	run(machine, .kind = RF_OP_GUP_SLOW, .mm = 0, .addr = HUGE_BASE, .end = HUGE_BASE + K(64));
	assert_int_equal(row_of(machine, RF_ROW_gup_slow)->gup_lookups, 16);
	rf_machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_recognises_cont),
		cmocka_unit_test(test_partial_range),
		cmocka_unit_test(test_calls_for_parts),
		cmocka_unit_test(test_folded_block),
		cmocka_unit_test(test_fast_hugetlb),
		cmocka_unit_test(test_fast_falls_back),
		cmocka_unit_test(test_populate),
		cmocka_unit_test(test_fork_and_zap),
		cmocka_unit_test(test_mremap),
		cmocka_unit_test(test_foreign_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
