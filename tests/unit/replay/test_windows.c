// SPDX-License-Identifier: MIT
/*
 * Windows: which marks begin and end them, what their labels are, and that every operation is in the window in which it
 * happened, however late the tracker learns of it.
 */
#include "tests/unit/replay/tracking_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/machine.h"
#include "replay/run.h"

/* ---- patterns ------------------------------------------------------------------------------ */

static void put_mark(struct rf_record *records, const char *text)
{
	size_t length = strlen(text);

	memset(records, 0, RF_MARK_RECORDS * sizeof(*records));
	for (size_t i = 0; i < length && i < RF_MARK_BYTES; i++)
		records[i / 48].f[i % 48 / 8] |= (u64)(unsigned char)text[i] << 8 * (i % 8);
}

static void text_of_a_mark(void **context)
{
	struct rf_record records[RF_MARK_RECORDS];
	char text[RF_MARK_BYTES + 1], longest[RF_MARK_BYTES + 20];

	(void)context;
	put_mark(records, "with child\n");
	rf_mark_text(records, 1, text);
	assert_string_equal(text, "with child");
	put_mark(records, "tab\tnewline\nbell\a \n\n");
	rf_mark_text(records, 1, text);
	assert_string_equal(text, "tab newline bell?");
	put_mark(records, "WL BEGIN cow_parent_1per64k/64K-8/parent-write-all-after\n");
	rf_mark_text(records, 2, text);
	assert_string_equal(text, "WL BEGIN cow_parent_1per64k/64K-8/parent-write-all-after");
	/* As it was recorded before there were marker_more records. */
	rf_mark_text(records, 1, text);
	assert_string_equal(text, "WL BEGIN cow_parent_1per64k/64K-8/parent-write-a");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	put_mark(records, longest);
	rf_mark_text(records, RF_MARK_RECORDS, text);
	assert_int_equal(strlen(text), RF_MARK_BYTES);
	put_mark(records, "");
	rf_mark_text(records, 1, text);
	assert_string_equal(text, "");
}

/* The windows of these marks as "label#occurrence[begin,end)why", times being 1, 2, 3... */
static const char *windows_of(const char *begin, const char *end, bool every_mark, const char *const *marks)
{
	static const char *const whys[] = { "recording", "mark", "next" };
	static char line[1000];
	struct rf_window_patterns patterns;
	struct rf_windows windows;
	u64 kinds[RF_RECORD_KIND_MAX] = { 0 };
	s64 ended, begun;
	u64 time = 1;
	size_t used = 0;

	assert_int_equal(rf_window_patterns_compile(&patterns, begin, end, NULL), 0);
	assert_int_equal(rf_windows_start(&windows, &patterns, NULL, NULL), 0);
	windows.every_mark = every_mark;
	for (; *marks; marks++)
		assert_int_equal(rf_windows_mark(&windows, *marks, time++, kinds, &ended, &begun), 0);
	rf_windows_finish(&windows, time, kinds);
	line[0] = '\0';
	for (u32 i = 0; i < windows.nr; i++) {
		const struct rf_window *window = &windows.windows[i];

		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s#%u[%llu,%llu)%s", i ? " " : "",
					 window->label, window->occurrence, (unsigned long long)window->begin,
					 (unsigned long long)window->end, whys[window->ended_by]);
	}
	rf_windows_free(&windows);
	rf_window_patterns_free(&patterns);
	return line;
}

#define WINDOWS(begin, end, every, ...) windows_of(begin, end, every, (const char *const[]){ __VA_ARGS__, NULL })

static void marks_begin_and_end_windows(void **context)
{
	(void)context;
	assert_string_equal(WINDOWS(NULL, NULL, false, "WL BEGIN a/b", "hello", "WL END a/b", "WL BEGIN c", "WL END c"),
			    "a/b#1[1,3)mark c#1[4,5)mark");
	/* The same label again, and one that the recording ends. */
	assert_string_equal(
		WINDOWS(NULL, NULL, false, "WL BEGIN a", "WL END a", "WL BEGIN a", "WL END a", "WL BEGIN a"),
		"a#1[1,2)mark a#2[3,4)mark a#3[5,6)recording");
	/* A begin ends the one before; an end of another label, or without a window, ends nothing. */
	assert_string_equal(WINDOWS(NULL, NULL, false, "WL END x", "WL BEGIN a", "WL BEGIN b", "WL END a", "WL END b",
				    "WL END b"),
			    "a#1[2,3)next b#1[3,5)mark");
}

