/* SPDX-License-Identifier: MIT */
/*
 * Calls that change mappings, as perf samples them when they begin: whose they are, and registers and stack. Rings of
 * their own, so that nothing else has less room for them.
 */
#ifndef REFOLD_CAPTURE_PERF_CALLS_H
#define REFOLD_CAPTURE_PERF_CALLS_H

#include "capture/follow/tasks.h"
#include "capture/perf/rings.h"
#include "capture/stacks/stacks.h"
#include "traces/events/calls.h"
#include "traces/events/kernel.h"

struct rf_call_ring {
	int fd;				/* -1: the CPU is offline */
	struct rf_perf_ring ring;
	int stream;			/* of the trace */
	u64 head;			/* until where the ring is read in this round */
	u64 told;			/* losses that the ring has told of */
	u64 counted;			/* those that its events have, see rf_call_events_count_lost() */
	u64 lost;			/* as far as is known */
};

/* More than that are not worth their file descriptors: then everybody is sampled, and strangers are passed over. */
#define RF_CALL_EVENTS_OF_TASKS 512

/* A thread's on a CPU, and of all that it begins. */
struct rf_call_event_of_task {
	int fd;
	u32 cpu;
};

struct rf_call_events {
	enum rf_isa isa;
	u64 event;
	char filter[RF_CALL_FILTER_MAX];
	size_t ring_bytes;
	struct rf_call_event_of_task of_tasks[RF_CALL_EVENTS_OF_TASKS];
	size_t nr_of_tasks;
	size_t nr;
	struct rf_call_ring rings[];	/* by CPU */
};

/*
 * event: the number of raw_syscalls:sys_enter. To be opened before any tracing instance asks for calls: who asks first
 * is told first, and a stack comes before its call. Nothing is sampled yet. NULL: err tells why.
 */
struct rf_call_events *rf_call_events_open(enum rf_isa isa, u64 event, size_t ring_bytes, struct rf_error *err);
/* Samples these processes, and all that they begin, from now on. False: they are too many, and nobody is sampled. */
bool rf_call_events_follow(struct rf_call_events *events, const struct rf_pid_list *pids);
/* Samples everybody from now on. */
int rf_call_events_enable(struct rf_call_events *events, struct rf_error *err);
/* What there was no room for until now, into counted of each ring; 0 where kernels do not count it (Linux 6.0). */
void rf_call_events_count_lost(struct rf_call_events *events);
void rf_call_events_close(struct rf_call_events *events);

/* Whose sample it is and when it was; false: it is no sample. */
bool rf_call_event_task(const struct perf_event_header *header, pid_t *pid, u64 *time);
/* The sample of a call, whose stack stays where it is. False: no registers that we know. Exposed for the tests. */
bool rf_call_event_sample(enum rf_isa isa, const struct perf_event_header *header, struct rf_stack_sample *sample);

#endif
