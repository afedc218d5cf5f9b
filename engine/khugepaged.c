// SPDX-License-Identifier: MIT
/*
 * Tables become PMD mappings: collapse_huge_page() of mm/khugepaged.c;
 * kernel-model.md 4.9.
 */
#include <errno.h>

#include "engine/allocation.h"
#include "engine/folio.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/tlb.h"

/* Four walks over a table of anonymous memory look at every entry of it. */
static void read_each(struct mm *mm, u64 addr, pte_t *table, enum rf_site site)
{
	u32 i;

	for (i = 0; i < ptrs_per_pte(mm); i++, addr += page_size(mm))
		read_pte(mm, addr, &table[i], site);
}

/* collapse_scan_pmd(), and __collapse_huge_page_swapin() if that saw a swap entry: while others use the table. */
static void look_before_collapse(struct mm *mm, u64 addr, pte_t *table)
{
	bool swapped = false;
	u32 i;

	read_each(mm, addr, table, RF_SITE_khugepaged_scan);
	for (i = 0; i < ptrs_per_pte(mm); i++)
		swapped |= pte_swap(table[i]);
	for (i = 0; swapped && i < ptrs_per_pte(mm); i++)
		read_pte_lockless(mm, addr + i * page_size(mm), &table[i], RF_SITE_khugepaged_swapin);
}

/* __collapse_huge_page_copy_succeeded(), on the table nobody can walk any more. */
static void clear_collapsed(struct mm *mm, u64 addr, pte_t *table)
{
	const struct arch_ops *ops = mm->arch.ops;
	unsigned int shift = mm->arch.geometry->page_shift;
	u32 i, nr;

	for (i = 0; i < ptrs_per_pte(mm); i += nr) {
		u64 at = addr + ((u64)i << shift);
		struct pte_batch seen = { 0 };
		pte_t pte = read_pte(mm, at, &table[i], RF_SITE_khugepaged_clear);

		nr = 1;
		if (pte_none(pte))
			continue;
		if (!pte_present(pte)) {
			ops->pte_clear(&mm->arch, at, &table[i]);
			continue;
		}
		if (mm_knobs(mm)->batch_collapse && pte_folio_order(pte)) {
			nr = folio_pte_batch(mm, at, &table[i], pte, ptrs_per_pte(mm) - i, FPB_NORECENCY, &seen);
			folio_remove_rmap(mm, pte, nr);
			count_run(mm, RF_RUN_batch_collapse, nr, true);
			ops->clear_full_ptes(&mm->arch, at, &table[i], nr, false);
		} else {
			folio_remove_rmap(mm, pte, 1);
			if (mm_knobs(mm)->batch_collapse)
				count_run(mm, RF_RUN_batch_collapse, 1, false);
			ops->ptep_get_and_clear(&mm->arch, at, &table[i]);
		}
	}
}

/* __collapse_huge_page_copy(): pages of zeroes and none are cleared. What a file's folio holds was copied before. */
static void count_collapsed(struct mm *mm, const pte_t *table)
{
	u32 i, copied = 0;

	for (i = 0; table && i < ptrs_per_pte(mm); i++)
		copied += !pte_none(table[i]) && !pte_special(table[i]);
	mm->arch.counters->folios_allocated++;
	mm->arch.counters->pages_copied += copied;
	mm->arch.counters->pages_zeroed += ptrs_per_pte(mm) - copied;
}

void op_collapse(struct mm *mm, const struct rf_op *op)
{
	u64 addr = ALIGN_DOWN(op->addr, pmd_size(mm));
	struct vm_area *vma = vma_of_fault(mm, op->addr, false);
	pmd_t *pmd = pmd_alloc(mm, addr);
	bool anon;
	pte_t entry;

	if (!vma || !pmd)
		return;
	if (addr < vma->start || addr + pmd_size(mm) > vma->end) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	anon = !vma->file && !(vma->flags & RF_VM_SHARED);
	if (anon)
		vma_anon_prepare(mm, vma);
	if (anon && pmd_table(*pmd))
		look_before_collapse(mm, addr, pte_offset(mm, pmd, addr));
	if (anon)
		count_collapsed(mm, pmd_table(*pmd) ? pte_offset(mm, pmd, addr) : NULL);
	/* pmdp_collapse_flush(): before any entry is copied. */
	flush_tlb_range(mm, addr, addr + pmd_size(mm));
	if (pmd_leaf(*pmd)) {
		count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
	} else if (pmd_table(*pmd)) {
		pte_t *table = pte_offset(mm, pmd, addr);

		pmd->val = 0;
		if (anon) {
			read_each(mm, addr, table, RF_SITE_khugepaged_isolate);
			read_each(mm, addr, table, RF_SITE_khugepaged_copy);
		}
		clear_collapsed(mm, addr, table);
		if (!anon)
			mm->arch.counters->tables_freed++;	/* else it is deposited */
		table_free(mm->machine->tables, table);
	}
	entry = mk_pte(vma, op->pfn, op->order, anon ? PTE_ANON | PTE_EXCLUSIVE :
		       op->flags & RF_OP_SHMEM || vma->flags & RF_VM_SHMEM ? PTE_SHMEM : 0);
	if (anon)
		entry = maybe_mkwrite(pte_mkdirty(entry), vma);
	set_pmd_leaf(pmd, entry);
	folio_add_rmap(mm, entry, ptrs_per_pte(mm));
	update_mmu_cache(mm, op->addr, 1);
}
