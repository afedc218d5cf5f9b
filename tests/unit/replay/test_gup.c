// SPDX-License-Identifier: MIT
/* What becomes of GUP records, of calls that go through GUP, and of hugetlb. */
#include "tests/unit/replay/tracking_text.h"

#define ATTACHED_HUGETLB							\
	"frame stream=4\n"							\
	"1 tid=100 process pid=100\n"						\
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"			\
	"3 tid=100 snap_vma addr=0x400000000000 len=0x10000 flags=0x3\n"	\
	"4 tid=100 snap_vma addr=0x400000200000 len=0x400000 flags=0x803\n"	\
	"5 tid=100 snap_vma addr=0x400000600000 len=0x20000 flags=0x1000803\n"	\
	"6 tid=100 snap_end pid=100 complete=1 stopped=1\n"

/* The machines know which huge pages are there: each fault is told, with the size of its mapping. */
static void faults_of_hugetlb(void **context)
{
	struct result *r = track(ATTACHED_HUGETLB "frame stream=0\n"
		"10 tid=100 fault addr=0x400000201000 flags=0x2\n"
		"11 tid=100 fault addr=0x400000611234 flags=0x0\n"
		"12 tid=100 munmap addr=0x400000200000 len=0x200000\n"
		"13 tid=100 sys_ret call=17 ret=0\n");
	(void)context;
	expect(r, "fault_hugetlb 0 @512 order=21\n"
		  "fault_hugetlb 0 @1552 order=16\n"
		  "munmap 0 @512-1024\n");
}

/* Which entries mprotect() changes there, and what it flushes, the machines do not know. */
static void mprotect_of_hugetlb_marks(void **context)
{
	(void)context;
	assert_int_equal(track(ATTACHED_HUGETLB "frame stream=0\n"
			       "12 tid=100 mprotect addr=0x400000200000 len=0x200000 prot=0x1 pkey=-1\n"
			       "13 tid=100 sys_ret call=18 ret=0\n")->fidelity.inexact_mms, 1);
	assert_int_equal(track(ATTACHED_HUGETLB "frame stream=0\n"
			       "12 tid=100 mprotect addr=0x400000000000 len=0x10000 prot=0x1 pkey=-1\n"
			       "13 tid=100 sys_ret call=18 ret=0\n")->fidelity.inexact_mms, 0);
}

/* MAP_HUGE_1GB, and one without a size, longer than asked for. */
static void mmap_tells_the_size(void **context)
{
	struct result *r = track(ATTACHED_HUGETLB "frame stream=0\n"
		"10 tid=100 mmap len=0x40000000 prot=3 flags=0x78040022 fd=-1\n"
		"11 tid=100 sys_ret call=16 ret=0x400040000000\n"
		"12 tid=100 mmap len=0x1000 prot=3 flags=0x48022 fd=-1\n"
		"13 tid=100 sys_ret call=16 ret=0x400100000000\n"
		"14 tid=100 fault addr=0x400050000000 flags=0x2\n"
		"15 tid=100 exit group=1\n");
	(void)context;
	expect(r, "map 0 @262144-524288\n"
		  "map 0 @1048576-1049088\n"
		  "fault_hugetlb 0 @1048576 order=21 populate\n"
		  "gup_slow 0 @1048576-1049088\n"
		  "fault_hugetlb 0 @262144 order=30\n");
}

static void process_vm_as_far_as_it_came(void **context)
{
	struct result *r = track(ATTACHED_HUGETLB "frame stream=0\n"
		"10 tid=100 fault addr=0x400000000000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=101 gup pid=100 addr=0x400000000ff0 len=0x20\n"
		"21 tid=101 gup pid=100 addr=0x400000200000 len=0x200000\n"
		"22 tid=101 gup pid=100 addr=0x400000000000 len=0x10\n"
		"23 tid=101 process_vm pid=100\n"
		"24 tid=101 sys_ret call=34 ret=0x1020\n"
		"25 tid=101 process_vm pid=100\n"
		"26 tid=101 sys_ret call=34 ret=0x1000\n"
		/* One whose return is lost, one that never began, one as it should be. */
		"30 tid=101 gup pid=100 addr=0x400000001000 len=0x10\n"
		"31 tid=101 process_vm pid=100\n"
		"32 tid=101 gup pid=100 addr=0x400000002000 len=0x10\n"
		"33 tid=101 munlock addr=0x400000000000 len=0x1000\n"
		"34 tid=101 sys_ret call=23 ret=-22\n"
		"35 tid=101 gup pid=100 addr=0x400000003000 len=0x10\n"
		"36 tid=101 gup pid=100 addr=0x400000004000 len=0x10\n"
		"37 tid=101 process_vm pid=100\n"
		"38 tid=101 sys_ret call=34 ret=0x20\n"
		"frame stream=1\n"
		"2 tid=101 process pid=100\n");
	(void)context;
	/* What is read and was never touched becomes the zero page, without a record. */
	expect(r, "fault_anon 0 @0 nr=1 pfn=1000\n"
		  "fault_zero 0 @1 nr=1 populate\n"
		  "gup_slow 0 @0-1 nr=2\n"
		  "fault_hugetlb 0 @512 order=21 populate\n"
		  "gup_slow 0 @512-513 nr=2\n"
		  "fault_zero 0 @3 nr=1 populate\n"
		  "fault_zero 0 @4 nr=1 populate\n"
		  "gup_slow 0 @3-3 nr=2\n"
		  "gup_slow 0 @4-4 nr=2\n");
}

static void fast_at_once(void **context)
{
	struct result *r = track(ATTACHED_HUGETLB "frame stream=0\n"
		"20 tid=100 gup addr=0x400000000000 len=0x10000 flags=3\n"
		"21 tid=100 gup addr=0x3ffffffffffffff len=0x7fffffffffffffff\n"
		"22 tid=100 gup addr=0x400000000000 len=0x0 flags=3\n");
	(void)context;
	expect(r, "gup_fast 0 @0-16\n");
}

/* The snapshots show huge pages, but what page frames they are nothing else tells: they are left out. */
static void snapshots_of_hugetlb(void **context)
{
	struct result *r = track(
		"frame stream=4\n"
		"1 tid=100 process pid=100\n"
		"2 tid=100 snap_begin pid=100 why=0 threads=1\n"
		"3 tid=100 snap_vma addr=0x400000200000 len=0x400000 flags=0x803\n"
		"4 tid=100 snap_pte addr=0x400000200000 nr=512 pfn=0x10000 order=9 flags=0x2\n"
		"5 tid=100 snap_end pid=100 complete=1 stopped=1\n"
		"90 tid=100 snap_begin pid=100 why=1 threads=1\n"
		"91 tid=100 snap_vma addr=0x400000200000 len=0x400000 flags=0x803\n"
		"92 tid=100 snap_pte addr=0x400000200000 nr=512 pfn=0x10000 order=9 flags=0x2\n"
		"93 tid=100 snap_end pid=100 complete=1 stopped=1\n");
	(void)context;
	assert_int_equal(r->fidelity.ptes, 0);
	assert_int_equal(r->fidelity.extra, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_of_hugetlb),
		cmocka_unit_test(mprotect_of_hugetlb_marks),
		cmocka_unit_test(mmap_tells_the_size),
		cmocka_unit_test(process_vm_as_far_as_it_came),
		cmocka_unit_test(fast_at_once),
		cmocka_unit_test(snapshots_of_hugetlb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
