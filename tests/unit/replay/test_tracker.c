// SPDX-License-Identifier: MIT
/* The tracker, one rule at a time: a few records, the operations they must become, and what fidelity must say. */
#include "tests/unit/replay/tracking_text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "traces/merge.h"

static void anonymous_faults(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		/* A page; a folio of 16; a read; a copy of the zero page; one write to it more. */
		"10 tid=100 fault addr=0x400000001008 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 fault addr=0x400000015000 flags=0x2\n"
		"21 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=17\n"
		"30 tid=100 fault addr=0x400000030000 flags=0x0\n"
		"40 tid=100 fault addr=0x400000030000 flags=0x3\n"
		"41 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"42 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=18\n"
		"50 tid=100 fault addr=0x400000200000 flags=0x4\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "fault_zero 0 @48 nr=1\n"
		  "fault_cow 0 @48 nr=1 pfn=1001\n"
		  "fault_zero 0 @512 nr=1\n");
	assert_int_equal(r->fidelity.fault_checks_ok, 5);
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_int_equal(r->fidelity.inferred.zero_page, 2);
}

/* Exceptions: what the kernel touches with faults disabled comes again; what a program does twice was a fault. */
static void faults_while_disabled(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001008 flags=0x6\n"
		"11 tid=100 fault addr=0x400000001008 flags=0x6\n"
		"12 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"13 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 fault addr=0x400000002008 flags=0x2\n"
		"21 tid=100 fault addr=0x400000002008 flags=0x2\n"
		"22 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"23 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30 tid=100 fault addr=0x400000003008 flags=0x6\n"
		"31 tid=100 fault addr=0x400000003008 flags=0x2\n"
		"32 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"33 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=3\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_none 0 @2\n"
		  "fault_anon 0 @2 nr=1 pfn=1001\n"
		  "fault_none 0 @3\n"
		  "fault_anon 0 @3 nr=1 pfn=1002\n");
}

/* Perf copies what is above the stack pointer, also pages that nobody ever touched: refused, and not tried again. */
static void faults_of_stack_copies(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"12 tid=100 fault addr=0x400000001000 flags=0x4\n"
		"13 tid=100 mmap len=0x1000 prot=0x3 flags=0x22 fd=-1\n"
		"14 tid=100 sys_ret call=16 ret=0x400100000000\n"
		"20 tid=100 fault addr=0x400000002000 flags=0x4\n"	/* no stack is being copied any more: write() */
		"32 tid=101 fault addr=0x400000003000 flags=0x4\n"	/* another thread's */
		"33 tid=100 fault addr=0x400000004000 flags=0x6\n"	/* it writes */
		"34 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"35 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"4000000 tid=100 fault addr=0x400000005000 flags=0x4\n"	/* the call's record was lost */
		"frame stream=1\n"
		"11 tid=100 call_stack call=16 stack=0\n"
		"31 tid=100 call_stack call=16 stack=0\n");

	(void)context;
	expect(r, "map 0 @1048576-1048577\n"
		  "fault_zero 0 @2 nr=1\n"
		  "fault_anon 0 @4 nr=1 pfn=1002\n"
		  "fault_zero 0 @5 nr=1\n"
		  "fault_zero 0 @3 nr=1\n");
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

static void a_wrong_fault_is_counted(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 fault addr=0x400000002000 flags=0x3\n"	/* present, says the hardware */
		"300000 tid=100 fault addr=0x400000001000 flags=0x2\n");	/* not present, it says, long after */
	(void)context;
	assert_int_equal(r->fidelity.fault_checks_ok, 1);
	assert_int_equal(r->fidelity.fault_checks_bad, 2);
}

static void faults_without_error_code(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x10\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 fault addr=0x400000002000 flags=0x10\n"
		"30 tid=100 fault addr=0x400000002000 flags=0x10\n"
		"31 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_zero 0 @2 nr=1\n"
		  "fault_cow 0 @2 nr=1 pfn=1001\n");
	assert_int_equal(r->fidelity.fault_checks_ok + r->fidelity.fault_checks_bad, 0);
}

