// SPDX-License-Identifier: MIT
/*
 * Recordings of small folios on machines that allocate their own: each rule of engine/allocation.h by an operation or
 * two, and what is counted of it.
 */
#include "machine_script.h"

static const struct rf_allocation_stats *stats_of(const struct rf_machine *machine)
{
	return &rf_machine_stats(machine)->allocation;
}

/* An mm 0 with len bytes of nothing yet. */
static struct rf_machine *begin(const char *policy, const char *knobs, u64 len)
{
	struct rf_machine *machine = machine_of(policy, knobs);

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, len);
	return machine;
}

static void write_page(struct rf_machine *machine, u32 mm, u64 addr)
{
	run(machine, .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = addr, .pfn = PFN + (addr >> 12),
	    .flags = RF_OP_WRITE);
}

static void copy_page(struct rf_machine *machine, u32 mm, u64 addr)
{
	run(machine, .kind = RF_OP_FAULT_COW, .mm = mm, .addr = addr, .pfn = 2 * PFN + (addr >> 12),
	    .flags = RF_OP_WRITE);
}

static void reuse_page(struct rf_machine *machine, u32 mm, u64 addr)
{
	run(machine, .kind = RF_OP_FAULT_REUSE, .mm = mm, .addr = addr, .flags = RF_OP_WRITE);
}

static pte_t entry(struct rf_machine *machine, u32 mm, u64 addr)
{
	return rf_machine_lookup(machine, mm, addr);
}

static unsigned int order_at(struct rf_machine *machine, u64 addr)
{
	pte_t pte = entry(machine, 0, addr);

	return pte_present(pte) ? pte_folio_order(pte) : 99;
}

static u64 operations(const struct rf_machine *machine, enum rf_row row)
{
	return rf_machine_stats(machine)->operations[row];
}

static void end(struct rf_machine *machine)
{
	assert_no_anomalies(machine);
	rf_machine_destroy(machine);
}

static void test_recorded_folios_by_default(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "", K(64));

	write_page(m, 0, BASE);
	assert_int_equal(order_at(m, BASE), 0);
	assert_int_equal(stats_of(m)->folios[0], 0);
	end(m);
}

/* The first of sixteen faults gets a folio, which is born folded; ten pages are never used. */
static void test_a_folio_absorbs_faults(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", K(64));

	for (u64 page = 5; page < 11; page++)
		write_page(m, 0, BASE + page * K(4));
	assert_int_equal(order_at(m, BASE), 4);
	assert_int_equal(operations(m, RF_ROW_fault_anon), 1);
	assert_int_equal(rf_machine_stats(m)->live_blocks, 1);
	assert_int_equal(stats_of(m)->folios[4], 1);
	assert_int_equal(stats_of(m)->faults_saved, 5);
	assert_int_equal(stats_of(m)->unused_pages, 10);
	end(m);
}

/* alloc_anon_folio(): aligned, within the VMA, over nothing; the largest that fits. */
static void test_where_a_folio_fits(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=16k+64k", K(120));

	write_page(m, 0, BASE + K(64));		/* 56K are left of the VMA: not 64K, but 16K */
	assert_int_equal(order_at(m, BASE + K(64)), 2);
	write_page(m, 0, BASE + K(116));	/* 8K are left behind the last 16K */
	assert_int_equal(order_at(m, BASE + K(116)), 0);
	write_page(m, 0, BASE);
	assert_int_equal(order_at(m, BASE + K(60)), 4);
	run(m, .kind = RF_OP_ZAP, .addr = BASE + K(16), .end = BASE + K(36), .why = RF_WHY_DONTNEED);
	write_page(m, 0, BASE + K(32));		/* its neighbours are there */
	assert_int_equal(order_at(m, BASE + K(32)), 0);
	write_page(m, 0, BASE + K(16));
	assert_int_equal(order_at(m, BASE + K(28)), 2);
	end(m);
}

static void test_all_sizes(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=all", M(3));

	write_page(m, 0, BASE + M(2));
	assert_int_equal(order_at(m, BASE + M(2)), 8);
	write_page(m, 0, BASE + K(4));
	assert_int_equal(order_at(m, BASE), 9);
	end(m);
}

