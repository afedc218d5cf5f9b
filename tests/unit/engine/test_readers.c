// SPDX-License-Identifier: MIT
/*
 * What each place that reads entries loads: the reader rows of kernel-model.md 2.5, by accessed and dirty bits of a
 * folded block, and which places the norecency policies convert (5.2). The cost argument of the RFC, 16 x 18 loads
 * against 16, is GUP fast's first look at the pages of one block.
 */
#include "machine_script.h"

#define FILE_AT (BASE + M(64))

static const struct rf_reader_counters *reader(struct rf_machine *machine, enum rf_site site)
{
	return &rf_machine_stats(machine)->readers[site];
}

static void expect_reads(struct rf_machine *machine, enum rf_site site, u64 calls, u64 blocks, u64 loads)
{
	const struct rf_reader_counters *read = reader(machine, site);

	if (read->calls == calls && read->blocks == blocks && read->loads == loads)
		return;
	fail_msg("%s: %s: %llu calls, %llu of blocks, %llu loads; expected %llu, %llu, %llu",
		 rf_machine_policy(machine)->name, rf_site_names[site], (unsigned long long)read->calls,
		 (unsigned long long)read->blocks, (unsigned long long)read->loads, (unsigned long long)calls,
		 (unsigned long long)blocks, (unsigned long long)loads);
}

static void expect_all_add_up(struct rf_machine *machine)
{
	const struct rf_stats *stats = rf_machine_stats(machine);
	struct rf_reader_counters sum = { 0 };
	struct arch_counters totals;
	size_t site;

	rf_stats_totals(stats, &totals);
	for (site = 0; site < RF_NR_SITES; site++) {
		sum.calls += stats->readers[site].calls;
		sum.loads += stats->readers[site].loads;
		sum.lines += stats->readers[site].lines;
		assert_true(stats->readers[site].blocks <= stats->readers[site].calls);
	}
	assert_int_equal(sum.calls, totals.ptep_get + totals.ptep_get_lockless);
	assert_true(sum.loads <= totals.pte_loads);
	assert_true(sum.lines <= totals.pte_lines);
}

/* ---- one folded block, by its accessed and dirty bits ---- */

enum state { STATE_BOTH, STATE_NONE, STATE_YOUNG, STATE_DIRTY };

/* The address of a 64K folio whose entries are in that state. */
static u64 make_block(struct rf_machine *machine, enum state state)
{
	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(1));
	run(machine, .kind = RF_OP_MAP, .addr = FILE_AT, .end = FILE_AT + M(1), .vm_flags = RF_VM_READ, .file = 5);
	if (state == STATE_BOTH || state == STATE_DIRTY) {
		fault_anon(machine, 0, BASE, K(64), 4, PFN);
		if (state == STATE_DIRTY)
			run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE, .end = BASE + K(64));
		return BASE;
	}
	/* Only what the fault was for is young. */
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = FILE_AT, .nr = 16, .pfn = PFN + 0x100, .order = 4,
	    .aux = state == STATE_YOUNG ? FILE_AT : FILE_AT + K(128), .flags = RF_OP_FAULT_AROUND);
	return FILE_AT;
}

static void expect_walks(const char *policy, const char *knobs, enum state state, u64 locked, u64 lockless, u64 recheck)
{
	struct rf_machine *machine = machine_of(policy, knobs);
	u64 addr = make_block(machine, state), blocks = rf_machine_stats(machine)->live_blocks ? 16 : 0;

	run(machine, .kind = RF_OP_GUP_SLOW, .addr = addr, .end = addr + K(64));
	run(machine, .kind = RF_OP_GUP_FAST, .addr = addr, .end = addr + K(64));
	assert_int_equal(blocks, locked > 1 || lockless > 1 || recheck > 1 ? 16 : 0);
	expect_reads(machine, RF_SITE_gup_slow, 16, blocks, 16 * locked);
	expect_reads(machine, RF_SITE_gup_fast, 16, blocks, 16 * lockless);
	expect_reads(machine, RF_SITE_gup_fast_recheck, 16, blocks, 16 * recheck);
	expect_all_add_up(machine);
	rf_machine_destroy(machine);
}

static void test_walks_over_a_block(void **state)
{
	static const char *const gathering[] = { "contpte-v3", "linux-6.9", "linux-6.12" };
	static const enum state everywhere[] = { STATE_BOTH, STATE_NONE, STATE_YOUNG };
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(gathering); i++)
		for (k = 0; k < ARRAY_SIZE(everywhere); k++)
			expect_walks(gathering[i], "", everywhere[k], 17, 18, 17);	/* 288, and 560 in all */
	expect_walks("linux-6.12", "", STATE_DIRTY, 17, 18, 17);
	expect_walks("linux-6.8", "", STATE_BOTH, 1, 1, 1);

	/* 2.5, k: 2, 16, 16; dirty alone (C5): 17 */
	expect_walks("linux-7.3", "", STATE_BOTH, 3, 4, 4);
	expect_walks("linux-7.3", "", STATE_NONE, 17, 18, 18);
	expect_walks("linux-7.3", "", STATE_YOUNG, 17, 18, 18);
	expect_walks("linux-7.3", "", STATE_DIRTY, 18, 19, 19);
	expect_walks("linux-7.3", "gup_recheck=get", STATE_BOTH, 3, 4, 3);
}

