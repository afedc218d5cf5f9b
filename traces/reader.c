// SPDX-License-Identifier: MIT
/*
 * Opening a trace: the header, then the index where there is a good one, else
 * a scan. Nothing a file says is believed before a checksum or a limit was
 * checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd_errors.h>

#include "base/array.h"
#include "traces/foreign.h"
#include "traces/reader.h"

#define FORMAT_PREFIX "refold-trace/"

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

/* ---- opening by the index ------------------------------------------------ */

static void forget_frames(struct rf_reader *reader)
{
	reader->nr_frames = 0;
	reader->nr_streams = 0;
	reader->summary = (struct rf_trace_summary){ .file_bytes = reader->file_bytes };
}

const char reader_no_memory[] = "out of memory";
const char reader_no_reading[] = "cannot be read: Input/output error";

const char *reader_zstd_error(size_t code)
{
	return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? reader_no_memory : ZSTD_getErrorName(code);
}

/* Unpack one small frame (header, end, index) of at most max bytes; malloc'd, NULL: *why. */
static u8 *unpack_small(struct window *window, u64 offset, size_t max, size_t *packed, size_t *size, const char **why)
{
	size_t available, got;
	const u8 *data;
	u8 *out;

	*packed = frame_measure(window, offset, max, size, why);
	if (!*packed)
		return NULL;
	data = window_at(window, offset, *packed, &available);
	out = malloc(*size + 1);
	*why = data && available >= *packed ? reader_no_memory : reader_no_reading;
	if (!data || available < *packed || !out) {
		free(out);
		return NULL;
	}
	got = ZSTD_decompress(out, *size, data, *packed);
	if (ZSTD_isError(got) || got != *size) {
		*why = ZSTD_isError(got) ? reader_zstd_error(got) : "wrong content size";
		free(out);
		return NULL;
	}
	out[*size] = '\0';
	return out;
}

static bool index_apply(struct rf_reader *reader, const u8 *index, size_t size, u64 data_offset, u64 index_offset,
			struct index_header *header)
{
	u64 at = data_offset, missing;
	const char *why;

	if (!index_header_load(index, size, header) || header->end_offset < data_offset ||
	    header->end_offset >= index_offset)
		return false;
	for (u64 i = 0; i < header->frames; i++) {
		const u8 *entry = index + INDEX_HEADER_BYTES + i * INDEX_ENTRY_BYTES;
		u64 offset = load_u64(entry), bytes = load_u64(entry + 8);

		/* Frames lie one behind the other: an index that does not say so is of another file. */
		if (offset != at || bytes > ZSTD_compressBound(FRAME_UNPACKED_MAX) || bytes > header->end_offset - at)
			return false;
		if (reader_add_frame(reader, offset, bytes, entry + 16, &missing, &why) || missing)
			return false;
		at += bytes;
	}
	return at == header->end_offset;
}

/* No frame is smaller than 32 bytes: a short file cannot make us unpack a long index. */
static size_t index_limit(u64 file_bytes)
{
	return min_u64(INDEX_UNPACKED_MAX, INDEX_HEADER_BYTES + file_bytes / 32 * INDEX_ENTRY_BYTES);
}

/* False: no usable index, nothing was changed. */
static bool open_by_index(struct rf_reader *reader, struct window *window, u64 data_offset)
{
	size_t available, packed, size;
	struct index_header header;
	const char *why;
	const u8 *bytes;
	u64 offset, missing;
	u8 *data;
	bool good;

	if (reader->file_bytes < data_offset + 8 + INDEX_TRAILER_BYTES)
		return false;
	bytes = window_at(window, reader->file_bytes - INDEX_TRAILER_BYTES, INDEX_TRAILER_BYTES, &available);
	if (!bytes || available < INDEX_TRAILER_BYTES || load_u64(bytes + 8) != INDEX_TRAILER_MAGIC)
		return false;
	offset = load_u64(bytes);
	if (offset < data_offset || offset > reader->file_bytes - 8 - INDEX_TRAILER_BYTES)
		return false;
	bytes = window_at(window, offset, 8, &available);
	if (!bytes || available < 8 || load_u32(bytes) != INDEX_SKIP_MAGIC ||
	    load_u32(bytes + 4) != reader->file_bytes - offset - 8)
		return false;
	data = unpack_small(window, offset + 8, index_limit(reader->file_bytes), &packed, &size, &why);
	if (!data)
		return false;
	good = offset + 8 + packed + INDEX_TRAILER_BYTES == reader->file_bytes &&
	       index_apply(reader, data, size, data_offset, offset, &header);
	free(data);
	data = good ? unpack_small(window, header.end_offset, FRAME_UNPACKED_MAX, &packed, &size, &why) : NULL;
	good = data && header.end_offset + packed == offset && !reader_add_end(reader, data, size, &missing, &why) &&
	       !missing;
	free(data);
	if (!good)
		forget_frames(reader);
	return good;
}

/* ---- opening --------------------------------------------------------------- */

static int check_format(struct rf_reader *reader, struct rf_error *err)
{
	const char *format = json_string_value(rf_header_get(reader->header, RF_HEADER_FORMAT));

	if (!format || strncmp(format, FORMAT_PREFIX, strlen(FORMAT_PREFIX)))
		return rf_error_set(err, -EPROTO, 0,
				    "not a Refold trace: a zstd file without \"format\": \"" RF_TRACE_FORMAT "\"");
	if (strcmp(format, RF_TRACE_FORMAT))
		return rf_error_set(err, -EPROTO, 0,
				    "written by a newer refold (%.40s); this one reads " RF_TRACE_FORMAT ": update it",
				    format);
	return 0;
}