/* The first brk() makes a VMA of its own above the bss: no folio lies across. */
static void test_heap_above_bss(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", K(24));

	run(m, .kind = RF_OP_MAP, .addr = BASE + K(24), .end = BASE + K(128), .vm_flags = RF_VM_READ | RF_VM_WRITE,
	    .pgoff = (BASE + K(24)) >> 12, .flags = RF_OP_EXCLUSIVE);
	write_page(m, 0, BASE + K(24));
	assert_int_equal(order_at(m, BASE + K(24)), 0);
	run(m, .kind = RF_OP_MAP, .addr = BASE + K(128), .end = BASE + K(136), .vm_flags = RF_VM_READ | RF_VM_WRITE,
	    .pgoff = (BASE + K(128)) >> 12);
	run(m, .kind = RF_OP_MAP, .addr = BASE + K(136), .end = BASE + K(192), .vm_flags = RF_VM_READ | RF_VM_WRITE,
	    .pgoff = (BASE + K(136)) >> 12);
	write_page(m, 0, BASE + K(140));
	assert_int_equal(order_at(m, BASE + K(128)), 4);
	end(m);
}

static void test_who_is_allowed(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k thp=madvise", K(192));

	run(m, .kind = RF_OP_VMA_FLAGS, .addr = BASE + K(64), .end = BASE + K(128), .vm_flags = RF_VM_HUGEPAGE);
	write_page(m, 0, BASE);
	write_page(m, 0, BASE + K(64));
	assert_int_equal(order_at(m, BASE), 0);
	assert_int_equal(order_at(m, BASE + K(64)), 4);
	rf_machine_destroy(m);
	m = begin("linux-7.3", "anon_folios=64k", K(192));
	run(m, .kind = RF_OP_VMA_FLAGS, .addr = BASE + K(64), .end = BASE + K(128), .vm_flags = RF_VM_NOHUGEPAGE);
	write_page(m, 0, BASE + K(64));
	assert_int_equal(order_at(m, BASE + K(64)), 0);
	end(m);
}

/* The child copies a page. The parent's is then nobody else's in the recording; the folio still is the child's, too. */
static void test_copies_after_fork(void **state)
{
	static const char *const policies[] = { "linux-6.12", "linux-7.3" };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct rf_machine *m = begin(policies[i], "anon_folios=64k", K(64));

		write_page(m, 0, BASE);
		run(m, .kind = RF_OP_FORK, .mm2 = 1);
		copy_page(m, 1, BASE);
		reuse_page(m, 0, BASE);
		assert_int_equal(operations(m, RF_ROW_reuse), 0);
		assert_int_equal(operations(m, RF_ROW_cow), 2);
		assert_int_equal(stats_of(m)->faults_changed, 1);
		/* The child has gone. 6.15 reuses what is left of the folio, before it was copied. */
		run(m, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
		write_page(m, 0, BASE + K(4));
		assert_int_equal(operations(m, RF_ROW_reuse), i);
		assert_true(pte_write(entry(m, 0, BASE + K(4))));
		assert_false(pte_write(entry(m, 0, BASE + K(8))));
		end(m);
	}
}

static void test_zero_pages(void **state)
{
	struct rf_machine *m = begin("linux-6.12", "anon_folios=64k", K(128));

	run(m, .kind = RF_OP_FAULT_ZERO, .addr = BASE, .pfn = 0x77);
	assert_true(entry(m, 0, BASE).val & PTE_SPECIAL);
	write_page(m, 0, BASE + K(4));		/* beside the zero page there is no room for 64K */
	assert_int_equal(order_at(m, BASE + K(4)), 0);
	copy_page(m, 0, BASE);
	assert_int_equal(order_at(m, BASE), 0);
	write_page(m, 0, BASE + K(64));
	run(m, .kind = RF_OP_FAULT_ZERO, .addr = BASE + K(68), .pfn = 0x77);
	copy_page(m, 0, BASE + K(68));
	assert_int_equal(stats_of(m)->faults_saved, 2);
	end(m);
}

/* do_huge_zero_wp_pmd() is of 6.13. */
static void test_huge_zero_page(void **state)
{
	static const char *const policies[] = { "linux-6.12", "linux-7.3" };
	static const unsigned int orders[] = { 0, 9 };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct rf_machine *m = begin(policies[i], "anon_folios=2m", M(2));

		run(m, .kind = RF_OP_FAULT_ZERO, .addr = BASE + K(8), .pfn = 0x77);
		run(m, .kind = RF_OP_FAULT_ZERO, .addr = BASE + K(12), .pfn = 0x77);
		assert_true(entry(m, 0, BASE).val & PTE_SPECIAL);
		assert_int_equal(stats_of(m)->faults_saved, 1);
		copy_page(m, 0, BASE + K(8));
		assert_int_equal(order_at(m, BASE + K(8)), orders[i]);
		end(m);
	}
}

