/* SPDX-License-Identifier: MIT */
/*
 * Helpers of entries that stand for themselves: what include/linux/pgtable.h gives an architecture that brings none of
 * its own. Private to arch/: a backend puts those that fit into its table, and writes the others.
 */
#ifndef REFOLD_ARCH_PLAIN_H
#define REFOLD_ARCH_PLAIN_H

#include "arch/entry.h"

pte_t plain_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep);
pte_t plain_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep);
/* Always 1. */
unsigned int plain_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte);
void plain_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr);
void plain_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep);
/* An xchg for each entry. */
pte_t plain_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep);
void plain_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full);
pte_t plain_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full);
pte_t plain_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
void plain_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte, unsigned int nr);
/* A load each, and an atomic for those that were young; no flush: what stays cached costs accuracy of reclaim only. */
bool plain_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
bool plain_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
void plain_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty);
pte_t plain_ptep_clear_flush(struct arch_mm *mm, u64 addr, pte_t *ptep);
/* The entry becomes what is wanted, but for the facts about its page; did anything change? Counts nothing. */
bool plain_widen(pte_t *ptep, pte_t entry);
/* A last-level flush of the page at addr. */
void plain_flush_tlb_page(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode);
/* pte_needs_flush(): always. */
bool plain_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new);
/* Reclaim notes only on which CPUs the mm may have left entries. */
void plain_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr);
/* All of the mm, if anything is pending. */
void plain_flush_tlb_batched_pending(struct arch_mm *mm);

static inline void arch_count_lines(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	mm->counters->pte_lines += arch_lines(mm, addr, arch_last_addr(mm, addr, nr));
}

#endif
