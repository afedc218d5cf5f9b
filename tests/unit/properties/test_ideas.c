// SPDX-License-Identifier: MIT
/*
 * Ideas that no kernel has (kernel-model.md 9.3), each by itself and some together, through random operations: whatever
 * an idea does not give up by intent must hold.
 *
 *   REFOLD_SEED=N   another stream of operations
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "properties/property.h"

#define EPISODES 3
#define EPISODE 2000u

/*
 * gives_up: oracles, by name, that may speak. test_controls.c shows of I7 and I12 that they do. Blocks of several
 * folios are not I2, and MADV_FREE of a page of one cleans others, whose flush nobody owes (I9). With anon_folios
 * blocks, helper calls and TLBs are looked at, not what is mapped (tests/arm64/what_if.py and tests/live/what_if.py do
 * that); and what reclaim takes of one page goes with its folio, so that random operations on its other pages find
 * nothing. khugepaged collapses amid an operation, and what it clears of tables that are flushed and gone already I9
 * takes for what that zaps.
 */

static const struct idea { const char *knobs, *gives_up; } ideas[] = {
	{ "fold_sites=any", "" },
	{ "fold_sites=end-of-op", "" },
	{ "refold=lazy", "" },
	{ "reuse_around=block", "" },
	{ "reuse_around=folio", "" },
	{ "fold_scope=span", "I2 I9 I12" },
	{ "fold_scope=span+fold_sites=any+refold=lazy", "I2 I9 I12" },
	{ "khuge_cont=1", "" },
	{ "khuge_cont=1+fold_sites=none", "" },
	{ "unfold_free_split=block", "I7" },
	{ "unfold_free_split=entry", "I7" },
	{ "unfold=nosync", "I7" },
	{ "unfold_flush=merged", "I7" },
	{ "gather_sets=true", "" },
	{ "asid_threshold=3", "" },
	{ "asid_threshold=3+tlbi=single", "" },
	{ "bbml3=true", "" },
	{ "coalesce=4", "" },
	{ "coalesce=32+fold_sites=end-of-op+khuge_cont=1+unfold_free_split=entry", "I7" },
	{ "cont_pages=4", "" },
	{ "cont_pages=8+fold_sites=any+khuge_cont=1", "" },
	{ "cont_pages=32+tlbi=single", "" },
	{ "cont_pages=128+unfold_free_split=block", "I7" },
	{ "lockless=bounded", "" },
	{ "slow_gup=cont+fast_gup=cont", "" },
	{ "batch_anon_unmap=true+batch_migrate=true+batch_mkclean=true", "" },
	{ "refold=lazy+khuge_cont=1+reuse_around=block+fold_sites=end-of-op+gather_sets=true", "" },
	{ "unfold=nosync+unfold_flush=merged+khuge_cont=1+fold_sites=any+unfold_free_split=block", "I7" },
	{ "anon_folios=64k", "anomaly" },
	{ "anon_folios=16k+thp=madvise", "anomaly" },
	{ "anon_folios=all+khuge_cont=1+reuse_around=folio", "anomaly" },
	{ "anon_folios=64k+refold=lazy+batch_anon_unmap=true+batch_migrate=true", "anomaly" },
	{ "anon_folios=all+alloc_fail=50+khugepaged=1+max_ptes_none=500", "anomaly I9" },
};

static u32 skipped(const char *oracles)
{
	char copy[64], *rest = copy, *one;
	u32 bits = 0;

	snprintf(copy, sizeof(copy), "%s", oracles);
	while (*oracles && (one = strsep(&rest, " ")))
		bits |= BIT(property_find(one) - properties);
	return bits;
}

/* As many folds as there were: an idea that never had an occasion was not tried. */
static void count_blocks(void *context, const struct trial *t)
{
	struct arch_counters totals;

	rf_stats_totals(rf_machine_stats(t->machine), &totals);
	*(u64 *)context += totals.born + totals.fold;
}

static void run_idea(const char *point, const struct idea *idea, u64 seed)
{
	struct episode episode;
	struct config config;
	char spec[200];
	u64 blocks = 0;
	int i;

	snprintf(spec, sizeof(spec), "%s+%s", point, idea->knobs);
	for (i = 0; i < EPISODES; i++) {
		if (!config_init(&config, spec, seed + i))
			fail_msg("no such policy: %s", spec);
		config.skipped = skipped(idea->gives_up);
		assert_int_equal(run_episode(&config, EPISODE, &episode, count_blocks, &blocks), 0);
		if (episode.failure.failed) {
			print_message("%s, seed %#llx\n", spec, (unsigned long long)seed + i);
			episode.nr = shrink(&config, episode.steps, episode.nr, &episode.failure);
			tell_failure(stdout, &config, episode.steps, episode.nr, &episode.failure);
			fail();
		}
		free(episode.steps);
	}
	if (!blocks)
		fail_msg("nothing folded with %s", spec);
}

static void test_ideas(void **state)
{
	static const char *const points[] = { "linux-6.12", "linux-7.3", "linux-7.3+granule=16k" };
	const char *seed = getenv("REFOLD_SEED");
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(ideas); i++)
		for (k = 0; k < ARRAY_SIZE(points); k++)
			run_idea(points[k], &ideas[i], seed ? strtoull(seed, NULL, 0) : 0x1dea + i * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ideas) };

	return cmocka_run_group_tests_name("ideas", tests, NULL, NULL);
}
