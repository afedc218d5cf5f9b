// SPDX-License-Identifier: MIT
/*
 * Runs of entries that map one folio: folio_pte_batch() of mm/internal.h and
 * what all walks over a table share; kernel-model.md 4.0. What a machine knows
 * of folios is in the entries themselves.
 */
#include <string.h>

#include "engine/folio.h"
#include "engine/readers.h"
#include "engine/tables.h"

/* Runs of empty entries are the bulk of sparse tables. */
u32 skip_none_ptes(struct mm *mm, const pte_t *ptep, u32 max_nr, enum rf_site site)
{
	u32 nr = table_skip_none(&ptep->val, max_nr);

	if (nr)
		read_none_ptes(mm, nr, site);
	return nr;
}

void set_pte_at(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte)
{
	mm->arch.ops->set_ptes(&mm->arch, addr, ptep, pte, 1);
}

/* Pages of one folio agree in these; pages of others may follow it in memory. */
#define FOLIO_FACTS (PTE_ORDER_MASK | PTE_ANON | PTE_SHMEM)

/* __pte_batch_clear_ignored(): what must match along a run. */
static u64 batch_bits(pte_t pte, unsigned int flags)
{
	u64 bits = pte.val & (PTE_HW_MASK | FOLIO_FACTS) & ~(PTE_AF | PTE_DIRTY | PTE_WRITE | PTE_RDONLY);

	if ((flags & FPB_RESPECT_DIRTY) && pte_dirty(pte))
		bits |= PTE_DIRTY;
	if ((flags & FPB_RESPECT_WRITE) && pte_write(pte))
		bits |= PTE_WRITE;
	return bits;
}

/* What must match under the policy's rule; folio_nr_pages_cont_mapped() of v3 and v2 was the first of its kind. */
static u64 rule_bits(enum rf_batch_rule rule, pte_t pte, unsigned int flags)
{
	if (rule == BATCH_RULE_V3)
		return pte.val & (PTE_VALID | PTE_PROTNONE | PTE_UFFD | PTE_PFN_MASK | FOLIO_FACTS);
	if (rule == BATCH_RULE_V2)
		flags = FPB_RESPECT_WRITE;
	return batch_bits(pte, flags);
}

u32 folio_pte_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr, unsigned int flags,
		    struct pte_batch *seen)
{
	enum rf_site site = flags & FPB_NORECENCY ? RF_SITE_batch_compare : RF_SITE_batch_merge;
	const struct arch_ops *ops = mm->arch.ops;
	enum rf_batch_rule rule = mm_knobs(mm)->batch_rule;
	u64 left = (1ull << pte_folio_order(pte)) - (pte_pfn(pte) - pte_folio_pfn(pte));
	u64 expected = rule_bits(rule, pte, flags);
	u32 nr;

	if (left < max_nr)
		max_nr = left;
	nr = ops->pte_batch_hint(&mm->arch, addr, pte);
	while (nr < max_nr && rule != BATCH_RULE_HINT) {
		u64 at = addr + ((u64)nr << mm->arch.geometry->page_shift);
		pte_t next = read_pte(mm, at, ptep + nr, site);

		if (!pte_present(next))
			break;
		if (rule_bits(rule, next, flags) != expected + ((u64)nr << PTE_PFN_SHIFT))
			break;
		seen->any_writable |= pte_write(next);
		seen->any_young |= pte_young(next);
		seen->any_dirty |= pte_dirty(next);
		nr += ops->pte_batch_hint(&mm->arch, at, next);
	}
	return nr < max_nr ? nr : max_nr;
}

/* Swap entries of consecutive slots, alike otherwise. */
u32 swap_pte_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr)
{
	u64 expected = pte.val & PTE_HW_MASK;
	u32 nr = 1;

	while (nr < max_nr) {
		pte_t next = read_pte(mm, addr + ((u64)nr << mm->arch.geometry->page_shift), ptep + nr,
				      RF_SITE_swap_batch);

		if ((next.val & PTE_HW_MASK) != expected + ((u64)nr << PTE_PFN_SHIFT) ||
		    ((next.val ^ pte.val) & PTE_EXCLUSIVE))
			break;
		nr++;
	}
	return nr;
}

void exclusive_save(struct exclusive_run *run, const pte_t *ptep, u32 nr)
{
	u64 any = 0, all = PTE_EXCLUSIVE;
	u32 i;

	for (i = 0; i < nr; i++) {
		any |= ptep[i].val & PTE_EXCLUSIVE;
		all &= ptep[i].val;
	}
	run->mixed = any != all;
	if (!run->mixed)
		return;
	memset(run->bits, 0, (nr + 63) / 64 * sizeof(*run->bits));
	for (i = 0; i < nr; i++)
		if (ptep[i].val & PTE_EXCLUSIVE)
			run->bits[i / 64] |= BIT_ULL(i % 64);
}

void exclusive_restore(const struct exclusive_run *run, pte_t *ptep, u32 nr)
{
	u32 i;

	if (!run->mixed)
		return;
	for (i = 0; i < nr; i++) {
		ptep[i].val &= ~PTE_EXCLUSIVE;
		if (run->bits[i / 64] & BIT_ULL(i % 64))
			ptep[i].val |= PTE_EXCLUSIVE;
	}
}
