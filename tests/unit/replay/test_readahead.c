// SPDX-License-Identifier: MIT
/* Which pages fault-around leaves out: those with PG_readahead, as the layout or the rules of readahead tell. */
#include "tests/unit/replay/tracking_text.h"

#include <stdio.h>
#include <string.h>

/* Thread 100 maps 32 pages of a file of as many and touches the first at 100; pages are those of the window it maps. */
#define MAPPED                                                                                   \
	"50 tid=100 mmap addr=0 len=0x20000 prot=0x1 flags=0x2 fd=3 offset=0\n"                  \
	"52 tid=100 sys_ret call=16 ret=0x400002000000\n"
#define TOUCHED(pages)                                                                           \
	"100 tid=100 fault addr=0x400002000000 flags=0x0\n"                                      \
	"101 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=" pages "\n"                         \
	"102 tid=100 map_pages dev=0x100 ino=5 index=0 last=15\n"
#define MMAP2                                                                                    \
	"frame stream=3\n"                                                                       \
	"51 tid=100 mmap2 addr=0x400002000000 len=0x20000 pgoff=0 dev=0x100 ino=5 flags=0x1\n"
#define LAYOUT "frame stream=4\n900 tid=0 cache_file dev=0x100 ino=5 pages=32\n"
#define RUN(index, nr, pfn) "900 tid=0 cache_run dev=0x100 ino=5 index=" index " nr=" nr " pfn=" pfn " order=0\n"
#define MARK(ino, index, pfn) "900 tid=0 cache_readahead dev=0x100 ino=" ino " index=" index " pfn=" pfn "\n"
#define ADD(time, index, pfn) time " tid=100 cache_add dev=0x100 ino=5 index=" index " pfn=" pfn " order=0\n"

/* The pages that the last fault-around mapped, as numbers in the mapping: "0 1 3". */
static const char *mapped(const struct result *r)
{
	static char text[256];
	const char *line = strstr(r->ops, "zap ");
	unsigned long vpn, pages;
	size_t n = 0;

	text[0] = '\0';
	for (line = line ? line : r->ops; (line = strstr(line, "fault_file 0 @")); line++) {
		assert_int_equal(sscanf(line, "fault_file 0 @%lu nr=%lu", &vpn, &pages), 2);
		for (unsigned long i = 0; i < pages; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%lu", n ? " " : "", vpn + i - 8192);
	}
	return text;
}

static void expect_window(const char *records, const char *pages, u64 ambiguous)
{
	const struct result *r = track(records);

	assert_string_equal(mapped(r), pages);
	assert_int_equal(r->fidelity.inferred.fault_around_ambiguous, ambiguous);
}

static void the_layout_shows_it(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED TOUCHED("3") MMAP2 LAYOUT
		      RUN("0", "1", "0x7000") RUN("1", "1", "0x7001") RUN("2", "1", "0x7002")
		      MARK("5", "2", "0x7002")
		      RUN("3", "1", "0x7003"),
		      "0 1 3", 0);
}

static void nothing_shows_it(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED TOUCHED("3") MMAP2 LAYOUT
		      RUN("0", "1", "0x7000") RUN("1", "1", "0x7001") RUN("2", "1", "0x7002")
		      RUN("3", "1", "0x7003"),
		      "0 1 2 3", 1);
}

/* Two pages were locked. The fault on one of them maps both: the other was in doubt, and no page is made up for it. */
static void what_was_left_out_comes_later(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED TOUCHED("2")
		      "200110 tid=100 fault addr=0x400002002000 flags=0x0\n"
		      "200111 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=4\n"
		      "200112 tid=100 map_pages dev=0x100 ino=5 index=0 last=15\n"
		      MMAP2 LAYOUT
		      RUN("0", "1", "0x7000") RUN("1", "1", "0x7001") RUN("2", "1", "0x7002")
		      RUN("3", "1", "0x7003"),
		      "0 1 2 3 2", 1);
}

