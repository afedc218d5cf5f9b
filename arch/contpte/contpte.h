/* SPDX-License-Identifier: MIT */
/*
 * Entries that fold into contiguous blocks: arm64's contpte, for every backend whose entries do the same. Of an
 * architecture it needs the flushes in the table of the mm it is called for, nothing else. Private to arch/: folding.c
 * has the helpers for a backend's table, contpte.c what they do to folded blocks, convert.c what folds and unfolds.
 */
#ifndef REFOLD_ARCH_CONTPTE_CONTPTE_H
#define REFOLD_ARCH_CONTPTE_CONTPTE_H

#include "arch/entry.h"

/* ---- folding.c: the helpers that core mm calls; contracts in struct arch_ops ---- */

pte_t folding_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep);
pte_t folding_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep);
unsigned int folding_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte);
void folding_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr);
void folding_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep);
pte_t folding_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep);
void folding_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full);
pte_t folding_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full);
void folding_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
bool folding_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty);
bool folding_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
bool folding_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
void folding_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty);
pte_t folding_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
void folding_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte, unsigned int nr);

/* The same as a table, of which only these are filled in: for a backend whose entries fold under some policies only. */
extern const struct arch_ops folding_helpers;

/* ---- knobs.c: to stand beside what the backend has ---- */

extern const struct knob contpte_knobs[];

/* A row for the assumptions of a backend that has them; and whether it holds. */
bool contpte_splits_refault(const struct arch_knobs *knobs);
#define CONTPTE_ASSUMPTION \
	{ contpte_splits_refault, "split_refaults", \
	  "what unfold_free_split clears is used again at once, all of it: faults are an upper bound, no recording tells" }

/* ---- convert.c: blocks that fold and unfold ---- */

/* Lines of a scan that took so many loads from the start of the block, and of the entry at addr itself. */
u64 contpte_scan_lines(const struct arch_mm *mm, u64 addr, unsigned int loads);
void contpte_unfold(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte);
void contpte_try_fold(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, bool unfolded);
/* fold_block of struct arch_ops. */
void contpte_fold_block(struct arch_mm *mm, u64 addr, pte_t *ptep);
/* Unfold the blocks that [addr, +nr) covers in part; the addresses of the first and last entry touched. */
void contpte_unfold_partial(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, u64 *first, u64 *last);

/* ---- contpte.c: entries of which at least one is valid and CONT, or may become so ---- */

pte_t contpte_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep);
pte_t contpte_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep);
void contpte_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr);
/* ptep_get_and_clear_full() of v1 and v2 for an entry of a folded block whose address space goes. */
pte_t contpte_clear_exiting(struct arch_mm *mm, u64 addr, pte_t *ptep);
void contpte_count_erased(struct arch_mm *mm, u64 addr, const pte_t *ptep, unsigned int nr);
void contpte_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
bool contpte_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty);
/* Widen [addr, +nr) to whole blocks where its ends are folded: 2 loads. */
void contpte_align_range(struct arch_mm *mm, u64 *addr, pte_t **ptep, unsigned int *nr);

/* ---- folding.c: one entry or a run, no regard for blocks ---- */

/* Count nr stores of pte. 6.12's valid PROT_NONE blocks look like kernel entries, whose stores end in DSB and ISB. */
static inline void bare_count_stores(struct arch_mm *mm, pte_t pte, unsigned int nr)
{
	const u64 mask = PTE_VALID | PTE_PROTNONE | PTE_EXEC;

	mm->counters->pte_stores += nr;
	if (unlikely((pte.val & mask) == (PTE_VALID | PTE_PROTNONE))) {
		mm->counters->dsb += nr;
		mm->counters->dsb_ishst += nr;
		mm->counters->isb += nr;
	}
}

bool bare_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty);
void bare_wrprotect_run(struct arch_mm *mm, pte_t *ptep, unsigned int nr);

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
