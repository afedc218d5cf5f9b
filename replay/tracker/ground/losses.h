/* SPDX-License-Identifier: MIT */
/*
 * When events were lost. A loss is known by its stream, and lasts from the last record before it to the first after it:
 * an address space that lived at any moment of that time may have been what the events were about.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_LOSSES_H
#define REFOLD_REPLAY_TRACKER_GROUND_LOSSES_H

#include "replay/tracker/ground/tracking.h"

struct rf_loss {
	u64 begin, end;		/* times */
	u16 stream;
};

/* Learn them from the frames of the trace. -ENOMEM or 0. */
int losses_start(struct rf_tracker *tracker, struct rf_error *err);
/* Time has come to where the next loss begins: everybody who lives is marked. */
void losses_begin(struct rf_tracker *tracker);
/* The record of a loss: one by damage was not foreseen. */
void loss_told(struct rf_tracker *tracker, const struct rf_record *record);
/* A new address space, not known yet. NULL: no memory. */
struct tracked_mm *mm_new(struct rf_tracker *tracker);

static inline bool any_lost(const struct rf_tracker *tracker)
{
	return tracker->losses_begun > 0;
}

#endif
