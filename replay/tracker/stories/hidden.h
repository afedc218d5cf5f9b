/* SPDX-License-Identifier: MIT */
/* Processes whose birth was lost. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_HIDDEN_H
#define REFOLD_REPLAY_TRACKER_STORIES_HIDDEN_H

#include "base/types.h"

struct rf_tracker;
struct task;

/* What losses leave open: whether births can have been lost with all that tells of them. */
void hidden_start(struct rf_tracker *tracker);
/* A clone() of the task has returned this tid, in its own namespace; no NEWTASK was seen. */
void birth_unseen(struct rf_tracker *tracker, const struct task *parent, u32 tid);
/* A process is born. Hidden as well, if it is a copy of one that is. */
void copy_unseen(struct rf_tracker *tracker, struct task *child);
/* A task with faults, whose address space was never known, is over. */
void orphan_ends(struct rf_tracker *tracker, struct task *task);
/* Born into its parent's memory, it is over: if it had a program of its own, was that told? */
void borrower_ends(struct rf_tracker *tracker, struct task *task);
/* The task is over, or its tid is another's: was it hidden? */
void hidden_ends(struct rf_tracker *tracker, struct task *task);
/* NEWTASK gives its tid to another. */
void tid_is_anew(struct rf_tracker *tracker, struct task *task);
/* What it has done since its exec is over, or goes on in a child. */
void exec_made_no_call(struct rf_tracker *tracker, struct task *task);

#endif
