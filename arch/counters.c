// SPDX-License-Identifier: MIT
/* The names of counters and helpers, from the same lists as the structs: report keys and tables print these. */
#include "arch/counters.h"

const char *const arch_counter_names[ARCH_NR_COUNTERS] = {
#define X(name, meaning) #name,
	ARCH_COUNTERS(X)
#undef X
};

const char *const arch_helper_names[ARCH_NR_HELPERS] = {
#define X(name) #name,
	ARCH_HELPERS(X)
#undef X
};
