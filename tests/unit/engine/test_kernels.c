// SPDX-License-Identifier: MIT
/*
 * What kernels before and after 6.8 do otherwise, one thing each, with numbers worked out by hand from the function of
 * the kernel that is named. 4K pages, range TLBI unless said otherwise.
 */
#include "machine_script.h"

#define FILE_AT G(4)

static struct rf_machine *machine_with(const char *policy, const char *knobs)
{
	struct rf_machine *machine = machine_of(policy, knobs);

	run(machine, .kind = RF_OP_MM_NEW);
	return machine;
}

static void change(struct rf_machine *machine, u64 addr, u64 len, u16 vm_flags)
{
	run(machine, .kind = RF_OP_MPROTECT, .addr = addr, .end = addr + len, .vm_flags = vm_flags);
}

/* The row of what follows alone, so that one machine tells one number. */
static struct arch_counters counted(struct rf_machine *machine, enum rf_row row)
{
	struct arch_counters counters = *row_of(machine, row);

	assert_no_anomalies(machine);
	rf_machine_destroy(machine);
	return counters;
}

/* Of whatever length. */
static u64 calls_of(const struct rf_machine *machine, enum arch_helper helper)
{
	u64 calls = 0;
	size_t i;

	for (i = 0; i <= ARCH_BATCH_MAX; i++)
		calls += rf_machine_stats(machine)->batches.calls[helper][i];
	return calls;
}

/* ---- mprotect ---- */

/* Two VMAs of 2 MiB, 16 pages of each touched, become read-only. */
static struct arch_counters protect_two(const char *policy, const char *knobs)
{
	struct rf_machine *machine = machine_with(policy, knobs);

	map_anon(machine, 0, BASE, M(2));
	run(machine, .kind = RF_OP_MAP, .addr = BASE + M(2), .end = BASE + M(4), .vm_flags = RW | RF_VM_EXEC);
	fault_anon(machine, 0, BASE, K(64), 0, PFN);
	fault_anon(machine, 0, BASE + M(2), K(64), 0, PFN + 16);
	change(machine, BASE, M(4), RF_VM_READ);
	return counted(machine, RF_ROW_mprotect);
}

/*
 * change_protection_range() of 5.10: flush_tlb_range() of each VMA's 512 pages, one instruction, walk caches too. 6.1:
 * the mmu_gather has 16 pages; arm64 flushes at tlb_end_vma(), x86 merges and flushes [0, 2M + 64K) once.
 */
static void test_mprotect_flush(void **state)
{
	struct arch_counters old = protect_two("linux-5.10", ""), new = protect_two("linux-6.1", "");

	assert_int_equal(old.flush_calls, 2);
	assert_int_equal(old.tlbi_pages, 1024);
	assert_int_equal(old.tlbi_walk, 2);
	assert_int_equal(new.flush_calls, 2);
	assert_int_equal(new.tlbi_pages, 32);
	assert_int_equal(new.tlbi_walk, 0);
	/* 512 strides are a table's worth: without range TLBI the address space goes; 16 are not. */
	old = protect_two("linux-5.10", "tlbi=single");
	new = protect_two("linux-6.1", "tlbi=single");
	assert_int_equal(old.tlbi_asid, 2);
	assert_int_equal(new.tlbi_va, 32);
	assert_int_equal(new.tlbi_asid, 0);
	assert_int_equal(protect_two("x86-5.15", "").flush_calls, 2);
	assert_int_equal(protect_two("x86-6.1", "").flush_calls, 1);
}

/* Nothing changed, nothing flushed: 5.10 counts pages, also of migration entries that lose their write permission. */
static void test_mprotect_flush_of_what(void **state)
{
	struct rf_machine *machine = machine_with("linux-5.10", "");

	map_anon(machine, 0, BASE, M(4));
	fault_anon(machine, 0, BASE, K(4), 0, PFN);
	change(machine, BASE + M(2), M(2), RF_VM_READ);
	assert_int_equal(row_of(machine, RF_ROW_mprotect)->flush_calls, 0);
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE, .nr = 1, .pfn = PFN, .flags = RF_OP_ANON);
	change(machine, BASE, M(2), RF_VM_READ);
	assert_int_equal(counted(machine, RF_ROW_mprotect).flush_calls, 1);
}

/* A page read-only and writable again: does the write fault find it right? clean: MADV_FREE took its dirty bit. */
static struct rf_machine *protect_back(const char *policy, bool clean)
{
	struct rf_machine *machine = machine_with(policy, "");

