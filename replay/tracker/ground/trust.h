/* SPDX-License-Identifier: MIT */
/*
 * Which address spaces are not to be relied on, since when, and why. Whoever notices a contradiction, a gap or a call
 * of unknown effect says so with mark_mm(); docs/trust.md gives the rule for each reason, and for the report's word.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_TRUST_H
#define REFOLD_REPLAY_TRACKER_GROUND_TRUST_H

#include "replay/tracker/ground/fidelity.h"

struct rf_tracker;
struct tracked_mm;

/* Reasons beside those of RF_INFERENCES and RF_TRACKER_ANOMALIES: name, what it does, meaning. */
#define RF_OTHER_REASONS(X) \
	X(loss, MARKS, "Events were lost that may have been about it.") \
	X(shared_loss, DOUBTS, "Events of the whole system were lost: of the page cache, of reclaim, of migration.") \
	X(hidden_unknown, DOUBTS, "Events were lost that may have been births of processes, and no other source tells of them.") \
	X(stale_cache, MARKS, "It maps pages of files as they were cached before events of the page cache were lost.") \
	X(exec_unseen, MARKS, "Its exec() was not seen from the start: pages of arguments or mappings are not known.") \
	X(forked, MARKS, "It began as a copy of a marked address space.") \
	X(snapshot_torn, MARKS, "The snapshot it began with was taken while it ran, or is not whole.") \
	X(snapshot_differs, MARKS, "The kernel's page table, as a snapshot shows it, is another.") \
	X(fault_differs, MARKS, "A fault hit an entry that the hardware says was another.") \
	X(rss_untold, MARKS, "Its kernel counts pages in batches, and was not asked for each change: faults may have mapped anything.") \
	X(left_out, MARKS, "Its recorder took more of a CPU than it was given, and left out events that tell of it.") \
	X(rss_differs, MARKS, "The kernel counted other pages than are mapped.") \
	X(gup_unplaced, MARKS, "Pages were allocated for it outside of faults and of calls that populate: where is not told.") \
	X(pages_untold, MARKS, "How many of its pages came or went is told, which is not.") \
	X(page_unknown, MARKS, "A page of its own was mapped whose page frame no record tells.") \
	X(copy_untold, MARKS, "It wrote to a page that others map as well, and no record tells of a copy.") \
	X(unseen_thread, MARKS, "The kernel has a thread of its own in it (of io_uring, vhost), whose events are not recorded.") \
	X(ksm_merged, MARKS, "KSM merged a page of it: which entry maps the shared page is not told.") \
	X(machine, MARKS, "A machine met operations that contradict its page table.") \
	X(incomplete, DOUBTS, "The trace is damaged or was cut: what is missing is not known.") \
	X(nothing_compared, DOUBTS, "No snapshot could be compared with: nothing shows that the page tables are right.") \
	X(call_unknown, MARKS, "A call was made whose effect on it is not told, or not modelled.") \
	X(compat_calls, MARKS, "It is of a 32-bit program whose system calls were not recorded.")

#define RF_REASONS(X) RF_INFERENCES(X) RF_TRACKER_ANOMALIES(X) RF_OTHER_REASONS(X)

enum rf_reason {
#define X(name, effect, meaning) RF_REASON_##name,
	RF_REASONS(X)
#undef X
	RF_NR_REASONS
};

/* What a reason does: CERTAIN is only counted, MARKS an address space, DOUBTS all of the report. */
enum rf_reason_effect { RF_REASON_CERTAIN, RF_REASON_MARKS, RF_REASON_DOUBTS };

extern const char *const rf_reason_names[RF_NR_REASONS];
extern const char *const rf_reason_meanings[RF_NR_REASONS];
extern const u8 rf_reason_effects[RF_NR_REASONS];

/* Why an address space is marked: one for each of its reasons. */
struct rf_mark {
	u32 reason;		/* enum rf_reason */
	u32 next;		/* of the same address space: index + 1, 0: none */
	u64 nr;			/* how often */
	u64 time, record;	/* the first time, and the record that showed it: its number, from 1 */
};

struct rf_marked_mm {
	u32 mm;			/* number in operations */
	u32 first, last;	/* its marks, in order of time: index + 1 */
	bool known;		/* its page table was ever rebuilt: it is one of fidelity.mms */
	u64 until;		/* when it was read anew, and another took its place; 0: it was not */
};

/* A process whose birth was lost: nothing of it was followed, or only what came after an exec. */
struct rf_hidden {
	u32 pid;
	u64 time;		/* when it was born; or, if nothing tells that, when it was last met */
};

/* What is to be said of one trace. */
struct rf_trust {
	struct rf_marked_mm *mms;	/* in the order in which they were marked */
	u32 nr_mms;
	size_t mms_room;
	struct rf_mark *marks;
	u32 nr_marks;
	size_t marks_room;
	struct rf_hidden *hidden;	/* processes that a loss hid, in the order in which they were found out */
	u32 nr_hidden;
	size_t hidden_room;
	u64 doubts[RF_NR_REASONS];	/* how often, of those that cannot be narrowed to an address space */
};

void rf_trust_free(struct rf_trust *trust);
/* Its place in the list, made if it has none; and a mark more for that place. -ENOMEM or 0. */
int rf_trust_place(struct rf_trust *trust, u32 mm, u32 *place);
int rf_trust_add(struct rf_trust *trust, u32 place, enum rf_reason reason, u64 time, u64 record);

/*
 * It cannot be relied on from now on, for this reason, which fidelity counts, too. NULL: whose it is, is not known.
 */
void mark_mm(struct rf_tracker *tracker, struct tracked_mm *mm, enum rf_reason reason);
/* It is read anew now, and another one takes its place: whoever looks at a mark knows until when it holds. */
void trust_ends(struct rf_tracker *tracker, const struct tracked_mm *mm);
/* A process was there of which nothing is known. */
void process_is_hidden(struct rf_tracker *tracker, u32 pid, u64 time);
/* Its page table is being rebuilt from now on. */
void mm_becomes_known(struct rf_tracker *tracker, struct tracked_mm *mm);

#endif
