// SPDX-License-Identifier: MIT
/*
 * Readers: what lockless walkers do with what a getter gave them. kernel-model.md 5.3; the walkers they stand for are
 * listed in docs/lockless-walkers.md.
 */
#include "race/scene.h"

const struct race_name race_readers[RACE_NR_READERS] = {
	[RACE_PERF] = { "perf", "reads once and believes it" },
	[RACE_FAULT] = { "fault", "class A: reads, takes the lock, reads again, acts if both are equal" },
	[RACE_GUP_FAST] = { "gup-fast", "class B: reads, pins the page, reads again, keeps the pin if both are equal" },
};

static void finish(struct race_state *state, struct race_event *event, enum race_verdict verdict)
{
	state->phase = RACE_FINISHED;
	state->locked = false;
	event->verdict = verdict;
}

static bool equal(const struct race_policy *policy, u32 first, u32 second)
{
	return policy->compare_ignores_ad ? race_identity(first) == race_identity(second) : first == second;
}

/* The fault handler acts if nothing has changed, else the fault is taken again. */
static void compare_locked(const struct race_scene *scene, struct race_state *state, u32 second,
			   struct race_event *event)
{
	const struct race_policy *policy = scene->setup->policy;

	if (equal(policy, state->first, second)) {
		finish(state, event, RACE_ACTS);
		if (race_identity(state->entries[state->target]) != race_identity(state->first))
			race_report(event, race_policy_promises(policy), BIT(RACE_A));
		return;
	}
	finish(state, event, RACE_REFAULTS);
	if (!state->disturbed)
		race_report(event, race_policy_promises(policy), BIT(RACE_R3_COMPARE));
}

/* The pin is kept if nothing has changed: who unmaps the page later sees that it is pinned. */
static void compare_pinned(const struct race_scene *scene, struct race_state *state, u32 second,
			   struct race_event *event)
{
	const struct race_policy *policy = scene->setup->policy;

	if (!equal(policy, state->first, second)) {
		finish(state, event, RACE_FALLS_BACK);
		return;
	}
	finish(state, event, RACE_KEEPS_PIN);
	if (!race_mapped_during_call(state, state->first))
		race_report(event, race_policy_promises(policy), BIT(RACE_R5));
	if (state->call.unfit && !event->gave_up)
		race_report(event, race_getter_promises(policy->recheck) | policy->requires, BIT(RACE_R5_BLOCK));
}

static enum race_getter getter_of_phase(const struct race_policy *policy, u8 phase)
{
	switch (phase) {
	case RACE_READ_LOCKED:
		return policy->locked;
	case RACE_READ_AGAIN:
		return policy->recheck;
	default:
		return policy->lockless;
	}
}

static void take_lock(const struct race_scene *scene, struct race_state *state, struct race_event *event)
{
	event->takes_lock = true;
	state->locked = true;
	state->phase = RACE_READ_LOCKED;
	if (scene->setup->policy->locked == RACE_GET_NOTHING)
		compare_locked(scene, state, state->first, event);
}

/* What is mapped from here on is what the pin protects: the second read begins now. */
static void pin_page(const struct race_scene *scene, struct race_state *state, struct race_event *event)
{
	event->pins = true;
	state->phase = RACE_READ_AGAIN;
	race_begin_call(scene, state);
	if (scene->setup->policy->recheck == RACE_GET_NOTHING) {
		compare_pinned(scene, state, state->first, event);
		state->call = (struct race_call){ 0 };
	}
}

/* The first read is done. */
static void go_on(const struct race_scene *scene, struct race_state *state, u32 result, struct race_event *event)
{
	state->first = result;
	switch (scene->setup->reader) {
	case RACE_FAULT:
		state->phase = RACE_TAKE_LOCK;
		break;
	case RACE_GUP_FAST:
		state->phase = RACE_PIN_PAGE;
		if (!pte_valid((pte_t){ result }))
			finish(state, event, RACE_FALLS_BACK);
		break;
	default:
		finish(state, event, RACE_BELIEVES);
		break;
	}
}

void race_move_reader(const struct race_scene *scene, struct race_state *state, struct race_event *event)
{
	enum race_getter getter = getter_of_phase(scene->setup->policy, state->phase);
	u8 phase = state->phase;

	if (phase == RACE_TAKE_LOCK) {
		take_lock(scene, state, event);
		return;
	}
	if (phase == RACE_PIN_PAGE) {
		pin_page(scene, state, event);
		return;
	}
	/* What is read after the pin began with it. */
	if (state->call.at == RACE_AT_GATE && phase != RACE_READ_AGAIN)
		race_begin_call(scene, state);
	if (!race_getter_step(scene, state, getter, event))
		return;

	race_check_result(scene, state, getter, event);
	if (phase == RACE_READ_LOCKED)
		compare_locked(scene, state, event->result, event);
	else if (phase == RACE_READ_AGAIN)
		compare_pinned(scene, state, event->result, event);
	else
		go_on(scene, state, event->result, event);
	state->call = (struct race_call){ 0 };
}
