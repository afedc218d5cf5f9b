// SPDX-License-Identifier: MIT
/* fork(): when its copy was made, whether it was, what it leaves write-protected, and what is copied afterwards. */
#include "tests/unit/replay/tracking_text.h"

#include <stdio.h>
#include <string.h>

/* The parent's only page. */
#define ONE_PAGE ATTACHED "frame stream=0\n"						\
	"10 tid=100 fault addr=0x400000001000 flags=0x2\n"				\
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"				\
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"

/* It is copied for a child that is not born, and written to afterwards. */
#define FAILED_FORK ONE_PAGE								\
	"20 tid=100 clone flags=0x11\n"							\
	"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"			\
	"22 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"			\
	"23 tid=100 sys_ret call=26 ret=-11\n"						\
	"30 tid=100 fault addr=0x400000001000 flags=0x3\n"

/* What thread 101 maps after the copy was made, but before the clone is announced, is the parent's alone. */
static void fork_ends_at_its_last_rss_change(void **context)
{
	struct result *r = track(ONE_PAGE
		"20 tid=100 clone flags=0x11\n"
		"40 tid=100 newtask child=200 flags=0x0\n"
		"41 tid=100 sys_ret call=26 ret=200\n"
		"50 tid=200 fault addr=0x400000001000 flags=0x3\n"
		"51 tid=200 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"60 tid=100 fault addr=0x400000001000 flags=0x3\n"
		"70 tid=200 fault addr=0x400000002000 flags=0x2\n"
		"71 tid=200 page_alloc pfn=0x1003 order=0 gfp=0x3\n"
		"72 tid=200 rss_stat mm_id=10 curr=1 member=1 pages=2\n"
		"80 tid=200 exit_task group_dead=1\n"
		"frame stream=1\n"
		"30 tid=101 fault addr=0x400000002000 flags=0x2\n"
		"31 tid=101 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"32 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"frame stream=2\n"
		"25 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "fault_anon 0 @2 nr=1 pfn=1002\n"
		  "fault_cow 1 @1 nr=1 pfn=1001\n"
		  "fault_anon 1 @2 nr=1 pfn=1003\n"
		  "mm_exit 1\n"
		  "fault_reuse 0 @1 nr=1\n");
	assert_int_equal(r->fidelity.inferred.fork_point, 0);
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

/* Thread 100 finds nothing, and waits; 101 maps the page and forks. What 100 allocates then is a copy. */
static void a_fault_that_waits_for_a_fork_copies(void **context)
{
	struct result *r = track(ONE_PAGE
		"20 tid=100 fault addr=0x400000002000 flags=0x2\n"
		"50 tid=100 page_alloc pfn=0x1003 order=0 gfp=0x33\n"
		"60 tid=200 exit_task group_dead=1\n"
		"61 tid=200 page_free pfn=0x1002 order=0\n"
		"frame stream=1\n"
		"21 tid=101 fault addr=0x400000002000 flags=0x2\n"
		"22 tid=101 page_alloc pfn=0x1002 order=0 gfp=0x3b\n"
		"23 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30 tid=101 clone flags=0x11\n"
		"31 tid=101 rss_stat mm_id=10 curr=0 member=1 pages=2\n"
		"40 tid=101 newtask child=200 flags=0x0\n"
		"41 tid=101 sys_ret call=26 ret=200\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @2 nr=1 pfn=1002\n"
		  "fork 0 child=1\n"
		  "fault_cow 0 @2 nr=1 pfn=1003\n"
		  "mm_exit 1\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* A limit on processes, say: the copy was whole and is unmapped, the parent's entry is write-protected. Twice. */
static void a_fork_that_fails_protects(void **context)
{
	struct result *r = track(FAILED_FORK
		"40 tid=100 clone flags=0xffffffffffffffff\n"
		"41 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"42 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		"43 tid=100 sys_ret call=26 ret=-17\n"
		"50 tid=100 fault addr=0x400000001000 flags=0x3\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "mm_exit 1\n"
		  "fault_reuse 0 @1 nr=1\n"
		  "fork 0 child=2\n"
		  "mm_exit 2\n"
		  "fault_reuse 0 @1 nr=1\n");
	assert_int_equal(r->fidelity.fault_checks_bad + r->fidelity.inexact_mms, 0);
}

/* A page that was reused leaves no record. What the task allocates next, for a file that it writes, is no copy. */
static void page_of_a_file_is_no_copy(void **context)
{
	struct result *r = track(FAILED_FORK
		"31 tid=100 page_alloc pfn=0x2000 order=0 gfp=0x33\n"
		"32 tid=100 cache_add dev=1 ino=2 index=3 pfn=0x2000 order=0\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "mm_exit 1\n"
		  "fault_reuse 0 @1 nr=1\n");
}

/* Of two pages one was copied: which the parent has to fault on is not known. Before dup_mmap() nothing is copied. */
static void a_fork_that_copies_in_part_marks(void **context)
{
	static const char before[] = ONE_PAGE
		"13 tid=100 fault addr=0x400000002000 flags=0x2\n"
		"14 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"15 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"20 tid=100 clone flags=0x11\n";
	char records[1024];
	struct result *r;

	(void)context;
	snprintf(records, sizeof(records), "%s%s", before,
		 "21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		 "22 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		 "23 tid=100 sys_ret call=26 ret=-12\n");
	r = track(records);
	assert_int_equal(r->fidelity.inexact_mms, 2);
	snprintf(records, sizeof(records), "%s%s", before, "23 tid=100 sys_ret call=26 ret=-11\n");
	r = track(records);
	assert_int_equal(r->fidelity.inexact_mms, 0);
	assert_null(strstr(r->ops, "fork"));
}

/* The parent reclaims a page of the child amid the copy, whose counter falls: that is not the end of dup_mmap(). */
static void reclaim_does_not_end_a_fork(void **context)
{
	struct result *r = track(ONE_PAGE
		"20 tid=100 clone flags=0x11\n"
		"40 tid=100 newtask child=200 flags=0x0\n"
		"41 tid=100 sys_ret call=26 ret=200\n"
		"frame stream=1\n"
		"25 tid=101 fault addr=0x400000002000 flags=0x2\n"
		"26 tid=101 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"27 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"frame stream=2\n"
		"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"22 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		"23 tid=100 rss_stat mm_id=10 curr=0 member=2 pages=1\n"
		"30 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"31 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		"32 tid=100 rss_stat mm_id=10 curr=0 member=2 pages=2\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fault_anon 0 @2 nr=1 pfn=1002\n"
		  "fork 0 child=1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fork_ends_at_its_last_rss_change),
		cmocka_unit_test(a_fault_that_waits_for_a_fork_copies),
		cmocka_unit_test(a_fork_that_fails_protects),
		cmocka_unit_test(page_of_a_file_is_no_copy),
		cmocka_unit_test(a_fork_that_copies_in_part_marks),
		cmocka_unit_test(reclaim_does_not_end_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
