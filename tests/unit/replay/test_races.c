// SPDX-License-Identifier: MIT
/*
 * Threads of one address space at once: what one does while another forks, maps or protects. Thread 100 is on CPU 0,
 * 101 on CPU 1. Times are far enough apart that nobody is taken to be faster than another, unless said.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/replay/tracking_text.h"

#define OF_100 "frame stream=0\n"
#define OF_101 "frame stream=1\n"
#define OF_SYSTEM "frame stream=2\n"

/* A page of 100's at BASE + 0x1000. */
#define ONE_PAGE                                                                                              \
	"10 tid=100 fault addr=0x400000001000 flags=0x2\n"                                                    \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                                  \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"

#define FORK                                                                                                  \
	"200000 tid=100 clone flags=0x11\n"                                                                   \
	"200040 tid=100 newtask child=200 flags=0x0\n"                                                        \
	"200041 tid=100 sys_ret call=26 ret=200\n"
#define FORK_COPIES OF_SYSTEM "200020 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"

static void expect_trusted(const struct result *r)
{
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* It has found the entry write-protected before all were copied, and gets its copy when they are. */
static void a_writer_waits_for_a_fork(void **context)
{
	struct result *r = track(ATTACHED OF_100 ONE_PAGE FORK FORK_COPIES OF_101
		"200010 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"200050 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x33\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "fault_cow 0 @1 nr=1 pfn=1001\n");
	expect_trusted(r);
}

/* An IPI for the parent, which was on the child's CPU before it, leaves nothing of the flush of the child's copy. */
static void an_ipi_flushes_for_a_copy(void **context)
{
	struct result *r = track(ATTACHED OF_100 ONE_PAGE
		"20 tid=100 mprotect addr=0x400000400000 len=0x1000 prot=1 pkey=-1\n"
		"21 tid=100 tlb_flush reason=3 pages=1\n"
		"22 tid=100 sys_ret call=18 ret=0\n" FORK FORK_COPIES OF_101
		"200050 tid=200 fault addr=0x400000001000 flags=0x7\n"
		"200051 tid=200 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"200060 tid=200 tlb_flush reason=1 pages=-1\n"
		"200061 tid=200 sys_ret call=26 ret=0\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "mprotect 0 @1024-1025\n"
		  "fork 0 child=1\n"
		  "fault_cow 1 @1 nr=1 pfn=1001\n");
	expect_trusted(r);
}

/* What a third thread does meanwhile decides nothing. */
static void a_writer_waits_for_a_fork_through_a_call(void **context)
{
	struct result *r = track(ATTACHED "1 tid=102 process pid=100\n" OF_100 ONE_PAGE FORK FORK_COPIES OF_101
		"200005 tid=102 munmap addr=0x400000002000 len=0x1000\n"
		"200010 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"210000 tid=102 sys_ret call=17 ret=0\n"
		"250000 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"250001 tid=101 tlb_flush reason=3 pages=1\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "munmap 0 @2-3\n"
		  "fault_cow 0 @1 nr=1 pfn=1001\n");
	expect_trusted(r);
}

/* It did not wait: a page that nobody else maps was taken to be writable, which had been shared once. */
static void a_copy_amid_a_fork_is_of_no_fork(void **context)
{
	struct result *r = track(
		"frame stream=4\n"
		"1 tid=100 process pid=100\n1 tid=101 process pid=100\n"
		"2 tid=100 snap_begin pid=100 why=0 threads=2\n"
		"2 tid=100 snap_vma addr=0x400000000000 len=0x1000000 pgoff=0 dev=0 ino=0 flags=0x3\n"
		"2 tid=100 snap_pte addr=0x400000001000 nr=1 pfn=0x1000 order=0 flags=0x884\n"
		"2 tid=100 snap_rss file=0 anon=1 swap=0 shmem=0\n"
		"3 tid=100 snap_end pid=100 complete=1 stopped=1\n" OF_100 FORK FORK_COPIES OF_101
		"200010 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"200011 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"200012 tid=101 tlb_flush reason=3 pages=1\n"
		"200013 tid=101 page_free pfn=0x1000 order=0\n");

	(void)context;
	expect(r, "fault_cow 0 @1 nr=1 pfn=1001\n"
		  "fork 0 child=1\n");
	expect_trusted(r);
}

#define FIRST_CHILD                                                                                           \
	"20 tid=100 clone flags=0x11\n"                                                                       \
	"40 tid=100 newtask child=150 flags=0x0\n"                                                            \
	"41 tid=100 sys_ret call=26 ret=150\n"                                                                \
	"50 tid=150 exit_task group_dead=1\n"

/* The fault leaves no record: the page was taken over before it was copied, and write-protected by that again. */
static void a_writer_is_before_a_fork(void **context)
{
	struct result *r = track(ATTACHED OF_100 ONE_PAGE FIRST_CHILD FORK OF_SYSTEM
		"30 tid=100 rss_stat mm_id=8 curr=0 member=1 pages=1\n" FORK_COPIES OF_101
		"200010 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"210000 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"210001 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"210002 tid=101 tlb_flush reason=3 pages=1\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "mm_exit 1\n"
		  "fault_reuse 0 @1 nr=1\n"
		  "fork 0 child=2\n"
		  "fault_cow 0 @1 nr=1 pfn=1001\n");
	expect_trusted(r);
}

/* A write to what a child maps, too: whatever others call meanwhile, its copy is still to come. */
static void a_copy_takes_its_time(void **context)
{
	struct result *r = track(ATTACHED OF_100 ONE_PAGE FORK
		"300000 tid=100 mprotect addr=0x400000002000 len=0x1000 prot=1 pkey=-1\n"
		"350000 tid=100 sys_ret call=18 ret=0\n" FORK_COPIES OF_101
		"310000 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"360000 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"360001 tid=101 tlb_flush reason=3 pages=1\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "mprotect 0 @2-3\n"
		  "fault_cow 0 @1 nr=1 pfn=1001\n");
	expect_trusted(r);
}

/* It never comes: somebody has it that no record told. */
static void a_copy_that_is_never_told_marks(void **context)
{
	struct result *r = track(ATTACHED OF_100 ONE_PAGE FORK FORK_COPIES OF_101
		"310000 tid=101 fault addr=0x400000001000 flags=0x3\n"
		"360000 tid=101 fault addr=0x400000002000 flags=0x0\n"
		"370000 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x2\n");

	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 1);
	assert_int_equal(r->trust.marks[0].reason, RF_REASON_copy_untold);
}

