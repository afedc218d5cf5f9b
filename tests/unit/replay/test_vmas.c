// SPDX-License-Identifier: MIT
/*
 * Calls that split mappings, and merge them again: sixteen pages at BASE are made different from those that follow,
 * then one of them is written. What fork copies tells what became of the VMA: page 16, the zero page, goes along where
 * it lies in the VMA that was written to (vma_needs_copy()), else it does not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/replay/tracking_text.h"

#define READ_16 "10 tid=100 fault addr=0x400000010000 flags=0x0\n"

#define WRITE_0_AND_FORK                                                                                      \
	"70 tid=100 fault addr=0x400000000000 flags=0x2\n"                                                    \
	"71 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                                  \
	"72 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"                                               \
	"73 tid=100 clone flags=0x11\n"                                                                       \
	"75 tid=100 newtask child=200 flags=0x0\n"                                                            \
	"76 tid=100 sys_ret call=26 ret=200\n"

#define SNAPSHOT_OF_CHILD                                                                                     \
	"frame stream=2\n74 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"                              \
	"frame stream=4\n"                                                                                    \
	"80 tid=200 snap_begin pid=200 why=1 threads=1\n"                                                     \
	"80 tid=200 snap_pte addr=0x400000000000 nr=1 pfn=0x1000 order=0 flags=0\n"                           \
	"81 tid=200 snap_end pid=200 complete=1 stopped=1\n"

#define RANGE "addr=0x400000000000 len=0x10000"
#define OK(call) "tid=100 sys_ret call=" call " ret=0\n"
#define ADVICE(time, advice) time " tid=100 madvise " RANGE " advice=" advice "\n" time OK("20")
#define MLOCK(time) time " tid=100 mlock " RANGE " flags=1\n" time OK("22")
#define LEFT_BEHIND "30 tid=100 mremap addr=0x400000000000 old_len=0x10000 new_len=0x10000 flags=5\n"                \
		    "31 tid=100 sys_ret call=19 ret=0x400002000000\n"
#define MBIND(time, mode, mask) time " tid=100 mbind " RANGE " mode=" mode " mask=" mask " maxnode=8\n" time OK("37")
#define NAME(time, name) time " tid=100 prctl option=0x53564d41 arg3=0x400000000000 arg4=0x10000 arg5=" name "\n"
#define UFFDIO(time, cmd, words)                                                                              \
	time " tid=100 call_data call=39 w0=0x400000000000 w1=0x10000 " words "\n"                            \
	time " tid=100 ioctl fd=3 cmd=" cmd " arg=0x1000\n"

static const struct {
	const char *what, *calls;
	bool apart;
} cases[] = {
	{ "nothing", "", false },
	{ "mlock", "20 tid=100 mlock " RANGE " flags=1\n20 " OK("22"), true },
	{ "mlock too much", "20 tid=100 mlock " RANGE " flags=1\n20 tid=100 sys_ret call=22 ret=-12\n", false },
	{ "munlock again", "20 tid=100 mlock " RANGE " flags=1\n20 " OK("22")
			   "30 tid=100 munlock " RANGE "\n30 " OK("23"), false },
	{ "all locked after a part was", "20 tid=100 mlock " RANGE " flags=1\n20 " OK("22")
					 "30 tid=100 mlockall flags=5\n30 " OK("24"), false },
	{ "all locked otherwise than a part is", "20 tid=100 mlockall flags=5\n20 " OK("24")
						 "30 tid=100 munlock " RANGE "\n30 " OK("23"), true },
	{ "dontdump", ADVICE("20 ", "16"), true },
	{ "dodump again", ADVICE("20 ", "16") ADVICE("30 ", "17"), false },
	{ "random", ADVICE("20 ", "1"), true },
	{ "sequential for random", ADVICE("20 ", "1") ADVICE("30 ", "2"), true },
	{ "normal again", ADVICE("20 ", "2") ADVICE("30 ", "0"), false },
	{ "mergeable", ADVICE("20 ", "12"), true },
	{ "unmergeable again", ADVICE("20 ", "12") ADVICE("30 ", "13"), false },
	{ "refused advice", "20 tid=100 madvise " RANGE " advice=12\n20 tid=100 sys_ret call=20 ret=-22\n", false },
	{ "nohugepage", ADVICE("20 ", "15"), true },
	{ "mbind", MBIND("20 ", "2", "0x7000"), true },
	{ "mbind to default", MBIND("20 ", "2", "0x7000") MBIND("30 ", "0", "0"), false },
	{ "name", NAME("20 ", "0x7000"), true },
	{ "no name any more", NAME("20 ", "0x7000") NAME("30 ", "0"), false },
	{ "no names in this kernel", NAME("20 ", "0x7000") "21 tid=100 sys_ret call=38 ret=-22\n", false },
	{ "key", "20 tid=100 mprotect " RANGE " prot=3 pkey=1\n20 " OK("18"), true },
	{ "key kept by mprotect", "20 tid=100 mprotect " RANGE " prot=3 pkey=1\n20 " OK("18")
				  "30 tid=100 mprotect " RANGE " prot=3 pkey=-1\n30 " OK("18"), true },
	{ "key 0 again", "20 tid=100 mprotect " RANGE " prot=3 pkey=1\n20 " OK("18")
			 "30 tid=100 mprotect " RANGE " prot=3 pkey=0\n30 " OK("18"), false },
	{ "left behind by mremap", MLOCK("20 ") LEFT_BEHIND ADVICE("40 ", "16") ADVICE("50 ", "17"), false },
	{ "left behind and locked again", MLOCK("20 ") LEFT_BEHIND MLOCK("40 "), true },
	{ "userfaultfd", UFFDIO("20 ", "0xc020aa00", "w2=1"), true },
	{ "refused by userfaultfd", UFFDIO("20 ", "0xc020aa00", "w2=1") "21 tid=100 sys_ret call=39 ret=-22\n", false },
	{ "unregistered", UFFDIO("20 ", "0xc020aa00", "w2=1") UFFDIO("30 ", "0x8010aa01", ""), false },
};

static void what_differs_is_apart(void **context)
{
	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct result *r;
		char *text;

		assert_true(asprintf(&text, "%sframe stream=0\n%s%s%s%s", ATTACHED, READ_16, cases[i].calls,
				     WRITE_0_AND_FORK, SNAPSHOT_OF_CHILD) > 0);
		r = track(text);
		free(text);
		assert_int_equal(r->fidelity.present, 1);
		/* Page 16 is not in the snapshot, which marks. */
		assert_int_equal(r->fidelity.inexact_mms, r->fidelity.extra);
		if (r->fidelity.extra != !cases[i].apart)
			fail_msg("%s: page 16 is %scopied", cases[i].what, r->fidelity.extra ? "" : "not ");
	}
}

