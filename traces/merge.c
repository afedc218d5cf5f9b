// SPDX-License-Identifier: MIT
/*
 * The merge: a binary heap of streams by the time of their next record. Events
 * come in runs (one CPU is busy for a while), so the top stream is drained until
 * the second best is due, and the heap is touched once a run, not once a record.
 */
#include "traces/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_RECORDS 512

struct source {
	struct rf_cursor *cursor;
	u64 time;		/* of the next record */
	u32 stream;
	u32 at, nr;
	struct rf_record records[BUFFER_RECORDS];
};

struct rf_merge {
	struct source **heap;
	size_t nr;
	struct source **sources;
	size_t nr_sources;
};

static bool before(const struct source *a, const struct source *b)
{
	return a->time != b->time ? a->time < b->time : a->stream < b->stream;
}

/* Make the next record readable; false at the end of the stream. */
static bool refill(struct source *source)
{
	if (source->at == source->nr) {
		source->nr = (u32)rf_cursor_read(source->cursor, source->records, BUFFER_RECORDS);
		source->at = 0;
		if (!source->nr)
			return false;
	}
	source->time = source->records[source->at].time;
	return true;
}

static void sift_down(struct rf_merge *merge, size_t at)
{
	struct source *source = merge->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= merge->nr)
			break;
		if (child + 1 < merge->nr && before(merge->heap[child + 1], merge->heap[child]))
			child++;
		if (!before(merge->heap[child], source))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = source;
}

/* A stream without records: a number costs a file next to nothing, and must not cost more here. */
static void forget_last(struct rf_merge *merge)
{
	struct source *source = merge->sources[--merge->nr_sources];

	rf_cursor_close(source->cursor);
	free(source);
}

static int open_sources(struct rf_merge *merge, struct rf_reader *reader, const u64 kinds[2])
{
	size_t nr = rf_reader_nr_streams(reader);

	merge->heap = calloc(nr ? nr : 1, sizeof(*merge->heap));
	merge->sources = calloc(nr ? nr : 1, sizeof(*merge->sources));
	if (!merge->heap || !merge->sources)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct source *source = calloc(1, sizeof(*source));

		if (!source)
			return -ENOMEM;
		merge->sources[merge->nr_sources++] = source;
		source->stream = (u32)i;
		source->cursor = rf_cursor_open(reader, (int)i, kinds);
		if (!source->cursor)
			return -ENOMEM;
		if (refill(source))
			merge->heap[merge->nr++] = source;
		else
			forget_last(merge);
	}
	for (size_t i = merge->nr / 2; i-- > 0;)
		sift_down(merge, i);
	return 0;
}

struct rf_merge *rf_merge_open(struct rf_reader *reader, const u64 kinds[2], struct rf_error *err)
{
	struct rf_merge *merge = calloc(1, sizeof(*merge));
	int ret = merge ? open_sources(merge, reader, kinds) : -ENOMEM;

	if (ret) {
		rf_error_set(err, ret, RF_NO_OFFSET, "out of memory");
		rf_merge_close(merge);
		return NULL;
	}
	return merge;
}

size_t rf_merge_read(struct rf_merge *merge, struct rf_record *out, size_t max)
{
	size_t done = 0;

	while (done < max && merge->nr) {
		struct source *source = merge->heap[0], *second = NULL;
		bool more = true;

		if (merge->nr > 1) {
			second = merge->heap[1];
			if (merge->nr > 2 && before(merge->heap[2], second))
				second = merge->heap[2];
		}
		do {
			out[done++] = source->records[source->at++];
			more = refill(source);
		} while (more && done < max && (!second || before(source, second)));
		if (!more)
			merge->heap[0] = merge->heap[--merge->nr];
		if (merge->nr)
			sift_down(merge, 0);
	}
	return done;
}

void rf_merge_close(struct rf_merge *merge)
{
	if (!merge)
		return;
	for (size_t i = 0; i < merge->nr_sources; i++) {
		if (merge->sources[i]->cursor)
			rf_cursor_close(merge->sources[i]->cursor);
		free(merge->sources[i]);
	}
	free(merge->sources);
	free(merge->heap);
	free(merge);
}