#define WRITE_TO_SHARED "300000 tid=100 fault addr=0x400000001000 flags=0x3\n"

/* The recorder looks at a process while it copies a page: what it saw is not what the process does next. */
static void a_snapshot_is_no_deed(void **context)
{
	struct result *r = track(ATTACHED
		"300002 tid=100 snap_begin pid=100 why=2 threads=1\n"
		"300002 tid=100 snap_pte addr=0x400000001000 nr=1 pfn=0x1001 order=0 flags=0\n"
		"300003 tid=100 snap_end pid=100 complete=1 stopped=0\n"
		OF_100 ONE_PAGE FORK WRITE_TO_SHARED
		"300001 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"300004 tid=100 tlb_flush reason=3 pages=1\n" FORK_COPIES);

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "fault_cow 0 @1 nr=1 pfn=1001\n");
	assert_int_equal(r->fidelity.pfn, 1);
	expect_trusted(r);
}

/* Its copy would have come after the end. */
static void a_write_is_cut_off_by_the_end(void **context)
{
	struct result *r = track(ATTACHED OF_100 ONE_PAGE FORK WRITE_TO_SHARED FORK_COPIES);

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n");
	expect_trusted(r);
}

/* Instances stop one after the other: pages were counted, and what for was not told any more. */
static void what_is_told_by_halves_is_left_out(void **context)
{
	static const char halves[] = OF_SYSTEM
		"200020 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"200030 tid=100 rss_stat mm_id=9 curr=0 member=1 pages=7\n";
	struct result *r;
	char *text;

	(void)context;
	for (int stopped = 0; stopped < 2; stopped++) {
		assert_true(asprintf(&text, "%s%s%s%s%s", ATTACHED, stopped ? "200000 tid=0 stop\n" : "", OF_100,
				     ONE_PAGE, halves) > 0);
		r = track(text);
		free(text);
		assert_int_equal(r->fidelity.inexact_mms, !stopped);
	}
}

/* Pages of another thread, counted with those that are taken away: what is left is no sign that nothing was. */
#define TAKES_AWAY(call, number, ret)                                                                         \
	ATTACHED OF_100 ONE_PAGE "20 tid=100 " call "\n"                                                      \
	"21 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=16\n"                                              \
	"22 tid=100 page_free pfn=0x1000 order=0\n"                                                           \
	"30 tid=100 sys_ret call=" number " ret=" ret "\n" OF_101                                             \
	"15 tid=101 fault addr=0x400000010000 flags=0x2\n"                                                    \
	"16 tid=101 page_alloc pfn=0x2000 order=4 gfp=0x3\n"                                                  \
	"25 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=16\n"

