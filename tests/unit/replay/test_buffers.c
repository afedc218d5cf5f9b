// SPDX-License-Identifier: MIT
/*
 * Calls that act on memory which they name in a buffer, or on another process's: with what the buffer held, and
 * without.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/replay/tracking_text.h"

#define OK(call, ret) "tid=100 sys_ret call=" call " ret=" ret "\n"

/* Page 1 of process 100. */
#define ONE_PAGE                                                                                              \
	"10 tid=100 fault addr=0x400000001000 flags=0x2\n"                                                    \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                                  \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"

#define DONTNEED                                                                                              \
	"20 tid=100 process_madvise pidfd=3 vec=0x1000 vlen=2 advice=4\n"                                     \
	"21 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"

#define IOVECS                                                                                                \
	"frame stream=4\n"                                                                                    \
	"19 tid=100 call_data call=28 pid=100 w0=0x400000001000 w1=0x1000\n"                                  \
	"19 tid=100 call_data call=28 pid=100 w0=0x400000004000 w1=0x2000\n"

static void advice_by_iovecs(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE DONTNEED "22 " OK("28", "0x3000") IOVECS);

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "zap 0 @1-2\n"
		  "zap 0 @4-6\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* It unmapped less than was asked for; or nobody knows what. */
static void what_is_not_known_marks(void **context)
{
	(void)context;
	assert_int_equal(track(ATTACHED "frame stream=0\n" ONE_PAGE DONTNEED "22 " OK("28", "0x1000") IOVECS)
				 ->fidelity.inexact_mms, 1);
	assert_int_equal(track(ATTACHED "frame stream=0\n" ONE_PAGE DONTNEED "22 " OK("28", "0x3000"))
				 ->fidelity.inexact_mms, 1);
}

/* The child of 100, which has nothing mapped but page 1, is written to at pages 1 and 3. */
static void written_into_another_process(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE
		"20 tid=100 clone flags=0x11\n"
		"22 tid=100 newtask child=200 flags=0x0\n"
		"23 " OK("26", "200")
		"30 tid=100 process_vm pid=200 write=1\n"
		"31 tid=100 page_alloc pfn=0x2000 order=0 gfp=0x3\n"
		"32 tid=100 page_alloc pfn=0x2001 order=0 gfp=0x3\n"
		"34 " OK("34", "0x11")
		"frame stream=2\n"
		"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"33 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=2\n"
		"frame stream=4\n"
		"29 tid=100 gup pid=200 addr=0x400000001ff0 len=0x10 flags=0x1\n"
		"29 tid=100 gup pid=200 addr=0x400000003000 len=0x1 flags=0x1\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "fault_cow 1 @1 nr=1 pfn=2000 populate\n"
		  "fault_anon 1 @3 nr=1 pfn=2001 populate\n"
		  "gup_slow 1 @1-2 nr=2\n"
		  "gup_slow 1 @3-3 nr=2\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

#define BORN                                                                                                  \
	"20 tid=100 clone flags=0x11\n22 tid=100 newtask child=200 flags=0x0\n23 " OK("26", "200")

/* Nobody has read the iovecs: whose memory they are about is marked; of whom is not known, everybody. */
static void unread_iovecs_mark(void **context)
{
	static const struct {
		const char *what, *calls;
		u64 marked;
	} cases[] = {
		{ "read", "30 tid=100 process_vm pid=200 write=0\n34 " OK("34", "0x10"), 1 },
		{ "written", "30 tid=100 process_vm pid=200 write=1\n34 " OK("34", "0x10"), 1 },
		{ "a page is missing", "30 tid=100 process_vm pid=200 write=0\n34 tid=100 sys_ret call=34 ret=-14\n", 1 },
		{ "not allowed to", "30 tid=100 process_vm pid=200 write=0\n34 tid=100 sys_ret call=34 ret=-1\n", 0 },
		{ "cold", "30 tid=100 process_madvise pidfd=3 vec=0x10 vlen=1 advice=20\n31 " OK("28", "0x1000"), 2 },
		{ "cold, its own", "30 tid=100 process_madvise pidfd=-10000 vec=0x10 vlen=1 advice=20\n31 "
				   OK("28", "0x1000"), 1 },
		{ "not needed", "30 tid=100 process_madvise pidfd=3 vec=0x10 vlen=1 advice=4\n31 " OK("28", "0x1000"), 1 },
	};

	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct result *r;
		char *text;

		assert_true(asprintf(&text, "%sframe stream=0\n%s%s%sframe stream=2\n%s", ATTACHED, ONE_PAGE, BORN,
				     cases[i].calls, "21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n") > 0);
		r = track(text);
		free(text);
		if (r->fidelity.inexact_mms != cases[i].marked)
			fail_msg("%s: %u marked", cases[i].what, (unsigned int)r->fidelity.inexact_mms);
	}
}

