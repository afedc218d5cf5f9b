// SPDX-License-Identifier: MIT
/* Which entries a populating call has set: what its records tell, and in which order of addresses. */
#include "tests/unit/replay/tracking_text.h"

#include <string.h>

/* Two private pages at BASE, behind them six of a file, then one of shared memory. */
#define ATTACHED_FILE								\
	"frame stream=4\n"							\
	"1 tid=100 process pid=100\n"						\
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"			\
	"3 tid=100 snap_vma addr=0x400000000000 len=0x2000 pgoff=0x400000000 flags=0x3\n" \
	"4 tid=100 snap_vma addr=0x400000002000 len=0x6000 pgoff=0 dev=0x100 ino=5 flags=0x1\n" \
	"5 tid=100 snap_vma addr=0x400000008000 len=0x1000 pgoff=0 dev=0x1 ino=7 flags=0xb\n" \
	"6 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"			\
	"7 tid=100 snap_end pid=100 complete=1 stopped=1\n"			\
	"frame stream=2\n"							\
	"8 tid=1 cache_add dev=0x100 ino=5 index=0 pfn=0x2000 order=0\n"	\
	"8 tid=1 cache_add dev=0x100 ino=5 index=1 pfn=0x2011 order=0\n"	\
	"8 tid=1 cache_add dev=0x100 ino=5 index=2 pfn=0x2022 order=0\n"	\
	"8 tid=1 cache_add dev=0x100 ino=5 index=3 pfn=0x2033 order=0\n"	\
	"8 tid=1 cache_add dev=0x100 ino=5 index=4 pfn=0x2044 order=0\n"	\
	"8 tid=1 cache_add dev=0x100 ino=5 index=5 pfn=0x2055 order=0\n"

/*
 * The window leaves one page out (it bears PG_readahead), GUP comes to it, begins to read, and tries once more from the
 * start: the page is found by fault-around, not by the fault that reached it.
 */
