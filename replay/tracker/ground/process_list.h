/* SPDX-License-Identifier: MIT */
/* The processes of a trace, which address space belongs to which, and its threads, as the tracker tells them. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_PROCESS_LIST_H
#define REFOLD_REPLAY_TRACKER_GROUND_PROCESS_LIST_H

#include "base/types.h"

struct rf_process {
	u32 pid;		/* 0: whatever belongs to no process that is known */
	char command[17];	/* as the kernel knew it last; "": not known */
	u64 begin;		/* time; tells processes of the same pid apart */
};

struct rf_thread {
	u32 tid;
	char name[17];		/* as in struct rf_process */
};

struct rf_processes {
	struct rf_process *list;	/* [0] has pid 0 */
	u32 nr;
	size_t room;
	u32 *of_mm;		/* by the tracker's number of the address space; what is beyond belongs to [0] */
	size_t nr_mms;
	struct rf_thread *threads;	/* of those that causes name; [0] has tid 0: none is known */
	u32 nr_threads;
	size_t threads_room;
};

/* -ENOMEM or 0. */
int rf_processes_start(struct rf_processes *processes);
void rf_processes_free(struct rf_processes *processes);

/* A new process. Its index, or 0 on lack of memory. */
u32 rf_process_add(struct rf_processes *processes, u32 pid, const char *command, u64 time);
/* A thread, which may have the tid of one that is gone. Its index, or 0 on lack of memory. */
u32 rf_thread_add(struct rf_processes *processes, u32 tid, const char *name);
/* -ENOMEM or 0. */
int rf_process_owns(struct rf_processes *processes, u32 process, u32 mm);
static inline u32 rf_process_of(const struct rf_processes *processes, u32 mm)
{
	return mm < processes->nr_mms ? processes->of_mm[mm] : 0;
}

#endif
