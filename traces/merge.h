/* SPDX-License-Identifier: MIT */
/*
 * CPU streams into one order: a k-way merge by time, then stream number, so that
 * the order of equal times is the same on every machine.
 */
#ifndef REFOLD_TRACES_MERGE_H
#define REFOLD_TRACES_MERGE_H

#include "traces/trace.h"

struct rf_merge;

/* Merge all streams of the reader; kinds as in rf_cursor_open(). */
struct rf_merge *rf_merge_open(struct rf_reader *reader, const u64 kinds[2], struct rf_error *err);
/* Up to max records in time order; 0: the end. */
size_t rf_merge_read(struct rf_merge *merge, struct rf_record *out, size_t max);
void rf_merge_close(struct rf_merge *merge);

#endif