/* A fault behind the end of a file of a disk is SIGBUS; /dev/zero, on a file system of no disk, reads as zeroes. */
static void a_fault_behind_the_end_of_a_file_maps_nothing(void **context)
{
	static const char *const devices[] = { "0xfe00000", "0x6" };
	static const char *const said[] = {
		"map 0 @8192-8194\nfault_none 0 @8192\n",
		"map 0 @8192-8194\nfault_zero 0 @8192 nr=1\n",
	};
	char records[1024];

	(void)context;
	for (size_t i = 0; i < 2; i++) {
		snprintf(records, sizeof(records), ATTACHED "frame stream=0\n"
			 "10 tid=100 mmap addr=0 len=0x2000 prot=0x3 flags=0x2 fd=3 offset=0\n"
			 "12 tid=100 sys_ret call=16 ret=0x400002000000\n"
			 "13 tid=100 fault addr=0x400002000000 flags=0x0\n"
			 "20 tid=100 madvise addr=0x400000000000 len=0x1000 advice=0\n"
			 "frame stream=3\n"
			 "11 tid=100 mmap2 addr=0x400002000000 len=0x2000 pgoff=0 dev=%s ino=5 flags=0x3\n",
			 devices[i]);
		expect(track(records), said[i]);
	}
}

/* The range goes at the first RSS change, so a page mapped by another thread before the call returns stays. */
static void unmapping_is_in_time(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 madvise addr=0x400000000000 len=0x10000 advice=4\n"
		"21 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"40 tid=100 sys_ret call=20 ret=0\n"
		"50 tid=100 fault addr=0x400000001000 flags=0x3\n"
		"frame stream=1\n"
		"30 tid=101 fault addr=0x400000001000 flags=0x2\n"
		"31 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"32 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "zap 0 @0-16\n"
		  "fault_anon 0 @1 nr=1 pfn=1001\n"
		  "fault_none 0 @1\n");
}

/* A gather is open from the first RSS change of madvise() to its return: the first mprotect() is too early. */
static void a_gather_is_nested_in_another(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 madvise addr=0x400000000000 len=0x10000 advice=4\n"
		"30 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"40 tid=100 sys_ret call=20 ret=0\n"
		"frame stream=1\n"
		"21 tid=101 mprotect addr=0x400000100000 len=0x1000 prot=0x1 pkey=-1\n"
		"22 tid=101 sys_ret call=18 ret=0\n"
		"31 tid=101 mprotect addr=0x400000101000 len=0x1000 prot=0x1 pkey=-1\n"
		"32 tid=101 sys_ret call=18 ret=0\n"
		"41 tid=101 mprotect addr=0x400000102000 len=0x1000 prot=0x1 pkey=-1\n"
		"42 tid=101 sys_ret call=18 ret=0\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "mprotect 0 @256-257\n"
		  "zap 0 @0-16\n"
		  "mprotect 0 @257-258 nested\n"
		  "mprotect 0 @258-259\n");
}

/* The kernel's own flushes tell, whatever the other call is and where it stands: all is flushed, for little or none. */
static void a_flush_of_all_tells_of_a_nested_gather(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"20 tid=100 munmap addr=0x400000000000 len=0x10000\n"
		"90 tid=100 sys_ret call=17 ret=0\n"
		"frame stream=1\n"
		"21 tid=101 madvise addr=0x400000100000 len=0x200000 advice=4\n"
		"22 tid=101 tlb_flush reason=3 pages=-1\n"
		"23 tid=101 sys_ret call=20 ret=0\n"
		"31 tid=101 madvise addr=0x400000100000 len=0x200000 advice=4\n"
		"32 tid=101 sys_ret call=20 ret=0\n"
		"41 tid=101 fault addr=0x400000101000 flags=0x2\n"
		"42 tid=101 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"43 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"51 tid=101 mprotect addr=0x400000101000 len=0x1000 prot=0x1 pkey=-1\n"
		"52 tid=101 tlb_flush reason=3 pages=-1\n"
		"53 tid=101 sys_ret call=18 ret=0\n"
		"61 tid=101 madvise addr=0x400000101000 len=0x200000 advice=4\n"
		"62 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"63 tid=101 tlb_flush reason=3 pages=-1\n"		/* a table with it, maybe */
		"64 tid=101 sys_ret call=20 ret=0\n");

	(void)context;
	expect(r, "zap 0 @256-768 nested\n"
		  "zap 0 @256-768\n"
		  "fault_anon 0 @257 nr=1 pfn=1000\n"
		  "mprotect 0 @257-258 nested\n"
		  "zap 0 @257-769\n"
		  "munmap 0 @0-16\n");
}