	map_anon(machine, 0, BASE, K(64));
	fault_anon(machine, 0, BASE, K(4), 0, PFN);
	if (clean)
		run(machine, .kind = RF_OP_MADV_FREE, .addr = BASE, .end = BASE + K(4));
	change(machine, BASE, K(64), RF_VM_READ);
	change(machine, BASE, K(64), RW);
	return machine;
}

/* can_change_pte_writable(): 5.10 has none for private memory, 6.1 wants the page dirty, 6.2 does not. */
static void test_write_upgrade(void **state)
{
	static const struct { const char *policy; int dirty, clean; } kernels[] = {
		{ "linux-5.10", 0, 0 }, { "linux-5.15", 0, 0 }, { "linux-6.1", 1, 0 }, { "linux-6.6", 1, 1 },
		{ "linux-6.8", 1, 1 }, { "x86-5.10", 0, 0 }, { "x86-6.1", 1, 0 },
	};
	struct rf_machine *machine;
	size_t i;
	int clean;

	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		for (clean = 0; clean < 2; clean++) {
			machine = protect_back(kernels[i].policy, clean);
			/* Fork write-protects what is writable: one atomic, if it is. */
			run(machine, .kind = RF_OP_FORK, .mm2 = 1);
			assert_int_equal(counted(machine, RF_ROW_fork).pte_atomics,
					 clean ? kernels[i].clean : kernels[i].dirty);
		}
	}
	/* The write fault that 5.10 takes for it: wp_page_reuse(), which flushes the page. */
	machine = protect_back("linux-5.10", false);
	run(machine, .kind = RF_OP_FAULT_REUSE, .addr = BASE, .flags = RF_OP_WRITE);
	assert_int_equal(counted(machine, RF_ROW_reuse).flush_calls, 1);
	machine = protect_back("linux-6.1", false);
	run(machine, .kind = RF_OP_FAULT_REUSE, .addr = BASE, .flags = RF_OP_WRITE);
	assert_int_equal(counted(machine, RF_ROW_reuse).flush_calls, 0);
}

static struct arch_counters protect_text(const char *policy, const char *knobs)
{
	struct rf_machine *machine = machine_with(policy, knobs);

	run(machine, .kind = RF_OP_MAP, .addr = BASE, .end = BASE + K(64), .vm_flags = RW | RF_VM_EXEC);
	fault_anon(machine, 0, BASE, K(64), 4, PFN);
	change(machine, BASE, K(64), RF_VM_READ | RF_VM_EXEC);
	return counted(machine, RF_ROW_mprotect);
}

/* Erratum 2645198: 16 entries by ptep_clear_flush(), or the run by one flush; then the gather's flush of them. */
static void test_exec_prot_flush(void **state)
{
	struct arch_counters off = protect_text("linux-6.8", "");
	struct arch_counters entry = protect_text("linux-6.8", "exec_prot_flush=entry");

	assert_int_equal(off.flush_calls, 1);
	assert_int_equal(entry.flush_calls, 17);
	assert_int_equal(entry.pte_loads, off.pte_loads + 16);	/* is it executable? */
	assert_int_equal(protect_text("linux-7.3", "exec_prot_flush=run").flush_calls, 2);
}

/*
 * __split_huge_pmd_locked() until 6.3 makes clean entries of a dirty huge page: the 16 pages that mprotect splits off
 * and makes writable again are not, with 6.1's rule; since 6.4 they are.
 */
static void test_pmd_split_dirty(void **state)
{
	static const struct { const char *policy, *knobs; unsigned int writable; } kernels[] = {
		{ "linux-6.1", "", 0 }, { "linux-6.1", "pmd_split_dirty=true", 16 },
		{ "linux-6.6", "write_upgrade=dirty", 16 }, { "linux-6.6", "pmd_split_dirty=false", 16 },
	};
	struct rf_machine *machine;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		machine = machine_with(kernels[i].policy, kernels[i].knobs);
		map_anon(machine, 0, BASE, M(2));
		run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .order = 9, .flags = RF_OP_WRITE);
		change(machine, BASE, K(64), RF_VM_READ);
		change(machine, BASE, K(64), RW);
		/* Fork write-protects those, and the 496 that nobody changed. */
		run(machine, .kind = RF_OP_FORK, .mm2 = 1);
		assert_int_equal(counted(machine, RF_ROW_fork).pte_atomics, 496 + kernels[i].writable);
	}
}

static struct arch_counters page_out(const char *policy)
{
	const u64 end = BASE + M(4) + K(64);
	struct rf_machine *machine = machine_with(policy, "");
	u64 at;

