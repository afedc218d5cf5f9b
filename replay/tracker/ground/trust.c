// SPDX-License-Identifier: MIT
/* Marks: kept beside the address spaces, because they outlive them. */
#include "replay/tracker/ground/trust.h"

#include <stdlib.h>

#include "base/array.h"
#include "replay/tracker/ground/tracked_mm.h"
#include "replay/tracker/ground/tracking.h"

#define CERTAIN RF_REASON_CERTAIN
#define MARKS RF_REASON_MARKS
#define DOUBTS RF_REASON_DOUBTS

const char *const rf_reason_names[RF_NR_REASONS] = {
#define X(name, effect, meaning) #name,
	RF_REASONS(X)
#undef X
};

const u8 rf_reason_effects[RF_NR_REASONS] = {
#define X(name, effect, meaning) effect,
	RF_REASONS(X)
#undef X
};

/* Where fidelity counts it, + 1; 0: nowhere. */
static const u16 counters[RF_NR_REASONS] = {
#define X(name, effect, meaning) [RF_REASON_##name] = offsetof(struct rf_fidelity, inferred.name) + 1,
	RF_INFERENCES(X)
#undef X
#define X(name, effect, meaning) [RF_REASON_##name] = offsetof(struct rf_fidelity, anomalies.name) + 1,
	RF_TRACKER_ANOMALIES(X)
#undef X
	[RF_REASON_fault_differs] = offsetof(struct rf_fidelity, fault_checks_bad) + 1,
	[RF_REASON_rss_differs] = offsetof(struct rf_fidelity, rss_checks_bad) + 1,
};

void rf_trust_free(struct rf_trust *trust)
{
	free(trust->mms);
	free(trust->marks);
	free(trust->hidden);
	*trust = (struct rf_trust){ 0 };
}

/* Its marks; NULL: no memory. */
static struct rf_marked_mm *marked(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	struct rf_trust *trust = &tracker->trust;

	if (mm->marked)
		return &trust->mms[mm->marked - 1];
	if (array_grow(trust->mms, trust->mms_room, trust->nr_mms + 1ul))
		return NULL;
	trust->mms[trust->nr_mms] = (struct rf_marked_mm){ .mm = mm->world.id, .known = mm->known };
	mm->marked = ++trust->nr_mms;
	tracker->fidelity.inexact_mms += mm->known;
	return &trust->mms[mm->marked - 1];
}

static void add_mark(struct rf_tracker *tracker, struct tracked_mm *mm, enum rf_reason reason)
{
	struct rf_trust *trust = &tracker->trust;
	struct rf_marked_mm *marks = marked(tracker, mm);

	for (u32 at = marks ? marks->first : 0; at; at = trust->marks[at - 1].next) {
		if (trust->marks[at - 1].reason != reason)
			continue;
		trust->marks[at - 1].nr++;
		return;
	}
	if (!marks || array_grow(trust->marks, trust->marks_room, trust->nr_marks + 1ul)) {
		world_set_out_of_memory(tracker->world);
		return;
	}
	trust->marks[trust->nr_marks++] = (struct rf_mark){
		.reason = reason, .nr = 1, .time = tracker->time, .record = tracker->record,
	};
	if (marks->last)
		trust->marks[marks->last - 1].next = trust->nr_marks;
	else
		marks->first = trust->nr_marks;
	marks->last = trust->nr_marks;
}

void mark_mm(struct rf_tracker *tracker, struct tracked_mm *mm, enum rf_reason reason)
{
	if (counters[reason])
		++*(u64 *)((char *)&tracker->fidelity + counters[reason] - 1);
	if (mm && rf_reason_effects[reason] == MARKS)
		add_mark(tracker, mm, reason);
	else if (rf_reason_effects[reason] != CERTAIN)
		tracker->trust.doubts[reason]++;
}

void process_is_hidden(struct rf_tracker *tracker, u32 pid, u64 time)
{
	struct rf_trust *trust = &tracker->trust;

	if (array_grow(trust->hidden, trust->hidden_room, trust->nr_hidden + 1ul)) {
		world_set_out_of_memory(tracker->world);
		return;
	}
	trust->hidden[trust->nr_hidden++] = (struct rf_hidden){ pid, time };
}

void mm_becomes_known(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	mm->known = true;
	tracker->fidelity.mms++;
	if (!mm->marked)
		return;
	tracker->trust.mms[mm->marked - 1].known = true;
	tracker->fidelity.inexact_mms++;
}