/* A folio goes to swap with the first of its pages that was used, and comes back whole from zram since 6.12. */
static void swap_and_back(const char *policy, const char *knobs, unsigned int order)
{
	struct rf_machine *m = begin(policy, knobs, K(64));

	write_page(m, 0, BASE + K(8));
	write_page(m, 0, BASE + K(12));
	run(m, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(12), .nr = 1, .pfn = 0x500, .flags = RF_OP_ANON);
	assert_true(pte_present(entry(m, 0, BASE + K(8))));
	run(m, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(8), .nr = 1, .pfn = 0x501, .flags = RF_OP_ANON);
	for (u64 page = 0; page < 16; page++)
		assert_true(entry(m, 0, BASE + page * K(4)).val & PTE_SWAP);
	run(m, .kind = RF_OP_FAULT_SWAP, .addr = BASE + K(12), .nr = 1, .pfn = 0x900, .flags = RF_OP_WRITE);
	assert_int_equal(order_at(m, BASE + K(12)), order);
	assert_int_equal(order_at(m, BASE), order ? order : 99);
	assert_int_equal(stats_of(m)->unused_pages, 14);	/* what was used is so, wherever it is */
	assert_int_equal(stats_of(m)->refaults, 1u << order);
	run(m, .kind = RF_OP_FAULT_SWAP, .addr = BASE + K(8), .nr = 1, .pfn = 0x901, .flags = RF_OP_WRITE);
	assert_int_equal(stats_of(m)->unused_pages, 14);
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + K(4), .pfn = 0x902, .flags = RF_OP_WRITE);
	assert_int_equal(stats_of(m)->unused_pages, 13);
	end(m);
}

static void test_swap(void **state)
{
	swap_and_back("linux-6.12", "anon_folios=64k", 4);
	swap_and_back("linux-6.12", "anon_folios=64k swap_readahead=8", 0);
	swap_and_back("linux-6.9", "anon_folios=64k", 0);
}

static void test_migration(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", K(64));

	write_page(m, 0, BASE);
	write_page(m, 0, BASE + K(4));
	for (u64 page = 0; page < 2; page++)
		run(m, .kind = RF_OP_MIGRATE_OUT, .addr = BASE + page * K(4), .nr = 1, .pfn = PFN + page,
		    .flags = RF_OP_ANON);
	assert_true(entry(m, 0, BASE + K(60)).val & PTE_MIGRATION);
	for (u64 page = 0; page < 2; page++)
		run(m, .kind = RF_OP_MIGRATE_IN, .addr = BASE + page * K(4), .nr = 1, .pfn = 3 * PFN + page,
		    .flags = RF_OP_ANON | RF_OP_WRITE | RF_OP_EXCLUSIVE);
	assert_int_equal(order_at(m, BASE + K(60)), 4);
	end(m);
}

/* madvise() splits what its range holds in part. */
static void test_pageout_splits(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", K(192));

	for (u64 at = 0; at < K(192); at += K(64))
		write_page(m, 0, BASE + at);
	run(m, .kind = RF_OP_MADV_PAGEOUT, .addr = BASE + K(4), .end = BASE + K(132));
	assert_int_equal(order_at(m, BASE), 0);
	assert_int_equal(order_at(m, BASE + K(64)), 4);
	assert_int_equal(order_at(m, BASE + K(128)), 0);
	end(m);
}

/* What pages of a recorded huge page were used for nobody recorded. */
static void test_larger_than_allowed(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", M(2));

	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + K(4), .pfn = PFN, .order = 9, .flags = RF_OP_WRITE);
	assert_int_equal(order_at(m, BASE), 9);
	assert_int_equal(stats_of(m)->folios_kept, 1);
	assert_int_equal(stats_of(m)->unused_pages, 0);
	end(m);
}

/* 4K of the recording on pages of 16K, in folios of 64K. */
static void test_larger_pages(void **state)
{
	struct rf_machine *m = machine_of("linux-7.3", "granule=16k anon_folios=64k");

	assert_int_equal(rf_machine_recorded_pages(m, 12), 0);
	run(m, .kind = RF_OP_MM_NEW);
	map_anon(m, 0, BASE, M(1));
	for (u64 at = 0; at < M(1); at += K(4))
		run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + at, .pfn = PFN + (at >> 12), .flags = RF_OP_WRITE);
	assert_int_equal(order_at(m, BASE), 2);
	assert_int_equal(operations(m, RF_ROW_fault_anon), 16);
	end(m);
}