static void patterns_can_be_chosen(void **context)
{
	(void)context;
	/* Without an end: until the next. Without a group: what matched. */
	assert_string_equal(WINDOWS("phase ([a-z]+)", NULL, false, "phase one!", "WL END one", "phase two"),
			    "one#1[1,3)next two#1[3,4)recording");
	assert_string_equal(WINDOWS("phase [a-z]+", NULL, false, "the phase one!", "WL BEGIN x"),
			    "phase one#1[1,3)recording");
	assert_string_equal(WINDOWS("^(.*) (start|again)$", "stop", false, "a b start", "stop", "a b again", "c stop"),
			    "a b#1[1,2)mark a b#2[3,4)mark");
	/* An end alone goes with the default begin. */
	assert_string_equal(WINDOWS(NULL, "^done$", false, "WL BEGIN a", "WL END a", "done"), "a#1[1,3)mark");
	/* A group that took no part in the match is no label. */
	assert_string_equal(WINDOWS("one|t(wo)", NULL, false, "one", "two"), "one#1[1,2)next wo#1[2,3)recording");
	assert_string_equal(WINDOWS(NULL, NULL, true, "one", "two", "WL END one"),
			    "one#1[1,2)next two#1[2,3)next WL END one#1[3,4)recording");
}

static void a_bad_pattern_is_told(void **context)
{
	struct rf_window_patterns patterns;
	struct rf_error err = { 0 };

	(void)context;
	assert_int_equal(rf_window_patterns_compile(&patterns, "a(b", NULL, &err), -EINVAL);
	assert_non_null(strstr(err.message, "'a(b' is not an extended regular expression"));
	assert_int_equal(rf_window_patterns_compile(&patterns, NULL, "[", &err), -EINVAL);
}

static void too_many_are_counted(void **context)
{
	struct rf_window_patterns patterns;
	struct rf_windows windows;
	u64 kinds[RF_RECORD_KIND_MAX] = { 0 };
	s64 ended, begun;
	char text[20];

	(void)context;
	assert_int_equal(rf_window_patterns_compile(&patterns, "(.*)", NULL, NULL), 0);
	assert_int_equal(rf_windows_start(&windows, &patterns, NULL, NULL), 0);
	for (u32 i = 0; i < RF_MAX_WINDOWS + 3; i++) {
		snprintf(text, sizeof(text), "%u", i);
		kinds[RF_FAULT] = i;
		kinds[RF_MARKER]++;
		assert_int_equal(rf_windows_mark(&windows, text, i, kinds, &ended, &begun), 0);
		assert_int_equal(begun, i < RF_MAX_WINDOWS ? (s64)i : -1);
		assert_int_equal(ended, i && i <= RF_MAX_WINDOWS ? (s64)i - 1 : -1);
	}
	assert_int_equal(rf_windows_finish(&windows, 9999, kinds), -1);
	assert_int_equal(windows.nr, RF_MAX_WINDOWS);
	assert_int_equal(windows.left_out, 3);
	assert_int_equal(windows.windows[7].kinds[RF_FAULT], 1);
	assert_int_equal(windows.windows[7].kinds[RF_MARKER], 0);
	rf_windows_free(&windows);
	rf_window_patterns_free(&patterns);
}

/* ---- what was counted ------------------------------------------------------------------------ */