static void counters_of_two_threads_add_up(void **context)
{
	struct result *r;

	(void)context;
	r = track(TAKES_AWAY("mmap addr=0x400000000000 len=0x4000 prot=3 flags=0x32 fd=-1", "16", "0x400000000000"));
	assert_int_equal(r->fidelity.anomalies.free_of_mapped, 0);
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "munmap 0 @0-4\n"
		  "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "map 0 @0-4\n");
	r = track(TAKES_AWAY("mremap addr=0x400000008000 old_len=0x4000 new_len=0x4000 flags=3 new_addr=0x400000000000",
			     "19", "0x400000000000"));
	assert_int_equal(r->fidelity.anomalies.free_of_mapped, 0);
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "munmap 0 @0-4\n"
		  "fault_anon 0 @16 nr=16 pfn=2000 order=4\n"
		  "mremap 0 @8-12 nr=4 to=0\n");
}

/* But what a call populates is not taken away. */
static void a_call_of_many_threads_populates(void **context)
{
	struct result *r = track(ATTACHED OF_100
		"20 tid=100 mmap addr=0x400000000000 len=0x1000 prot=3 flags=0x8032 fd=-1\n"
		"21 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"30 tid=100 sys_ret call=16 ret=0x400000000000\n");

	(void)context;
	expect(r, "munmap 0 @0-1\n"
		  "map 0 @0-1\n"
		  "fault_anon 0 @0 nr=1 pfn=1000 populate\n"
		  "gup_slow 0 @0-1\n");
	expect_trusted(r);
}

/* 100 is given what 101 has unmapped, and uses it, before 101 comes out of the kernel. */
static void an_munmap_is_overtaken(void **context)
{
	struct result *r = track(ATTACHED OF_101
		"20 tid=101 munmap addr=0x400000000000 len=0x2000\n"
		"60 tid=101 sys_ret call=17 ret=0\n" OF_100
		"30 tid=100 mmap addr=0x0 len=0x2000 prot=3 flags=0x22 fd=-1\n"
		"32 tid=100 sys_ret call=16 ret=0x400000000000\n"
		"40 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"41 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"42 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"70 tid=100 munmap addr=0x400000000000 len=0x2000\n"
		"71 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"72 tid=100 sys_ret call=17 ret=0\n");

	(void)context;
	expect(r, "munmap 0 @0-2\n"
		  "map 0 @0-2\n"
		  "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "munmap 0 @0-2\n");
	expect_trusted(r);
}

#define FAULT_OF_100(time, page, pfn, pages)                                                                  \
	time "0 tid=100 fault addr=0x40000000" page "000 flags=0x2\n"                                         \
	time "1 tid=100 page_alloc pfn=" pfn " order=0 gfp=0x3b\n"                                            \
	time "2 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=" pages "\n"
#define FAULTS_OF_100                                                                                         \
	OF_100 FAULT_OF_100("1", "1", "0x1001", "1") FAULT_OF_100("3", "2", "0x1002", "3")                    \
	FAULT_OF_100("4", "3", "0x1003", "4") FAULT_OF_100("5", "4", "0x1004", "5")                           \
	FAULT_OF_100("6", "5", "0x1005", "6") FAULT_OF_100("7", "6", "0x1006", "7")

/* 101 has its page counted, and is held up before that is told. If it is not, the page is one that nobody mapped. */
static void a_count_is_told_late(void **context)
{
	struct result *r = track(ATTACHED OF_101
		"20 tid=101 fault addr=0x400000008000 flags=0x2\n"
		"21 tid=101 page_alloc pfn=0x1000 order=0 gfp=0x3b\n"
		"80 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=7\n" FAULTS_OF_100);

	(void)context;
	expect_trusted(r);
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	r = track(ATTACHED FAULTS_OF_100);
	assert_int_equal(r->fidelity.rss_checks_bad, 1);
}

/* 101 maps what becomes one VMA with 100's; a folio that 100 faults in reaches into it before 101 has returned. */
static void an_mmap_is_overtaken_by_a_folio(void **context)
{
	struct result *r = track(ATTACHED OF_100
		"10 tid=100 munmap addr=0x400000ffe000 len=0x2000\n"
		"11 tid=100 sys_ret call=17 ret=0\n" OF_101
		"20 tid=101 mmap addr=0x0 len=0x2000 prot=3 flags=0x22 fd=-1\n"
		"60 tid=101 sys_ret call=16 ret=0x400000ffe000\n" OF_100
		"30 tid=100 fault addr=0x400000ffd000 flags=0x2\n"
		"31 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=16\n");

	(void)context;
	expect(r, "munmap 0 @4094-4096\n"
		  "map 0 @4094-4096\n"
		  "fault_anon 0 @4080 nr=16 pfn=2000 order=4\n");
	expect_trusted(r);
}

/* brk() the same; the heap begins where 100's memory ends. */
static void a_brk_is_overtaken_by_a_folio(void **context)
{
	struct result *r = track(ATTACHED OF_100
		"10 tid=100 brk addr=0x400001000000\n"
		"11 tid=100 sys_ret call=21 ret=0x400001000000\n"
		"12 tid=100 brk addr=0x400001001000\n"
		"13 tid=100 sys_ret call=21 ret=0x400001001000\n" OF_101
		"20 tid=101 brk addr=0x400001020000\n"
		"60 tid=101 sys_ret call=21 ret=0x400001020000\n" OF_100
		"30 tid=100 fault addr=0x400001000000 flags=0x2\n"
		"31 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=16\n");

	(void)context;
	expect(r, "map 0 @4096-4097 apart\n"
		  "map 0 @4097-4128\n"
		  "fault_anon 0 @4096 nr=16 pfn=2000 order=4\n");
	expect_trusted(r);
}

/* The same of a segment, whose call unmaps nothing itself. */
static void an_munmap_is_overtaken_by_shmat(void **context)
{
	struct result *r = track(ATTACHED OF_101
		"20 tid=101 munmap addr=0x400000000000 len=0x2000\n"
		"60 tid=101 sys_ret call=17 ret=0\n" OF_100
		"30 tid=100 shmat shmid=1 addr=0x0 flags=0x0\n"
		"32 tid=100 sys_ret call=29 ret=0x400000000000\n" OF_SYSTEM
		"31 tid=100 mmap2 addr=0x400000000000 len=0x2000 pgoff=0 dev=0x1 ino=7 flags=0xb\n");

	(void)context;
	expect(r, "munmap 0 @0-2\n"
		  "map 0 @0-2\n");
	expect_trusted(r);
}

/* What 101 has moved away was in the same place: it has what it moved, and 100 what it was given. */
static void an_mremap_is_overtaken(void **context)
{
	struct result *r = track(ATTACHED OF_101
		"10 tid=101 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=101 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"12 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"13 tid=101 fault addr=0x400000010000 flags=0x2\n"
		"14 tid=101 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"15 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"20 tid=101 mremap addr=0x400000000000 old_len=0x2000 new_len=0x2000 flags=3 new_addr=0x400000010000\n"
		"21 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"60 tid=101 sys_ret call=19 ret=0x400000010000\n" OF_100
		"30 tid=100 mmap addr=0x0 len=0x2000 prot=3 flags=0x22 fd=-1\n"
		"32 tid=100 sys_ret call=16 ret=0x400000000000\n"
		"40 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"41 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"42 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"70 tid=100 munmap addr=0x400000000000 len=0x2000\n"
		"71 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"72 tid=100 sys_ret call=17 ret=0\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1001\n"
		  "fault_anon 0 @16 nr=1 pfn=1002\n"
		  "munmap 0 @16-18\n"
		  "mremap 0 @0-2 nr=2 to=16\n"
		  "map 0 @0-2\n"
		  "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "munmap 0 @0-2\n");
	expect_trusted(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writer_waits_for_a_fork),
		cmocka_unit_test(an_ipi_flushes_for_a_copy),
		cmocka_unit_test(a_writer_waits_for_a_fork_through_a_call),
		cmocka_unit_test(a_copy_amid_a_fork_is_of_no_fork),
		cmocka_unit_test(a_writer_is_before_a_fork),
		cmocka_unit_test(a_copy_takes_its_time),
		cmocka_unit_test(a_copy_that_is_never_told_marks),
		cmocka_unit_test(a_snapshot_is_no_deed),
		cmocka_unit_test(a_write_is_cut_off_by_the_end),
		cmocka_unit_test(what_is_told_by_halves_is_left_out),
		cmocka_unit_test(counters_of_two_threads_add_up),
		cmocka_unit_test(a_call_of_many_threads_populates),
		cmocka_unit_test(an_munmap_is_overtaken),
		cmocka_unit_test(a_count_is_told_late),
		cmocka_unit_test(an_mmap_is_overtaken_by_a_folio),
		cmocka_unit_test(a_brk_is_overtaken_by_a_folio),
		cmocka_unit_test(an_munmap_is_overtaken_by_shmat),
		cmocka_unit_test(an_mremap_is_overtaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
