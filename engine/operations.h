/* SPDX-License-Identifier: MIT */
/* The functions that do operations. One that cannot go on tells mm_error(). */
#ifndef REFOLD_ENGINE_OPERATIONS_H
#define REFOLD_ENGINE_OPERATIONS_H

#include "engine/mm.h"

/* mm is the operation's; of those that make one, what was made. */
#define X(symbol, name, shape, pages, row) void op_##name(struct mm *mm, const struct rf_op *op);
RF_OPS(X)
#undef X

/* Any of RF_SHAPE_FAULT and RF_SHAPE_RUN with RF_OP_LOAD (load.c). */
void op_load(struct mm *mm, const struct rf_op *op);
/* RF_OP_MM_EXIT with RF_OP_LOAD (load.c). */
void op_unload(struct mm *mm, const struct rf_op *op);

/* One step of slow GUP, before or after it faults addr in (gup.c). */
void gup_looks(struct mm *mm, u64 addr, bool faulted_in);

#endif
