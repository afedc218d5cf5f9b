/* SPDX-License-Identifier: MIT */
/* What a tracker is asked for: operations and their causes, page tables, processes, windows. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_OPTIONS_H
#define REFOLD_REPLAY_TRACKER_GROUND_OPTIONS_H

#include <stdio.h>

#include "engine/ops.h"
#include "replay/tracker/ground/process_list.h"
#include "replay/tracker/ground/windows.h"
#include "traces/record.h"

/* Takes a block of operations; called in order. A negative errno stops the tracker. */
typedef int (*rf_op_sink)(void *context, const struct rf_op *ops, size_t nr);

/* A record by its number in merged order, from 1: the lines of refold dump --sorted. */
struct rf_told {
	u64 number;		/* 0: none */
	u32 thread;		/* whose it is, in the list of threads; 0: not known */
	struct rf_record record;
};

/* Why there is an operation. */
struct rf_cause {
	struct rf_told began;	/* the fault or system call that it is a part of */
	struct rf_told told;	/* the record that told of it; none: the trace ended */
	u64 last;		/* number of the record that told of its last entry, if that is another one; else 0 */
};

/* Takes the causes of a block of operations, before the sink has it. */
typedef void (*rf_op_explainer)(void *context, const struct rf_op *ops, const struct rf_cause *causes, size_t nr);

struct rf_tracker_options {
	rf_op_sink sink;	/* NULL: rebuild the world only */
	void *context;
	rf_op_explainer explain;	/* NULL: nobody asks for causes */
	void *explain_context;
	FILE *page_tables;	/* NULL, or where each process's rebuilt page table is written as it exits (TSV) */
	bool one_thread;	/* decode on the caller's thread */
	u64 stop_at;		/* when it has taken too long (rf_monotonic()); 0: never. Then it returns -ETIME */
	struct rf_processes *processes;	/* NULL, or where processes and their address spaces are noted */
	struct rf_windows *windows;	/* NULL, or where marks go; RF_OP_WINDOW tells which windows begin and end */
};

#endif
