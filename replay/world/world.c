// SPDX-License-Identifier: MIT
/*
 * Address spaces and their page-table entries. Leaves of 512 entries hang in a
 * small hash per address space: a lookup is one probe (or none, the last leaf is
 * remembered), and a sparse terabyte costs what is in it. Runs of entries that
 * large folios make are set, changed and cleared at once.
 */
#include "replay/world/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/ops.h"
#include "replay/world/leaf.h"

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

/* ---- leaves of an address space ------------------------------------------------------------ */

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

static void leaf_clear(struct world *world, struct world_mm *mm, struct world_leaf *leaf)
{
	u64 base = leaf->number * WORLD_LEAF_PTES;

	for (u32 i = leaf_next(leaf, 0); i < WORLD_LEAF_PTES;) {
		world_pte pte = leaf_get(leaf, i);

		if (leaf->runs)
			rmap_remove_run(world, world_pte_pfn(pte), mm, base + i);
		else
			release_pte(world, mm, base + i, pte);
		i = leaf_next(leaf, i + (leaf->runs ? WORLD_RUN : 1));
	}
}

void world_clear(struct world *world, struct world_mm *mm)
{
	for (u32 i = 0; i < mm->leaves.size; i++) {
		struct world_leaf *leaf = mm->leaves.slots[i].value;

		if (!leaf)
			continue;
		leaf_clear(world, mm, leaf);
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

	return leaf ? leaf_get(leaf, vpn % WORLD_LEAF_PTES) : 0;
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

/* The same for a run, if there is one (or nothing) now: false: there is something else. */
static bool set_run(struct world *world, struct world_mm *mm, u64 vpn, world_pte pte)
{
	struct world_leaf *leaf = leaf_make(world, mm, vpn / WORLD_LEAF_PTES);
	world_pte old;

	if (!leaf || !leaf_run(leaf, vpn % WORLD_LEAF_PTES, &old) ||
	    !leaf_set_run(world, leaf, vpn % WORLD_LEAF_PTES, pte))
		return false;
	if (pte) {
		count_pte(mm, pte, WORLD_RUN);
		rmap_add_run(world, world_pte_pfn(pte), mm, vpn);
	}
	if (old) {
		count_pte(mm, old, -WORLD_RUN);
		rmap_remove_run(world, world_pte_pfn(old), mm, vpn);
	}
	return true;
}

static bool is_run(u64 vpn, u64 pfn, u64 nr)
{
	return nr >= WORLD_RUN && !((vpn | pfn) % WORLD_RUN);
}

void world_set_pages(struct world *world, struct world_mm *mm, u64 vpn, world_pte pte, u64 nr)
{
	u64 pfn = world_pte_pfn(pte), flags = pte & ~WORLD_PFN_MASK;

	if (nr == 1) {	/* most are */
		world_set(world, mm, vpn, pte);
		return;
	}
	for (u64 i = 0, step; i < nr; i += step) {
		world_pte first = flags | ((pfn + i) & WORLD_PFN_MASK);

		step = 1;
		if (world_pte_mapped(pte) && is_run(vpn + i, pfn + i, nr - i) && set_run(world, mm, vpn + i, first))
			step = WORLD_RUN;
		else
			world_set(world, mm, vpn + i, first);
	}
}

void world_set_flags(struct world *world, struct world_mm *mm, u64 vpn, u64 nr, u64 set, u64 clear)
{
	for (u64 i = 0, step; i < nr; i += step) {
		struct world_leaf *leaf = leaf_find(mm, (vpn + i) / WORLD_LEAF_PTES);
		u32 index = (vpn + i) % WORLD_LEAF_PTES;
		world_pte run;

		step = 1;
		if (!leaf)
			continue;
		if (is_run(index, 0, nr - i) && leaf_run(leaf, index, &run)) {
			step = WORLD_RUN;
			if (run)
				leaf_set_run(world, leaf, index, (run & ~clear) | set);
		} else {
			leaf_set_flags(world, leaf, index, set, clear);
		}
	}
}

bool world_range_none(struct world_mm *mm, u64 vpn, u64 nr)
{
	for (u64 at = vpn, next; at < vpn + nr; at = next) {
		struct world_leaf *leaf = leaf_find(mm, at / WORLD_LEAF_PTES);

		next = min_u64(ALIGN_DOWN(at, WORLD_LEAF_PTES) + WORLD_LEAF_PTES, vpn + nr);
		if (leaf && leaf_next(leaf, at % WORLD_LEAF_PTES) < next - leaf->number * WORLD_LEAF_PTES)
			return false;
	}
	return true;
}

/* ---- walks ------------------------------------------------------------------------------------- */

/* What is called for each entry, or for each run and each entry that is of none. */
struct walk {
	u64 start, end;
	world_visit visit;
	world_visit_run visit_run;
	void *context;
};

static void walk_leaf(const struct walk *walk, struct world_leaf *leaf)
{
	u64 base = leaf->number * WORLD_LEAF_PTES;
	u64 from = walk->start > base ? walk->start - base : 0;
	u64 to = min_u64(walk->end - base, WORLD_LEAF_PTES);

	for (u32 i = leaf_next(leaf, (u32)from), nr; i < to; i = leaf_next(leaf, i + nr)) {
		nr = 1;
		if (!walk->visit_run) {
			walk->visit(walk->context, base + i, leaf_get(leaf, i));
			continue;
		}
		if (leaf->runs && is_run(i, 0, to - i))
			nr = WORLD_RUN;
		walk->visit_run(walk->context, base + i, leaf_get(leaf, i), nr);
	}
}

static void walk_leaves(struct world_mm *mm, const struct walk *walk)
{
	struct world_leaf *leaf;
	u64 first, last;

	if (walk->start >= walk->end)
		return;
	first = walk->start / WORLD_LEAF_PTES;
	last = (walk->end - 1) / WORLD_LEAF_PTES;
	if (last - first < mm->leaves.size) {
		for (u64 number = first; number <= last; number++)
			if ((leaf = leaf_find(mm, number)))
				walk_leaf(walk, leaf);
		return;
	}
	for (u32 i = 0; i < mm->leaves.size; i++)
		if ((leaf = mm->leaves.slots[i].value) && leaf->number >= first && leaf->number <= last)
			walk_leaf(walk, leaf);
}

static int compare_leaves(const void *a, const void *b)
{
	u64 x = (*(struct world_leaf *const *)a)->number, y = (*(struct world_leaf *const *)b)->number;

	return x < y ? -1 : x > y;
}

static void walk_leaves_sorted(struct world *world, struct world_mm *mm, const struct walk *walk)
{
	size_t nr = 0;

	if (walk->start >= walk->end)
		return;
	if (array_grow(world->sorted, world->sorted_room, mm->leaves.nr)) {
		world->out_of_memory = true;
		return;
	}
	for (u32 i = 0; i < mm->leaves.size; i++) {
		struct world_leaf *leaf = mm->leaves.slots[i].value;

		if (leaf && leaf->number >= walk->start / WORLD_LEAF_PTES &&
		    leaf->number <= (walk->end - 1) / WORLD_LEAF_PTES)
			world->sorted[nr++] = leaf;
	}
	if (!nr)
		return;
	qsort(world->sorted, nr, sizeof(*world->sorted), compare_leaves);
	for (size_t i = 0; i < nr; i++)
		walk_leaf(walk, world->sorted[i]);
}

void world_walk(struct world_mm *mm, u64 start, u64 end, world_visit visit, void *context)
{
	walk_leaves(mm, &(struct walk){ start, end, visit, NULL, context });
}

void world_walk_runs(struct world_mm *mm, u64 start, u64 end, world_visit_run visit, void *context)
{
	walk_leaves(mm, &(struct walk){ start, end, NULL, visit, context });
}

void world_walk_sorted(struct world *world, struct world_mm *mm, u64 start, u64 end, world_visit visit, void *context)
{
	walk_leaves_sorted(world, mm, &(struct walk){ start, end, visit, NULL, context });
}

static void clear_pages(struct world *world, struct world_mm *mm, u64 vpn, u32 nr)
{
	if (nr == WORLD_RUN && set_run(world, mm, vpn, 0))
		return;
	for (u32 i = 0; i < nr; i++)
		world_set(world, mm, vpn + i, 0);
}

struct zap {
	struct world *world;
	struct world_mm *mm;
	u64 present;
};

static void zap_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct zap *zap = context;

	zap->present += world_pte_present(pte) ? nr : 0;
	clear_pages(zap->world, zap->mm, vpn, nr);
}

u64 world_zap(struct world *world, struct world_mm *mm, u64 start, u64 end)
{
	struct zap zap = { world, mm, 0 };

	world_walk_runs(mm, start, end, zap_run, &zap);
	return zap.present;
}

struct move {
	struct world *world;
	struct world_mm *mm;
	u64 shift;
};

static void move_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct move *move = context;

	/* If that is in the same leaf, there may be no run any more. */
	world_set_pages(move->world, move->mm, vpn + move->shift, pte, nr);
	clear_pages(move->world, move->mm, vpn, nr);
}

void world_move(struct world *world, struct world_mm *mm, u64 start, u64 end, u64 dst)
{
	struct move move = { world, mm, dst - start };

	/* Sorted: that one copes with leaves being added. */
	walk_leaves_sorted(world, mm, &(struct walk){ start, end, NULL, move_run, &move });
}