static void differences_are_kept(void **context)
{
	struct rf_stats *stats = calloc(3, sizeof(*stats));
	struct rf_counted counted;

	(void)context;
	assert_non_null(stats);
	stats[0].rows[RF_ROW_fork].tlbi = 5;
	stats[0].batches.calls[ARCH_HELPER_set_ptes][16] = 2;
	stats[0].live_blocks = 9;
	stats[0].peak_live_blocks = 9;
	stats[0].operations[RF_ROW_cow] = 4;
	stats[1] = stats[0];
	stats[1].rows[RF_ROW_fork].tlbi = 7;
	stats[1].rows[RF_ROW_vma].faults = 1;
	stats[1].batches.calls[ARCH_HELPER_set_ptes][16] = 3;
	stats[1].live_blocks = 3;
	stats[1].peak_live_blocks = 12;
	assert_int_equal(rf_counted_between(&counted, &stats[0], &stats[1]), 0);
	assert_int_equal(counted.nr, 4);
	rf_counted_expand(&counted, &stats[2]);
	assert_int_equal(stats[2].rows[RF_ROW_fork].tlbi, 2);
	assert_int_equal(stats[2].rows[RF_ROW_vma].faults, 1);
	assert_int_equal(stats[2].batches.calls[ARCH_HELPER_set_ptes][16], 1);
	assert_int_equal(stats[2].live_blocks, 3);
	assert_int_equal(stats[2].peak_live_blocks, 0);
	assert_int_equal(stats[2].operations[RF_ROW_cow], 0);
	free(counted.numbers);
	assert_int_equal(rf_counted_between(&counted, &stats[2], &stats[2]), 0);
	assert_int_equal(counted.nr, 1);	/* the blocks that live */
	free(counted.numbers);
	free(stats);
}

/* ---- operations are in their window ------------------------------------------------------------- */

#define BEGIN_A(time) time " tid=100 marker w0=\"WL BEGIN\" w1=\" a\"\n"
#define END_A(time) time " tid=100 marker w0=\"WL END a\"\n"

/* Two pages, both shared with a child that has exited: writing to them makes them writable and leaves no record. */
#define REUSABLE ATTACHED "frame stream=0\n"                                \
	"10 tid=100 fault addr=0x400000001000 flags=0x2\n"                  \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"             \
	"13 tid=100 fault addr=0x400000002000 flags=0x2\n"                  \
	"14 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3\n"                \
	"15 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n"             \
	"20 tid=100 clone flags=0x1200000\n"                                \
	"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=2\n"            \
	"22 tid=100 newtask child=200 flags=0x1200000\n"                    \
	"23 tid=100 sys_ret call=26 ret=200\n"                              \
	"30 tid=200 exit_task group_dead=1\n"

#define REUSABLE_OPS "fault_anon 0 @1 nr=1 pfn=1000\nfault_anon 0 @2 nr=1 pfn=1001\nfork 0 child=1\nmm_exit 1\n"

static void a_silent_fault_is_over_when_its_task_writes_a_mark(void **context)
{
	struct result *r = track(REUSABLE BEGIN_A("100") "101 tid=100 fault addr=0x400000001000 flags=0x3\n" END_A("102")
				 "103 tid=100 fault addr=0x400000002000 flags=0x3\n");

	(void)context;
	expect(r, REUSABLE_OPS "window 0 begins\nfault_reuse 0 @1 nr=1\nwindow 0 ends\nfault_reuse 0 @2 nr=1\n");
}

/* The other thread says nothing more; what it faulted long before the mark is done, what it did just now is not. */
static void faults_of_others_are_settled(void **context)
{
	struct result *r = track(REUSABLE BEGIN_A("100") "101 tid=101 fault addr=0x400000001000 flags=0x3\n"
				 "102 tid=200 process pid=200\n" END_A("20000"));

	(void)context;
	expect(r, REUSABLE_OPS "window 0 begins\nfault_reuse 0 @1 nr=1\nwindow 0 ends\n");
	r = track(REUSABLE BEGIN_A("100") "19000 tid=101 fault addr=0x400000001000 flags=0x3\n" END_A("20000"));
	expect(r, REUSABLE_OPS "window 0 begins\nwindow 0 ends\nfault_reuse 0 @1 nr=1\n");
	/* Guessed too early: it was a copy, whose allocation comes after the mark. */
	r = track(REUSABLE BEGIN_A("100") "101 tid=101 fault addr=0x400000001000 flags=0x3\n" END_A("20000")
		  "20001 tid=101 page_alloc pfn=0x1002 order=0 gfp=0x3\n");
	expect(r, REUSABLE_OPS "window 0 begins\nfault_reuse 0 @1 nr=1\nwindow 0 ends\nfault_cow 0 @1 nr=1 pfn=1002\n");
}

