/* SPDX-License-Identifier: MIT */
/*
 * Run COMMAND, or attach to what runs, and take an exit snapshot of every process and of every one it starts. A thread
 * of its own traces them with ptrace(2) and stops a process only to look at it: when it is attached to, as its last
 * thread exits, when the recording stops. Programs that trace others themselves (gdb, strace) go on working: they are
 * let go with what they start, or, in COMMAND's tree where it is asked about (nested.h), what they trace is.
 */
#ifndef REFOLD_CAPTURE_FOLLOW_FOLLOW_H
#define REFOLD_CAPTURE_FOLLOW_FOLLOW_H

#include <sys/types.h>

#include "capture/follow/tasks.h"
#include "capture/rights/user.h"
#include "capture/snapshot/page_cache.h"
#include "capture/snapshot/snapshot.h"
#include "traces/trace.h"

struct rf_follow;

struct rf_follow_totals {
	u64 processes;		/* ended or let go while we followed */
	u64 snapshots;		/* processes with a whole exit (or stop) snapshot */
	u64 nested;		/* let go because another program traces them, or because they trace others */
	u64 shared;		/* ended while their memory lived on in the parent (vfork): nothing to record */
	u64 lost;		/* vanished before they could be looked at */
	bool exit_snapshots;	/* false: none could be taken, see why */
	char why[400];		/* one line, empty if exit_snapshots */
};

/*
 * Fork the child that will become COMMAND, as that user, and hold it before its exec. Call it early: while the process
 * has one thread and the signal mask, dispositions and descriptors that COMMAND shall inherit. Blocks SIGCHLD in the
 * caller, which must stay blocked in all threads; from here on nobody else may waitpid(-1).
 * ask: calls in its tree are asked about before they happen (nested.h), for which a process is forked, too.
 */
struct rf_follow *rf_follow_create(char *const argv[], const struct rf_user *user, bool ask,
				   struct rf_error *err);
/* The child: same pid before and after exec. */
pid_t rf_follow_pid(const struct rf_follow *follow);
/*
 * The same for processes that run already: a thread that waits for rf_follow_attach(). SIGCHLD as above. child: 0, or
 * one of them that is ours: rf_follow_wait() tells its status.
 */
struct rf_follow *rf_follow_create_attached(pid_t child, struct rf_error *err);

struct rf_follow_options {
	struct rf_writer *writer;
	struct rf_page_cache *cache;
	u64 every;		/* of so many exits one gets a snapshot; 0: none does */
};

/*
 * Let it exec, traced if possible and if an exit gets a snapshot. err tells "COMMAND: No such file or directory";
 * err->code is then -ENOENT, -EACCES, ... as execvp(3) says.
 */
int rf_follow_start(struct rf_follow *follow, const struct rf_follow_options *options, struct rf_error *err);

/* Adds the processes to attach to, as they are now. 0 or -ENOMEM. */
typedef int rf_list_processes(void *context, struct rf_pid_list *pids);

/*
 * Attach, until list names nobody new. Each process is stopped, gets its attach snapshot, and goes on: traced until
 * its end, or, if no exit gets a snapshot, let go until rf_follow_stop(), when whom list names then is stopped once
 * more. Who cannot be traced (somebody else does, a right is missing) is left alone: rf_follow_has_seen().
 */
int rf_follow_attach(struct rf_follow *follow, const struct rf_follow_options *options, rf_list_processes *list,
		     void *context, struct rf_error *err);
/* Whether this process was looked at: by rf_follow_attach(), once that is over; at the stop, after rf_follow_wait(). */
bool rf_follow_has_seen(const struct rf_follow *follow, pid_t pid);
/*
 * Becomes readable when COMMAND has ended and everything about it is written. What it has left behind goes on being
 * traced until it ends or rf_follow_stop(). Never of what was attached to.
 */
int rf_follow_fd(const struct rf_follow *follow);
/*
 * Events were lost: stop each process once more and take a snapshot of it (RF_SNAP_LOSS), while the recording goes on.
 * Who cannot be traced, as at attach, is left alone. Returns at once; rf_follow_looked_ns() is 0 until it is done.
 */
void rf_follow_look_again(struct rf_follow *follow);
u64 rf_follow_looked_ns(const struct rf_follow *follow);
/*
 * End it early (SIGINT, SIGTERM): what still runs gets a stop snapshot and goes on untraced. rf_follow_fd()
 * becomes readable. Safe to call at any time, any number of times.
 */
void rf_follow_stop(struct rf_follow *follow);
/*
 * Wait until COMMAND and all that it started have ended, or have been let go after rf_follow_stop(). *status: COMMAND's
 * wait status, -1 if it still runs. Processes that COMMAND left behind have had their stop snapshot. Returns the first
 * error of writing, or 0.
 */
int rf_follow_wait(struct rf_follow *follow, int *status, struct rf_follow_totals *totals, struct rf_error *err);
/* Kills the child if it was never started. Frees everything. */
void rf_follow_destroy(struct rf_follow *follow);

#endif