/* Ten of sixteen pages are never used, for a second; half a folio that goes leaves the rest; exit leaves nothing. */
static void test_memory(void **state)
{
	const u64 second = 1000000000;
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", K(128));
	const struct rf_allocation_stats *stats = stats_of(m);

	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .flags = RF_OP_WRITE, .time = second);
	assert_int_equal(stats->peak_unused_pages, 15);
	for (u64 page = 1; page < 6; page++)
		run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + page * K(4), .pfn = PFN + page, .flags = RF_OP_WRITE,
		    .time = second);
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + K(64), .pfn = PFN + 16, .flags = RF_OP_WRITE,
	    .time = 2 * second);
	assert_int_equal(stats->unused_time, 10 * second >> 10);
	assert_int_equal(stats->peak_unused_pages, 25);
	run(m, .kind = RF_OP_MUNMAP, .addr = BASE + K(32), .end = BASE + K(64), .why = RF_WHY_MUNMAP,
	    .time = 2 * second);
	assert_int_equal(stats->partly_unmapped, 1);
	run(m, .kind = RF_OP_FOLIO_SPLIT, .addr = BASE, .nr = 1, .time = 3 * second);	/* recorded: not of ours */
	assert_int_equal(stats->unused_time, 35 * second >> 10);
	run(m, .kind = RF_OP_MUNMAP, .addr = BASE, .end = BASE + K(32), .why = RF_WHY_MUNMAP, .time = 3 * second);
	run(m, .kind = RF_OP_MUNMAP, .addr = BASE + K(64), .end = BASE + K(128), .why = RF_WHY_MUNMAP,
	    .time = 4 * second);
	assert_int_equal(stats->unused_time, 50 * second >> 10);
	run(m, .kind = RF_OP_MM_EXIT, .why = RF_WHY_PROCESS_EXIT, .time = 9 * second);
	assert_int_equal(stats->unused_time, 50 * second >> 10);
	assert_int_equal(stats->partly_unmapped, 1);
	assert_int_equal(stats->peak_unused_pages, 25);
	assert_int_equal(stats->unused_pages, 25);
	end(m);
}

/* A forked child keeps the pages; a split frees those that nobody maps any more. */
static void test_memory_shared_and_split(void **state)
{
	const u64 second = 1000000000;
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k", K(64));
	const struct rf_allocation_stats *stats = stats_of(m);

	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .flags = RF_OP_WRITE, .time = second);
	run(m, .kind = RF_OP_FORK, .mm2 = 1, .time = second);
	run(m, .kind = RF_OP_ZAP, .addr = BASE + K(16), .end = BASE + K(64), .why = RF_WHY_DONTNEED, .time = second);
	assert_int_equal(stats->partly_unmapped, 0);
	run(m, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT, .time = 2 * second);
	assert_int_equal(stats->unused_time, 15 * second >> 10);
	assert_int_equal(stats->partly_unmapped, 1);
	end(m);
	m = begin("linux-7.3", "anon_folios=64k", K(64));
	stats = stats_of(m);
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = PFN, .flags = RF_OP_WRITE, .time = second);
	run(m, .kind = RF_OP_ZAP, .addr = BASE + K(16), .end = BASE + K(64), .why = RF_WHY_DONTNEED, .time = second);
	run(m, .kind = RF_OP_MADV_PAGEOUT, .addr = BASE + K(4), .end = BASE + K(16), .time = 2 * second);
	run(m, .kind = RF_OP_MM_EXIT, .why = RF_WHY_PROCESS_EXIT, .time = 3 * second);
	assert_int_equal(stats->unused_time, (15 + 3) * second >> 10);
	assert_int_equal(stats->folios_split, 1);
	end(m);
}

