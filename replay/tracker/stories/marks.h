/* SPDX-License-Identifier: MIT */
/* Marks that begin and end windows. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_MARKS_H
#define REFOLD_REPLAY_TRACKER_STORIES_MARKS_H

#include "base/types.h"

struct rf_tracker;

/* The last record was read. */
void end_windows(struct rf_tracker *tracker);

#endif
