// SPDX-License-Identifier: MIT
/* madvise() that reclaims or splits: where its walk stood when pages went, and where it took its lock again. */
#include "tests/unit/replay/tracking_text.h"

/* Pages 511 and 512 of process 100: the last of one page table, the first of the next. */
#define TWO_TABLES                                                                                            \
	"10 tid=100 fault addr=0x4000001ff000 flags=0x2\n"                                                    \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                                  \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"                                               \
	"13 tid=100 fault addr=0x400000200000 flags=0x2\n"                                                    \
	"14 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"                                                  \
	"15 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"

/* A folio of 16 pages at page 16. */
#define FOLIO                                                                                                 \
	"10 tid=100 fault addr=0x400000010000 flags=0x2\n"                                                    \
	"11 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"                                                  \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=16\n"

static void pageout_goes_table_by_table(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" TWO_TABLES
		"20 tid=100 madvise addr=0x4000001fe000 len=0x4000 advice=21\n"
		"21 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=2 pages=1\n"
		"24 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"25 tid=100 rss_stat mm_id=9 curr=1 member=2 pages=2\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n"
		"23 tid=100 swap_write pfn=0x1000 flags=0\n"
		"26 tid=100 swap_write pfn=0x1001 flags=0\n");
	(void)context;
	expect(r, "fault_anon 0 @511 nr=1 pfn=1000\n"
		  "fault_anon 0 @512 nr=1 pfn=1001\n"
		  "madv_pageout 0 @510-512\n"
		  "unmap_swap 0 @511 nr=1 pfn=1\n"
		  "reclaim_flush 0 dirty\n"
		  "reclaim_flush 0\n"
		  "madv_pageout 0 @512-514\n"
		  "unmap_swap 0 @512 nr=1 pfn=2\n"
		  "reclaim_flush 0 dirty\n"
		  "reclaim_flush 0\n");
}

/* It is marked that the moment of it is not known. */
#define FORK                                                                                                  \
	"5 tid=100 clone flags=0x11\n"                                                                        \
	"7 tid=100 newtask child=200 flags=0x0\n"                                                             \
	"8 tid=100 sys_ret call=26 ret=200\n"

/* process_madvise() of a parent by its child: two pieces, each a walk. The second page is kept: no record tells it. */
static void pages_of_another_go_piece_by_piece(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		FORK
		TWO_TABLES
		"20 tid=200 process_madvise pidfd=3 vec=0x1000 vlen=2 advice=21\n"
		"30 tid=200 sys_ret call=28 ret=0x3000\n"
		"frame stream=2\n"
		"21 tid=200 rss_stat mm_id=9 curr=0 member=1 pages=1\n"
		"22 tid=200 rss_stat mm_id=9 curr=0 member=2 pages=1\n"
		"23 tid=200 swap_write pfn=0x1000 flags=0\n"
		"24 tid=200 rss_stat mm_id=9 curr=0 member=1 pages=0\n"
		"25 tid=200 rss_stat mm_id=9 curr=0 member=2 pages=2\n"
		"frame stream=4\n"
		"19 tid=200 call_data call=28 pid=100 w0=0x4000001fe000 w1=0x2000\n"
		"19 tid=200 call_data call=28 pid=100 w0=0x400000200000 w1=0x1000\n");
	(void)context;
	expect(r, "fork 0 child=1\n"
		  "fault_anon 0 @511 nr=1 pfn=1000\n"
		  "fault_anon 0 @512 nr=1 pfn=1001\n"
		  "madv_pageout 0 @510-512\n"
		  "unmap_swap 0 @511 nr=1 pfn=1\n"
		  "reclaim_flush 0 dirty\n"
		  "reclaim_flush 0\n"
		  "madv_pageout 0 @512-513\n"
		  "unmap_swap 0 @512 nr=1 pfn=2\n"
		  "reclaim_flush 0 dirty\n"
		  "reclaim_flush 0\n");
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* One page more than there is was swapped, which no record tells of: its place is not known. */
static void a_page_in_no_piece_marks(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		TWO_TABLES
		"20 tid=100 madvise addr=0x4000001fe000 len=0x2000 advice=21\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n"
		"21 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=2 pages=1\n"
		"23 tid=100 swap_write pfn=0x1000 flags=0\n"
		"24 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"25 tid=100 rss_stat mm_id=9 curr=1 member=2 pages=2\n");

	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* Less than all was done: of the piece that failed nobody knows how much. */
static void advice_that_ends_early_marks(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" TWO_TABLES
		"20 tid=100 process_madvise pidfd=3 vec=0x1000 vlen=2 advice=21\n"
		"30 tid=100 sys_ret call=28 ret=0x2000\n"
		"frame stream=4\n"
		"19 tid=100 call_data call=28 pid=100 w0=0x4000001fe000 w1=0x2000\n"
		"19 tid=100 call_data call=28 pid=100 w0=0x400000200000 w1=0x1000\n");

	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* Its accessed bits are cleared there, not here. */
static void another_is_called_cold(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		FORK
		"20 tid=200 process_madvise pidfd=3 vec=0x1000 vlen=1 advice=20\n"
		"30 tid=200 sys_ret call=28 ret=0x2000\n"
		"frame stream=4\n"
		"19 tid=200 call_data call=28 pid=100 w0=0x4000001fe000 w1=0x2000\n");

	(void)context;
	expect(r, "fork 0 child=1\n"
		  "madv_cold 0 @510-512\n");
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* kswapd at the same time says nothing about the walk. */
static void reclaim_by_others_does_not_move_the_walk(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" TWO_TABLES
		"20 tid=100 madvise addr=0x4000001fe000 len=0x4000 advice=21\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n"
		"21 tid=7 rss_stat mm_id=9 curr=0 member=1 pages=1\n"
		"22 tid=7 rss_stat mm_id=9 curr=0 member=2 pages=1\n"
		"23 tid=7 swap_write pfn=0x1000 flags=0\n");
	(void)context;
	expect(r, "fault_anon 0 @511 nr=1 pfn=1000\n"
		  "fault_anon 0 @512 nr=1 pfn=1001\n"
		  "unmap_swap 0 @511 nr=1 pfn=1\n"
		  "reclaim_flush 0 dirty\n"
		  "reclaim_flush 0\n"
		  "madv_pageout 0 @510-514\n");
}

