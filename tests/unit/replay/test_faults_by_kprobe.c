// SPDX-License-Identifier: MIT
/* Faults told by a kprobe on handle_mm_fault(), as on arm64: whether they write is known, what they found is not. */
#include "tests/unit/replay/tracking_text.h"

/* UNKNOWN | WRITE_KNOWN; a write, a retry, on another address space. */
#define READ "0x30"
#define WRITE "0x32"
#define WRITE_AGAIN "0x72"
#define WRITE_REMOTE "0xb2"

/* Process 100 maps 64 pages of a file at BASE, shared and writable; of it pages 0 and 1 are cached. */
#define SHARED_FILE                                                                                           \
	"frame stream=4\n"                                                                                    \
	"1 tid=100 process pid=100\n"                                                                         \
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"                                                      \
	"2 tid=100 snap_vma addr=0x400000000000 len=0x40000 pgoff=0 dev=1 ino=2 flags=0xb\n"                  \
	"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"                                                   \
	"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"                                                   \
	"frame stream=2\n5 tid=9 cache_add dev=1 ino=2 index=0 pfn=0x500 order=1\n"

#define WRITE_BOTH_PAGES                                                                                      \
	"10 tid=100 fault addr=0x400000000000 flags=" WRITE "\n"                                              \
	"11 tid=100 filemap_fault dev=1 ino=2 index=0\n"                                                      \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=1\n"                                               \
	"20 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"                                              \
	"21 tid=100 filemap_fault dev=1 ino=2 index=1\n"                                                      \
	"22 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=2\n"

static void reuse_leaves_no_other_record(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 clone flags=0x11\n"
		"30 tid=100 newtask child=200 flags=0x0\n"
		"31 tid=100 sys_ret call=26 ret=200\n"
		"40 tid=200 fault addr=0x400000001000 flags=" WRITE "\n"
		"41 tid=200 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"50 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"60 tid=100 fault addr=0x400000002000 flags=" READ "\n"
		"frame stream=2\n"
		"25 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "fault_cow 1 @1 nr=1 pfn=1001\n"
		  "fault_reuse 0 @1 nr=1\n"
		  "fault_zero 0 @2 nr=1\n");
	assert_int_equal(r->fidelity.inferred.reuse, 1);
}

/* Both see that the page is shared; the second allocates late, when the first has its copy. */
static void both_copy_a_page_they_fault_on_at_once(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 clone flags=0x11\n"
		"30 tid=100 newtask child=200 flags=0x0\n"
		"31 tid=100 sys_ret call=26 ret=200\n"
		"40 tid=200 fault addr=0x400000001000 flags=" WRITE "\n"
		"50 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"60 tid=200 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"500000 tid=100 page_alloc pfn=0x1002 order=0 gfp=0x3\n"
		"frame stream=2\n"
		"25 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n");
	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "fault_cow 1 @1 nr=1 pfn=1001\n"
		  "fault_cow 0 @1 nr=1 pfn=1002\n");
	assert_int_equal(r->fidelity.inferred.reuse, 0);
}

static void a_retry_is_no_second_effect(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=" READ "\n"
		"11 tid=100 fault addr=0x400000001000 flags=" READ "\n"
		"20 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"21 tid=100 fault addr=0x400000001000 flags=" WRITE_AGAIN "\n"
		"22 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"30 tid=100 fault addr=0x400000002000 flags=" WRITE_REMOTE "\n");
	(void)context;
	expect(r, "fault_none 0 @1\n"
		  "fault_zero 0 @1 nr=1\n"
		  "fault_none 0 @1\n"
		  "fault_cow 0 @1 nr=1 pfn=1000\n");
}

static void msync_cleans(void **context)
{
	struct result *r = track(SHARED_FILE "frame stream=0\n" WRITE_BOTH_PAGES
		"30 tid=100 msync addr=0x400000000000 len=0x40000 flags=0x4\n"
		"31 tid=100 sys_ret call=32 ret=0\n"
		"40 tid=100 msync addr=0x400000000000 len=0x40000 flags=0x4\n"
		"41 tid=100 sys_ret call=32 ret=0\n"
		"50 tid=100 fault addr=0x400000001000 flags=" WRITE "\n");
	(void)context;
	expect(r, "fault_file 0 @0 nr=1 pfn=500 order=1\n"
		  "fault_file 0 @1 nr=1 pfn=501 order=1\n"
		  "mkclean 0 @0 nr=2 pfn=500 order=1\n"
		  "fault_reuse 0 @1 nr=1\n");
	assert_int_equal(r->fidelity.inferred.mkclean, 0);
}

