// SPDX-License-Identifier: MIT
/* A trace.dat, read piece by piece, never more of it than it has. */
#include "traces/import/piece.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"

#define WINDOW_BYTES (256 << 10)
#define STRING_BYTES 4096

int piece_read(int fd, u64 offset, void *bytes, size_t size)
{
	u8 *to = bytes;

	while (size) {
		ssize_t got = pread(fd, to, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EBADMSG;
		to += got;
		offset += (u64)got;
		size -= (size_t)got;
	}
	return 0;
}

/* Have what comes next in the window: at least so many bytes, which the piece has. */
static const u8 *window_at(struct piece *piece, u64 bytes)
{
	struct piece_window *window = piece->window;
	u64 held = min_u64(max_u64(bytes, WINDOW_BYTES), piece->size - piece->at);

	if (piece->at >= window->begin && piece->at + bytes <= window->begin + window->held)
		return window->bytes + (piece->at - window->begin);
	window->held = 0;
	window->error = array_grow(window->bytes, window->room, held);
	if (!window->error)
		window->error = piece_read(window->fd, piece->offset + piece->at, window->bytes, held);
	if (window->error)
		return NULL;
	window->begin = piece->at;
	window->held = held;
	return window->bytes;
}

/* So many bytes from where it is on, which it has. */
static const u8 *look(struct piece *piece, u64 bytes)
{
	const u8 *data = piece->data ? piece->data + piece->at : window_at(piece, bytes);

	piece->bad |= !data;
	return data;
}

const u8 *piece_take(struct piece *piece, u64 bytes)
{
	const u8 *data;

	if (piece->bad || bytes > piece->size - piece->at) {
		piece->bad = true;
		return NULL;
	}
	data = look(piece, bytes);
	if (data)
		piece->at += bytes;
	return data;
}

u64 piece_number(struct piece *piece, u32 bytes)
{
	const u8 *data = piece_take(piece, bytes);
	u64 value = 0;

	for (u32 i = 0; data && i < bytes; i++)
		value |= (u64)data[i] << 8 * i;
	return value;
}

const char *piece_string(struct piece *piece)
{
	u64 most = min_u64(STRING_BYTES, piece->size - piece->at);
	const u8 *start = piece->bad ? NULL : look(piece, most);
	const u8 *end = start ? memchr(start, 0, most) : NULL;

	if (!end) {
		piece->bad = true;
		return "";
	}
	piece->at += (u64)(end - start) + 1;
	return (const char *)start;
}

void piece_skip(struct piece *piece, u64 bytes)
{
	if (piece->bad || bytes > piece->size - piece->at)
		piece->bad = true;
	else
		piece->at += bytes;
}
