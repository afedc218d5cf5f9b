// SPDX-License-Identifier: MIT
/*
 * Getters: how one entry is read, load by load. Follows contpte_ptep_get() and contpte_ptep_get_lockless() of 6.12 and
 * 7.2, in front of which an inline function loads the entry to see whether it belongs to a folded block.
 */
#include "race/scene.h"

static bool stops_early(enum race_getter getter)
{
	return getter == RACE_GET_EARLY || getter == RACE_GET_CHECKED_EARLY;
}

static bool starts_again(enum race_getter getter)
{
	return getter == RACE_GET_CHECKED || getter == RACE_GET_CHECKED_EARLY || getter == RACE_GET_BOUNDED;
}

static u32 load(struct race_state *state, unsigned int entry, struct race_event *event)
{
	event->access = RACE_LOAD;
	event->entry = entry;
	event->before = event->after = state->entries[entry];
	race_note_load(state, entry);
	return state->entries[entry];
}

static bool return_value(struct race_event *event, u32 value)
{
	event->returned = true;
	event->result = value;
	return true;
}

/* The two loads of the entry itself: by the inline gate, and by the function behind it. */
static bool load_own(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		     struct race_event *event)
{
	struct race_call *call = &state->call;
	bool gate = call->at == RACE_AT_GATE;
	u32 value;

	if (!gate)
		race_begin_pass(scene, state);
	value = load(state, state->target, event);
	if (getter == RACE_GET_TORN && !gate)
		return return_value(event, (call->value & PTE_PFN_MASK) | (value & ~PTE_PFN_MASK));
	if (!pte_cont((pte_t){ value }) || getter == RACE_GET_ONE)
		return return_value(event, value);
	call->value = value;
	call->own = value;
	if (gate && (starts_again(getter) || getter == RACE_GET_TORN)) {
		call->at = RACE_AT_ENTRY;
	} else {
		call->at = RACE_AT_SCAN;
		call->index = 0;
	}
	return false;
}

/* What ends a pass in vain. A reader that saw nobody move would see the same again, and again. */
static bool pass_failed(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
			struct race_event *event)
{
	struct race_call *call = &state->call;
	bool changes = call->facts & RACE_PASS_MOVED || getter == RACE_GET_BOUNDED;

	if (getter == RACE_GET_BOUNDED && ++call->passes == scene->setup->policy->max_passes) {
		event->gave_up = true;
		return return_value(event, call->own);
	}
	event->verdict = changes ? RACE_STARTS_AGAIN : RACE_WAITS;
	race_check_retry(scene, state, getter, event);
	call->at = changes ? RACE_AT_ENTRY : RACE_AT_WAIT;
	call->value = 0;
	call->own = 0;
	call->index = 0;
	race_end_pass(state);
	return false;
}

/* All but A/D of an entry of the same folded block. */
static bool fits(const struct race_state *state, unsigned int entry, u32 value)
{
	u32 own = race_identity(state->call.own);

	return pte_cont((pte_t){ value }) && race_identity(value) - (entry << PTE_PFN_SHIFT) ==
					     own - ((u32)state->target << PTE_PFN_SHIFT);
}

static bool scan(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		 struct race_event *event)
{
	struct race_call *call = &state->call;
	bool early = stops_early(getter);
	u32 value = load(state, call->index, event);
	unsigned int ad = race_ad(value);

	if (starts_again(getter) && !fits(state, call->index, value))
		return pass_failed(scene, state, getter, event);

	switch (call->at) {
	case RACE_AT_SCAN_FOR_YOUNG:
		ad &= RACE_YOUNG;
		break;
	case RACE_AT_SCAN_FOR_DIRTY:
		ad &= RACE_DIRTY;
		break;
	default:
		if (early && ad & RACE_DIRTY) {
			/* Looks for young from this entry on: loads it again, though it might have known. */
			call->value = race_with_ad(call->value, RACE_DIRTY);
			call->at = RACE_AT_SCAN_FOR_YOUNG;
			return false;
		}
		if (early && ad) {
			call->value = race_with_ad(call->value, ad);
			call->at = RACE_AT_SCAN_FOR_DIRTY;
			ad = 0;
		}
		break;
	}
	call->value = race_with_ad(call->value, ad);
	if (++call->index == scene->setup->n || (early && ad))
		return return_value(event, call->value);
	return false;
}

bool race_getter_step(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		      struct race_event *event)
{
	switch (state->call.at) {
	case RACE_AT_GATE:
	case RACE_AT_ENTRY:
		return load_own(scene, state, getter, event);
	default:
		return scan(scene, state, getter, event);
	}
}