static void mprotect_keeps_what_is_exclusive(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 mprotect addr=0x400000001000 len=0x2000 prot=0x1 pkey=-1\n"
		"21 tid=100 sys_ret call=18 ret=0\n"
		"22 tid=100 fault addr=0x400000001000 flags=0x3\n"	/* killed by it, or a handler helps */
		"30 tid=100 mprotect addr=0x400000001000 len=0x2000 prot=0x3 pkey=-1\n"
		"31 tid=100 sys_ret call=18 ret=0\n"
		"40 tid=100 mprotect addr=0x400000001000 len=0x2000 prot=0x1 pkey=-1\n"
		"41 tid=100 sys_ret call=18 ret=-22\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "mprotect 0 @1-3\n"
		  "fault_none 0 @1\n"
		  "mprotect 0 @1-3\n");
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

static void mremap_moves_and_grows(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 mremap addr=0x400000001000 old_len=0x2000 new_len=0x4000 flags=0x1 new_addr=0\n"
		"21 tid=100 sys_ret call=19 ret=0x400002000000\n"
		"30 tid=100 fault addr=0x400002000000 flags=0x1\n"	/* present at its new place */
		"40 tid=100 fault addr=0x400002003000 flags=0x2\n"	/* the part that is new */
		"41 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"42 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "mremap 0 @1-3 nr=4 to=8192\n"
		  "fault_none 0 @8192\n"
		  "fault_anon 0 @8195 nr=1 pfn=1001\n");
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

/* Out by reclaim in another task's context, in again as a new page; a second page is still cached and comes back. */
static void swap(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"13 tid=100 fault addr=0x400000002000 flags=0x2\n"
		"14 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"15 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"50 tid=100 page_free pfn=0x1000 order=0\n"
		"60 tid=100 fault addr=0x400000001000 flags=0x0\n"
		"61 tid=100 page_alloc pfn=0x3000 order=0 gfp=0x3\n"
		"62 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"63 tid=100 rss_stat mm_id=9 curr=1 member=2 pages=1\n"
		"70 tid=100 fault addr=0x400000002000 flags=0x2\n"
		"71 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"72 tid=100 rss_stat mm_id=9 curr=1 member=2 pages=0\n"
		"frame stream=2\n"
		"20 tid=7 rss_stat mm_id=9 curr=0 member=1 pages=1\n"
		"21 tid=7 rss_stat mm_id=9 curr=0 member=2 pages=1\n"
		"22 tid=7 swap_write pfn=0x1000 flags=0\n"
		"30 tid=7 rss_stat mm_id=9 curr=0 member=1 pages=0\n"
		"31 tid=7 rss_stat mm_id=9 curr=0 member=2 pages=2\n"
		"32 tid=7 swap_write pfn=0x1001 flags=0\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @2 nr=1 pfn=1001\n"
		  "unmap_swap 0 @1 nr=1 pfn=1\n"
		  "reclaim_flush 0 dirty\n"
		  "unmap_swap 0 @2 nr=1 pfn=2\n"
		  "reclaim_flush 0 dirty\n"
		  "reclaim_flush 0\n"
		  "fault_swap 0 @1 nr=1 pfn=3000\n"
		  "fault_swap 0 @2 nr=1 pfn=1001\n");
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_int_equal(r->fidelity.inferred.swap_in_from_cache, 1);
}

/* The kernel tells the order of the folio with its first page only. */
static void migration(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"20 tid=100 fault addr=0x400000010000 flags=0x2\n"
		"21 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=16\n"
		"90 tid=100 fault addr=0x400000010000 flags=0x3\n"
		"frame stream=2\n"
		"30 tid=7 migration_set addr=0x400000010000 pfn=0x2000 order=4 flags=0\n"
		"31 tid=7 migration_set addr=0x400000011000 pfn=0x2001 order=4 flags=0\n"
		"40 tid=7 migration_remove addr=0x400000010000 pfn=0x5000 order=4 flags=0x0\n"
		"41 tid=7 migration_remove addr=0x400000011000 pfn=0x5001 order=0 flags=0x1\n");
	(void)context;
	expect(r, "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "migrate_out 0 @16 nr=2 pfn=2000 order=4\n"
		  "reclaim_flush 0\n"
		  "migrate_in 0 @16 nr=1 pfn=5000 order=4\n"
		  "migrate_in 0 @17 nr=1 pfn=5001 order=4\n"
		  "fault_reuse 0 @16 nr=1\n");
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

