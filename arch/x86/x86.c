// SPDX-License-Identifier: MIT
/*
 * PTE helpers of x86-64: no contiguous bit, hardware sets A and D. Most are the generic ones of include/linux/pgtable.h.
 * Follows arch/x86/include/asm/pgtable.h and arch/x86/mm/pgtable.c; kernel-model.md 1.4 and 3.6.
 */
#include "arch/x86/x86.h"

static inline void count_lines(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	mm->counters->pte_lines += arch_lines(mm, addr, arch_last_addr(mm, addr, nr));
}

static pte_t x86_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->ptep_get++;
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	return *ptep;
}

static pte_t x86_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->ptep_get_lockless++;
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	return *ptep;
}

static unsigned int x86_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte)
{
	return 1;
}

static inline void set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	count_lines(mm, addr, nr);
	arch_write_ptes(ptep, pte, nr);
	mm->counters->pte_stores += nr;
}

static void x86_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_set_ptes, nr);
	set_ptes(mm, addr, ptep, pte, nr);
}

static void x86_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_pte_clear, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_stores++;
	ptep->val = 0;
}

static inline pte_t get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	count_lines(mm, addr, nr);
	/* ptep_get_and_clear_full(): nobody else walks a dying mm, so a load and a store do. */
	if (full) {
		mm->counters->pte_loads += nr;
		mm->counters->pte_stores += nr;
	} else {
		mm->counters->pte_atomics += nr;
	}
	return arch_take_ptes(ptep, nr);
}

static pte_t x86_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_ptep_get_and_clear, 1);
	return get_and_clear(mm, addr, ptep, 1, false);
}

static void x86_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	arch_count_batch(mm, ARCH_HELPER_clear_full_ptes, nr);
	get_and_clear(mm, addr, ptep, nr, full);
}

static pte_t x86_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	arch_count_batch(mm, ARCH_HELPER_get_and_clear_full_ptes, nr);
	return get_and_clear(mm, addr, ptep, nr, full);
}

static void x86_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += nr;
}

/* The entry is stored only for a write fault, and nothing is flushed: permission was gained. */
static bool x86_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	bool changed = (ptep->val ^ entry.val) & PTE_HW_MASK;

	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_loads++;
	if (changed && dirty) {
		ptep->val = (entry.val & PTE_HW_MASK) | (ptep->val & ~PTE_HW_MASK);
		mm->counters->pte_stores++;
	}
	return changed;
}

/* A remote CPU that still has the old entry takes a spurious fault. */
static void x86_flush_pmd_access(struct arch_mm *mm, u64 addr)
{
}

static bool clear_young(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i, young = 0;

	count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++) {
		young += pte_young(ptep[i]);
		ptep[i] = pte_mkold(ptep[i]);
	}
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += young;
	return young;
}

static bool x86_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_test_and_clear_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr);
}

/* x86 does not flush here: an entry that stays cached costs accuracy of reclaim only. */
static bool x86_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_clear_flush_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr);
}

/* Generic: young alone is cleared in place; dirty goes by get-and-clear and set. */
static void x86_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young,
				       bool dirty)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_clear_young_dirty_ptes, nr);
	if (!dirty) {
		clear_young(mm, addr, ptep, nr);
		return;
	}
	count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++) {
		ptep[i] = pte_mkclean(ptep[i]);
		if (young)
			ptep[i] = pte_mkold(ptep[i]);
	}
	mm->counters->pte_atomics += nr;
	mm->counters->pte_stores += nr;
}

static pte_t x86_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_modify_prot_start_ptes, nr);
	return get_and_clear(mm, addr, ptep, nr, false);
}

static void x86_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte,
					unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_modify_prot_commit_ptes, nr);
	set_ptes(mm, addr, ptep, pte, nr);
}

static pte_t x86_ptep_clear_flush(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte = x86_ptep_get_and_clear(mm, addr, ptep);

	if (pte_valid(pte) || (pte_protnone(pte) && mm->tlb_flush_pending))
		x86_flush_tlb_page(mm, addr, FLUSH_SYNC);
	return pte;
}

static const struct arch_huge_size x86_huge_sizes[] = {
	{ .page_shift = 12, .size_shift = 21, .level = HUGE_LEVEL_PMD, .entries = 1, .getter_loads = 1 },
	{ .page_shift = 12, .size_shift = 30, .level = HUGE_LEVEL_PUD, .entries = 1, .getter_loads = 1 },
	{ 0 },
};

const struct arch_ops x86_ops = {
	.name = "x86",
	.ptep_get = x86_ptep_get,
	.ptep_get_lockless = x86_ptep_get_lockless,
	.pte_batch_hint = x86_pte_batch_hint,
	.set_ptes = x86_set_ptes,
	.pte_clear = x86_pte_clear,
	.ptep_get_and_clear = x86_ptep_get_and_clear,
	.clear_full_ptes = x86_clear_full_ptes,
	.get_and_clear_full_ptes = x86_get_and_clear_full_ptes,
	.wrprotect_ptes = x86_wrprotect_ptes,
	.ptep_set_access_flags = x86_ptep_set_access_flags,
	.flush_pmd_access = x86_flush_pmd_access,
	.test_and_clear_young_ptes = x86_test_and_clear_young_ptes,
	.clear_flush_young_ptes = x86_clear_flush_young_ptes,
	.clear_young_dirty_ptes = x86_clear_young_dirty_ptes,
	.modify_prot_start_ptes = x86_modify_prot_start_ptes,
	.modify_prot_commit_ptes = x86_modify_prot_commit_ptes,
	.ptep_clear_flush = x86_ptep_clear_flush,
	.pte_needs_flush = x86_pte_needs_flush,
	.flush_tlb_range = x86_flush_tlb_range,
	.flush_tlb_page = x86_flush_tlb_page,
	.flush_tlb_mm = x86_flush_tlb_mm,
	.tlb_flush = x86_tlb_flush,
	.tlbbatch_add_pending = x86_tlbbatch_add_pending,
	.tlbbatch_flush = x86_tlbbatch_flush,
	.flush_tlb_batched_pending = x86_flush_tlb_batched_pending,
	.flush_tlb_fix_spurious_fault = x86_flush_tlb_fix_spurious_fault,
	.huge_sizes = x86_huge_sizes,
	.merges_vmas = true,
};
