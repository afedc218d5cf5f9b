/* SPDX-License-Identifier: MIT */
/*
 * What may end a recording: the processes, a signal, the time limit, or a thread
 * of ours that cannot go on. Each is a descriptor to wait for.
 */
#ifndef REFOLD_CAPTURE_FOLLOW_ENDING_H
#define REFOLD_CAPTURE_FOLLOW_ENDING_H

#include "base/error.h"
#include "capture/follow/tasks.h"
#include "traces/trace.h"

struct rf_ending {
	int signal_fd, timer_fd;
	int failed_fd;			/* eventfd, for threads to say that they cannot go on */
	int *pidfds;
	size_t nr_pidfds;
};

#define RF_ENDING_NONE ((struct rf_ending){ .signal_fd = -1, .timer_fd = -1, .failed_fd = -1 })

/* Watch these processes. Fails if one is gone, or is no process but a thread. */
int rf_ending_watch(struct rf_ending *ending, const struct rf_pid_list *pids, struct rf_error *err);
/* Block SIGINT, SIGTERM and SIGHUP, in threads started later too, and start the clock (0 seconds: none). */
int rf_ending_arm(struct rf_ending *ending, double seconds, struct rf_error *err);
/*
 * Wait. command_fd: readable when the command has ended, or -1. RF_END_COMMAND stands for every natural end: all
 * watched processes are gone, or the time is over.
 */
enum rf_end rf_ending_wait(struct rf_ending *ending, int command_fd);
void rf_ending_close(struct rf_ending *ending);

#endif
