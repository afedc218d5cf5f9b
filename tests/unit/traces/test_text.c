// SPDX-License-Identifier: MIT
/* The text form: exact in both directions, kind to people who write it by hand, clear about their errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"

static char *dump(const char *path)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(path, &err);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(reader);
	assert_int_equal(rf_text_dump(reader, out, &err), 0);
	fclose(out);
	rf_reader_close(reader);
	return text;
}

static int assemble(const char *text, const char *path, struct rf_error *err)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	int ret;

	assert_non_null(in);
	ret = rf_text_assemble(in, path, err);
	fclose(in);
	return ret;
}

/* Text to trace to text. */
static char *canonical(const char *text)
{
	char *path = make_path("t.mmt.zst"), *result;
	struct rf_error err = { 0 };

	if (assemble(text, path, &err))
		fail_msg("line %llu: %s", (unsigned long long)err.offset, err.message);
	result = dump(path);
	remove_path(path);
	return result;
}

static void expect_text(const char *text, const char *expected)
{
	char *result = canonical(text);

	assert_string_equal(result, expected);
	free(result);
}

/* Same bytes, also for several streams and frames. */
static void test_exact(void **state)
{
	char *path = make_path("t.mmt.zst"), *again = make_path("u.mmt.zst"), *text, *text_again;
	struct record_list *lists = write_random(path, 11, 3, 3000, 700);
	struct rf_error err;
	size_t size, size_again;
	u8 *data, *data_again;

	/* The end reason is the only thing a writer would choose differently; the text says it. */
	text = dump(path);
	assert_int_equal(assemble(text, again, &err), 0);
	data = read_file(path, &size);
	data_again = read_file(again, &size_again);
	assert_int_equal(size, size_again);
	assert_memory_equal(data, data_again, size);
	text_again = dump(again);
	assert_string_equal(text, text_again);
	for (int i = 0; i < 3; i++)
		list_free(&lists[i]);
	free(lists);
	free(data);
	free(data_again);
	free(text);
	free(text_again);
	remove_path(path);
	remove_path(again);
}

static const char full_text[] =
	"header {\"clock\":\"mono\",\"format\":\"refold-trace/1\",\"zstd_level\":7}\n"
	"stream 0 source=task cpu=0\n"
	"stream 1 source=system cpu=3\n"
	"stream 2 source=perf cpu=65535\n"
	"stream 3 source=snapshot cpu=0\n"
	"frame stream=1\n"
	"18446744073709551615 tid=4294967295 rss_stat mm_id=18446744073709551615 curr=1 member=3 pages=-1\n"
	"0 tid=0 sys_ret call=16 ret=-9223372036854775808\n"
	"frame stream=3 lost=7\n"
	"5 tid=1 page_alloc pfn=0xffffffffffffffff order=10 gfp=0x0\n"
	"frame stream=2\n"
	"6 tid=1 comm name0=\"a \\x22\\x5c\\x00b\\xff!\" name1=\"\" exec=1\n"
	"7 tid=1 munlockall\n"
	"frame stream=1 lost=18\n"
	"6 tid=0 fault addr=0x7fffffffffff flags=0x13\n"
	"frame stream=1 lost=1\n"
	"end signal\n";

static void test_canonical(void **state)
{
	expect_text(full_text, full_text);
}

static void test_by_hand(void **state)
{
	expect_text("", "header {\"format\":\"refold-trace/1\",\"zstd_level\":3}\nend assembled\n");
	expect_text("# a comment\n"
		    "\n"
		    "100 tid=5 fault flags=6 addr=4096\n"
		    "  +10\tfault  tid=5 addr=0x2000\r\n"
		    "+10 marker w0=\"hello \"\n"
		    "+0 marker_more w5=\"t\\x0ahere\"\n"
		    "+0 lost events=0x10\n"
		    "+5 brk\n",
		    "header {\"format\":\"refold-trace/1\",\"zstd_level\":3}\n"
		    "stream 0 source=task cpu=0\n"
		    "frame stream=0\n"
		    "100 tid=5 fault addr=0x1000 flags=0x6\n"
		    "110 tid=5 fault addr=0x2000 flags=0x0\n"
		    "120 tid=0 marker w0=\"hello \" w1=\"\" w2=\"\" w3=\"\" w4=\"\" w5=\"\"\n"
		    "120 tid=0 marker_more w0=\"\" w1=\"\" w2=\"\" w3=\"\" w4=\"\" w5=\"t\\x0ahere\"\n"
		    "frame stream=0 lost=16\n"
		    "125 tid=0 brk addr=0x0\n"
		    "end assembled\n");
	expect_text("header {\"b\":[1,2], \"a\":{}}\n"
		    "stream 0 source=perf\n"
		    "stream 1\n"
		    "frame stream=1\n"
		    "1 brk addr=-1\n"
		    "end none\n",
		    "header {\"a\":{},\"b\":[1,2],\"format\":\"refold-trace/1\",\"zstd_level\":3}\n"
		    "stream 0 source=perf cpu=0\n"
		    "stream 1 source=task cpu=0\n"
		    "frame stream=1\n"
		    "1 tid=0 brk addr=0xffffffffffffffff\n"
		    "end none\n");
}

