/* SPDX-License-Identifier: MIT */
/* The tracing thread behind follow.h: what it is told, what it finds out, its loop. */
#ifndef REFOLD_CAPTURE_FOLLOW_TRACER_H
#define REFOLD_CAPTURE_FOLLOW_TRACER_H

#include "capture/follow/follow.h"
#include "capture/follow/nested.h"
#include "capture/follow/tracees.h"

struct rf_tracer {
	pid_t command;
	struct rf_nested *nested;
	struct rf_snapshotter *snapshotter;	/* NULL: nothing is traced, only COMMAND's end is awaited */
	int stop_fd;				/* eventfd: end early */

	int child_fd;				/* signalfd of SIGCHLD */
	struct rf_tracees tracees;
	struct rf_traced_process *asked;	/* the keeper waits until it is let go */
	u64 asked_id;
	bool stopping;
	u64 stop_deadline;

	bool command_ended;
	int status;				/* COMMAND's, -1: still runs */
	struct rf_follow_totals totals;
	struct rf_error error;			/* the first failure to write */
};

/* Only from the thread that runs the loop: the kernel ties tracees to a thread. Negative errno. */
int rf_tracer_seize(struct rf_tracer *tracer);
/* Until COMMAND has ended or stop_fd is readable. SIGCHLD must be blocked in the whole process. */
void rf_tracer_run(struct rf_tracer *tracer);

#endif
