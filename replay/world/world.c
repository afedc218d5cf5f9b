// SPDX-License-Identifier: MIT
/*
 * Address spaces and their page-table entries. Leaves of 512 entries hang in a
 * small hash per address space: a lookup is one probe (or none, the last leaf is
 * remembered), and a sparse terabyte costs what is in it.
 */
#include "replay/world/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/ops.h"

struct world *world_create(u32 page_shift, size_t mm_size)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		return NULL;
	world->page_shift = page_shift;
	world->mm_size = mm_size;
	world->invented = WORLD_INVENTED_PFN;
	/* Index 0 of each table means "none". */
	world->nr_nodes = 1;
	world->nr_slots = 1;
	world->nr_files = 1;
	return world;
}

void world_destroy(struct world *world)
{
	if (!world)
		return;
	for (u32 i = 0; i < world->nr_mms; i++) {
		if (!world->mms[i])
			continue;
		leaf_table_free(&world->mms[i]->leaves);
		free(world->mms[i]);
	}
	for (size_t i = 0; i < world->nr_slabs; i++)
		free(world->slabs[i]);
	free(world->mms);
	free(world->slabs);
	free(world->sorted);
	region_table_free(&world->regions);
	free(world->nodes);
	free(world->rmap_buckets);
	free(world->collected);
	free(world->slots);
	free(world->files);
	inode_table_free(&world->inodes);
	block_table_free(&world->blocks);
	free(world);
}

/* ---- leaves -------------------------------------------------------------- */

/*
 * Most are full or nearly so, and have room for all their entries. One with few, as a program that touches a page here
 * and there has them by the hundred thousand, keeps those alone, in order; which ones they are a map tells, which also
 * leads a walk from one to the next.
 */
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

static void leaf_free(struct world *world, struct world_leaf *leaf)
{
	ptes_free(world, leaf);
	leaf->number = (u64)(uintptr_t)world->free_leaves;
	world->free_leaves = leaf;
}

static struct world_leaf *leaf_find(struct world_mm *mm, u64 number)
{
	struct world_leaf *leaf = mm->last_leaf;

	if (leaf && leaf->number == number)
		return leaf;
	leaf = leaf_table_find(&mm->leaves, number);
	if (leaf)
		mm->last_leaf = leaf;
	return leaf;
}

static struct world_leaf *leaf_make(struct world *world, struct world_mm *mm, u64 number)
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
	u64 before = leaf->map[index / 64] & (BIT_ULL(index % 64) - 1);

	return leaf->before[index / 64] + (u32)__builtin_popcountll(before);
}

/* The entry is not none from now on, or the other way round. */
static void leaf_flip(struct world_leaf *leaf, u32 index, int step)
{
	leaf->map[index / 64] ^= BIT_ULL(index % 64);
	leaf->used += (u32)step;
	for (u32 word = index / 64 + 1; word < WORLD_LEAF_WORDS; word++)
		leaf->before[word] += (u16)step;
}

static u32 leaf_next(const struct world_leaf *leaf, u32 index)
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

static world_pte *leaf_entry(struct world_leaf *leaf, u32 index)
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
	leaf_flip(leaf, index, 1);
}

static void leaf_remove(struct world_leaf *leaf, u32 index)
{
	u32 at;

	if (leaf->room != WORLD_LEAF_PTES) {
		at = rank(leaf, index);
		memmove(&leaf->ptes[at], &leaf->ptes[at + 1], (leaf->used - at - 1) * sizeof(*leaf->ptes));
	}
	leaf_flip(leaf, index, -1);
}

static bool leaf_set(struct world *world, struct world_leaf *leaf, u32 index, world_pte pte, world_pte *old)
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

/* ---- address spaces ------------------------------------------------------ */

struct world_mm *world_mm_new(struct world *world)
{
	struct world_mm *mm;

	if (!world_grow(world, (void **)&world->mms, sizeof(*world->mms), &world->mms_size, world->nr_mms + 1ull))
		return NULL;
	mm = calloc(1, world->mm_size);
	if (!mm) {
		world_set_out_of_memory(world);
		return NULL;
	}
	mm->id = world->nr_mms;
	world->mms[world->nr_mms++] = mm;
	return mm;
}

struct world_mm *world_mm(const struct world *world, u32 id)
{
	return id < world->nr_mms ? world->mms[id] : NULL;
}

static void release_pte(struct world *world, struct world_mm *mm, u64 vpn, world_pte pte)
{
	if (world_pte_mapped(pte))
		rmap_remove(world, world_pte_pfn(pte), mm, vpn);
	else if (world_pte_kind(pte) == WORLD_SWAP)
		slot_put(world, (u32)world_pte_pfn(pte));
}

void world_clear(struct world *world, struct world_mm *mm)
{
	for (u32 i = 0; i < mm->leaves.size; i++) {
		struct world_leaf *leaf = mm->leaves.slots[i].value;

		if (!leaf)
			continue;
		for (u32 j = leaf_next(leaf, 0); j < WORLD_LEAF_PTES; j = leaf_next(leaf, j + 1))
			release_pte(world, mm, leaf->number * WORLD_LEAF_PTES + j, *leaf_entry(leaf, j));
		leaf_free(world, leaf);
	}
	leaf_table_free(&mm->leaves);
	mm->last_leaf = NULL;
	memset(mm->counted, 0, sizeof(mm->counted));
	mm->doubtful = 0;
}

/* ---- entries ------------------------------------------------------------- */

