// SPDX-License-Identifier: MIT
/* Schedules as text: who did what to which entry, what the block was then, what the reader makes of it. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "race/scene.h"

/* "cwyd": contiguous, writable, young, dirty; ' and " mark the other folio and the copy. */
static const char *entry_text(u32 entry, char text[8])
{
	pte_t pte = { entry };
	u64 pfn = pte_pfn(pte);

	if (!entry)
		snprintf(text, 8, "0");
	else if (!pte_valid(pte))
		snprintf(text, 8, "garbage");
	else
		snprintf(text, 8, "%c%c%c%c%s", pte_cont(pte) ? 'c' : 's', pte_write(pte) ? 'w' : 'r',
			 pte_young(pte) ? 'y' : '-', pte_dirty(pte) ? 'd' : '-',
			 pfn == RACE_COPY_PFN ? "\"" : pfn >= RACE_OTHER_PFN ? "'" : "");
	return text;
}

static void tell_access(const struct race_event *event, u8 actor, char *text, size_t size)
{
	static const char *const names[] = {
		[RACE_LOAD] = "load", [RACE_STORE] = "store", [RACE_XCHG] = "xchg", [RACE_CMPXCHG] = "cmpxchg",
	};
	char before[8], after[8];

	entry_text(event->before, before);
	entry_text(event->after, after);
	if (event->takes_lock)
		snprintf(text, size, "takes the lock");
	else if (event->pins)
		snprintf(text, size, "pins the page");
	else if (actor >= RACE_HW_ACCESS)
		snprintf(text, size, "sets %u: %s -> %s", event->entry, before, after);
	else if (event->access == RACE_FLUSH)
		snprintf(text, size, "flush");
	else if (event->access == RACE_LOAD)
		snprintf(text, size, "load %u: %s", event->entry, before);
	else if (event->failed)
		snprintf(text, size, "cmpxchg %u fails: %s", event->entry, before);
	else
		snprintf(text, size, "%s %u: %s -> %s", names[event->access], event->entry, before, after);
}

static void tell_entries(const struct race_scene *scene, const struct race_state *state, char *text, size_t size)
{
	struct rf_line line;
	unsigned int i;
	char entry[8];

	rf_line_begin(&line, text, size);
	for (i = 0; i < scene->setup->n; i++)
		rf_line_add(&line, "%s%-5s", i ? " " : "", entry_text(state->entries[i], entry));
}

static void tell_conclusion(const struct race_event *event, char *text, size_t size)
{
	static const char *const verdicts[] = {
		[RACE_STARTS_AGAIN] = "starts again",
		[RACE_WAITS] = "starts again, and will until somebody else moves",
		[RACE_BELIEVES] = "believes it", [RACE_ACTS] = "equal: acts",
		[RACE_REFAULTS] = "not equal: faults again",
		[RACE_KEEPS_PIN] = "equal: keeps the pin", [RACE_FALLS_BACK] = "falls back to the lock",
	};
	struct rf_line line;
	unsigned int check;
	char entry[8];

	rf_line_begin(&line, text, size);
	if (event->returned)
		rf_line_add(&line, "has %s", entry_text(event->result, entry));
	if (verdicts[event->verdict])
		rf_line_add(&line, "%s%s", line.used ? "; " : "", verdicts[event->verdict]);
	for (check = 0; check < RACE_NR_CHECKS; check++)
		if ((event->broken | event->relaxed) & BIT(check))
			rf_line_add(&line, "%s%s %s", line.used ? "; " : "",
				    event->broken & BIT(check) ? "breaks" : "no", race_checks[check].name);
}

bool race_tell(const struct race_setup *setup, const struct race_schedule *schedule, unsigned int step,
	       struct race_told *told)
{
	static const char *const actors[] = { "writer", "reader", "hardware", "hardware" };
	struct race_event event = { 0 };
	struct race_scene scene;
	struct race_state state;
	unsigned int i;

	if (step > schedule->nr)
		return false;
	memset(told, 0, sizeof(*told));
	race_scene_init(&scene, setup);
	race_start(&scene, schedule->start, &state);
	for (i = 0; i < step; i++)
		race_move(&scene, &state, schedule->actions[i], &event);
	if (step) {
		u8 actor = schedule->actions[step - 1].actor;

		snprintf(told->actor, sizeof(told->actor), "%s", actors[actor]);
		tell_access(&event, actor, told->access, sizeof(told->access));
		tell_conclusion(&event, told->conclusion, sizeof(told->conclusion));
	}
	tell_entries(&scene, &state, told->entries, sizeof(told->entries));
	return true;
}

unsigned int race_schedule_target(const struct race_setup *setup, const struct race_schedule *schedule)
{
	struct race_scene scene;
	struct race_state state;

	race_scene_init(&scene, setup);
	race_start(&scene, schedule->start, &state);
	return state.target;
}
