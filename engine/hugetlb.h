/* SPDX-License-Identifier: MIT */
/*
 * Huge pages of hugetlb: a list for each address space, apart from the radix.
 * A huge page may be a few entries of any level, all of which the readers of
 * kernel-model.md section 6 visit in the same way; upper levels of the radix
 * know tables only.
 *
 * What is followed is what GUP walks, and what mapping and unmapping cost;
 * neither the page-table pages of hugetlb, nor mprotect() of huge pages.
 */
#ifndef REFOLD_ENGINE_HUGETLB_H
#define REFOLD_ENGINE_HUGETLB_H

#include "engine/tlb.h"
#include "engine/vma.h"

struct huge_page {
	u64 addr;
	const struct arch_huge_size *size;
	pte_t *entries;			/* size->entries of them */
};

static inline u64 huge_page_size(const struct huge_page *page)
{
	return 1ull << page->size->size_shift;
}

/* What one of its entries maps. */
static inline u64 huge_entry_size(const struct huge_page *page)
{
	return huge_page_size(page) / page->size->entries;
}

/* The first huge page that ends after addr, or NULL. */
struct huge_page *huge_page_next(struct mm *mm, u64 addr);
/* huge_ptep_get() */
void huge_page_read(struct mm *mm, const struct huge_page *page, enum rf_site site);
/* __unmap_hugepage_range() */
void unmap_huge_pages(struct mmu_gather *tlb, u64 start, u64 end);
/* copy_hugetlb_page_range() */
void copy_huge_pages(struct mm *parent, struct mm *child, const struct vm_area *vma);
/* move_hugetlb_page_tables(): the pages of [start, end) go to where to is start. */
void move_huge_pages(struct mm *mm, u64 start, u64 end, u64 to);
/* All huge pages go, without any cost: the end of an mm. */
void huge_pages_destroy(struct mm *mm);

#endif
