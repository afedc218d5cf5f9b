// SPDX-License-Identifier: MIT
/* Bytes of a file, and its zstd frames: how large they are, by the sizes of their blocks, and what is in small ones. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd_errors.h>

#include "base/array.h"
#include "traces/reader.h"

#define ZSTD_HEADER_BYTES 18		/* at most */

const char reader_no_memory[] = "out of memory";
const char reader_no_reading[] = "cannot be read: Input/output error";

const char *reader_zstd_error(size_t code)
{
	return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? reader_no_memory : ZSTD_getErrorName(code);
}

const u8 *window_at(struct window *window, u64 offset, size_t wanted, size_t *available)
{
	size_t size = wanted > WINDOW_BYTES ? wanted : WINDOW_BYTES;
	size_t done = 0;

	if (offset > window->file_bytes)
		offset = window->file_bytes;
	if (size > window->file_bytes - offset)
		size = window->file_bytes - offset;
	if (wanted > size)
		wanted = size;
	if (!window->data || offset < window->offset || offset - window->offset > window->size ||
	    window->size - (offset - window->offset) < wanted) {
		if (array_grow(window->data, window->room, size + 1)) {
			errno = ENOMEM;
			return NULL;
		}
		window->offset = offset;
		window->size = 0;
		while (done < size) {
			ssize_t n = pread(window->fd, window->data + done, size - done, offset + done);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return NULL;
			if (n == 0)	/* the file shrinks while it is read */
				break;
			done += n;
		}
		window->size = done;
	}
	*available = window->size - (offset - window->offset);
	return window->data + (offset - window->offset);
}

size_t frame_measure(struct window *window, u64 offset, size_t unpacked_max, size_t *unpacked, const char **why)
{
	size_t bound = ZSTD_compressBound(unpacked_max), wanted = ZSTD_HEADER_BYTES, available, size;
	unsigned long long content;
	const u8 *data = window_at(window, offset, wanted, &available);

	*why = errno == ENOMEM ? reader_no_memory : reader_no_reading;
	if (!data)
		return 0;
	*why = "no zstd frame";
	if (available < 5 || load_u32(data) != ZSTD_MAGIC)
		return 0;
	*why = "a zstd frame without checksum or content size";
	content = ZSTD_getFrameContentSize(data, available);
	if (!(data[4] & 4) || content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR)
		return 0;
	*why = "a frame larger than the format allows";
	if (content > unpacked_max)
		return 0;
	*unpacked = content;
	/* Frames are mostly much smaller than the bound: look further only where the blocks say so. */
	for (wanted = WINDOW_BYTES;; wanted *= 4) {
		if (wanted > bound)
			wanted = bound;
		data = window_at(window, offset, wanted, &available);
		*why = errno == ENOMEM ? reader_no_memory : reader_no_reading;
		if (!data)
			return 0;
		size = ZSTD_findFrameCompressedSize(data, available < wanted ? available : wanted);
		if (!ZSTD_isError(size))
			return size;
		*why = "the file ends inside a frame";
		if (available < wanted)
			return 0;
		*why = "a damaged frame";
		if (wanted == bound)
			return 0;
	}
}

u8 *reader_unpack_small(struct window *window, u64 offset, size_t max, size_t *packed, size_t *size, const char **why)
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
