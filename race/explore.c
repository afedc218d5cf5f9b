// SPDX-License-Identifier: MIT
/*
 * Exhaustive exploration. States are visited breadth first, each once, however many schedules lead to it; so the first
 * schedule found for a failing check is one of the shortest. The schedules themselves are counted afterwards, along the
 * edges between states, without walking any.
 *
 * A reader that would only repeat itself waits (RACE_AT_WAIT), and the hardware's updates are limited: no state is ever
 * reached twice on one schedule, and the number of schedules is finite.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/table.h"
#include "race/scene.h"

#define NO_STATE ((u32)-1)

/* How a state was reached first. */
struct origin {
	u32 from;			/* NO_STATE: it is an initial one */
	struct race_action action;
};

DEFINE_TABLE(state_numbers, u32, u32);	/* of a hash: the states that have it, + 1 */

struct graph {
	const struct race_scene *scene;
	size_t key_size;		/* bytes of a state that tell it from others */
	size_t nr, max;			/* states there are, and may be */
	u8 *keys;
	struct origin *origins;
	u64 *starts;			/* of the initial states, by number: they come first */
	size_t nr_starts;
	struct state_numbers numbers;
	u32 *edges;			/* where the moves of state i lead: first_edge[i] to first_edge[i + 1] */
	size_t nr_edges;
	size_t *first_edge;
	size_t keys_room, origins_room, edges_room, first_edge_room;
};

struct sought {
	const struct graph *graph;
	const u8 *key;
};

static u32 hash_key(const u8 *key, size_t size)
{
	u64 hash = 0x9e3779b97f4a7c15ull;
	u32 word;
	size_t i;

	for (i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, key + i, sizeof(word));
		hash = (hash ^ word) * 0xff51afd7ed558ccdull;
		hash ^= hash >> 32;
	}
	return (u32)hash;
}

static void load_state(const struct graph *graph, size_t i, struct race_state *state)
{
	memset(state, 0, sizeof(*state));
	memcpy(state, graph->keys + i * graph->key_size, graph->key_size);
}

static bool same_state(const void *context, u32 number)
{
	const struct sought *sought = context;
	const struct graph *graph = sought->graph;

	return !memcmp(graph->keys + (number - 1) * graph->key_size, sought->key, graph->key_size);
}

static int add_state(struct graph *graph, const u8 *key, u32 hash, struct origin origin)
{
	size_t nr = graph->nr;

	if (nr >= graph->max)
		return -E2BIG;
	if (array_grow(graph->keys, graph->keys_room, (nr + 1) * graph->key_size) ||
	    array_grow(graph->origins, graph->origins_room, nr + 1) ||
	    array_grow(graph->first_edge, graph->first_edge_room, nr + 2) ||
	    state_numbers_add(&graph->numbers, hash, (u32)nr + 1))
		return -ENOMEM;
	memcpy(graph->keys + nr * graph->key_size, key, graph->key_size);
	graph->origins[nr] = origin;
	graph->nr++;
	return 0;
}

/* The number of a state, which is added if it is new. */
static int find_or_add(struct graph *graph, const struct race_state *state, struct origin origin, u32 *number)
{
	struct sought sought = { graph, (const u8 *)state };
	u32 hash = hash_key(sought.key, graph->key_size);
	u32 found = state_numbers_match(&graph->numbers, hash, same_state, &sought);

	*number = found ? found - 1 : (u32)graph->nr;
	return found ? 0 : add_state(graph, sought.key, hash, origin);
}

static int add_edge(struct graph *graph, u32 to)
{
	if (array_grow(graph->edges, graph->edges_room, graph->nr_edges + 1))
		return -ENOMEM;
	graph->edges[graph->nr_edges++] = to;
	return 0;
}

static int add_starts(struct graph *graph)
{
	u64 start, nr = race_nr_starts(graph->scene);
	struct race_state state;
	u32 number;
	size_t known;
	int ret;

	if (nr > graph->max)
		return -E2BIG;
	graph->starts = malloc(nr * sizeof(*graph->starts));
	if (!graph->starts)
		return -ENOMEM;
	for (start = 0; start < nr; start++) {
		race_start(graph->scene, start, &state);
		known = graph->nr;
		ret = find_or_add(graph, &state, (struct origin){ .from = NO_STATE }, &number);
		if (ret)
			return ret;
		if (number == known)
			graph->starts[number] = start;
	}
	graph->nr_starts = graph->nr;
	return 0;
}

static unsigned int steps_to(const struct graph *graph, u32 number)
{
	unsigned int nr = 0;

	for (; graph->origins[number].from != NO_STATE; number = graph->origins[number].from)
		nr++;
	return nr;
}

