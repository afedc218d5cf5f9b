// SPDX-License-Identifier: MIT
/*
 * Opening a trace by its index, which saves the scan. The index is a copy of
 * what the frames say: one that is not of this file, frame by frame, is none.
 */
#include <stdlib.h>

#include "traces/reader.h"

/* What the entries say, the counts must: a kind is in some frame or has none, and all have as many as all frames. */
static bool counts_apply(struct rf_reader *reader, const u8 *kinds, u64 nr)
{
	u64 *counts = reader->counts, left = reader->summary.records, inside[2] = { 0, 0 };

	if (!index_kinds_load(kinds, nr, counts))
		return false;
	for (size_t i = 0; i < reader->nr_frames; i++) {
		inside[0] |= reader->frames[i].info.kinds[0];
		inside[1] |= reader->frames[i].info.kinds[1];
	}
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		if (!counts[kind] == !!(inside[kind / 64] & BIT_ULL(kind % 64)) || counts[kind] > left)
			return false;
		left -= counts[kind];
	}
	reader->to_count = reader->summary.records;
	reader->has_counts = true;
	return !left;
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
	return at == header->end_offset &&
	       (!header->kinds || counts_apply(reader, index + index_kinds_offset(header), header->kinds));
}

/* No frame is smaller than 32 bytes: a short file cannot make us unpack a long index. */
static size_t index_limit(u64 file_bytes)
{
	return min_u64(INDEX_UNPACKED_MAX, INDEX_HEADER_BYTES + file_bytes / 32 * INDEX_ENTRY_BYTES +
						   RF_RECORD_KIND_MAX * INDEX_KIND_BYTES);
}

bool reader_open_by_index(struct rf_reader *reader, struct window *window, u64 data_offset)
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
	data = reader_unpack_small(window, offset + 8, index_limit(reader->file_bytes), &packed, &size, &why);
	if (!data)
		return false;
	good = offset + 8 + packed + INDEX_TRAILER_BYTES == reader->file_bytes &&
	       index_apply(reader, data, size, data_offset, offset, &header);
	free(data);
	data = good ? reader_unpack_small(window, header.end_offset, FRAME_UNPACKED_MAX, &packed, &size, &why) : NULL;
	good = data && header.end_offset + packed == offset && !reader_add_end(reader, data, size, &missing, &why) &&
	       !missing;
	free(data);
	reader->index_offset = offset;
	return good;
}

/* ---- what it counts, held against what is there ------------------------------ */

/* The first kind of which the index counts others than there are, now that all were read; RF_RECORD_KIND_MAX: none. */
static u32 first_wrong(const struct rf_reader *reader)
{
	u32 kind = 0;

	while (kind < RF_RECORD_KIND_MAX && reader->found[kind] == reader->counts[kind])
		kind++;
	return kind;
}

void reader_compare_counts(struct rf_reader *reader, struct reader_frame *frame, const u32 counts[RF_RECORD_KIND_MAX])
{
	u32 wrong = RF_RECORD_KIND_MAX;

	pthread_mutex_lock(&reader->lock);
	if (!frame->counted) {
		frame->counted = true;
		for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
			reader->found[kind] += counts[kind];
		reader->to_count -= frame->info.records;
		if (!reader->to_count)
			wrong = first_wrong(reader);
	}
	pthread_mutex_unlock(&reader->lock);
	if (wrong < RF_RECORD_KIND_MAX)
		reader_note_damage(reader, reader->index_offset,
				   "the index is wrong: it counts %llu records of kind %u, and there are %llu",
				   (unsigned long long)reader->counts[wrong], wrong,
				   (unsigned long long)reader->found[wrong]);
}
