// SPDX-License-Identifier: MIT
/*
 * When x86 flushes: every line here was measured on a 6.18 kernel, one call at a time, as the tlb:tlb_flush events of
 * the calling CPU. What decides it is which entries are present, writable and dirty, and which tables exist, so this
 * tests the machine's picture of those.
 */
#include "machine_script.h"

#define AT(n) (BASE + (u64)(n) * 4096)
#define RWX (RW | RF_VM_EXEC)

static struct rf_machine *machine;
static u64 flushes_before;

static u64 flushes(void)
{
	struct arch_counters totals;
	u64 before = flushes_before;

	rf_stats_totals(rf_machine_stats(machine), &totals);
	flushes_before = totals.flush_calls;
	return totals.flush_calls - before;
}

#define assert_flushes(n) assert_int_equal(flushes(), n)

/* 64 anonymous pages, all written; far neighbours keep their table alive. */
static int setup(void **state)
{
	machine = machine_of("x86-6.18", "");
	flushes_before = 0;
	run(machine, .kind = RF_OP_MM_NEW);
	run(machine, .kind = RF_OP_MAP, .addr = BASE + M(2) - K(4), .end = BASE + M(2), .vm_flags = RF_VM_READ,
	    .file = 9);
	map_anon(machine, 0, BASE, K(256));
	fault_anon(machine, 0, BASE, K(256), 0, PFN);
	assert_flushes(0);
	return 0;
}

static int teardown(void **state)
{
	u64 anomalies = anomalies_of(machine);

	rf_machine_destroy(machine);
	return anomalies ? -1 : 0;
}

static void mprotect_to(u64 addr, u64 len, u16 prot)
{
	run(machine, .kind = RF_OP_MPROTECT, .addr = addr, .end = addr + len, .vm_flags = prot);
}

static bool writable(u64 addr)
{
	return pte_write(rf_machine_lookup(machine, 0, addr));
}

static void test_mprotect_anon(void **state)
{
	mprotect_to(BASE, K(64), RF_VM_READ);
	assert_flushes(1);
	assert_false(writable(BASE));
	mprotect_to(BASE, K(64), RW);	/* exclusive: write comes back at once, which x86 flushes */
	assert_flushes(1);
	assert_true(writable(BASE));
	mprotect_to(BASE, K(64), RWX);
	assert_flushes(1);
	mprotect_to(BASE, K(64), RW);
	assert_flushes(1);
	mprotect_to(BASE, K(64), 0);
	assert_flushes(1);
	mprotect_to(BASE, K(64), RW);	/* from PROT_NONE: nothing can be cached */
	assert_flushes(0);
	assert_true(writable(BASE));
	mprotect_to(BASE, K(64), RW);	/* no change at all */
	assert_flushes(0);
}

/* x86 waits with the flush of a page only if it may ask other CPUs for many at once. */
static void test_deferred_for_others(void **state)
{
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE, .nr = 16, .pfn = PFN,
	    .flags = RF_OP_ANON | RF_OP_DEFERRED);
	assert_flushes(16);
	run(machine, .kind = RF_OP_RECLAIM_FLUSH);
	assert_flushes(0);
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE + K(64), .nr = 16, .pfn = PFN + 16,
	    .flags = RF_OP_ANON | RF_OP_DEFERRED, .other_cpus = true);
	assert_flushes(0);
	run(machine, .kind = RF_OP_RECLAIM_FLUSH);
	assert_flushes(1);
}

/* Locked memory is never advised; MREMAP_DONTUNMAP unlocks what it leaves behind. */
static void test_dontunmap_unlocks(void **state)
{
	run(machine, .kind = RF_OP_VMA_FLAGS, .addr = BASE, .end = BASE + K(64), .vm_flags = RF_VM_LOCKED);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE, .end = BASE + K(64));
	assert_flushes(0);
	run(machine, .kind = RF_OP_MREMAP, .addr = BASE, .end = BASE + K(64), .addr2 = BASE + G(1), .nr = 16,
	    .flags = RF_OP_DONTUNMAP);
	assert_flushes(1);
	fault_anon(machine, 0, BASE, K(4), 0, PFN + 0x1000);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE, .end = BASE + K(64));
	assert_flushes(1);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE + G(1), .end = BASE + G(1) + K(64));
	assert_flushes(0);
}

static void test_unmap(void **state)
{
	map_anon(machine, 0, BASE + K(512), K(256));
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = BASE + K(512), .end = BASE + K(768));
	assert_flushes(0);		/* never touched */
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = AT(20), .end = AT(24));
	assert_flushes(1);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = AT(30), .end = AT(34));
	assert_flushes(1);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = AT(30), .end = AT(34));
	assert_flushes(0);
	/* Three VMAs, one gather: munmap(), and madvise() since 6.16. */
	mprotect_to(AT(42), K(8), RF_VM_READ);
	assert_flushes(1);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = AT(40), .end = AT(48));
	assert_flushes(1);
	mprotect_to(AT(52), K(8), RF_VM_READ);
	assert_flushes(1);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = AT(50), .end = AT(58));
	assert_flushes(1);
}

