/* SPDX-License-Identifier: MIT */
/*
 * The trace file NAME.mmt.zst, as FORMAT.md specifies it: write it, read it,
 * turn it into text and back. The only code that knows its bytes.
 *
 * A trace is a header (canonical JSON), frames of at most 64 Ki records, an end
 * frame and an index. Each frame belongs to one stream: one CPU of one source.
 * Within a stream, frames and records are in time order.
 */
#ifndef REFOLD_TRACES_TRACE_H
#define REFOLD_TRACES_TRACE_H

#include <stdio.h>

#include "base/error.h"
#include "base/output.h"
#include "traces/header.h"
#include "traces/privacy.h"
#include "traces/record.h"

#define RF_TRACE_FORMAT "refold-trace/1"
#define RF_FRAME_RECORDS 65536

/* Where a stream's records come from. */
enum rf_source {
	RF_SOURCE_TASK,		/* tracefs instance that follows the recorded tasks */
	RF_SOURCE_SYSTEM,	/* unfiltered tracefs instance: reclaim, migration, page cache */
	RF_SOURCE_PERF,		/* perf side-band */
	RF_SOURCE_SNAPSHOT,	/* SNAP_*, CACHE_*, KERNEL_PAGE */
	RF_SOURCE_COMPAT,	/* calls as 32-bit tasks number them: of any other task a record here is none */
	RF_NR_SOURCES
};

struct rf_stream_info {
	enum rf_source source;
	u16 cpu;		/* 0 for snapshots */
};

/*
 * Why a recording ended; in the end frame. COMMAND: it has ended, and, in traces older than those after IMPORTED, any
 * of them but a signal or an error. PROCESSES: those given are gone. SIZE: of the file; DISK: as much of it as shall
 * stay free; MEMORY: the recorder's; CPU: its time.
 */
enum rf_end {
	RF_END_NONE, RF_END_COMMAND, RF_END_SIGNAL, RF_END_ERROR, RF_END_ASSEMBLED, RF_END_IMPORTED,
	RF_END_PROCESSES, RF_END_TIME, RF_END_SIZE, RF_END_DISK, RF_END_MEMORY, RF_END_CPU, RF_NR_ENDS
};

/* Their words in text and reports. */
extern const char *const rf_source_names[RF_NR_SOURCES];
extern const char *const rf_end_names[RF_NR_ENDS];
/* Why calls have no stack. */
extern const char *const rf_no_stack_names[RF_NR_NO_STACKS];

/* ---- writing ---------------------------------------------------------- */

struct rf_writer;

/* Unless another zstd level is asked for: with 6, recordings are 2 to 4 % smaller, and writing takes 10 % longer. */
#define RF_WRITER_LEVEL 3

/*
 * Begin path, which is there when it is closed, and write the header. header_json: the canonical JSON text of the
 * header without "format", which the writer adds. level: zstd level.
 */
struct rf_writer *rf_writer_create(const char *path, const char *header_json, int level, struct rf_error *err);

/*
 * The same in an output that has begun, which the writer takes over. The file grows frame by frame and, if it is a
 * growing one, is readable up to the last whole frame at any time.
 */
struct rf_writer *rf_writer_begin(struct rf_output *output, const char *header_json, int level, struct rf_error *err);

/* Declare a stream, at any time and from any thread; returns its index or a negative errno. */
int rf_writer_add_stream(struct rf_writer *writer, const struct rf_stream_info *info);

/*
 * Append records to a stream, in time order; rf_record.stream is ignored. Full frames are packed and written at
 * once. One thread per stream; different streams may be written concurrently.
 */
int rf_writer_append(struct rf_writer *writer, int stream, const struct rf_record *records, size_t nr,
		     struct rf_error *err);

/*
 * Note that events of this stream were lost after what was appended so far: the open frame is closed, the next one
 * says so. Appending a LOST record does the same.
 */
int rf_writer_lost(struct rf_writer *writer, int stream, u64 events, struct rf_error *err);

/*
 * Keep the file below this size: a frame that has no room is left out, and its records are lost, as far as a reader can
 * tell; *dropped counts them until the writer is closed. Before any stream.
 */
void rf_writer_limit(struct rf_writer *writer, u64 bytes, u64 *dropped);

/* Bytes written so far, and, by what records took until now, those of records that wait in open frames. */
u64 rf_writer_bytes(const struct rf_writer *writer);

/* Write the stream's open frame now, if it holds records or a loss. */
int rf_writer_flush(struct rf_writer *writer, int stream, struct rf_error *err);