static void what_a_window_leaves_out(void **context)
{
	struct result *r = track(ATTACHED_FILE "frame stream=0\n"
		"30000010 tid=100 mlock addr=0x400000002000 len=0x6000 flags=0\n"
		"30000011 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=3\n"
		"30000012 tid=100 map_pages dev=0x100 ino=5 index=0 last=3\n"
		"30000013 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=3\n"
		"30000014 tid=100 map_pages dev=0x100 ino=5 index=0 last=3\n"
		"30000015 tid=100 filemap_fault dev=0x100 ino=5 index=2\n"
		"30000016 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=4\n"
		"30000017 tid=100 map_pages dev=0x100 ino=5 index=0 last=3\n"
		"30000018 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=6\n"
		"30000019 tid=100 map_pages dev=0x100 ino=5 index=4 last=5\n"
		"30000020 tid=100 sys_ret call=22 ret=0\n");
	(void)context;
	expect(r, "vma_flags 0 @2-8\n"
		  "fault_file 0 @2 nr=1 pfn=2000 populate\n"
		  "fault_file 0 @3 nr=1 pfn=2011 populate\n"
		  "fault_file 0 @5 nr=1 pfn=2033 populate\n"
		  "fault_file 0 @4 nr=1 pfn=2022 populate\n"
		  "fault_file 0 @6 nr=1 pfn=2044 populate\n"
		  "fault_file 0 @7 nr=1 pfn=2055 populate\n"
		  "gup_slow 0 @2-8\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* What reads finds a huge zero page; what writes then gets a huge page in its place, do_huge_zero_wp_pmd(). */
static void a_huge_zero_page_is_written(void **context)
{
	struct result *r = track_with("\"thp\":{\"enabled\":\"always\"}",
		ATTACHED "3 tid=0 kernel_page what=0 index=0 pfn=0x8000\n3 tid=0 kernel_page what=1 index=0 pfn=0x9000\n"
		"frame stream=0\n"
		"10 tid=100 madvise addr=0x400000200000 len=0x200000 advice=22\n"
		"11 tid=100 sys_ret call=20 ret=0\n"
		"20 tid=100 madvise addr=0x400000200000 len=0x200000 advice=23\n"
		"21 tid=100 page_alloc pfn=0xa000 order=9 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=512\n"
		"23 tid=100 sys_ret call=20 ret=0\n");

	(void)context;
	expect(r, "fault_zero 0 @512 nr=512 pfn=9000 order=9 populate\n"
		  "gup_slow 0 @512-1024\n"
		  "fault_cow 0 @512 nr=512 pfn=a000 order=9 populate\n"
		  "gup_slow 0 @512-1024\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* A copy has no RSS change: the next page's record, of whatever kind, is about the page behind it. */
static void a_copy_is_before_what_follows(void **context)
{
	struct result *r = track(ATTACHED_FILE "frame stream=0\n"
		"30000010 tid=100 fault addr=0x400000000000 flags=0x2\n"
		"30000011 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"30000012 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"30000013 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"30000014 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"30000015 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30000016 tid=100 clone flags=0x11\n"
		"30000018 tid=100 newtask child=200 flags=0x11\n"
		"30000019 tid=100 sys_ret call=26 ret=200\n"
		"30000020 tid=100 mlockall flags=1\n"
		"30000021 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"30000022 tid=100 page_alloc pfn=0x1003 order=0 gfp=0x3\n"
		"30000023 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=6\n"
		"30000024 tid=100 map_pages dev=0x100 ino=5 index=0 last=5\n"
		"30000025 tid=100 page_alloc pfn=0x3000 order=0 gfp=0x33\n"
		"30000026 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
		"30000027 tid=100 sys_ret call=24 ret=0\n"
		"frame stream=2\n"
		"30000017 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=2\n");
	(void)context;
	expect(r, "fault_anon 0 @0 nr=1 pfn=1000\n"
		  "fault_anon 0 @1 nr=1 pfn=1001\n"
		  "fork 0 child=1\n"
		  "vma_flags 0 @0-9\n"
		  "fault_cow 0 @0 nr=1 pfn=1002 populate\n"
		  "fault_cow 0 @1 nr=1 pfn=1003 populate\n"
		  "fault_file 0 @2 nr=1 pfn=2000 populate\n"
		  "fault_file 0 @3 nr=1 pfn=2011 populate\n"
		  "fault_file 0 @4 nr=1 pfn=2022 populate\n"
		  "fault_file 0 @5 nr=1 pfn=2033 populate\n"
		  "fault_file 0 @6 nr=1 pfn=2044 populate\n"
		  "fault_file 0 @7 nr=1 pfn=2055 populate\n"
		  "vma_flags 0 @8-9\n"
		  "fault_file 0 @8 nr=1 pfn=3000 populate\n"
		  "gup_slow 0 @0-2\n"
		  "gup_slow 0 @2-8\n"
		  "gup_slow 0 @8-9\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* populate_vma_page_range() reads what is shared: the first write finds an entry that is not writable. */
static void shared_files_are_read(void **context)
{
	struct result *r = track(ATTACHED_FILE "frame stream=0\n"
		"30000010 tid=100 mmap addr=0x400000010000 len=0x2000 prot=3 flags=0x8001 fd=3 offset=0\n"
		"30000012 tid=100 filemap_fault dev=0x100 ino=6 index=0\n"
		"30000013 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=1\n"
		"30000014 tid=100 filemap_fault dev=0x100 ino=6 index=1\n"
		"30000015 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=2\n"
		"30000016 tid=100 sys_ret call=16 ret=0x400000010000\n"
		"30000017 tid=100 fault addr=0x400000010000 flags=0x3\n"
		"30000018 tid=100 fault addr=0x400000011000 flags=0x3\n"
		"30000019 tid=100 exit group=1\n"
		"frame stream=2\n"
		"30000008 tid=1 cache_add dev=0x100 ino=6 index=0 pfn=0x3000 order=0\n"
		"30000008 tid=1 cache_add dev=0x100 ino=6 index=1 pfn=0x3001 order=0\n"
		"frame stream=3\n"
		"30000011 tid=100 mmap2 addr=0x400000010000 len=0x2000 pgoff=0 dev=0x100 ino=6 flags=0xb\n");
	(void)context;
	assert_non_null(strstr(r->ops, "fault_reuse 0 @16 nr=1\nfault_reuse 0 @17 nr=1\n"));
	assert_null(strstr(r->ops, "mkclean"));
	assert_int_equal(r->fidelity.inferred.mkclean, 0);
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* A whole folio is left out of a window, if one page of it is. */
static void a_folio_is_left_out(void **context)
{
	struct result *r = track(ATTACHED_FILE "frame stream=2\n"
		"9 tid=1 cache_add dev=0x100 ino=5 index=2 pfn=0x2102 order=1\n"
		"frame stream=0\n"
		"30000010 tid=100 mlock addr=0x400000002000 len=0x6000 flags=0\n"
		"30000011 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=4\n"
		"30000012 tid=100 map_pages dev=0x100 ino=5 index=0 last=5\n"
		"30000015 tid=100 filemap_fault dev=0x100 ino=5 index=2\n"
		"30000016 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=6\n"
		"30000017 tid=100 map_pages dev=0x100 ino=5 index=0 last=5\n"
		"30000020 tid=100 sys_ret call=22 ret=0\n");
	(void)context;
	assert_non_null(strstr(r->ops, "fault_file 0 @3 nr=1 pfn=2011 populate\n"
				       "fault_file 0 @6 nr=1 pfn=2044 populate\n"
				       "fault_file 0 @7 nr=1 pfn=2055 populate\n"
				       "fault_file 0 @4 nr=2 pfn=2102 order=1 populate\n"));
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* The counter is everybody's: a thread's record has told of this thread's page, too, whose own tells of no change. */
static void threads_count_for_each_other(void **context)
{
	struct result *r = track(ATTACHED_FILE "frame stream=0\n"
		"30000010 tid=100 clone flags=0x3d0f00\n"
		"30000011 tid=100 newtask child=101 flags=0x3d0f00\n"
		"30000012 tid=100 sys_ret call=26 ret=101\n"
		"30000013 tid=100 mlock addr=0x400000000000 len=0x1000 flags=0\n"
		"30000014 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"30000015 tid=101 fault addr=0x400000001000 flags=0x2\n"
		"30000016 tid=101 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"30000017 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30000018 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30000021 tid=100 sys_ret call=22 ret=0\n");
	(void)context;
	assert_non_null(strstr(r->ops, "fault_anon 0 @1 nr=1 pfn=1002\n"
				       "fault_anon 0 @0 nr=1 pfn=1000 populate\n"));
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* A page of a file is counted down and its copy up: none is lost. */
static void a_copy_of_a_file(void **context)
{
	struct result *r = track(ATTACHED_FILE "frame stream=0\n"
		"30000010 tid=100 fault addr=0x400000002000 flags=0x0\n"
		"30000011 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=6\n"
		"30000012 tid=100 map_pages dev=0x100 ino=5 index=0 last=5\n"
		"30000013 tid=100 mprotect addr=0x400000002000 len=0x2000 prot=3 pkey=-1\n"
		"30000014 tid=100 sys_ret call=18 ret=0\n"
		"30000015 tid=100 mlock addr=0x400000002000 len=0x2000 flags=0\n"
		"30000016 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"30000017 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=5\n"
		"30000018 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"30000019 tid=100 page_alloc pfn=0x1003 order=0 gfp=0x3\n"
		"30000020 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=4\n"
		"30000021 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30000022 tid=100 sys_ret call=22 ret=0\n");
	(void)context;
	assert_non_null(strstr(r->ops, "fault_cow 0 @2 nr=1 pfn=1002 populate\n"
				       "fault_cow 0 @3 nr=1 pfn=1003 populate\n"));
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* elf_load() maps an object as a whole and unmaps what is beyond its first segment: a gap between others is empty. */
static void gaps_between_segments(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 execve\n"
		"20 tid=100 prepare_exec\n"
		"50 tid=100 exec old_tid=100\n"
		"51 tid=100 sys_ret call=27 ret=0\n"
		"60 tid=100 exit group=1\n"
		"frame stream=2\n"
		"11 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		"frame stream=3\n"
		"40 tid=100 mmap2 addr=0x400001fdf000 len=0x21000 pgoff=0 dev=0 ino=0 flags=0x20003\n"
		"41 tid=100 mmap2 addr=0x400000400000 len=0x50000 pgoff=0 dev=0x100 ino=5 flags=0x1\n"
		"42 tid=100 mmap2 addr=0x400000402000 len=0x4000 pgoff=2 dev=0x100 ino=5 flags=0x5\n"
		"43 tid=100 mmap2 addr=0x400000410000 len=0x1000 pgoff=16 dev=0x100 ino=5 flags=0x5\n"
		"44 tid=100 mmap2 addr=0x400000411000 len=0x2000 pgoff=17 dev=0x100 ino=5 flags=0x3\n"
		"45 tid=100 mmap2 addr=0x400000413000 len=0x3d000 pgoff=0 dev=0 ino=0 flags=0x3\n"
		"46 tid=100 mmap2 addr=0x400000800000 len=0x9000 pgoff=0 dev=0x100 ino=6 flags=0x1\n"
		"47 tid=100 mmap2 addr=0x400000802000 len=0x2000 pgoff=2 dev=0x100 ino=6 flags=0x5\n"
		"48 tid=100 mmap2 addr=0x400000808000 len=0x1000 pgoff=4 dev=0x100 ino=6 flags=0x3\n");
	(void)context;
	expect(r, "mm_new 1\n"
		  "map 1 @17179869182-17179869183\n"
		  "exec_stack 1 @17179869182-17179869183\n"
		  "vma_grow 1 @8159-8191\n"
		  "map 1 @1024-1104\n"
		  "munmap 1 @1026-1030\n"
		  "map 1 @1026-1030\n"
		  "munmap 1 @1030-1040\n"
		  "munmap 1 @1040-1041\n"
		  "map 1 @1040-1041\n"
		  "munmap 1 @1041-1043\n"
		  "map 1 @1041-1043\n"
		  "munmap 1 @1043-1104\n"
		  "map 1 @1043-1104\n"
		  "map 1 @2048-2057\n"
		  "munmap 1 @2050-2052\n"
		  "map 1 @2050-2052\n"
		  "munmap 1 @2052-2056\n"
		  "munmap 1 @2056-2057\n"
		  "map 1 @2056-2057\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_window_leaves_out),
		cmocka_unit_test(a_huge_zero_page_is_written),
		cmocka_unit_test(a_copy_is_before_what_follows),
		cmocka_unit_test(threads_count_for_each_other),
		cmocka_unit_test(a_copy_of_a_file),
		cmocka_unit_test(a_folio_is_left_out),
		cmocka_unit_test(shared_files_are_read),
		cmocka_unit_test(gaps_between_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
