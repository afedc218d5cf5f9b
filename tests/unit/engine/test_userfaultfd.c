// SPDX-License-Identifier: MIT
/*
 * What a userfaultfd does to pages that are there. Flushes of 6.18 were measured on that kernel: one for the small
 * pages of a table, one for each range that is write-protected, and for each that no longer is.
 */
#include "machine_script.h"

#define TO (BASE + M(64))

static const struct arch_counters *row(const struct rf_machine *machine, enum rf_row which)
{
	return &rf_machine_stats(machine)->rows[which];
}

static void move(struct rf_machine *machine, u64 from, u64 len, u64 to)
{
	run(machine, .kind = RF_OP_UFFD_MOVE, .addr = from, .end = from + len, .addr2 = to, .nr = (u32)(len >> 12));
}

static void protect(struct rf_machine *machine, u64 addr, u64 len, u16 flags)
{
	run(machine, .kind = RF_OP_UFFD_WP, .addr = addr, .end = addr + len, .flags = flags);
}

static pte_t entry(struct rf_machine *machine, u32 mm, u64 addr)
{
	return rf_machine_lookup(machine, mm, addr);
}

/* 4M of small pages, and nothing at TO. */
static struct rf_machine *small_pages(const char *policy)
{
	struct rf_machine *machine = machine_of(policy, "");

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(8));
	map_anon(machine, 0, TO, M(8));
	fault_anon(machine, 0, BASE, M(4), 0, PFN);
	return machine;
}

static void test_moves_small_pages(void **state)
{
	static const struct { const char *policy; u64 flushes; } kernels[] = {
		{ "x86-6.18", 2 }, { "linux-6.12", 1024 }, { "linux-6.17", 1024 }, { "linux-7.2", 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		struct rf_machine *machine = small_pages(kernels[i].policy);

		move(machine, BASE, M(4), TO);
		assert_int_equal(row(machine, RF_ROW_uffd_move)->flush_calls, kernels[i].flushes);
		assert_true(pte_none(entry(machine, 0, BASE + K(40))));
		assert_int_equal(pte_pfn(entry(machine, 0, TO + K(40))), PFN + 10);
		assert_true(pte_write(entry(machine, 0, TO + K(40))));
		assert_true(entry(machine, 0, TO + K(40)).val & PTE_EXCLUSIVE);
		assert_int_equal(anomalies_of(machine), 0);
		rf_machine_destroy(machine);
	}
}

/* A hole, the zero page and a swap entry end a batch. What was protected is not so at its new place. */
static void test_what_ends_a_batch(void **state)
{
	struct rf_machine *machine = small_pages("x86-6.18");

	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = BASE + K(16), .end = BASE + K(24));
	run(machine, .kind = RF_OP_FAULT_ZERO, .addr = BASE + K(20), .nr = 1);
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(40), .nr = 1, .pfn = 7);
	protect(machine, BASE, K(8), 0);
	move(machine, BASE, K(64), TO + K(4));
	/* Four pages; the zero page alone; four; five behind the swap entry, which had never been in a TLB. */
	assert_int_equal(row(machine, RF_ROW_uffd_move)->flush_calls, 4);
	assert_true(pte_none(entry(machine, 0, TO + K(20))));
	assert_true(entry(machine, 0, TO + K(24)).val & PTE_SPECIAL);
	assert_false(pte_write(entry(machine, 0, TO + K(24))));
	assert_true(entry(machine, 0, TO + K(44)).val & PTE_SWAP);
	assert_true(pte_write(entry(machine, 0, TO + K(4))));
	assert_false(entry(machine, 0, TO + K(4)).val & PTE_UFFD);
	rf_machine_destroy(machine);
}

static void test_moves_huge_page(void **state)
{
	struct rf_machine *machine = machine_of("x86-6.18", "");

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(4));
	map_anon(machine, 0, TO, M(4));
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .order = 9, .flags = RF_OP_WRITE);
	move(machine, BASE, M(2), TO);
	assert_int_equal(row(machine, RF_ROW_uffd_move)->flush_calls, 1);
	assert_int_equal(row(machine, RF_ROW_uffd_move)->pte_stores, 0);
	assert_int_equal(pte_pfn(entry(machine, 0, TO + K(8))), PFN + 2);
	/* Not to where a table is: split, and page by page. */
	fault_anon(machine, 0, BASE + M(2) - K(4), K(4), 0, PFN + 0x1000);
	move(machine, TO, M(2) - K(4), BASE);
	assert_int_equal(pte_pfn(entry(machine, 0, BASE + K(8))), PFN + 2);
	assert_true(row(machine, RF_ROW_uffd_move)->pte_stores >= 511);
	rf_machine_destroy(machine);
}

