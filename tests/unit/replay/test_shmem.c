// SPDX-License-Identifier: MIT
/* Shared memory: which page a fault maps, where no record names it. */
#include "tests/unit/replay/tracking_text.h"

#include <string.h>

/* Four pages of shared memory at BASE, each touched. */
#define SHARED									\
	"frame stream=4\n"							\
	"1 tid=100 process pid=100\n"						\
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"			\
	"3 tid=100 snap_vma addr=0x400000000000 len=0x4000 pgoff=0 dev=0x1 ino=7 flags=0xb\n" \
	"4 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"			\
	"5 tid=100 snap_end pid=100 complete=1 stopped=1\n"			\
	"frame stream=0\n"							\
	"10 tid=100 fault addr=0x400000000000 flags=0x2\n"			\
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x33\n"			\
	"12 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"			\
	"20 tid=100 fault addr=0x400000001000 flags=0x2\n"			\
	"21 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x33\n"			\
	"22 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=2\n"			\
	"30 tid=100 fault addr=0x400000002000 flags=0x2\n"			\
	"31 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x33\n"			\
	"32 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=3\n"			\
	"40 tid=100 fault addr=0x400000003000 flags=0x2\n"			\
	"41 tid=100 page_alloc pfn=0x1003 order=0 gfp=0x33\n"			\
	"42 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=4\n"

/*
 * On its way to swap a page leaves the file, and stays in the swap cache until it is freed. A fault finds it there,
 * after fault-around, which does not; the first window here finds another page that never left.
 */
static void found_in_the_swap_cache(void **context)
{
	struct result *r = track(SHARED
		"50 tid=100 madvise addr=0x400000000000 len=0x3000 advice=21\n"
		"51 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
		"52 tid=100 swap_write pfn=0x1000 flags=9\n"
		"53 tid=100 swap_write pfn=0x1001 flags=9\n"
		"54 tid=100 swap_write pfn=0x1002 flags=9\n"
		"55 tid=100 page_free pfn=0x1000 order=0\n"
		"56 tid=100 sys_ret call=20 ret=0\n"
		"60 tid=100 madvise addr=0x400000003000 len=0x1000 advice=4\n"
		"61 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=0\n"
		"62 tid=100 sys_ret call=20 ret=0\n"
		"70 tid=100 fault addr=0x400000001000 flags=0x0\n"
		"71 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
		"72 tid=100 map_pages dev=0x1 ino=7 index=0 last=3\n"
		"73 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=2\n"
		"80 tid=100 fault addr=0x400000002000 flags=0x0\n"
		"81 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=2\n"
		"82 tid=100 map_pages dev=0x1 ino=7 index=0 last=3\n"
		"83 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=3\n"
		"90 tid=100 fault addr=0x400000000000 flags=0x2\n"
		"91 tid=100 page_alloc pfn=0x1004 order=0 gfp=0x33\n"
		"92 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=4\n");
	char *back = strstr(r->ops, "zap 0 @3-4\n");

	(void)context;
	assert_non_null(back);
	assert_string_equal(back, "zap 0 @3-4\n"
			    "fault_file 0 @3 nr=1 pfn=1003\n"
			    "fault_file 0 @1 nr=1 pfn=1001\n"
			    "fault_file 0 @2 nr=1 pfn=1002\n"
			    "fault_file 0 @0 nr=1 pfn=1004\n");
	assert_int_equal(r->fidelity.inferred.file_pfn_unknown, 0);
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/*
 * Nothing but the counter tells that a file is a memfd or of tmpfs. Machines hear it of a shared mapping, before its
 * first page, because its pages may be written once they were read; of a private one it says nothing. What the same
 * file is mapped at beside it, is one VMA with it all the same.
 */
static void machines_are_told(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x1 fd=3 offset=0x0\n"
		"10 tid=100 mmap2 addr=0x400002000000 len=0x2000 pgoff=0 dev=0x1 ino=7 flags=0xb\n"
		"11 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"20 tid=100 fault addr=0x400002000000 flags=0x0\n"
		"21 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x33\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
		"30 tid=100 fault addr=0x400002001000 flags=0x0\n"
		"31 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=2\n"
		"40 tid=100 mmap addr=0x0 len=0x1000 prot=0x3 flags=0x2 fd=3 offset=0x0\n"
		"40 tid=100 mmap2 addr=0x400003000000 len=0x1000 pgoff=0 dev=0x1 ino=8 flags=0x3\n"
		"41 tid=100 sys_ret call=16 ret=0x400003000000\n"
		"50 tid=100 fault addr=0x400003000000 flags=0x0\n"
		"51 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x33\n"
		"52 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=3\n");

	(void)context;
	expect(r, "map 0 @8192-8194\n"
		  "vma_flags 0 @8192-8194\n"
		  "fault_file 0 @8192 nr=1 pfn=1000\n"
		  "fault_file 0 @8193 nr=1 pfn=1001\n"
		  "map 0 @12288-12289\n"
		  "fault_file 0 @12288 nr=1 pfn=1002\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_in_the_swap_cache), cmocka_unit_test(machines_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
