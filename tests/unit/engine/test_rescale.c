// SPDX-License-Identifier: MIT
/*
 * Recordings with pages of 4K on machines with pages of 16K and 64K: each rule of engine/rescale.h by an operation or
 * two, and what is counted as not known.
 */
#include <errno.h>

#include "machine_script.h"

static u64 inexact(const struct rf_machine *machine, enum rf_inexact what)
{
	return rf_machine_stats(machine)->inexact[what];
}

/* An mm 0 of pages of 16K, fed by a kernel with pages of 4K. */
static struct rf_machine *begin(void)
{
	struct rf_machine *machine = machine_of("linux-7.3", "granule=16k");

	assert_int_equal(rf_machine_recorded_pages(machine, 12), 0);
	run(machine, .kind = RF_OP_MM_NEW);
	return machine;
}

static void write_page(struct rf_machine *machine, u64 addr)
{
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = addr, .pfn = 0x9000 + (addr >> 12), .flags = RF_OP_WRITE);
}

static bool mapped(struct rf_machine *machine, u64 addr)
{
	return pte_present(rf_machine_lookup(machine, 0, addr));
}

static void end(struct rf_machine *machine)
{
	assert_no_anomalies(machine);
	rf_machine_destroy(machine);
}

static void test_page_sizes(void **state)
{
	struct rf_machine *small = machine_of("linux-7.3", ""), *large = machine_of("linux-7.3", "granule=64k");

	assert_int_equal(rf_machine_recorded_pages(small, 12), 0);
	assert_int_equal(rf_machine_recorded_pages(small, 14), -EINVAL);
	assert_int_equal(rf_machine_recorded_pages(large, 11), -EINVAL);
	assert_int_equal(rf_machine_recorded_pages(large, 12), 0);
	rf_machine_destroy(small);
	rf_machine_destroy(large);
}

static void test_faults_merge(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE, K(64));
	write_page(m, BASE + K(4));
	write_page(m, BASE + K(12));
	write_page(m, BASE + K(16));
	assert_int_equal(row_of(m, RF_ROW_fault_anon)->faults, 2);
	assert_int_equal(inexact(m, RF_INEXACT_faults_merged), 1);
	assert_int_equal(inexact(m, RF_INEXACT_small_folios), 3);
	assert_int_equal(inexact(m, RF_INEXACT_ranges_rounded), 0);
	end(m);
}

/* Zero page first, then a write to another part of it: a copy. */
static void test_faults_change(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE, K(64));
	run(m, .kind = RF_OP_FAULT_ZERO, .addr = BASE);
	write_page(m, BASE + K(4));
	assert_int_equal(row_of(m, RF_ROW_fault_anon)->faults, 0);
	assert_int_equal(row_of(m, RF_ROW_cow)->faults, 1);
	assert_int_equal(inexact(m, RF_INEXACT_faults_changed), 1);
	assert_true(pte_write(rf_machine_lookup(m, 0, BASE)));
	end(m);
}

/* After fork the first write to any part copies, or reuses, for all of it. */
static void test_fork_copies_once(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE + K(4), K(8));
	write_page(m, BASE + K(4));
	run(m, .kind = RF_OP_FORK, .mm2 = 1);
	run(m, .kind = RF_OP_FAULT_COW, .addr = BASE + K(4), .pfn = 0x5000, .flags = RF_OP_WRITE);
	run(m, .kind = RF_OP_FAULT_COW, .addr = BASE + K(8), .pfn = 0x6000, .flags = RF_OP_WRITE);
	assert_int_equal(row_of(m, RF_ROW_cow)->faults, 1);
	/* The child knows, too, that only pages 1 and 2 are mapped: both go, and with them the granule. */
	run(m, .kind = RF_OP_MUNMAP, .mm = 1, .addr = BASE + K(4), .end = BASE + K(8), .why = RF_WHY_MUNMAP);
	assert_true(pte_present(rf_machine_lookup(m, 1, BASE)));
	run(m, .kind = RF_OP_MUNMAP, .mm = 1, .addr = BASE + K(8), .end = BASE + K(12), .why = RF_WHY_MUNMAP);
	assert_false(pte_present(rf_machine_lookup(m, 1, BASE)));
	assert_true(mapped(m, BASE));
	end(m);
}