/* The schedule to a state, and one step further. */
static int keep_schedule(const struct graph *graph, u32 from, struct race_action last, struct race_schedule **kept)
{
	struct race_schedule *schedule = calloc(1, sizeof(*schedule));
	unsigned int i = steps_to(graph, from);

	if (!schedule)
		return -ENOMEM;
	schedule->nr = i + 1;
	schedule->actions[i] = last;
	for (; i > 0; from = graph->origins[from].from)
		schedule->actions[--i] = graph->origins[from].action;
	schedule->start = graph->starts[from];
	free(*kept);
	*kept = schedule;
	return 0;
}

static int note_failures(const struct graph *graph, u32 from, struct race_action action, const struct race_event *event,
			 struct race_result *result)
{
	unsigned int check;
	int ret = 0;
	u32 keep;

	if (!(event->broken | event->relaxed))
		return 0;
	keep = race_note_failures(result, event, steps_to(graph, from) + 1);
	for (check = 0; !ret && check < RACE_NR_CHECKS; check++)
		if (keep & BIT(check))
			ret = keep_schedule(graph, from, action, &result->shortest[check]);
	return ret;
}

static int visit(struct graph *graph, u32 number, struct race_result *result)
{
	struct race_action actions[RACE_MAX_ACTIONS];
	struct race_state state, next;
	struct race_event event;
	unsigned int i, nr;
	int ret = 0;
	u32 to;

	load_state(graph, number, &state);
	nr = race_enabled(graph->scene, &state, actions);
	graph->first_edge[number] = graph->nr_edges;
	for (i = 0; !ret && i < nr; i++) {
		next = state;
		race_move(graph->scene, &next, actions[i], &event);
		ret = note_failures(graph, number, actions[i], &event, result);
		if (!ret)
			ret = find_or_add(graph, &next, (struct origin){ number, actions[i] }, &to);
		if (!ret)
			ret = add_edge(graph, to);
	}
	graph->first_edge[number + 1] = graph->nr_edges;
	return ret;
}

static void add_saturating(u64 *sum, u64 value, bool *overflow)
{
	if (__builtin_add_overflow(*sum, value, sum)) {
		*sum = UINT64_MAX;
		*overflow = true;
	}
}

/*
 * A state is reached by as many schedules as all states before it together. Takes the states in an order in which those
 * come first: whichever has no more edges into it that were not followed.
 */
static int count_schedules(const struct graph *graph, struct race_result *result)
{
	u64 *ways = calloc(graph->nr, sizeof(*ways));
	u32 *unfollowed = calloc(graph->nr, sizeof(*unfollowed)), *ready = malloc(graph->nr * sizeof(*ready));
	size_t taken, nr_ready = 0, edge, i;
	int ret = ways && unfollowed && ready ? 0 : -ENOMEM;

	for (edge = 0; !ret && edge < graph->nr_edges; edge++)
		unfollowed[graph->edges[edge]]++;
	for (i = 0; !ret && i < graph->nr; i++) {
		if (i < graph->nr_starts)
			ways[i] = 1;
		if (!unfollowed[i])
			ready[nr_ready++] = i;
	}
	for (taken = 0; !ret && taken < nr_ready; taken++) {
		i = ready[taken];
		if (graph->first_edge[i] == graph->first_edge[i + 1])
			add_saturating(&result->schedules, ways[i], &result->schedules_overflow);
		for (edge = graph->first_edge[i]; edge < graph->first_edge[i + 1]; edge++) {
			u32 to = graph->edges[edge];

			add_saturating(&ways[to], ways[i], &result->schedules_overflow);
			if (!--unfollowed[to])
				ready[nr_ready++] = to;
		}
	}
	/* A cycle would be a mistake in the model: a schedule that comes back to where it was. */
	if (!ret && nr_ready != graph->nr)
		ret = -ELOOP;
	free(ways);
	free(unfollowed);
	free(ready);
	return ret;
}

int race_explore(const struct race_setup *setup, size_t max_states, struct race_result *result)
{
	struct race_scene scene;
	struct graph graph = { .scene = &scene, .max = max_states };
	size_t i;
	int ret;

	memset(result, 0, sizeof(*result));
	race_scene_init(&scene, setup);
	graph.key_size = offsetof(struct race_state, entries) + setup->n * sizeof(u32);
	ret = add_starts(&graph);
	for (i = 0; !ret && i < graph.nr; i++)
		ret = visit(&graph, i, result);
	result->states = graph.nr;
	if (!ret)
		ret = count_schedules(&graph, result);
	free(graph.keys);
	free(graph.origins);
	free(graph.starts);
	state_numbers_free(&graph.numbers);
	free(graph.edges);
	free(graph.first_edge);
	return ret;
}

void race_result_release(struct race_result *result)
{
	unsigned int i;

	for (i = 0; i < RACE_NR_CHECKS; i++)
		free(result->shortest[i]);
	memset(result, 0, sizeof(*result));
}