static void test_zero_page(void **state)
{
	int i;

	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = AT(30), .end = AT(34));
	assert_flushes(1);
	for (i = 30; i < 34; i++)
		run(machine, .kind = RF_OP_FAULT_ZERO, .addr = AT(i), .pfn = 1);
	mprotect_to(AT(30), K(16), RF_VM_READ);
	mprotect_to(AT(30), K(16), RW);
	assert_flushes(0);
	for (i = 30; i < 34; i++)
		run(machine, .kind = RF_OP_FAULT_COW, .addr = AT(i), .pfn = PFN + 1000 + i, .flags = RF_OP_WRITE);
	assert_flushes(4);
}

static void test_advice(void **state)
{
	run(machine, .kind = RF_OP_MADV_FREE, .addr = AT(34), .end = AT(38));
	assert_flushes(1);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = AT(40), .end = AT(44));
	assert_flushes(1);
}

static void test_fork_and_reuse(void **state)
{
	int i;

	run(machine, .kind = RF_OP_FORK, .mm2 = 1);
	assert_flushes(1);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	flushes();			/* an exit flushes or not, depending on lazy TLB mode */
	for (i = 44; i < 48; i++)
		run(machine, .kind = RF_OP_FAULT_REUSE, .addr = AT(i), .flags = RF_OP_WRITE);
	assert_flushes(0);
	mprotect_to(AT(48), K(16), RF_VM_READ);	/* read-only already, and not exclusive */
	mprotect_to(AT(48), K(16), RW);
	assert_flushes(0);
	assert_false(writable(AT(48)));
	run(machine, .kind = RF_OP_FAULT_COW, .addr = AT(60), .pfn = PFN + 2000, .flags = RF_OP_WRITE);
	assert_flushes(1);
}

static void test_mremap(void **state)
{
	run(machine, .kind = RF_OP_MREMAP, .addr = AT(52), .end = AT(54), .addr2 = BASE + M(1), .nr = 2);
	assert_flushes(1);
	map_anon(machine, 0, BASE + K(768), K(32));
	run(machine, .kind = RF_OP_MREMAP, .addr = BASE + K(768), .end = BASE + K(800), .addr2 = BASE + M(1) + K(64),
	    .nr = 8);
	assert_flushes(0);
	run(machine, .kind = RF_OP_MREMAP, .addr = AT(10), .end = AT(14), .addr2 = BASE + M(1) + K(256), .nr = 2);
	assert_flushes(2);		/* the tail is unmapped first */
	assert_int_equal(row_of(machine, RF_ROW_zap_mremap)->flush_calls, 1);
}

static void test_shared_anon(void **state)
{
	const u64 shared = BASE + M(1);
	int i;

	run(machine, .kind = RF_OP_MAP, .addr = shared, .end = shared + K(32), .file = 7,
	    .vm_flags = RW | RF_VM_SHARED | RF_VM_SHMEM);
	for (i = 0; i < 8; i++)
		run(machine, .kind = RF_OP_FAULT_FILE, .addr = shared + i * K(4), .aux = shared + i * K(4), .nr = 1,
		    .pfn = PFN + 3000 + i, .flags = RF_OP_WRITE | RF_OP_SHMEM | RF_OP_FIRST);
	mprotect_to(shared, K(32), RF_VM_READ);
	assert_flushes(1);
	mprotect_to(shared, K(32), RW);
	assert_flushes(1);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = shared, .end = shared + K(32));
	assert_flushes(1);
	assert_int_equal(row_of(machine, RF_ROW_zap_munmap)->forced_flushes, 1);	/* dirty: delayed rmap */
}

/*
 * Written by hardware alone: the two pages, in two tables, were only read. Each table is flushed while it is locked.
 * What may not be written is clean. told: the machine knew from the beginning what it is.
 */
static void unmap_shared_that_was_read(bool told, u16 vm_flags, u64 forced)
{
	const u64 start = BASE + M(8) - K(4), end = start + K(8);
	u64 before = row_of(machine, RF_ROW_zap_munmap)->forced_flushes;

	run(machine, .kind = RF_OP_MAP, .addr = start, .end = end, .file = 7,
	    .vm_flags = vm_flags | RF_VM_SHARED | (told ? RF_VM_SHMEM : 0));
	if (!told)
		run(machine, .kind = RF_OP_VMA_FLAGS, .addr = start, .end = end, .vm_flags = RF_VM_SHMEM);
	for (u64 addr = start; addr < end; addr += K(4))
		run(machine, .kind = RF_OP_FAULT_FILE, .addr = addr, .aux = addr, .nr = 1,
		    .pfn = PFN + 3000 + addr / K(4) % 2, .flags = RF_OP_SHMEM | RF_OP_FIRST);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = start, .end = end);
	assert_int_equal(row_of(machine, RF_ROW_zap_munmap)->forced_flushes - before, forced);
}

