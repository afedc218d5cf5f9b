/* SPDX-License-Identifier: MIT */
/* VMAs made, made up, grown and unmapped. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_VMA_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_VMA_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;
struct task;

/* What of [start, start + len) an address space can hold; a call's arguments may be anything. */
bool call_range(const struct rf_tracker *tracker, u64 start, u64 len, u64 *end);
/*
 * mm_tlb_flush_nested(): RF_OP_NESTED if another thread has a gather open while the task unmaps or protects
 * [start, end), of which the world still has what there was. frees_tables: of page tables, too, as munmap() does.
 */
u16 nested_gather(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task, u64 start, u64 end,
		  bool frees_tables);
/* A new VMA, where there is none. */
struct world_vma *map_vma(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma);
bool is_private_writable(const struct world_vma *vma);
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

/* ---- vma_implicit.c ---- */

/* The VMA that a fault at addr lies in: there, grown to there, or made up. NULL: an address that can have none. */
struct world_vma *fault_vma(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr);
/* The VMA of a page that a write fault changes; one that was made up is writable, as it turns out. NULL: none. */
struct world_vma *written_vma(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr);
/* The page at vpn maps a file: pages first to last of it lie in one VMA around it. writes: by a write fault. */
void adopt_file(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u32 file, u64 first, u64 last,
		bool writes);
/*
 * A call succeeded that all of [start, end) must be mapped for. What was made up there is one VMA, as far as it fits
 * together; where nothing is known, one with these flags.
 */
void unite_implicit(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, u16 flags);

#endif
