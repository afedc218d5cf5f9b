// SPDX-License-Identifier: MIT
/*
 * Kernels until 6.1, where a task keeps what its faults count and rss_stat tells it for 64 faults at once: a kprobe
 * tells each change, page by page.
 */
#include <string.h>

#include "tests/unit/replay/tracking_text.h"

/* UNKNOWN | WRITE_KNOWN; a write, a read tried again. */
#define READ "0x30"
#define WRITE "0x32"
#define READ_AGAIN "0x70"

/* Process 100 maps 64 pages of a file at BASE, of which pages 0, 1, 2 and 9 are cached. */
#define FILE_READ_ONLY                                                                                        \
	"frame stream=4\n"                                                                                    \
	"1 tid=100 process pid=100\n"                                                                         \
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"                                                      \
	"2 tid=100 snap_vma addr=0x400000000000 len=0x40000 pgoff=0 dev=1 ino=2 flags=0x1\n"                  \
	"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"                                                   \
	"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"                                                   \
	"frame stream=2\n"                                                                                    \
	"5 tid=9 cache_add dev=1 ino=2 index=0 pfn=0x500 order=0\n"                                           \
	"5 tid=9 cache_add dev=1 ino=2 index=1 pfn=0x501 order=0\n"                                           \
	"5 tid=9 cache_add dev=1 ino=2 index=2 pfn=0x702 order=0\n"                                           \
	"5 tid=9 cache_add dev=1 ino=2 index=9 pfn=0x709 order=0\n"

#define TWO_FAULTS                                                                                            \
	"10 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"                                              \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                                  \
	"12 tid=100 rss_change member=1 pages=1\n"                                                            \
	"20 tid=100 fault addr=0x400000002000 flags=" WRITE "\n"                                              \
	"21 tid=100 page_alloc pfn=0x1007 order=0 gfp=0x3\n"                                                  \
	"22 tid=100 rss_change member=1 pages=1\n"

static bool is_marked(const struct result *r, enum rf_reason reason)
{
	for (u32 i = 0; i < r->trust.nr_marks; i++)
		if (r->trust.marks[i].reason == reason)
			return true;
	return false;
}

/* sync_mm_rss() tells, at the next fault, what was told; then counters go on from there. */
static void a_batch_is_no_second_change(void **context)
{
	struct result *r = track_on("6.1.0", ATTACHED "frame stream=0\n" TWO_FAULTS
		"30 tid=100 fault addr=0x400000003000 flags=" WRITE "\n"
		"31 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"32 tid=100 page_alloc pfn=0x1003 order=0 gfp=0x3\n"
		"33 tid=100 rss_change member=1 pages=1\n"
		"40 tid=100 munmap addr=0x400000000000 len=0x4000\n"
		"41 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=3\n"
		"42 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"43 tid=100 sys_ret call=17 ret=0\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @2 nr=1 pfn=1007\n"
		  "fault_anon 0 @3 nr=1 pfn=1003\n"
		  "munmap 0 @0-4\n");
	assert_int_equal(r->trust.nr_marks, 0);
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_true(r->fidelity.rss_checks_ok >= 3);
}

/* What two threads keep is added up by neither. */
static void threads_keep_their_own(void **context)
{
	struct result *r = track_on("6.1.0", ATTACHED "frame stream=0\n" TWO_FAULTS
		"30 tid=101 fault addr=0x400000003000 flags=" WRITE "\n"
		"31 tid=101 page_alloc pfn=0x1003 order=0 gfp=0x3\n"
		"32 tid=101 rss_change member=1 pages=1\n"
		"40 tid=100 fault addr=0x400000004000 flags=" WRITE "\n"
		"41 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"42 tid=100 page_alloc pfn=0x1004 order=0 gfp=0x3\n"
		"43 tid=100 rss_change member=1 pages=1\n"
		"50 tid=101 fault addr=0x400000005000 flags=" WRITE "\n"
		"51 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=3\n"
		"52 tid=101 page_alloc pfn=0x1005 order=0 gfp=0x3\n"
		"53 tid=101 rss_change member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @2 nr=1 pfn=1007\n"
		  "fault_anon 0 @3 nr=1 pfn=1003\n"
		  "fault_anon 0 @4 nr=1 pfn=1004\n"
		  "fault_anon 0 @5 nr=1 pfn=1005\n");
	assert_int_equal(r->trust.nr_marks, 0);
}

