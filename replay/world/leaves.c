// SPDX-License-Identifier: MIT
/*
 * Leaves: 512 entries of an address space. Most are full or nearly so, and have room for all. One with few entries, as
 * a program that touches a page here and there has them by the hundred thousand, keeps those alone, in order; which
 * ones they are a map tells, which also leads a walk from one to the next.
 */
#include <string.h>

#include "replay/world/world.h"

#define LEAVES_A_SLAB 64
/* Rooms of leaves: the last is all. A slab is as large for each. */
static const u32 rooms[] = { 2, 16, 128, WORLD_LEAF_PTES };
#define PTES_A_SLAB (32 * WORLD_LEAF_PTES)

_Static_assert(ARRAY_SIZE(rooms) == ARRAY_SIZE(((struct world *)0)->free_ptes), "a list for each room");

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

static u32 class_of(u32 room)
{
	u32 class = 0;

	while (rooms[class] != room)
		class++;
	return class;
}

static void ptes_free(struct world *world, struct world_leaf *leaf)
{
	u32 class = class_of(leaf->room);

	leaf->ptes[0] = (u64)(uintptr_t)world->free_ptes[class];
	world->free_ptes[class] = leaf->ptes;
}

static struct world_leaf *leaf_alloc(struct world *world, u64 number)
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
	*leaf = (struct world_leaf){ .number = number, .room = rooms[0], .ptes = ptes_alloc(world, 0) };
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

struct world_leaf *leaf_find(struct world_mm *mm, u64 number)
{
	struct world_leaf *leaf = mm->last_leaf;

	if (leaf && leaf->number == number)
		return leaf;
	leaf = leaf_table_find(&mm->leaves, number);
	if (leaf)
		mm->last_leaf = leaf;
	return leaf;
}

struct world_leaf *leaf_make(struct world *world, struct world_mm *mm, u64 number)
{
	struct world_leaf *leaf = leaf_find(mm, number);

	if (leaf)
		return leaf;
	leaf = leaf_alloc(world, number);
	if (!leaf)
		return NULL;
	if (leaf_table_add(&mm->leaves, number, leaf)) {
		leaf_free(world, leaf);
		world_set_out_of_memory(world);
		return NULL;
	}
	mm->last_leaf = leaf;
	return leaf;
}

/* ---- entries of a leaf ------------------------------------------------------------------------- */

static bool is_set(const struct world_leaf *leaf, u32 index)
{
	return leaf->map[index / 64] >> index % 64 & 1;
}

/* How many entries before this one are not none. */
static u32 rank(const struct world_leaf *leaf, u32 index)
{
	u32 nr = (u32)__builtin_popcountll(leaf->map[index / 64] & (BIT_ULL(index % 64) - 1));

	for (u32 word = 0; word < index / 64; word++)
		nr += (u32)__builtin_popcountll(leaf->map[word]);
	return nr;
}

u32 leaf_next(const struct world_leaf *leaf, u32 index)
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

world_pte *leaf_entry(struct world_leaf *leaf, u32 index)
{
	if (!is_set(leaf, index))
		return NULL;
	return &leaf->ptes[leaf->room == WORLD_LEAF_PTES ? index : rank(leaf, index)];
}

/* The next larger room. Leaves that shrink keep theirs: most are filled again, or free soon. */
static bool leaf_grow(struct world *world, struct world_leaf *leaf)
{
	u32 class = class_of(leaf->room) + 1, nr = 0;
	world_pte *ptes = ptes_alloc(world, class);

	if (!ptes)
		return false;
	if (rooms[class] == WORLD_LEAF_PTES) {
		for (u32 i = leaf_next(leaf, 0); i < WORLD_LEAF_PTES; i = leaf_next(leaf, i + 1))
			ptes[i] = leaf->ptes[nr++];
	} else {
		memcpy(ptes, leaf->ptes, leaf->used * sizeof(*ptes));
	}
	ptes_free(world, leaf);
	leaf->ptes = ptes;
	leaf->room = rooms[class];
	return true;
}

static void leaf_insert(struct world_leaf *leaf, u32 index, world_pte pte)
{
	u32 at = index;

	if (leaf->room != WORLD_LEAF_PTES) {
		at = rank(leaf, index);
		memmove(&leaf->ptes[at + 1], &leaf->ptes[at], (leaf->used - at) * sizeof(pte));
	}
	leaf->ptes[at] = pte;
	leaf->map[index / 64] |= BIT_ULL(index % 64);
	leaf->used++;
}

static void leaf_remove(struct world_leaf *leaf, u32 index)
{
	u32 at = rank(leaf, index);

	if (leaf->room != WORLD_LEAF_PTES)
		memmove(&leaf->ptes[at], &leaf->ptes[at + 1], (leaf->used - at - 1) * sizeof(*leaf->ptes));
	leaf->map[index / 64] &= ~BIT_ULL(index % 64);
	leaf->used--;
}

bool leaf_set(struct world *world, struct world_leaf *leaf, u32 index, world_pte pte, world_pte *old)
{
	world_pte *entry = leaf_entry(leaf, index);

	*old = entry ? *entry : 0;
	if (entry && pte) {
		*entry = pte;
	} else if (entry) {
		leaf_remove(leaf, index);
	} else if (pte) {
		if (leaf->used == leaf->room && !leaf_grow(world, leaf))
			return false;
		leaf_insert(leaf, index, pte);
	}
	return true;
}
