// SPDX-License-Identifier: MIT
/*
 * Records in, in merged time order, and what comes after the one in progress: look-ahead reads further records into
 * the same buffer, which may move. That is why handlers get a record by value.
 */
#include "replay/tracker/ground/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/decoding.h"
#include "replay/tracker/ground/tracking.h"

/* A copy of a stack and the entry of its call are one moment: nothing of the thread is between them but that copy. */
#define COPY_NS_MAX 1000000u

static void copy_begins(struct rf_tracker *tracker, const struct rf_record *call_stack)
{
	if (!array_grow(tracker->stack_copies, tracker->stack_copies_room, tracker->nr_stack_copies + 1))
		tracker->stack_copies[tracker->nr_stack_copies++] = *call_stack;
}

/*
 * Perf copies the top of the stack with faults disabled, and may reach pages that were never touched: such an exception
 * is no fault, and does not come again (x86; kprobes do not tell of it). True: the record is one.
 */
static bool is_of_copy(struct rf_tracker *tracker, const struct rf_record *record)
{
	size_t kept = 0;
	bool found = false;

	for (size_t i = 0; i < tracker->nr_stack_copies; i++) {
		const struct rf_record *copy = &tracker->stack_copies[i];
		bool own = copy->tid == record->tid;

		if (record->time - copy->time > COPY_NS_MAX || (own && copy->f[0] == record->kind))
			continue;
		found |= own && record->kind == RF_FAULT && record->f[1] == RF_FAULT_KERNEL;
		tracker->stack_copies[kept++] = *copy;
	}
	tracker->nr_stack_copies = kept;
	return found;
}

/*
 * What is told of stacks, and what comes of taking them, changes no page table: what comes after what is the same with
 * and without. Records are numbered as if they had come.
 */
static size_t pass_over_stacks(struct rf_tracker *tracker, struct rf_record *records, size_t nr)
{
	size_t kept = 0;

	if (!tracker->have_stacks)
		return nr;
	for (size_t i = 0; i < nr; i++) {
		tracker->nr_merged++;
		if (records[i].kind == RF_CALL_STACK)
			copy_begins(tracker, &records[i]);
		if (!rf_is_of_stacks(records[i].kind) &&
		    !(tracker->nr_stack_copies && is_of_copy(tracker, &records[i]))) {
			records[kept++] = records[i];
			continue;
		}
		tracker->kinds[records[i].kind]++;
		if (!array_grow(tracker->passed_over, tracker->passed_room, tracker->nr_passed + 1))
			tracker->passed_over[tracker->nr_passed++] = tracker->nr_merged;
	}
	return kept;
}

void count_record(struct rf_tracker *tracker)
{
	tracker->record++;
	while (tracker->at_passed < tracker->nr_passed && tracker->passed_over[tracker->at_passed] == tracker->record) {
		tracker->record++;
		tracker->at_passed++;
	}
	if (tracker->at_passed == tracker->nr_passed)
		tracker->at_passed = tracker->nr_passed = 0;
}

static size_t read_more(struct rf_tracker *tracker)
{
	size_t read, got;

	if (tracker->ended)
		return 0;
	/* Never more that is still to come than what is past: so each is moved once, however far the look ahead is. */
	if (tracker->nr + DECODED_AT_ONCE > tracker->size && tracker->at >= tracker->nr - tracker->at) {
		memmove(tracker->records, tracker->records + tracker->at,
			(tracker->nr - tracker->at) * sizeof(*tracker->records));
		tracker->nr -= tracker->at;
		tracker->at = 0;
	}
	if (array_grow(tracker->records, tracker->size, tracker->nr + DECODED_AT_ONCE))
		return 0;	/* less look-ahead, no error */
	do {
		read = decoding_next(tracker->decoding, tracker->records + tracker->nr);
		got = pass_over_stacks(tracker, tracker->records + tracker->nr, read);
	} while (read && !got);
	tracker->nr += got;
	if (!got)
		tracker->ended = true;
	return got;
}

size_t refill_records(struct rf_tracker *tracker)
{
	tracker->at = tracker->nr = 0;
	return read_more(tracker);
}

const struct rf_record *look_ahead(struct rf_tracker *tracker, size_t i)
{
	if (i >= LOOK_AHEAD_MAX)
		return NULL;
	while (tracker->at + i >= tracker->nr)
		if (!read_more(tracker))
			return NULL;
	return &tracker->records[tracker->at + i];
}

/* Far enough for what a task says within a microsecond or so, on a machine of a hundred CPUs. */
#define PEEK_RECORDS 512

/* What it does, not what it brings into the page cache meanwhile, nor what the recorder saw of it. */
static bool is_deed(const struct rf_record *record)
{
	return record->kind != RF_CACHE_ADD && (record->kind < RF_SNAP_BEGIN || record->kind > RF_SNAP_END);
}

const struct rf_record *next_of(struct rf_tracker *tracker, u32 tid, size_t *i)
{
	const struct rf_record *record;

	while (*i < PEEK_RECORDS && (record = look_ahead(tracker, (*i)++)))
		if (record->tid == tid && is_deed(record))
			return record;
	return NULL;
}

bool enters_page_cache(struct rf_tracker *tracker, u32 tid, u64 pfn)
{
	const struct rf_record *record;

	for (size_t i = 0; i < PEEK_RECORDS && (record = look_ahead(tracker, i)); i++) {
		if (record->tid != tid)
			continue;
		if (record->kind == RF_CACHE_ADD && record->f[3] == pfn)
			return true;
		if (is_deed(record))
			break;
	}
	return false;
}

static bool is_user_page(const struct rf_record *record)
{
	return record->kind != RF_PAGE_ALLOC || is_user_alloc(record->f[2]);
}

const struct rf_record *next_of_fault(struct rf_tracker *tracker, u32 tid, size_t *ahead)
{
	const struct rf_record *record;

	for (*ahead = 0; *ahead < LOOK_AHEAD_CALL && (record = look_ahead(tracker, *ahead)); ++*ahead)
		if (record->tid == tid && is_deed(record) && is_user_page(record) && record->kind != RF_PAGE_FREE &&
		    record->kind != RF_TLB_FLUSH)
			return record;
	return NULL;
}

const struct rf_record *next_but_free(struct rf_tracker *tracker, u32 tid, size_t *i)
{
	const struct rf_record *next;

	do
		next = next_of(tracker, tid, i);
	while (next && next->kind == RF_PAGE_FREE);
	return next;
}

bool next_is(struct rf_tracker *tracker, u32 tid, u8 kind)
{
	size_t i = 0;
	const struct rf_record *next = next_of(tracker, tid, &i);

	return next && next->kind == kind;
}
