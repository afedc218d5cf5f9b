/* SPDX-License-Identifier: MIT */
/* The tracing thread behind follow.h: what it is told, what it finds out, its loop. */
#ifndef REFOLD_CAPTURE_FOLLOW_TRACER_H
#define REFOLD_CAPTURE_FOLLOW_TRACER_H

#include "capture/follow/debuggers.h"
#include "capture/follow/follow.h"
#include "capture/follow/nested.h"
#include "capture/follow/tracees.h"

struct rf_tracer {
	pid_t command;				/* 0: attached to what runs */
	struct rf_nested *nested;
	struct rf_snapshotter *snapshotter;	/* NULL: nothing is traced, only COMMAND's end is awaited */
	u64 every;				/* of so many exits one is looked at; 0: let go of who is attached to */
	int stop_fd;				/* eventfd: end early */
	int again_fd;				/* eventfd: look at all once more, events were lost */
	rf_list_processes *list;		/* attached: who to look at, once it is known */
	void *context;
	pid_t child;				/* 0, or a child that is attached to: its status is kept, too */
	int command_fd;				/* eventfd, written when COMMAND has ended */

	int child_fd;				/* signalfd of SIGCHLD */
	struct rf_tracees tracees;
	struct rf_traced_process *asked;	/* the keeper waits until it is let go */
	u64 asked_id;
	bool stopping;
	bool again;				/* looking at all once more */
	u64 looked_ns;				/* how long that took; 0: not yet */
	u64 stop_by;				/* stopping: until then at the latest */
	u64 exits;
	struct rf_programs programs;		/* that were executed */
	struct rf_pid_list seen;		/* processes looked at while attaching; while stopping */

	bool command_ended;
	int status;				/* COMMAND's, -1: still runs */
	struct rf_follow_totals totals;
	struct rf_error error;			/* the first failure to write */
};

/* SIGCHLD must be blocked in the whole process. Negative errno. */
int rf_tracer_open(struct rf_tracer *tracer);
/* Only from the thread that runs the loop: the kernel ties tracees to a thread. Negative errno. */
int rf_tracer_seize(struct rf_tracer *tracer);
/*
 * Seize these processes, a few at a time, and look at each while it is stopped, and at what they start meanwhile.
 * Returns how many were seized that were not traced yet; who cannot be is left out, and who may stop us in turn.
 */
size_t rf_tracer_look(struct rf_tracer *tracer, const struct rf_pid_list *pids);
/* Until COMMAND and all that it started have ended, or stop_fd is readable. */
void rf_tracer_run(struct rf_tracer *tracer);
void rf_tracer_close(struct rf_tracer *tracer);

#endif
