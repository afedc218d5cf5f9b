/* SPDX-License-Identifier: MIT */
/*
 * The tracker: records in, operations out. It rebuilds the recorded world (tasks,
 * address spaces, VMAs, which page is mapped where) by the rules of
 * reconstruct.md and tells what core mm did, in the order in which it did it.
 */
#ifndef REFOLD_REPLAY_TRACKER_TRACKER_H
#define REFOLD_REPLAY_TRACKER_TRACKER_H

#include "replay/tracker/ground/fidelity.h"
#include "replay/tracker/ground/options.h"
#include "replay/tracker/ground/trust.h"
#include "traces/trace.h"

struct rf_tracker;

struct rf_tracker *rf_tracker_create(struct rf_reader *reader, const struct rf_tracker_options *options,
				     struct rf_error *err);
/* Process up to max more records. Returns how many, 0 at the end, or a negative errno. */
s64 rf_tracker_run(struct rf_tracker *tracker, size_t max, struct rf_error *err);
const struct rf_fidelity *rf_tracker_fidelity(const struct rf_tracker *tracker);
/* How many records of each kind were processed, RF_RECORD_KIND_MAX numbers. LOST are those the cursors make up. */
const u64 *rf_tracker_kinds(const struct rf_tracker *tracker);
/* What is to be said of how far the trace is to be trusted; the caller frees it, the tracker keeps none. At the end. */
void rf_tracker_take_trust(struct rf_tracker *tracker, struct rf_trust *trust);
/* Of an operation's file: device and inode, 0: not known. */
void rf_tracker_file(const struct rf_tracker *tracker, u32 file, u64 *dev, u64 *ino);
void rf_tracker_destroy(struct rf_tracker *tracker);

#endif
