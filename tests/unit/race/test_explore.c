// SPDX-License-Identifier: MIT
/*
 * The explorer finds what is known, by itself: no broken promise in kernels as merged, the two corrections of
 * kernel-model.md section 10 (C6, C7) and where they end, every negative control. What it counts and calls shortest is
 * compared with walking every schedule.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "race/scene.h"

#define MAX_STATES 2000000
#define READERS(first, under_lock, after_pin) \
	{ .lockless = RACE_GET_##first, .locked = RACE_GET_##under_lock, .recheck = RACE_GET_##after_pin }

static const struct race_policy linux_6_12 = READERS(CHECKED, ALL, ALL);
static const struct race_policy linux_7_3 = READERS(CHECKED_EARLY, EARLY, CHECKED_EARLY);
static const struct race_policy norecency = {
	.lockless = RACE_GET_ONE, .locked = RACE_GET_ALL, .recheck = RACE_GET_ONE, .compare_ignores_ad = true,
};

static struct race_result explore(const struct race_policy *policy, enum race_writer writer, enum race_reader reader,
				  unsigned int n, unsigned int hardware)
{
	struct race_setup setup = { policy, writer, reader, n, hardware };
	struct race_result result;

	assert_int_equal(race_explore(&setup, MAX_STATES, &result), 0);
	assert_true(result.states > 0 && result.schedules > 0 && !result.schedules_overflow);
	return result;
}

/* Checks that fail, promised or not. */
static u32 failing(const struct race_policy *policy, enum race_writer writer, enum race_reader reader)
{
	struct race_result result = explore(policy, writer, reader, 4, 1);
	u32 checks = result.broken | result.relaxed;

	race_result_release(&result);
	return checks;
}

/* All writers of merged kernels; RACE_EXIT is that of postings. */
static void test_promises_hold(void **state)
{
	static const struct race_policy *const policies[] = { &linux_6_12, &linux_7_3, &norecency };
	struct race_result result;
	unsigned int i, writer, reader;

	for (i = 0; i < ARRAY_SIZE(policies); i++)
		for (writer = 0; writer < RACE_EXIT; writer++)
			for (reader = 0; reader < RACE_NR_READERS; reader++) {
				result = explore(policies[i], writer, reader, 4, 1);
				if (result.broken)
					fail_msg("policy %u, %s, %s: %x", i, race_writers[writer].name,
						 race_readers[reader].name, result.broken);
				race_result_release(&result);
			}
}

/* C6: beside a writer that stands still, where the block is not one, and only there. */
static void test_retries_without_bound(void **state)
{
	static const enum race_writer mixed[] = { RACE_FOLD, RACE_UNFOLD, RACE_CLEAR, RACE_WRPROTECT, RACE_BORN };
	static const enum race_writer whole[] = { RACE_YOUNG_CLEAR, RACE_DIRTY_CLEAR, RACE_YOUNG_DIRTY_CLEAR,
						  RACE_ACCESS };
	const u32 unbounded = BIT(RACE_R4_STRICT) | BIT(RACE_R4_ENDS);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mixed); i++) {
		assert_int_equal(failing(&linux_6_12, mixed[i], RACE_PERF) & unbounded, unbounded);
		assert_int_equal(failing(&linux_7_3, mixed[i], RACE_PERF) & unbounded, unbounded);
		assert_int_equal(failing(&norecency, mixed[i], RACE_PERF) & unbounded, 0);
	}
	for (i = 0; i < ARRAY_SIZE(whole); i++) {
		assert_int_equal(failing(&linux_6_12, whole[i], RACE_PERF) & (unbounded | BIT(RACE_R4)), 0);
		assert_int_equal(failing(&linux_7_3, whole[i], RACE_PERF) & (unbounded | BIT(RACE_R4)), 0);
	}
}