static void a_write_fault_after_a_write_tells_of_writeback(void **context)
{
	struct result *r = track(SHARED_FILE "frame stream=0\n" WRITE_BOTH_PAGES
		"90000000 tid=100 fault addr=0x400000001000 flags=" WRITE "\n");
	(void)context;
	expect(r, "fault_file 0 @0 nr=1 pfn=500 order=1\n"
		  "fault_file 0 @1 nr=1 pfn=501 order=1\n"
		  "mkclean 0 @1 nr=1 pfn=501 order=1\n"
		  "fault_reuse 0 @1 nr=1\n");
	assert_int_equal(r->fidelity.inferred.mkclean, 1);
}

/* Private and writable, with pages 0-3 cached; fault-around for a read of page 0 maps three of them. */
#define PRIVATE_FILE                                                                                          \
	"frame stream=4\n"                                                                                    \
	"1 tid=100 process pid=100\n"                                                                         \
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"                                                      \
	"2 tid=100 snap_vma addr=0x400000000000 len=0x4000 pgoff=0 dev=1 ino=2 flags=0x3\n"                   \
	"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"                                                   \
	"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"                                                   \
	"frame stream=2\n5 tid=9 cache_add dev=1 ino=2 index=0 pfn=0x500 order=0\n"                          \
	"6 tid=8 cache_add dev=1 ino=2 index=1 pfn=0x510 order=0\n"                                           \
	"7 tid=7 cache_add dev=1 ino=2 index=2 pfn=0x520 order=0\n"                                           \
	"8 tid=6 cache_add dev=1 ino=2 index=3 pfn=0x530 order=0\n"                                           \
	"frame stream=0\n"                                                                                    \
	"9000000000 tid=100 fault addr=0x400000000000 flags=" READ "\n"                                       \
	"9000000001 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=3\n"                                       \
	"9000000002 tid=100 map_pages dev=1 ino=2 index=0 last=3\n"

static void a_copy_that_replaces_nothing_fills_an_empty_entry(void **context)
{
	struct result *r = track(PRIVATE_FILE
		"9000000010 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"
		"9000000011 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x33\n"
		"9000000012 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=2\n"
		"9000000013 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"9000000020 tid=100 fault addr=0x400000002000 flags=" WRITE "\n"
		"9000000021 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x33\n"
		"9000000022 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n");
	(void)context;
	expect(r, "fault_file 0 @0 nr=1 pfn=500\n"
		  "fault_file 0 @1 nr=1 pfn=510\n"
		  "fault_file 0 @2 nr=1 pfn=520\n"
		  "fault_file 0 @3 nr=1 pfn=530\n"
		  "fault_cow 0 @1 nr=1 pfn=1000\n"
		  "unmap_file 0 @2 nr=1 pfn=520\n"
		  "fault_cow 0 @2 nr=1 pfn=1001\n");
}

/*
 * sched_process_exit came when the memory was gone, before 6.16, and after the side band's: the page is free by then,
 * and no longer mapped. Since then it comes first.
 */
#define EXIT(told, side_band)                                                                                 \
	"frame stream=0\n"                                                                                    \
	"10 tid=100 fault addr=0x400000001000 flags=" WRITE "\n"                                              \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                                  \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"                                               \
	"20 tid=101 exit group=1\n"                                                                           \
	"31 tid=101 exit_task group_dead=18446744073709551615\n"                                              \
	told("50 tid=100 page_free pfn=0x1000 order=0\n",                                                     \
	     "tid=100 exit_task group_dead=18446744073709551615\n")                                           \
	"frame stream=3\n"                                                                                    \
	"30 tid=101 task_exit pid=100\n"                                                                      \
	side_band " tid=100 task_exit pid=100\n"
#define LATE(freed, exits) freed "51 " exits
#define EARLY(freed, exits) "40 " exits freed

static void memory_is_gone_before_the_exit_is_told(void **context)
{
	(void)context;
	expect(track_on("6.12.107", ATTACHED EXIT(LATE, "40")), "fault_anon 0 @1 nr=1 pfn=1000\nmm_exit 0\n");
	assert_int_equal(track_on("6.12.107", ATTACHED EXIT(LATE, "40"))->fidelity.anomalies.free_of_mapped, 0);
	assert_int_equal(track_on("6.12.107", ATTACHED EXIT(EARLY, "60"))->fidelity.anomalies.free_of_mapped, 1);
	assert_int_equal(track_on("6.16", ATTACHED EXIT(EARLY, "60"))->fidelity.anomalies.free_of_mapped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_gone_before_the_exit_is_told),
		cmocka_unit_test(reuse_leaves_no_other_record),
		cmocka_unit_test(both_copy_a_page_they_fault_on_at_once),
		cmocka_unit_test(a_retry_is_no_second_effect),
		cmocka_unit_test(msync_cleans),
		cmocka_unit_test(a_write_fault_after_a_write_tells_of_writeback),
		cmocka_unit_test(a_copy_that_replaces_nothing_fills_an_empty_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