/* The first page of shared memory is allocated when all of the iovec before it is there: that is no copy yet. */
static void from_one_iovec_to_the_next(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE
		"13 tid=100 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x21 fd=-1 offset=0\n"
		"14 " OK("16", "0x400001000000")
		"20 tid=100 clone flags=0x11\n"
		"22 tid=100 newtask child=200 flags=0x0\n"
		"23 " OK("26", "200")
		"30 tid=100 process_vm pid=200 write=1\n"
		"31 tid=100 page_alloc pfn=0x2000 order=0 gfp=0x3\n"
		"33 tid=100 page_alloc pfn=0x3000 order=0 gfp=0x3\n"
		"35 tid=100 page_alloc pfn=0x2001 order=0 gfp=0x3\n"
		"37 " OK("34", "0x30")
		"frame stream=2\n"
		"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"34 tid=100 rss_stat mm_id=10 curr=0 member=3 pages=1\n"
		"36 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=2\n"
		"frame stream=4\n"
		"29 tid=100 gup pid=200 addr=0x400000001ff0 len=0x10 flags=0x1\n"
		"29 tid=100 gup pid=200 addr=0x400001001000 len=0x10 flags=0x1\n"
		"29 tid=100 gup pid=200 addr=0x400000003000 len=0x1 flags=0x1\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "map 0 @4096-4098\n"
		  "fork 0 child=1\n"
		  "fault_cow 1 @1 nr=1 pfn=2000 populate\n"
		  "fault_file 1 @4097 nr=1 pfn=3000 populate\n"
		  "fault_anon 1 @3 nr=1 pfn=2001 populate\n"
		  "gup_slow 1 @1-2 nr=2\n"
		  "gup_slow 1 @4097-4097 nr=2\n"
		  "gup_slow 1 @3-3 nr=2\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

#define REGISTER                                                                                              \
	"10 tid=100 call_data call=39 w0=0x400000000000 w1=0x100000 w2=1\n"                                   \
	"11 tid=100 ioctl fd=3 cmd=0xc020aa00 arg=0x1000\n"

static void filled_by_userfaultfd(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" REGISTER
		"20 tid=100 call_data call=39 w0=0x400000005000 w1=0x400000800000 w2=0x2000\n"
		"21 tid=100 ioctl fd=3 cmd=0xc028aa03 arg=0x1000\n"
		"22 tid=100 page_alloc pfn=0x2000 order=0 gfp=0x3\n"
		"23 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"24 tid=100 page_alloc pfn=0x2001 order=0 gfp=0x3\n"
		"25 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"30 tid=100 call_data call=39 w0=0x400000006000 w1=0x2000\n"
		"31 tid=100 ioctl fd=3 cmd=0xc020aa04 arg=0x1000\n"
		"40 tid=100 brk addr=0\n");

	(void)context;
	expect(r, "vma_flags 0 @0-256\n"
		  "fault_anon 0 @5 nr=1 pfn=2000 populate\n"
		  "fault_anon 0 @6 nr=1 pfn=2001 populate\n"
		  "fault_zero 0 @7 nr=1 populate\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* Who waits for the zero page to write to it, goes on before the call returns that has put it there, and copies it. */
static void zero_page_for_who_waits(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" REGISTER
		"20 tid=101 fault addr=0x400000005000 flags=0x2\n"
		"21 tid=101 page_alloc pfn=0x2000 order=0 gfp=0x3\n"
		"22 tid=101 page_free pfn=0x2000 order=0\n"
		"30 tid=100 call_data call=39 w0=0x400000005000 w1=0x2000\n"
		"31 tid=100 ioctl fd=3 cmd=0xc020aa04 arg=0x1000\n"
		"32 tid=101 page_alloc pfn=0x2001 order=0 gfp=0x3\n"
		"33 tid=101 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"40 tid=100 brk addr=0\n");

	(void)context;
	expect(r, "vma_flags 0 @0-256\n"
		  "fault_zero 0 @5 nr=1 populate\n"
		  "fault_cow 0 @5 nr=1 pfn=2001\n"
		  "fault_zero 0 @6 nr=1 populate\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

#define MOVE(time, from, len)                                                                                 \
	time "tid=100 call_data call=39 w0=0x400000005000 w1=" from " w2=" len "\n"                           \
	time "tid=100 ioctl fd=3 cmd=0xc028aa05 arg=0x1000\n"

/* At once, as whoever waits for the page goes on before the call returns. */
static void moved_by_userfaultfd(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER MOVE("20 ", "0x400000001000", "0x1000")
		"30 tid=100 mprotect addr=0x400000005000 len=0x1000 prot=1\n"
		"31 " OK("18", "0"));

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "vma_flags 0 @0-256\n"
		  "uffd_move 0 @1-2 nr=1 to=5\n"
		  "mprotect 0 @5-6\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* -EAGAIN, and the second of two pages is missing: the first was moved. Refused: none. Nothing explains it: marked. */
static void moved_in_part(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER MOVE("20 ", "0x400000001000", "0x2000")
		"22 " OK("39", "-11"));

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "vma_flags 0 @0-256\n"
		  "uffd_move 0 @1-2 nr=1 to=5\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
	r = track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER MOVE("20 ", "0x400000001000", "0x1000")
		"22 " OK("39", "-22"));
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "vma_flags 0 @0-256\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
	assert_int_equal(track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER
			       MOVE("20 ", "0x400000001000", "0x1000") "22 " OK("39", "-11"))
				 ->fidelity.inexact_mms, 1);
	assert_int_equal(track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER
			       MOVE("20 ", "0x400000002000", "0x1000") "40 tid=100 brk addr=0\n")
				 ->fidelity.inexact_mms, 1);
}