static const s8 member_of_kind[16] = {
	[WORLD_NONE] = -1,    [WORLD_ANON] = RF_RSS_ANON, [WORLD_FILE] = RF_RSS_FILE, [WORLD_SHMEM] = RF_RSS_SHMEM,
	[WORLD_ZERO] = -1,    [WORLD_SPECIAL] = -1,	  [WORLD_VDSO] = RF_RSS_FILE, [WORLD_SWAP] = RF_RSS_SWAP,
	[WORLD_GUARD] = -1,   [9] = -1, [10] = -1, [11] = -1, [12] = -1, [13] = -1, [14] = -1, [15] = -1,
};

static void count_pte(struct world_mm *mm, world_pte pte, s64 step)
{
	int member = member_of_kind[world_pte_kind(pte)];

	if (member >= 0)
		mm->counted[member] += step;
	if (pte & WORLD_DOUBT)
		mm->doubtful += (u32)step;
}

world_pte world_get(struct world_mm *mm, u64 vpn)
{
	struct world_leaf *leaf = leaf_find(mm, vpn / WORLD_LEAF_PTES);
	const world_pte *entry = leaf ? leaf_entry(leaf, vpn % WORLD_LEAF_PTES) : NULL;

	return entry ? *entry : 0;
}

world_pte world_set(struct world *world, struct world_mm *mm, u64 vpn, world_pte pte)
{
	struct world_leaf *leaf;
	world_pte old;

	leaf = pte ? leaf_make(world, mm, vpn / WORLD_LEAF_PTES) : leaf_find(mm, vpn / WORLD_LEAF_PTES);
	if (!leaf || !leaf_set(world, leaf, vpn % WORLD_LEAF_PTES, pte, &old))
		return 0;
	/* The new one first: a page or slot that stays must not be forgotten in between. */
	if (pte) {
		count_pte(mm, pte, 1);
		if (world_pte_mapped(pte))
			rmap_add(world, world_pte_pfn(pte), mm, vpn);
		else if (world_pte_kind(pte) == WORLD_SWAP)
			slot_get(world, (u32)world_pte_pfn(pte));
	}
	if (old) {
		count_pte(mm, old, -1);
		release_pte(world, mm, vpn, old);
	}
	return old;
}

void world_set_flags(struct world_mm *mm, u64 vpn, u64 set, u64 clear)
{
	struct world_leaf *leaf = leaf_find(mm, vpn / WORLD_LEAF_PTES);
	world_pte *entry = leaf ? leaf_entry(leaf, vpn % WORLD_LEAF_PTES) : NULL;

	if (entry)
		*entry = (*entry & ~clear) | set;
}

bool world_range_none(struct world_mm *mm, u64 vpn, u64 nr)
{
	for (u64 i = 0; i < nr; i++)
		if (world_get(mm, vpn + i))
			return false;
	return true;
}

static void walk_leaf(struct world_leaf *leaf, u64 start, u64 end, world_visit visit, void *context)
{
	u64 base = leaf->number * WORLD_LEAF_PTES;
	u64 from = start > base ? start - base : 0;
	u64 to = min_u64(end - base, WORLD_LEAF_PTES);

	for (u32 i = leaf_next(leaf, (u32)from); i < to; i = leaf_next(leaf, i + 1))
		visit(context, base + i, *leaf_entry(leaf, i));
}

void world_walk(struct world_mm *mm, u64 start, u64 end, world_visit visit, void *context)
{
	struct world_leaf *leaf;
	u64 first, last;

	if (start >= end)
		return;
	first = start / WORLD_LEAF_PTES;
	last = (end - 1) / WORLD_LEAF_PTES;
	if (last - first < mm->leaves.size) {
		for (u64 number = first; number <= last; number++)
			if ((leaf = leaf_find(mm, number)))
				walk_leaf(leaf, start, end, visit, context);
		return;
	}
	for (u32 i = 0; i < mm->leaves.size; i++)
		if ((leaf = mm->leaves.slots[i].value) && leaf->number >= first && leaf->number <= last)
			walk_leaf(leaf, start, end, visit, context);
}

static int compare_leaves(const void *a, const void *b)
{
	u64 x = (*(struct world_leaf *const *)a)->number, y = (*(struct world_leaf *const *)b)->number;

	return x < y ? -1 : x > y;
}

void world_walk_sorted(struct world *world, struct world_mm *mm, u64 start, u64 end, world_visit visit, void *context)
{
	size_t nr = 0;

	if (start >= end)
		return;
	if (array_grow(world->sorted, world->sorted_room, mm->leaves.nr)) {
		world->out_of_memory = true;
		return;
	}
	for (u32 i = 0; i < mm->leaves.size; i++) {
		struct world_leaf *leaf = mm->leaves.slots[i].value;

		if (leaf && leaf->number >= start / WORLD_LEAF_PTES && leaf->number <= (end - 1) / WORLD_LEAF_PTES)
			world->sorted[nr++] = leaf;
	}
	if (!nr)
		return;
	qsort(world->sorted, nr, sizeof(*world->sorted), compare_leaves);
	for (size_t i = 0; i < nr; i++)
		walk_leaf(world->sorted[i], start, end, visit, context);
}

struct zap {
	struct world *world;
	struct world_mm *mm;
	u64 present;
};

static void zap_pte(void *context, u64 vpn, world_pte pte)
{
	struct zap *zap = context;

	zap->present += world_pte_present(pte);
	world_set(zap->world, zap->mm, vpn, 0);
}

u64 world_zap(struct world *world, struct world_mm *mm, u64 start, u64 end)
{
	struct zap zap = { world, mm, 0 };

	world_walk(mm, start, end, zap_pte, &zap);
	return zap.present;
}
