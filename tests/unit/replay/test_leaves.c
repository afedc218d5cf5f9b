// SPDX-License-Identifier: MIT
/* Leaves with room for a few entries are what plain ones are: random entries come and go in both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replay/world/world.h"

#define STEPS 200000
#define LEAVES 8

struct seen {
	const world_pte *plain;
	u64 next;	/* every entry before it has been visited, if it is one */
};

static void visit(void *context, u64 vpn, world_pte pte)
{
	struct seen *seen = context;

	for (; seen->next < vpn; seen->next++)
		assert_int_equal(seen->plain[seen->next], 0);
	assert_int_equal(seen->plain[vpn], pte);
	seen->next++;
}

/* Of a range: those are visited that are there, in order, and no others. */
static void compare(struct world *world, struct world_mm *mm, const world_pte *plain, u64 start, u64 end)
{
	struct seen seen = { plain, start };

	world_walk_sorted(world, mm, start, end, visit, &seen);
	for (; seen.next < end; seen.next++)
		assert_int_equal(plain[seen.next], 0);
}

static u64 forget(world_pte *plain, u64 nr)
{
	u64 present = 0;

	for (u64 i = 0; i < nr; i++) {
		present += plain[i] != 0;
		plain[i] = 0;
	}
	return present;
}

static void are_plain_ones(void **context)
{
	static world_pte plain[LEAVES * WORLD_LEAF_PTES];
	struct world *world = world_create(12, sizeof(struct world_mm));
	struct world_mm *mm = world ? world_mm_new(world) : NULL;

	(void)context;
	assert_non_null(mm);
	srandom(1);
	for (int step = 0; step < STEPS; step++) {
		/* Leaves of each size: the entries of one are twice as close together as those of the one before. */
		u64 leaf = (u64)random() % LEAVES;
		u64 at = (u64)random() % WORLD_LEAF_PTES & ~0ull << (LEAVES - 1 - leaf);
		u64 vpn = leaf * WORLD_LEAF_PTES + at;
		world_pte pte = random() % 3 ? world_mkpte(WORLD_ZERO, (u64)random(), WORLD_WRITE) : 0;

		assert_int_equal(world_get(mm, vpn), plain[vpn]);
		assert_int_equal(world_set(world, mm, vpn, pte), plain[vpn]);
		plain[vpn] = pte;
		if (pte && step % 5 == 0) {
			world_set_flags(world, mm, vpn, 1, WORLD_EXCLUSIVE, WORLD_WRITE);
			plain[vpn] = (pte | WORLD_EXCLUSIVE) & ~WORLD_WRITE;
		}
		if (step % 1000 == 0)
			compare(world, mm, plain, (u64)random() % 1000, 3000 + (u64)random() % 1000);
		if (step % 20000 == 0)
			assert_int_equal(world_zap(world, mm, vpn - at, vpn), forget(plain + vpn - at, at));
	}
	compare(world, mm, plain, 0, ARRAY_SIZE(plain));
	world_mm_free(world, mm);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(are_plain_ones) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
