// SPDX-License-Identifier: MIT
/*
 * The VMAs of an address space. Neighbours are merged as mm/vma.c would, else an
 * allocator that grows its arena by mprotect() would leave thousands.
 */
#include "engine/ops.h"
#include "replay/world/world.h"

#define VMAS_A_SLAB 256
/* More pages than an address space has, and as many such origins as a page offset has room for. */
#define ORIGIN BIT_ULL(45)
#define ORIGINS 64

/* Free ones are in a list. */
static struct world_vma *vma_alloc(struct world *world)
{
	struct world_vma *vma = world->free_vmas;

	if (!vma) {
		struct world_vma *slab = world_slab(world, VMAS_A_SLAB, sizeof(*slab));

		if (!slab)
			return NULL;
		for (int i = 0; i < VMAS_A_SLAB; i++) {
			slab[i].links.next = world->free_vmas;
			world->free_vmas = &slab[i];
		}
		vma = world->free_vmas;
	}
	world->free_vmas = vma->links.next;
	return vma;
}

static void vma_free(struct world *world, struct world_vma *vma)
{
	vma->links.next = world->free_vmas;
	world->free_vmas = vma;
}

struct world_vma *world_vma_next(struct world_mm *mm, u64 addr)
{
	return world_vma_tree_find(&mm->vmas, addr);
}

struct world_vma *world_vma_find(struct world_mm *mm, u64 addr)
{
	struct world_vma *vma = mm->last_vma;

	if (vma && addr >= vma->start && addr < vma->end)
		return vma;
	vma = world_vma_next(mm, addr);
	if (!vma || vma->start > addr)
		return NULL;
	mm->last_vma = vma;
	return vma;
}