/* Told, masks are equal or not whatever points at them. */
static void masks_are_compared_by_content(void **context)
{
	static const char *const masks[] = { "0x1", "0x2" };

	(void)context;
	for (int differ = 0; differ < 2; differ++) {
		struct result *r;
		char *text;

		assert_true(asprintf(&text, "%sframe stream=0\n%s"
			"20 tid=100 call_data call=37 w0=0x1\n" MBIND("20 ", "2", "0x7000")
			"30 tid=100 call_data call=37 w0=%s\n"
			"30 tid=100 mbind addr=0x400000010000 len=0xff0000 mode=2 mask=0x8000 maxnode=8\n30 " OK("37")
			"%s%s", ATTACHED, READ_16, masks[differ], WRITE_0_AND_FORK, SNAPSHOT_OF_CHILD) > 0);
		r = track(text);
		free(text);
		assert_int_equal(r->fidelity.extra, !differ);
	}
}

/* A name, or a mask, for the first 16 pages, and for the 16 that follow. */
#define NAME_A(pointer) "20 tid=100 prctl option=0x53564d41 arg3=0x400000000000 arg4=0x10000 arg5=" pointer "\n"
#define NAME_B(pointer) "30 tid=100 prctl option=0x53564d41 arg3=0x400000010000 arg4=0x10000 arg5=" pointer "\n"
#define MASK_A(mode, mask, max) "20 tid=100 mbind " RANGE " mode=" mode " mask=" mask " maxnode=" max "\n20 " OK("37")
#define MASK_B(mode, mask, max)                                                                                    \
	"30 tid=100 mbind addr=0x400000010000 len=0x10000 mode=" mode " mask=" mask " maxnode=" max "\n30 " OK("37")
