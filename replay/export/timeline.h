/* SPDX-License-Identifier: MIT */
/*
 * What happens when, for pictures: long operations of threads as they were recorded, and the blocks that each policy
 * folds and unfolds. Noted while a trace is replayed; written as a Perfetto trace with the series of the results.
 */
#ifndef REFOLD_REPLAY_EXPORT_TIMELINE_H
#define REFOLD_REPLAY_EXPORT_TIMELINE_H

#include <stdio.h>

#include "replay/run.h"

/* A call or fault, of which at least one operation is long enough. */
struct timeline_slice {
	u64 begin, end;
	u64 began;		/* number of the record that it began with */
	u64 bytes;
	u32 thread, mm, call;
};

/* What one operation did under one policy. */
struct timeline_instant {
	u64 time;
	u32 mm;
	u32 fold, unfold;
};

struct timeline_policy {
	u64 fold, unfold;	/* so far */
	struct timeline_instant *instants;
	size_t nr, room;
};

struct rf_timeline {
	u32 page_shift;
	u64 least_bytes;	/* of an operation that is shown */
	struct timeline_slice *slices;
	size_t nr, room;
	struct timeline_policy *policies;
	size_t nr_policies;
	bool failed;		/* out of memory */
};

/* -ENOMEM or 0. */
int rf_timeline_start(struct rf_timeline *timeline, size_t nr_policies, u32 page_shift, u64 least_bytes);
void rf_timeline_free(struct rf_timeline *timeline);

/* As rf_run_options wants them; context: a struct rf_timeline. */
void rf_timeline_explain(void *context, const struct rf_op *ops, const struct rf_cause *causes, size_t nr);
void rf_timeline_observe(void *context, size_t policy, const struct rf_op *op, const struct rf_stats *stats);

/* A Perfetto trace of it, of results with series and processes, and of the marks and losses of the trace itself. */
int rf_timeline_write(const struct rf_timeline *timeline, const struct rf_results *results, struct rf_reader *reader,
		      FILE *out, struct rf_error *err);

#endif
