// SPDX-License-Identifier: MIT
/*
 * The VMAs of an address space, in an ordered array: lookups dominate, and a
 * search in a dense array beats a tree at the sizes processes have. Merging
 * follows mm/vma.c, because which VMAs exist decides where TLB flushes end,
 * what fork copies (vma_needs_copy()), and which page tables munmap frees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/huge_mm.h"
#include "engine/pgtable.h"

#define VM_ACCESS_FLAGS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)
#define VM_NEVER_MERGED (RF_VM_SPECIAL | RF_VM_PFNMAP)

u32 vma_find(struct mm *mm, u64 addr)
{
	u32 low = 0, high = mm->nr_vmas;
	u32 last = mm->last_vma;

	if (last < high && mm->vmas[last].start <= addr && addr < mm->vmas[last].end)
		return last;
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (mm->vmas[middle].end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	mm->last_vma = low;
	return low;
}

struct vm_area *vma_lookup(struct mm *mm, u64 addr)
{
	u32 index = vma_find(mm, addr);

	if (index < mm->nr_vmas && mm->vmas[index].start <= addr)
		return &mm->vmas[index];
	return NULL;
}

/* So far up the VMAs move in their memory. */
static void vma_place(struct mm *mm, size_t before)
{
	if (mm->nr_vmas)
		memmove(mm->vma_room + before, mm->vmas, mm->nr_vmas * sizeof(*mm->vmas));
	mm->vmas = mm->vma_room + before;
}

/* For nr more at the end. */
static int vma_make_room(struct mm *mm, size_t nr)
{
	size_t before = (size_t)(mm->vmas - mm->vma_room);
	int err;

	if (!nr || before + mm->nr_vmas + nr <= mm->max_vmas)
		return 0;
	if (before > mm->nr_vmas + nr) {
		vma_place(mm, 0);
		return 0;
	}
	err = array_grow(mm->vma_room, mm->max_vmas, before + mm->nr_vmas + nr);
	if (!err)
		mm->vmas = mm->vma_room + before;
	return err;
}

/* Fewer than that are moved as they are. */
#define VMAS_MANY 256

/* mmap() maps downwards, below most of what is mapped: what is below the new VMA moves, if that is less. */
static int vma_insert_at(struct mm *mm, u32 index, const struct vm_area *vma)
{
	struct vm_area copy = *vma;	/* vma may be in the array that moves */
	bool below = mm->nr_vmas >= VMAS_MANY && index < mm->nr_vmas / 2;
	int err = 0;

	if (!below) {
		err = vma_make_room(mm, 1);
	} else if (mm->vmas == mm->vma_room) {
		err = vma_make_room(mm, mm->nr_vmas);
		if (!err)
			vma_place(mm, mm->nr_vmas);
	}
	if (err)
		return err;
	if (below) {
		mm->vmas--;
		memmove(mm->vmas, mm->vmas + 1, index * sizeof(*vma));
	} else {
		memmove(&mm->vmas[index + 1], &mm->vmas[index], (mm->nr_vmas - index) * sizeof(*vma));
	}
	mm->vmas[index] = copy;
	mm->nr_vmas++;
	return 0;
}

void vma_remove(struct mm *mm, u32 first, u32 nr)
{
	u32 above = mm->nr_vmas - first - nr;

	if (mm->nr_vmas >= VMAS_MANY && first < above) {
		memmove(&mm->vmas[nr], mm->vmas, first * sizeof(*mm->vmas));
		mm->vmas += nr;
	} else {
		memmove(&mm->vmas[first], &mm->vmas[first + nr], above * sizeof(*mm->vmas));
	}
	mm->nr_vmas -= nr;
}

static u64 vma_pages(const struct mm *mm, const struct vm_area *vma)
{
	return (vma->end - vma->start) >> mm->arch.geometry->page_shift;
}

/* is_mergeable_anon_vma() for two VMAs that exist. */
static bool anon_vmas_mergeable(const struct vm_area *a, const struct vm_area *b)
{
	if (a->anon_vma && b->anon_vma)
		return a->anon_vma == b->anon_vma;
	/* One side or both have none: the other must not hang on a chain inherited by fork. */
	return !a->anon_chain_shared && !b->anon_chain_shared;
}

static bool vmas_mergeable(const struct mm *mm, const struct vm_area *a, const struct vm_area *b)
{
	return a->end == b->start && a->flags == b->flags && !(a->flags & VM_NEVER_MERGED) && a->file == b->file &&
	       a->attributes == b->attributes && a->pgoff + vma_pages(mm, a) == b->pgoff && anon_vmas_mergeable(a, b);
}

static void vma_join(struct mm *mm, u32 index)
{
	struct vm_area *a = &mm->vmas[index], *b = a + 1;

	a->end = b->end;
	if (!a->anon_vma) {
		a->anon_vma = b->anon_vma;
		a->anon_chain_shared = b->anon_chain_shared;
	}
	vma_remove(mm, index + 1, 1);
}

u32 vma_merge(struct mm *mm, u32 index)
{
	/* Where prev and next do not fit together, prev gets it: can_vma_merge_right(). */
	if (index && vmas_mergeable(mm, &mm->vmas[index - 1], &mm->vmas[index]))
		vma_join(mm, --index);
	if (index + 1 < mm->nr_vmas && vmas_mergeable(mm, &mm->vmas[index], &mm->vmas[index + 1]))
		vma_join(mm, index);
	return index;
}

