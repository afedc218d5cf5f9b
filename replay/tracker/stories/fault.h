/* SPDX-License-Identifier: MIT */
/* Page faults, from the record that opens one to the moment when nothing more will tell of it. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_FAULT_H
#define REFOLD_REPLAY_TRACKER_STORIES_FAULT_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;
struct task;

/* ---- settle.c ---- */

void fault_none(struct rf_tracker *tracker, struct task *task);
/* The task goes on: what its open fault did is final. */
void fault_close(struct rf_tracker *tracker, struct task *task);
/* The recording is over: what it would have done later is not known. */
void fault_ends(struct rf_tracker *tracker, struct task *task);
/* Decide open faults of all threads: a window begins or ends, and what happened before belongs before. */
void settle_all(struct rf_tracker *tracker);
/* Decide open faults of other threads that began before time, because something depends on them now. */
void settle_others(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *except, u64 time);
/*
 * dup_mmap() does, at its end: it keeps faults out of a VMA from when it copies it. A write fault that leaves no record
 * was before; one that does waits, and copies.
 */
void settle_before_fork(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task);
/* unmap_range() depends on them. */
void settle_unmap(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task, u64 start, u64 end,
		  u8 why);
/* A new VMA, over whatever is there. */
struct world_vma *map_over(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u8 why);

/* ---- inside_fault.c, swap.c ---- */

void fault_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta);
/* An RSS change by minus a whole PMD of pages. True: that of a file, in the way of the fault, was split. */
bool fault_splits_pmd(struct rf_tracker *tracker, struct task *task, u8 member);
/* A page was allocated while the fault is open, with these RF_GFP_*. True: it was taken by a COW. */
bool fault_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order, u64 gfp);
void fault_page_freed(struct rf_tracker *tracker, struct task *task, u64 pfn);
void fault_swap_in(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte, s64 delta);

/* ---- copy.c ---- */

/* The page frame just allocated is the copy that the task's open fault made of old. */
bool is_copied(struct rf_tracker *tracker, const struct task *task, world_pte old, u64 pfn);
/* The task has copied a page: others may find that page shared for a moment. */
void note_copy(struct rf_tracker *tracker, const struct task *task);
/* The page was not the task's alone when its fault began: what it allocates then is a copy, however late. */
bool is_contended(struct rf_tracker *tracker, const struct task *task);
/* Does any address space but this map a page of the folio? */
bool is_shared(struct rf_tracker *tracker, const struct tracked_mm *mm, world_pte pte);
/* A write fault on it takes the page over, without a copy. */
bool is_reusable(struct rf_tracker *tracker, const struct tracked_mm *mm, world_pte pte);

/* ---- check.c ---- */

/* Count whether the fault is one the model expects, and repair the model. */
void check_fault(struct rf_tracker *tracker, struct task *task, u64 vpn, u16 flags);
/* A write faulted on an entry that the model holds writable. True: explained. */
bool check_write_protected(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte);

#endif
