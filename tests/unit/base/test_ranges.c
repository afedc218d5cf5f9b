// SPDX-License-Identifier: MIT
/* Ranges in order: against a plain array, and how many steps a search takes, whatever order they came in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ranges.h"

struct range {
	u64 start, end;
	RANGE_LINKS(struct range) links;
};

DEFINE_RANGES(ranges, struct range)

#define PLACES 300
#define STEPS 60000

/* Links, order and priorities are what they should be; how many ranges there are below. */
static u32 check_tree(const struct range *range)
{
	const struct range *left = range->links.left, *right = range->links.right;

	assert_true(!left || (left->links.parent == range && left->links.priority <= range->links.priority));
	assert_true(!right || (right->links.parent == range && right->links.priority <= range->links.priority));
	assert_true(!left || left->end <= range->start);
	assert_true(!right || right->start >= range->end);
	return 1 + (left ? check_tree(left) : 0) + (right ? check_tree(right) : 0);
}

static void check(const struct ranges *ranges, struct range **plain)
{
	const struct range *range = ranges_first(ranges), *prev = NULL;
	u32 nr = 0;

	for (u32 place = 0; place < PLACES; place++) {
		if (!plain[place])
			continue;
		assert_ptr_equal(range, plain[place]);
		assert_ptr_equal(range->links.prev, prev);
		prev = range;
		range = range->links.next;
		nr++;
	}
	assert_null(range);
	assert_ptr_equal(ranges_last(ranges), prev);
	assert_int_equal(ranges->nr, nr);
	assert_int_equal(ranges->root ? check_tree(ranges->root) : 0, nr);
}

/* Ranges of 7 numbers, at every tenth. */
static void test_against_an_array(void **state)
{
	static struct range memory[PLACES];
	struct range *plain[PLACES] = { 0 };
	struct ranges ranges = { 0 };

	srandom(3);
	for (int step = 0; step < STEPS; step++) {
		u32 place = (u32)random() % PLACES, after;
		u64 at = (u64)random() % (PLACES * 10);

		if (plain[place]) {
			ranges_remove(&ranges, plain[place]);
			plain[place] = NULL;
		} else {
			plain[place] = &memory[place];
			*plain[place] = (struct range){ .start = place * 10, .end = place * 10 + 7 };
			ranges_insert(&ranges, plain[place]);
		}
		for (after = (u32)at / 10; after < PLACES && !(plain[after] && plain[after]->end > at); after++)
			;
		assert_ptr_equal(ranges_find(&ranges, at), after < PLACES ? plain[after] : NULL);
		if (step % 100 == 0)
			check(&ranges, plain);
	}
}

static u64 ascending(u64 i, u64 nr)
{
	return i;
}

static u64 descending(u64 i, u64 nr)
{
	return nr - 1 - i;
}

/* Every number below nr once: nr is no multiple of the factor. */
static u64 mixed(u64 i, u64 nr)
{
	return i * 7919 % nr;
}

/* From both ends to the middle. */
static u64 inwards(u64 i, u64 nr)
{
	return i % 2 ? nr - 1 - i / 2 : i / 2;
}

static void test_steps(void **state)
{
	u64 (*const orders[])(u64 i, u64 nr) = { ascending, descending, mixed, inwards };

	for (u64 nr = 1000; nr <= 1000000; nr *= 10) {
		struct range *memory = calloc(nr, sizeof(*memory));
		u64 log2 = 0;

		assert_non_null(memory);
		while (nr >> log2)
			log2++;
		for (size_t order = 0; order < ARRAY_SIZE(orders); order++) {
			struct ranges ranges = { 0 };
			u64 steps = 0, most = 0;

			for (u64 i = 0; i < nr; i++) {
				u64 place = orders[order](i, nr), depth;

				depth = ranges_depth(&ranges, place * 2);
				steps += depth;
				most = depth > most ? depth : most;
				memory[i] = (struct range){ .start = place * 2, .end = place * 2 + 1 };
				ranges_insert(&ranges, &memory[i]);
			}
			print_message("%llu ranges, order %zu: %llu steps each, %llu at most\n",
				      (unsigned long long)nr, order, (unsigned long long)(steps / nr),
				      (unsigned long long)most);
			assert_true(steps <= 2 * log2 * nr);
			assert_true(most <= 5 * log2);
			assert_int_equal(ranges.nr, nr);
			for (u64 i = 0; i < nr; i++)
				ranges_remove(&ranges, &memory[i]);
			assert_null(ranges.root);
		}
		free(memory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_an_array),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
