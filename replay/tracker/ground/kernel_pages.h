/* SPDX-License-Identifier: MIT */
/* Page frames that are the kernel's own: the zero pages, the vdso and its data. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_KERNEL_PAGES_H
#define REFOLD_REPLAY_TRACKER_GROUND_KERNEL_PAGES_H

#include "base/error.h"
#include "traces/record.h"

struct rf_tracker;

/* what: enum rf_kernel_page. False: no record told. */
bool kernel_page(const struct rf_tracker *tracker, u32 what, u64 index, u64 *pfn);
/* Read those of the whole trace, before its first record is looked at. */
int read_kernel_pages(struct rf_tracker *tracker, struct rf_error *err);

#endif
