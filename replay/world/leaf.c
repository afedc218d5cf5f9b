// SPDX-License-Identifier: MIT
/*
 * Leaves, and how they keep their entries. Most are full or nearly so, and have room for all of them. One with few, as
 * a program that touches a page here and there has them by the hundred thousand, keeps those alone, in order; which
 * ones they are a map tells, which also leads a walk from one to the next. And one of large folios, as long as no entry
 * is set by itself, keeps the first of each run.
 */
#include "replay/world/leaf.h"

#include <string.h>

#define LEAVES_A_SLAB 64
/* Rooms of leaves: the last is all. A slab is as large for each. */
static const u32 rooms[] = { 2, 8, 32, 128, WORLD_LEAF_PTES };
#define PTES_A_SLAB (32 * WORLD_LEAF_PTES)

/* One for each run. */
#define RUNS (WORLD_LEAF_PTES / WORLD_RUN)
#define RUNS_CLASS 2

_Static_assert(ARRAY_SIZE(rooms) == ARRAY_SIZE(((struct world *)0)->free_ptes), "a list for each room");
_Static_assert(RUNS == 32, "that room");
_Static_assert(64 % WORLD_RUN == 0, "a run is in one word of the map");

/* Free ones link to the next by their first word. */
static world_pte *ptes_alloc(struct world *world, u32 class)
{
	world_pte *ptes = world->free_ptes[class];

	if (!ptes) {
		world_pte *slab = world_slab(world, PTES_A_SLAB, sizeof(*slab));

		if (!slab)
			return NULL;
		for (u32 i = 0; i < PTES_A_SLAB; i += rooms[class]) {
			slab[i] = (u64)(uintptr_t)world->free_ptes[class];
			world->free_ptes[class] = &slab[i];
		}
		ptes = world->free_ptes[class];
	}
	world->free_ptes[class] = (world_pte *)(uintptr_t)ptes[0];
	return ptes;
}

/* The smallest with room for so many. */
static u32 class_for(u32 nr)
{
	u32 class = 0;

	while (rooms[class] < nr)
		class++;
	return class;
}

static void ptes_free(struct world *world, struct world_leaf *leaf)
{
	u32 class = class_for(leaf->room);

	leaf->ptes[0] = (u64)(uintptr_t)world->free_ptes[class];
	world->free_ptes[class] = leaf->ptes;
}

struct world_leaf *leaf_alloc(struct world *world, u64 number)
{
	struct world_leaf *leaf = world->free_leaves;

	if (!leaf) {
		struct world_leaf *slab = world_slab(world, LEAVES_A_SLAB, sizeof(*slab));

		if (!slab)
			return NULL;
		for (int i = 0; i < LEAVES_A_SLAB; i++) {
			slab[i].number = (u64)(uintptr_t)world->free_leaves;
			world->free_leaves = &slab[i];
		}
		leaf = world->free_leaves;
	}
	world->free_leaves = (struct world_leaf *)(uintptr_t)leaf->number;
	*leaf = (struct world_leaf){ .number = number, .room = (u16)rooms[0], .ptes = ptes_alloc(world, 0) };
	if (leaf->ptes)
		return leaf;
	leaf->number = (u64)(uintptr_t)world->free_leaves;
	world->free_leaves = leaf;
	return NULL;
}

void leaf_free(struct world *world, struct world_leaf *leaf)
{
	ptes_free(world, leaf);
	leaf->number = (u64)(uintptr_t)world->free_leaves;
	world->free_leaves = leaf;
}

/* These entries of a word are not none from now on, or the other way round. */
static void leaf_flip(struct world_leaf *leaf, u32 index, u64 bits, int step)
{
	leaf->map[index / 64] ^= bits << index % 64;
	leaf->used += (u32)step;
	if (leaf->room == WORLD_LEAF_PTES || leaf->runs)
		return;
	for (u32 word = index / 64 + 1; word < WORLD_LEAF_WORDS; word++)
		leaf->before[word] += (u16)step;
}

/* ---- another room ------------------------------------------------------------------------------ */

static void count_before(struct world_leaf *leaf)
{
	u32 nr = 0;

	for (u32 word = 0; word < WORLD_LEAF_WORDS; word++) {
		leaf->before[word] = (u16)nr;
		nr += (u32)__builtin_popcountll(leaf->map[word]);
	}
}

