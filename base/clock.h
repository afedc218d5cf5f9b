/* SPDX-License-Identifier: MIT */
/* The clock that recordings use. */
#ifndef REFOLD_BASE_CLOCK_H
#define REFOLD_BASE_CLOCK_H

#include <time.h>

#include "base/types.h"

#define RF_NS_PER_SECOND 1000000000ull

/* CLOCK_MONOTONIC in ns. */
static inline u64 rf_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * RF_NS_PER_SECOND + (u64)now.tv_nsec;
}

#endif
