// SPDX-License-Identifier: MIT
/* PMD mappings become tables: __split_huge_pmd_locked() of mm/huge_memory.c; kernel-model.md 4.11. */
#include <errno.h>

#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/pgtable.h"
#include "engine/tlb.h"

/* __split_huge_zero_page_pmd() */
static void fill_zero_ptes(struct mm *mm, u64 addr, pte_t *table, pte_t pte)
{
	u32 i;

	pte.val &= ~PTE_ORDER_MASK;
	for (i = 0; i < ptrs_per_pte(mm); i++)
		set_pte_at(mm, addr + ((u64)i << mm->arch.geometry->page_shift), &table[i], pte);
}

static void fill_ptes(struct mm *mm, u64 addr, pte_t *table, pte_t pte)
{
	u32 i;

	/* Migration entries are written one by one in every era. */
	if (mm_knobs(mm)->pmd_split_set_ptes && pte_present(pte)) {
		mm->arch.ops->set_ptes(&mm->arch, addr, table, pte, ptrs_per_pte(mm));
		return;
	}
	for (i = 0; i < ptrs_per_pte(mm); i++)
		set_pte_at(mm, addr + ((u64)i << mm->arch.geometry->page_shift), &table[i], pte_advance_pfn(pte, i));
}

/*
 * The leaf is invalidated and flushed, its entries are written to the table that was deposited for this, then the table
 * takes its place. A file's leaf just goes: faults bring its pages back. Until 6.3 the page was dirty, no entry of it
 * (mk_pte(), and pte_mkwrite() as stable kernels have it: it leaves a clean entry clean).
 */
int split_huge_pmd(struct mm *mm, const struct vm_area *vma, pmd_t *pmd, u64 addr)
{
	pte_t pte = pmd_pte(*pmd);
	u64 start = ALIGN_DOWN(addr, pmd_size(mm));
	pte_t *table;

	pmd->val = 0;
	mm->arch.counters->pmd_splits++;
	if (pte_present(pte))
		flush_pmd_tlb_range(mm, start, start + pmd_size(mm));
	if (!(pte.val & PTE_ANON) && !pte_special(pte))
		return 0;
	table = table_alloc(mm->machine->tables);
	if (!table) {
		mm->machine->error = -ENOMEM;
		return -ENOMEM;
	}
	pmd->val = (uintptr_t)table;
	if (pte_special(pte))
		fill_zero_ptes(mm, start, table, pte);
	else if (pte_present(pte) && !mm_knobs(mm)->pmd_split_dirty)
		fill_ptes(mm, start, table, pte_mkclean(pte));
	else
		fill_ptes(mm, start, table, pte);
	return 0;
}