	map_anon(machine, 0, BASE, M(8));
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .order = 9, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE + M(2), .pfn = PFN + 512, .order = 9, .flags = RF_OP_WRITE);
	fault_anon(machine, 0, BASE + M(4), K(64), 0, PFN + 1024);
	for (at = BASE; at < end; at += M(2))
		run(machine, .kind = RF_OP_MADV_PAGEOUT, .addr = at, .end = min_u64(at + M(2), end), .aux = end);
	return counted(machine, RF_ROW_madv_pageout);
}

/*
 * madvise_cold_or_pageout_pte_range() until 6.8 clears accessed bits for MADV_PAGEOUT, too: two huge pages, each with
 * the flush of pmdp_invalidate() (walk caches, too), 16 entries, and the gather of the whole call is flushed once.
 */
static void test_pageout_young(void **state)
{
	struct arch_counters old = page_out("linux-6.1"), new = page_out("linux-6.12");

	assert_int_equal(old.flush_calls, 2 + 1);
	assert_int_equal(old.tlbi_walk, 2);
	assert_int_equal(old.pte_atomics, 16);
	assert_int_equal(old.pte_stores, 16);
	assert_int_equal(page_out("linux-6.8").flush_calls, 3);
	assert_int_equal(new.flush_calls, 0);
	assert_int_equal(new.pte_atomics, 0);
}

/* ---- mremap ---- */

static struct arch_counters move_gib(const char *policy, const char *knobs, u64 to)
{
	struct rf_machine *machine = machine_with(policy, knobs);

	map_anon(machine, 0, G(8), G(2));
	fault_anon(machine, 0, G(8), K(64), 0, PFN);
	fault_anon(machine, 0, G(8) + M(64), K(64), 0, PFN + 16);
	fault_anon(machine, 0, G(9) + M(10), K(64), 0, PFN + 32);
	run(machine, .kind = RF_OP_MREMAP, .addr = G(8), .end = G(10), .addr2 = to, .nr = 1 << 19);
	return counted(machine, RF_ROW_mremap);
}

/*
 * move_normal_pud() since 5.11: two tables of PMDs move, a flush of 1 GiB each, which is one range instruction or the
 * address space. Before, three tables of entries, a flush of 2 MiB each; munmap() then frees the two tables of PMDs,
 * which is a flush of [8G, 10G) more.
 */
static void test_move_pud(void **state)
{
	struct arch_counters old = move_gib("linux-5.10", "", G(16)), new = move_gib("linux-5.15", "", G(16));

	assert_int_equal(old.flush_calls, 3 + 1);
	assert_int_equal(old.tlbi_pages, 3 * 512 + (2 << 18));
	assert_int_equal(new.flush_calls, 2);
	assert_int_equal(new.tlbi_pages, 2 << 18);
	assert_int_equal(new.tlbi_range, 2);
	assert_int_equal(new.tlbi_walk, 2);
	assert_int_equal(new.pte_atomics, 0);
	new = move_gib("linux-7.3", "tlbi=single", G(16));
	assert_int_equal(new.tlbi_asid, 2);
	/* Not to the boundary of a directory; and powerpc with a hashed table has no such thing. */
	assert_int_equal(move_gib("linux-5.15", "", G(16) + M(2)).flush_calls, 3 + 1);
	assert_int_equal(move_gib("x86-6.1", "", G(16)).flush_calls, 2);
	assert_int_equal(move_gib("riscv-6.12", "", G(16)).flush_calls, 2);
}

static struct arch_counters move_odd(const char *policy)
{
	struct rf_machine *machine = machine_with(policy, "");

	map_anon(machine, 0, BASE + K(512), M(2));
	fault_anon(machine, 0, BASE + K(512), M(2), 0, PFN);
	run(machine, .kind = RF_OP_MREMAP, .addr = BASE + K(512), .end = BASE + K(2560), .addr2 = G(2) + K(512),
	    .nr = 512);
	return counted(machine, RF_ROW_mremap);
}

/* try_realign_addr() since 6.7: the first table moves as one, the 128 entries of the second by one; before, all 512. */
static void test_mremap_realign(void **state)
{
	assert_int_equal(move_odd("linux-6.6").pte_atomics, 512);
	assert_int_equal(move_odd("linux-6.8").pte_atomics, 128);
}

/* ---- faults ---- */

static struct rf_machine *map_around(const char *policy, unsigned int order)
{
	struct rf_machine *machine = machine_with(policy, "");

	run(machine, .kind = RF_OP_MAP, .addr = FILE_AT, .end = FILE_AT + M(1), .vm_flags = RF_VM_READ, .file = 5);
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = FILE_AT, .aux = FILE_AT + M(2), .nr = 16, .pfn = PFN,
	    .order = order, .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
	return machine;
}