/* Two mappings in one granule: the first has it, writable as the second is, until both are gone. */
static void test_shared_granule(void **state)
{
	struct rf_machine *m = begin();

	run(m, .kind = RF_OP_MAP, .addr = BASE, .end = BASE + K(20), .vm_flags = RF_VM_READ, .pgoff = BASE >> 12);
	map_anon(m, 0, BASE + K(20), K(12));
	assert_int_equal(inexact(m, RF_INEXACT_granules_shared), 1);
	write_page(m, BASE + K(24));
	assert_true(pte_write(rf_machine_lookup(m, 0, BASE + K(16))));
	run(m, .kind = RF_OP_MUNMAP, .addr = BASE, .end = BASE + K(20), .why = RF_WHY_MUNMAP);
	assert_true(mapped(m, BASE + K(24)));
	run(m, .kind = RF_OP_MUNMAP, .addr = BASE + K(20), .end = BASE + K(32), .why = RF_WHY_MUNMAP);
	assert_false(mapped(m, BASE + K(24)));
	end(m);
}

static void test_parts_are_left_out(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE, K(64));
	write_page(m, BASE + K(4));
	write_page(m, BASE + K(16));
	run(m, .kind = RF_OP_ZAP, .addr = BASE + K(4), .end = BASE + K(8), .why = RF_WHY_DONTNEED);
	assert_true(mapped(m, BASE));
	run(m, .kind = RF_OP_ZAP, .addr = BASE + K(8), .end = BASE + K(40), .why = RF_WHY_DONTNEED);
	assert_false(mapped(m, BASE + K(16)));
	assert_true(mapped(m, BASE));
	assert_int_equal(inexact(m, RF_INEXACT_ranges_left_out), 1);
	assert_int_equal(inexact(m, RF_INEXACT_ranges_rounded), 2);
	end(m);
}

/* What is allowed more is allowed for all of a granule, what is allowed less only for whole ones. */
static void test_mprotect(void **state)
{
	struct rf_machine *m = begin();

	run(m, .kind = RF_OP_MAP, .addr = BASE, .end = BASE + K(64), .pgoff = BASE >> 12);
	run(m, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + K(4), .vm_flags = RW);
	write_page(m, BASE);
	assert_true(pte_write(rf_machine_lookup(m, 0, BASE)));
	run(m, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + K(4), .vm_flags = RF_VM_READ);
	assert_true(pte_write(rf_machine_lookup(m, 0, BASE)));
	assert_int_equal(row_of(m, RF_ROW_mprotect)->flush_calls, 0);
	run(m, .kind = RF_OP_MPROTECT, .addr = BASE, .end = BASE + K(16), .vm_flags = RF_VM_READ);
	assert_false(pte_write(rf_machine_lookup(m, 0, BASE)));
	end(m);
}

/* 2 MiB are a huge page of 4K pages, a contiguous block of 16K pages: 128 entries. */
static void test_huge_page(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE, M(4));
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + K(40), .pfn = 0x1000, .order = 9, .flags = RF_OP_WRITE);
	assert_int_equal(row_of(m, RF_ROW_fault_anon)->born, 1);
	assert_int_equal(row_of(m, RF_ROW_fault_anon)->pte_stores, 128);
	assert_int_equal(inexact(m, RF_INEXACT_huge_pages), 1);
	run(m, .kind = RF_OP_COLLAPSE, .addr = BASE + M(2), .pfn = 0x2000);
	assert_int_equal(inexact(m, RF_INEXACT_collapses_left_out), 1);
	assert_false(mapped(m, BASE + M(2)));
	end(m);
}

/* The first page that is mapped stands for the granule; swapped in is it by whichever faults. */
static void test_swap(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE + K(4), K(60));
	write_page(m, BASE + K(4));
	write_page(m, BASE + K(8));
	run(m, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(8), .nr = 1, .pfn = 0x77, .flags = RF_OP_ANON);
	assert_true(mapped(m, BASE));
	assert_int_equal(inexact(m, RF_INEXACT_pages_left), 1);
	run(m, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(4), .nr = 1, .pfn = 0x78, .flags = RF_OP_ANON);
	assert_false(mapped(m, BASE));
	run(m, .kind = RF_OP_FAULT_SWAP, .addr = BASE + K(8), .nr = 1, .pfn = 0x300, .flags = RF_OP_EXCLUSIVE);
	assert_true(mapped(m, BASE));
	run(m, .kind = RF_OP_FAULT_SWAP, .addr = BASE + K(4), .nr = 1, .pfn = 0x304, .flags = RF_OP_EXCLUSIVE);
	assert_int_equal(row_of(m, RF_ROW_fault_swap)->faults, 1);
	assert_int_equal(inexact(m, RF_INEXACT_faults_merged), 2);	/* and the second write */
	end(m);
}

