// SPDX-License-Identifier: MIT
/*
 * A race as a whole: how it starts, who may move, and a move. The third actor is here: the hardware, which may set
 * accessed in any valid entry and dirty in any that may be written, whenever it likes.
 */
#include "race/scene.h"

void race_scene_init(struct race_scene *scene, const struct race_setup *setup)
{
	scene->setup = setup;
	race_build_program(setup->writer, setup->n, setup->policy->bbml3, &scene->program);
}

/* A bit per entry says whether it has been used; above them is the entry that is asked for. */
u64 race_nr_starts(const struct race_scene *scene)
{
	return (u64)scene->setup->n << scene->setup->n;
}

static u32 first_entry(enum race_block block, unsigned int index, unsigned int ad)
{
	u32 entry = PTE_VALID | PTE_RDONLY | (RACE_FOLIO_PFN + index) << PTE_PFN_SHIFT;

	if (block == RACE_BLOCK_NONE)
		return 0;
	if (block != RACE_BLOCK_UNFOLDED)
		entry |= PTE_CONT;
	if (block != RACE_BLOCK_READONLY)
		entry |= PTE_WRITE;
	return race_with_ad(entry, ad);
}

void race_start(const struct race_scene *scene, u64 start, struct race_state *state)
{
	unsigned int n = scene->setup->n, i;
	enum race_block block = scene->program.before;

	*state = (struct race_state){ .hardware_left = scene->setup->hardware };
	state->target = start >> n;
	for (i = 0; i < n; i++)
		state->entries[i] = first_entry(block, i, start & BIT(i) ? RACE_YOUNG | RACE_DIRTY : 0);
	if (block == RACE_BLOCK_UNFOLDED)
		state->tlb = RACE_TLB_SINGLE;
	else if (block != RACE_BLOCK_NONE)
		state->tlb = RACE_TLB_CONT;
}

static bool writer_may_move(const struct race_scene *scene, const struct race_state *state)
{
	return state->writer_at < scene->program.nr && !state->locked;
}

static bool reader_may_move(const struct race_scene *scene, const struct race_state *state)
{
	if (state->phase == RACE_TAKE_LOCK)
		return !race_writer_busy(scene, state);
	return state->call.at != RACE_AT_WAIT;
}

unsigned int race_enabled(const struct race_scene *scene, const struct race_state *state,
			  struct race_action *actions)
{
	unsigned int i, nr = 0;

	if (state->phase == RACE_FINISHED)
		return 0;
	if (writer_may_move(scene, state))
		actions[nr++] = (struct race_action){ RACE_WRITER, 0 };
	if (reader_may_move(scene, state))
		actions[nr++] = (struct race_action){ RACE_READER, 0 };
	for (i = 0; state->hardware_left && i < scene->setup->n; i++) {
		pte_t pte = { state->entries[i] };

		if (!pte_valid(pte))
			continue;
		if (!pte_young(pte))
			actions[nr++] = (struct race_action){ RACE_HW_ACCESS, i };
		if (pte_write(pte) && !pte_hw_dirty(pte))
			actions[nr++] = (struct race_action){ RACE_HW_WRITE, i };
	}
	return nr;
}

static void move_hardware(const struct race_scene *scene, struct race_state *state, struct race_action action,
			  struct race_event *event)
{
	u32 *entry = &state->entries[action.entry];

	event->entry = action.entry;
	event->before = *entry;
	if (action.actor == RACE_HW_ACCESS)
		*entry |= PTE_AF;
	else
		*entry &= ~(u32)PTE_RDONLY;
	event->after = *entry;
	state->hardware_left--;
	race_note_move(scene, state, false, event);
}

void race_move(const struct race_scene *scene, struct race_state *state, struct race_action action,
	       struct race_event *event)
{
	*event = (struct race_event){ 0 };
	switch (action.actor) {
	case RACE_WRITER:
		race_move_writer(scene, state, event);
		break;
	case RACE_READER:
		race_move_reader(scene, state, event);
		break;
	default:
		move_hardware(scene, state, action, event);
		break;
	}
}
