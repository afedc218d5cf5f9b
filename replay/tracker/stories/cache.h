/* SPDX-License-Identifier: MIT */
/* The page cache: what is in it at the start of the recording, and how it changes. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_CACHE_H
#define REFOLD_REPLAY_TRACKER_STORIES_CACHE_H

#include "base/error.h"

struct rf_tracker;

int page_cache_start(struct rf_tracker *tracker, struct rf_error *err);

#endif
