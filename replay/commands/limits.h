/* SPDX-License-Identifier: MIT */
/*
 * What a replay may take, so that a trace of a few hundred bytes that somebody mailed cannot take a machine: memory and
 * time, by the length of the traces unless the user says otherwise (traces/FORMAT.md).
 */
#ifndef REFOLD_REPLAY_COMMANDS_LIMITS_H
#define REFOLD_REPLAY_COMMANDS_LIMITS_H

#include "base/error.h"

#define RF_LIMITS_HELP \
	"      --max-memory SIZE   the most memory to take (default: by the length of the traces, at most 3/4 of what\n" \
	"                          is free)\n" \
	"      --max-time TIME     the longest to take (default: by the length of the traces, at least 2m)\n"

struct rf_limits {
	u64 memory;		/* bytes; 0: the default */
	double seconds;		/* 0: the default */
};

/* Values of --max-memory and --max-time of this command: 0, or an exit code after what is wrong was told. */
int rf_limits_take_memory(struct rf_limits *limits, const char *command, const char *text);
int rf_limits_take_time(struct rf_limits *limits, const char *command, const char *text);

/* From now on, for traces of so many bytes in all; returns when to stop, by rf_monotonic(). */
u64 rf_limits_begin(struct rf_limits *limits, u64 trace_bytes, size_t nr_policies);

/* What to do about an error that a limit led to, to be put behind it; "" for others. */
const char *rf_limits_advice(const struct rf_error *err);

#endif
