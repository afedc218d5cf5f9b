/* SPDX-License-Identifier: MIT */
/* Each record to the function that knows its meaning. */
#ifndef REFOLD_REPLAY_TRACKER_DISPATCH_H
#define REFOLD_REPLAY_TRACKER_DISPATCH_H

struct rf_record;
struct rf_tracker;

void dispatch(struct rf_tracker *tracker, const struct rf_record *record);

#endif
