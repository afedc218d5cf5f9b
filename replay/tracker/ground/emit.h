/* SPDX-License-Identifier: MIT */
/* Operations out: what core mm did, in the order in which it did it. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_EMIT_H
#define REFOLD_REPLAY_TRACKER_GROUND_EMIT_H

#include "engine/ops.h"
#include "replay/tracker/ground/tracked_mm.h"

struct rf_record;
struct rf_tracker;

#define OPS_A_BLOCK 4096

/* A new operation on mm, zeroed but for kind, mm and time. Valid until the next. */
struct rf_op *emit(struct rf_tracker *tracker, u8 kind, const struct tracked_mm *mm);
/*
 * Like emit() for one entry at vpn of a run, or lengthens the last operation if that is the same kind of work on the
 * entry before: pfn and addr in sequence, same folio.
 */
void emit_entry(struct rf_tracker *tracker, u8 kind, const struct tracked_mm *mm, u64 vpn, u64 pfn, u32 order,
		u16 flags);
/* Its number in the list of threads, where it is put if it is new; 0: nobody asks for causes. */
u32 thread_of(struct rf_tracker *tracker, struct task *task);
/* What the record leads to is caused by it, and by the fault or call that its thread is in. */
void cause_begins(struct rf_tracker *tracker, const struct rf_record *record);
/* Those emitted so far go to the sink. */
void flush_ops(struct rf_tracker *tracker);

#endif
