// SPDX-License-Identifier: MIT
/* Text put together in buffers of fixed size. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
