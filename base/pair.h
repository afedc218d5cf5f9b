/* SPDX-License-Identifier: MIT */
/* Two u64 of a table at once: compilers have instructions for them, or do one after the other. */
#ifndef REFOLD_BASE_PAIR_H
#define REFOLD_BASE_PAIR_H

#include "base/types.h"

typedef u64 pair __attribute__((vector_size(16), aligned(8), may_alias));

static inline bool pair_is_zero(pair p)
{
	return !(p[0] | p[1]);
}

#endif
