/* SPDX-License-Identifier: MIT */
/* What others take away: reclaim, truncation, writeback; and the flushes they owe. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_UNMAP_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_UNMAP_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;

/* An entry goes to swap, or just goes. */
void swap_out(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, u16 op_flags);
void unmap_one(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, u16 op_flags);
/* An entry the kernel must have unmapped unseen. */
void unmap_unseen(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte);
/* A page leaves the page cache: it was unmapped everywhere before. RF_OP_INFERRED: nobody knows when. */
void unmap_cache_page(struct rf_tracker *tracker, u64 pfn, u16 op_flags);

/* Unmapping for reclaim or migration puts off its flush; try_to_unmap_flush() makes up for it. */
void owe_flush(struct rf_tracker *tracker, struct tracked_mm *mm);
void reclaim_flush(struct rf_tracker *tracker);
void reclaim_flush_dirty(struct rf_tracker *tracker);

/* page_mkclean_one() */
void make_clean(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, u16 op_flags);
/* msync(): what it writes back is clean and read-only afterwards, in every address space. */
void write_back(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end);

#endif
