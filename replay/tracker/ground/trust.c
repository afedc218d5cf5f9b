// SPDX-License-Identifier: MIT
/* Marks: kept beside the address spaces, because they outlive them. */
#include "replay/tracker/ground/trust.h"

#include <errno.h>
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

const char *const rf_reason_meanings[RF_NR_REASONS] = {
#define X(name, effect, meaning) meaning,
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

int rf_trust_place(struct rf_trust *trust, u32 mm, u32 *place)
{
	if (array_grow(trust->mms, trust->mms_room, trust->nr_mms + 1ul))
		return -ENOMEM;
	*place = trust->nr_mms++;
	trust->mms[*place] = (struct rf_marked_mm){ .mm = mm };
	return 0;
}

int rf_trust_add(struct rf_trust *trust, u32 place, enum rf_reason reason, u64 time, u64 record)
{
	struct rf_marked_mm *mm = &trust->mms[place];

	for (u32 at = mm->first; at; at = trust->marks[at - 1].next) {
		if (trust->marks[at - 1].reason != reason)
			continue;
		trust->marks[at - 1].nr++;
		return 0;
	}
	if (array_grow(trust->marks, trust->marks_room, trust->nr_marks + 1ul))
		return -ENOMEM;
	trust->marks[trust->nr_marks++] =
		(struct rf_mark){ .reason = reason, .nr = 1, .time = time, .record = record };
	if (mm->last)
		trust->marks[mm->last - 1].next = trust->nr_marks;
	else
		mm->first = trust->nr_marks;
	mm->last = trust->nr_marks;
	return 0;
}

static int add_mark(struct rf_tracker *tracker, struct tracked_mm *mm, enum rf_reason reason)
{
	struct rf_trust *trust = &tracker->trust;
	u32 place = mm->marked - 1;

	if (!mm->marked) {
		if (rf_trust_place(trust, mm->world.id, &place))
			return -ENOMEM;
		mm->marked = place + 1;
		trust->mms[place].known = mm->known;
		tracker->fidelity.inexact_mms += mm->known;
	}
	return rf_trust_add(trust, place, reason, tracker->time, tracker->record);
}

void mark_mm(struct rf_tracker *tracker, struct tracked_mm *mm, enum rf_reason reason)
{
	if (counters[reason])
		++*(u64 *)((char *)&tracker->fidelity + counters[reason] - 1);
	if (mm && rf_reason_effects[reason] == MARKS) {
		if (add_mark(tracker, mm, reason))
			world_set_out_of_memory(tracker->world);
	} else if (rf_reason_effects[reason] != CERTAIN) {
		tracker->trust.doubts[reason]++;
	}
}

void trust_ends(struct rf_tracker *tracker, const struct tracked_mm *mm)
{
	if (mm->marked)
		tracker->trust.mms[mm->marked - 1].until = tracker->time;
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
	if (mm->marked) {
		tracker->trust.mms[mm->marked - 1].known = true;
		tracker->fidelity.inexact_mms++;
	}
	if (tracker->rss_untold)
		mark_mm(tracker, mm, RF_REASON_rss_untold);
	if (tracker->left_out)
		mark_mm(tracker, mm, RF_REASON_left_out);
}