/* None is got of all; half of them by a lot that another number draws otherwise. */
static void test_allocations_fail(void **state)
{
	static const char *const knobs[] = { "anon_folios=64k alloc_fail=100", "anon_folios=64k alloc_fail=50",
					     "anon_folios=64k alloc_fail=50 alloc_seed=1", "anon_folios=64k alloc_fail=0",
					     "anon_folios=64k+128k alloc_fail=50" };
	u64 got[ARRAY_SIZE(knobs)], which[ARRAY_SIZE(knobs)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		struct rf_machine *m = begin("linux-7.3", knobs[i], M(4));

		for (u64 folio = 0; folio < 32; folio++) {
			write_page(m, 0, BASE + folio * K(128));
			which[i] |= (u64)(order_at(m, BASE + folio * K(128)) > 0) << folio;
		}
		got[i] = stats_of(m)->folios[4] + stats_of(m)->folios[5];
		assert_int_equal(stats_of(m)->folios[0] + got[i], 32);
		if (i < 4)
			assert_int_equal(stats_of(m)->failed, 32 - got[i]);
		else
			assert_true(stats_of(m)->folios[4] > 0 && stats_of(m)->folios[5] > 0);
		end(m);
	}
	assert_int_equal(got[0], 0);
	assert_true(got[1] > 8 && got[1] < 24);
	assert_true(which[1] != which[2]);
	assert_int_equal(got[3], 32);
	assert_true(got[4] > got[1]);
}

/* The recorded kernel got no 128K: nor does this one, until it gets one again. */
static void test_recorded_fragmentation(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k+256k fragmentation=recorded", M(2));

	run(m, .kind = RF_OP_ALLOC_FAILED, .nr = 5);
	write_page(m, 0, BASE);
	assert_int_equal(order_at(m, BASE), 4);
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + M(1), .pfn = PFN, .order = 4, .flags = RF_OP_WRITE);
	assert_int_equal(order_at(m, BASE + M(1)), 4);
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + M(1) + K(512), .pfn = PFN + 64, .order = 6,
	    .flags = RF_OP_WRITE);
	assert_int_equal(order_at(m, BASE + M(1) + K(512)), 6);
	write_page(m, 0, BASE + K(512));
	assert_int_equal(order_at(m, BASE + K(512)), 6);
	assert_int_equal(stats_of(m)->failed, 2);
	end(m);
}

/* A frame that the tracker made up, as the recording did not tell it, is as good as one that was recorded. */
static void test_invented_frames(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=64k thp=madvise", K(128));
	const u64 invented = 1ull << 39;

	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE, .pfn = invented + 16, .order = 4, .flags = RF_OP_WRITE);
	run(m, .kind = RF_OP_FAULT_ANON, .addr = BASE + K(64), .pfn = invented + 4096, .flags = RF_OP_WRITE);
	run(m, .kind = RF_OP_MADV_PAGEOUT, .addr = BASE + K(4), .end = BASE + K(128));
	run(m, .kind = RF_OP_FOLIO_SPLIT, .addr = BASE, .nr = 1);
	assert_int_equal(order_at(m, BASE), 0);
	for (u64 page = 1; page <= 16; page += 15)
		run(m, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + page * K(4), .nr = 1, .pfn = 0x500 + page,
		    .flags = RF_OP_ANON);
	assert_true(pte_present(entry(m, 0, BASE + K(8))));
	assert_int_equal(pte_pfn(entry(m, 0, BASE + K(64))), 0x510);
	assert_int_equal(stats_of(m)->folios_split, 0);
	end(m);
}

static void write_at(struct rf_machine *machine, u64 page, u64 ms)
{
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE + page * K(4), .pfn = PFN + page, .flags = RF_OP_WRITE,
	    .time = ms * 1000000);
}

/*
 * Two pages of 512 are there when the scan comes by. A collapse reads each entry four times (looked at, isolated,
 * copied, cleared), and ptep_get_and_clear() once more what is there, whether it is in a block: 2,050 loads; two pages
 * are copied, 510 cleared; the table is flushed. A scan stops at the first empty entry too many: the 510th of them is
 * the last of the table, the 509th the last but one, or the last when one more page is there.
 */
