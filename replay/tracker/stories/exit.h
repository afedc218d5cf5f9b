/* SPDX-License-Identifier: MIT */
/* Threads that exit. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_EXIT_H
#define REFOLD_REPLAY_TRACKER_STORIES_EXIT_H

#include "base/types.h"

struct rf_tracker;
struct task;

/* Its pages begin to go, and nothing else tells of its exit. */
void exit_begins(struct rf_tracker *tracker, struct task *task);

#endif
