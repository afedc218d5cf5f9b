// SPDX-License-Identifier: MIT
/*
 * What the snapshot that a recording begins with leaves open, until a record tells; and snapshots of processes that run
 * meanwhile.
 */
#include "tests/unit/replay/tracking_text.h"

/* Four pages of a folio at BASE, that nobody else maps: 0x884. */
#define FOUND                                                                                                 \
	"frame stream=4\n"                                                                                    \
	"1 tid=100 process pid=100\n"                                                                         \
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"                                                      \
	"2 tid=100 snap_vma addr=0x400000000000 len=0x10000 pgoff=0 dev=0 ino=0 flags=0x3\n"                  \
	"2 tid=100 snap_pte addr=0x400000000000 nr=4 pfn=0x1000 order=2 flags=0x884\n"                        \
	"2 tid=100 snap_rss file=0 anon=4 swap=0 shmem=0\n"                                                   \
	"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"
#define PROTECT(time, prot)                                                                                   \
	time " tid=100 mprotect addr=0x400000000000 len=0x10000 prot=" prot " pkey=-1\n"                      \
	time " tid=100 sys_ret call=18 ret=0\n"

/* Mapped once is not ours alone: it may have been shared, and then it stays read-only until it is written to. */
static void a_page_that_comes_back_tells_whose_it_is(void **context)
{
	struct result *r = track(FOUND "frame stream=0\n"
		"10 tid=100 migration_set addr=0x400000000000 pfn=0x1000 order=2 flags=0\n"
		"10 tid=100 migration_set addr=0x400000001000 pfn=0x1001 order=2 flags=0\n"
		"11 tid=100 migration_remove addr=0x400000000000 pfn=0x1000 order=2 flags=0x0\n"
		"11 tid=100 migration_remove addr=0x400000001000 pfn=0x1001 order=0 flags=0x1\n"
		PROTECT("20", "1") PROTECT("30", "3")
		"40 tid=100 fault addr=0x400000000000 flags=0x3\n"
		"50 tid=100 fault addr=0x400000001000 flags=0x3\n");

	(void)context;
	/* The one that came back writable is writable after mprotect(), too: that it should not be is no guess. */
	assert_int_equal(r->fidelity.fault_checks_ok, 1);
	assert_int_equal(r->fidelity.fault_checks_bad, 1);
}

