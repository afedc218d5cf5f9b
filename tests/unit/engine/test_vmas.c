// SPDX-License-Identifier: MIT
/* Which VMAs merge. A folio that crosses the boundary of two tells: it is mapped as a whole in one VMA only. */
#include "machine_script.h"

#define PAGES(n) ((u64)(n) << 12)

static void fault(struct rf_machine *machine, u64 page, u64 pfn, u8 order)
{
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE + PAGES(page), .nr = 1u << order, .pfn = pfn,
	    .order = order, .flags = RF_OP_WRITE);
}

static u64 cut(const struct rf_machine *machine)
{
	return rf_machine_stats(machine)->anomalies[RF_ANOMALY_no_vma];
}

/* Both neighbours have pages of their own, and so another anon_vma each: what is between goes to the lower one. */
static void between_two_the_lower_one_gets_it(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");

	(void)state;
	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	map_anon(machine, 0, BASE, PAGES(10));
	map_anon(machine, 0, BASE + PAGES(22), PAGES(10));
	fault(machine, 0, PFN, 0);
	fault(machine, 30, PFN + 1, 0);
	map_anon(machine, 0, BASE + PAGES(10), PAGES(12));
	fault(machine, 8, PFN + 8, 2);
	assert_int_equal(cut(machine), 0);
	fault(machine, 20, PFN + 20, 2);
	assert_int_equal(cut(machine), 1);
	rf_machine_destroy(machine);
}

/* Where one has none yet, all three become one. */
static void between_two_that_fit_all_are_one(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");

	(void)state;
	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	map_anon(machine, 0, BASE, PAGES(10));
	map_anon(machine, 0, BASE + PAGES(22), PAGES(10));
	fault(machine, 30, PFN + 1, 0);
	map_anon(machine, 0, BASE + PAGES(10), PAGES(12));
	fault(machine, 8, PFN + 8, 2);
	fault(machine, 20, PFN + 20, 2);
	assert_int_equal(cut(machine), 0);
	rf_machine_destroy(machine);
}

/* Found apart, they stay so, until a whole is told that they are pieces of; and a part of that is apart again. */
static void found_vmas_are_as_they_are_told(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");
	u64 elsewhere = 1ull << 45;

	(void)state;
	run(machine, .kind = RF_OP_MM_NEW, .mm = 0, .flags = RF_OP_LOAD);
	for (u64 i = 0; i < 2; i++)
		run(machine, .kind = RF_OP_MAP, .addr = BASE + PAGES(10 * i), .end = BASE + PAGES(10 * i + 10),
		    .vm_flags = RW, .pgoff = (BASE >> 12) + 10 * i + elsewhere * i, .flags = RF_OP_LOAD);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + PAGES(10), .vm_flags = RW);
	fault(machine, 8, PFN, 2);
	assert_int_equal(cut(machine), 1);
	run(machine, .kind = RF_OP_ZAP, .addr = BASE, .end = BASE + PAGES(20), .why = RF_WHY_DONTNEED);
	run(machine, .kind = RF_OP_MAP, .addr = BASE, .end = BASE + PAGES(20), .vm_flags = RW, .pgoff = BASE >> 12,
	    .flags = RF_OP_LOAD | RF_OP_INFERRED);
	fault(machine, 8, PFN + 8, 2);
	assert_int_equal(cut(machine), 1);
	run(machine, .kind = RF_OP_MAP, .addr = BASE, .end = BASE + PAGES(14), .vm_flags = RW,
	    .pgoff = (BASE >> 12) + elsewhere, .flags = RF_OP_LOAD | RF_OP_INFERRED);
	fault(machine, 12, PFN + 12, 2);
	assert_int_equal(cut(machine), 2);
	rf_machine_destroy(machine);
}

/* Of one of two mappings of a file it is known that they are of shmem: they are one, and it is known of all of it. */
static void of_one_file_what_it_is_of(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");

	(void)state;
	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	for (u64 i = 0; i < 2; i++)
		run(machine, .kind = RF_OP_MAP, .addr = BASE + PAGES(10 * i), .end = BASE + PAGES(10 * i + 10),
		    .file = 7, .pgoff = 10 * i, .vm_flags = RW | RF_VM_SHARED | (i ? RF_VM_SHMEM : 0));
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = BASE + PAGES(8), .aux = BASE + PAGES(8), .nr = 4, .pfn = PFN,
	    .order = 2, .flags = RF_OP_SHMEM | RF_OP_FIRST);
	assert_int_equal(cut(machine), 0);
	run(machine, .kind = RF_OP_MUNMAP, .addr = BASE, .end = BASE + PAGES(10), .why = RF_WHY_MUNMAP);
	assert_int_equal(row_of(machine, RF_ROW_zap_munmap)->forced_flushes, 1);
	rf_machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_two_the_lower_one_gets_it),
		cmocka_unit_test(between_two_that_fit_all_are_one),
		cmocka_unit_test(found_vmas_are_as_they_are_told),
		cmocka_unit_test(of_one_file_what_it_is_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