/*
 * Hide what is private in all that is appended from now on; the header is the caller's. privacy is borrowed until the
 * writer is closed.
 */
void rf_writer_hide(struct rf_writer *writer, const struct rf_privacy *privacy);

/* Flush every stream, write end frame and index, close. The writer is freed in any case. */
int rf_writer_close(struct rf_writer *writer, enum rf_end why, struct rf_error *err);

/* Instead of closing it: what was written is of no use to anyone. */
void rf_writer_abandon(struct rf_writer *writer);

/* ---- reading ---------------------------------------------------------- */

struct rf_reader;

struct rf_frame_info {
	u64 offset;		/* in the file */
	u64 size;		/* packed bytes */
	u32 records;
	u16 stream;
	u64 first_time, last_time;	/* smallest and largest */
	u64 lost;		/* events lost in this stream just before this frame, missing frames included */
	u64 kinds[2];		/* bitmap of the record kinds inside: bit (kind) */
};

struct rf_trace_summary {
	bool complete;		/* an end frame was found and every frame it promises is readable */
	enum rf_end end;
	u64 records;		/* of the readable frames */
	u64 lost_events;	/* all streams */
	u64 first_time, last_time;
	u64 damaged_frames;
	u64 file_bytes;
	const char *header_json;/* canonical, with "format" */
};

/*
 * Open a trace. A file that is cut or damaged opens as long as its header is whole; what is missing is told by
 * rf_reader_summary() and by rf_reader_damage(). -EPROTO: not a trace, or of a newer format.
 */
struct rf_reader *rf_reader_open(const char *path, struct rf_error *err);
void rf_reader_close(struct rf_reader *reader);

const struct rf_trace_summary *rf_reader_summary(const struct rf_reader *reader);
size_t rf_reader_nr_streams(const struct rf_reader *reader);
const struct rf_stream_info *rf_reader_stream(const struct rf_reader *reader, size_t stream);
/* Events and records missing after its last readable frame. */
u64 rf_reader_lost_at_end(const struct rf_reader *reader, size_t stream);
/*
 * Records of each kind, by its number, as the index has them; NULL: it has not. When every frame was read and they are
 * others, the trace is damaged.
 */
const u64 *rf_reader_counts(const struct rf_reader *reader);
size_t rf_reader_nr_frames(const struct rf_reader *reader);
const struct rf_frame_info *rf_reader_frame(const struct rf_reader *reader, size_t frame);
/*
 * The first damage met so far (offset and reason), or NULL. Frames found damaged while reading count too. -ENOMEM: not
 * all was read, because there was no memory to.
 */
const struct rf_error *rf_reader_damage(const struct rf_reader *reader);

/* The whole header, borrowed. */
const json_t *rf_reader_header(const struct rf_reader *reader);
/* A value of the header; the fallback where it is absent or of another type. */
u64 rf_reader_header_u64(const struct rf_reader *reader, enum rf_header_key key, u64 fallback);
const char *rf_reader_header_string(const struct rf_reader *reader, enum rf_header_key key, const char *fallback);
/* An object or array of the header, borrowed; NULL where it is absent. */
json_t *rf_reader_header_value(const struct rf_reader *reader, enum rf_header_key key);

/*
 * A cursor walks the frames of one stream (or, with stream < 0, every frame in file order) whose kinds intersect
 * the wanted bitmap (NULL: all); records of other kinds in these frames are delivered, too. Memory per cursor: one
 * unpacked frame. Where events were lost before a frame,
 * the cursor yields a LOST record first. A damaged frame is skipped, noted, and yields LOST with its record count.
 */
struct rf_cursor;
struct rf_cursor *rf_cursor_open(struct rf_reader *reader, int stream, const u64 kinds[2]);
/* Up to max records into out; 0: end of stream. Never fails: damage is told by rf_reader_damage(). */
size_t rf_cursor_read(struct rf_cursor *cursor, struct rf_record *out, size_t max);
void rf_cursor_close(struct rf_cursor *cursor);

/* ---- text -------------------------------------------------------------- */

/*
 * The text form: a header line, stream and frame lines, one record a line ("TIME tid=N kind key=value ..."). It
 * holds everything the file does: assemble(dump(f)) has the same frames and records as f, dump(assemble(t)) is t.
 */
int rf_text_dump(struct rf_reader *reader, FILE *out, struct rf_error *err);
/* One record as text, without newline; returns the length as snprintf does. */
int rf_text_record(const struct rf_record *record, char *buffer, size_t size);
/* Read text from in, write a trace to path. err->offset is the line. */
int rf_text_assemble(FILE *in, const char *path, struct rf_error *err);

#endif
