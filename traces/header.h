/* SPDX-License-Identifier: MIT */
/*
 * The header of a trace: what a reader at the desk wants to know of machine, kernel
 * and settings and cannot ask any more. This is the one list of its keys, and
 * FORMAT.md says of each what it means; whoever writes or reads one names it so.
 */
#ifndef REFOLD_TRACES_HEADER_H
#define REFOLD_TRACES_HEADER_H

#include <jansson.h>

#include "base/error.h"

#define RF_HEADER_KEYS(KEY)						\
	KEY(ARCH, "arch", JSON_STRING)					\
	KEY(BUFFER_BYTES_PER_CPU, "buffer_bytes_per_cpu", JSON_INTEGER)	\
	KEY(CALLS, "calls", JSON_STRING)				\
	KEY(CAPABILITIES, "capabilities", JSON_OBJECT)			\
	KEY(CLOCK, "clock", JSON_STRING)				\
	KEY(COMMAND, "command", JSON_STRING)				\
	KEY(COMPAT_CALLS, "compat_calls", JSON_TRUE)			\
	KEY(CPUS, "cpus", JSON_INTEGER)					\
	KEY(EVENTS, "events", JSON_ARRAY)				\
	KEY(EVENTS_MISSING, "events_missing", JSON_OBJECT)		\
	KEY(FAULT_AROUND_BYTES, "fault_around_bytes", JSON_INTEGER)	\
	KEY(FAULTS, "faults", JSON_STRING)				\
	KEY(FILTERS, "filters", JSON_OBJECT)				\
	KEY(FORMAT, "format", JSON_STRING)				\
	KEY(GFP_UNKNOWN, "gfp_unknown", JSON_ARRAY)			\
	KEY(KERNEL, "kernel", JSON_STRING)				\
	KEY(KSM, "ksm", JSON_TRUE)					\
	KEY(LABELS, "labels", JSON_OBJECT)				\
	KEY(MODE, "mode", JSON_STRING)					\
	KEY(PAGE_SIZE, "page_size", JSON_INTEGER)			\
	KEY(PID, "pid", JSON_INTEGER)					\
	KEY(PIDS, "pids", JSON_ARRAY)					\
	KEY(PRIVACY, "privacy", JSON_OBJECT)				\
	KEY(READAHEAD_BYTES, "readahead_bytes", JSON_OBJECT)		\
	KEY(RECORDER, "recorder", JSON_STRING)				\
	KEY(SIDE_BAND, "side_band", JSON_TRUE)				\
	KEY(SNAPSHOTS, "snapshots", JSON_TRUE)				\
	KEY(STACK_TOP, "stack_top", JSON_INTEGER)			\
	KEY(START_TIME_S, "start_time_s", JSON_INTEGER)			\
	KEY(THP, "thp", JSON_OBJECT)					\
	KEY(TOOL, "tool", JSON_STRING)					\
	KEY(USER_BASE, "user_base", JSON_INTEGER)			\
	KEY(ZSTD_LEVEL, "zstd_level", JSON_INTEGER)

enum rf_header_key {
#define RF_HEADER_KEY(key, name, type) RF_HEADER_##key,
	RF_HEADER_KEYS(RF_HEADER_KEY)
#undef RF_HEADER_KEY
	RF_NR_HEADER_KEYS,
};

const char *rf_header_key_name(enum rf_header_key key);
/* Its JSON type; JSON_TRUE stands for either truth. */
json_type rf_header_key_type(enum rf_header_key key);

/* Set a key to a value of its type, which is taken over. -1: out of memory. */
int rf_header_set(json_t *header, enum rf_header_key key, json_t *value);
void rf_header_set_string(json_t *header, enum rf_header_key key, const char *value);
void rf_header_set_integer(json_t *header, enum rf_header_key key, u64 value);
void rf_header_set_truth(json_t *header, enum rf_header_key key, bool value);

/* The value of a key, borrowed; NULL where it is absent or of another type. */
json_t *rf_header_get(const json_t *header, enum rf_header_key key);

/* Where address 0 of programs is; another than 0 where user addresses are rebased. */
u64 rf_header_user_base(const json_t *header);

/* Where the highest stack there can be ends (STACK_TOP_MAX): what stack_top says, or where the machine has it. */
u64 rf_header_stack_top(const json_t *header);

/* Does a clock of tracefs count nanoseconds? counter, uptime and those of a CPU (x86-tsc, ...) count something else. */
bool rf_clock_is_nanoseconds(const char *name);

/* Canonical JSON text (sorted keys, no spaces), to be freed; NULL: out of memory. */
char *rf_header_text(const json_t *header);

#endif
