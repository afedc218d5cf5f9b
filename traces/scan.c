// SPDX-License-Identifier: MIT
/*
 * Finding frames without an index: hop from frame to frame by the sizes of
 * their blocks, unpacking only the first bytes; after damage, look for the
 * next zstd magic that begins a frame of ours.
 */
#include <errno.h>
#include <stdlib.h>

#include "traces/reader.h"

/* The first bytes of the frame's content; false: they cannot be unpacked. */
static bool unpack_start(ZSTD_DCtx *zstd, const u8 *data, size_t size, u8 *out, size_t wanted)
{
	ZSTD_inBuffer in = { data, size, 0 };
	ZSTD_outBuffer start = { out, wanted, 0 };

	ZSTD_DCtx_reset(zstd, ZSTD_reset_session_only);
	while (start.pos < wanted) {
		size_t before_in = in.pos, before_out = start.pos;
		size_t ret = ZSTD_decompressStream(zstd, &start, &in);

		if (ZSTD_isError(ret) || (in.pos == before_in && start.pos == before_out))
			return false;
		if (ret == 0)
			break;
	}
	return start.pos == wanted;
}

static int add_end_frame(struct rf_reader *reader, const u8 *data, size_t size, size_t unpacked, u64 *missing,
			 const char **why)
{
	u8 *content = malloc(unpacked + 1);
	int ret = -EBADMSG;

	if (!content)
		return -ENOMEM;
	*why = "the end frame is damaged";
	if (ZSTD_decompress(content, unpacked, data, size) == unpacked)
		ret = reader_add_end(reader, content, unpacked, missing, why);
	free(content);
	return ret;
}

/* Try the frame at offset: its size when it was taken, 0 when there is none (*why), negative errno. */
static ssize_t scan_frame(struct rf_reader *reader, struct window *window, ZSTD_DCtx *zstd, u64 offset, bool *ended,
			  u64 *missing, const char **why)
{
	size_t unpacked, available, size = frame_measure(window, offset, FRAME_UNPACKED_MAX, &unpacked, why);
	u8 start[DATA_HEADER_BYTES];
	const u8 *data;
	int ret = -EBADMSG;

	if (!size)
		return *why == reader_no_memory ? -ENOMEM : *why == reader_no_reading ? -EIO : 0;
	data = window_at(window, offset, size, &available);
	if (!data)
		return -errno;
	*why = "a damaged frame";
	if (available < size || unpacked < 4 ||
	    !unpack_start(zstd, data, size, start, unpacked < sizeof(start) ? unpacked : sizeof(start)))
		return 0;
	*why = "a frame of unknown type";
	if (load_u32(start) == DATA_TAG && unpacked >= DATA_HEADER_BYTES) {
		ret = reader_add_frame(reader, offset, size, start, missing, why);
	} else if (load_u32(start) == END_TAG) {
		ret = add_end_frame(reader, data, size, unpacked, missing, why);
		*ended = !ret;
	}
	return ret == -EBADMSG ? 0 : ret ? ret : (ssize_t)size;
}

/* The next offset from which a zstd frame might begin, or the end of the file. */
static u64 next_magic(struct window *window, u64 offset)
{
	while (offset + 4 <= window->file_bytes) {
		size_t available, i;
		const u8 *data = window_at(window, offset, WINDOW_BYTES, &available);

		if (!data || available < 4)
			break;
		for (i = 0; i + 4 <= available; i++)
			if (data[i] == (ZSTD_MAGIC & 0xff) && load_u32(data + i) == ZSTD_MAGIC)
				return offset + i;
		offset += i;
	}
	return window->file_bytes;
}

/* The damaged piece [from, to) was passed over. */
static void note_gap(struct rf_reader *reader, u64 from, u64 to, const char *why)
{
	reader->summary.damaged_frames++;
	if (to == reader->file_bytes)
		reader_note_damage(reader, from, "%s; the last %llu bytes are not read", why,
				   (unsigned long long)(to - from));
	else
		reader_note_damage(reader, from, "%s; reading goes on at byte %llu", why, (unsigned long long)to);
}

/* Behind the end frame only the index may follow. Cut or damaged, it costs nothing: the frames were found without. */
static void check_tail(struct rf_reader *reader, struct window *window, u64 offset)
{
	size_t available;
	const u8 *data = window_at(window, offset, 8, &available);
	u8 magic[4];

	store_u32(magic, INDEX_SKIP_MAGIC);
	if (!data || !available)
		return;
	magic[0] = (magic[0] & 0xf0) | (data[0] & 0x0f);	/* any skippable frame */
	if (memcmp(data, magic, available < 4 ? available : 4) ||
	    (available >= 8 && load_u32(data + 4) + 8ull < reader->file_bytes - offset))
		reader_note_damage(reader, offset, "bytes after the end frame do not belong to this trace");
}

int reader_scan(struct rf_reader *reader, struct window *window, u64 offset)
{
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	bool ended = false, bad = false;
	const char *why = NULL, *first_why = NULL;
	u64 bad_from = 0;
	int ret = 0;

	if (!zstd)
		return -ENOMEM;
	while (offset < reader->file_bytes && !ended) {
		u64 missing = 0;
		ssize_t size = scan_frame(reader, window, zstd, offset, &ended, &missing, &why);

		if (size < 0) {
			ret = size;
			break;
		}
		if (size > 0) {
			if (bad)
				note_gap(reader, bad_from, offset, first_why);
			else if (missing)	/* frames were taken out cleanly, or fell into a gap before */
				reader_note_damage(reader, offset, "%llu records are missing before this place",
						   (unsigned long long)missing);
			bad = false;
			offset += size;
			continue;
		}
		if (!bad) {
			bad_from = offset;
			first_why = why;
		}
		bad = true;
		offset = next_magic(window, offset + 1);
	}
	if (!ret && bad)
		note_gap(reader, bad_from, reader->file_bytes, first_why);
	if (!ret && ended)
		check_tail(reader, window, offset);
	if (!ret && !ended)
		reader_note_damage(reader, reader->file_bytes,
				   "no end frame: the recorder was killed, ran out of space, or is still writing");
	ZSTD_freeDCtx(zstd);
	return ret;
}