#define UNMAP_ELSEWHERE "40 tid=100 munmap addr=0x400000800000 len=0x1000\n40 " OK("17")
/* A file that is mapped for reading: where literals are. */
#define LITERALS "0x500000000010"
#define WITH_LITERALS                                                                                         \
	"frame stream=4\n1 tid=100 process pid=100\n"                                                          \
	"2 tid=100 snap_begin pid=100 why=0 threads=1\n"                                                       \
	"2 tid=100 snap_vma addr=0x400000000000 len=0x1000000 pgoff=0x400000000 dev=0 ino=0 flags=0x3\n"        \
	"2 tid=100 snap_vma addr=0x500000000000 len=0x1000 pgoff=0 dev=1 ino=7 flags=0x1\n"                     \
	"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n3 tid=100 snap_end pid=100 complete=1 stopped=1\n"

/* Where two neighbours' names or masks are not known to differ, nor to be equal, nobody can tell if they are one. */
static void unread_neighbours_mark(void **context)
{
	static const struct {
		const char *what, *calls;
		bool marked;
	} pairs[] = {
		{ "one name", NAME_A("0x7000"), false },
		{ "two pointers", NAME_A("0x7000") NAME_B("0x7008"), true },
		{ "a buffer used twice", NAME_A("0x7000") NAME_B("0x7000"), true },
		{ "one literal", NAME_A(LITERALS) NAME_B(LITERALS), false },
		{ "two literals", NAME_A(LITERALS) NAME_B(LITERALS "0"), true },
		{ "a buffer and a literal", NAME_A("0x7000") NAME_B(LITERALS), true },
		{ "a name and none any more", NAME_A("0x7000") NAME_B("0"), false },
		{ "named, protected and back", NAME_A("0x7000")
		  "30 tid=100 mprotect addr=0x400000004000 len=0x1000 prot=1 pkey=-1\n30 " OK("18")
		  "32 tid=100 mprotect addr=0x400000004000 len=0x1000 prot=3 pkey=-1\n32 " OK("18"), false },
		{ "told and untold", "20 tid=100 call_data call=38 w0=0x1\n" NAME_A("0x7000") NAME_B("0x7000"), true },
		{ "apart for another reason", NAME_A("0x7000") ADVICE("25 ", "16") NAME_B("0x7008"), false },
		{ "equal again", NAME_A("0x7000") ADVICE("25 ", "16") NAME_B("0x7008") ADVICE("35 ", "17"), true },
		{ "one mask", MASK_A("2", "0x7000", "8"), false },
		{ "two masks", MASK_A("2", "0x7000", "8") MASK_B("2", "0x8000", "8"), true },
		{ "a mask used twice", MASK_A("2", "0x7000", "8") MASK_B("2", "0x7000", "8"), true },
		{ "one constant mask", MASK_A("2", LITERALS, "8") MASK_B("2", LITERALS, "8"), false },
		{ "no masks", MASK_A("1", "0", "0") MASK_B("1", "0x7000", "1"), false },
		{ "a mask and the default", MASK_A("2", "0x7000", "8") MASK_B("0", "0", "0"), false },
	};

	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct result *r;
		char *text;

		assert_true(asprintf(&text, "%sframe stream=0\n%s%s", WITH_LITERALS, pairs[i].calls,
				     UNMAP_ELSEWHERE) > 0);
		r = track(text);
		free(text);
		if (r->fidelity.inexact_mms != pairs[i].marked)
			fail_msg("%s: %u marked", pairs[i].what, (unsigned int)r->fidelity.inexact_mms);
	}
}

/* What an ioctl() did that names its range in memory nobody has read is not known. */
static void what_was_not_read_marks(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"20 tid=100 ioctl fd=3 cmd=0xc020aa00 arg=0x1000\n"
		"30 tid=100 munmap addr=0x400000000000 len=0x1000\n31 " OK("17"));

	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* ---- who merges with whom -------------------------------------------------------------------- */

