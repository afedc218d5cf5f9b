/* SPDX-License-Identifier: MIT */
/*
 * The perf side-band: what tracepoints do not tell. Which file lies behind a
 * mapping, the mappings exec makes, names of programs, which thread belongs to
 * which process; and, where no tracing instance gives them, page faults. Beside it, where calls are made from.
 */
#ifndef REFOLD_CAPTURE_PERF_PERF_H
#define REFOLD_CAPTURE_PERF_PERF_H

#include "base/error.h"
#include "capture/snapshot/page_cache.h"
#include "capture/follow/tasks.h"
#include "capture/perf/calls.h"
#include "capture/perf/followed.h"
#include "traces/trace.h"

struct rf_perf;

struct rf_perf_options {
	bool whole_system;
	const struct rf_pid_list *pids;	/* processes to begin with; their children are followed */
	rf_learn_followed *learn;	/* NULL, or to be asked who is followed, where births were lost */
	const void *context;		/* of learn */
	struct rf_page_cache *cache;	/* NULL, or where mapped files are noted */
	pid_t command;			/* 0, or who is going to begin a program: what it is now is of no interest */
	struct rf_call_events *calls;	/* NULL, or opened: whose stacks are taken; borrowed until rf_perf_stop() */
	bool faults;			/* page faults too */
	size_t ring_bytes;		/* of each CPU; a power of two of pages */
	int failed_fd;			/* as rf_rings_start() */
};

/* The least ring where page faults come through it: a round's worth of them. */
#define RF_PERF_FAULTS_RING (8u << 20)

/* Can side-band events, and with them page faults, be had at all? 0, or a negative errno with the reason. */
int rf_perf_check(struct rf_error *err);
/* One event per CPU, recording from now on; a thread moves them into streams of the trace. */
struct rf_perf *rf_perf_start(struct rf_writer *writer, const struct rf_perf_options *options, struct rf_error *err);
/* Everything the kernel has told until now is in the trace, and its files are noted, when this returns. */
void rf_perf_sync(struct rf_perf *perf);

struct rf_perf_losses {
	u64 records;	/* the kernel had no room for */
	u64 gap_bytes;	/* the most that a ring was short of at once */
	u64 without_stack;	/* calls; known in the end */
};

/* Until now; from any thread. */
void rf_perf_so_far(const struct rf_perf *perf, struct rf_perf_losses *losses);
/* Stop, drain, free. */
int rf_perf_stop(struct rf_perf *perf, struct rf_perf_losses *losses, struct rf_error *err);
/* The processes followed that are alive now. */
int rf_perf_processes(struct rf_perf *perf, struct rf_pid_list *pids);

/* What a sample holds: the fixed part that rf_perf_decode() reads. */
#define RF_PERF_FAULT_SAMPLE (PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR)

/*
 * One record of the side-band ring into a record; false: none of ours. *pid: the process it is about, *parent:
 * for a fork, the process it came from. path: of MMAP2, or NULL. Of a loss the time is 0 where the record does not
 * tell it. Exposed for the tests.
 */
struct perf_event_header;
bool rf_perf_decode(const struct perf_event_header *header, u32 page_shift, struct rf_record *record, pid_t *pid,
		    pid_t *parent, const char **path);

#endif