#define REGISTER_WP                                                                                           \
	"15 tid=100 call_data call=39 w0=0x400000000000 w1=0x100000 w2=2\n"                                   \
	"15 tid=100 ioctl fd=3 cmd=0xc020aa00 arg=0x1000\n"
#define WRITEPROTECT(time, mode)                                                                              \
	time "tid=100 call_data call=39 w0=0x400000000000 w1=0x100000 w2=" mode "\n"                          \
	time "tid=100 ioctl fd=3 cmd=0xc018aa06 arg=0x1000\n"

/* A write faults, and again only if it has been allowed meanwhile without becoming writable. */
static void protected_by_userfaultfd(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER_WP WRITEPROTECT("20 ", "1")
		"21 tid=101 fault addr=0x400000001000 flags=0x3\n"
		WRITEPROTECT("30 ", "0")
		"40 tid=100 brk addr=0\n");

	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 0);
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
	r = track(ATTACHED "frame stream=0\n" ONE_PAGE REGISTER_WP WRITEPROTECT("20 ", "1")
		"25 tid=100 fault addr=0x400000001000 flags=0x3\n"
		WRITEPROTECT("30 ", "0")
		"40 tid=100 brk addr=0\n");
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "vma_flags 0 @0-256\n"
		  "uffd_wp 0 @0-256\n"
		  "fault_none 0 @1\n"
		  "uffd_wp 0 @0-256\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

#define ASYNC "14 tid=100 call_data call=39 w0=0xaa w1=0x8000\n"

/* With WP_ASYNC the fault resolves it; but then empty entries get markers. */
static void logged_by_userfaultfd(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" ONE_PAGE ASYNC REGISTER_WP WRITEPROTECT("20 ", "1")
		"25 tid=100 fault addr=0x400000001000 flags=0x3\n"
		"40 tid=100 brk addr=0\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "vma_flags 0 @0-256\n"
		  "uffd_wp 0 @0-256\n"
		  "fault_reuse 0 @1 nr=1\n");
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* Poisoned; or protected, of a file. */
static void marked_by_userfaultfd(void **context)
{
	(void)context;
	assert_int_equal(track(ATTACHED "frame stream=0\n" REGISTER
		"20 tid=100 call_data call=39 w0=0x400000005000 w1=0x2000\n"
		"21 tid=100 ioctl fd=3 cmd=0xc020aa08 arg=0x1000\n"
		"40 tid=100 brk addr=0\n")->fidelity.inexact_mms, 1);
	assert_int_equal(track(ATTACHED "frame stream=0\n" WRITEPROTECT("20 ", "1")
		"40 tid=100 brk addr=0\n")->fidelity.inexact_mms, 1);
}

/* Pages 0 and 1 of shared memory; page 0 becomes the second page of it, too, and is there at once. */
static void file_pages_are_remapped(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mmap addr=0 len=0x2000 prot=3 flags=0x21 fd=-1\n"
		"11 " OK("16", "0x400002000000")
		"20 tid=100 fault addr=0x400002000000 flags=0x2\n"
		"21 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"22 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
		"23 tid=100 fault addr=0x400002001000 flags=0x2\n"
		"24 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"25 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=2\n"
		"30 tid=100 remap_file_pages addr=0x400002000000 len=0x1000 pgoff=1\n"
		"31 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
		"32 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=2\n"
		"33 tid=100 map_pages dev=1 ino=7 index=1 last=1\n"
		"34 " OK("31", "0"));

	(void)context;
	expect(r, "map 0 @8192-8194\n"
		  "fault_file 0 @8192 nr=1 pfn=1000\n"
		  "fault_file 0 @8193 nr=1 pfn=1001\n"
		  "munmap 0 @8192-8193\n"
		  "map 0 @8192-8193\n"
		  "fault_file 0 @8192 nr=1 pfn=1001 populate\n"
		  "gup_slow 0 @8192-8193\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(advice_by_iovecs),
		cmocka_unit_test(what_is_not_known_marks),
		cmocka_unit_test(written_into_another_process),
		cmocka_unit_test(unread_iovecs_mark),
		cmocka_unit_test(from_one_iovec_to_the_next),
		cmocka_unit_test(filled_by_userfaultfd), cmocka_unit_test(zero_page_for_who_waits),
		cmocka_unit_test(moved_by_userfaultfd),
		cmocka_unit_test(moved_in_part),
		cmocka_unit_test(protected_by_userfaultfd),
		cmocka_unit_test(logged_by_userfaultfd),
		cmocka_unit_test(marked_by_userfaultfd),
		cmocka_unit_test(file_pages_are_remapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
