/* SPDX-License-Identifier: MIT */
/* What faults and GUP put into anonymous entries. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_ANON_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_ANON_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;

/* Put a new anonymous folio at vpn, by fault or GUP. */
void set_anon(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	      u16 op_flags);
void copy_page(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn,
	       u16 op_flags);
void set_zero(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u16 op_flags);
/* The nr pages of a folio around pfn, for the swap entries around vpn. */
void swap_in(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	     u64 nr, u16 op_flags);
/* Remember that nr entries were just set, for the losers of a race: the RSS change comes before the entries do. */
void note_recent(const struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u64 nr);
bool was_recent(const struct rf_tracker *tracker, const struct tracked_mm *mm, u64 vpn);

#endif