#define SPLIT(tid)                                                                                            \
	"21 tid=" tid " migration_set addr=0x400000010000 pfn=0x2000 order=4 flags=0\n"                       \
	"22 tid=" tid " migration_set addr=0x400000011000 pfn=0x2001 order=4 flags=0\n"                       \
	"23 tid=" tid " migration_remove addr=0x400000010000 pfn=0x2000 order=0 flags=0x1\n"                  \
	"24 tid=" tid " migration_remove addr=0x400000011000 pfn=0x2001 order=0 flags=0x1\n"

/* The entry it read, the split, the lock taken again (an empty split), and on from the same entry. */
static void a_split_stops_the_walk(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" FOLIO
		"20 tid=100 madvise addr=0x400000010000 len=0x2000 advice=21\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n" SPLIT("100"));
	(void)context;
	expect(r, "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "madv_pageout 0 @16-17\n"
		  "migrate_out 0 @16 nr=2 pfn=2000 order=4\n"
		  "reclaim_flush 0\n"
		  "migrate_in 0 @16 nr=1 pfn=2000\n"
		  "migrate_in 0 @17 nr=1 pfn=2001\n"
		  "folio_split 0\n"
		  "madv_pageout 0 @16-18\n");
}

static void other_advice_takes_its_lock_again_too(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" FOLIO
		"20 tid=100 madvise addr=0x400000010000 len=0x2000 advice=20\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n" SPLIT("100"));
	(void)context;
	expect(r, "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "migrate_out 0 @16 nr=2 pfn=2000 order=4\n"
		  "reclaim_flush 0\n"
		  "migrate_in 0 @16 nr=1 pfn=2000\n"
		  "migrate_in 0 @17 nr=1 pfn=2001\n"
		  "folio_split 0\n"
		  "madv_cold 0 @16-18\n");
}

/* Compaction by another task: no lock of the advice's. */
static void migration_by_others_is_no_split(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" FOLIO
		"20 tid=100 madvise addr=0x400000010000 len=0x2000 advice=20\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n" SPLIT("7"));
	(void)context;
	expect(r, "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "migrate_out 0 @16 nr=2 pfn=2000 order=4\n"
		  "reclaim_flush 0\n"
		  "migrate_in 0 @16 nr=1 pfn=2000\n"
		  "migrate_in 0 @17 nr=1 pfn=2001\n"
		  "madv_cold 0 @16-18\n");
}

/*
 * Of the split pages two were never written and become the zero page. A folio that another thread maps meanwhile is in
 * the counter before the first of them is told: 16, 15 (not yet told), 31, told 31, told 15, 30.
 */