/* The layout was taken at the end; index 2 was added during the recording, so it cannot have been mapped before. */
static void fault_around_over_a_rolled_back_layout(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mmap addr=0 len=0x10000 prot=0x1 flags=0x2 fd=3 offset=0\n"
		"12 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"20 tid=100 fault addr=0x400002000000 flags=0x0\n"
		"21 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=4\n"
		"22 tid=100 map_pages dev=0x100 ino=5 index=0 last=15\n"
		"30 tid=100 fault addr=0x400002002000 flags=0x0\n"
		"31 tid=100 filemap_fault dev=0x100 ino=5 index=2\n"
		"32 tid=100 page_alloc pfn=0x7002 order=0 gfp=0x3\n"
		"34 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=5\n"
		"40 tid=100 fault addr=0x400002001000 flags=0x1\n"
		"frame stream=2\n"
		"33 tid=100 cache_add dev=0x100 ino=5 index=2 pfn=0x7002 order=0\n"
		"frame stream=3\n"
		"11 tid=100 mmap2 addr=0x400002000000 len=0x10000 pgoff=0 dev=0x100 ino=5 flags=0x1\n"
		"frame stream=4\n"
		"900 tid=0 cache_file dev=0x100 ino=5 pages=5\n"
		"900 tid=0 cache_run dev=0x100 ino=5 index=0 nr=2 pfn=0x7000 order=1\n"
		"900 tid=0 cache_run dev=0x100 ino=5 index=2 nr=1 pfn=0x7002 order=0\n"
		"900 tid=0 cache_run dev=0x100 ino=5 index=3 nr=2 pfn=0x7004 order=1\n");
	(void)context;
	expect(r, "map 0 @8192-8208\n"
		  "fault_file 0 @8192 nr=2 pfn=7000 order=1\n"
		  "fault_file 0 @8195 nr=2 pfn=7004 order=1\n"
		  "fault_file 0 @8194 nr=1 pfn=7002\n"
		  "fault_none 0 @8193\n");
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_int_equal(r->fidelity.inferred.fault_around_ambiguous, 0);
	assert_int_equal(r->fidelity.inferred.file_pfn_unknown, 0);
}

static void exec_builds_a_stack(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 clone flags=0x11\n"
		"12 tid=100 newtask child=200 flags=0x0\n"
		"20 tid=200 execve\n"
		"21 tid=200 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"23 tid=200 rss_stat mm_id=10 curr=1 member=1 pages=1\n"	/* acct_arg_size(): no page */
		"30 tid=200 prepare_exec\n"
		"31 tid=200 rss_stat mm_id=10 curr=1 member=1 pages=0\n"
		"50 tid=200 exec old_tid=200\n"
		"51 tid=200 sys_ret call=27 ret=0\n"
		"60 tid=200 fault addr=0x400001fff000 flags=0x1\n"		/* the argument page is there */
		"70 tid=200 exit_task group_dead=1\n"
		"frame stream=2\n"
		"11 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		"22 tid=200 rss_stat mm_id=11 curr=0 member=1 pages=1\n"
		"frame stream=3\n"
		"40 tid=200 mmap2 addr=0x400001fdf000 len=0x21000 pgoff=0 dev=0 ino=0 flags=0x20003\n"
		"41 tid=200 mmap2 addr=0x400000400000 len=0x2000 pgoff=0 dev=0x100 ino=5 flags=0x5\n");
	char *line = strstr(r->ops, "mm_exit 1\n");

	(void)context;
	assert_true(!strncmp(r->ops, "fork 0 child=1\n", 15));
	assert_non_null(line);
	assert_true(!strncmp(line, "mm_exit 1\nmm_new 2\nmap 2 ", 25));
	assert_non_null(strstr(line, "pfn=1000"));
	assert_non_null(strstr(line, "exec_stack 2 "));
	assert_non_null(strstr(line, "map 2 @1024-1026\n"));
	assert_non_null(strstr(line, "fault_none 2 @8191\nmm_exit 2\n"));
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
	assert_int_equal(r->fidelity.inferred.gup, 0);
}

static void populate_goes_upwards(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 mlock addr=0x400000000000 len=0x3000 flags=0\n"
		"21 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"23 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"24 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=3\n"
		"25 tid=100 sys_ret call=22 ret=0\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "vma_flags 0 @0-3\n"
		  "fault_anon 0 @0 nr=1 pfn=1001 populate\n"
		  "fault_anon 0 @2 nr=1 pfn=1002 populate\n"
		  "gup_slow 0 @0-3\n");
}