/* The page frame was another file's before it was this one's. */
static void it_was_on_another_page(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED TOUCHED("3") MMAP2 LAYOUT
		      RUN("0", "1", "0x7000") RUN("1", "1", "0x7001") RUN("2", "1", "0x7002")
		      RUN("3", "1", "0x7003")
		      "900 tid=0 cache_file dev=0x100 ino=6 pages=32\n" MARK("6", "2", "0x7002"),
		      "0 1 2 3", 1);
}

/* A fault on page 2 took the mark away, and with it the reason to leave it out. */
static void a_fault_takes_it_away(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED
		      "60 tid=100 fault addr=0x400002002000 flags=0x0\n"
		      "61 tid=100 filemap_fault dev=0x100 ino=5 index=2\n"
		      "62 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=1\n"
		      "70 tid=100 madvise addr=0x400002000000 len=0x20000 advice=4\n"
		      "71 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=0\n"
		      "72 tid=100 sys_ret call=20 ret=0\n"
		      TOUCHED("3") MMAP2 LAYOUT
		      RUN("0", "1", "0x7000") RUN("1", "1", "0x7001") RUN("2", "1", "0x7002")
		      MARK("5", "2", "0x7002")
		      RUN("3", "1", "0x7003"),
		      "0 1 2 3", 1);
}

/* exec() and the dynamic linker read the first page, and four come: the second has the mark. */
static void the_first_page_was_read(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED TOUCHED("3")
		      "frame stream=2\n"
		      ADD("11", "0", "0x7000") ADD("12", "1", "0x7001") ADD("13", "2", "0x7002")
		      ADD("14", "3", "0x7003")
		      MMAP2,
		      "0 2 3", 0);
}

/* Of eight that come it is not told how much was asked for: one page of them was left out, which? */
static void more_was_read(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED TOUCHED("7")
		      "frame stream=2\n"
		      ADD("11", "0", "0x7000") ADD("12", "1", "0x7001") ADD("13", "2", "0x7002")
		      ADD("14", "3", "0x7003")
		      ADD("15", "4", "0x7004") ADD("16", "5", "0x7005") ADD("17", "6", "0x7006")
		      ADD("18", "7", "0x7007")
		      MMAP2,
		      "0 1 2 3 4 5 6 7", 1);
}

/*
 * A fault at 24 of a file of 32 pages reads all 32: its window is 64 long and begins at 0 (24 - 32), and the quarter of
 * 16 pages ahead is counted from the end of the file. With windows of 128 pages all is ahead, and the mark at 0.
 */
static void the_file_ends_first(void **context)
{
	static const char *const header[] = { "\"readahead_bytes\":{\"0:256\":262144}",
					      "\"readahead_bytes\":{\"0:256\":524288}" };
	static const char *const pages[] = { "24 17 18 19", "24 16 17 18 19" };
	static const u64 ambiguous[] = { 0, 1 };

	(void)context;
	for (size_t i = 0; i < 2; i++) {
		const struct result *r = track_with(header[i], ATTACHED "frame stream=0\n" MAPPED
			"60 tid=100 fault addr=0x400002018000 flags=0x0\n"
			"61 tid=100 filemap_fault dev=0x100 ino=5 index=24\n"
			"66 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=1\n"
			"100 tid=100 fault addr=0x400002011000 flags=0x0\n"
			"101 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=4\n"
			"102 tid=100 map_pages dev=0x100 ino=5 index=16 last=19\n"
			"frame stream=2\n"
			ADD("62", "16", "0x7010") ADD("63", "17", "0x7011") ADD("64", "18", "0x7012")
			ADD("65", "19", "0x7013") ADD("65", "24", "0x7018")
			MMAP2 LAYOUT);

		assert_string_equal(mapped(r), pages[i]);
		assert_int_equal(r->fidelity.inferred.fault_around_ambiguous, ambiguous[i]);
	}
}