/* To a larger room, or from runs to single entries. */
static bool leaf_resize(struct world *world, struct world_leaf *leaf, u32 class)
{
	world_pte *ptes = ptes_alloc(world, class);
	u32 nr = 0;

	if (!ptes)
		return false;
	if (!leaf->runs && rooms[class] != WORLD_LEAF_PTES)
		memcpy(ptes, leaf->ptes, leaf->used * sizeof(*ptes));
	else
		for (u32 i = leaf_next(leaf, 0); i < WORLD_LEAF_PTES; i = leaf_next(leaf, i + 1), nr++)
			ptes[rooms[class] == WORLD_LEAF_PTES ? i : nr] = leaf->runs ? leaf_get(leaf, i) :
										      leaf->ptes[nr];
	ptes_free(world, leaf);
	leaf->ptes = ptes;
	leaf->room = (u16)rooms[class];
	if (leaf->runs)
		count_before(leaf);
	leaf->runs = false;
	return true;
}

/* The next larger room. Leaves that shrink keep theirs: most are filled again, or free soon. */
static bool leaf_grow(struct world *world, struct world_leaf *leaf)
{
	return leaf_resize(world, leaf, class_for(leaf->room) + 1);
}

/* Entries are set one by one from now on. */
static bool leaf_spread(struct world *world, struct world_leaf *leaf)
{
	return !leaf->runs || leaf_resize(world, leaf, class_for(min_u64(leaf->used + 1, WORLD_LEAF_PTES)));
}

/* An empty leaf will keep runs. */
static bool leaf_gather(struct world *world, struct world_leaf *leaf)
{
	world_pte *ptes = ptes_alloc(world, RUNS_CLASS);

	if (!ptes)
		return false;
	ptes_free(world, leaf);
	leaf->ptes = ptes;
	leaf->room = RUNS;
	leaf->runs = true;
	return true;
}

/* ---- entries ----------------------------------------------------------------------------------- */

static void leaf_insert(struct world_leaf *leaf, u32 index, world_pte pte)
{
	u32 at = index;

	if (leaf->room != WORLD_LEAF_PTES) {
		at = leaf_rank(leaf, index);
		memmove(&leaf->ptes[at + 1], &leaf->ptes[at], (leaf->used - at) * sizeof(pte));
	}
	leaf->ptes[at] = pte;
	leaf_flip(leaf, index, 1, 1);
}

static void leaf_remove(struct world_leaf *leaf, u32 index)
{
	u32 at;

	if (leaf->room != WORLD_LEAF_PTES) {
		at = leaf_rank(leaf, index);
		memmove(&leaf->ptes[at], &leaf->ptes[at + 1], (leaf->used - at - 1) * sizeof(*leaf->ptes));
	}
	leaf_flip(leaf, index, 1, -1);
}

bool leaf_set(struct world *world, struct world_leaf *leaf, u32 index, world_pte pte, world_pte *old)
{
	*old = 0;
	if (!leaf_has(leaf, index)) {
		if (!pte)
			return true;
		if (!leaf_spread(world, leaf) || (leaf->used == leaf->room && !leaf_grow(world, leaf)))
			return false;
		leaf_insert(leaf, index, pte);
		return true;
	}
	if (!leaf_spread(world, leaf))
		return false;
	*old = *leaf_entry(leaf, index);
	if (pte)
		*leaf_entry(leaf, index) = pte;
	else
		leaf_remove(leaf, index);
	return true;
}

void leaf_set_flags(struct world *world, struct world_leaf *leaf, u32 index, u64 set, u64 clear)
{
	world_pte pte = (leaf_get(leaf, index) & ~clear) | set;

	if (leaf_has(leaf, index) && pte != leaf_get(leaf, index) && leaf_spread(world, leaf))
		*leaf_entry(leaf, index) = pte;
}

/* ---- runs -------------------------------------------------------------------------------------- */

bool leaf_set_run(struct world *world, struct world_leaf *leaf, u32 index, world_pte first)
{
	bool none = leaf_run_is_none(leaf, index);
	world_pte old;

	if (!leaf->runs && leaf->used) {
		for (u32 i = 0; i < WORLD_RUN; i++)
			if (!leaf_set(world, leaf, index + i, first ? first + i : 0, &old))
				return false;
		return true;
	}
	if (!leaf->runs && first && !leaf_gather(world, leaf))
		return false;
	if (first)
		leaf->ptes[index / WORLD_RUN] = first;
	if (none != !first)
		leaf_flip(leaf, index, LEAF_RUN_BITS, none ? WORLD_RUN : -WORLD_RUN);
	return true;
}
