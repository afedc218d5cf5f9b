// SPDX-License-Identifier: MIT
/* Arrays that grow, and the lengths that must not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/array.h"

static void keeps_what_is_there(void **state)
{
	size_t room = 0;
	u32 *numbers = NULL;

	for (u32 i = 0; i < 10000; i++) {
		assert_int_equal(array_grow(numbers, room, i + 1ul), 0);
		assert_true(room > i);
		numbers[i] = i;
	}
	for (u32 i = 0; i < 10000; i++)
		assert_int_equal(numbers[i], i);
	free(numbers);
}

/* Adding n elements one by one must not copy n * n. */
static void grows_twofold(void **state)
{
	size_t room = 0, before, times = 0;
	char *bytes = NULL;

	for (size_t need = 1; need < 1 << 20; need++) {
		before = room;
		assert_int_equal(array_grow(bytes, room, need), 0);
		times += room != before;
	}
	assert_true(times <= 17);
	free(bytes);
}

static void grows_to_what_is_needed(void **state)
{
	size_t room = 0;
	u64 *numbers = NULL;

	assert_int_equal(array_grow(numbers, room, 100000), 0);
	assert_int_equal(room, 100000);
	numbers[99999] = 1;
	free(numbers);
}

static void zeroes_what_is_new(void **state)
{
	size_t room = 0;
	u32 *numbers = NULL;

	for (size_t need = 1; need < 3000; need += 7) {
		assert_int_equal(array_grow_zeroed(numbers, room, need), 0);
		for (size_t i = need > 7 ? need - 7 : 0; i < need; i++)
			assert_int_equal(numbers[i], 0);
		for (size_t i = 0; i < need; i++)
			numbers[i] = ~0u;
	}
	assert_int_equal(array_grow_zeroed(numbers, room, SIZE_MAX / 2), -ENOMEM);
	free(numbers);
}

static void needs_nothing(void **state)
{
	size_t room = 0;
	u64 *numbers = NULL;

	assert_int_equal(array_grow(numbers, room, 0), 0);
	assert_null(numbers);
}

static void refuses_what_overflows(void **state)
{
	size_t room = 0;
	u64 *numbers = NULL, *before;

	assert_int_equal(array_grow(numbers, room, 16), 0);
	before = numbers;
	assert_int_equal(array_grow(numbers, room, SIZE_MAX / sizeof(u64) + 1), -ENOMEM);
	assert_int_equal(array_grow(numbers, room, SIZE_MAX), -ENOMEM);
	assert_int_equal(array_grow(numbers, room, SIZE_MAX / 4), -ENOMEM);
	assert_ptr_equal(numbers, before);
	assert_int_equal(room, 16);
	/* Twice the room is more than there can be, too. */
	room = SIZE_MAX / 2 + 1;
	assert_int_equal(array_grow(numbers, room, room + 1), -ENOMEM);
	assert_ptr_equal(numbers, before);
	free(numbers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_is_there), cmocka_unit_test(grows_twofold),
		cmocka_unit_test(grows_to_what_is_needed), cmocka_unit_test(zeroes_what_is_new),
		cmocka_unit_test(needs_nothing),
		cmocka_unit_test(refuses_what_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