static void a_split_counts_pages_one_by_one(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" FOLIO
		"15 tid=100 newtask child=101 flags=0x10f00\n"
		"16 tid=101 fault addr=0x400000020000 flags=0x2\n"
		"17 tid=101 page_alloc pfn=0x3000 order=4 gfp=0x3\n"
		"20 tid=100 madvise addr=0x400000010000 len=0x1000 advice=8\n"
		"40 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n"
		"21 tid=100 migration_set addr=0x400000010000 pfn=0x2000 order=4 flags=0\n"
		"22 tid=100 migration_set addr=0x400000011000 pfn=0x2001 order=4 flags=0\n"
		"23 tid=100 migration_set addr=0x400000012000 pfn=0x2002 order=4 flags=0\n"
		"24 tid=100 migration_set addr=0x400000013000 pfn=0x2003 order=4 flags=0\n"
		"25 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=31\n"
		"26 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=15\n"
		"27 tid=100 migration_remove addr=0x400000011000 pfn=0x2001 order=0 flags=0x1\n"
		"28 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=30\n"
		"29 tid=100 migration_remove addr=0x400000013000 pfn=0x2003 order=0 flags=0x1\n");
	(void)context;
	expect(r, "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "migrate_out 0 @16 nr=1 pfn=2000 order=4\n"
		  "migrate_out 0 @17 nr=3 pfn=2001 order=4\n"
		  "fault_anon 0 @32 nr=16 pfn=3000 order=4\n"
		  "migrate_in 0 @16 nr=1 pfn=2000 order=4\n"
		  "reclaim_flush 0\n"
		  "migrate_in 0 @17 nr=1 pfn=2001\n"
		  "migrate_in 0 @18 nr=1 pfn=2002 order=4\n"
		  "migrate_in 0 @19 nr=1 pfn=2003\n"
		  "folio_split 0\n"
		  "madv_free 0 @16-17\n");
}

/* A folio mapped by a PMD is split by freezing it: its entries come back without ever having left. */
static void entries_that_come_back_tell_of_a_huge_split(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000200000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x2000 order=9 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=512\n"
		"20 tid=100 madvise addr=0x400000200000 len=0x1000 advice=8\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=2\n"
		"21 tid=100 migration_remove addr=0x400000200000 pfn=0x2000 order=0 flags=0x1\n"
		"22 tid=100 migration_remove addr=0x400000201000 pfn=0x2001 order=0 flags=0x1\n");
	(void)context;
	expect(r, "fault_anon 0 @512 nr=512 pfn=2000 order=9\n"
		  "folio_split 0 @512 nr=512 pfn=2000\n"
		  "madv_free 0 @512-513\n");
	assert_int_equal(r->fidelity.inferred.folio_split, 1);
}

/* RCU frees a page of the kernel's (0x9000) amid the reclaim of two of a file: one flush is for both. */
static void an_interrupt_frees_too(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mmap addr=0 len=0x2000 prot=0x1 flags=0x2 fd=3 offset=0\n"
		"12 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"13 tid=100 fault addr=0x400002000000 flags=0x0\n"
		"14 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=2\n"
		"15 tid=100 map_pages dev=0x100 ino=5 index=0 last=15\n"
		"20 tid=100 madvise addr=0x400002000000 len=0x2000 advice=21\n"
		"21 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=1\n"
		"22 tid=100 cache_delete dev=0x100 ino=5 index=0 pfn=0x7000 order=0\n"
		"23 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=0\n"
		"24 tid=100 page_free pfn=0x9000 order=0\n"
		"25 tid=100 cache_delete dev=0x100 ino=5 index=1 pfn=0x7001 order=0\n"
		"26 tid=100 page_free pfn=0x7000 order=0\n"
		"27 tid=100 page_free pfn=0x7001 order=0\n"
		"30 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=3\n"
		"11 tid=100 mmap2 addr=0x400002000000 len=0x2000 pgoff=0 dev=0x100 ino=5 flags=0x1\n"
		"frame stream=2\n"
		"5 tid=7 cache_add dev=0x100 ino=5 index=0 pfn=0x7000 order=0\n"
		"6 tid=7 cache_add dev=0x100 ino=5 index=1 pfn=0x7001 order=0\n");
	(void)context;
	expect(r, "map 0 @8192-8194\n"
		  "fault_file 0 @8192 nr=1 pfn=7000\n"
		  "fault_file 0 @8193 nr=1 pfn=7001\n"
		  "madv_pageout 0 @8192-8194\n"
		  "unmap_file 0 @8192 nr=1 pfn=7000\n"
		  "unmap_file 0 @8193 nr=1 pfn=7001\n"
		  "reclaim_flush 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pageout_goes_table_by_table),
		cmocka_unit_test(pages_of_another_go_piece_by_piece),
		cmocka_unit_test(a_page_in_no_piece_marks),
		cmocka_unit_test(advice_that_ends_early_marks),
		cmocka_unit_test(another_is_called_cold),
		cmocka_unit_test(reclaim_by_others_does_not_move_the_walk),
		cmocka_unit_test(a_split_stops_the_walk),
		cmocka_unit_test(other_advice_takes_its_lock_again_too),
		cmocka_unit_test(migration_by_others_is_no_split),
		cmocka_unit_test(a_split_counts_pages_one_by_one),
		cmocka_unit_test(entries_that_come_back_tell_of_a_huge_split),
		cmocka_unit_test(an_interrupt_frees_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