static int open_header(struct rf_reader *reader, struct window *window, u64 *data_offset, struct rf_error *err)
{
	size_t available, packed, size;
	const u8 *bytes = window_at(window, 0, RF_FOREIGN_BYTES, &available);
	const char *why;
	u8 *text;
	int ret;

	if (!bytes)
		return rf_error_set(err, -EIO, 0, "cannot read: %s", strerror(errno));
	if (!reader->file_bytes)
		return rf_error_set(err, -EPROTO, 0, "the file is empty: no trace was written to it");
	if (available < 4 || load_u32(bytes) != ZSTD_MAGIC) {
		why = rf_foreign_file(bytes, min_u64(available, RF_FOREIGN_BYTES));
		return rf_error_set(err, -EPROTO, 0, "not a Refold trace, but %s",
				    why ? why : "something else (a trace starts with a zstd frame)");
	}
	text = unpack_small(window, 0, HEADER_UNPACKED_MAX, &packed, &size, &why);
	if (!text && why == reader_no_memory)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (!text)
		return rf_error_set(err, -EBADMSG, 0,
				    "not a Refold trace, or one with a damaged header (%s); record again, or restore the file",
				    why);
	reader->header = json_loadb((char *)text, size, JSON_REJECT_DUPLICATES, NULL);
	reader->header_text = (char *)text;
	ret = check_format(reader, err);
	if (ret)
		return ret;
	/* The canonical text, whatever the writer made of it. */
	free(reader->header_text);
	reader->header_text = rf_header_text(reader->header);
	if (!reader->header_text)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	*data_offset = packed;
	return 0;
}

static int open_file(struct rf_reader *reader, const char *path, struct rf_error *err)
{
	struct stat status;

	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0 || fstat(reader->fd, &status))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot open: %s", strerror(errno));
	if (S_ISDIR(status.st_mode))
		return rf_error_set(err, -EISDIR, RF_NO_OFFSET, "is a directory, not a trace");
	if (!S_ISREG(status.st_mode))
		return rf_error_set(err, -ESPIPE, RF_NO_OFFSET, "not a regular file: save the trace to a file first");
	reader->file_bytes = status.st_size;
	return 0;
}

static int open_frames(struct rf_reader *reader, struct window *window, u64 data_offset, struct rf_error *err)
{
	int ret = 0;

	forget_frames(reader);
	reader->summary.complete = true;
	if (!open_by_index(reader, window, data_offset)) {
		reader->summary.complete = true;
		ret = reader_scan(reader, window, data_offset);
	}
	if (ret)
		return rf_error_set(err, ret, RF_NO_OFFSET, "cannot read: %s", strerror(-ret));
	if (reader->summary.end == RF_END_NONE)
		reader->summary.complete = false;
	reader->summary.header_json = reader->header_text;
	return 0;
}

struct rf_reader *rf_reader_open(const char *path, struct rf_error *err)
{
	struct rf_reader *reader = calloc(1, sizeof(*reader));
	struct window window = { 0 };
	u64 data_offset = 0;
	int ret;

	if (!reader) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&reader->lock, NULL);
	ret = open_file(reader, path, err);
	window.fd = reader->fd;
	window.file_bytes = reader->file_bytes;
	if (!ret)
		ret = open_header(reader, &window, &data_offset, err);
	if (!ret)
		ret = open_frames(reader, &window, data_offset, err);
	free(window.data);
	if (!ret)
		return reader;
	rf_reader_close(reader);
	return NULL;
}

void rf_reader_close(struct rf_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	json_decref(reader->header);
	free(reader->header_text);
	free(reader->frames);
	free(reader->streams);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}

/* ---- what is in it ----------------------------------------------------------- */

const struct rf_trace_summary *rf_reader_summary(const struct rf_reader *reader)
{
	return &reader->summary;
}

size_t rf_reader_nr_streams(const struct rf_reader *reader)
{
	return reader->nr_streams;
}

u64 rf_reader_lost_at_end(const struct rf_reader *reader, size_t stream)
{
	return stream < reader->nr_streams ? reader->streams[stream].lost_at_end : 0;
}

const struct rf_stream_info *rf_reader_stream(const struct rf_reader *reader, size_t stream)
{
	return stream < reader->nr_streams ? &reader->streams[stream].info : NULL;
}

size_t rf_reader_nr_frames(const struct rf_reader *reader)
{
	return reader->nr_frames;
}

const struct rf_frame_info *rf_reader_frame(const struct rf_reader *reader, size_t frame)
{
	return frame < reader->nr_frames ? &reader->frames[frame].info : NULL;
}

const struct rf_error *rf_reader_damage(const struct rf_reader *reader)
{
	return reader->damage.code ? &reader->damage : NULL;
}

json_t *rf_reader_header_value(const struct rf_reader *reader, enum rf_header_key key)
{
	return rf_header_get(reader->header, key);
}

const json_t *rf_reader_header(const struct rf_reader *reader)
{
	return reader->header;
}

u64 rf_reader_header_u64(const struct rf_reader *reader, enum rf_header_key key, u64 fallback)
{
	const json_t *value = rf_header_get(reader->header, key);

	return value ? (u64)json_integer_value(value) : fallback;
}

const char *rf_reader_header_string(const struct rf_reader *reader, enum rf_header_key key, const char *fallback)
{
	const json_t *value = rf_header_get(reader->header, key);

	return value ? json_string_value(value) : fallback;
}