/*
 * Four pages that fallocate() added to a tmpfs file, mapped twice. The first was used by a fault there; the others are
 * not uptodate.
 */
#define SHARED_TWICE                                                                             \
	"50 tid=100 mmap addr=0 len=0x20000 prot=0x1 flags=0x1 fd=3 offset=0\n"                  \
	"52 tid=100 sys_ret call=16 ret=0x400002000000\n"                                        \
	"53 tid=100 mmap addr=0 len=0x20000 prot=0x1 flags=0x1 fd=3 offset=0\n"                  \
	"55 tid=100 sys_ret call=16 ret=0x400003000000\n"                                        \
	"60 tid=100 fault addr=0x400002000000 flags=0x0\n"                                       \
	"61 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=1\n"
#define USED_AGAIN(pages)                                                                        \
	"100 tid=100 fault addr=0x400003000000 flags=0x0\n"                                      \
	"101 tid=100 rss_stat mm_id=9 curr=1 member=3 pages=" pages "\n"                         \
	"102 tid=100 map_pages dev=0x100 ino=5 index=0 last=15\n"
#define ALLOCATED                                                                                \
	"frame stream=3\n"                                                                       \
	"51 tid=100 mmap2 addr=0x400002000000 len=0x20000 pgoff=0 dev=0x100 ino=5 flags=0x9\n"   \
	"54 tid=100 mmap2 addr=0x400003000000 len=0x20000 pgoff=0 dev=0x100 ino=5 flags=0x9\n"   \
	LAYOUT RUN("0", "1", "0x7000") RUN("1", "1", "0x7001") RUN("2", "1", "0x7002") RUN("3", "1", "0x7003")

static void nobody_used_it(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" SHARED_TWICE USED_AGAIN("2") ALLOCATED, "0 4096", 0);
	/* Written, all of them. */
	expect_window(ATTACHED "frame stream=0\n" SHARED_TWICE USED_AGAIN("5") ALLOCATED, "0 4096 4097 4098 4099", 0);
	/* One was written, which nothing tells. */
	expect_window(ATTACHED "frame stream=0\n" SHARED_TWICE USED_AGAIN("3") ALLOCATED, "0 4096 4097 4098 4099", 1);
}

/*
 * A folio of two pages lies across the end of the window. Seventeen pages of the first mapping are mapped: this kernel
 * maps it whole. Sixteen of the second are not the window's, then: one of them was left out, who knows which.
 */
#define FOLIO(ino, index, nr, pfn, order)                                                        \
	"900 tid=0 cache_run dev=0x100 ino=" ino " index=" index " nr=" nr " pfn=" pfn " order=" order "\n"
#define SEVENTEEN(ino, pfn)                                                                      \
	FOLIO(ino, "0", "8", pfn "000", "3") FOLIO(ino, "8", "4", pfn "008", "2")                       \
	FOLIO(ino, "12", "2", pfn "00c", "1") FOLIO(ino, "14", "1", pfn "00e", "0")                     \
	FOLIO(ino, "15", "2", pfn "010", "1")
#define ACROSS(second)                                                                           \
	"53 tid=100 mmap addr=0 len=0x20000 prot=0x1 flags=0x2 fd=3 offset=0\n"                         \
	"55 tid=100 sys_ret call=16 ret=0x400003000000\n"                                               \
	TOUCHED("17")                                                                                   \
	"110 tid=100 fault addr=0x400003000000 flags=0x0\n"                                             \
	"111 tid=100 rss_stat mm_id=9 curr=1 member=0 pages=33\n"                                       \
	"112 tid=100 map_pages dev=0x100 ino=" second " index=0 last=15\n"                              \
	MMAP2                                                                                           \
	"54 tid=100 mmap2 addr=0x400003000000 len=0x20000 pgoff=0 dev=0x100 ino=" second " flags=0x1\n" \
	LAYOUT SEVENTEEN("5", "0x7")
