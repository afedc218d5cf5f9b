/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a trace.dat that are taken one after the other: of the file itself, or
 * of a section that is in memory. Reading past the end of a piece makes it bad, and
 * gives zeros, so that one look afterwards is enough.
 */
#ifndef REFOLD_TRACES_IMPORT_PIECE_H
#define REFOLD_TRACES_IMPORT_PIECE_H

#include "base/types.h"

/* What is in memory of a piece of the file, from its byte "begin" on. */
struct piece_window {
	int fd;
	u8 *bytes;
	size_t room;
	u64 begin, held;
	int error;		/* negative errno; the file, or memory, is to blame for what is bad */
};

struct piece {
	const u8 *data;			/* NULL: in the window */
	struct piece_window *window;
	u64 size, at;
	u64 offset;			/* of its first byte in the file, for messages */
	bool bad;
};

/* The bytes are there until the next are taken. NULL: there are not as many. */
const u8 *piece_take(struct piece *piece, u64 bytes);
/* A little-endian number of at most 8 bytes. */
u64 piece_number(struct piece *piece, u32 bytes);
/* A string with its NUL, for as long as piece_take(); "" where there is none of a reasonable length. */
const char *piece_string(struct piece *piece);
void piece_skip(struct piece *piece, u64 bytes);

/* All so many bytes of the file from offset on. 0 or a negative errno; -EBADMSG: it ends before. */
int piece_read(int fd, u64 offset, void *bytes, size_t size);

#endif
