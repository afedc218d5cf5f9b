/* SPDX-License-Identifier: MIT */
/* RSS counters, as a check of what the model maps. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_RSS_H
#define REFOLD_REPLAY_TRACKER_STORIES_RSS_H

#include "base/types.h"

struct rf_tracker;
struct tracked_mm;

void check_rss(struct rf_tracker *tracker, struct tracked_mm *mm);

/* An RSS change of the task's own address space that it keeps to itself. */
void rss_kept(struct task *task, u8 member, s64 pages);
/* The same, of what the task is in the middle of: a fault, a call. */
void rss_kept_changes(struct rf_tracker *tracker, struct task *task, u8 member, s64 pages);

#endif
