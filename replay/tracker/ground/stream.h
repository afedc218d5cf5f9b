/* SPDX-License-Identifier: MIT */
/* Records in, and a look at those to come. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_STREAM_H
#define REFOLD_REPLAY_TRACKER_GROUND_STREAM_H

#include "replay/tracker/ground/tracking.h"
#include "traces/record.h"

#define LOOK_AHEAD_MAX 262144
/* Far enough for what a call says until it returns, among the records of all CPUs. */
#define LOOK_AHEAD_CALL 32768

/* The record in progress is the next. */
void count_record(struct rf_tracker *tracker);
/* All that were read are taken: reads more. How many; 0: there are no more. */
size_t refill_records(struct rf_tracker *tracker);

/* The next record becomes the one in progress. NULL: there are no more. Valid until the next look ahead. */
static inline const struct rf_record *take_record(struct rf_tracker *tracker)
{
	if (tracker->at == tracker->nr && !refill_records(tracker))
		return NULL;
	return &tracker->records[tracker->at++];
}

/* The i-th record after the one in progress, or NULL: end, or too far. Valid until the next look ahead. */
const struct rf_record *look_ahead(struct rf_tracker *tracker, size_t i);
/* The task's next record from the i-th ahead on, NULL: not in sight. Valid until the next look ahead. */
const struct rf_record *next_of(struct rf_tracker *tracker, u32 tid, size_t *i);
/*
 * The next record of a task in a fault that neither an interrupt nor a task switch can have made, within what a call
 * may take; how far ahead it is. NULL: not in sight. Valid until the next look ahead.
 */
const struct rf_record *next_of_fault(struct rf_tracker *tracker, u32 tid, size_t *ahead);
/* The same but for pages freed: by an interrupt, often, in the middle of what the task does. */
const struct rf_record *next_but_free(struct rf_tracker *tracker, u32 tid, size_t *i);
bool next_is(struct rf_tracker *tracker, u32 tid, u8 kind);
/* The task has allocated the page for the page cache, and brings it there before it does anything else. */
bool enters_page_cache(struct rf_tracker *tracker, u32 tid, u64 pfn);

/* Which of its counters the record's task has changed in its own address space; RF_RSS_MEMBERS: none. */
static inline u64 own_rss(const struct rf_record *record)
{
	if (record->kind == RF_RSS_CHANGE)
		return record->f[0];
	return record->kind == RF_RSS_STAT && record->f[1] ? record->f[2] : RF_RSS_MEMBERS;
}

/* TLB_FLUSH.reason: <linux/mm_types.h> enum tlb_flush_reason. */
enum { RF_TLB_ON_SWITCH, RF_TLB_REMOTE, RF_TLB_LOCAL, RF_TLB_LOCAL_MM, RF_TLB_REMOTE_SEND };
#define RF_TLB_ALL	(~0ull)		/* TLB_FLUSH.pages: TLB_FLUSH_ALL */

/* A TLB_FLUSH of the task's own doing, once each. */
static inline bool is_own_flush(const struct rf_record *record)
{
	return record->f[0] == RF_TLB_LOCAL || record->f[0] == RF_TLB_LOCAL_MM;
}

enum flush_extent {
	FLUSH_NONE,
	FLUSH_RANGE,		/* so many pages */
	FLUSH_ALL,		/* all of the address space: by mm_tlb_flush_nested(), or because it is much */
};

static inline enum flush_extent flush_extent(const struct rf_record *flush)
{
	return flush->f[1] == RF_TLB_ALL ? FLUSH_ALL : FLUSH_RANGE;
}

#endif
