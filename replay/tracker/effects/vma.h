/* SPDX-License-Identifier: MIT */
/* VMAs made, made up, grown and unmapped. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_VMA_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_VMA_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;
struct task;

/* What of [start, start + len) an address space can hold; a call's arguments may be anything. */
bool call_range(const struct rf_tracker *tracker, u64 start, u64 len, u64 *end);
u16 nested_gather(const struct tracked_mm *mm, const struct task *task);
/* A new VMA, where there is none. */
struct world_vma *map_vma(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma);
bool is_private_writable(const struct world_vma *vma);
/* The VMA that a fault at addr lies in: there, grown to there, or made up. NULL: an address that can have none. */
struct world_vma *fault_vma(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr);
/* The VMA of a page that a write fault changes; one that was made up is writable, as it turns out. NULL: none. */
struct world_vma *written_vma(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr);
/*
 * Flags and attributes of the VMAs in [start, end), but for those that takes() refuses (NULL: none); boundaries become
 * those of VMAs, and what is equal afterwards is one.
 */
void change_vmas(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end,
		 const struct world_vma_change *change, bool (*takes)(const struct world_vma *vma));
/* task: that does it, NULL: nobody's call. */
void unmap_range(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task, u64 start, u64 end,
		 u8 why);
void zap_range(struct rf_tracker *tracker, struct task *task, u64 start, u64 end, u8 why);

#endif
