/* SPDX-License-Identifier: MIT */
/*
 * Which tasks are 32-bit ones. Of a call by number the trace holds what it is to either kind of task, and this is where
 * one of the two goes: nobody behind it sees a call that was not made.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_COMPAT_H
#define REFOLD_REPLAY_TRACKER_GROUND_COMPAT_H

#include "base/table.h"
#include "traces/trace.h"

DEFINE_TABLE(compat_table, u32, u8);

struct compat_tasks {
	bool told;		/* calls of 32-bit tasks are recorded */
	bool chooses;		/* there is something to choose */
	bool by_number;		/* calls of the kernel's own ABI are from numbers, too */
	u64 user_base;		/* rf_header_user_base() */
	bool *streams;		/* those of RF_SOURCE_COMPAT */
	struct compat_table tasks;	/* by tid; what bits mean is in compat.c */
};

int compat_start(struct compat_tasks *compat, struct rf_reader *reader);	/* -ENOMEM */
void compat_free(struct compat_tasks *compat);
/* Keep the records that are what their tasks did. In order of time; returns how many. */
size_t compat_choose(struct compat_tasks *compat, struct rf_record *records, size_t nr);
/* An MMAP2 record that only the exec of a 32-bit program makes. */
bool compat_exec_maps(const struct compat_tasks *compat, const struct rf_record *record);
/* Is an address so low that it may be a 32-bit program's? */
bool compat_reaches(const struct compat_tasks *compat, u64 addr);

#endif
