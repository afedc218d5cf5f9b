/* SPDX-License-Identifier: MIT */
/*
 * Inside of the arm64 backend: arm64.c has the public helpers, contpte.c what
 * they do to folded blocks, tlbflush.c what flushes cost.
 */
#ifndef REFOLD_ARCH_ARM64_ARM64_H
#define REFOLD_ARCH_ARM64_ARM64_H

#include "arch/entry.h"

extern const struct arch_ops arm64_ops;

/* ---- hugetlb.c ---- */

extern const struct arch_huge_size arm64_huge_sizes[];

/* ---- tlbflush.c ---- */

/* All that one flush call issues. */
struct arm64_flush_cost {
	u64 tlbi_va, tlbi_range, tlbi_asid, tlbi_repeat, tlbi_local, tlbi_walk, pages;
	u64 dsb_ishst, dsb_ish, dsb_nsh;
};

/* Pure: the cost of a flush (NULL: flush_tlb_mm) under these knobs. Also says what another CPU would pay. */
void arm64_flush_cost(const struct arch_knobs *knobs, const struct arch_geometry *geometry,
		      const struct arch_flush *flush, struct arm64_flush_cost *cost);

void arm64_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush);
void arm64_flush_tlb_page(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode);
void arm64_flush_tlb_mm(struct arch_mm *mm);
void arm64_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables);
void arm64_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr);
void arm64_tlbbatch_flush(struct arch_mm *mm);
void arm64_flush_tlb_batched_pending(struct arch_mm *mm);
void arm64_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr);
bool arm64_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new);

/* ---- contpte.c: entries of which at least one is valid and CONT, or may become so ---- */

pte_t contpte_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep);
pte_t contpte_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep);
void contpte_unfold(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte);
void contpte_try_fold(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, bool unfolded);
/* Unfold the blocks that [addr, +nr) covers in part; the addresses of the first and last entry touched. */
void contpte_unfold_partial(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, u64 *first, u64 *last);
void contpte_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr);
/* ptep_get_and_clear_full() of v1 and v2 for an entry of a folded block whose address space goes. */
pte_t contpte_clear_exiting(struct arch_mm *mm, u64 addr, pte_t *ptep);
void contpte_count_erased(struct arch_mm *mm, u64 addr, const pte_t *ptep, unsigned int nr);
void contpte_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
bool contpte_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty);
/* Widen [addr, +nr) to whole blocks where its ends are folded: 2 loads. */
void contpte_align_range(struct arch_mm *mm, u64 *addr, pte_t **ptep, unsigned int *nr);

/* ---- arm64.c: one entry or a run, no regard for blocks ---- */

/* Count nr stores of pte. 6.12's valid PROT_NONE blocks look like kernel entries, whose stores end in DSB and ISB. */
static inline void arm64_count_stores(struct arch_mm *mm, pte_t pte, unsigned int nr)
{
	const u64 mask = PTE_VALID | PTE_PROTNONE | PTE_EXEC;

	mm->counters->pte_stores += nr;
	if (unlikely((pte.val & mask) == (PTE_VALID | PTE_PROTNONE))) {
		mm->counters->dsb += nr;
		mm->counters->dsb_ishst += nr;
		mm->counters->isb += nr;
	}
}

bool arm64_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty);
void arm64_wrprotect_run(struct arch_mm *mm, pte_t *ptep, unsigned int nr);

/* Position of an entry in its block. */
static inline unsigned int cont_index(const struct arch_mm *mm, u64 addr)
{
	return (addr >> mm->geometry->page_shift) & (mm->geometry->cont_ptes - 1);
}

static inline u64 cont_size(const struct arch_mm *mm)
{
	return (u64)mm->geometry->cont_ptes << mm->geometry->page_shift;
}

#endif
