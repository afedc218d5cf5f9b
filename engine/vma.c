// SPDX-License-Identifier: MIT
/*
 * The VMAs of an address space. Merging follows mm/vma.c, because which VMAs
 * exist decides where TLB flushes end, what fork copies (vma_needs_copy()), and
 * which page tables munmap frees.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/huge_mm.h"
#include "engine/pgtable.h"

#define VM_ACCESS_FLAGS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)
#define VM_NEVER_MERGED (RF_VM_SPECIAL | RF_VM_PFNMAP)
#define VMAS_A_SLAB 64

struct vma_slab {
	struct vma_slab *next;
	struct vm_area vmas[VMAS_A_SLAB];
};

static bool vma_slab_add(struct rf_machine *machine)
{
	struct vma_slab *slab = malloc(sizeof(*slab));

	if (!slab)
		return false;
	slab->next = machine->vma_slabs;
	machine->vma_slabs = slab;
	for (int i = 0; i < VMAS_A_SLAB; i++) {
		slab->vmas[i].links.next = machine->free_vmas;
		machine->free_vmas = &slab->vmas[i];
	}
	return true;
}

void vma_slabs_destroy(struct rf_machine *machine)
{
	struct vma_slab *next;

	for (struct vma_slab *slab = machine->vma_slabs; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
}

/* A copy that is nowhere yet. */
static struct vm_area *vma_dup(struct rf_machine *machine, const struct vm_area *from)
{
	struct vm_area *vma;

	if (!machine->free_vmas && !vma_slab_add(machine))
		return NULL;
	vma = machine->free_vmas;
	machine->free_vmas = vma->links.next;
	*vma = *from;
	return vma;
}

static void vma_free(struct rf_machine *machine, struct vm_area *vma)
{
	vma->links.next = machine->free_vmas;
	machine->free_vmas = vma;
}

struct vm_area *vma_find(struct mm *mm, u64 addr)
{
	struct vm_area *last = mm->last_vma;

	if (last && last->start <= addr && addr < last->end)
		return last;
	mm->last_vma = vma_tree_find(&mm->vmas, addr);
	return mm->last_vma;
}

struct vm_area *vma_lookup(struct mm *mm, u64 addr)
{
	struct vm_area *vma = vma_find(mm, addr);

	return vma && vma->start <= addr ? vma : NULL;
}

void vma_remove(struct mm *mm, struct vm_area *vma)
{
	if (mm->last_vma == vma)
		mm->last_vma = NULL;
	vma_tree_remove(&mm->vmas, vma);
	vma_free(mm->machine, vma);
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

/* Mappings of one file are of shmem both or none: RF_VM_SHMEM may be known of one of them alone. */
static bool vmas_mergeable(const struct mm *mm, const struct vm_area *a, const struct vm_area *b)
{
	return a->end == b->start && !((a->flags ^ b->flags) & ~(u32)RF_VM_SHMEM) &&
	       !(a->flags & VM_NEVER_MERGED) && a->file == b->file && a->attributes == b->attributes &&
	       a->pgoff + vma_pages(mm, a) == b->pgoff && anon_vmas_mergeable(a, b);
}

static void vma_join(struct mm *mm, struct vm_area *a)
{
	struct vm_area *b = vma_next(a);
	u64 end = b->end;

	if (!a->anon_vma) {
		a->anon_vma = b->anon_vma;
		a->anon_chain_shared = b->anon_chain_shared;
	}
	a->flags |= b->flags & RF_VM_SHMEM;
	vma_remove(mm, b);
	a->end = end;
}

static bool joins_next(const struct mm *mm, const struct vm_area *vma)
{
	return vma_next(vma) && vmas_mergeable(mm, vma, vma_next(vma));
}

struct vm_area *vma_merge(struct mm *mm, struct vm_area *vma)
{
	/* Where prev and next do not fit together, prev gets it: can_vma_merge_right(). */
	if (vma_prev(vma) && joins_next(mm, vma_prev(vma))) {
		vma = vma_prev(vma);
		vma_join(mm, vma);
	}
	if (joins_next(mm, vma))
		vma_join(mm, vma);
	return vma;
}

void vma_merge_range(struct mm *mm, u64 start, u64 end)
{
	struct vm_area *vma = vma_find(mm, start ? start - 1 : 0);

	while (vma && vma_next(vma) && vma->start < end) {
		if (joins_next(mm, vma))
			vma_join(mm, vma);
		else
			vma = vma_next(vma);
	}
}

int vma_insert_apart(struct mm *mm, const struct vm_area *vma)
{
	struct vm_area *copy = vma_dup(mm->machine, vma);

	if (!copy)
		return -ENOMEM;
	vma_tree_insert(&mm->vmas, copy);
	return 0;
}

struct vm_area *vma_insert(struct mm *mm, const struct vm_area *vma)
{
	struct vm_area *copy = vma_dup(mm->machine, vma);

	if (!copy)
		return NULL;
	vma_tree_insert(&mm->vmas, copy);
	return vma_merge(mm, copy);
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
	struct vm_area *vma = vma_lookup(mm, addr), *upper;
	int err;

	if (!vma || vma->start == addr)
		return 0;
	err = split_leaf_at(mm, vma, addr);
	if (err)
		return err;
	upper = vma_dup(mm->machine, vma);
	if (!upper)
		return -ENOMEM;
	upper->start = addr;
	upper->pgoff += (addr - vma->start) >> mm->arch.geometry->page_shift;
	vma->end = addr;
	vma_tree_insert(&mm->vmas, upper);
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
	const struct vm_area *next = vma_next(vma), *prev = vma_prev(vma);

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

static struct vm_area *vma_make(struct mm *mm, u64 addr, bool file)
{
	struct vm_area made = { 0 }, *vma;

	count_anomaly(mm->machine, RF_ANOMALY_no_vma);
	made.start = ALIGN_DOWN(addr, page_size(mm));
	made.end = made.start + page_size(mm);
	made.pgoff = made.start >> mm->arch.geometry->page_shift;
	made.flags = RF_VM_READ | (file ? 0 : RF_VM_WRITE | VM_ACCOUNT);
	made.file = file ? ~0ull : 0;
	vma = vma_insert(mm, &made);
	if (!vma)
		mm->machine->error = -ENOMEM;
	return vma;
}

struct vm_area *vma_of_fault(struct mm *mm, u64 addr, bool file)
{
	struct vm_area *vma = vma_lookup(mm, addr);

	return vma ? vma : vma_make(mm, addr, file);
}

/* dup_mmap() without its page tables: what the child inherits of the parent's VMAs. */
int vmas_duplicate(struct mm *child, struct mm *parent)
{
	for (const struct vm_area *from = vma_tree_first(&parent->vmas); from; from = vma_next(from)) {
		struct vm_area *vma;

		if (from->flags & RF_VM_DONTCOPY)
			continue;
		vma = vma_dup(child->machine, from);
		if (!vma)
			return -ENOMEM;
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
		vma_tree_append(&child->vmas, vma);
	}
	return 0;
}
