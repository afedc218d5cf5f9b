// SPDX-License-Identifier: MIT
/*
 * Opening a trace: the header, then the index where there is a good one, else
 * a scan. Nothing a file says is believed before a checksum or a limit was
 * checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "traces/foreign.h"
#include "traces/reader.h"

#define FORMAT_PREFIX "refold-trace/"

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
	text = reader_unpack_small(window, 0, HEADER_UNPACKED_MAX, &packed, &size, &why);
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

static void forget_frames(struct rf_reader *reader)
{
	reader->nr_frames = 0;
	reader->nr_streams = 0;
	reader->index_offset = 0;
	reader->has_counts = false;
	reader->summary = (struct rf_trace_summary){ .file_bytes = reader->file_bytes };
}

static int open_frames(struct rf_reader *reader, struct window *window, u64 data_offset, struct rf_error *err)
{
	int ret = 0;

	forget_frames(reader);
	reader->summary.complete = true;
	if (!reader_open_by_index(reader, window, data_offset)) {
		forget_frames(reader);
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

const u64 *rf_reader_counts(const struct rf_reader *reader)
{
	return reader->has_counts ? reader->counts : NULL;
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
