// SPDX-License-Identifier: MIT
/* Text for people: what is bounded, what is rounded, what is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

/* A line of eight bytes and a sentinel behind it. */
static void test_line_is_bounded(void **state)
{
	char text[9] = "????????#";
	struct rf_line line;

	rf_line_begin(&line, text, 8);
	assert_string_equal(text, "");
	rf_line_add(&line, "%s", "abc");
	rf_line_add(&line, "%d", 1234);
	assert_string_equal(text, "abc1234");
	assert_false(line.full);
	rf_line_add(&line, "%s", "");
	assert_string_equal(text, "abc1234");
	rf_line_add(&line, "5");
	assert_string_equal(text, "abc1...");
	assert_true(line.full);
	rf_line_add(&line, "%s", "more");
	assert_string_equal(text, "abc1...");
	assert_int_equal(line.used, 7);
	assert_int_equal(text[8], '#');

	rf_line_begin(&line, text, 8);
	rf_line_add(&line, "%s", "much too long");
	assert_string_equal(text, "much...");
	assert_int_equal(text[8], '#');
}

static void test_paragraph(void **state)
{
	const char *nine = "123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 ";
	struct rf_paragraph paragraph;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	rf_paragraph_begin(&paragraph, out, "label", 11);
	rf_paragraph_words(&paragraph, nine);
	rf_paragraph_words(&paragraph, " 12345\v7890");
	rf_paragraph_words(&paragraph, "");
	rf_paragraph_words(&paragraph, "next");
	rf_paragraph_end(&paragraph);
	fclose(out);
	assert_string_equal(text, "label      123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
				  "123456789\n           12345 7890 next\n");
	free(text);
	out = open_memstream(&text, &size);
	rf_paragraph_begin(&paragraph, out, "12345678", 8);
	rf_paragraph_words(&paragraph, nine);
	rf_paragraph_words(&paragraph, "123456789 12 x");
	rf_paragraph_end(&paragraph);
	fclose(out);
	/* To the last column, and not behind it. */
	assert_int_equal(strcspn(text, "\n"), RF_TEXT_WIDTH);
	assert_string_equal(strchr(text, '\n'), "\n        x\n");
	free(text);
}

static void test_digits(void **state)
{
	char text[RF_DIGITS_MAX];

	assert_string_equal(rf_digits(0, text), "0");
	assert_string_equal(rf_digits(999, text), "999");
	assert_string_equal(rf_digits(1000, text), "1,000");
	assert_string_equal(rf_digits(-123456, text), "-123,456");
	assert_string_equal(rf_digits(INT64_MAX, text), "9,223,372,036,854,775,807");
	assert_string_equal(rf_digits(INT64_MIN, text), "-9,223,372,036,854,775,808");
	assert_string_equal(rf_digits_unsigned(UINT64_MAX, text), "18,446,744,073,709,551,615");
}

static void test_percent_never_rounds_up(void **state)
{
	char text[40];

	assert_string_equal(rf_percent(999999, 1000000, text, sizeof(text)), "99.99 %");
	assert_string_equal(rf_percent(7, 7, text, sizeof(text)), "100.00 %");
	assert_string_equal(rf_percent(0, 7, text, sizeof(text)), "0.00 %");
}

static void test_parse_number(void **state)
{
	static const char *const wrong[] = {
		"", " 1", "1 ", "-1", "+1", "0x", "0xg", "0x-1", "1x", "18446744073709551616", "0x10000000000000000",
	};
	u64 value;
	size_t i;

	assert_true(rf_parse_number("0", 0, 0, &value) && !value);
	assert_true(rf_parse_number("010", 0, UINT64_MAX, &value) && value == 10);
	assert_true(rf_parse_number("0xaB", 0, UINT64_MAX, &value) && value == 0xab);
	assert_true(rf_parse_number("0XFFFFFFFFFFFFFFFF", 0, UINT64_MAX, &value) && value == UINT64_MAX);
	assert_true(rf_parse_number("18446744073709551615", 0, UINT64_MAX, &value) && value == UINT64_MAX);
	assert_true(rf_parse_number("7", 7, 7, &value));
	assert_false(rf_parse_number("6", 7, 7, &value));
	assert_false(rf_parse_number("8", 7, 7, &value));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(rf_parse_number(wrong[i], 0, UINT64_MAX, &value));
}

static void test_distance(void **state)
{
	char word[100];

	assert_int_equal(rf_distance("replay", "replay"), 0);
	assert_int_equal(rf_distance("repaly", "replay"), 2);
	assert_int_equal(rf_distance("", "dump"), 4);
	assert_int_equal(rf_distance("dump", ""), 4);
	assert_int_equal(rf_distance("dumps", "dump"), 1);
	assert_int_equal(rf_distance("kitten", "sitting"), 3);
	memset(word, 'a', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	assert_int_equal(rf_distance(word, "a"), sizeof(word) - 2);
	assert_int_equal(rf_distance("a", word), ~0u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_is_bounded),
		cmocka_unit_test(test_paragraph),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_percent_never_rounds_up),
		cmocka_unit_test(test_parse_number),
		cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