bool world_vma_overlaps(struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma = world_vma_next(mm, start);

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

/*
 * can_vma_merge_before/after(): same file in sequence, same flags, anon_vmas that do not differ. RF_VM_SHMEM is the
 * file's, and may be known of one of them alone.
 */
static bool can_merge(const struct world *world, struct world_mm *mm, const struct world_vma *a,
		      const struct world_vma *b)
{
	if (a->end != b->start || a->file != b->file || (a->flags ^ b->flags) & ~RF_VM_SHMEM || a->name != b->name ||
	    a->implicit != b->implicit || a->accounted != b->accounted || !anon_vmas_mergeable(a, b))
		return false;
	if (a->flags & (RF_VM_SPECIAL | RF_VM_PFNMAP | RF_VM_HUGETLB | RF_VM_GROWSDOWN))
		return false;
	/* Anonymous: pgoff is where the pages were born; it differs after mremap and then forbids merging. */
	return a->pgoff + ((a->end - a->start) >> world->page_shift) == b->pgoff && attributes_equal(mm, a, b, ~0ull);
}

static void remove_vma(struct world *world, struct world_mm *mm, struct world_vma *vma)
{
	if (mm->last_vma == vma)
		mm->last_vma = NULL;
	world_vma_tree_remove(&mm->vmas, vma);
	vma_free(world, vma);
}

/* A copy that is nowhere yet. */
static struct world_vma *vma_copy(struct world *world, const struct world_vma *from)
{
	struct world_vma *vma = vma_alloc(world);

	if (!vma)
		return NULL;
	*vma = *from;
	if (file_get(world, vma->file))
		file_get(world, vma->file)->alone = false;
	return vma;
}

static struct world_vma *insert(struct world *world, struct world_mm *mm, const struct world_vma *from)
{
	struct world_vma *vma = vma_copy(world, from);

	if (vma)
		world_vma_tree_insert(&mm->vmas, vma);
	return vma;
}

static bool merges_above(const struct world *world, struct world_mm *mm, const struct world_vma *vma)
{
	return world_vma_above(vma) && can_merge(world, mm, vma, world_vma_above(vma));
}

static bool merges_below(const struct world *world, struct world_mm *mm, const struct world_vma *vma)
{
	return world_vma_below(vma) && can_merge(world, mm, world_vma_below(vma), vma);
}

/* Merge the VMA with the one above it, if that may be. */
static bool merge_above(struct world *world, struct world_mm *mm, struct world_vma *a)
{
	struct world_vma *b = world_vma_above(a);
	u64 end;

	if (!merges_above(world, mm, a))
		return false;
	if (!a->anon_vma) {
		a->anon_vma = b->anon_vma;
		a->anon_chain_shared = b->anon_chain_shared;
	}
	a->flags |= b->flags & RF_VM_SHMEM;
	end = b->end;
	remove_vma(world, mm, b);
	a->end = end;
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
	struct world_vma *vma, *below;

	if (from->start >= from->end)
		return NULL;
	vma = insert(world, mm, from);
	if (!vma)
		return NULL;
	account(vma);
	/* Where prev and next do not fit together, prev gets it: can_vma_merge_right(). */
	below = world_vma_below(vma);
	if (below && merge_above(world, mm, below))
		vma = below;
	merge_above(world, mm, vma);
	mm->last_vma = vma;
	return vma;
}

/* Where mremap() would have brought it from: the page offset of no neighbour's goes on there. */
static u64 elsewhere(struct world *world, u64 pgoff)
{
	return (pgoff & (ORIGIN - 1)) + ORIGIN * (1 + world->last_origin++ % (ORIGINS - 1));
}

struct world_vma *world_vma_load(struct world *world, struct world_mm *mm, const struct world_vma *from)
{
	struct world_vma *vma = insert(world, mm, from);

	if (!vma)
		return NULL;
	account(vma);
	/* A snapshot that does not tell VM_ACCOUNT: it is what keeps files' apart most often. */
	if (merges_below(world, mm, vma)) {
		if (vma->file)
			vma->accounted = !vma->accounted;
		else
			vma->pgoff = elsewhere(world, vma->pgoff);
	}
	return vma;
}

/* The pieces of [whole->start, end), from the first on, as one. False: that cannot be, or it is one. */
static bool take_pieces(const struct world_vma *first, u64 start, u64 end, struct world_vma *whole)
{
	const struct world_vma *piece, *last = NULL;
	u64 at = start;

	for (piece = first; piece && at < end; piece = world_vma_above(piece)) {
		if (piece->start > at || piece->file || piece->flags != whole->flags || piece->name != whole->name ||
		    piece->attributes != whole->attributes || piece->implicit)
			return false;
		if (!whole->anon_vma) {
			whole->anon_vma = piece->anon_vma;
			whole->anon_chain_shared = piece->anon_chain_shared;
		}
		whole->accounted |= piece->accounted;
		at = piece->end;
		last = piece;
	}
	return at >= end && (last != first || whole->start != start || whole->end != end);
}

struct world_vma *world_vma_unite(struct world *world, struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma whole, *vma;

	vma = world_vma_next(mm, start);
	if (!vma || vma->start > start)
		return NULL;
	whole = *vma;
	if (!take_pieces(vma, start, end, &whole))
		return NULL;
	whole.pgoff += (start - whole.start) >> world->page_shift;
	whole.start = start;
	whole.end = end;
	world_vma_remove(world, mm, start, end);
	vma = insert(world, mm, &whole);
	if (vma && (merges_below(world, mm, vma) || merges_above(world, mm, vma)))
		vma->pgoff = elsewhere(world, vma->pgoff);
	return vma;
}

/* Make addr a boundary. */
static void world_vma_split(struct world *world, struct world_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_next(mm, addr), *upper;

	if (!vma || vma->start >= addr)
		return;
	world_split_at(world, mm, addr >> world->page_shift);
	upper = vma_copy(world, vma);
	if (!upper)
		return;
	upper->start = addr;
	upper->pgoff += (addr - vma->start) >> world->page_shift;
	vma->end = addr;
	world_vma_tree_insert(&mm->vmas, upper);
}

void world_vma_remove(struct world *world, struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma, *above;

	if (start >= end)
		return;
	world_vma_split(world, mm, start);
	world_vma_split(world, mm, end);
	for (vma = world_vma_next(mm, start); vma && vma->start < end; vma = above) {
		above = world_vma_above(vma);
		remove_vma(world, mm, vma);
	}
}

void world_vma_change(struct world *world, struct world_mm *mm, u64 start, u64 end,
		      const struct world_vma_change *change)
{
	struct world_vma *vma;

	if (start >= end)
		return;
	world_vma_split(world, mm, start);
	world_vma_split(world, mm, end);
	for (vma = world_vma_next(mm, start); vma && vma->start < end; vma = world_vma_above(vma)) {
		vma->flags = (u16)((vma->flags & ~change->clear) | change->set);
		vma->attributes = (vma->attributes & ~change->attributes_clear) | change->attributes_set;
		account(vma);
	}
	/* Merge from the one below start to the one that begins at end. */
	vma = world_vma_next(mm, start);
	if (!vma)
		return;
	if (world_vma_below(vma))
		vma = world_vma_below(vma);
	while (world_vma_above(vma) && vma->end <= end)
		if (!merge_above(world, mm, vma))
			vma = world_vma_above(vma);
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
	const struct world_vma *next = world_vma_above(vma), *prev = world_vma_below(vma);

	if (vma->anon_vma)
		return;
	/* find_mergeable_anon_vma(): next first; an inherited chain is not reusable. */
	if (next && is_reusable_anon_vma(next) && anon_vma_compatible(world, mm, vma, next))
		vma->anon_vma = next->anon_vma;
	else if (prev && is_reusable_anon_vma(prev) && anon_vma_compatible(world, mm, prev, vma))
		vma->anon_vma = prev->anon_vma;
	else
		vma->anon_vma = ++world->last_anon_vma;
}

void world_vma_duplicate(struct world *world, struct world_mm *child, const struct world_vma *vma)
{
	struct world_vma *copy = vma_copy(world, vma);

	if (!copy)
		return;
	copy->flags &= (u16)~(RF_VM_LOCKED | RF_VM_UFFD);
	copy->attributes &= ~RF_ATTRIBUTES_NOT_FORKED;
	/* anon_vma_fork(): its own, on top of a clone of the parent's chain. */
	copy->anon_chain_shared = vma->anon_vma && !(vma->flags & RF_VM_WIPEONFORK);
	copy->anon_vma = copy->anon_chain_shared ? ++world->last_anon_vma : 0;
	world_vma_tree_append(&child->vmas, copy);
}

void world_vma_clear_all(struct world *world, struct world_mm *mm)
{
	struct world_vma *above;

	for (struct world_vma *vma = world_vma_first(mm); vma; vma = above) {
		above = world_vma_above(vma);
		vma_free(world, vma);
	}
	mm->vmas = (struct world_vma_tree){ 0 };
	mm->last_vma = NULL;
}

u64 world_vma_file_index(const struct world *world, const struct world_vma *vma, u64 vpn)
{
	return vma->pgoff + (vpn - (vma->start >> world->page_shift));
}