/* do_set_pte() page by page until 6.5, set_pte_range() since. */
static void test_fault_around(void **state)
{
	static const struct { const char *policy; unsigned int calls; } kernels[] = {
		{ "linux-5.10", 16 }, { "linux-6.1", 16 }, { "linux-6.6", 1 }, { "linux-6.8", 1 },
	};
	struct rf_machine *machine;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		machine = map_around(kernels[i].policy, 4);
		assert_int_equal(calls_of(machine, ARCH_HELPER_set_ptes), kernels[i].calls);
		assert_int_equal(counted(machine, RF_ROW_fault_file).pte_stores, 16);
	}
}

/* arch_wants_old_prefaulted_pte() since 5.12: MADV_COLD finds nothing to do; before, 16 young entries. */
static void test_prefault_old(void **state)
{
	static const struct { const char *policy; unsigned int changed; } kernels[] = {
		{ "linux-5.10", 16 }, { "linux-5.15", 0 }, { "linux-6.8", 0 }, { "x86-5.15", 16 },
	};
	struct rf_machine *machine;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		machine = map_around(kernels[i].policy, 0);
		run(machine, .kind = RF_OP_MADV_COLD, .addr = FILE_AT, .end = FILE_AT + K(64));
		assert_int_equal(counted(machine, RF_ROW_madv_cold).pte_stores, kernels[i].changed);
	}
}

/* ---- through the reverse map ---- */

static struct rf_machine *migrate(const char *policy, const char *knobs)
{
	struct rf_machine *machine = machine_with(policy, knobs);

	map_anon(machine, 0, BASE, K(64));
	fault_anon(machine, 0, BASE, K(64), 0, PFN);
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE, .nr = 16, .pfn = PFN,
	    .flags = RF_OP_ANON | RF_OP_DEFERRED);
	run(machine, .kind = RF_OP_RECLAIM_FLUSH);
	return machine;
}

/*
 * try_to_migrate_one() of 6.1: ptep_clear_flush() of each, dsb ishst and dsb ish. Since 6.3, where reclaim defers: dsb
 * ishst of each, and one dsb ish at try_to_unmap_flush().
 */
static void test_migrate_defer(void **state)
{
	assert_int_equal(counted(migrate("linux-6.1", ""), RF_ROW_migrate).dsb, 32);
	assert_int_equal(counted(migrate("linux-6.1", "defer_unmap_flush=true"), RF_ROW_migrate).dsb, 32);
	assert_int_equal(counted(migrate("linux-6.1", "defer_unmap_flush=true"), RF_ROW_reclaim_flush).dsb, 0);
	assert_int_equal(counted(migrate("linux-6.6", ""), RF_ROW_migrate).dsb, 16);
	assert_int_equal(counted(migrate("linux-6.6", ""), RF_ROW_reclaim_flush).dsb, 1);
}

static struct arch_counters unmap_now(const char *policy)
{
	struct rf_machine *machine = machine_with(policy, "");

	map_anon(machine, 0, BASE, K(64));
	fault_anon(machine, 0, BASE, K(8), 0, PFN);
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = BASE, .nr = 2, .pfn = 7, .flags = RF_OP_ANON);
	return counted(machine, RF_ROW_unmap_swap);
}

/* try_to_unmap_one(): ptep_clear_flush() of the last level; since 6.15 flush_tlb_range(). */
static void test_unmap_flush(void **state)
{
	assert_int_equal(unmap_now("linux-6.12").tlbi_walk, 0);
	assert_int_equal(unmap_now("linux-6.12").tlbi, 2);
	assert_int_equal(unmap_now("linux-6.17").tlbi_walk, 2);
	assert_int_equal(unmap_now("linux-6.17").tlbi, 2);
}

static u64 swap_batch_reads(const char *policy)
{
	struct rf_machine *machine = machine_with(policy, "");
	u64 reads;

	map_anon(machine, 0, BASE, K(64));
	fault_anon(machine, 0, BASE, K(64), 4, PFN);
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = BASE, .nr = 16, .pfn = 0x40, .order = 4, .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = BASE, .end = BASE + K(64));
	reads = rf_machine_stats(machine)->readers[RF_SITE_swap_batch].calls;
	assert_int_equal(counted(machine, RF_ROW_zap_dontneed).ptep_get, 16);
	return reads;
}