static void test_shared_that_was_read(void **state)
{
	unmap_shared_that_was_read(true, RW, 2);
	unmap_shared_that_was_read(false, RW, 2);
	unmap_shared_that_was_read(true, RF_VM_READ, 0);
}

static void test_private_file(void **state)
{
	const u64 file = BASE + M(1);

	run(machine, .kind = RF_OP_MAP, .addr = file, .end = file + K(16), .file = 5, .vm_flags = RF_VM_READ);
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = file, .aux = file, .nr = 4, .pfn = PFN + 4000, .order = 2,
	    .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
	mprotect_to(file, K(16), RW);	/* file pages stay read-only: nothing changes */
	assert_flushes(0);
	run(machine, .kind = RF_OP_FAULT_COW, .addr = file, .pfn = PFN + 5000, .flags = RF_OP_WRITE);
	assert_flushes(1);
	mprotect_to(file, K(16), RF_VM_READ);
	assert_flushes(1);
	mprotect_to(file, K(16), RF_VM_READ | RF_VM_EXEC);
	assert_flushes(1);
}

/* A table of its own: MADV_DONTNEED of all it maps frees it, so that munmap() has nothing left to flush. */
static void test_table_reclaim(void **state)
{
	const u64 own = BASE + M(4);

	map_anon(machine, 0, own, M(4));
	fault_anon(machine, 0, own, K(16), 0, PFN + 6000);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = own, .end = own + M(2));
	assert_flushes(1);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = own, .end = own + M(2));
	assert_flushes(0);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = own + M(2), .end = own + M(4));
	assert_flushes(0);
	/* Half of a table does not free it; the munmap that ends it flushes for the table alone. */
	map_anon(machine, 0, own, M(2));
	fault_anon(machine, 0, own, K(16), 0, PFN + 7000);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = own, .end = own + M(1));
	assert_flushes(1);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = own, .end = own + M(2));
	assert_flushes(1);
}

static void test_brk_and_fixed(void **state)
{
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_BRK, .addr = AT(56), .end = AT(64));
	assert_flushes(1);
	assert_int_equal(row_of(machine, RF_ROW_zap_brk)->flush_calls, 1);
	map_anon(machine, 0, AT(56), K(128));
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_BRK, .addr = AT(72), .end = AT(88));
	assert_flushes(0);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MMAP_FIXED, .addr = AT(0), .end = AT(8));
	assert_flushes(1);
	run(machine, .kind = RF_OP_MAP, .addr = AT(0), .end = AT(8), .vm_flags = RF_VM_READ, .pgoff = AT(0) >> 12);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MMAP_FIXED, .addr = AT(0), .end = AT(8));
	assert_flushes(0);
}

/* Seen in mprotect() from PROT_NONE of a threaded malloc, while another thread was in madvise(). */
static void test_nested_gather(void **state)
{
	map_anon(machine, 0, BASE + K(512), K(64));
	mprotect_to(BASE + K(512), K(64), 0);
	assert_flushes(0);
	run(machine, .kind = RF_OP_MPROTECT, .addr = BASE + K(512), .end = BASE + K(576), .vm_flags = RW,
	    .flags = RF_OP_NESTED);
	assert_flushes(1);
	assert_int_equal(row_of(machine, RF_ROW_mprotect)->tlbi_asid, 1);
	mprotect_to(BASE + K(512), K(64), 0);
	assert_flushes(0);
}

/* Argument pages at the top, then the stack moves down: one flush for the entries, one for the table left behind. */
static void test_exec(void **state)
{
	const u64 top = 0x7ffffffff000ull, moved = top - M(5) - K(44);

	run(machine, .kind = RF_OP_MM_NEW, .mm = 1);
	run(machine, .kind = RF_OP_MAP, .mm = 1, .addr = top - K(132), .end = top, .vm_flags = RW | RF_VM_GROWSDOWN,
	    .pgoff = (top - K(132)) >> 12);
	run(machine, .kind = RF_OP_FAULT_ANON, .mm = 1, .addr = top - K(4), .pfn = PFN + 8000, .flags = RF_OP_EXEC);
	run(machine, .kind = RF_OP_EXEC_STACK, .mm = 1, .addr = top - K(132), .end = top, .addr2 = moved);
	assert_flushes(2);
	assert_int_equal(row_of(machine, RF_ROW_exec)->flush_calls, 2);
	assert_int_equal(row_of(machine, RF_ROW_exec)->faults, 0);
	assert_int_equal(pte_pfn(rf_machine_lookup(machine, 1, moved - K(4))), PFN + 8000);
	assert_true(pte_none(rf_machine_lookup(machine, 1, top - K(4))));
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 0, .why = RF_WHY_EXEC);
	assert_int_equal(rf_machine_stats(machine)->operations[RF_ROW_zap_exec], 1);
}

