/* SPDX-License-Identifier: MIT */
/* New threads and processes. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_FORK_H
#define REFOLD_REPLAY_TRACKER_STORIES_FORK_H

#include "base/types.h"

struct rf_tracker;
struct task;

void find_fork_point(struct rf_tracker *tracker, struct task *task);
/* It has come to nothing: what still tells of the child tells of its end. */
bool fork_failed(const struct rf_tracker *tracker, const struct task *task);
void fork_mm(struct rf_tracker *tracker, struct task *task);
/* The child in the making will not be. */
void drop_child(struct rf_tracker *tracker, struct task *task);

#endif