/* free_swap_and_cache_nr() since 6.10: the walk reads the first of 16 entries, swap_pte_batch() the others. */
static void test_batch_swap(void **state)
{
	assert_int_equal(swap_batch_reads("linux-6.9"), 0);
	assert_int_equal(swap_batch_reads("linux-6.12"), 15);
}

static u64 collapse(const char *policy)
{
	struct rf_machine *machine = machine_with(policy, "");
	u64 calls;

	map_anon(machine, 0, BASE, M(2));
	fault_anon(machine, 0, BASE, M(2), 4, PFN);
	run(machine, .kind = RF_OP_COLLAPSE, .addr = BASE, .nr = 512, .pfn = PFN + 0x1000, .order = 9);
	calls = calls_of(machine, ARCH_HELPER_clear_full_ptes);
	rf_machine_destroy(machine);
	return calls;
}

/* __collapse_huge_page_copy_succeeded() clears run by run since 6.17: 32 folios. */
static void test_batch_collapse(void **state)
{
	assert_int_equal(collapse("linux-6.12"), 0);
	assert_int_equal(collapse("linux-6.17"), 32);
	assert_int_equal(collapse("linux-7.2"), 32);
}

/* ---- hugetlb ---- */

static struct arch_counters fault_huge(const char *policy, const char *knobs, unsigned int order)
{
	struct rf_machine *machine = machine_with(policy, knobs);

	run(machine, .kind = RF_OP_MAP, .addr = G(6), .end = G(6) + M(32),
	    .vm_flags = RW | RF_VM_SHARED | RF_VM_HUGETLB, .file = 3);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .addr = G(6), .order = order, .flags = RF_OP_WRITE);
	return counted(machine, RF_ROW_fault_hugetlb);
}

/*
 * set_huge_pte_at() of 64K, 16 entries that were none: cleared and flushed before 6.16, since then one look more and
 * neither. 32M without range TLBI: 8192 pages are too many for flush_tlb_range(), 16 steps of 2M are not.
 */
static void test_hugetlb(void **state)
{
	struct arch_counters old = fault_huge("linux-6.12", "", 16), new = fault_huge("linux-6.17", "", 16);

	assert_int_equal(old.flush_calls, 1);
	assert_int_equal(old.pte_atomics, 16);
	assert_int_equal(old.tlbi_walk, 1);
	assert_int_equal(new.flush_calls, 0);
	assert_int_equal(new.pte_atomics, 0);
	assert_int_equal(new.pte_stores, 16);
	assert_int_equal(new.pte_loads, old.pte_loads + 1);
	old = fault_huge("linux-6.12", "tlbi=single", 25);
	new = fault_huge("linux-6.12", "tlbi=single hugetlb_flush=stride", 25);
	assert_int_equal(old.tlbi_asid, 1);
	assert_int_equal(new.tlbi_asid, 0);
	assert_int_equal(new.tlbi_va, 16);
	assert_int_equal(new.tlbi_walk, 0);
}

/* fork copies a huge zero page, whose fault has made an anon_vma; small ones, which have none, are faulted in again. */
static void test_fork_huge_zero(void **state)
{
	static const unsigned int orders[] = { 9, 0 };
	static const u64 tables[] = { 3, 0 };		/* of the PUD, of the PMD, and the one deposited for a split */

	for (int i = 0; i < 2; i++) {
		struct rf_machine *machine = machine_of("linux-7.3", "");

		run(machine, .kind = RF_OP_MM_NEW);
		map_anon(machine, 0, BASE, M(2));
		run(machine, .kind = RF_OP_FAULT_ZERO, .addr = BASE, .nr = 1u << orders[i], .pfn = PFN,
		    .order = orders[i]);
		run(machine, .kind = RF_OP_FORK, .mm2 = 1);
		assert_int_equal(rf_machine_stats(machine)->rows[RF_ROW_fork].tables_allocated, tables[i]);
		rf_machine_destroy(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mprotect_flush), cmocka_unit_test(test_mprotect_flush_of_what),
		cmocka_unit_test(test_pmd_split_dirty), cmocka_unit_test(test_pageout_young),
		cmocka_unit_test(test_write_upgrade), cmocka_unit_test(test_exec_prot_flush),
		cmocka_unit_test(test_move_pud), cmocka_unit_test(test_mremap_realign),
		cmocka_unit_test(test_fault_around), cmocka_unit_test(test_prefault_old),
		cmocka_unit_test(test_migrate_defer), cmocka_unit_test(test_unmap_flush),
		cmocka_unit_test(test_batch_swap), cmocka_unit_test(test_batch_collapse),
		cmocka_unit_test(test_hugetlb), cmocka_unit_test(test_fork_huge_zero),
	};

	return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
