// SPDX-License-Identifier: MIT
/*
 * The VMAs of an address space: pointers in address order, so that insertion
 * moves eight bytes a VMA, of the half that has fewer. Neighbours are merged as mm/vma.c would, else an
 * allocator that grows its arena by mprotect() would leave thousands.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"
#include "replay/world/world.h"

#define VMAS_A_SLAB 256
/* More pages than an address space has, and as many such origins as a page offset has room for. */
#define ORIGIN BIT_ULL(45)
#define ORIGINS 64

/* A free VMA's start links to the next. */
static struct world_vma *vma_alloc(struct world *world)
{
	struct world_vma *vma = world->free_vmas;

	if (!vma) {
		struct world_vma *slab = world_slab(world, VMAS_A_SLAB, sizeof(*slab));

		if (!slab)
			return NULL;
		for (int i = 0; i < VMAS_A_SLAB; i++) {
			slab[i].start = (u64)(uintptr_t)world->free_vmas;
			world->free_vmas = &slab[i];
		}
		vma = world->free_vmas;
	}
	world->free_vmas = (struct world_vma *)(uintptr_t)vma->start;
	return vma;
}

static void vma_free(struct world *world, struct world_vma *vma)
{
	vma->start = (u64)(uintptr_t)world->free_vmas;
	world->free_vmas = vma;
}

struct world_vma *world_vma_next(struct world_mm *mm, u64 addr, u32 *index)
{
	u32 low = 0, high = mm->nr_vmas;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (mm->vmas[middle]->end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (index)
		*index = low;
	return low < mm->nr_vmas ? mm->vmas[low] : NULL;
}

struct world_vma *world_vma_find(struct world_mm *mm, u64 addr)
{
	struct world_vma *vma;
	u32 index;

