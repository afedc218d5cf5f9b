// SPDX-License-Identifier: MIT
/*
 * Walking the records of a stream. A frame is read, unpacked and checked as a
 * whole before its first record is delivered; then its columns are decoded in
 * slices, into the caller's buffer.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/array.h"
#include "traces/reader.h"

struct rf_cursor {
	struct rf_reader *reader;
	int stream;
	u64 kinds[2];
	size_t next_frame;
	size_t next_stream_end, stream_ends;	/* the streams whose loss at the end is still to be delivered */
	struct rf_record lost;		/* f[0] != 0: to be delivered before anything else */
	struct unpacker unpacker;
};

static const char *read_packed(struct rf_reader *reader, const struct rf_frame_info *info, u8 *packed)
{
	size_t done = 0;

	while (done < info->size) {
		ssize_t n = pread(reader->fd, packed + done, info->size - done, info->offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return reader_no_reading;
		if (n == 0)
			return "the file became shorter";
		done += n;
	}
	return NULL;
}

static const char *unpack(struct rf_reader *reader, const struct reader_frame *frame, struct unpacker *unpacker)
{
	unsigned long long content;
	struct data_header header;
	const char *wrong;
	size_t size;

	if (!unpacker->zstd)
		unpacker->zstd = ZSTD_createDCtx();
	if (!unpacker->zstd || array_grow(unpacker->packed, unpacker->packed_room, frame->info.size))
		return reader_no_memory;
	wrong = read_packed(reader, &frame->info, unpacker->packed);
	if (wrong)
		return wrong;
	content = ZSTD_getFrameContentSize(unpacker->packed, frame->info.size);
	if (frame->info.size < 5 || load_u32(unpacker->packed) != ZSTD_MAGIC || !(unpacker->packed[4] & 4) ||
	    content < DATA_HEADER_BYTES || content > FRAME_UNPACKED_MAX)
		return "no frame where the index has one";
	if (array_grow(unpacker->unpacked, unpacker->unpacked_room, content + COLUMNS_PADDING))
		return reader_no_memory;
	size = ZSTD_decompressDCtx(unpacker->zstd, unpacker->unpacked, content, unpacker->packed, frame->info.size);
	if (ZSTD_isError(size))
		return reader_zstd_error(size);
	if (size != content || memcmp(unpacker->unpacked, frame->header, DATA_HEADER_BYTES) ||
	    !data_header_load(unpacker->unpacked, &header))
		return "its header does not agree with the index";
	memset(unpacker->unpacked + size, 0, COLUMNS_PADDING);
	return columns_open(&unpacker->columns, unpacker->unpacked, size, &header);
}

static void note_damaged_frame(struct rf_reader *reader, struct reader_frame *frame, const char *why)
{
	struct rf_trace_summary *summary = &reader->summary;
	bool first;

	pthread_mutex_lock(&reader->lock);
	first = !frame->damaged;
	if (first) {
		frame->damaged = true;
		summary->damaged_frames++;
		summary->records -= frame->info.records;
		summary->lost_events += frame->info.records;
	}
	pthread_mutex_unlock(&reader->lock);
	if (first)
		reader_note_damage(reader, frame->info.offset, "a damaged frame (%s): %u records of stream %u are lost",
				   why, frame->info.records, frame->info.stream);
}

bool reader_unpack(struct rf_reader *reader, size_t nr, struct unpacker *unpacker)
{
	struct reader_frame *frame = &reader->frames[nr];
	const char *why = unpack(reader, frame, unpacker);

	if (!why) {
		if (reader->has_counts)
			reader_compare_counts(reader, frame, unpacker->columns.counts);
		return true;
	}
	unpacker->columns.left = 0;
	if (why == reader_no_memory || why == reader_no_reading)
		reader_note_failure(reader, frame->info.offset, why);
	else
		note_damaged_frame(reader, frame, why);
	return false;
}

void unpacker_free(struct unpacker *unpacker)
{
	ZSTD_freeDCtx(unpacker->zstd);
	free(unpacker->packed);
	free(unpacker->unpacked);
}

struct rf_cursor *rf_cursor_open(struct rf_reader *reader, int stream, const u64 kinds[2])
{
	struct rf_cursor *cursor = calloc(1, sizeof(*cursor));

	if (!cursor)
		return NULL;
	cursor->reader = reader;
	cursor->stream = stream;
	if (stream < 0) {
		cursor->stream_ends = reader->nr_streams;
	} else {
		cursor->next_stream_end = (size_t)stream;
		cursor->stream_ends = min_u64((size_t)stream + 1, reader->nr_streams);
		cursor->next_frame = NO_FRAME;
		if ((size_t)stream < reader->nr_streams)
			cursor->next_frame = reader->streams[stream].first_frame;
	}
	cursor->kinds[0] = kinds ? kinds[0] : ~0ull;
	cursor->kinds[1] = kinds ? kinds[1] : ~0ull;
	return cursor;
}

static void set_lost(struct rf_cursor *cursor, u16 stream, u64 time, u64 events)
{
	cursor->lost = (struct rf_record){ .time = time, .stream = stream, .kind = RF_LOST, .f = { events } };
}

/* Go to the next frame or, behind the last, to the losses at the streams' ends. False: nothing is left. */
static bool advance(struct rf_cursor *cursor)
{
	struct rf_reader *reader = cursor->reader;

	while (cursor->next_frame < reader->nr_frames) {
		size_t nr = cursor->next_frame;
		const struct rf_frame_info *info = &reader->frames[nr].info;
		u64 lost = info->lost;

		cursor->next_frame = cursor->stream < 0 ? nr + 1 : reader->frames[nr].next;
		if ((info->kinds[0] & cursor->kinds[0] || info->kinds[1] & cursor->kinds[1]) &&
		    !reader_unpack(reader, nr, &cursor->unpacker))
			lost += info->records;
		if (lost || cursor->unpacker.columns.left) {
			set_lost(cursor, info->stream, info->first_time, lost);
			return true;
		}
	}
	while (cursor->next_stream_end < cursor->stream_ends) {
		size_t nr = cursor->next_stream_end++;
		const struct reader_stream *stream = &reader->streams[nr];

		if (stream->lost_at_end) {
			set_lost(cursor, nr, stream->last_time, stream->lost_at_end);
			return true;
		}
	}
	return false;
}

size_t rf_cursor_read(struct rf_cursor *cursor, struct rf_record *out, size_t max)
{
	size_t done = 0;

	while (done < max) {
		if (cursor->lost.f[0]) {
			out[done++] = cursor->lost;
			cursor->lost.f[0] = 0;
		} else if (cursor->unpacker.columns.left) {
			done += columns_read(&cursor->unpacker.columns, out + done, max - done);
		} else if (!advance(cursor)) {
			break;
		}
	}
	return done;
}

void rf_cursor_close(struct rf_cursor *cursor)
{
	if (!cursor)
		return;
	unpacker_free(&cursor->unpacker);
	free(cursor);
}
