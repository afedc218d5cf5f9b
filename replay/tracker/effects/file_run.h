/* SPDX-License-Identifier: MIT */
/* What fault-around and single faults share: runs of pages that become one operation. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_FILE_RUN_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_FILE_RUN_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;

/* A run under construction: consecutive pages of one folio. */
struct file_run {
	struct rf_tracker *tracker;
	struct tracked_mm *mm;
	u64 vpn, pfn, fault_vpn;
	u32 nr, order;
	u16 flags;
};

void file_run_add(struct file_run *run, u64 vpn, u64 pfn);
void file_run_end(struct file_run *run);
/* The page frame behind an entry, invented if no record told it; and the entry. */
u64 file_page(struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn);
world_pte file_pte(const struct world_vma *vma, u64 pfn, bool shmem, bool write, u64 extra);

#endif
