/* SPDX-License-Identifier: MIT */
/* What PMDs map, and large folios, taken apart (huge_memory.c, migrate.c). */
#ifndef REFOLD_ENGINE_HUGE_MM_H
#define REFOLD_ENGINE_HUGE_MM_H

#include "engine/mm.h"

/* __split_huge_pmd() of the leaf at *pmd, which maps addr. -ENOMEM sets the machine's error. */
int split_huge_pmd(struct mm *mm, const struct vm_area *vma, pmd_t *pmd, u64 addr);

/* split_folio(): all entries of the folio that *ptep maps a page of are those of smaller folios afterwards. */
void split_folio_ptes(struct mm *mm, const struct vm_area *vma, u64 addr, pte_t *ptep, unsigned int new_order);
/* The same for a folio mapped by a PMD: afterwards *pmd is a table. -ENOMEM as above. */
int split_huge_folio(struct mm *mm, const struct vm_area *vma, pmd_t *pmd, u64 addr, unsigned int new_order);

#endif
