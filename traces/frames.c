// SPDX-License-Identifier: MIT
/*
 * What is known of a file: its frames and streams, added one by one by whoever finds them, index or scan, and what
 * was found damaged. Each must agree with those before it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/array.h"
#include "traces/reader.h"

void reader_note_damage(struct rf_reader *reader, u64 offset, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&reader->lock);
	if (!reader->damage.code) {
		reader->damage.code = -EBADMSG;
		reader->damage.offset = offset;
		va_start(args, format);
		vsnprintf(reader->damage.message, sizeof(reader->damage.message), format, args);
		va_end(args);
	}
	reader->summary.complete = false;
	pthread_mutex_unlock(&reader->lock);
}

void reader_note_failure(struct rf_reader *reader, u64 offset, const char *why)
{
	pthread_mutex_lock(&reader->lock);
	if (why == reader_no_memory)
		rf_error_set(&reader->damage, -ENOMEM, RF_NO_OFFSET, "%s", why);
	else
		rf_error_set(&reader->damage, -EIO, offset, "%s", why);
	pthread_mutex_unlock(&reader->lock);
}

static int need_streams(struct rf_reader *reader, size_t nr)
{
	if (array_grow(reader->streams, reader->streams_room, nr))
		return -ENOMEM;
	while (reader->nr_streams < nr)
		reader->streams[reader->nr_streams++] = (struct reader_stream){
			.first_frame = NO_FRAME, .last_frame = NO_FRAME };
	return 0;
}

static bool describe_stream(struct reader_stream *stream, u8 source, u16 cpu)
{
	if (stream->described)
		return stream->info.source == source && stream->info.cpu == cpu;
	stream->info.source = source;
	stream->info.cpu = cpu;
	stream->described = true;
	return true;
}

static struct reader_frame *new_frame(struct rf_reader *reader)
{
	if (array_grow(reader->frames, reader->frames_room, reader->nr_frames + 1))
		return NULL;
	return memset(&reader->frames[reader->nr_frames], 0, sizeof(struct reader_frame));
}

static void account_frame(struct rf_trace_summary *summary, const struct rf_frame_info *info)
{
	if (info->records) {
		if (!summary->records || info->first_time < summary->first_time)
			summary->first_time = info->first_time;
		summary->last_time = max_u64(summary->last_time, info->last_time);
	}
	summary->records += info->records;
	summary->lost_events += info->lost;
}

int reader_add_frame(struct rf_reader *reader, u64 offset, u64 size, const u8 *header_bytes, u64 *missing,
		     const char **why)
{
	struct data_header header;
	struct reader_stream *stream;
	struct reader_frame *frame;

	*why = "the frame header is damaged";
	if (!data_header_load(header_bytes, &header))
		return -EBADMSG;
	if (need_streams(reader, header.stream + 1u))
		return -ENOMEM;
	stream = &reader->streams[header.stream];
	*why = "the frame contradicts earlier frames of its stream";
	if (!describe_stream(stream, header.source, header.cpu) || header.sequence < stream->frames ||
	    header.records_before < stream->records || header.lost_before - header.lost < stream->lost)
		return -EBADMSG;
	frame = new_frame(reader);
	if (!frame)
		return -ENOMEM;
	*missing = header.records_before - stream->records + header.lost_before - header.lost - stream->lost;
	frame->info = (struct rf_frame_info){
		.offset = offset,
		.size = size,
		.records = header.records,
		.stream = header.stream,
		.first_time = header.first_time,
		.last_time = header.last_time,
		.lost = header.lost + *missing,
		.kinds = { header.kinds[0], header.kinds[1] },
	};
	frame->next = NO_FRAME;
	if (stream->last_frame == NO_FRAME)
		stream->first_frame = reader->nr_frames;
	else
		reader->frames[stream->last_frame].next = reader->nr_frames;
	stream->last_frame = reader->nr_frames;
	memcpy(frame->header, header_bytes, DATA_HEADER_BYTES);
	reader->nr_frames++;
	stream->frames = header.sequence + 1;
	stream->records = header.records_before + header.records;
	stream->lost = header.lost_before;
	stream->last_time = header.last_time;
	account_frame(&reader->summary, &frame->info);
	return 0;
}

int reader_add_end(struct rf_reader *reader, const u8 *data, size_t size, u64 *missing, const char **why)
{
	struct end_header header;
	struct end_stream totals;

	*missing = 0;
	*why = "the end frame is damaged";
	if (!end_header_load(data, size, &header))
		return -EBADMSG;
	for (u32 i = 0; i < header.streams; i++)
		if (!end_stream_load(data + END_HEADER_BYTES + i * END_STREAM_BYTES, &totals))
			return -EBADMSG;
	*why = "the end frame contradicts the frames before it";
	if (header.streams < reader->nr_streams)
		return -EBADMSG;
	if (need_streams(reader, header.streams))
		return -ENOMEM;
	for (u32 i = 0; i < header.streams; i++) {
		struct reader_stream *stream = &reader->streams[i];

		end_stream_load(data + END_HEADER_BYTES + i * END_STREAM_BYTES, &totals);
		if (!describe_stream(stream, totals.info.source, totals.info.cpu) || totals.frames < stream->frames ||
		    totals.records < stream->records || totals.lost < stream->lost)
			return -EBADMSG;
		stream->lost_at_end = totals.records - stream->records + totals.lost - stream->lost;
		reader->summary.lost_events += stream->lost_at_end;
		/* What had no room below the writer's limit is lost, but no frame is missing. */
		if (totals.frames > stream->frames || totals.records > stream->records)
			*missing += stream->lost_at_end;
	}
	reader->summary.end = header.why;
	return 0;
}
