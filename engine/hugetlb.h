/* SPDX-License-Identifier: MIT */
/* What is done to huge pages of hugetlb, and what it costs (hugetlb.c); where they are: huge_pages.h. */
#ifndef REFOLD_ENGINE_HUGETLB_H
#define REFOLD_ENGINE_HUGETLB_H

#include "engine/huge_pages.h"
#include "engine/tlb.h"

/* huge_ptep_get() */
void huge_page_read(struct mm *mm, const struct huge_page *page, enum rf_site site);
/* __unmap_hugepage_range() */
void unmap_huge_pages(struct mmu_gather *tlb, u64 start, u64 end);
/* copy_hugetlb_page_range() */
void copy_huge_pages(struct mm *parent, struct mm *child, const struct vm_area *vma);
/* hugetlb_change_protection() of a whole VMA, to what its flags say */
void change_huge_pages(struct mm *mm, const struct vm_area *vma);
/* move_hugetlb_page_tables(): the pages of [start, end) go to where to is start. */
void move_huge_pages(struct mm *mm, u64 start, u64 end, u64 to);
/* vma_split() of any VMA, and what hugetlb has to do before; gathers: a gather is open. 0, or -ENOMEM. */
int split_vma(struct mm *mm, u64 addr, bool gathers);
/* userfaultfd is to see what happens to entries: each address space gets tables of its own. */
void hugetlb_unshare_all_pmds(struct mm *mm, const struct vm_area *vma);

#endif
