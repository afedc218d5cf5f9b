/* SPDX-License-Identifier: MIT */
/*
 * The driver: one trace through one tracker into one machine per policy. The trace is decoded and tracked once,
 * whatever the number of policies; the results do not depend on threads.
 */
#ifndef REFOLD_REPLAY_RUN_H
#define REFOLD_REPLAY_RUN_H

#include <stdio.h>

#include "engine/policy/policy.h"
#include "engine/stats.h"
#include "replay/attribution/attribution.h"
#include "replay/counted.h"
#include "replay/ledger.h"
#include "replay/operations.h"
#include "replay/series.h"
#include "replay/tracker/ground/fidelity.h"
#include "replay/tracker/ground/process_list.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/ground/windows.h"

/* What the replays of one report add up to; a second trace adds to the first. */
struct rf_results {
	const struct rf_policy *policies;
	size_t nr_policies;
	struct rf_stats *stats;		/* one per policy */
	struct rf_fidelity fidelity;
	/* Of the last trace: */
	u64 kinds[RF_RECORD_KIND_MAX];	/* records by kind */
	struct rf_windows windows;
	struct rf_window_counts *window_counts;	/* one per policy, of each window in turn */
	struct rf_processes processes;
	struct rf_ledger *ledgers;	/* one per policy: what each process counted; empty unless they are */
	struct rf_series *series;	/* one per policy; empty unless they are asked for */
	struct rf_attribution attribution;	/* empty unless it is asked for */
	struct rf_ledger *shares;	/* one per policy: what each group of it counted */
	struct rf_trust trust;
	struct rf_account *marked;	/* one per policy: what all marked address spaces counted */
	struct rf_stats *last_stats;	/* one per policy */
	struct rf_fidelity last_fidelity;
};

int rf_results_init(struct rf_results *results, const struct rf_policy *policies, size_t nr_policies);
void rf_results_free(struct rf_results *results);

struct rf_run_options {
	void (*progress)(void *context, u64 records);	/* so many more are done; NULL: nobody waits */
	void *progress_context;
	FILE *page_tables;				/* as in struct rf_tracker_options */
	struct rf_operations *operations;		/* NULL, or where they are written */
	const struct rf_window_patterns *patterns;	/* NULL: no windows */
	bool processes;					/* count each process, too */
	const struct rf_by_list *by;			/* NULL, or what counts are attributed by */
	const char *symbols;				/* NULL, or a directory with files that name functions */
	/*
	 * Who watches, or NULL: blocks of operations before machines have them, in the tracker's thread; each operation
	 * after a machine has done it, in that policy's thread.
	 */
	rf_op_explainer explain;
	void (*observe)(void *watcher, size_t policy, const struct rf_op *op, const struct rf_stats *stats);
	void *watcher;
	u64 interval;					/* of the series, in ns; 0: none */
	u64 page_size;					/* of the trace; 0: those of the policies */
	bool one_thread;				/* for many traces at once; else one a policy, too */
	u64 stop_at;					/* when it has taken too long (rf_monotonic()); 0: never */
};

/* A negative errno: nothing was added to the results. -ETIME: stop_at came before the end. */
int rf_run_trace(struct rf_reader *reader, struct rf_results *results, const struct rf_run_options *run,
		 struct rf_error *err);

#endif