static void test_errors(void **state)
{
	static const struct {
		const char *text;
		u64 line;
		const char *word;
	} cases[] = {
		{ "hello\n", 1, "expected header" },
		{ "1 fault\n2 faullt\n", 2, "no record kind \"faullt\"" },
		{ "1 fault adr=3\n", 1, "fault has no field \"adr\"" },
		{ "1 addr=3\n", 1, "no field" },
		{ "1 tid=3\n", 1, "without a kind" },
		{ "1 fault brk\n", 1, "two record kinds" },
		{ "1 fault addr=0xg\n", 1, "not a value" },
		{ "1 fault addr=12x\n", 1, "not a value" },
		{ "1 fault addr=\n", 1, "not a value" },
		{ "1 fault addr=18446744073709551616\n", 1, "not a value" },
		{ "1 sys_ret ret=-9223372036854775809\n", 1, "not a value" },
		{ "1 comm name0=\"123456789\"\n", 1, "not a value" },
		{ "1 comm name0=\"\\y\"\n", 1, "not a value" },
		{ "1 comm name0=\"ab\n", 1, "not a value" },
		{ "1 tid=4294967296 brk\n", 1, "thread number" },
		{ "-5 brk\n", 1, "starts with its time" },
		{ "1 brk\nheader {}\n", 2, "first line" },
		{ "header {\n", 1, "not a JSON object" },
		{ "header []\n", 1, "not a JSON object" },
		{ "\n\nstream 1\n", 3, "stream 0" },
		{ "stream 0 source=disk\n", 1, "source=" },
		{ "stream 0 cpu=65536\n", 1, "cpu=N" },
		{ "frame stream=1\n", 1, "no stream 1" },
		{ "frame losses=1\n", 1, "lost=N" },
		{ "end soon\n", 1, "end:" },
		{ "end command\n1 brk\n", 2, "nothing may follow" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *path = make_path("t.mmt.zst");
		struct rf_error err = { 0 };

		assert_int_equal(assemble(cases[i].text, path, &err), -EINVAL);
		if (err.offset != cases[i].line || !strstr(err.message, cases[i].word))
			fail_msg("%s -> line %llu: %s", cases[i].text, (unsigned long long)err.offset, err.message);
		assert_int_equal(access(path, F_OK), -1);	/* no half trace is left */
		remove_path(path);
	}
}

/* What is missing in a damaged trace is in its text, and stays marked when that is assembled. */
static void test_damaged(void **state)
{
	static const char whole[] = "stream 0\nstream 1\nframe\n1 brk\n2 brk\nframe stream=1\n3 brk\n"
				    "frame\n4 brk\nend command\n";
	static const char *const told[] = {
		"frame stream=0 lost=2\n4 ",
		"\nframe stream=1 lost=1\nend",
		"\nframe stream=0 lost=1\nend",
	};
	char *path = make_path("t.mmt.zst"), *text, *again;
	struct rf_error err;
	size_t size;
	u8 *data;

	assert_int_equal(assemble(whole, path, &err), 0);
	data = read_file(path, &size);
	for (size_t i = 0; i < 3; i++) {
		struct rf_reader *reader = rf_reader_open(path, &err);
		u64 offset = rf_reader_frame(reader, i)->offset;

		rf_reader_close(reader);
		data[offset + 40] ^= 1;
		write_file(path, data, size);
		text = dump(path);
		assert_non_null(strstr(text, told[i]));
		assert_non_null(strstr(text, "end none\n"));
		again = canonical(text);
		assert_string_equal(again, text);
		free(again);
		free(text);
		data[offset + 40] ^= 1;
		write_file(path, data, size);
	}
	free(data);
	remove_path(path);
}

static void test_record_buffer(void **state)
{
	struct rf_record record = { .time = 12, .tid = 3, .kind = RF_SYS_BRK, .f = { 0x10 } };
	char small[8];

	assert_int_equal(rf_text_record(&record, small, sizeof(small)), strlen("12 tid=3 brk addr=0x10"));
	assert_string_equal(small, "12 tid=");
	assert_int_equal(rf_text_record(&record, NULL, 0), strlen("12 tid=3 brk addr=0x10"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),  cmocka_unit_test(test_canonical), cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_damaged),	 cmocka_unit_test(test_record_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
