/* SPDX-License-Identifier: MIT */
/*
 * Huge pages of hugetlb: a list for each address space, apart from the radix.
 * A huge page may be a few entries of any level, all of which the readers of
 * kernel-model.md section 6 visit in the same way; upper levels of the radix
 * know tables only. A PMD table that several address spaces share is a list of
 * its own (section 6.5).
 *
 * What is followed is what GUP walks, and what mapping, protecting and
 * unmapping cost; not the page-table pages of hugetlb. Nothing here costs
 * anything: hugetlb.c does that.
 */
#ifndef REFOLD_ENGINE_HUGE_PAGES_H
#define REFOLD_ENGINE_HUGE_PAGES_H

#include "engine/vma.h"

struct huge_page {
	u64 addr;			/* in a list of a shared table: from its beginning */
	const struct arch_huge_size *size;
	pte_t *entries;			/* size->entries of them; the list's */
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

/* The first huge page that ends after addr; false: there is none. */
bool huge_page_next(struct mm *mm, u64 addr, struct huge_page *page);
/* Entries of none, where no huge page is. false: no memory, which is the machine's error. */
bool huge_page_insert(struct mm *mm, u64 addr, const struct arch_huge_size *size, struct huge_page *page);
/* Those of [start, end) go, of tables that nobody else has, too. */
void huge_pages_remove(struct mm *mm, u64 start, u64 end);
/* All huge pages go, without any cost: the end of an mm. */
void huge_pages_destroy(struct mm *mm);

/* ---- PMD tables that are shared --------------------------------------------- */

/*
 * huge_pmd_share(), before the first page of what an entry of the PUD maps: with who maps the same of the file alike.
 * In any case others can share it from then on. Nothing where want_pmd_share() says so.
 */
void huge_pmd_share(struct mm *mm, const struct vm_area *vma, u64 addr, const struct arch_huge_size *size);
/* How many have the table that maps addr; 0: it is not one that could be shared. */
u32 huge_pmd_users(struct mm *mm, u64 addr);
/* It goes from this address space. How many still have it. */
u32 huge_pmd_drop(struct mm *mm, u64 addr);
/* hugetlb_free_pgd_range(): those that nobody else has go with the mappings of [start, end). */
void huge_pmds_free(struct mm *mm, u64 start, u64 end);

#endif
