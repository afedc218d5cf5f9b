/* SPDX-License-Identifier: MIT */
/* The reverse map (rmap.c): what reclaim, migration and write-back share. */
#ifndef REFOLD_ENGINE_RMAP_H
#define REFOLD_ENGINE_RMAP_H

#include "engine/mm.h"

pte_t *rmap_pte(struct mm *mm, u64 addr);
/* The operation is about all that the leaf at its address maps. */
bool covers_leaf(struct mm *mm, const struct rf_op *op, const pmd_t *pmd);
/* page_vma_mapped_walk() arrives at an entry; first: the one it takes the lock for. */
void rmap_walk_reads(struct mm *mm, u64 addr, pte_t *ptep, bool first);
/* Does a walk that has visited so many entries start anew at addr? */
bool rmap_walk_begins(struct mm *mm, u64 addr, u32 done);
u32 rmap_run_limit(struct mm *mm, u64 addr, u32 left);
/* should_defer_flush() */
bool should_defer_flush(const struct mm *mm, bool other_cpus);
/* try_to_unmap_flush() */
void try_to_unmap_flush(struct mm *mm);
bool defers_flush(const struct mm *mm, const struct rf_op *op);
pte_t unmap_clear_run(struct mm *mm, u64 addr, pte_t *ptep, u32 nr, bool defer);

#endif