/* What the child still maps is copied, which tells itself: nothing to guess. */
static void copies_of_others_are_waited_for(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 clone flags=0x1200000\n"
		"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"
		"22 tid=100 newtask child=200 flags=0x1200000\n"
		"23 tid=100 sys_ret call=26 ret=200\n"
		BEGIN_A("100") "101 tid=200 fault addr=0x400000001000 flags=0x3\n" END_A("20000")
		"20001 tid=200 page_alloc pfn=0x1001 order=0 gfp=0x3\n"
		"20002 tid=100 fault addr=0x400000001000 flags=0x3\n");

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\nfork 0 child=1\nwindow 0 begins\nwindow 0 ends\n"
		  "fault_cow 1 @1 nr=1 pfn=1001\nfault_reuse 0 @1 nr=1\n");
}

static void flushes_put_off_are_in_the_window(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000010000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x2000 order=4 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=16\n"
		BEGIN_A("20") END_A("50")
		"frame stream=2\n"
		"30 tid=7 migration_set addr=0x400000010000 pfn=0x2000 order=4 flags=0\n"
		"60 tid=7 migration_remove addr=0x400000010000 pfn=0x5000 order=4 flags=0x0\n");

	(void)context;
	expect(r, "fault_anon 0 @16 nr=16 pfn=2000 order=4\nwindow 0 begins\n"
		  "migrate_out 0 @16 nr=1 pfn=2000 order=4\nreclaim_flush 0\nwindow 0 ends\n"
		  "migrate_in 0 @16 nr=1 pfn=5000 order=4\n");
}

static void an_exit_is_in_the_window(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n" BEGIN_A("10")
		"20 tid=100 clone flags=0x1200000\n"
		"21 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=0\n"
		"22 tid=100 newtask child=200 flags=0x1200000\n"
		"23 tid=100 sys_ret call=26 ret=200\n" END_A("40")
		"frame stream=1\n"
		"30 tid=200 exit_task group_dead=1\n");

	(void)context;
	expect(r, "window 0 begins\nfork 0 child=1\nmm_exit 1\nwindow 0 ends\n");
}

/* Whole labels, told apart behind the 48th byte; a mark that only the recording ends; no mark that matches. */
static void long_labels_and_other_marks(void **context)
{
	struct result *r;

	(void)context;
	r = track(ATTACHED "frame stream=0\n"
		  "10 tid=100 marker w0=\"WL BEGIN\" w1=\" 3456789\" w2=\"01234567\" w3=\"89012345\" w4=\"67890123\""
		  " w5=\"45678901\"\n+0 tid=100 marker_more w0=\"one\"\n"
		  "20 tid=100 marker w0=\"WL END 3\" w1=\"45678901\" w2=\"23456789\" w3=\"01234567\" w4=\"89012345\""
		  " w5=\"678901tw\"\n+0 tid=100 marker_more w0=\"o\"\n"
		  "30 tid=100 marker w0=\"WL END 3\" w1=\"45678901\" w2=\"23456789\" w3=\"01234567\" w4=\"89012345\""
		  " w5=\"678901on\"\n+0 tid=100 marker_more w0=\"e\"\n"
		  "40 tid=100 fault addr=0x400000200000 flags=0x4\n");
	expect(r, "window 0 begins\nwindow 0 ends\nfault_zero 0 @512 nr=1\n");
	r = track(ATTACHED "frame stream=0\n10 tid=100 marker w0=\"one\"\n"
		  "20 tid=100 fault addr=0x400000200000 flags=0x4\n"
		  "30 tid=100 marker w0=\"two\"\n");
	expect(r, "window 0 begins\nfault_zero 0 @512 nr=1\nwindow 0 ends\nwindow 1 begins\nwindow 1 ends\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_a_mark),
		cmocka_unit_test(marks_begin_and_end_windows),
		cmocka_unit_test(patterns_can_be_chosen),
		cmocka_unit_test(a_bad_pattern_is_told),
		cmocka_unit_test(too_many_are_counted),
		cmocka_unit_test(differences_are_kept),
		cmocka_unit_test(a_silent_fault_is_over_when_its_task_writes_a_mark),
		cmocka_unit_test(faults_of_others_are_settled),
		cmocka_unit_test(copies_of_others_are_waited_for),
		cmocka_unit_test(flushes_put_off_are_in_the_window),
		cmocka_unit_test(an_exit_is_in_the_window),
		cmocka_unit_test(long_labels_and_other_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
