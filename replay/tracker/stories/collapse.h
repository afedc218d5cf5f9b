/* SPDX-License-Identifier: MIT */
/* Small pages that become a huge one. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_COLLAPSE_H
#define REFOLD_REPLAY_TRACKER_STORIES_COLLAPSE_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;
struct task;

/* An RSS change of mm by the task. True: it belongs to the task's collapse of somebody else's pages. */
bool collapse_rss(struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm, u8 member, s64 delta);

#endif