/* C7: the early getter against a clear of both bits, and only that pair. */
static void test_invented_dirty(void **state)
{
	unsigned int writer;

	for (writer = 0; writer < RACE_EXIT; writer++) {
		assert_int_equal(failing(&linux_6_12, writer, RACE_PERF) & BIT(RACE_R3_PAIRS), 0);
		assert_int_equal(failing(&linux_7_3, writer, RACE_PERF) & BIT(RACE_R3_PAIRS),
				 writer == RACE_YOUNG_DIRTY_CLEAR ? BIT(RACE_R3_PAIRS) : 0);
	}
}

static void test_what_walkers_rely_on(void **state)
{
	/*
	 * Looking again with ptep_get() gathers from what is no block any more; with the lockless getter it does not.
	 */
	assert_true(failing(&linux_6_12, RACE_REPLACE, RACE_GUP_FAST) & BIT(RACE_R5_BLOCK));
	assert_false(failing(&linux_7_3, RACE_REPLACE, RACE_GUP_FAST) & BIT(RACE_R5_BLOCK));
	/* What norecency does not know, its comparisons leave out. */
	assert_true(failing(&norecency, RACE_YOUNG_CLEAR, RACE_FAULT) & BIT(RACE_R3_QUIET));
	assert_false(failing(&norecency, RACE_YOUNG_CLEAR, RACE_FAULT) & BIT(RACE_R3_COMPARE));
}

/* A reader with a limit ends, and promises all else. */
static void test_bounded(void **state)
{
	struct race_policy policy = linux_6_12;
	struct race_result result;
	unsigned int writer;

	policy.lockless = policy.recheck = RACE_GET_BOUNDED;
	policy.max_passes = 2;
	for (writer = 0; writer < RACE_EXIT; writer++) {
		result = explore(&policy, writer, RACE_GUP_FAST, 4, 1);
		assert_int_equal(result.broken, 0);
		assert_false(result.relaxed & BIT(RACE_R4_ENDS));
		race_result_release(&result);
	}
}

/* Without the flush of BBML3 CPUs only the TLB sees both kinds. */
static void test_bbml3(void **state)
{
	struct race_policy policy = linux_7_3;
	struct race_result result;

	policy.bbml3 = true;
	result = explore(&policy, RACE_UNFOLD, RACE_PERF, 4, 1);
	assert_int_equal(result.broken, 0);
	assert_true(result.relaxed & BIT(RACE_I20));
	assert_false(result.relaxed & BIT(RACE_I19));
	race_result_release(&result);
}

static const char *last_conclusion(const struct race_setup *setup, const struct race_schedule *schedule,
				   struct race_told *told)
{
	unsigned int step;

	for (step = 0; race_tell(setup, schedule, step, told); step++)
		assert_true(strlen(told->entries) > 0);
	assert_int_equal(step, schedule->nr + 1);
	return told->conclusion;
}

/* Each is caught by the check it names, exhaustively and by chance in a block of 16, and the schedule shows it. */
static void test_controls(void **state)
{
	const struct race_control *control;
	struct race_result result;
	struct race_told told;
	char breaks[32];

	for (control = race_controls; control->name; control++) {
		struct race_setup setup = { &control->policy, control->writer, control->reader, 4, 2 };

		snprintf(breaks, sizeof(breaks), "breaks %s", race_checks[control->caught_by].name);
		assert_int_equal(race_explore(&setup, MAX_STATES, &result), 0);
		if (!(result.broken & BIT(control->caught_by)))
			fail_msg("%s is not caught", control->name);
		assert_non_null(strstr(last_conclusion(&setup, result.shortest[control->caught_by], &told), breaks));
		race_result_release(&result);

		setup.n = 16;
		assert_int_equal(race_sample(&setup, 5000, 1, &result), 0);
		if (!(result.broken & BIT(control->caught_by)))
			fail_msg("%s is not caught by chance", control->name);
		assert_non_null(strstr(last_conclusion(&setup, result.shortest[control->caught_by], &told), breaks));
		race_result_release(&result);
	}
}

/* ---- against walking every schedule ---- */

struct walk {
	u64 schedules;
	unsigned int shortest[RACE_NR_CHECKS];
};

