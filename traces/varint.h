/* SPDX-License-Identifier: MIT */
/* Numbers of variable length, seven bits a byte, low bits first; signed ones in zigzag order. Internal to traces/. */
#ifndef REFOLD_TRACES_VARINT_H
#define REFOLD_TRACES_VARINT_H

#include <endian.h>
#include <string.h>

#include "base/types.h"

#define VARINT_MAX 10

static inline u64 zigzag(u64 delta)
{
	return delta << 1 ^ (u64)((s64)delta >> 63);
}

static inline u64 unzigzag(u64 value)
{
	return value >> 1 ^ -(value & 1);
}

static inline u8 *varint_store(u8 *out, u64 value)
{
	while (value >= 0x80) {
		*out++ = value | 0x80;
		value >>= 7;
	}
	*out++ = value;
	return out;
}

/* Any number of bytes; what does not fit 64 bits is dropped. */
static inline const u8 *varint_load(const u8 *in, u64 *value)
{
	u64 result = *in & 0x7f;
	unsigned int shift = 7;

	while (*in++ >= 0x80) {
		if (shift < 64)
			result |= (u64)(*in & 0x7f) << shift;
		shift += 7;
	}
	*value = result;
	return in;
}

/* The same without a branch per byte; reads up to eight bytes beyond the value. */
static inline const u8 *varint_load_wide(const u8 *in, u64 *value)
{
	u64 word, ends;

	memcpy(&word, in, sizeof(word));
	word = le64toh(word);
	ends = ~word & 0x8080808080808080ull;
	if (!ends)
		return varint_load(in, value);
	word &= ends ^ (ends - 1);	/* up to and with the last byte, whose top bit is 0 */
	word = (word & 0x007f007f007f007full) | (word & 0x7f007f007f007f00ull) >> 1;
	word = (word & 0x00003fff00003fffull) | (word & 0x3fff00003fff0000ull) >> 2;
	*value = (word & 0x000000000fffffffull) | (word & 0x0fffffff00000000ull) >> 4;
	return in + (__builtin_ctzll(ends) >> 3) + 1;
}

#endif
