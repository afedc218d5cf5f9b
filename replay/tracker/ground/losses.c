// SPDX-License-Identifier: MIT
/* Losses: the list is made before the first record, so that what lives and dies within one is marked as well. */
#include "replay/tracker/ground/losses.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "replay/tracker/ground/tracked_mm.h"

static int by_begin(const void *a, const void *b)
{
	const struct rf_loss *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int add_loss(struct rf_tracker *tracker, u64 begin, u64 end, u16 stream)
{
	if (array_grow(tracker->losses, tracker->losses_room, tracker->nr_losses + 1ul))
		return -ENOMEM;
	tracker->losses[tracker->nr_losses++] = (struct rf_loss){ begin, end, stream };
	return 0;
}

/* A stream, as far as its frames were looked at. */
struct reach {
	u64 time;		/* of its last record */
	bool lost;		/* since then */
};

/* Frames without records tell a loss only; it lasts until the next record. */
static int learn_losses(struct rf_tracker *tracker, struct reach *streams)
{
	const struct rf_reader *reader = tracker->reader;
	int ret = 0;

	for (size_t i = 0; !ret && i < rf_reader_nr_frames(reader); i++) {
		const struct rf_frame_info *frame = rf_reader_frame(reader, i);
		struct reach *stream = &streams[frame->stream];

		stream->lost |= frame->lost > 0;
		if (!frame->records)
			continue;
		if (stream->lost)
			ret = add_loss(tracker, stream->time, frame->first_time, frame->stream);
		*stream = (struct reach){ .time = frame->last_time };
	}
	for (size_t i = 0; !ret && i < tracker->nr_streams; i++)
		if (streams[i].lost || rf_reader_lost_at_end(reader, i))
			ret = add_loss(tracker, streams[i].time, UINT64_MAX, (u16)i);
	return ret;
}

int losses_start(struct rf_tracker *tracker, struct rf_error *err)
{
	struct reach *streams = calloc(tracker->nr_streams + 1, sizeof(*streams));
	int ret = streams ? learn_losses(tracker, streams) : -ENOMEM;

	free(streams);
	if (ret)
		return rf_error_set(err, ret, RF_NO_OFFSET, "out of memory");
	if (tracker->nr_losses)
		qsort(tracker->losses, tracker->nr_losses, sizeof(*tracker->losses), by_begin);
	tracker->next_loss = tracker->nr_losses ? tracker->losses[0].begin : UINT64_MAX;
	return 0;
}

static void mark_loss(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	mm->uncounted = true;
	mark_mm(tracker, mm, RF_REASON_loss);
}

/* Each that is marked is off the list, so that many losses cost no more than many address spaces. */
static void mark_all(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->nr_untouched; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, tracker->untouched[i]);

		if (mm)
			mark_loss(tracker, mm);
	}
	tracker->nr_untouched = 0;
}

/*
 * What all tasks share, the page cache above all, is told by streams of the whole system: who is born later may be
 * concerned, too.
 */
static void loss_begins(struct rf_tracker *tracker, u16 stream, u64 end)
{
	const struct rf_stream_info *info = rf_reader_stream(tracker->reader, stream);

	tracker->lost_until = max_u64(tracker->lost_until, end);
	mark_all(tracker);
	if (info && (info->source == RF_SOURCE_SYSTEM || info->source == RF_SOURCE_SNAPSHOT)) {
		tracker->cache_lost = max_u64(tracker->cache_lost, end);
		mark_mm(tracker, NULL, RF_REASON_shared_loss);
	}
}

void losses_begin(struct rf_tracker *tracker)
{
	while (tracker->next_loss <= tracker->time) {
		const struct rf_loss *loss = &tracker->losses[tracker->losses_begun++];

		loss_begins(tracker, loss->stream, loss->end);
		tracker->next_loss = tracker->losses_begun < tracker->nr_losses
					     ? tracker->losses[tracker->losses_begun].begin : UINT64_MAX;
	}
}

void loss_told(struct rf_tracker *tracker, const struct rf_record *record)
{
	/* How long a frame lasts that cannot be read, the trace no longer tells for sure. */
	if (!rf_reader_damage(tracker->reader))
		return;
	loss_begins(tracker, record->stream, UINT64_MAX);
	mark_mm(tracker, NULL, RF_REASON_hidden_unknown);
}

struct tracked_mm *mm_new(struct rf_tracker *tracker)
{
	struct tracked_mm *mm = tracked_mm_new(tracker->world);

	if (!mm)
		return NULL;
	if (tracker->losses_begun && tracker->time <= tracker->lost_until)
		mark_loss(tracker, mm);
	else if (array_grow(tracker->untouched, tracker->untouched_room, tracker->nr_untouched + 1ul))
		world_set_out_of_memory(tracker->world);
	else
		tracker->untouched[tracker->nr_untouched++] = mm->world.id;
	return mm;
}
