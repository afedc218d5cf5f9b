/* SPDX-License-Identifier: MIT */
/* VMAs of an address space (vma.c). */
#ifndef REFOLD_ENGINE_VMA_H
#define REFOLD_ENGINE_VMA_H

#include "engine/mm.h"

/* Flags of a VMA that no operation carries, above RF_VM_*. */
#define VM_ACCOUNT	0x10000u	/* charged to the commit limit: keeps VMAs of equal protection apart */

struct vm_area {
	u64 start, end;
	u64 pgoff;
	u64 file;			/* 0: anonymous */
	u64 attributes;			/* RF_ATTRIBUTE_* */
	u32 flags;			/* RF_VM_*, VM_ACCOUNT */
	u32 anon_vma;			/* 0: none yet */
	bool anon_chain_shared;		/* anon_vma_chain is not singular: inherited by fork */
};

/* The VMA that contains addr, or NULL. Pointers are good until the next insertion or removal. */
struct vm_area *vma_lookup(struct mm *mm, u64 addr);
/* Index of the first VMA that ends after addr; nr_vmas if there is none. */
u32 vma_find(struct mm *mm, u64 addr);
/* Insert, merge with the neighbours as vma_merge() would; index of the result, or negative errno. */
int vma_insert(struct mm *mm, const struct vm_area *vma);
/* Insert as it is; 0 or negative errno. */
int vma_insert_apart(struct mm *mm, const struct vm_area *vma);
/* Split so that addr is a boundary. 0, or -ENOMEM. */
int vma_split(struct mm *mm, u64 addr);
/* Merge the VMA at index with its neighbours where the kernel would; its index afterwards. */
u32 vma_merge(struct mm *mm, u32 index);
/* The same for all VMAs of [start, end) and their neighbours, after their flags changed. */
void vma_merge_range(struct mm *mm, u64 start, u64 end);
void vma_remove(struct mm *mm, u32 first, u32 nr);
/* anon_vma_prepare() */
void vma_anon_prepare(struct mm *mm, struct vm_area *vma);
/* The VMA of a fault; makes one, and counts an anomaly, where the operations never mapped any. */
struct vm_area *vma_of_fault(struct mm *mm, u64 addr, bool file);
int vmas_duplicate(struct mm *child, struct mm *parent);

static inline bool is_cow_mapping(const struct vm_area *vma)
{
	return !(vma->flags & RF_VM_SHARED);	/* VM_MAYWRITE: all private mappings here */
}

#endif
