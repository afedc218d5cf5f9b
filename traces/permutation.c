// SPDX-License-Identifier: MIT
/*
 * A balanced Feistel network whose round function is SipHash-2-4 (libsodium), a pseudo-random function: any such
 * network is a permutation. Domains are small, so there are more rounds than a block cipher's proof asks for.
 */
#include "traces/permutation.h"

#include <string.h>

#define ROUNDS 12

u64 keyed_hash(const struct permutation_key *key, u8 purpose, const void *bytes, size_t size)
{
	u8 message[32] = { purpose }, hash[crypto_shorthash_BYTES];
	u64 word;

	memcpy(message + 8, bytes, min_u64(size, sizeof(message) - 8));
	crypto_shorthash(hash, message, sizeof(message), key->bytes);
	memcpy(&word, hash, sizeof(word));
	return word;
}

static u64 round_of(const struct permutation_key *key, u8 purpose, unsigned int bits, u8 round, u64 half)
{
	u8 message[16] = { purpose, (u8)bits, round }, hash[crypto_shorthash_BYTES];
	u64 word;

	memcpy(message + 8, &half, sizeof(half));
	crypto_shorthash(hash, message, sizeof(message), key->bytes);
	memcpy(&word, hash, sizeof(word));
	return word;
}

u64 permute(const struct permutation_key *key, u8 purpose, unsigned int bits, u64 number)
{
	unsigned int half = bits / 2;
	u64 mask = BIT_ULL(half) - 1, left = number >> half & mask, right = number & mask;

	for (u8 round = 0; round < ROUNDS; round++) {
		u64 next = left ^ (round_of(key, purpose, bits, round, right) & mask);

		left = right;
		right = next;
	}
	return left << half | right;
}

/* Walking the cycle until it comes back to where it may be keeps a permutation one. */
u64 permute_above(const struct permutation_key *key, u8 purpose, unsigned int bits, u64 least, u64 number)
{
	do
		number = permute(key, purpose, bits, number);
	while (!number || number < least);
	return number;
}