static void test_lockless_policies(void **state)
{
	/* The RFC's 16; slow GUP needs dirty, so nobody converted it. */
	expect_walks("norecency-rfc", "", STATE_BOTH, 17, 1, 1);
	expect_walks("norecency-full", "", STATE_BOTH, 17, 1, 1);
	expect_walks("linux-7.3", "lockless=norecency", STATE_DIRTY, 18, 1, 1);
	expect_walks("linux-6.12", "lockless=unlocked_get", STATE_BOTH, 17, 17, 17);
	expect_walks("linux-6.12", "lockless=ptep_get", STATE_BOTH, 17, 17, 17);
	expect_walks("linux-7.3", "lockless=ptep_get", STATE_BOTH, 3, 3, 3);
	expect_walks("linux-6.12", "lockless=bounded lockless_tries=3", STATE_BOTH, 17, 18, 17);
	expect_walks("linux-6.12", "lockless=early getter=early", STATE_BOTH, 3, 4, 3);
	expect_walks("linux-6.12", "getter=raw", STATE_BOTH, 1, 18, 1);
}

/* ---- which places are converted ---- */

static void test_places_of_the_rfc(void **state)
{
	const u64 rfc = BIT_ULL(RF_SITE_fault_entry) | BIT_ULL(RF_SITE_pte_range_none) | BIT_ULL(RF_SITE_gup_fast) |
			BIT_ULL(RF_SITE_gup_fast_recheck) | BIT_ULL(RF_SITE_khugepaged_swapin) |
			BIT_ULL(RF_SITE_swap_readahead);

	/* Of 5.2 those that an operation stands for; perf, unuse and the others leave no trace. */
	assert_int_equal(rf_sites_of(RECENCY_RFC), rfc);
	assert_int_equal(rf_sites_of(RECENCY_NEEDED) & rf_sites_of(RECENCY_UNUSED), 0);
	assert_int_equal(rf_sites_of(RECENCY_NEEDED) | rf_sites_of(RECENCY_UNUSED) | rfc, BIT_ULL(RF_NR_SITES) - 1);
}

static void expect_cow(const char *policy, u32 mm, u64 first, u64 recheck)
{
	struct rf_machine *machine = machine_of(policy, "");
	u64 addr = make_block(machine, STATE_BOTH);

	run(machine, .kind = RF_OP_FORK, .mm2 = 1);
	run(machine, .kind = RF_OP_FAULT_COW, .mm = mm, .addr = addr + K(20), .pfn = PFN + 0x200,
	    .flags = RF_OP_WRITE);
	expect_reads(machine, RF_SITE_fault_entry, 1, 1, first);
	expect_reads(machine, RF_SITE_fault_recheck, 1, 1, recheck);
	expect_reads(machine, RF_SITE_do_wp_page, 1, 1, recheck);
	expect_reads(machine, RF_SITE_wp_page_copy, 1, 1, recheck);
	expect_all_add_up(machine);
	rf_machine_destroy(machine);
}

static void test_faults(void **state)
{
	expect_cow("linux-6.9", 0, 18, 17);
	expect_cow("linux-6.12", 1, 18, 17);
	expect_cow("linux-7.3", 0, 4, 3);
	expect_cow("linux-7.3", 1, 19, 18);	/* the child's entries are old */
	expect_cow("norecency-rfc", 1, 1, 17);
	expect_cow("norecency-full", 1, 1, 1);
}

/* ---- page_vma_mapped_walk(): without lock until it has found its first entry ---- */

static void expect_rmap_walk(const char *knobs, u64 unlocked, u64 lockless)
{
	struct rf_machine *machine = machine_of("linux-7.3", knobs);
	u64 addr = make_block(machine, STATE_BOTH);

	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = addr, .nr = 16, .pfn = 0x40, .order = 4, .flags = RF_OP_ANON);
	expect_reads(machine, RF_SITE_rmap_unlocked, 1, 1, unlocked);
	/* The first entry is checked under the lock, 15 are found and checked there. They are unfolded by then. */
	assert_int_equal(reader(machine, RF_SITE_rmap_locked)->calls, 31);
	assert_int_equal(reader(machine, RF_SITE_rmap_locked)->blocks, 1);
	assert_int_equal(rf_machine_stats(machine)->rows[RF_ROW_rmap_walk].ptep_get_lockless, lockless);
	expect_all_add_up(machine);
	rf_machine_destroy(machine);
}

