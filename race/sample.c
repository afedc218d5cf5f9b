// SPDX-License-Identifier: MIT
/*
 * Random schedules, for blocks whose states are too many to visit. Each starts at random and gives the writer a random
 * share of the turns, so that writers that hardly move and writers that overtake the reader both occur.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "race/scene.h"

/* splitmix64 */
static u64 next_random(u64 *seed)
{
	u64 value = *seed += 0x9e3779b97f4a7c15ull;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return value ^ value >> 31;
}

/* Hardware rarely, else writer or reader by their shares; whoever is left if the chosen one cannot move. */
static struct race_action choose(const struct race_action *actions, unsigned int nr, unsigned int writer_share,
				 u64 *seed)
{
	u64 random = next_random(seed);
	u8 wanted = random % 16 < writer_share ? RACE_WRITER : RACE_READER;
	unsigned int i;

	if (random >> 8 & 15)
		for (i = 0; i < nr && actions[i].actor <= RACE_READER; i++)
			if (actions[i].actor == wanted)
				return actions[i];
	return actions[(random >> 16) % nr];
}

static int keep_schedule(const struct race_schedule *schedule, struct race_schedule **kept)
{
	if (!*kept)
		*kept = malloc(sizeof(**kept));
	if (!*kept)
		return -ENOMEM;
	**kept = *schedule;
	return 0;
}

static int sample_one(const struct race_scene *scene, u64 *seed, struct race_schedule *schedule,
		      struct race_result *result)
{
	unsigned int writer_share = 1 + next_random(seed) % 15, nr, check;
	struct race_action actions[RACE_MAX_ACTIONS];
	struct race_state state;
	struct race_event event;
	int ret = 0;
	u32 keep;

	schedule->start = next_random(seed) % race_nr_starts(scene);
	schedule->nr = 0;
	race_start(scene, schedule->start, &state);
	while (!ret && schedule->nr < RACE_MAX_STEPS && (nr = race_enabled(scene, &state, actions))) {
		struct race_action action = choose(actions, nr, writer_share, seed);

		race_move(scene, &state, action, &event);
		schedule->actions[schedule->nr++] = action;
		keep = event.broken | event.relaxed ? race_note_failures(result, &event, schedule->nr) : 0;
		for (check = 0; keep && !ret && check < RACE_NR_CHECKS; check++)
			if (keep & BIT(check))
				ret = keep_schedule(schedule, &result->shortest[check]);
	}
	return ret;
}

int race_sample(const struct race_setup *setup, u64 count, u64 seed, struct race_result *result)
{
	struct race_schedule *schedule = malloc(sizeof(*schedule));
	struct race_scene scene;
	int ret = schedule ? 0 : -ENOMEM;

	memset(result, 0, sizeof(*result));
	race_scene_init(&scene, setup);
	for (; !ret && result->schedules < count; result->schedules++)
		ret = sample_one(&scene, &seed, schedule, result);
	free(schedule);
	return ret;
}
