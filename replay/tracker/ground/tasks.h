/* SPDX-License-Identifier: MIT */
/* Threads: what each is known to be in the middle of. And the numbers that rss_stat gives to address spaces. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_TASKS_H
#define REFOLD_REPLAY_TRACKER_GROUND_TASKS_H

#include "replay/tracker/ground/options.h"
#include "replay/tracker/ground/task_state.h"
#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;

/* A folio allocated by a task, not yet seen mapped. */
struct task_alloc {
	u64 pfn;
	u32 order;
};

#define TASK_ALLOCS 16

enum populate_what { POPULATE_ALLOC, POPULATE_RSS, POPULATE_MAP, POPULATE_FILE };

/* What a populating call did, kept until its range is known. */
struct populate_event {
	u8 what;
	u8 member;		/* RSS */
	bool around;		/* RSS: of fault-around, MAP is next */
	u32 file;		/* MAP, FILE */
	s64 delta;		/* RSS */
	u64 index, last;	/* MAP, FILE; ALLOC: pfn, order */
	u64 left_out;		/* MAP: the index of a page of the window that was not mapped, ~0: not known */
};

/* Pages set by GUP, in address order. */
struct task_populate {
	bool active;		/* the range is known */
	bool write;		/* faults as for write where the VMA is private and writable */
	bool readers_zero;	/* holes of anonymous memory get the zero page without an event */
	bool pins;		/* process_vm: writes or reads as asked, and what it reads must be ours (FOLL_PIN) */
	bool fills;		/* userfaultfd: what is empty, and nothing else */
	u32 mm;			/* PROCESS_VM: whose memory, its number + 1; 0: the task's own */
	u32 range;		/* PROCESS_VM: which of the task's gups */
	u64 start, end, at;	/* vpns */
	u64 nr_zero;		/* zero pages set without an event */
	bool file_seen;
	u32 file;
	u64 index;
	u64 alone;		/* the page just mapped alone, of a file's cache; ~0: none */
	bool delta_seen;	/* of file pages, waiting for POPULATE_MAP */
	s64 delta;
	u8 member;
	struct populate_event *queue;
	u32 nr, size;
};

/* An iovec of the process_vm or process_madvise call in progress, or about to begin. */
struct task_gup {
	u64 addr, len;
	u32 pid;
	bool write;
};

/* What the call that is about to begin names by a pointer; call 0: not known. */
struct task_call_data {
	u8 call;		/* the kind of its entry record */
	u32 pid;
	u64 words[4];
};

/* An exec from its entry to its return. */
struct task_exec {
	bool building;		/* between entry and point of no return */
	bool due;		/* behind it, the old mm still in place */
	bool loading;		/* the new mm is in place, its VMAs are coming */
	bool compat;		/* of a 32-bit program */
	bool stack_placed;
	u64 object, object_end;	/* the program or interpreter being mapped, as its first VMA had it */
	u64 segment_end;	/* of its last segment, 0: of the first, which that VMA does not tell */
	struct tracked_mm *mm;	/* the new one while building */
	u64 *pages;		/* argument pages, top down */
	u32 nr, size;
};

/* Anonymous VMAs, as the side band tells them in the call in progress: all of each, merged as the kernel does. */
struct task_told_vmas {
	u32 nr;
	u32 calls;		/* mm->calls then */
	struct {
		u64 start, end;
	} vmas[8];
};

/* Memory that the task has called cold or free, and cannot have used since. */
struct task_advised {
	u64 start, end;		/* end 0: none */
	u64 time;		/* of the last such call's return */
};

/* A folio of mm whose pages come back from a split, which no record announced. */
struct task_remap {
	u32 mm;			/* number */
	u64 next, end;		/* vpns: of these nothing is told yet */
	s64 zeroes;		/* pages counted down before it was known which folio */
};

/* Pages that read(2) brings into the page cache, one after the other: next is 0 if there are none. */
struct task_read {
	u32 file;
	u64 start, next;	/* indices */
};

struct task {
	u32 tid;
	u32 pid;		/* thread group, 0: not known; task_set_pid() */
	struct task *group_next, **group_link;	/* other tasks of pid */
	u32 process;		/* of a leader: its number in the list of processes, 0: none yet */
	u32 thread;		/* likewise of threads, if somebody asks for causes */
	bool dead;
	bool unseen;		/* the kernel's own, in a process's address space: its events are not recorded */
	bool calls_unknown;	/* of a 32-bit program, whose calls were not recorded */
	bool lingers;		/* dead, but mm_release() may still touch mm; not one of mm->users */
	struct tracked_mm *mm;	/* NULL: none, or not known */
	struct task *mm_next, **mm_link;	/* other tasks of mm */
	struct task *running_next, **running_link;	/* others with one */
	u16 stream;		/* where its last record came from */
	u16 cpu;		/* and on which CPU */
	bool flush_due;		/* a COW was applied, its TLB flush is to come */
	bool flush_sent;	/* other CPUs were interrupted for the flush that comes next */
	struct task_alloc allocs[TASK_ALLOCS];
	u32 nr_allocs;
	struct task_fault fault;
	struct task_call call;
	struct rf_told fault_told, call_told;	/* their records, if somebody asks for causes */
	struct task_populate populate;
	struct task_advised advised;
	struct task_told_vmas told_vmas;
	struct task_gup *gups;
	u32 nr_gups, gups_size;
	struct task_call_data data;
	struct task_exec exec;
	struct task_read read;
	struct tracked_mm *child;	/* fork in progress */
	u64 fork_at;		/* number of the record that ends dup_mmap(), 0: not known */
	bool fork_fails;	/* after it */
	u32 exec_from;		/* the thread of the group that is in exec and will take this tid */
	u64 exec_at;		/* number of the first record about the new address space of an exec, 0: not known */
	u64 orphans;		/* faults without a known mm */
	struct task_remap remap;
	s64 batched[RF_RSS_MEMBERS];	/* of what RSS_CHANGE told of its mm, not yet in an RSS_STAT */
	u32 counted_ahead;	/* so many RSS_CHANGE and SET_PTE that follow are in the effect of one before */
	u64 forked_at;		/* when it was born by another word than NEWTASK's, 0: no such word; see hidden.c */
	u64 born_at;		/* by NEWTASK's, 0: not while we watched */
	bool borrows;		/* born into its parent's memory as a process, it has not executed yet */
	bool unmapping;		/* it has unmapped pages of somebody's since it last took one out of the page cache */
	bool collapse_known;
	u32 collapse_mm;
	u64 collapse_vpn, collapse_pfn;
	u32 collapse_swapped;	/* number + 1 of the mm whose swap entries it has filled, 0: none */
};

struct task *task_get(struct rf_tracker *tracker, u32 tid);	/* made if new; NULL: out of memory */
struct task *task_find(struct rf_tracker *tracker, u32 tid);
/* The thread group it belongs to, 0: not known (again). */
void task_set_pid(struct rf_tracker *tracker, struct task *task, u32 pid);
/* The tasks of a thread group by group_next, those that are dead as well; NULL: none. */
struct task *task_group(const struct rf_tracker *tracker, u32 pid);
void tasks_destroy(struct rf_tracker *tracker);
struct tracked_mm *mm_by_id(struct rf_tracker *tracker, u32 mm_id);	/* live ones only */
void mm_bind(struct rf_tracker *tracker, struct tracked_mm *mm, u32 mm_id);
struct tracked_mm *mm_of_process(struct rf_tracker *tracker, u32 pid);
/* What the call in progress names by a pointer, or NULL. */
const struct task_call_data *call_data(const struct task *task);

#endif