static void test_khugepaged(void **state)
{
	static const struct { const char *knobs; u64 collapses, loads, flushes, copied, unused; } cases[] = {
		{ "anon_folios=2m alloc_fail=100 khugepaged=1 max_ptes_none=510", 1, 2050, 1, 2, 508 },
		{ "anon_folios=2m alloc_fail=100 khugepaged=1 max_ptes_none=509", 1, 512 + 2051, 1, 3, 508 },
		{ "anon_folios=2m alloc_fail=100 khugepaged=1 max_ptes_none=508", 0, 511 + 512, 0, 0, 0 },
		{ "anon_folios=2m alloc_fail=100 khugepaged=6 max_ptes_none=510", 0, 0, 0, 0, 0 },
		{ "anon_folios=64k alloc_fail=100 khugepaged=1 max_ptes_none=510", 0, 0, 0, 0, 0 },
		{ "anon_folios=2m alloc_fail=100 max_ptes_none=510", 0, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rf_machine *m = begin("linux-7.3", cases[i].knobs, M(2));
		const struct arch_counters *row = &rf_machine_stats(m)->rows[RF_ROW_collapse];

		write_at(m, 0, 1);
		write_at(m, 1, 1);
		write_at(m, 5, 3);
		write_at(m, 6, 5);
		assert_int_equal(operations(m, RF_ROW_collapse), cases[i].collapses);
		assert_int_equal(order_at(m, BASE), cases[i].collapses ? 9 : 0);
		assert_int_equal(row->pte_loads, cases[i].loads);
		assert_int_equal(row->flush_calls, cases[i].flushes);
		assert_int_equal(row->pages_copied, cases[i].copied);
		assert_int_equal(stats_of(m)->unused_pages, cases[i].unused);
		assert_int_equal(stats_of(m)->folios[9], cases[i].collapses);
		run(m, .kind = RF_OP_MM_EXIT, .why = RF_WHY_PROCESS_EXIT, .time = 5000000);
		end(m);
	}
}

/* What is in swap is left, and what MADV_NOHUGEPAGE is for. */
static void test_khugepaged_leaves(void **state)
{
	struct rf_machine *m = begin("linux-7.3", "anon_folios=2m alloc_fail=100 khugepaged=1 max_ptes_none=511", M(4));

	write_at(m, 0, 1);
	write_at(m, 1, 1);
	run(m, .kind = RF_OP_UNMAP_SWAP, .addr = BASE, .nr = 1, .pfn = 0x500, .flags = RF_OP_ANON, .time = 1000000);
	run(m, .kind = RF_OP_VMA_FLAGS, .addr = BASE + M(2), .end = BASE + M(4), .vm_flags = RF_VM_NOHUGEPAGE,
	    .time = 1000000);
	write_at(m, 512, 1);
	write_at(m, 513, 9);
	assert_int_equal(operations(m, RF_ROW_collapse), 0);
	assert_int_equal(rf_machine_stats(m)->rows[RF_ROW_collapse].pte_loads, 1);
	run(m, .kind = RF_OP_FAULT_SWAP, .addr = BASE, .nr = 1, .pfn = 0x900, .flags = RF_OP_WRITE, .time = 9000000);
	write_at(m, 514, 20);
	assert_int_equal(order_at(m, BASE), 9);
	assert_int_equal(order_at(m, BASE + M(2)), 0);
	end(m);
}

static void test_names(void **state)
{
	struct rf_policy policy = *rf_policy_find("linux-7.3");
	struct rf_error err;
	char value[80];

	assert_int_equal(rf_policy_set(&policy, "anon_folios", "2m+64k", &err), 0);
	assert_true(rf_policy_value(&policy, "anon_folios", value, sizeof(value)));
	assert_string_equal(value, "64k+2m");
	assert_int_equal(rf_policy_set(&policy, "anon_folios", "recorded", &err), 0);
	assert_int_equal(policy.mm.anon_folios, 0);
	assert_true(rf_policy_set(&policy, "anon_folios", "64k+recorded", &err) < 0);
	assert_true(rf_policy_set(&policy, "anon_folios", "8k", &err) < 0);
	assert_true(rf_policy_set(&policy, "anon_folios", "64k+", &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_folios_by_default),
		cmocka_unit_test(test_a_folio_absorbs_faults),
		cmocka_unit_test(test_where_a_folio_fits),
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_heap_above_bss),
		cmocka_unit_test(test_who_is_allowed),
		cmocka_unit_test(test_copies_after_fork),
		cmocka_unit_test(test_zero_pages),
		cmocka_unit_test(test_huge_zero_page),
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_migration),
		cmocka_unit_test(test_pageout_splits),
		cmocka_unit_test(test_larger_than_allowed),
		cmocka_unit_test(test_larger_pages),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_memory_shared_and_split),
		cmocka_unit_test(test_allocations_fail),
		cmocka_unit_test(test_recorded_fragmentation),
		cmocka_unit_test(test_invented_frames),
		cmocka_unit_test(test_khugepaged),
		cmocka_unit_test(test_khugepaged_leaves),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