#define BOTH_WINDOWS                                                                             \
	"0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 "                                                     \
	"4096 4097 4098 4099 4100 4101 4102 4103 4104 4105 4106 4107 4108 4109 4110 4111"

static void a_folio_reaches_beyond(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED ACROSS("5"), BOTH_WINDOWS, 1);
}

/* The other file ends with the folio, though not the mapping: the last folio is not mapped whole, and all is told. */
static void the_file_ends_with_the_folio(void **context)
{
	(void)context;
	expect_window(ATTACHED "frame stream=0\n" MAPPED ACROSS("6")
		      "900 tid=0 cache_file dev=0x100 ino=6 pages=17\n"
		      SEVENTEEN("6", "0x8"),
		      BOTH_WINDOWS, 0);
}

/* No window has told yet what this kernel does. Page 14 has the mark: if folios are mapped whole, 16 is the other. */
static void the_release_tells_of_the_folio(void **context)
{
	static const char *const header[] = { "\"capabilities\":{\"maps_whole_folios\":true}",
					      "\"capabilities\":{\"maps_whole_folios\":false}" };
	static const char *const pages[] = { "0 1 2 3 4 5 6 7 8 9 10 11 12 13 15 16",
					     "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15" };

	(void)context;
	for (size_t i = 0; i < 2; i++) {
		const struct result *r = track_with(header[i], ATTACHED "frame stream=0\n" MAPPED TOUCHED("16")
						    MMAP2 LAYOUT SEVENTEEN("5", "0x7") MARK("5", "14", "0x700e"));

		assert_string_equal(mapped(r), pages[i]);
		assert_int_equal(r->fidelity.inferred.fault_around_ambiguous, 0);
	}
}

/*
 * One page of the window is not cached, one has the mark, and two beyond it belong to its last folio: as many come
 * as the window is long, and it is told which. If folios are not mapped whole, the first could have come in instead.
 */
static void one_is_missing_and_one_is_marked(void **context)
{
	static const char *const header[] = { "\"capabilities\":{\"maps_whole_folios\":true}",
					      "\"capabilities\":{\"maps_whole_folios\":false}" };
	static const char *const pages[] = { "0 2 3 4 5 6 7 8 9 10 11 12 14 15 16 17",
					     "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15" };

	(void)context;
	for (size_t i = 0; i < 2; i++) {
		const struct result *r = track_with(header[i], ATTACHED "frame stream=0\n" MAPPED TOUCHED("16") MMAP2
			LAYOUT RUN("0", "1", "0x7000")
			FOLIO("5", "2", "2", "0x7002", "1") FOLIO("5", "4", "4", "0x7004", "2")
			FOLIO("5", "8", "4", "0x7008", "2") RUN("12", "1", "0x700c") RUN("13", "1", "0x700d")
			MARK("5", "13", "0x700d") FOLIO("5", "14", "4", "0x7010", "2"));

		assert_string_equal(mapped(r), pages[i]);
		assert_int_equal(r->fidelity.inferred.fault_around_ambiguous, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_shows_it),
		cmocka_unit_test(nothing_shows_it),
		cmocka_unit_test(what_was_left_out_comes_later),
		cmocka_unit_test(nobody_used_it),
		cmocka_unit_test(a_folio_reaches_beyond),
		cmocka_unit_test(the_file_ends_with_the_folio),
		cmocka_unit_test(the_release_tells_of_the_folio),
		cmocka_unit_test(one_is_missing_and_one_is_marked),
		cmocka_unit_test(it_was_on_another_page),
		cmocka_unit_test(a_fault_takes_it_away),
		cmocka_unit_test(the_first_page_was_read),
		cmocka_unit_test(more_was_read),
		cmocka_unit_test(the_file_ends_first),
	};

	return cmocka_run_group_tests_name("readahead", tests, NULL, NULL);
}
