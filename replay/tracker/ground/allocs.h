/* SPDX-License-Identifier: MIT */
/* Folios that a task allocated and that were not seen mapped yet. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_ALLOCS_H
#define REFOLD_REPLAY_TRACKER_GROUND_ALLOCS_H

#include "base/types.h"
#include "traces/record.h"

struct task;
struct task_alloc;

/* User memory by its gfp flags; not zram's, nor a file being written. */
static inline bool is_user_alloc(u64 gfp)
{
	return (gfp & (RF_GFP_MOVABLE | RF_GFP_HARDWALL | RF_GFP_WRITE)) == (RF_GFP_MOVABLE | RF_GFP_HARDWALL);
}

/* What may be a page of tmpfs that comes back from swap; zram's are not compound. */
static inline bool is_shmem_swapin_alloc(u64 gfp)
{
	const u64 told = RF_GFP_MOVABLE | RF_GFP_HARDWALL | RF_GFP_WRITE | RF_GFP_COMP;

	return (gfp & told) == (RF_GFP_MOVABLE | RF_GFP_COMP);
}

void push_alloc(struct task *task, u64 pfn, u32 order);
/* The last allocation of that many pages, else the last one. False: none. */
bool take_alloc(struct task *task, u64 pages, struct task_alloc *alloc);
bool has_alloc(const struct task *task, u32 order);
bool drop_alloc(struct task *task, u64 pfn);

#endif
