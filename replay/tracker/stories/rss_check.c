// SPDX-License-Identifier: MIT
/* What the kernel counted against what the model maps. */
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/rss.h"
#include "replay/tracker/stories/snapshot.h"

/* Fault-around mapped some of the entries marked as in doubt, not all; the difference tells how many. */
static bool is_in_doubt(struct tracked_mm *mm, u32 member, s64 difference)
{
	if (member != RF_RSS_FILE && member != RF_RSS_SHMEM)
		return false;
	mm->doubts = (u32)min_u64(mm->doubts, mm->world.doubtful);
	if (difference >= 0 || -difference > (s64)mm->doubts)
		return false;
	mm->doubts = (u32)-difference;
	return true;
}

/* A thread may be held up after its fault was counted, before that is told: of an anonymous page, with its page. */
static bool is_counting(const struct tracked_mm *mm, u32 member)
{
	for (const struct task *task = mm->tasks; task; task = task->mm_next)
		if (fault_pending(&task->fault) && (task->nr_allocs || member != RF_RSS_ANON))
			return true;
	return false;
}

#define DOUBTS 3

static bool is_certain(struct tracked_mm *mm, u32 member, s64 difference)
{
	if (is_counting(mm, member))
		return false;
	if (mm->rss_difference[member] != difference)
		mm->rss_doubts[member] = 0;
	mm->rss_difference[member] = difference;
	return ++mm->rss_doubts[member] == DOUBTS;
}

/*
 * What the kernel counted against what the model maps. Only where nothing is between an RSS change and its effect
 * (deferred), and minus what reclaim is known to have taken from pages not told yet. A difference counts once: it
 * becomes the bias from then on. With threads a difference may be an effect still to come; one that stays counts.
 */
void check_rss(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	if (!mm->rss_fresh || mm->deferred || mm->callers || !mm->known || mm->settling)
		return;
	for (u32 member = 0; member < RF_RSS_MEMBERS; member++) {
		s64 expected, difference;

		if (!(mm->rss_fresh & BIT(member)))
			continue;
		expected = mm->world.counted[member] - (s64)mm->unmapped[member];
		if (member == RF_RSS_SWAP)
			expected = mm->world.counted[member] + (s64)mm->swapped;
		if (member == RF_RSS_ANON)
			expected += mm->arguments;
		difference = mm->recorded[member] - expected;
		if (is_in_doubt(mm, member, difference))
			difference = 0;
		if (mm->rss_unbased & BIT(member)) {
			mm->rss_unbased &= (u8)~BIT(member);
			mm->bias[member] = difference;
		} else if (!difference || difference == mm->bias[member]) {
			mm->bias[member] = difference;
			mm->rss_doubts[member] = 0;
			tracker->fidelity.rss_checks_ok++;
		} else if (mm->users > 1 && !is_certain(mm, member, difference)) {
			continue;
		} else {
			mm->bias[member] = difference;
			mm->rss_doubts[member] = 0;
			mark_mm(tracker, mm, RF_REASON_rss_differs);
		}
	}
	mm->rss_fresh = 0;
}
