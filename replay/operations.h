/* SPDX-License-Identifier: MIT */
/*
 * Operations as text, each with the records that caused it: what a count is followed through, from the window it stands
 * in to the records behind it. refold-replay(1) describes the text.
 */
#ifndef REFOLD_REPLAY_OPERATIONS_H
#define REFOLD_REPLAY_OPERATIONS_H

#include <stdio.h>

#include "base/error.h"
#include "engine/ops.h"
#include "engine/stats.h"
#include "replay/tracker/tracker.h"

/* Which operations are written; those of zero: all. */
struct rf_operations_filter {
	bool one_mm, in_range;
	u32 mm;
	u64 start, end;		/* bytes */
	u64 kinds, rows;	/* a bit an operation, a row of the report; 0: any */
};

_Static_assert(RF_NR_OPS <= 64 && RF_NR_ROWS <= 64, "a bit for each");

struct rf_operations {
	FILE *out;
	struct rf_operations_filter only;
	u32 page_shift;		/* of the trace being replayed */
};

/*
 * "mm=N,addr=A-B,op=NAME,row=NAME", each optional, op and row repeatable. -EINVAL: err says which key, and what it can
 * be.
 */
int rf_operations_parse_only(struct rf_operations_filter *only, const char *text, struct rf_error *err);
/* rf_op_explainer of the tracker; context: struct rf_operations. */
void rf_operations_write(void *context, const struct rf_op *ops, const struct rf_cause *causes, size_t nr);

#endif
