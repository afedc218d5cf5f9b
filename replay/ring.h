/* SPDX-License-Identifier: MIT */
/*
 * From the tracker to the machines. The operations go in blocks into a ring that every machine reads at its own pace on
 * its own thread. A block is written once and only read afterwards, so nothing is copied per policy, and each machine
 * sees all operations in order: threads decide when, never what.
 */
#ifndef REFOLD_REPLAY_RING_H
#define REFOLD_REPLAY_RING_H

#include <pthread.h>

#include "engine/machine.h"
#include "replay/run.h"

/* 80 KiB of operations a block: 1.3 MiB in flight, so that what one core writes the others find in their caches. */
#define BLOCK_OPS 1024
#define RING_BLOCKS 16

struct block {
	struct rf_op ops[BLOCK_OPS];
	u32 owners[BLOCK_OPS];		/* groups of the attribution; without one nobody looks at them */
	size_t nr;
};

struct ring;

struct worker {
	struct ring *ring;
	struct rf_machine *machine;
	pthread_t thread;
	u64 consumed;		/* blocks; under the ring's lock */
	int error;
	struct rf_stats *begin;	/* as counted when the open window began */
	struct rf_window_counts *windows;	/* of those that have ended, by number */
	u32 nr_windows;
	size_t windows_room;
	bool processes;		/* are counted in each window and interval, too */
	bool in_window;
	struct rf_ledger of_window, of_interval;	/* what processes did in those that are open */
	struct rf_series series;
	struct rf_ledger ledger;	/* all that were taken */
	struct rf_ledger shares;	/* the same by groups of the attribution */
};

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t published;	/* a block, or the end */
	pthread_cond_t consumed;
	u64 nr_published;
	bool ended;
	bool one_thread;	/* the tracker's thread runs the machines, too */
	struct worker *workers;
	size_t nr_workers;
	u64 stop_at;
	const struct rf_run_options *run;
	struct rf_attribution *attribution;	/* NULL: nothing is attributed */
	struct block blocks[RING_BLOCKS];
};

/* A ring with one machine and, unless there is one for all, one thread per policy. NULL: see err. */
struct ring *ring_start(struct rf_results *results, const struct rf_run_options *run, u64 first_time,
			struct rf_error *err);

/* A sink of the tracker; context is the ring. */
int ring_put(void *context, const struct rf_op *ops, size_t nr);

/* The end has come: join the workers. The first error of any machine. */
int ring_stop(struct ring *ring);
void ring_free(struct ring *ring, size_t nr_machines);

/* What processes, and groups of the attribution, did since the last time, into the worker's ledgers. */
int take_accounts(struct worker *worker);

/* Time is up; 0: there is no such time. */
bool is_late(u64 stop_at);

#endif
