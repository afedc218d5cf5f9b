/* SPDX-License-Identifier: MIT */
/*
 * Which folios bear PG_readahead. Fault-around leaves them out (next_uptodate_folio()), and no event tells of the flag:
 * the layout of the page cache, taken at the end, shows where it is still; where it is by now, readahead's rules say.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_READAHEAD_H
#define REFOLD_REPLAY_TRACKER_GROUND_READAHEAD_H

#include "base/types.h"

struct rf_tracker;

/* What the header tells. -ENOMEM or 0. */
int readahead_start(struct rf_tracker *tracker);
/* The longest window of a file, in pages; 0: not known. */
u32 readahead_window(const struct rf_tracker *tracker, u32 file);

/* The layout shows it on the folio of the page at index of file. */
void readahead_seen(struct rf_tracker *tracker, u32 file, u64 index, u64 pfn);
/* Readahead has read the folio of pfn, and may have set the flag on it. */
void readahead_sets(struct rf_tracker *tracker, u64 pfn, bool may_be_set);
/* A fault has hit the page: do_async_mmap_readahead() takes the flag away. */
void readahead_hit(struct rf_tracker *tracker, u64 pfn);

enum readahead { READAHEAD_NONE, READAHEAD_LIKELY, READAHEAD_SEEN };

enum readahead readahead_of(const struct rf_tracker *tracker, u32 file, u64 index, u64 pfn);

#endif
