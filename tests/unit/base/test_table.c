// SPDX-License-Identifier: MIT
/* The hash table against an array that is searched from end to end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/table.h"

DEFINE_TABLE(numbers, u64, u32);
DEFINE_TABLE(words, u32, const char *);

static void is_empty_when_zero(void **state)
{
	struct numbers table = { 0 };

	assert_int_equal(numbers_find(&table, 0), 0);
	assert_int_equal(numbers_find(&table, ~0ull), 0);
	numbers_free(&table);
}

/* Keys as they come: tids in a row, page frames a power of two apart, and any. */
static u64 key_number(u32 i, int pattern)
{
	return pattern == 0 ? i : pattern == 1 ? (u64)i << 32 : (u64)rand() << 31 ^ (u64)rand() << 11 ^ i;
}

static void finds_what_was_added(void **state)
{
	enum { NR = 5000 };
	static u64 keys[NR];

	for (int pattern = 0; pattern < 3; pattern++) {
		struct numbers table = { 0 };
		u32 seen = 0;

		for (u32 i = 0; i < NR; i++) {
			keys[i] = key_number(i, pattern);
			assert_int_equal(numbers_find(&table, keys[i]), 0);
			assert_int_equal(numbers_add(&table, keys[i], i + 1), 0);
		}
		for (u32 i = 0; i < NR; i++)
			assert_int_equal(numbers_find(&table, keys[i]), i + 1);
		assert_int_equal(numbers_find(&table, 1ull << 63), 0);
		for (u32 i = 0; i < table.size; i++)
			seen += !!table.slots[i].value;
		assert_int_equal(seen, NR);
		assert_int_equal(table.nr, NR);
		assert_true(table.nr * 2 <= table.size);
		numbers_free(&table);
		assert_int_equal(numbers_find(&table, keys[0]), 0);
	}
}

static void replaces(void **state)
{
	struct words table = { 0 };

	assert_int_equal(words_set(&table, 7, "first"), 0);
	assert_int_equal(words_set(&table, 8, "other"), 0);
	assert_int_equal(words_set(&table, 7, "second"), 0);
	assert_string_equal(words_find(&table, 7), "second");
	assert_string_equal(words_find(&table, 8), "other");
	assert_int_equal(table.nr, 2);
	words_free(&table);
}

static bool is(const void *context, u32 value)
{
	return *(const u32 *)context == value;
}

/* Where keys are hashes, two things may have the same; growing must keep both. */
static void tells_same_keys_apart(void **state)
{
	struct numbers table = { 0 };
	u32 wanted;

	for (u32 i = 1; i <= 40; i++)
		assert_int_equal(numbers_add(&table, i % 4, i), 0);
	for (wanted = 1; wanted <= 40; wanted++) {
		assert_int_equal(numbers_match(&table, wanted % 4, is, &wanted), wanted);
		assert_int_equal(numbers_match(&table, (wanted + 1) % 4, is, &wanted), 0);
	}
	numbers_free(&table);
	wanted = 1;
	assert_int_equal(numbers_match(&table, 1, is, &wanted), 0);
}

static void has_room_reserved(void **state)
{
	struct numbers table = { 0 };
	const struct numbers_slot *slots;

	assert_int_equal(numbers_reserve(&table, 129), 0);
	assert_int_equal(table.size, 512);
	slots = table.slots;
	for (u32 i = 1; i <= 256; i++)
		assert_int_equal(numbers_add(&table, i, i), 0);
	assert_ptr_equal(table.slots, slots);
	assert_int_equal(numbers_reserve(&table, 2), 0);
	assert_int_equal(numbers_reserve(&table, 257), 0);
	assert_int_equal(table.size, 1024);
	for (u32 i = 1; i <= 256; i++)
		assert_int_equal(numbers_find(&table, i), i);
	assert_int_equal(numbers_reserve(&table, (1u << 30) + 1), -ENOMEM);
	assert_int_equal(table.size, 1024);
	numbers_free(&table);
}

static void refuses_what_overflows(void **state)
{
	struct numbers_slot slot = { 0 };
	struct numbers table = { .slots = &slot, .nr = 1u << 30, .size = 1u << 31 };

	assert_int_equal(numbers_add(&table, 1, 1), -ENOMEM);
	assert_ptr_equal(table.slots, &slot);
	assert_int_equal(table.nr, 1u << 30);
	assert_int_equal(table.size, 1u << 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_empty_when_zero), cmocka_unit_test(finds_what_was_added),
		cmocka_unit_test(replaces), cmocka_unit_test(tells_same_keys_apart),
		cmocka_unit_test(has_room_reserved), cmocka_unit_test(refuses_what_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