	if (mm->last_vma < mm->nr_vmas) {
		vma = mm->vmas[mm->last_vma];
		if (addr >= vma->start && addr < vma->end)
			return vma;
	}
	vma = world_vma_next(mm, addr, &index);
	if (!vma || vma->start > addr)
		return NULL;
	mm->last_vma = index;
	return vma;
}

bool world_vma_overlaps(struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma = world_vma_next(mm, start, NULL);

	return vma && vma->start < end;
}

/* is_mergeable_anon_vma() for two VMAs that exist. */
static bool anon_vmas_mergeable(const struct world_vma *a, const struct world_vma *b)
{
	if (a->anon_vma && b->anon_vma)
		return a->anon_vma == b->anon_vma;
	/* One side or both have none: the other must not hang on a chain inherited by fork. */
	return !a->anon_chain_shared && !b->anon_chain_shared;
}

/* Policies or names that differ in number only, of which nobody has read one. */
static bool may_be_equal(u64 a, u64 b, u64 field, u64 unread)
{
	return a & field && b & field && (a | b) & unread;
}

/* What of the attributes of two neighbours is equal, or may be, bit by bit. */
static u64 untold_attributes(u64 a, u64 b)
{
	u64 untold = 0;

	if (may_be_equal(a, b, RF_ATTRIBUTE_POLICY, RF_ATTRIBUTE_POLICY_UNREAD))
		untold |= RF_ATTRIBUTE_POLICY | RF_ATTRIBUTE_POLICY_UNREAD;
	if (may_be_equal(a, b, RF_ATTRIBUTE_NAME, RF_ATTRIBUTE_NAME_UNREAD))
		untold |= RF_ATTRIBUTE_NAME | RF_ATTRIBUTE_NAME_UNREAD;
	return untold;
}

/* Whether attributes are equal, of asked; where nobody can tell, they are not, and mm is told. */
static bool attributes_equal(struct world_mm *mm, const struct world_vma *a, const struct world_vma *b, u64 asked)
{
	u64 differ = (a->attributes ^ b->attributes) & asked;

	if (differ && !(differ & ~untold_attributes(a->attributes, b->attributes)))
		mm->merge_untold = true;
	return !differ;
}

/* can_vma_merge_before/after(): same file in sequence, same flags, anon_vmas that do not differ. */
static bool can_merge(const struct world *world, struct world_mm *mm, const struct world_vma *a,
		      const struct world_vma *b)
{
	if (a->end != b->start || a->file != b->file || a->flags != b->flags || a->name != b->name ||
	    a->implicit != b->implicit || a->accounted != b->accounted || !anon_vmas_mergeable(a, b))
		return false;
	if (a->flags & (RF_VM_SPECIAL | RF_VM_PFNMAP | RF_VM_HUGETLB | RF_VM_GROWSDOWN))
		return false;
	/* Anonymous: pgoff is where the pages were born; it differs after mremap and then forbids merging. */
	return a->pgoff + ((a->end - a->start) >> world->page_shift) == b->pgoff && attributes_equal(mm, a, b, ~0ull);
}

/* mmap() maps downwards, below most of what is mapped: what is below a place moves, if that is less. */
static void remove_at(struct world *world, struct world_mm *mm, u32 index, u32 nr)
{
	u32 above = mm->nr_vmas - index - nr;

	for (u32 i = 0; i < nr; i++)
		vma_free(world, mm->vmas[index + i]);
	if (index < above) {
		memmove(mm->vmas + nr, mm->vmas, index * sizeof(*mm->vmas));
		mm->vmas += nr;
	} else {
		memmove(&mm->vmas[index], &mm->vmas[index + nr], above * sizeof(*mm->vmas));
	}
	mm->nr_vmas -= nr;
}

/* Room for one more below the VMAs, or above them: the memory doubles, and they lie in its middle. */
static bool make_room(struct world *world, struct world_mm *mm, bool below)
{
	u64 before = (u64)(mm->vmas - mm->vma_room), free = mm->vmas_size - mm->nr_vmas;

	if (mm->vma_room && (below ? before > 0 : before + mm->nr_vmas < mm->vmas_size))
		return true;
	if (free <= mm->nr_vmas && !world_grow(world, (void **)&mm->vma_room, sizeof(*mm->vma_room), &mm->vmas_size,
					       2ull * mm->nr_vmas + 2))
		return false;
	mm->vmas = mm->vma_room + before;
	before = (mm->vmas_size - mm->nr_vmas) / 2;
	memmove(mm->vma_room + before, mm->vmas, mm->nr_vmas * sizeof(*mm->vmas));
	mm->vmas = mm->vma_room + before;
	return true;
}

static struct world_vma *insert_at(struct world *world, struct world_mm *mm, u32 index, const struct world_vma *from)
{
	bool below = index < mm->nr_vmas / 2;
	struct world_vma *vma;

	if (!make_room(world, mm, below))
		return NULL;
	vma = vma_alloc(world);
	if (!vma)
		return NULL;
	*vma = *from;
	if (file_get(world, vma->file))
		file_get(world, vma->file)->alone = false;
	if (below) {
		mm->vmas--;
		memmove(mm->vmas, mm->vmas + 1, index * sizeof(*mm->vmas));
	} else {
		memmove(&mm->vmas[index + 1], &mm->vmas[index], (mm->nr_vmas - index) * sizeof(*mm->vmas));
	}
	mm->vmas[index] = vma;
	mm->nr_vmas++;
	return vma;
}

/* Merge the VMA at index with the one after it, if that may be. */
static bool merge_at(struct world *world, struct world_mm *mm, u32 index)
{
	struct world_vma *a, *b;

	if (index + 1 >= mm->nr_vmas)
		return false;
	a = mm->vmas[index];
	b = mm->vmas[index + 1];
	if (!can_merge(world, mm, a, b))
		return false;
	a->end = b->end;
	if (!a->anon_vma) {
		a->anon_vma = b->anon_vma;
		a->anon_chain_shared = b->anon_chain_shared;
	}
	remove_at(world, mm, index + 1, 1);
	return true;
}

/* accountable_mapping() */
static void account(struct world_vma *vma)
{
	if ((vma->flags & (RF_VM_WRITE | RF_VM_SHARED)) == RF_VM_WRITE && !(vma->attributes & RF_ATTRIBUTE_NORESERVE))
		vma->accounted = true;
}

struct world_vma *world_vma_insert(struct world *world, struct world_mm *mm, const struct world_vma *from)
{
	u32 index;