static void test_write_protects(void **state)
{
	struct rf_machine *machine = machine_with_folios("linux-7.2", "", K(256));

	protect(machine, BASE, K(256), 0);
	assert_int_equal(row(machine, RF_ROW_uffd_wp)->flush_calls, 1);
	assert_int_equal(row(machine, RF_ROW_uffd_wp)->unfold, 0);
	assert_false(pte_write(entry(machine, 0, BASE)));
	/* mprotect() leaves it so. */
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + K(64), .vm_flags = RF_VM_READ);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + K(64), .vm_flags = RW);
	assert_false(pte_write(entry(machine, 0, BASE)));
	/* A child knows nothing of it. */
	run(machine, .kind = RF_OP_FORK, .mm2 = 1);
	assert_true(entry(machine, 0, BASE).val & PTE_UFFD);
	assert_false(entry(machine, 1, BASE).val & PTE_UFFD);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	protect(machine, BASE, K(256), RF_OP_WRITE);
	/* No longer exclusive since the fork: a write has to fault. */
	assert_false(entry(machine, 0, BASE).val & PTE_UFFD);
	assert_false(pte_write(entry(machine, 0, BASE)));
	rf_machine_destroy(machine);
}

/* A page that is ours alone may be written at once; the fault that resolves it itself clears the bit. */
static void test_resolves(void **state)
{
	struct rf_machine *machine = small_pages("x86-6.18");

	protect(machine, BASE, K(64), 0);
	protect(machine, BASE, K(32), RF_OP_WRITE);
	assert_int_equal(row(machine, RF_ROW_uffd_wp)->flush_calls, 2);
	assert_true(pte_write(entry(machine, 0, BASE)));
	assert_false(pte_write(entry(machine, 0, BASE + K(32))));
	run(machine, .kind = RF_OP_FAULT_REUSE, .addr = BASE + K(32), .flags = RF_OP_WRITE);
	assert_true(pte_write(entry(machine, 0, BASE + K(32))));
	assert_false(entry(machine, 0, BASE + K(32)).val & PTE_UFFD);
	/* Protected in swap, and after it. */
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(40), .nr = 1, .pfn = 7);
	run(machine, .kind = RF_OP_FAULT_SWAP, .addr = BASE + K(40), .nr = 1, .pfn = PFN + 0x2000);
	assert_true(entry(machine, 0, BASE + K(40)).val & PTE_UFFD);
	assert_false(pte_write(entry(machine, 0, BASE + K(40))));
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE + K(44), .nr = 1, .pfn = PFN + 11, .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_MIGRATE_IN, .addr = BASE + K(44), .nr = 1, .pfn = PFN + 0x2001, .flags = RF_OP_ANON);
	assert_true(entry(machine, 0, BASE + K(44)).val & PTE_UFFD);
	assert_false(pte_write(entry(machine, 0, BASE + K(44))));
	rf_machine_destroy(machine);
}

/* Of pages four times as large: whole ones, where they fit. */
static void test_on_larger_pages(void **state)
{
	struct rf_machine *machine = machine_of("linux-7.2", "granule=16k");

	assert_int_equal(rf_machine_recorded_pages(machine, 12), 0);
	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(1));
	map_anon(machine, 0, TO, M(1));
	fault_anon(machine, 0, BASE, K(256), 0, PFN);
	move(machine, BASE, K(64), TO + K(16));
	assert_true(pte_none(entry(machine, 0, BASE + K(48))));
	assert_false(pte_none(entry(machine, 0, TO + K(64))));
	move(machine, BASE + K(64), K(64), TO + K(132));
	assert_false(pte_none(entry(machine, 0, BASE + K(64))));
	assert_int_equal(rf_machine_stats(machine)->inexact[RF_INEXACT_ranges_left_out], 1);
	rf_machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves_small_pages),
		cmocka_unit_test(test_what_ends_a_batch),
		cmocka_unit_test(test_moves_huge_page),
		cmocka_unit_test(test_write_protects),
		cmocka_unit_test(test_resolves),
		cmocka_unit_test(test_on_larger_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
