/* SPDX-License-Identifier: MIT */
/* System calls in progress, what they populate, and what each does when it returns. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_CALL_H
#define REFOLD_REPLAY_TRACKER_STORIES_CALL_H

#include "replay/tracker/ground/tracked_mm.h"

struct populate_event;
struct rf_record;
struct rf_tracker;
struct task;
struct world_vma;

#define VM_ACCESS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

/* ---- told_vmas.c ---- */

/* The side band tells one in the task's call; when that returns, VMAs of who was attached to are as they were told. */
void note_told_vma(struct task *task, const struct world_vma *vma);
void vmas_as_told(struct rf_tracker *tracker, struct task *task);
/* A fault maps a folio there: what the model has as several VMAs is one. */
void vmas_as_faulted(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end);

/* ---- call.c ---- */

/* Apply what the call in progress unmaps, once. */
void call_zap(struct rf_tracker *tracker, struct task *task);
bool advice_zaps(u64 advice);
/* An RSS change inside a call, outside any fault. */
void call_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta);
/* It is over, whether or not its return was told. */
void call_abandon(struct rf_tracker *tracker, struct task *task);

/* ---- overtaken.c ---- */

/* by's call returns ret, a place that the kernel has chosen: what has freed it is done, though it has not returned. */
void calls_overtaken(struct rf_tracker *tracker, const struct task *by, u64 ret);
/* A fault of by maps a folio there, so that it is mapped all over: whoever has mapped it is done, likewise. */
void maps_overtaken(struct rf_tracker *tracker, const struct task *by, u64 start, u64 end);

/* ---- populate.c ---- */

bool call_populates(const struct task *task);
void populate_begin(struct rf_tracker *tracker, struct task *task, u64 start, u64 end, bool write, bool zero);
/* Apply now if the range is known, else keep. */
void populate_event(struct rf_tracker *tracker, struct task *task, const struct populate_event *event);
void populate_end(struct rf_tracker *tracker, struct task *task, bool succeeded);
bool populate_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order);
/* process_vm_readv() and process_vm_writev(): the iovecs that were told; and when so many bytes were copied. */
void populate_gups(struct rf_tracker *tracker, struct task *task);
void populate_gups_end(struct rf_tracker *tracker, struct task *task, u64 bytes);
/* The call faults on its own account: what was allocated until now is a copy. */
void populate_pauses(struct rf_tracker *tracker, struct task *task);
/* The call in progress populates mm, which is not its own. */
bool populates_remotely(const struct task *task, const struct tracked_mm *mm);
/* userfaultfd: what is empty in the range, of mm. */
void populate_fill(struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm, u64 start, u64 end);

/* ---- mlock.c ---- */

bool call_locks(const struct task *task);
/* What mlock() or munlock() is about, to whole pages; and whether some of that is not mapped. */
bool locked_range(const struct rf_tracker *tracker, const struct task *task, u64 *start, u64 *end);
bool locks_hole(const struct rf_tracker *tracker, struct task *task);
/* The flags of the call in progress, once. */
void lock_vmas(struct rf_tracker *tracker, struct task *task);

/* ---- the returns ---- */

u16 prot_flags(u64 prot);	/* RF_VM_* of PROT_* */
void mmap_return(struct rf_tracker *tracker, struct task *task, u64 ret);
void brk_return(struct rf_tracker *tracker, struct task *task, u64 ret);
void shmat_return(struct rf_tracker *tracker, struct task *task, u64 ret);
void remap_file_pages_return(struct rf_tracker *tracker, struct task *task);
void mprotect_return(struct rf_tracker *tracker, struct task *task, s64 ret);
void mremap_return(struct rf_tracker *tracker, struct task *task, u64 ret);
/* Is it of several VMAs? Then all of it is done at its first RSS change. */
bool mremap_several(struct rf_tracker *tracker, struct task *task);
void mremap_populates(struct rf_tracker *tracker, struct task *task, u64 ret);
void mbind_return(struct rf_tracker *tracker, struct task *task, s64 ret);
void prctl_return(struct rf_tracker *tracker, struct task *task);
void uffd_begins(struct task *task);
void ioctl_entry(struct rf_tracker *tracker, struct task *task);
void ioctl_return(struct rf_tracker *tracker, struct task *task, s64 ret);
/* Thread tid has split a folio: UFFDIO_MOVE goes on. */
void move_has_split(struct rf_tracker *tracker, u32 tid);
/* A fault at vpn goes on: what it waited for is there, though the call that put it there may not have returned. */
void uffd_wakes(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 vpn);
void process_madvise_entry(struct rf_tracker *tracker, struct task *task);
void madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret);
void process_madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret);
void process_vm_return(struct rf_tracker *tracker, struct task *task, s64 ret);

/* ---- pageout.c ---- */

bool pages_out(const struct task *task);	/* it is inside an MADV_PAGEOUT */
void pageout_begins(struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm, u64 start, u64 end);
void pageout_ends(struct rf_tracker *tracker, struct task *task);
/* An RSS change of mm: what the task's MADV_PAGEOUT unmaps. */
void pageout_rss(struct task *task, const struct tracked_mm *mm, u8 member, s64 delta);
/* Thread tid has unmapped the folio at head for reclaim, by its madvise(), if any: before its entries are changed. */
void pageout_tells(struct rf_tracker *tracker, u32 tid, u64 head, u32 order);
/* The first PAGE_FREE of several in a row. True: of pages that an MADV_PAGEOUT discards, not unmapped before. */
bool pageout_discards(struct rf_tracker *tracker, struct task *task, const struct rf_record *record);
/* Thread tid splits the folio that is mapped at vpn, has split it. */
void advice_splits(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm, u64 vpn);
void advice_has_split(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm);

#endif
