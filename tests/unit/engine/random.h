/* SPDX-License-Identifier: MIT */
/* Numbers at random for the tests of the engine, the same for the same seed: a run that failed can be had again. */
#ifndef REFOLD_TESTS_ENGINE_RANDOM_H
#define REFOLD_TESTS_ENGINE_RANDOM_H

#include "base/types.h"

static u64 rng;		/* not 0 */

static inline u64 random_below(u64 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

static inline bool one_in(u64 n)
{
	return !random_below(n);
}

#endif
