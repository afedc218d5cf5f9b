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

/*
 * While waiting: how is it going? asked: SIGUSR1 came. The recording ends if it says why.
 */
typedef enum rf_end rf_ending_tick(void *context, bool asked);

struct rf_ending {
	rf_ending_tick *tick;		/* NULL, or called at least every so often */
	void *context;
	int tick_ms;
	int signal_fd, timer_fd;
	double seconds;
	bool waited;			/* the clock runs */
	int failed_fd;			/* eventfd, for threads to say that they cannot go on */
	int *pidfds;
	size_t nr_pidfds;
};

#define RF_ENDING_NONE ((struct rf_ending){ .signal_fd = -1, .timer_fd = -1, .failed_fd = -1 })

/* Watch these processes. Fails if all are gone. */
int rf_ending_watch(struct rf_ending *ending, const struct rf_pid_list *pids, struct rf_error *err);
/*
 * Block SIGINT, SIGTERM, SIGHUP and SIGUSR1, in threads started later too, have writes fail instead of SIGPIPE and
 * SIGXFSZ, and set the time (0 seconds: none), which begins with the waiting.
 */
int rf_ending_arm(struct rf_ending *ending, double seconds, struct rf_error *err);
/* Watch these instead. How many of them live. */
size_t rf_ending_watch_others(struct rf_ending *ending, const struct rf_pid_list *pids);
/*
 * Wait; once more, and the time goes on. command_fd: readable when the command has ended, or -1. Signals that came are
 * taken.
 */
enum rf_end rf_ending_wait(struct rf_ending *ending, int command_fd);
void rf_ending_close(struct rf_ending *ending);

#endif
