/* SPDX-License-Identifier: MIT */
/* What window.c, frames.c, index.c, scan.c, reader.c, cursor.c and text.c share. Internal to traces/. */
#ifndef REFOLD_TRACES_READER_H
#define REFOLD_TRACES_READER_H

#include <jansson.h>
#include <pthread.h>
#include <zstd.h>

#include "traces/columns.h"

struct reader_frame {
	struct rf_frame_info info;
	u8 header[DATA_HEADER_BYTES];	/* as the index or the scan had it; the unpacked frame must agree */
	bool damaged, counted;
	size_t next;			/* of the same stream, NO_FRAME: none */
};

#define NO_FRAME SIZE_MAX

struct reader_stream {
	struct rf_stream_info info;
	bool described;			/* by a frame or the end frame; else a hole in the numbering */
	u64 frames, records, lost;	/* known so far, missing frames included */
	u64 lost_at_end;		/* missing after the last readable frame */
	u64 last_time;
	size_t first_frame, last_frame;
};

struct rf_reader {
	int fd;
	u64 file_bytes;
	struct reader_frame *frames;
	size_t nr_frames, frames_room;
	struct reader_stream *streams;
	size_t nr_streams, streams_room;
	json_t *header;
	char *header_text;
	u64 index_offset;		/* 0: opened without one */
	bool has_counts;		/* the index has them: */
	u64 counts[RF_RECORD_KIND_MAX];	/* records of each kind */
	u64 found[RF_RECORD_KIND_MAX];	/* so many there are in the frames that were unpacked */
	u64 to_count;			/* records of the others */
	struct rf_trace_summary summary;
	struct rf_error damage;		/* code 0: none met */
	pthread_mutex_t lock;		/* damage, summary, found: cursors may run in several threads */
};

/* Bytes of the file around a moving offset, so that a scan reads each byte about once. */
#define WINDOW_BYTES (256u << 10)

struct window {
	int fd;
	u64 file_bytes;
	u64 offset;			/* of data[0] in the file */
	u8 *data;
	size_t size, room;
};

/* Make at least wanted bytes from offset visible, fewer only at the end of the file; NULL: cannot be read. */
const u8 *window_at(struct window *window, u64 offset, size_t wanted, size_t *available);

/* Of the reasons why something was not read, the one that is not the file's. */
extern const char reader_no_memory[], reader_no_reading[];
/* What zstd says of an error; that one, too. */
const char *reader_zstd_error(size_t code);

/* The size of the zstd frame at offset and of its content. 0: no whole frame of ours there, *why tells. */
size_t frame_measure(struct window *window, u64 offset, size_t unpacked_max, size_t *unpacked, const char **why);

/* Remember that there was no memory to read on, which is no damage, but counts before any. */
/* Not of the file, but of this machine, and of now: no damage. */
void reader_note_failure(struct rf_reader *reader, u64 offset, const char *why);
/* Remember a damage (the first one is kept). */
void reader_note_damage(struct rf_reader *reader, u64 offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Add a frame, or what the end frame says. -EBADMSG: damaged, or contradicts earlier frames (*why). *missing: records
 * and events of the stream, or of all, that by the running totals should have been there before; they are added to
 * the losses.
 */
int reader_add_frame(struct rf_reader *reader, u64 offset, u64 size, const u8 *header, u64 *missing, const char **why);
int reader_add_end(struct rf_reader *reader, const u8 *data, size_t size, u64 *missing, const char **why);

/* Unpack one small frame (header, end, index) of at most max bytes; malloc'd, NULL: *why. */
u8 *reader_unpack_small(struct window *window, u64 offset, size_t max, size_t *packed, size_t *size, const char **why);

/* False: there is no index of this file, and the frames added so far are to be forgotten. */
bool reader_open_by_index(struct rf_reader *reader, struct window *window, u64 data_offset);
/* A frame was unpacked: when all of them were, the index must have counted what they hold, or it is damaged. */
void reader_compare_counts(struct rf_reader *reader, struct reader_frame *frame, const u32 counts[RF_RECORD_KIND_MAX]);

/* Find frames without an index. Negative errno only where memory or reading fails. */
int reader_scan(struct rf_reader *reader, struct window *window, u64 offset);

/*
 * Read and unpack frame nr into *unpacked (grown as needed, padded for the column decoder) and open its columns.
 * False: damaged; noted, and the summary corrected.
 */
struct unpacker {
	ZSTD_DCtx *zstd;
	u8 *packed, *unpacked;
	size_t packed_room, unpacked_room;
	struct columns columns;
};
bool reader_unpack(struct rf_reader *reader, size_t nr, struct unpacker *unpacker);
void unpacker_free(struct unpacker *unpacker);

#endif
