// SPDX-License-Identifier: MIT
/* TLB flushes that unmapping for reclaim or migration puts off. */
#include "engine/ops.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"

void owe_flush(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	tracker->flush_tid = tracker->tid_now;
	mm->flush_batched = true;
	if (mm->flush_due || !world_grow(tracker->world, (void **)&tracker->flush_mms, sizeof(u32),
					 &tracker->flush_mms_size, tracker->nr_flush_mms + 1ull))
		return;
	mm->flush_due = true;
	tracker->flush_mms[tracker->nr_flush_mms++] = mm->world.id;
}

/* try_to_unmap_flush_dirty(): if a store may still reach one of the pages; that was decided by each machine. */
void reclaim_flush_dirty(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->nr_flush_mms; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, tracker->flush_mms[i]);

		if (mm && mm->flush_due)
			emit(tracker, RF_OP_RECLAIM_FLUSH, mm)->flags = RF_OP_WRITE;
	}
}

void reclaim_flush(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->nr_flush_mms; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, tracker->flush_mms[i]);

		if (!mm || !mm->flush_due)
			continue;
		mm->flush_due = false;
		emit(tracker, RF_OP_RECLAIM_FLUSH, mm);
	}
	tracker->nr_flush_mms = 0;
}