static void test_reverse_map(void **state)
{
	expect_rmap_walk("", 4, 1);
	expect_rmap_walk("rmap_unlocked=get", 3, 0);
	expect_rmap_walk("lockless=norecency", 4, 1);	/* not one of the RFC's */
	expect_rmap_walk("locked=norecency", 1, 1);
}

/* A walk starts anew, without lock, in each table. */
static void test_reverse_map_of_two_tables(void **state)
{
	struct rf_machine *machine = machine_of("linux-7.3", "");

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(4));
	fault_anon(machine, 0, BASE + M(2) - K(16), K(32), 0, PFN);
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE + M(2) - K(16), .nr = 8, .pfn = PFN, .flags = RF_OP_ANON);
	expect_reads(machine, RF_SITE_rmap_unlocked, 2, 0, 2);
	expect_reads(machine, RF_SITE_rmap_locked, 14, 0, 14);
	rf_machine_destroy(machine);
}

/* ---- swap-in: the entries around it may be of a folded block ---- */

static void expect_readahead(const char *policy, const char *knobs, u64 calls, u64 blocks, u64 loads)
{
	struct rf_machine *machine = machine_of(policy, knobs);
	u64 addr = make_block(machine, STATE_BOTH) + K(64);

	fault_anon(machine, 0, addr, K(64), 0, PFN + 0x40);
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = addr, .nr = 16, .pfn = 0x40, .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_FAULT_SWAP, .addr = addr + K(8), .pfn = PFN + 0x80, .nr = 1);
	run(machine, .kind = RF_OP_FAULT_SWAP, .addr = addr + K(12), .pfn = PFN + 0x81, .nr = 1,
	    .flags = RF_OP_CACHED);
	expect_reads(machine, RF_SITE_swap_readahead, calls, blocks, loads);
	expect_all_add_up(machine);
	rf_machine_destroy(machine);
}

static void test_swap_readahead(void **state)
{
	expect_readahead("linux-6.12", "", 0, 0, 0);
	expect_readahead("linux-6.12", "swap_readahead=1", 0, 0, 0);
	/* 3 before, 4 behind: the first is the end of the block. */
	expect_readahead("linux-6.12", "swap_readahead=8", 8, 1, 18 + 7);
	expect_readahead("linux-7.3", "swap_readahead=8", 8, 1, 4 + 7);
	expect_readahead("norecency-rfc", "swap_readahead=8", 8, 1, 8);
	/* Clipped at the start of the VMA. */
	expect_readahead("linux-6.12", "swap_readahead=64", 18 + 33, 16, 16 * 18 + 35);
}

/* ---- khugepaged reads the whole table again and again ---- */

static void expect_collapse(const char *policy, u64 first, u64 swapin, u64 copy, u64 clears, u64 clear)
{
	struct rf_machine *machine = machine_of(policy, "");

	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(2));
	fault_anon(machine, 0, BASE, M(2), 4, PFN);
	if (swapin)
		run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(64), .nr = 16, .pfn = 0x40, .order = 4,
		    .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_COLLAPSE, .addr = BASE, .pfn = PFN + 0x1000, .order = 9);
	if (swapin) {
		expect_reads(machine, RF_SITE_khugepaged_scan, 512, 496, 496 * first + 16);
		expect_reads(machine, RF_SITE_khugepaged_swapin, 512, 496, 496 * swapin + 16);
	} else {
		expect_reads(machine, RF_SITE_khugepaged_scan, 512, 512, 512 * first);
		expect_reads(machine, RF_SITE_khugepaged_swapin, 0, 0, 0);
		expect_reads(machine, RF_SITE_khugepaged_isolate, 512, 512, 512 * first);
		expect_reads(machine, RF_SITE_khugepaged_copy, 512, 512, 512 * copy);
		/* One by one, the first of a block unfolds it. */
		expect_reads(machine, RF_SITE_khugepaged_clear, clears, 32, 32 * clear + clears - 32);
	}
	expect_all_add_up(machine);
	rf_machine_destroy(machine);
}

static void test_collapse(void **state)
{
	expect_collapse("linux-6.12", 17, 0, 17, 512, 17);
	expect_collapse("linux-7.3", 3, 0, 3, 32, 3);
	expect_collapse("norecency-full", 17, 0, 1, 512, 1);
	expect_collapse("linux-6.12", 17, 18, 0, 0, 0);
	expect_collapse("linux-7.3", 3, 4, 0, 0, 0);
	expect_collapse("norecency-rfc", 17, 1, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walks_over_a_block),
		cmocka_unit_test(test_lockless_policies),
		cmocka_unit_test(test_places_of_the_rfc),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_reverse_map),
		cmocka_unit_test(test_reverse_map_of_two_tables),
		cmocka_unit_test(test_swap_readahead),
		cmocka_unit_test(test_collapse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