static void the_last_snapshot_is_compared(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 fault addr=0x400000015000 flags=0x2\n"
		"21 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=17\n"
		"frame stream=4\n"
		"50 tid=100 snap_begin pid=100 why=1 threads=1\n"
		"50 tid=100 snap_pte addr=0x400000000000 nr=1 pfn=0x9999 order=0 flags=0\n"	/* missing */
		"50 tid=100 snap_pte addr=0x400000010000 nr=7 pfn=0x2000 order=4 flags=0\n"	/* right */
		"50 tid=100 snap_pte addr=0x400000017000 nr=4 pfn=0x3000 order=4 flags=0\n"	/* another page */
		"50 tid=100 snap_pte addr=0x40000001b000 nr=4 pfn=0x200b order=2 flags=0\n"	/* another order */
		"50 tid=100 snap_swap addr=0x400000040000 nr=2 entry=0x5\n"
		"60 tid=100 snap_end pid=100 complete=1 stopped=1\n");
	(void)context;
	assert_int_equal(r->fidelity.processes_compared, 1);
	assert_int_equal(r->fidelity.ptes, 16);
	assert_int_equal(r->fidelity.present, 15);
	assert_int_equal(r->fidelity.pfn, 11);
	assert_int_equal(r->fidelity.order, 7);
	assert_int_equal(r->fidelity.extra, 2);		/* page 1, and the last of the folio */
	assert_int_equal(r->fidelity.swap_ptes, 2);
	assert_int_equal(r->fidelity.swap_present, 0);
}

/* The same counter told by both instances is one change. */
static void duplicates_change_nothing(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 fault addr=0x400000002000 flags=0x2\n"
		"frame stream=2\n"
		"13 tid=100 rss_stat mm_id=9 curr=0 member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\nfault_none 0 @2\n");
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_int_equal(r->fidelity.inferred.gup, 0);
}

static void losses_are_marked(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"frame stream=0 lost=5\n"
		"30 tid=100 fault addr=0x400000002000 flags=0x2\n"
		"31 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n");
	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 1);
	assert_int_equal(r->fidelity.anomalies.lost_events, 5);
	assert_non_null(strstr(r->ops, "fault_anon 0 @2 nr=1 pfn=1000\n"));
}

/* Equal times come in the order of the streams, whatever the order in the file. */
static void merge_order(void **context)
{
	static const u32 expected[] = { 1, 3, 2, 4, 5 };
	char path[] = "/tmp/refold-merge-XXXXXX";
	struct rf_record records[8];
	struct rf_reader *reader;
	struct rf_merge *merge;
	size_t nr = 0, got;

	(void)context;
	assemble("header {\"arch\":\"x86_64\",\"page_size\":4096}\n"
		 "stream 0 source=task cpu=0\nstream 1 source=task cpu=1\n"
		 "frame stream=1\n5 tid=2 prepare_exec\n6 tid=4 prepare_exec\n"
		 "frame stream=0\n4 tid=1 prepare_exec\n5 tid=3 prepare_exec\n7 tid=5 prepare_exec\nend command\n",
		 path);
	reader = rf_reader_open(path, NULL);
	merge = rf_merge_open(reader, NULL, NULL);
	assert_non_null(merge);
	while ((got = rf_merge_read(merge, records + nr, 2)))
		nr += got;
	assert_int_equal(nr, ARRAY_SIZE(expected));
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(records[i].tid, expected[i]);
	rf_merge_close(merge);
	rf_reader_close(reader);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anonymous_faults), cmocka_unit_test(faults_while_disabled),
		cmocka_unit_test(faults_of_stack_copies),
		cmocka_unit_test(a_wrong_fault_is_counted),
		cmocka_unit_test(faults_without_error_code),
		cmocka_unit_test(a_fault_behind_the_end_of_a_file_maps_nothing),
		cmocka_unit_test(unmapping_is_in_time),
		cmocka_unit_test(a_gather_is_nested_in_another),
		cmocka_unit_test(a_flush_of_all_tells_of_a_nested_gather),
		cmocka_unit_test(mprotect_keeps_what_is_exclusive),
		cmocka_unit_test(mremap_moves_and_grows),
		cmocka_unit_test(swap),
		cmocka_unit_test(migration),
		cmocka_unit_test(fault_around_over_a_rolled_back_layout),
		cmocka_unit_test(exec_builds_a_stack),
		cmocka_unit_test(populate_goes_upwards),
		cmocka_unit_test(the_last_snapshot_is_compared),
		cmocka_unit_test(duplicates_change_nothing),
		cmocka_unit_test(losses_are_marked),
		cmocka_unit_test(merge_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
