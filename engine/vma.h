/* SPDX-License-Identifier: MIT */
/* VMAs of an address space (vma.c). */
#ifndef REFOLD_ENGINE_VMA_H
#define REFOLD_ENGINE_VMA_H

#include "engine/mm.h"

/* Flags of a VMA that no operation carries, above RF_VM_*. */
#define VM_ACCOUNT	0x10000u	/* charged to the commit limit: keeps VMAs of equal protection apart */

static inline struct vm_area *vma_next(const struct vm_area *vma)
{
	return vma->links.next;
}

static inline struct vm_area *vma_prev(const struct vm_area *vma)
{
	return vma->links.prev;
}

/* The VMA that contains addr, or NULL. */
struct vm_area *vma_lookup(struct mm *mm, u64 addr);
/* The first VMA that ends after addr, or NULL. */
struct vm_area *vma_find(struct mm *mm, u64 addr);
/* Insert a copy, merge it with the neighbours as vma_merge() would; the result, or NULL: no memory. */
struct vm_area *vma_insert(struct mm *mm, const struct vm_area *vma);
/* Insert a copy as it is; 0 or -ENOMEM. */
int vma_insert_apart(struct mm *mm, const struct vm_area *vma);
/* Split so that addr is a boundary. 0, or -ENOMEM. */
int vma_split(struct mm *mm, u64 addr);
/* Merge the VMA with its neighbours where the kernel would; what it is part of afterwards. */
struct vm_area *vma_merge(struct mm *mm, struct vm_area *vma);
/* The same for all VMAs of [start, end) and their neighbours, after their flags changed. */
void vma_merge_range(struct mm *mm, u64 start, u64 end);
void vma_remove(struct mm *mm, struct vm_area *vma);
void vma_slabs_destroy(struct rf_machine *machine);
/* anon_vma_prepare() */
void vma_anon_prepare(struct mm *mm, struct vm_area *vma);
/* The VMA of a fault; makes one, and counts an anomaly, where the operations never mapped any. */
struct vm_area *vma_of_fault(struct mm *mm, u64 addr, bool file);
int vmas_duplicate(struct mm *child, struct mm *parent);

/* All go. */
static inline void vmas_clear(struct mm *mm)
{
	struct vm_area *last = vma_tree_last(&mm->vmas);

	if (last) {
		last->links.next = mm->machine->free_vmas;
		mm->machine->free_vmas = vma_tree_first(&mm->vmas);
	}
	mm->vmas = (struct vma_tree){ 0 };
	mm->last_vma = NULL;
}

static inline bool is_cow_mapping(const struct vm_area *vma)
{
	return !(vma->flags & RF_VM_SHARED);	/* VM_MAYWRITE: all private mappings here */
}

#endif