	if (from->start >= from->end)
		return NULL;
	world_vma_next(mm, from->start, &index);
	if (!insert_at(world, mm, index, from))
		return NULL;
	account(mm->vmas[index]);
	/* Where prev and next do not fit together, prev gets it: can_vma_merge_right(). */
	if (index && merge_at(world, mm, index - 1))
		index--;
	merge_at(world, mm, index);
	mm->last_vma = index;
	return mm->vmas[index];
}

/* Where mremap() would have brought it from: the page offset of no neighbour's goes on there. */
static u64 elsewhere(struct world *world, u64 pgoff)
{
	return (pgoff & (ORIGIN - 1)) + ORIGIN * (1 + world->last_origin++ % (ORIGINS - 1));
}

struct world_vma *world_vma_load(struct world *world, struct world_mm *mm, const struct world_vma *from)
{
	struct world_vma vma = *from;
	u32 index;

	account(&vma);
	world_vma_next(mm, vma.start, &index);
	/* A snapshot that does not tell VM_ACCOUNT: it is what keeps files' apart most often. */
	if (index && can_merge(world, mm, mm->vmas[index - 1], &vma)) {
		if (vma.file)
			vma.accounted = !vma.accounted;
		else
			vma.pgoff = elsewhere(world, vma.pgoff);
	}
	return insert_at(world, mm, index, &vma);
}

/* The pieces of [whole->start, end), from the one at index on, as one. False: that cannot be, or it is one. */
static bool take_pieces(const struct world_mm *mm, u32 index, u64 start, u64 end, struct world_vma *whole)
{
	u64 at = start;
	u32 i;

	for (i = index; i < mm->nr_vmas && at < end; i++) {
		const struct world_vma *piece = mm->vmas[i];

		if (piece->start > at || piece->file || piece->flags != whole->flags || piece->name != whole->name ||
		    piece->attributes != whole->attributes || piece->implicit)
			return false;
		if (!whole->anon_vma) {
			whole->anon_vma = piece->anon_vma;
			whole->anon_chain_shared = piece->anon_chain_shared;
		}
		whole->accounted |= piece->accounted;
		at = piece->end;
	}
	return at >= end && (i > index + 1 || whole->start != start || whole->end != end);
}

struct world_vma *world_vma_unite(struct world *world, struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma whole, *vma;
	u32 index;

	vma = world_vma_next(mm, start, &index);
	if (!vma || vma->start > start)
		return NULL;
	whole = *vma;
	if (!take_pieces(mm, index, start, end, &whole))
		return NULL;
	whole.pgoff += (start - whole.start) >> world->page_shift;
	whole.start = start;
	whole.end = end;
	world_vma_remove(world, mm, start, end);
	world_vma_next(mm, start, &index);
	vma = insert_at(world, mm, index, &whole);
	if (vma && ((index && can_merge(world, mm, mm->vmas[index - 1], vma)) ||
		    (index + 1 < mm->nr_vmas && can_merge(world, mm, vma, mm->vmas[index + 1]))))
		vma->pgoff = elsewhere(world, vma->pgoff);
	return vma;
}

/* Make addr a boundary. */
static void world_vma_split(struct world *world, struct world_mm *mm, u64 addr)
{
	struct world_vma *vma, upper;
	u32 index;

	vma = world_vma_next(mm, addr, &index);
	if (!vma || vma->start >= addr)
		return;
	upper = *vma;
	upper.start = addr;
	upper.pgoff += (addr - vma->start) >> world->page_shift;
	if (!insert_at(world, mm, index + 1, &upper))
		return;
	vma->end = addr;
}

void world_vma_remove(struct world *world, struct world_mm *mm, u64 start, u64 end)
{
	u32 first, last;

	if (start >= end)
		return;
	world_vma_split(world, mm, start);
	world_vma_split(world, mm, end);
	world_vma_next(mm, start, &first);
	for (last = first; last < mm->nr_vmas && mm->vmas[last]->start < end; last++)
		;
	if (last > first)
		remove_at(world, mm, first, last - first);
}

void world_vma_change(struct world *world, struct world_mm *mm, u64 start, u64 end,
		      const struct world_vma_change *change)
{
	u32 index;

	if (start >= end)
		return;
	world_vma_split(world, mm, start);
	world_vma_split(world, mm, end);
	for (world_vma_next(mm, start, &index); index < mm->nr_vmas && mm->vmas[index]->start < end; index++) {
		struct world_vma *vma = mm->vmas[index];

		vma->flags = (u16)((vma->flags & ~change->clear) | change->set);
		vma->attributes = (vma->attributes & ~change->attributes_clear) | change->attributes_set;
		account(vma);
	}
	/* Merge from the one below start to the one that begins at end. */
	world_vma_next(mm, start, &index);
	if (index)
		index--;
	while (index + 1 < mm->nr_vmas && mm->vmas[index]->end <= end)
		if (!merge_at(world, mm, index))
			index++;
}

void world_vma_set_flags(struct world *world, struct world_mm *mm, u64 start, u64 end, u16 set, u16 clear)
{
	world_vma_change(world, mm, start, end, &(struct world_vma_change){ .set = set, .clear = clear });
}

/* anon_vma_compatible(): names and userfaultfds are not asked for. */
static bool anon_vma_compatible(const struct world *world, struct world_mm *mm, const struct world_vma *a,
				const struct world_vma *b)
{
	return a->end == b->start && a->file == b->file && a->accounted == b->accounted &&
	       !((a->flags ^ b->flags) & ~(RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)) &&
	       a->pgoff + ((a->end - a->start) >> world->page_shift) == b->pgoff &&
	       attributes_equal(mm, a, b, ~RF_ATTRIBUTES_NOT_OF_ANON_VMA);
}

static bool is_reusable_anon_vma(const struct world_vma *vma)
{
	return vma->anon_vma && !vma->anon_chain_shared;
}

void world_vma_anon_prepare(struct world *world, struct world_mm *mm, struct world_vma *vma)
{
	const struct world_vma *next, *prev;
	u32 index;

	if (vma->anon_vma)
		return;
	/* find_mergeable_anon_vma(): next first; an inherited chain is not reusable. */
	world_vma_next(mm, vma->start, &index);
	next = index + 1 < mm->nr_vmas ? mm->vmas[index + 1] : NULL;
	prev = index ? mm->vmas[index - 1] : NULL;
	if (next && is_reusable_anon_vma(next) && anon_vma_compatible(world, mm, vma, next))
		vma->anon_vma = next->anon_vma;
	else if (prev && is_reusable_anon_vma(prev) && anon_vma_compatible(world, mm, prev, vma))
		vma->anon_vma = prev->anon_vma;
	else
		vma->anon_vma = ++world->last_anon_vma;
}

void world_vma_duplicate(struct world *world, struct world_mm *child, const struct world_vma *vma)
{
	u32 index = child->nr_vmas;

	if (!insert_at(world, child, index, vma))
		return;
	child->vmas[index]->flags &= (u16)~(RF_VM_LOCKED | RF_VM_UFFD);
	child->vmas[index]->attributes &= ~RF_ATTRIBUTES_NOT_FORKED;
	/* anon_vma_fork(): its own, on top of a clone of the parent's chain. */
	child->vmas[index]->anon_chain_shared = vma->anon_vma && !(vma->flags & RF_VM_WIPEONFORK);
	child->vmas[index]->anon_vma = child->vmas[index]->anon_chain_shared ? ++world->last_anon_vma : 0;
}

void world_vma_clear_all(struct world *world, struct world_mm *mm)
{
	for (u32 i = 0; i < mm->nr_vmas; i++)
		vma_free(world, mm->vmas[i]);
	mm->nr_vmas = 0;
	mm->last_vma = 0;
}

u64 world_vma_file_index(const struct world *world, const struct world_vma *vma, u64 vpn)
{
	return vma->pgoff + (vpn - (vma->start >> world->page_shift));
}
