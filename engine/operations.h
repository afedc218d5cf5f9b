/* SPDX-License-Identifier: MIT */
/* The functions that do operations; dispatch.c calls them. */
#ifndef REFOLD_ENGINE_OPERATIONS_H
#define REFOLD_ENGINE_OPERATIONS_H

#include "engine/mm.h"

void op_fault_anon(struct mm *mm, const struct rf_op *op);
void op_fault_zero(struct mm *mm, const struct rf_op *op);
void op_fault_file(struct mm *mm, const struct rf_op *op);
void op_fault_cow(struct mm *mm, const struct rf_op *op);
void op_fault_reuse(struct mm *mm, const struct rf_op *op);
void op_fault_swap(struct mm *mm, const struct rf_op *op);
void op_fault_none(struct mm *mm, const struct rf_op *op);
void op_fault_hugetlb(struct mm *mm, const struct rf_op *op);

int op_map(struct mm *mm, const struct rf_op *op);
int op_vma_flags(struct mm *mm, const struct rf_op *op);
void op_vma_grow(struct mm *mm, const struct rf_op *op);
void op_vma_expand(struct mm *mm, const struct rf_op *op);
int op_munmap(struct mm *mm, const struct rf_op *op);
void op_zap(struct mm *mm, const struct rf_op *op);
int op_fork(struct mm *parent, struct mm *child);

int op_mprotect(struct mm *mm, const struct rf_op *op);
int op_mremap(struct mm *mm, const struct rf_op *op);
int op_exec_stack(struct mm *mm, const struct rf_op *op);
void op_madv_free(struct mm *mm, const struct rf_op *op);
void op_madv_cold(struct mm *mm, const struct rf_op *op);
void op_madv_pageout(struct mm *mm, const struct rf_op *op);

void op_unmap(struct mm *mm, const struct rf_op *op);
void op_mkclean(struct mm *mm, const struct rf_op *op);
void op_reclaim_flush(struct mm *mm, const struct rf_op *op);
void op_migrate_out(struct mm *mm, const struct rf_op *op);
void op_migrate_in(struct mm *mm, const struct rf_op *op);
void op_folio_split(struct mm *mm, const struct rf_op *op);
void op_collapse(struct mm *mm, const struct rf_op *op);

/* gup.c */
void op_gup_slow(struct mm *mm, const struct rf_op *op);
void op_gup_fast(struct mm *mm, const struct rf_op *op);
/* One step of slow GUP, before or after it faults addr in. */
void gup_looks(struct mm *mm, u64 addr, bool faulted_in);

/* load.c */
void op_load(struct mm *mm, const struct rf_op *op);

#endif
