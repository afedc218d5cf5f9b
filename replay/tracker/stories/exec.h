/* SPDX-License-Identifier: MIT */
/* A new program, and what the side band tells of its VMAs. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_EXEC_H
#define REFOLD_REPLAY_TRACKER_STORIES_EXEC_H

#include "replay/world/world.h"

struct rf_record;
struct rf_tracker;
struct task;

/* The thread with this tid is now the one that began an exec under another. */
void exec_take_over(struct rf_tracker *tracker, struct task *task);
/* exec_mmap(): leave the old address space for the one built so far. */
void exec_switch(struct rf_tracker *tracker, struct task *task);
/* An exec begins: foresee which record is the first about its new address space, task->exec_at. */
void find_exec_point(struct rf_tracker *tracker, struct task *task);
/* The record in progress is that one. */
void exec_arrives(struct rf_tracker *tracker, struct task *task);
/* The side band names a new program, whose address space is in place then. Was all else that tells of it lost? */
void exec_is_named(struct rf_tracker *tracker, struct task *task);
void exec_return(struct rf_tracker *tracker, struct task *task, s64 ret);
void place_stack(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma);
/* MMAP2 and SNAP_VMA have the same fields. */
bool vma_of_record(struct rf_tracker *tracker, const struct rf_record *record, struct world_vma *vma);

#endif