/* A shared file's PMD, msync(): the leaf is written back as one, and stays one. */
static void test_mkclean_pmd(void **state)
{
	u64 addr = BASE + M(4);

	run(machine, .kind = RF_OP_MAP, .addr = addr, .end = addr + M(2), .vm_flags = RW | RF_VM_SHARED, .file = 7);
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = addr, .nr = 512, .pfn = 0x40000, .order = 9,
	    .flags = RF_OP_FIRST | RF_OP_WRITE);
	assert_flushes(0);
	run(machine, .kind = RF_OP_MKCLEAN, .addr = addr, .nr = 512, .pfn = 0x40000, .order = 9);
	assert_flushes(1);
	assert_false(writable(addr) || writable(addr + M(1)));
	assert_int_equal(pte_pfn(rf_machine_lookup(machine, 0, addr + M(1))), 0x40100);
	/* Clean: nothing to do. */
	run(machine, .kind = RF_OP_MKCLEAN, .addr = addr, .nr = 512, .pfn = 0x40000, .order = 9);
	assert_flushes(0);
}

static void count_huge(const char *policy, struct arch_counters *munmap, struct arch_counters *mprotect)
{
	struct rf_machine *m = machine_of(policy, "");
	struct arch_counters before;
	u64 addr = BASE + M(2);

	run(m, .kind = RF_OP_MM_NEW);
	map_anon(m, 0, addr, M(4));
	fault_anon(m, 0, addr, M(4), 9, PFN);
	rf_stats_totals(rf_machine_stats(m), &before);
	run(m, .kind = RF_OP_MPROTECT, .addr = addr, .end = addr + K(4), .vm_flags = RF_VM_READ);
	rf_stats_totals(rf_machine_stats(m), mprotect);
	assert_int_equal(before.flush_calls, 0);
	run(m, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = addr + M(2), .end = addr + M(4));
	rf_stats_totals(rf_machine_stats(m), munmap);
	rf_machine_destroy(m);
}

/* x86 has no flush of its own for a PMD: 512 pages, so everything. An mmu_gather has a stride, so one INVLPG. */
static void test_huge_page(void **state)
{
	struct arch_counters zap, split;

	count_huge("x86-7.3", &zap, &split);	/* the split, and the page that mprotect() changes */
	assert_int_equal(split.flush_calls, 2);
	assert_int_equal(split.tlbi_asid, 1);
	assert_int_equal(split.tlbi_va, 1);
	assert_int_equal(zap.tlbi_asid, 1);
	assert_int_equal(zap.tlbi_va, 2);
	count_huge("riscv-7.3", &zap, &split);
	assert_int_equal(split.tlbi_asid, 0);
	assert_int_equal(split.tlbi_va, 2);
	assert_int_equal(zap.tlbi_va, 3);
}

/* Nobody runs an address space that dies: a call, and an IPI where others may hold it lazily, but no instruction. */
static void test_exit(void **state)
{
	struct arch_counters before, after;

	rf_stats_totals(rf_machine_stats(machine), &before);
	run(machine, .kind = RF_OP_MM_EXIT, .why = RF_WHY_PROCESS_EXIT, .remote_cpus = true);
	rf_stats_totals(rf_machine_stats(machine), &after);
	assert_int_equal(after.flush_calls - before.flush_calls, 1);
	assert_int_equal(after.ipis - before.ipis, 1);
	assert_int_equal(after.tlbi, before.tlbi);
	/* The next one of its number lives. */
	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, K(64));
	fault_anon(machine, 0, BASE, K(64), 0, PFN);
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = BASE, .end = BASE + K(16));
	rf_stats_totals(rf_machine_stats(machine), &after);
	assert_int_equal(after.tlbi_va - before.tlbi_va, 4);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_mprotect_anon), test(test_dontunmap_unlocks), test(test_deferred_for_others),
		test(test_unmap), test(test_zero_page),
		test(test_advice),
		test(test_fork_and_reuse), test(test_mremap), test(test_shared_anon), test(test_shared_that_was_read),
		test(test_private_file),
		test(test_table_reclaim), test(test_brk_and_fixed), test(test_nested_gather),
		test(test_exec), test(test_mkclean_pmd),
		test(test_huge_page), test(test_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
