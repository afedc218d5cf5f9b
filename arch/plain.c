// SPDX-License-Identifier: MIT
/* Helpers of entries that stand for themselves, as include/linux/pgtable.h has them. */
#include "arch/plain.h"

pte_t plain_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->ptep_get++;
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	return *ptep;
}

pte_t plain_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->ptep_get_lockless++;
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	return *ptep;
}

unsigned int plain_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte)
{
	return 1;
}

static inline void set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	arch_count_lines(mm, addr, nr);
	arch_write_ptes(ptep, pte, nr);
	mm->counters->pte_stores += nr;
}

void plain_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_set_ptes, nr);
	set_ptes(mm, addr, ptep, pte, nr);
}

void plain_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_pte_clear, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_stores++;
	ptep->val = 0;
}

static inline pte_t get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_lines(mm, addr, nr);
	mm->counters->pte_atomics += nr;
	return arch_take_ptes(ptep, nr);
}

pte_t plain_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_ptep_get_and_clear, 1);
	return get_and_clear(mm, addr, ptep, 1);
}

void plain_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	arch_count_batch(mm, ARCH_HELPER_clear_full_ptes, nr);
	get_and_clear(mm, addr, ptep, nr);
}

pte_t plain_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	arch_count_batch(mm, ARCH_HELPER_get_and_clear_full_ptes, nr);
	return get_and_clear(mm, addr, ptep, nr);
}

pte_t plain_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_modify_prot_start_ptes, nr);
	return get_and_clear(mm, addr, ptep, nr);
}

void plain_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_modify_prot_commit_ptes, nr);
	set_ptes(mm, addr, ptep, pte, nr);
}

static bool clear_young(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i, young = 0;

	arch_count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++) {
		young += pte_young(ptep[i]);
		ptep[i] = pte_mkold(ptep[i]);
	}
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += young;
	return young;
}

bool plain_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_test_and_clear_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr);
}

bool plain_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_clear_flush_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr);
}

/* Young alone is cleared in place; dirty goes by get-and-clear and set. */
void plain_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_clear_young_dirty_ptes, nr);
	if (!dirty) {
		clear_young(mm, addr, ptep, nr);
		return;
	}
	arch_count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++) {
		ptep[i] = pte_mkclean(ptep[i]);
		if (young)
			ptep[i] = pte_mkold(ptep[i]);
	}
	mm->counters->pte_atomics += nr;
	mm->counters->pte_stores += nr;
}

pte_t plain_ptep_clear_flush(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte = mm->ops->ptep_get_and_clear(mm, addr, ptep);

	if (pte_valid(pte) || (pte_protnone(pte) && mm->tlb_flush_pending))
		mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
	return pte;
}

bool plain_widen(pte_t *ptep, pte_t entry)
{
	bool changed = (ptep->val ^ entry.val) & PTE_HW_MASK;

	ptep->val = (entry.val & PTE_HW_MASK) | (ptep->val & ~PTE_HW_MASK);
	return changed;
}

void plain_flush_tlb_page(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode)
{
	arch_flush_ptes(mm, ALIGN_DOWN(addr, 1ull << mm->geometry->page_shift), 1, mode);
}

bool plain_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new)
{
	return true;
}

void plain_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	mm->tlbbatch_pending++;
}

void plain_flush_tlb_batched_pending(struct arch_mm *mm)
{
	if (!mm->tlbbatch_pending)
		return;
	mm->tlbbatch_pending = 0;
	mm->ops->flush_tlb_mm(mm);
}