static void nobody_tells(void **context)
{
	struct result *r = track_on("6.1.0", ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"20 tid=100 fault addr=0x400000002000 flags=" WRITE "\n");
	(void)context;
	assert_true(is_marked(r, RF_REASON_rss_untold));
	/* A kernel that tells each change by itself. */
	r = track_on("6.2.0", ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=" WRITE "\n");
	assert_false(is_marked(r, RF_REASON_rss_untold));
}

/* Counted page by page, mapped as one: three of the window's 16 pages and of those cached. */
static void fault_around_is_one_effect(void **context)
{
	struct result *r = track_on("6.1.0", FILE_READ_ONLY "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=" READ "\n"
		"11 tid=100 rss_change member=0 pages=1\n"
		"12 tid=100 rss_change member=0 pages=1\n"
		"13 tid=100 rss_change member=0 pages=1\n"
		"14 tid=100 rss_change member=0 pages=1\n"
		"20 tid=100 fault addr=0x400000020000 flags=" READ "\n"
		"21 tid=100 rss_change member=0 pages=1\n"
		"30 tid=100 munmap addr=0x400000000000 len=0x40000\n"
		"31 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=5\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=0\n"
		"33 tid=100 sys_ret call=17 ret=0\n"
		"frame stream=2\n"
		"15 tid=9 cache_add dev=1 ino=2 index=32 pfn=0x900 order=0\n");
	(void)context;
	expect(r, "fault_file 0 @0 nr=1 pfn=500\n"
		  "fault_file 0 @1 nr=1 pfn=501\n"
		  "fault_file 0 @2 nr=1 pfn=702\n"
		  "fault_file 0 @9 nr=1 pfn=709\n"
		  "fault_file 0 @32 nr=1 pfn=900\n"
		  "munmap 0 @0-64\n");
	assert_int_equal(r->trust.nr_marks, 0);
}

/* The fault's own page is read first: it is none of those that were mapped around it. */
static void a_fault_that_reads_begins_again(void **context)
{
	struct result *r = track_on("6.1.0", FILE_READ_ONLY "frame stream=0\n"
		"10 tid=100 fault addr=0x400000003000 flags=" READ "\n"
		"11 tid=100 rss_change member=0 pages=1\n"
		"12 tid=100 rss_change member=0 pages=1\n"
		"13 tid=100 rss_change member=0 pages=1\n"
		"14 tid=100 rss_change member=0 pages=1\n"
		"30 tid=100 fault addr=0x400000003000 flags=" READ_AGAIN "\n"
		"31 tid=100 rss_change member=0 pages=1\n"
		"frame stream=2\n"
		"20 tid=100 cache_add dev=1 ino=2 index=3 pfn=0x703 order=0\n");
	(void)context;
	expect(r, "fault_file 0 @0 nr=1 pfn=500\n"
		  "fault_file 0 @1 nr=1 pfn=501\n"
		  "fault_file 0 @2 nr=1 pfn=702\n"
		  "fault_file 0 @9 nr=1 pfn=709\n"
		  "fault_none 0 @3\n"
		  "fault_file 0 @3 nr=1 pfn=703\n");
	assert_int_equal(r->trust.nr_marks, 0);
}

/* add_mm_counter_fast() is called for another's counter, too, which is told at once. */
static void anothers_counter_is_not_kept(void **context)
{
	struct result *r = track_on("6.1.0", ATTACHED "frame stream=0\n" TWO_FAULTS
		"25 tid=100 rss_change member=1 pages=1\n"
		"40 tid=100 fault addr=0x400000004000 flags=" READ "\n"
		"41 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"frame stream=2\n"
		"26 tid=100 rss_stat mm_id=77 curr=0 member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @2 nr=1 pfn=1007\n"
		  "fault_zero 0 @4 nr=1\n");
	assert_int_equal(r->trust.nr_marks, 0);
}

/*
 * do_set_pte() by address, whatever is cached, with its counter (not inlined) or without; an interrupt frees pages
 * amid it. alloc_set_pte() of what is there does nothing.
 */
static void addresses_are_told(void **context)
{
	struct result *r = track_on("6.1.0", FILE_READ_ONLY "frame stream=0\n"
		"10 tid=100 fault addr=0x400000002000 flags=" READ "\n"
		"11 tid=100 set_pte addr=0x400000001000 shmem=0 tail=0\n"
		"12 tid=100 rss_change member=0 pages=1\n"
		"13 tid=100 set_pte addr=0x400000002000 shmem=0 tail=0\n"
		"14 tid=100 page_free pfn=0x9999 order=0\n"
		"15 tid=100 rss_change member=0 pages=1\n"
		"20 tid=100 fault addr=0x400000009000 flags=" READ "\n"
		"21 tid=100 set_pte addr=0x400000001000 shmem=0 tail=0\n"
		"22 tid=100 set_pte addr=0x400000009000 shmem=0 tail=0\n"
		"23 tid=100 rss_change member=0 pages=1\n"
		"30 tid=100 munmap addr=0x400000000000 len=0x40000\n"
		"31 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=3\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=0\n"
		"33 tid=100 sys_ret call=17 ret=0\n");
	(void)context;
	expect(r, "fault_file 0 @1 nr=1 pfn=501\n"
		  "fault_file 0 @2 nr=1 pfn=702\n"
		  "fault_file 0 @9 nr=1 pfn=709\n"
		  "munmap 0 @0-64\n");
	assert_int_equal(r->trust.nr_marks, 0);
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
}

/* do_cow_fault(): the same function, for the copy that a write to a private mapping gets at once. */
static void a_copy_is_of_the_task(void **context)
{
	struct result *r = track_on("6.1.0",
		"frame stream=4\n1 tid=100 process pid=100\n"
		"2 tid=100 snap_begin pid=100 why=0 threads=1\n"
		"2 tid=100 snap_vma addr=0x400000000000 len=0x40000 pgoff=0 dev=1 ino=2 flags=0x3\n"
		"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"
		"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"
		"frame stream=0\n"
		"10 tid=100 fault addr=0x400000002000 flags=" WRITE "\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 set_pte addr=0x400000002000 shmem=0 tail=0\n"
		"20 tid=100 fault addr=0x400000003000 flags=" WRITE "\n"
		"21 tid=100 page_alloc pfn=0x1007 order=0 gfp=0x3\n"
		"22 tid=100 set_pte addr=0x400000003000 shmem=0 tail=0\n"
		"23 tid=100 rss_change member=1 pages=1\n"
		"30 tid=100 munmap addr=0x400000000000 len=0x40000\n"
		"31 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
		"33 tid=100 sys_ret call=17 ret=0\n"
		"40 tid=100 fault addr=0x500000000000 flags=" READ "\n"
		"41 tid=100 rss_change member=1 pages=0\n");
	(void)context;
	assert_non_null(strstr(r->ops, "@2 nr=1 pfn=1000\n"));
	assert_non_null(strstr(r->ops, "@3 nr=1 pfn=1007\n"));
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_no_second_change),
		cmocka_unit_test(threads_keep_their_own),
		cmocka_unit_test(nobody_tells),
		cmocka_unit_test(fault_around_is_one_effect),
		cmocka_unit_test(a_fault_that_reads_begins_again),
		cmocka_unit_test(anothers_counter_is_not_kept),
		cmocka_unit_test(addresses_are_told),
		cmocka_unit_test(a_copy_is_of_the_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
