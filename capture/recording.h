/* SPDX-License-Identifier: MIT */
/*
 * One recording from start to end: who is started and stopped, and in what order.
 */
#ifndef REFOLD_CAPTURE_RECORDING_H
#define REFOLD_CAPTURE_RECORDING_H

#include "traces/events/events.h"
#include "capture/follow/tasks.h"
#include "capture/labels.h"
#include "capture/targets.h"
#include "capture/watch.h"
#include "traces/trace.h"

/* COMMAND has ended, but so many processes that it has started live on: they go on being recorded. */
typedef void rf_left_behind(void *context, size_t processes);

struct rf_recording_options {
	const char *output;
	bool to_standard_output;	/* output is only what that is called */
	struct rf_labels labels;
	char *const *command;		/* NULL, or COMMAND and its arguments, NULL-terminated */
	const char *user;		/* NULL, or whom COMMAND runs as */
	struct rf_targets targets;	/* processes to attach to; none: command or whole system */
	bool whole_system;
	u64 exit_snapshots;		/* of so many exits one is looked at; 0: none */
	bool resnapshot;		/* after a loss, read again who may have been concerned */
	bool stacks;			/* where calls are made from */
	bool iovecs;			/* of COMMAND: calls wait to be read, by a seccomp filter that stays */
	enum rf_fault_source faults;	/* where page faults are to be learnt from */
	u64 buffer_bytes;		/* per CPU; 0: the default, which is less where there are many */
	u64 level;			/* of zstd */
	u32 hidden;			/* what is private: bits of enum rf_private */
	bool no_marks;			/* of marks those of windows, too */
	double seconds;			/* stop after so long; 0: no limit */
	struct rf_bounds bounds;
	double cpu;			/* share of one CPU that the recorder may take; 0: no bound */
	bool asked_ends;		/* SIGUSR1 ends it, or a part */
	int trigger_fd;			/* 0, or readable when it shall end: above the standard ones */
	pid_t child;			/* 0, or COMMAND as an earlier recording started it: one of targets */
	bool writes_later;		/* the progress_told makes files: a right for that is kept */
	bool begins_again;		/* another recording follows in this process: rights for that are kept */
	struct recording *previous;	/* NULL, or the one that this follows, and that still runs */
	rf_left_behind *left_behind;	/* NULL, or told, with context */
	rf_progress_told *progress;	/* NULL, or told while it runs, with context */
	void *context;
};

struct rf_recording_result {
	u64 records, lost, snapshots;
	u64 bytes;			/* 0: not known, as what went to a pipe */
	bool wrote;			/* there is a file */
	enum rf_end end;
	bool asked;			/* SIGUSR1 was what ended it */
	u64 needed_buffer;		/* buffer_bytes that would have held what was lost; 0: nothing was */
	pid_t command;			/* 0: there is none */
	int command_status;		/* wait status, -1: none, or it still runs */
	size_t nr_warnings;
	char warnings[16][400];		/* one line each, for the user */
};

/*
 * Record until the command and all that it started have ended, the processes are gone, the time is over or a signal
 * comes. Must be called with one thread. An error leaves what was recorded in the file.
 */
int rf_record(const struct rf_recording_options *options, struct rf_recording_result *result, struct rf_error *err);
/*
 * The same in steps, for recordings that follow each other. With a previous one, what is recorded by both at once is
 * what happens until that has ended: only then are processes looked at, by rf_recording_end() of it.
 * NULL: err tells why.
 */
struct recording *rf_recording_begin(const struct rf_recording_options *options, struct rf_recording_result *result,
				     struct rf_error *err);
/* Until something ends it; result->end. */
void rf_recording_wait(struct recording *rec);
/* COMMAND, if it has started one, or 0. */
pid_t rf_recording_command(const struct recording *rec);
/* Who is recorded and lives. 0 or -ENOMEM. */
int rf_recording_living(struct recording *rec, struct rf_pid_list *pids);
/* End it, and free it. next: NULL, or the one that it is the previous one of. */
int rf_recording_end(struct recording *rec, struct recording *next, struct rf_error *err);

#endif