#define MAP(time, addr, len) time " tid=100 mmap addr=" addr " len=" len " prot=3 flags=0x32 fd=-1\n"            \
	time " tid=100 sys_ret call=16 ret=" addr "\n"
#define WRITE(time, addr, pfn, pages) time " tid=100 fault addr=" addr " flags=0x2\n"                               \
	time " tid=100 page_alloc pfn=" pfn " order=0 gfp=0x3\n"                                             \
	time " tid=100 rss_stat mm_id=9 curr=1 member=1 pages=" pages "\n"

/* Between two that have pages of their own: the lower one gets it, so that huge pages fit into both, but not above. */
static void between_two_the_lower_one_gets_it(void **context)
{
	struct result *r = track_with("\"thp\":{\"enabled\":\"always\"}",
		ATTACHED "3 tid=0 kernel_page what=1 index=0 pfn=0x9000\n" "frame stream=0\n"
		MAP("10", "0x400010100000", "0x200000") MAP("11", "0x400010500000", "0x600000")
		WRITE("20", "0x400010100000", "0x1000", "1") WRITE("21", "0x400010a00000", "0x1001", "2")
		MAP("30", "0x400010300000", "0x200000")
		"40 tid=100 fault addr=0x400010200000 flags=0x0\n"
		"50 tid=100 fault addr=0x400010400000 flags=0x0\n"
		"60 tid=100 fault addr=0x400010600000 flags=0x0\n");

	(void)context;
	expect(r, "map 0 @65792-66304\n"
		  "map 0 @66816-68352\n"
		  "fault_anon 0 @65792 nr=1 pfn=1000\n"
		  "fault_anon 0 @68096 nr=1 pfn=1001\n"
		  "map 0 @66304-66816\n"
		  "fault_zero 0 @66048 nr=512 pfn=9000 order=9\n"
		  "fault_zero 0 @66560 nr=1\n"
		  "fault_zero 0 @67072 nr=512 pfn=9000 order=9\n");
}

/*
 * The PMD's own setting is what counts. Reading 4 MiB maps two huge zero pages. They have an anon_vma, so fork copies
 * them. The child unmaps the first page: small ones are left of that PMD, as the snapshot at its exit has them.
 */
#define HUGE_ZEROES                                                                                                 \
	ATTACHED "3 tid=0 kernel_page what=0 index=0 pfn=0x8000\n3 tid=0 kernel_page what=1 index=0 pfn=0x9000\n"    \
	"frame stream=0\n"                                                                                         \
	MAP("10", "0x400010200000", "0x400000")                                                                     \
	"20 tid=100 fault addr=0x400010200000 flags=0x0\n"                                                         \
	"21 tid=100 fault addr=0x400010400000 flags=0x0\n"                                                         \
	"30 tid=100 clone flags=0x11\n"                                                                            \
	"31 tid=100 newtask child=200 flags=0x0\n"                                                                 \
	"32 tid=100 sys_ret call=26 ret=200\n"                                                                     \
	"40 tid=200 munmap addr=0x400010200000 len=0x1000\n"                                                       \
	"41 tid=200 sys_ret call=17 ret=0\n"                                                                       \
	"frame stream=4\n"                                                                                         \
	"50 tid=200 snap_begin pid=200 why=1 threads=1\n"

static void the_rest_of_a_huge_zero_page_is_small(void **context)
{
	static char records[65536] = HUGE_ZEROES;
	size_t n = strlen(records);
	struct result *r;

	(void)context;
	for (unsigned int page = 1; page < 512; page++)
		n += (size_t)snprintf(records + n, sizeof(records) - n,
				      "50 tid=200 snap_pte addr=0x%lx nr=1 pfn=0x8000 order=0 flags=0x20\n",
				      0x400010200000 + page * 4096ul);
	snprintf(records + n, sizeof(records) - n,
		 "50 tid=200 snap_pte addr=0x400010400000 nr=512 pfn=0x9000 order=9 flags=0x60\n"
		 "50 tid=200 snap_end pid=200 complete=1 stopped=1\n");
	r = track_with("\"thp\":{\"enabled\":\"never\",\"hugepages-2048kB\":\"always\"}", records);
	expect(r, "map 0 @66048-67072\n"
		  "fault_zero 0 @66048 nr=512 pfn=9000 order=9\n"
		  "fault_zero 0 @66560 nr=512 pfn=9000 order=9\n"
		  "fork 0 child=1\n"
		  "munmap 1 @66048-66049\n");
	assert_int_equal(r->fidelity.ptes, 1023);
	assert_int_equal(r->fidelity.pfn, 1023);
	assert_int_equal(r->fidelity.extra, 0);
}

