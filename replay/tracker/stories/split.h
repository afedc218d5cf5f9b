/* SPDX-License-Identifier: MIT */
/* Folios that are split, and their pages of zeroes, which become the zero page (migrate.c). */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_SPLIT_H
#define REFOLD_REPLAY_TRACKER_STORIES_SPLIT_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;
struct task;

/* An RSS change of mm by the task. True: it is that of a page which did not come back from a split. */
bool split_rss(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm, u8 member, s64 delta);
/* A page that mm maps at vpn is freed, as one of this order. True: it is what a split left of a folio. */
bool split_frees(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u32 order);

#endif
