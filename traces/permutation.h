/* SPDX-License-Identifier: MIT */
/*
 * Keyed permutations of small domains, for pseudonyms: whoever has not the key learns nothing of the others from any
 * number of known pairs. Internal to traces/.
 */
#ifndef REFOLD_TRACES_PERMUTATION_H
#define REFOLD_TRACES_PERMUTATION_H

#include <sodium.h>

#include "base/types.h"

struct permutation_key {
	u8 bytes[crypto_shorthash_KEYBYTES];
};

/* Of the numbers below 2^bits (even, 2 to 64), another one for each purpose. */
u64 permute(const struct permutation_key *key, u8 purpose, unsigned int bits, u64 number);

/* The same of the numbers that are neither 0 nor below least, which no number becomes. */
u64 permute_above(const struct permutation_key *key, u8 purpose, unsigned int bits, u64 least, u64 number);

/* A keyed hash of bytes. */
u64 keyed_hash(const struct permutation_key *key, u8 purpose, const void *bytes, size_t size);

#endif
