// SPDX-License-Identifier: MIT
/*
 * Events of a stream are missing, for which the kernel had no room: what its tasks were doing is unknown, and so is
 * what they changed. And when all of them will be, or all of a kind.
 */
#include <string.h>

#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"

/* What later records tell, others that belong to it do not: a fork's copies, but no clone(). */
void on_stop(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	tracker->stopped = true;
}

/*
 * What they would have told is not known from now on: of pages freed and pinned unseen, of the page cache, and, as
 * flushes tell which fault has copied, of these. Some flushes, but not all, are not to be compared with: none are.
 */
void on_left_out(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	if (record.f[0] == RF_TLB_FLUSH) {
		tracker->have_flushes = false;
		memset(&tracker->fidelity.tlb_flushes_recorded, 0, sizeof(tracker->fidelity.tlb_flushes_recorded));
	}
	tracker->left_out = true;
	for (u32 id = 0; id < tracker->world->nr_mms; id++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, id);

		if (mm && mm->known)
			mark_mm(tracker, mm, RF_REASON_left_out);
	}
}

void on_lost(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	const struct rf_stream_info *info = rf_reader_stream(tracker->reader, record.stream);

	loss_told(tracker, &record);
	tracker->fidelity.anomalies.lost_events += record.f[0];
	if (info && info->source == RF_SOURCE_SYSTEM)
		return;
	for (struct task *other = tracker->running, *next; other; other = next) {
		next = other->running_next;
		if (other->stream != record.stream)
			continue;
		fault_close(tracker, other);
		call_abandon(tracker, other);
		other->nr_allocs = 0;
	}
}
