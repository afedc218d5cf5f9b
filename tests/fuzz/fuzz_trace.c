// SPDX-License-Identifier: MIT
/*
 * Traces: any bytes, and such as have good checksums, for a reader delivers nothing of other frames. The mutator
 * changes what a frame holds and packs it again; the index goes, and readers hop from frame to frame; or it changes
 * the index, and no frame.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "replay/commands/commands.h"
#include "tests/fuzz/harness.h"
#include "traces/frame.h"

#define MOST (1u << 20)

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t most, unsigned int seed);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const char *path = input_file(data, size, ".mmt.zst");
	char *argv[] = { "info", (char *)path, NULL };

	run_quietly(rf_cmd_info, argv);
	replay_file(path);
	return 0;
}

#ifdef FUZZING
/* The content of a frame of at most MOST bytes; 0: it has none. */
static size_t unpack(const u8 *data, size_t size, u8 *content)
{
	unsigned long long unpacked = ZSTD_getFrameContentSize(data, size);
	size_t got = unpacked > MOST ? 0 : ZSTD_decompress(content, MOST, data, size);

	return ZSTD_isError(got) ? 0 : got;
}

static size_t pack(u8 *out, size_t room, const u8 *content, size_t size)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	size_t got;

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	got = ZSTD_compress2(zstd, out, room, content, size);
	ZSTD_freeCCtx(zstd);
	return ZSTD_isError(got) ? 0 : got;
}

/* Change the index, which is to be at offset. */
static size_t mutate_index(u8 *out, size_t room, size_t offset, const u8 *index, size_t size, u8 *content)
{
	size_t unpacked, packed;

	if (size <= 8 + INDEX_TRAILER_BYTES || room < 8 + INDEX_TRAILER_BYTES)
		return 0;
	unpacked = unpack(index + 8, size - 8 - INDEX_TRAILER_BYTES, content);
	if (!unpacked)
		return 0;
	unpacked = LLVMFuzzerMutate(content, unpacked, MOST);
	packed = pack(out + 8, room - 8 - INDEX_TRAILER_BYTES, content, unpacked);
	store_u32(out, INDEX_SKIP_MAGIC);
	store_u32(out + 4, packed + INDEX_TRAILER_BYTES);
	store_u64(out + 8 + packed, offset);
	store_u64(out + 16 + packed, INDEX_TRAILER_MAGIC);
	return 8 + packed + INDEX_TRAILER_BYTES;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t most, unsigned int seed)
{
	static u8 content[MOST], out[4 * MOST];
	size_t at = 0, done = 0, frames = 0, chosen, frame, unpacked, packed;

	for (at = 0; at < size; at += frame, frames++) {
		frame = ZSTD_findFrameCompressedSize(data + at, size - at);
		if (ZSTD_isError(frame))
			break;
	}
	if (!frames || seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, most);
	chosen = seed % frames;
	for (at = 0; frames; at += frame, frames--, chosen--) {
		frame = ZSTD_findFrameCompressedSize(data + at, size - at);
		if (!chosen && load_u32(data + at) == INDEX_SKIP_MAGIC)
			done += mutate_index(out + done, sizeof(out) - done, done, data + at, frame, content);
		if (load_u32(data + at) != ZSTD_MAGICNUMBER)
			continue;
		if (done + frame > sizeof(out))
			break;
		memcpy(out + done, data + at, frame);
		unpacked = chosen ? 0 : unpack(data + at, frame, content);
		packed = frame;
		if (unpacked) {
			unpacked = LLVMFuzzerMutate(content, unpacked, MOST);
			packed = pack(out + done, sizeof(out) - done, content, unpacked);
		}
		done += packed;
	}
	if (!done || done > most)
		return LLVMFuzzerMutate(data, size, most);
	memcpy(data, out, done);
	return done;
}
#endif
