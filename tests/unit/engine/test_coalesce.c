// SPDX-License-Identifier: MIT
/*
 * Hardware that takes entries as one without a bit (coalesce): what makes a group, for how long, and that nothing else
 * that is counted changes. test_random.c compares with a plain count over random operations.
 */
#include "coverage.h"

#define PAGE K(4)
#define MS(n) ((u64)(n) * 1000000)

static struct rf_machine *machine_with_pages(const char *policy, const char *knobs, u32 nr, u64 pfn)
{
	struct rf_machine *machine = machine_of(policy, knobs);

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(4));
	fault_anon(machine, 0, BASE, nr * PAGE, 0, pfn);
	return machine;
}

static void expect(struct rf_machine *machine, s64 valid, s64 coalesced)
{
	struct covered now = coalescing_now(machine->coalescing);

	check_coverage(machine);
	assert_int_equal(now.valid, valid);
	assert_int_equal(now.coalesced, coalesced);
}

static void expect_pages(const char *policy, const char *knobs, u32 nr, u64 pfn, s64 coalesced)
{
	struct rf_machine *machine = machine_with_pages(policy, knobs, nr, pfn);

	expect(machine, nr, coalesced);
	rf_machine_destroy(machine);
}

/* All of a group, in order, at the same place in it in both memories; of what folio does not matter. */
static void test_groups(void **state)
{
	static const char *const policies[] = { "linux-7.3", "linux-6.8", "x86-7.3", "riscv-7.3" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		expect_pages(policies[i], "coalesce=4", 3, PFN, 0);
		expect_pages(policies[i], "coalesce=4", 4, PFN, 4);
		expect_pages(policies[i], "coalesce=4", 4, PFN + 1, 0);
		expect_pages(policies[i], "coalesce=4", 4, PFN + 4, 4);
		expect_pages(policies[i], "coalesce=4", 39, PFN, 36);
		expect_pages(policies[i], "coalesce=8", 39, PFN, 32);
		expect_pages(policies[i], "coalesce=16", 39, PFN + 8, 0);
		expect_pages(policies[i], "coalesce=32", 39, PFN, 32);
	}
}

/* One page of another permission, and the group of it is none. */
static void test_attributes(void **state)
{
	struct rf_machine *machine = machine_with_pages("x86-7.3", "coalesce=4", 16, PFN);

	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE + 5 * PAGE, .end = BASE + 6 * PAGE, .vm_flags = RF_VM_READ);
	expect(machine, 16, 12);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE + 5 * PAGE, .end = BASE + 6 * PAGE, .vm_flags = RW);
	expect(machine, 16, 16);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE + 8 * PAGE, .end = BASE + 12 * PAGE, .vm_flags = RF_VM_READ);
	expect(machine, 16, 16);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + PAGE, .vm_flags = 0);
	expect(machine, 15, 12);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = BASE + 15 * PAGE, .end = BASE + 16 * PAGE);
	expect(machine, 14, 8);
	run(machine, .kind = RF_OP_MM_EXIT, .why = RF_WHY_PROCESS_EXIT);
	expect(machine, 0, 0);
	rf_machine_destroy(machine);
}

/* An unfold of a contiguous block leaves 16 entries that are alike but for the one that was changed. */
static void test_blocks(void **state)
{
	struct rf_machine *machine = machine_with_folios("linux-7.3", "coalesce=4", M(1));

	expect(machine, 256, 256);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE + 5 * PAGE, .end = BASE + 6 * PAGE, .vm_flags = RF_VM_READ);
	expect(machine, 256, 252);
	rf_machine_destroy(machine);
}

/* What the hardware itself wrote, which no helper tells: a lazily freed page that reclaim finds dirty again. */
static void test_hardware_writes(void **state)
{
	struct rf_machine *machine = machine_with_pages("x86-7.3", "coalesce=4", 8, PFN);

	run(machine, .kind = RF_OP_MADV_FREE, .addr = BASE, .end = BASE + 8 * PAGE);
	expect(machine, 8, 8);
	run(machine, .kind = RF_OP_UNMAP_FILE, .addr = BASE + 2 * PAGE, .nr = 1, .flags = RF_OP_WRITE);
	expect(machine, 8, 4);
	/* Advised again, it was used: young and dirty at once, all of it, and then neither. */
	run(machine, .kind = RF_OP_MADV_FREE, .addr = BASE, .end = BASE + 8 * PAGE);
	expect(machine, 8, 8);
	rf_machine_destroy(machine);
}

/* What a directory maps has no entries; the table that it is split into has. */
static void test_huge_page(void **state)
{
	struct rf_machine *machine = machine_of("x86-7.3", "coalesce=4");

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(4));
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .order = 9, .flags = RF_OP_WRITE);
	expect(machine, 0, 0);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = BASE + PAGE, .end = BASE + 2 * PAGE);
	expect(machine, 511, 508);
	rf_machine_destroy(machine);
}

/* 3 ms of 3 pages, 5 ms of 4 in a group; 2 ms of 3 after one has gone. */
static void test_time(void **state)
{
	struct rf_machine *machine = machine_of("x86-7.3", "coalesce=4");
	u64 at;

	run(machine, .kind = RF_OP_MM_NEW, .time = MS(100));
	run(machine, .kind = RF_OP_MAP, .time = MS(100), .addr = BASE, .end = BASE + M(4), .vm_flags = RW,
	    .pgoff = BASE >> 12);
	for (at = 0; at < 4; at++)
		run(machine, .kind = RF_OP_FAULT_ANON, .time = MS(at < 3 ? 101 : 104), .addr = BASE + at * PAGE,
		    .pfn = PFN + at, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .time = MS(109), .addr = BASE, .end = BASE + PAGE);
	run(machine, .kind = RF_OP_WINDOW, .time = MS(111));
	assert_int_equal(rf_machine_stats(machine)->valid_time, MS(3 * 3 + 5 * 4 + 2 * 3) >> 20);
	assert_int_equal(rf_machine_stats(machine)->coalesced_time, MS(5 * 4) >> 20);
	rf_machine_destroy(machine);
}

/* On a machine with blocks: each thing that is counted beside is counted as ever. */
static void test_nothing_else(void **state)
{
	static const char *const knobs[] = { "", "coalesce=8" };
	struct rf_stats stats[2];
	size_t i;

	for (i = 0; i < 2; i++) {
		struct rf_machine *machine = machine_with_folios("linux-7.3", knobs[i], M(4));

		run(machine, .kind = RF_OP_MPROTECT, .addr = BASE + PAGE, .end = BASE + M(1), .vm_flags = RF_VM_READ);
		run(machine, .kind = RF_OP_FORK, .mm2 = 1);
		run(machine, .kind = RF_OP_FAULT_COW, .mm = 1, .addr = BASE + M(2), .pfn = PFN << 1,
		    .flags = RF_OP_WRITE);
		run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT, .time = MS(500));
		stats[i] = *rf_machine_stats(machine);
		rf_machine_destroy(machine);
	}
	assert_int_equal(stats[0].valid_time, 0);
	assert_true(stats[1].valid_time > stats[1].coalesced_time);
	assert_true(stats[1].coalesced_time);
	stats[1].valid_time = stats[1].coalesced_time = 0;
	assert_memory_equal(&stats[0], &stats[1], sizeof(stats[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_hardware_writes),
		cmocka_unit_test(test_huge_page),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
