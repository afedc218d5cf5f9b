/* SPDX-License-Identifier: MIT */
/* RSS counters, as a check of what the model maps. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_RSS_H
#define REFOLD_REPLAY_TRACKER_STORIES_RSS_H

#include "base/types.h"

struct rf_tracker;
struct tracked_mm;

void check_rss(struct rf_tracker *tracker, struct tracked_mm *mm);

#endif
