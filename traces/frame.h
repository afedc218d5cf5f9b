/* SPDX-License-Identifier: MIT */
/*
 * The frames of a trace file as structures: what FORMAT.md calls data frame
 * header, end frame and index, stored and loaded byte by byte so that a file
 * is the same on every machine. Internal to traces/.
 */
#ifndef REFOLD_TRACES_FRAME_H
#define REFOLD_TRACES_FRAME_H

#include <string.h>

#include "traces/trace.h"

/* Hard limits of the format: a reader never unpacks more, whatever a file claims. */
#define FRAME_UNPACKED_MAX	(8u << 20)
#define HEADER_UNPACKED_MAX	(1u << 20)
#define INDEX_UNPACKED_MAX	(256u << 20)
#define STREAMS_MAX		65535

#define DATA_TAG		0x41444652u	/* "RFDA" */
#define END_TAG			0x4e454652u	/* "RFEN" */
#define INDEX_TAG		0x58494652u	/* "RFIX" */
#define DATA_HEADER_BYTES	88
#define END_HEADER_BYTES	32
#define END_STREAM_BYTES	32
#define INDEX_HEADER_BYTES	32
#define INDEX_ENTRY_BYTES	(16 + DATA_HEADER_BYTES)
#define INDEX_KIND_BYTES	16

#define ZSTD_MAGIC		0xfd2fb528u
#define INDEX_SKIP_MAGIC	0x184d2a52u	/* a skippable frame: zstd tools pass over the index */
#define INDEX_TRAILER_BYTES	16
#define INDEX_TRAILER_MAGIC	0x5844495845444e49ull	/* "INDEXIDX" */

struct data_header {
	u32 records;
	u16 stream;
	u8 source;
	u16 cpu;
	u16 columns;
	u64 sequence;		/* of this frame in its stream, from 0 */
	u64 records_before;	/* in earlier frames of the stream */
	u64 lost_before;	/* events lost in the stream up to this frame, including lost */
	u64 lost;		/* events lost just before this frame */
	u64 first_time, last_time;	/* smallest and largest time inside */
	u64 kinds[2];
};

struct end_stream {
	struct rf_stream_info info;
	u64 frames, records, lost;
};

struct end_header {
	enum rf_end why;
	u32 streams;
	u64 frames, records;
};

struct index_header {
	u32 streams;
	u64 frames;
	u64 end_offset;		/* of the end frame */
	u64 kinds;		/* of records that are counted; 0: none are, as in traces older than these counts */
};

static inline void store_u16(u8 *p, u16 value)
{
	p[0] = value;
	p[1] = value >> 8;
}

static inline void store_u32(u8 *p, u32 value)
{
	store_u16(p, value);
	store_u16(p + 2, value >> 16);
}

static inline void store_u64(u8 *p, u64 value)
{
	store_u32(p, value);
	store_u32(p + 4, value >> 32);
}

static inline u16 load_u16(const u8 *p)
{
	return p[0] | p[1] << 8;
}

static inline u32 load_u32(const u8 *p)
{
	return load_u16(p) | (u32)load_u16(p + 2) << 16;
}

static inline u64 load_u64(const u8 *p)
{
	return load_u32(p) | (u64)load_u32(p + 4) << 32;
}

void data_header_store(u8 *out, const struct data_header *header);
/* False where the tag, the check sum or a value is wrong. */
bool data_header_load(const u8 *in, struct data_header *header);

void end_header_store(u8 *out, const struct end_header *header);
bool end_header_load(const u8 *in, size_t size, struct end_header *header);
void end_stream_store(u8 *out, const struct end_stream *stream);
bool end_stream_load(const u8 *in, struct end_stream *stream);

void index_header_store(u8 *out, const struct index_header *header);
bool index_header_load(const u8 *in, size_t size, struct index_header *header);
/* The bytes of the index up to the records of each kind, and with them. */
size_t index_kinds_offset(const struct index_header *header);
size_t index_bytes(const struct index_header *header);
void index_kinds_store(u8 *out, const u64 counts[RF_RECORD_KIND_MAX]);
/* False where a number is out of order or a count is 0. */
bool index_kinds_load(const u8 *in, u64 nr, u64 counts[RF_RECORD_KIND_MAX]);

/* The canonical JSON text of header_json with "format" and "zstd_level" set, newline at the end; free() it. */
char *header_canonical(const char *header_json, int level, struct rf_error *err);

#endif