/* ---- who populates locked memory ------------------------------------------------------------- */

#define POPULATED(first, pages) first " tid=100 page_alloc pfn=0x2000 order=0 gfp=0x3\n" first                      \
	" tid=100 rss_stat mm_id=9 curr=1 member=1 pages=" pages "\n"

static void mprotect_populates_what_is_locked(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mlockall flags=2\n10 " OK("24")
		"20 tid=100 mmap addr=0 len=0x1000 prot=0 flags=0x22 fd=-1\n"
		"20 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"30 tid=100 mprotect addr=0x400002000000 len=0x1000 prot=3 pkey=-1\n"
		POPULATED("31", "1") "32 " OK("18"));

	(void)context;
	expect(r, "map 0 @8192-8193\n"
		  "mprotect 0 @8192-8193\n"
		  "fault_anon 0 @8192 nr=1 pfn=2000 populate\n"
		  "gup_slow 0 @8192-8193\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

static void mremap_populates_what_it_adds(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mmap addr=0 len=0x1000 prot=3 flags=0x2022 fd=-1\n"
		POPULATED("11", "1") "12 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"20 tid=100 mremap addr=0x400002000000 old_len=0x1000 new_len=0x2000 flags=1\n"
		"21 tid=100 page_alloc pfn=0x2001 order=0 gfp=0x3\n"
		"21 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"
		"22 tid=100 sys_ret call=19 ret=0x400002000000\n");

	(void)context;
	expect(r, "map 0 @8192-8193\n"
		  "fault_anon 0 @8192 nr=1 pfn=2000 populate\n"
		  "gup_slow 0 @8192-8193\n"
		  "vma_expand 0 @8193-8194\n"
		  "fault_anon 0 @8193 nr=1 pfn=2001 populate\n"
		  "gup_slow 0 @8193-8194\n");
}

/* MCL_ONFAULT: locked, but nobody populates it, not even MAP_POPULATE. */
static void on_fault_nothing_is_populated(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 mlockall flags=6\n10 " OK("24")
		"20 tid=100 mmap addr=0 len=0x1000 prot=3 flags=0x8022 fd=-1\n"
		"20 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"30 tid=100 mlock addr=0x400002000000 len=0x1000 flags=1\n30 " OK("22"));

	(void)context;
	expect(r, "map 0 @8192-8193\n"
		  "vma_flags 0 @8192-8193\n");
}

/* The first brk() after exec merges with nothing, whatever ends where the heap begins; those that follow do. */
static void first_brk_is_apart(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 brk addr=0\n10 tid=100 sys_ret call=21 ret=0x400001000000\n"
		"20 tid=100 brk addr=0x400001002000\n20 tid=100 sys_ret call=21 ret=0x400001002000\n"
		"30 tid=100 brk addr=0x400001003000\n30 tid=100 sys_ret call=21 ret=0x400001003000\n");

	(void)context;
	expect(r, "map 0 @4096-4098 apart\n"
		  "map 0 @4098-4099\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_differs_is_apart),
		cmocka_unit_test(masks_are_compared_by_content),
		cmocka_unit_test(unread_neighbours_mark),
		cmocka_unit_test(what_was_not_read_marks),
		cmocka_unit_test(the_rest_of_a_huge_zero_page_is_small),
		cmocka_unit_test(between_two_the_lower_one_gets_it),
		cmocka_unit_test(mprotect_populates_what_is_locked),
		cmocka_unit_test(mremap_populates_what_it_adds),
		cmocka_unit_test(on_fault_nothing_is_populated),
		cmocka_unit_test(first_brk_is_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
