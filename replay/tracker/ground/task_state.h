/* SPDX-License-Identifier: MIT */
/*
 * How far a task's page fault and system call have come. Whatever changes the two structures is a function here, so
 * that every transition has a name and one place.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_TASK_STATE_H
#define REFOLD_REPLAY_TRACKER_GROUND_TASK_STATE_H

#include "replay/world/world.h"
#include "traces/record.h"

struct task;

/* ---- a page fault, from its FAULT record to the task's next record that is not part of it ---- */

enum fault_stage {
	FAULT_NONE,
	FAULT_OPEN,		/* nothing tells yet what it does */
	FAULT_GUESSED,		/* applied, because another thread depended on it; records may still say otherwise */
	FAULT_SETTLED,		/* its effect is known and applied */
	FAULT_COPIED,		/* likewise: a COW */
};

/* An RSS change of file pages in the fault, whose record that tells which pages is still to come. */
enum fault_wait {
	WAIT_NONE,
	WAIT_COUNTED,		/* in mm->deferred */
	WAIT_LEFT,		/* the address space it was counted in has been left */
};

/* The fault's FILEMAP_FAULT. */
enum fault_file {
	FILE_NOT_SEEN,
	FILE_CACHED,		/* the page was there */
	FILE_READ,
};

struct task_fault {
	u8 stage;		/* enum fault_stage */
	u8 wait;		/* enum fault_wait */
	u8 filemap;		/* enum fault_file */
	u8 member;		/* of delta */
	bool swapped_in;	/* a copy may follow */
	bool contended;		/* when it began, others mapped the page, or had a copy of it in the making */
	u16 flags;		/* RF_FAULT_*; UNKNOWN resolved against the model */
	u64 addr, vpn, time;
	s64 delta;		/* that waits */
	u64 index;		/* FILEMAP_FAULT */
	u32 reads;		/* pages added to the cache since */
	u32 file;
	world_pte replaced;	/* what guess or COW replaced, in case it was neither */
	u64 copied_at;		/* when the page of the COW was allocated */
	u64 copied_pfn;
};

static inline bool fault_is_open(const struct task_fault *fault)
{
	return fault->stage != FAULT_NONE;
}

/* Records may still tell what the fault does. */
static inline bool fault_pending(const struct task_fault *fault)
{
	return fault->stage == FAULT_OPEN || fault->stage == FAULT_GUESSED;
}

static inline bool fault_waits(const struct task_fault *fault)
{
	return fault->wait != WAIT_NONE;
}

void fault_begins(struct task *task, u64 addr, u64 vpn, u16 flags, u64 time);
void fault_contends(struct task_fault *fault, bool contended);
/* The entry it hit was none after all. */
void fault_found_none(struct task_fault *fault);
/* mm_filemap_fault; then a page is read into the cache. */
void fault_reaches_file(struct task_fault *fault, u32 file, u64 index, bool cached);
void fault_reads_page(struct task_fault *fault);
/* An RSS change that waits for its place, and has found it. */
void fault_wait_for_place(struct task *task, u8 member, s64 delta);
void fault_placed(struct task *task);
/* What it does is applied: as the records tell, as a guess that replaced an entry, as a COW into pfn, as a swap-in. */
void fault_applied(struct task_fault *fault);
void fault_guessed(struct task_fault *fault, world_pte replaced);
void fault_copied(struct task_fault *fault, world_pte replaced, u64 pfn, u64 time);
void fault_swapped_in(struct task_fault *fault);
/* The task goes on. */
void fault_over(struct task *task);

/* ---- a system call, from entry to return ---- */

enum call_stage {
	CALL_NONE,		/* none that matters */
	CALL_ENTERED,
	CALL_ZAPPED,		/* its unmapping was applied; mlock(), mlockall(): its flags */
	CALL_RETURNED,
};

struct task_call {
	u8 stage;		/* enum call_stage */
	u8 kind;		/* of the entry record; 0: CALL_NONE */
	bool deferred;		/* counted in mm->deferred: an RSS change was seen, its effect may come at the return */
	bool counted;		/* in mm->callers */
	bool moved;		/* mremap() of several VMAs: they are at their new place; ioctl(): it is followed */
	bool overtaken;		/* what it did is applied, another thread's call told it; it has not returned */
	bool bore;		/* a new task, whose NEWTASK was seen */
	u8 was;			/* kind of the one that is over, its args are still there */
	u8 flushed;		/* enum flush_extent: its last flush */
	/* MADV_PAGEOUT: whose memory, its number + 1 (0: it is none); of process_madvise() the piece it is at. */
	u32 advised, piece;
	u64 advice_start, advice_end;	/* vpns */
	/* Its walk, vpns: so far has its walk come, is told what was unmapped, is settled what was discarded. */
	u64 walked, reclaimed, discarded;
	u32 unmapped[RF_RSS_MEMBERS];	/* pages by counter, SWAP: into swap; no record has told yet which */
	/* MMAP2 told what it maps; length 0: did not. */
	u64 map_addr, map_len, map_pgoff;
	u32 map_file;
	u16 map_flags;
	u64 args[RF_RECORD_FIELDS];
	u64 time;
};

/* may_unmap: it counts as one of mm->callers. */
void call_begins(struct task *task, const struct rf_record *record, bool may_unmap);
void call_defers(struct task *task);
void call_zapped(struct task_call *call);
void call_returned(struct task_call *call);
/* MADV_PAGEOUT begins with this piece of that address space. */
void call_advises(struct task_call *call, u32 mm, u32 piece, u64 start, u64 end);
void call_walked(struct task_call *call, u64 vpn);
void call_reclaimed(struct task_call *call, u64 vpn);	/* never back */
void call_discarded(struct task_call *call, u64 vpn);
/* nr pages of this counter were unmapped; are known. */
void call_unmaps(struct task_call *call, u32 member, u32 nr);
void call_unmap_told(struct task_call *call, u32 member, u32 nr);
void call_moved(struct task_call *call);
void call_flushes(struct task_call *call, u8 extent);
void call_overtaken(struct task_call *call);
void call_maps(struct task_call *call, const struct world_vma *vma);
void call_over(struct task *task);
/* The call of one thread goes on under another's tid: de_thread(). */
void call_moves(struct task *from, struct task *to);

/* The task leaves its address space: nothing of it is counted there any more. */
void task_state_leaves_mm(struct task *task);

/* An RSS change of its address space that no RSS_STAT has told; minus: one has. */
void task_keeps_count(struct task *task, u32 member, s64 pages);

#endif
