/* SPDX-License-Identifier: MIT */
/*
 * The threads and processes a tracer holds, as its own stops tell them. The kernel reports a new thread twice,
 * in any order: its creator's event names it, and it stops itself for the first time.
 */
#ifndef REFOLD_CAPTURE_FOLLOW_TRACEES_H
#define REFOLD_CAPTURE_FOLLOW_TRACEES_H

#include <sys/types.h>

#include "base/types.h"

struct rf_tracee {
	struct rf_tracee *next_hash;
	struct rf_tracee *next;		/* of the same process */
	struct rf_traced_process *process;
	pid_t tid;
	bool announced;			/* its creator's event has come */
	bool exited;			/* it was let go at its exit; kept until announced */
	bool held;			/* stopped, and not to be resumed for now */
	int signal;			/* held: to be delivered when it goes on */
	bool job_control;		/* held: it was stopped, and has to stay so */
};

struct rf_traced_process {
	struct rf_traced_process *next_hash;
	struct rf_traced_process *next, **link;	/* all processes */
	struct rf_tracee *threads;
	pid_t pid;
	size_t live;			/* threads not exited */
	bool let_go;			/* being detached: another tracer wants it; or it is newborn */
	bool newborn;			/* it began when all were to be let go */
	bool due;			/* being stopped, to be looked at */
	u64 deadline;			/* due: when it is looked at as it runs */
};

#define RF_TRACEES_BUCKETS 4096

struct rf_tracees {
	struct rf_tracee *threads[RF_TRACEES_BUCKETS];
	struct rf_traced_process *processes[RF_TRACEES_BUCKETS];
	struct rf_traced_process *all;
	u64 seen;			/* processes ever */
	bool attaching;			/* new processes are due */
	bool ending;			/* new processes are let go */
	size_t nr_due;
};

/* ns until a process that cannot be stopped is looked at as it runs. */
#define RF_STOP_WAIT 1000000000ull

/* It is being stopped, to be looked at. */
void rf_traced_process_due(struct rf_tracees *tracees, struct rf_traced_process *process);

struct rf_traced_process *rf_traced_process_find(struct rf_tracees *tracees, pid_t pid);
struct rf_tracee *rf_tracee_find(struct rf_tracees *tracees, pid_t tid);
/* The same by the number that caller, a thread maybe in another PID namespace, calls it by. */
struct rf_tracee *rf_tracee_find_as(struct rf_tracees *tracees, pid_t caller, pid_t tid);
/*
 * The thread that has just reported a stop, known or new. A report of an exited or unknown leader of a living
 * process means that another of its threads has executed a program and taken over the leader's id. NULL: out of
 * memory, or the thread is gone.
 */
struct rf_tracee *rf_tracee_report(struct rf_tracees *tracees, pid_t tid);
/* tid's creator, a thread of process, has reported it: a new thread of the same process, or another process. */
void rf_tracee_announce(struct rf_tracees *tracees, struct rf_traced_process *process, pid_t tid);
/* The thread is no longer traced. Frees the process with its last thread and returns whether it did. */
bool rf_tracee_exit(struct rf_tracees *tracees, struct rf_tracee *tracee);
void rf_traced_process_free(struct rf_tracees *tracees, struct rf_traced_process *process);

#endif