static void walk_on(const struct race_scene *scene, const struct race_state *state, unsigned int depth,
		    struct walk *walk)
{
	struct race_action actions[RACE_MAX_ACTIONS];
	unsigned int nr = race_enabled(scene, state, actions), i, check;
	struct race_event event;
	struct race_state next;

	if (!nr)
		walk->schedules++;
	for (i = 0; i < nr; i++) {
		next = *state;
		race_move(scene, &next, actions[i], &event);
		for (check = 0; check < RACE_NR_CHECKS; check++)
			if ((event.broken | event.relaxed) & BIT(check) &&
			    (!walk->shortest[check] || depth + 1 < walk->shortest[check]))
				walk->shortest[check] = depth + 1;
		walk_on(scene, &next, depth + 1, walk);
	}
}

static void compare_with_walk(const struct race_policy *policy, enum race_writer writer, enum race_reader reader)
{
	struct race_setup setup = { policy, writer, reader, 2, 1 };
	struct race_result result = explore(policy, writer, reader, 2, 1);
	struct race_scene scene;
	struct race_state state;
	struct walk walk = { 0 };
	unsigned int check;
	u64 start;

	race_scene_init(&scene, &setup);
	for (start = 0; start < race_nr_starts(&scene); start++) {
		race_start(&scene, start, &state);
		walk_on(&scene, &state, 0, &walk);
	}
	assert_int_equal(result.schedules, walk.schedules);
	for (check = 0; check < RACE_NR_CHECKS; check++)
		assert_int_equal(result.shortest[check] ? result.shortest[check]->nr : 0, walk.shortest[check]);
	race_result_release(&result);
}

static void test_counts(void **state)
{
	unsigned int writer, reader;

	/* All but RACE_BORN, whose starts are the same state for many numbers. */
	for (writer = 0; writer < RACE_NR_WRITERS; writer++)
		for (reader = 0; writer != RACE_BORN && reader < RACE_NR_READERS; reader++) {
			compare_with_walk(&linux_7_3, writer, reader);
			compare_with_walk(&norecency, writer, reader);
		}
}

/* By hand: one load before, between or after two stores, for each of two entries. */
static void test_count_by_hand(void **state)
{
	struct race_result result = explore(&norecency, RACE_BORN, RACE_PERF, 2, 0);

	assert_int_equal(result.schedules, 6);
	race_result_release(&result);
}

static void test_limits(void **state)
{
	struct race_setup setup = { &linux_7_3, RACE_UNFOLD, RACE_GUP_FAST, 4, 2 };
	struct race_result result;

	assert_int_equal(race_explore(&setup, 1000, &result), -E2BIG);
	race_result_release(&result);
	setup.n = 16;
	assert_int_equal(race_explore(&setup, 1000, &result), -E2BIG);
	race_result_release(&result);
}

/* The same seed, the same schedules. */
static void test_seed(void **state)
{
	struct race_setup setup = { &linux_7_3, RACE_UNFOLD, RACE_GUP_FAST, 16, 4 };
	struct race_result one, two;
	unsigned int check;

	assert_int_equal(race_sample(&setup, 2000, 7, &one), 0);
	assert_int_equal(race_sample(&setup, 2000, 7, &two), 0);
	assert_int_equal(one.schedules, 2000);
	assert_int_equal(one.broken, 0);
	assert_int_equal(one.relaxed, two.relaxed);
	assert_true(one.relaxed & BIT(RACE_R4_STRICT));
	for (check = 0; check < RACE_NR_CHECKS; check++)
		if (one.shortest[check])
			assert_memory_equal(one.shortest[check], two.shortest[check],
					    offsetof(struct race_schedule, actions) +
						    one.shortest[check]->nr * sizeof(struct race_action));
	race_result_release(&one);
	race_result_release(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promises_hold), cmocka_unit_test(test_retries_without_bound),
		cmocka_unit_test(test_invented_dirty), cmocka_unit_test(test_what_walkers_rely_on),
		cmocka_unit_test(test_bounded), cmocka_unit_test(test_bbml3), cmocka_unit_test(test_controls),
		cmocka_unit_test(test_counts), cmocka_unit_test(test_count_by_hand), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