/* From where the old place and the new one share a granule: that one stays. */
static void test_mremap_next_door(void **state)
{
	struct rf_machine *m = begin();

	map_anon(m, 0, BASE + K(20), K(44));
	write_page(m, BASE + K(20));
	write_page(m, BASE + K(32));
	run(m, .kind = RF_OP_MREMAP, .addr = BASE + K(20), .end = BASE + K(64), .addr2 = BASE - K(24), .nr = 11);
	assert_true(mapped(m, BASE + K(16)));
	assert_true(mapped(m, BASE - K(32)));
	assert_false(mapped(m, BASE + K(32)));
	end(m);
}

/* A fault-around of which the first run is mapped already is a fault all the same. */
static void test_fault_around(void **state)
{
	struct rf_machine *m = begin();

	run(m, .kind = RF_OP_MAP, .addr = BASE, .end = BASE + K(64), .vm_flags = RF_VM_READ, .file = 3);
	run(m, .kind = RF_OP_FAULT_FILE, .addr = BASE, .nr = 1, .pfn = 0x40, .aux = BASE, .flags = RF_OP_FIRST);
	run(m, .kind = RF_OP_FAULT_FILE, .addr = BASE + K(4), .nr = 2, .pfn = 0x51, .aux = BASE + K(20),
	    .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
	run(m, .kind = RF_OP_FAULT_FILE, .addr = BASE + K(20), .nr = 1, .pfn = 0x61, .aux = BASE + K(20),
	    .flags = RF_OP_FAULT_AROUND);
	assert_int_equal(row_of(m, RF_ROW_fault_file)->faults, 2);
	/* And one of which nothing is left is none. */
	run(m, .kind = RF_OP_FAULT_FILE, .addr = BASE + K(8), .nr = 1, .pfn = 0x71, .aux = BASE + K(8),
	    .flags = RF_OP_FIRST);
	run(m, .kind = RF_OP_FAULT_ZERO, .addr = BASE + K(48));
	assert_int_equal(row_of(m, RF_ROW_fault_file)->faults, 2);
	assert_int_equal(inexact(m, RF_INEXACT_faults_merged), 1);
	end(m);
}

/* Equal pages in tables of 1024: no huge page is 2 MiB. Everything else is as recorded. */
static void test_other_tables(void **state)
{
	struct rf_machine *m = machine_of("powerpc-8xx", "");

	assert_int_equal(rf_machine_recorded_pages(m, 12), 0);
	run(m, .kind = RF_OP_MM_NEW);
	map_anon(m, 0, BASE, M(4));
	write_page(m, BASE + K(4));
	write_page(m, BASE + K(8));
	run(m, .kind = RF_OP_COLLAPSE, .addr = BASE, .pfn = 0x2000);
	run(m, .kind = RF_OP_ZAP, .addr = BASE + K(4), .end = BASE + K(8), .why = RF_WHY_DONTNEED);
	assert_false(mapped(m, BASE + K(4)));
	assert_true(mapped(m, BASE + K(8)));
	assert_int_equal(row_of(m, RF_ROW_fault_anon)->faults, 2);
	assert_int_equal(inexact(m, RF_INEXACT_collapses_left_out), 1);
	assert_int_equal(inexact(m, RF_INEXACT_faults_merged) + inexact(m, RF_INEXACT_ranges_rounded), 0);
	end(m);
}

/* Of any operation, also of those to come: on the second page of a granule it does nothing to the granule. */
static void test_parts_of_any_operation(void **state)
{
	int kind;

	for (kind = 0; kind < RF_NR_OPS; kind++) {
		enum rf_shape shape = rf_op_shapes[kind];
		struct rf_machine *m;
		pte_t before;

		if (shape != RF_SHAPE_RANGE && shape != RF_SHAPE_MOVE && shape != RF_SHAPE_RUN)
			continue;
		m = begin();
		map_anon(m, 0, BASE, K(64));
		write_page(m, BASE);
		before = rf_machine_lookup(m, 0, BASE);
		run(m, .kind = kind, .addr = BASE + K(4), .end = BASE + K(8), .addr2 = BASE + M(1), .nr = 1,
		    .pfn = 0x9001, .vm_flags = RF_VM_READ);
		if (rf_machine_lookup(m, 0, BASE).val != before.val)
			fail_msg("%s takes all of the granule", rf_op_names[kind]);
		end(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_sizes),
		cmocka_unit_test(test_faults_merge),
		cmocka_unit_test(test_faults_change),
		cmocka_unit_test(test_fork_copies_once),
		cmocka_unit_test(test_shared_granule),
		cmocka_unit_test(test_parts_are_left_out),
		cmocka_unit_test(test_mprotect),
		cmocka_unit_test(test_huge_page),
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_mremap_next_door),
		cmocka_unit_test(test_fault_around),
		cmocka_unit_test(test_other_tables),
		cmocka_unit_test(test_parts_of_any_operation),
	};

	return cmocka_run_group_tests_name("rescale", tests, NULL, NULL);
}
