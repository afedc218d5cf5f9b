/* SPDX-License-Identifier: MIT */
/*
 * The entries of one leaf. Private to the world. It keeps its entries in one of three ways: all of them, those few that
 * are not none, or, as long as it holds nothing but whole runs, one entry for each run.
 */
#ifndef REFOLD_REPLAY_WORLD_LEAF_H
#define REFOLD_REPLAY_WORLD_LEAF_H

#include "replay/world/world.h"

struct world_leaf *leaf_alloc(struct world *world, u64 number);
void leaf_free(struct world *world, struct world_leaf *leaf);

/* ---- reading: inline, because every record does it --------------------------------------------- */

static inline bool leaf_has(const struct world_leaf *leaf, u32 index)
{
	return leaf->map[index / 64] >> index % 64 & 1;
}

/* How many entries before this one are not none. */
static inline u32 leaf_rank(const struct world_leaf *leaf, u32 index)
{
	u64 before = leaf->map[index / 64] & (BIT_ULL(index % 64) - 1);

	return leaf->before[index / 64] + (u32)__builtin_popcountll(before);
}

/* Of an entry that is not none, in a leaf that does not keep runs. */
static inline world_pte *leaf_entry(const struct world_leaf *leaf, u32 index)
{
	return &leaf->ptes[leaf->room == WORLD_LEAF_PTES ? index : leaf_rank(leaf, index)];
}

static inline world_pte leaf_get(const struct world_leaf *leaf, u32 index)
{
	if (!leaf_has(leaf, index))
		return 0;
	if (leaf->runs)
		return leaf->ptes[index / WORLD_RUN] + index % WORLD_RUN;
	return *leaf_entry(leaf, index);
}

/* The first entry from this one on that is not none; WORLD_LEAF_PTES: there is none. */
static inline u32 leaf_next(const struct world_leaf *leaf, u32 index)
{
	u32 word = index / 64;
	u64 bits;

	if (index >= WORLD_LEAF_PTES)
		return WORLD_LEAF_PTES;
	bits = leaf->map[word] & ~0ull << index % 64;
	while (!bits && ++word < WORLD_LEAF_WORDS)
		bits = leaf->map[word];
	return bits ? word * 64 + (u32)__builtin_ctzll(bits) : WORLD_LEAF_PTES;
}

#define LEAF_RUN_BITS (BIT_ULL(WORLD_RUN) - 1)

static inline bool leaf_run_is_none(const struct world_leaf *leaf, u32 index)
{
	return !(leaf->map[index / 64] >> index % 64 & LEAF_RUN_BITS);
}

/* Is what begins here one run, or (*first is 0) no entry at all? */
static inline bool leaf_run(const struct world_leaf *leaf, u32 index, world_pte *first)
{
	*first = 0;
	if (leaf_run_is_none(leaf, index))
		return true;
	if (leaf->runs)
		*first = leaf->ptes[index / WORLD_RUN];
	return leaf->runs;
}

/* ---- changes ----------------------------------------------------------------------------------- */

/* pte 0: clear it. False: without memory nothing was done. */
bool leaf_set(struct world *world, struct world_leaf *leaf, u32 index, world_pte pte, world_pte *old);
/* Change flags of an entry that is not none. */
void leaf_set_flags(struct world *world, struct world_leaf *leaf, u32 index, u64 set, u64 clear);

/* In the place of what leaf_run() found. first 0: clear it. False: without memory nothing, or not all, was done. */
bool leaf_set_run(struct world *world, struct world_leaf *leaf, u32 index, world_pte first);

#endif