/* While its mapping is not writable, no entry is: nothing is told. */
static void a_page_of_a_protected_mapping_tells_nothing(void **context)
{
	struct result *r = track(FOUND "frame stream=0\n" PROTECT("10", "1")
		"11 tid=100 migration_set addr=0x400000000000 pfn=0x1000 order=2 flags=0\n"
		"12 tid=100 migration_remove addr=0x400000000000 pfn=0x1000 order=2 flags=0x0\n" PROTECT("20", "3")
		"40 tid=100 fault addr=0x400000000000 flags=0x3\n");

	(void)context;
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

/* It ends while the recorder looks: what was seen to differ until then does not count, nor does it as compared. */
static void who_ends_amid_its_snapshot_is_not_compared(void **context)
{
	struct result *r = track(FOUND "frame stream=0\n"
		"40 tid=100 exit_task group_dead=1\n"
		"frame stream=4\n"
		"30 tid=100 snap_begin pid=100 why=2 threads=1\n"
		"30 tid=100 snap_pte addr=0x400000000000 nr=3 pfn=0x1000 order=2 flags=0\n"
		"30 tid=100 snap_pte addr=0x400000008000 nr=2 pfn=0x2000 order=0 flags=0\n"
		"50 tid=100 snap_end pid=100 complete=0 stopped=0\n");

	(void)context;
	assert_int_equal(r->fidelity.ptes, 3);
	assert_int_equal(r->fidelity.order, 3);
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* ---- which VMAs are one ---------------------------------------------------------------------- */

/*
 * Two neighbours of 2 MiB that begin amid what a PMD maps. One of 2 MiB is mapped at the boundary where both are one
 * VMA. b: what B may be used for, when it is found.
 */
#define TWO(b)                                                                                                \
	"frame stream=4\n"                                                                                    \
	"1 tid=0 kernel_page what=1 index=0 pfn=0x9000\n"                                                     \
	"1 tid=100 process pid=100\n1 tid=101 process pid=100\n"                                             \
	"2 tid=100 snap_begin pid=100 why=0 threads=2\n"                                                      \
	"2 tid=100 snap_vma addr=0x400000100000 len=0x200000 pgoff=0 dev=0 ino=0 flags=0x3\n"                 \
	"2 tid=100 snap_vma addr=0x400000300000 len=0x200000 pgoff=0 dev=0 ino=0 flags=" b "\n"               \
	"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"                                                   \
	"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"
#define PROTECT_B(prot)                                                                                       \
	"frame stream=0\n"                                                                                    \
	"20 tid=100 mprotect addr=0x400000300000 len=0x200000 prot=" prot " pkey=-1\n"                        \
	"30 tid=100 sys_ret call=18 ret=0\n"                                                                  \
	"40 tid=100 fault addr=0x400000200000 flags=0x0\n"                                                    \
	"50 tid=100 fault addr=0x400000300000 flags=0x0\n"
#define TOLD(time, addr, len) time " tid=100 mmap2 addr=" addr " len=" len " pgoff=0 dev=0 ino=0 flags=0x3\n"
#define ONE TOLD("22", "0x400000100000", "0x400000")
#define APART TOLD("22", "0x400000300000", "0x200000")

static u64 zero_pages(const char *text)
{
	struct result *r = track_with("\"thp\":{\"enabled\":\"always\"}", text);

	assert_int_equal(r->fidelity.inexact_mms, 0);
	return r->fidelity.inferred.zero_page;
}

static void vmas_are_as_the_side_band_tells(void **context)
{
	(void)context;
	/* Of other access, they might be one when that is equal: it is told. */
	assert_int_equal(zero_pages(TWO("0x1") PROTECT_B("3") "frame stream=3\n" ONE), 1);
	assert_int_equal(zero_pages(TWO("0x1") PROTECT_B("3") "frame stream=3\n" APART), 2);
	/* Apart and of equal access: something else keeps them so. */
	assert_int_equal(zero_pages(TWO("0x3") PROTECT_B("3") "frame stream=3\n" APART), 2);
	/* Until it does not, since what was between them is not there any more. */
	assert_int_equal(zero_pages(TWO("0x3") PROTECT_B("3") "frame stream=3\n" ONE), 1);
	/* Of two pieces that one call tells, the second is what became of the first. */
	assert_int_equal(zero_pages(TWO("0x1") PROTECT_B("3") "frame stream=3\n" APART
				    TOLD("23", "0x400000100000", "0x400000")), 1);
}

/* A folio of 2 MiB over both; when it is gone, so is what was thought to keep them apart. */
static void vmas_are_one_where_a_folio_is(void **context)
{
	(void)context;
	assert_int_equal(zero_pages(TWO("0x3") "frame stream=0\n"
				    "20 tid=100 fault addr=0x4000002ff000 flags=0x2\n"
				    "21 tid=100 page_alloc pfn=0x2000 order=9 gfp=0x33\n"
				    "22 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=512\n"
				    "30 tid=100 madvise addr=0x400000200000 len=0x200000 advice=4\n"
				    "31 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=0\n"
				    "32 tid=100 sys_ret call=20 ret=0\n"
				    "40 tid=100 fault addr=0x400000200000 flags=0x0\n"
				    "50 tid=100 fault addr=0x400000300000 flags=0x0\n"), 1);
}

/* Another thread's call has returned meanwhile: it may have changed what was told. */
static void what_was_told_may_be_over(void **context)
{
	(void)context;
	assert_int_equal(zero_pages(TWO("0x3") PROTECT_B("3") "frame stream=1\n"
				    "21 tid=101 munmap addr=0x400001000000 len=0x1000\n"
				    "25 tid=101 sys_ret call=17 ret=0\n" "frame stream=3\n" ONE), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_that_comes_back_tells_whose_it_is),
		cmocka_unit_test(a_page_of_a_protected_mapping_tells_nothing),
		cmocka_unit_test(vmas_are_as_the_side_band_tells),
		cmocka_unit_test(vmas_are_one_where_a_folio_is),
		cmocka_unit_test(what_was_told_may_be_over),
		cmocka_unit_test(who_ends_amid_its_snapshot_is_not_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
