// SPDX-License-Identifier: MIT
/* Frame headers, end frame and index: the fixed parts of FORMAT.md. */
#include "traces/frame.h"

/* FNV-1a: a data header is believed before its frame's zstd checksum could be verified, so it carries its own. */
static u64 header_check(const u8 *bytes, size_t size)
{
	u64 hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	return hash;
}

void data_header_store(u8 *out, const struct data_header *header)
{
	store_u32(out, DATA_TAG);
	store_u32(out + 4, header->records);
	store_u16(out + 8, header->stream);
	out[10] = header->source;
	out[11] = 0;
	store_u16(out + 12, header->cpu);
	store_u16(out + 14, header->columns);
	store_u64(out + 16, header->sequence);
	store_u64(out + 24, header->records_before);
	store_u64(out + 32, header->lost_before);
	store_u64(out + 40, header->lost);
	store_u64(out + 48, header->first_time);
	store_u64(out + 56, header->last_time);
	store_u64(out + 64, header->kinds[0]);
	store_u64(out + 72, header->kinds[1]);
	store_u64(out + 80, header_check(out, 80));
}

bool data_header_load(const u8 *in, struct data_header *header)
{
	if (load_u32(in) != DATA_TAG || load_u64(in + 80) != header_check(in, 80))
		return false;
	header->records = load_u32(in + 4);
	header->stream = load_u16(in + 8);
	header->source = in[10];
	header->cpu = load_u16(in + 12);
	header->columns = load_u16(in + 14);
	header->sequence = load_u64(in + 16);
	header->records_before = load_u64(in + 24);
	header->lost_before = load_u64(in + 32);
	header->lost = load_u64(in + 40);
	header->first_time = load_u64(in + 48);
	header->last_time = load_u64(in + 56);
	header->kinds[0] = load_u64(in + 64);
	header->kinds[1] = load_u64(in + 72);
	return header->records <= RF_FRAME_RECORDS && header->stream < STREAMS_MAX &&
	       header->source < RF_NR_SOURCES && header->lost <= header->lost_before;
}

void end_header_store(u8 *out, const struct end_header *header)
{
	store_u32(out, END_TAG);
	/* Older readers know no more than that it has a natural end. */
	store_u32(out + 4, header->why <= RF_END_IMPORTED ? header->why : RF_END_COMMAND);
	store_u32(out + 8, header->streams);
	store_u32(out + 12, header->why <= RF_END_IMPORTED ? 0 : header->why - RF_END_IMPORTED);
	store_u64(out + 16, header->frames);
	store_u64(out + 24, header->records);
}

bool end_header_load(const u8 *in, size_t size, struct end_header *header)
{
	u32 detail;

	if (size < END_HEADER_BYTES || load_u32(in) != END_TAG)
		return false;
	header->why = load_u32(in + 4);
	detail = load_u32(in + 12);
	header->streams = load_u32(in + 8);
	header->frames = load_u64(in + 16);
	header->records = load_u64(in + 24);
	if (header->why > RF_END_IMPORTED || header->streams > STREAMS_MAX)
		return false;
	if (header->why == RF_END_COMMAND && detail && detail < RF_NR_ENDS - RF_END_IMPORTED)
		header->why = (enum rf_end)(RF_END_IMPORTED + detail);
	return size == END_HEADER_BYTES + (size_t)header->streams * END_STREAM_BYTES;
}

void end_stream_store(u8 *out, const struct end_stream *stream)
{
	out[0] = stream->info.source;
	out[1] = 0;
	store_u16(out + 2, stream->info.cpu);
	store_u32(out + 4, 0);
	store_u64(out + 8, stream->frames);
	store_u64(out + 16, stream->records);
	store_u64(out + 24, stream->lost);
}

bool end_stream_load(const u8 *in, struct end_stream *stream)
{
	stream->info.source = in[0];
	stream->info.cpu = load_u16(in + 2);
	stream->frames = load_u64(in + 8);
	stream->records = load_u64(in + 16);
	stream->lost = load_u64(in + 24);
	return stream->info.source < RF_NR_SOURCES;
}

void index_header_store(u8 *out, const struct index_header *header)
{
	store_u32(out, INDEX_TAG);
	store_u32(out + 4, header->streams);
	store_u64(out + 8, header->frames);
	store_u64(out + 16, header->end_offset);
	store_u64(out + 24, header->kinds);
}

bool index_header_load(const u8 *in, size_t size, struct index_header *header)
{
	if (size < INDEX_HEADER_BYTES || load_u32(in) != INDEX_TAG)
		return false;
	header->streams = load_u32(in + 4);
	header->frames = load_u64(in + 8);
	header->end_offset = load_u64(in + 16);
	header->kinds = load_u64(in + 24);
	return header->streams <= STREAMS_MAX && header->frames <= size / INDEX_ENTRY_BYTES &&
	       header->kinds < RF_RECORD_KIND_MAX && size == index_bytes(header);
}

size_t index_kinds_offset(const struct index_header *header)
{
	return INDEX_HEADER_BYTES + header->frames * INDEX_ENTRY_BYTES;
}

size_t index_bytes(const struct index_header *header)
{
	return index_kinds_offset(header) + header->kinds * INDEX_KIND_BYTES;
}

void index_kinds_store(u8 *out, const u64 counts[RF_RECORD_KIND_MAX])
{
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		if (!counts[kind])
			continue;
		store_u64(out, kind);
		store_u64(out + 8, counts[kind]);
		out += INDEX_KIND_BYTES;
	}
}

bool index_kinds_load(const u8 *in, u64 nr, u64 counts[RF_RECORD_KIND_MAX])
{
	u64 before = 0;

	memset(counts, 0, RF_RECORD_KIND_MAX * sizeof(*counts));
	for (; nr; nr--, in += INDEX_KIND_BYTES) {
		u64 kind = load_u64(in);

		if (kind <= before || kind >= RF_RECORD_KIND_MAX || !load_u64(in + 8))
			return false;
		counts[kind] = load_u64(in + 8);
		before = kind;
	}
	return true;
}
