/* SPDX-License-Identifier: MIT */
/* get_user_pages(), and the huge pages of hugetlb. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_GUP_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_GUP_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;

/* world_vma.huge_shift, where a call or a record says so much; 0: nothing. */
u32 huge_shift_of(const struct rf_tracker *tracker, u64 told);
/* A fault on memory of hugetlb; the machines know whether there is a page. */
void fault_hugetlb(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 addr, u16 op_flags);
/* kind: RF_OP_GUP_*. array_pages: of the caller's array of page pointers. */
void emit_gup(struct rf_tracker *tracker, struct tracked_mm *mm, u8 kind, u64 start, u64 end, bool write,
	      u32 array_pages);
/* Everything in the range has been faulted in, by GUP that was asked to. onfault: memory locked on fault, too. */
void gup_populates(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, bool write, bool onfault);

#endif