void vma_merge_range(struct mm *mm, u64 start, u64 end)
{
	u32 i = vma_find(mm, start ? start - 1 : 0);

	while (i + 1 < mm->nr_vmas && mm->vmas[i].start < end) {
		if (vmas_mergeable(mm, &mm->vmas[i], &mm->vmas[i + 1]))
			vma_join(mm, i);
		else
			i++;
	}
}

int vma_insert_apart(struct mm *mm, const struct vm_area *vma)
{
	return vma_insert_at(mm, vma_find(mm, vma->start), vma);
}

int vma_insert(struct mm *mm, const struct vm_area *vma)
{
	u32 index = vma_find(mm, vma->start);
	int err = vma_insert_at(mm, index, vma);

	if (err)
		return err;
	return vma_merge(mm, index);
}

/* split_huge_pmd_if_needed(): no leaf may straddle the boundary of a VMA. */
static int split_leaf_at(struct mm *mm, const struct vm_area *vma, u64 addr)
{
	u64 start = ALIGN_DOWN(addr, pmd_size(mm));
	pmd_t *pmd;

	if (start == addr || start < vma->start || start + pmd_size(mm) > vma->end)
		return 0;
	pmd = pmd_offset(mm, addr);
	return pmd && pmd_leaf(*pmd) ? split_huge_pmd(mm, vma, pmd, addr) : 0;
}

int vma_split(struct mm *mm, u64 addr)
{
	struct vm_area *vma = vma_lookup(mm, addr);
	struct vm_area upper;
	u32 index;
	int err;

	if (!vma || vma->start == addr)
		return 0;
	err = split_leaf_at(mm, vma, addr);
	if (err)
		return err;
	index = vma - mm->vmas;
	upper = *vma;
	upper.start = addr;
	upper.pgoff += (addr - vma->start) >> mm->arch.geometry->page_shift;
	err = vma_insert_at(mm, index + 1, &upper);
	if (err)
		return err;
	mm->vmas[index].end = addr;
	return 0;
}

static bool anon_vma_compatible(const struct mm *mm, const struct vm_area *a, const struct vm_area *b)
{
	return a->end == b->start && a->file == b->file && !((a->flags ^ b->flags) & ~(u32)VM_ACCESS_FLAGS) &&
	       !((a->attributes ^ b->attributes) & ~RF_ATTRIBUTES_NOT_OF_ANON_VMA) &&
	       a->pgoff + vma_pages(mm, a) == b->pgoff;
}

void vma_anon_prepare(struct mm *mm, struct vm_area *vma)
{
	u32 index = vma - mm->vmas;
	const struct vm_area *next = index + 1 < mm->nr_vmas ? vma + 1 : NULL;
	const struct vm_area *prev = index ? vma - 1 : NULL;

	if (vma->anon_vma)
		return;
	/* find_mergeable_anon_vma(): next first; an inherited chain is not reusable. */
	if (next && next->anon_vma && !next->anon_chain_shared && anon_vma_compatible(mm, vma, next))
		vma->anon_vma = next->anon_vma;
	else if (prev && prev->anon_vma && !prev->anon_chain_shared && anon_vma_compatible(mm, prev, vma))
		vma->anon_vma = prev->anon_vma;
	else
		vma->anon_vma = ++mm->machine->next_anon_vma;
}

struct vm_area *vma_of_fault(struct mm *mm, u64 addr, bool file)
{
	struct vm_area *vma = vma_lookup(mm, addr);
	struct vm_area made = { 0 };
	int index;

	if (vma)
		return vma;
	count_anomaly(mm->machine, RF_ANOMALY_no_vma);
	made.start = ALIGN_DOWN(addr, page_size(mm));
	made.end = made.start + page_size(mm);
	made.pgoff = made.start >> mm->arch.geometry->page_shift;
	made.flags = RF_VM_READ | (file ? 0 : RF_VM_WRITE | VM_ACCOUNT);
	made.file = file ? ~0ull : 0;
	index = vma_insert(mm, &made);
	if (index < 0) {
		mm->machine->error = index;
		return NULL;
	}
	return &mm->vmas[index];
}

/* dup_mmap() without its page tables: what the child inherits of the parent's VMAs. */
int vmas_duplicate(struct mm *child, struct mm *parent)
{
	u32 i;
	int err = vma_make_room(child, parent->nr_vmas);

	if (err)
		return err;
	for (i = 0; i < parent->nr_vmas; i++) {
		struct vm_area *vma = &child->vmas[child->nr_vmas];

		if (parent->vmas[i].flags & RF_VM_DONTCOPY)
			continue;
		*vma = parent->vmas[i];
		vma->flags &= ~(u32)(RF_VM_LOCKED | RF_VM_UFFD);
		vma->attributes &= ~RF_ATTRIBUTES_NOT_FORKED;
		if (vma->flags & RF_VM_WIPEONFORK) {
			vma->anon_vma = 0;
			vma->anon_chain_shared = false;
		} else if (vma->anon_vma) {
			/* anon_vma_fork(): its own, on top of a clone of the parent's chain. */
			vma->anon_vma = ++child->machine->next_anon_vma;
			vma->anon_chain_shared = true;
		}
		child->nr_vmas++;
	}
	return 0;
}
