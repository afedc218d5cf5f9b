/* SPDX-License-Identifier: MIT */
/* The page cache: what is in it at the start of the recording, and how it changes. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_CACHE_H
#define REFOLD_REPLAY_TRACKER_STORIES_CACHE_H

#include "base/error.h"
#include "base/types.h"

struct rf_tracker;

int page_cache_start(struct rf_tracker *tracker, struct rf_error *err);
/* A folio is allocated: if it is one that tmpfs is known to have later, the page cache has it from now on. */
void page_cache_alloc(struct rf_tracker *tracker, u64 pfn);

#endif
