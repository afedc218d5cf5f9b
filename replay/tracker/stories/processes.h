/* SPDX-License-Identifier: MIT */
/* Which process an address space belongs to, and what processes and threads are called. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_PROCESSES_H
#define REFOLD_REPLAY_TRACKER_STORIES_PROCESSES_H

#include "base/types.h"

struct rf_tracker;
struct task;
struct tracked_mm;

void begin_process(struct rf_tracker *tracker, const struct task *parent, struct task *child);
/* A new thread is called as the one that made it, if somebody asks for causes. */
void begin_thread(struct rf_tracker *tracker, struct task *parent, struct task *child);
/* The thread, and the process that it leads, is called so, 8 characters a word. */
void name_process(struct rf_tracker *tracker, struct task *task, const u64 name[2]);
void mm_set_pid(struct rf_tracker *tracker, struct tracked_mm *mm, u32 pid);

#endif
