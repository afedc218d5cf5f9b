/* SPDX-License-Identifier: MIT */
/*
 * Whose address space is it? The tracker tells processes and which address space belongs to which; machines count per
 * address space; here the two come together, for a whole trace and for each of its windows.
 */
#ifndef REFOLD_REPLAY_PROCESSES_H
#define REFOLD_REPLAY_PROCESSES_H

#include "engine/machine.h"

struct rf_process {
	u32 pid;		/* 0: whatever belongs to no process that is known */
	char command[17];	/* as the kernel knew it last; "": not known */
	u64 begin;		/* time; tells processes of the same pid apart */
};

struct rf_processes {
	struct rf_process *list;	/* [0] has pid 0 */
	u32 nr;
	size_t room;
	u32 *of_mm;		/* by the tracker's number of the address space; what is beyond belongs to [0] */
	size_t nr_mms;
};

/* -ENOMEM or 0. */
int rf_processes_start(struct rf_processes *processes);
void rf_processes_free(struct rf_processes *processes);

/* A new process. Its index, or 0 on lack of memory. */
u32 rf_process_add(struct rf_processes *processes, u32 pid, const char *command, u64 time);
/* -ENOMEM or 0. */
int rf_process_owns(struct rf_processes *processes, u32 process, u32 mm);
static inline u32 rf_process_of(const struct rf_processes *processes, u32 mm)
{
	return mm < processes->nr_mms ? processes->of_mm[mm] : 0;
}

/* Accounts collected over time. */
struct rf_ledger {
	struct rf_account *accounts;	/* by address space; after rf_ledger_sort() by process, and mm is the process */
	u32 nr, max;
};

/* Append. -ENOMEM or 0. */
int rf_ledger_add(struct rf_ledger *ledger, const struct rf_account *accounts, u32 nr);
/* Add up what belongs to the same process, in the order of processes. */
void rf_ledger_sort(struct rf_ledger *ledger, const struct rf_processes *processes);
/* The account of a process in a sorted ledger, NULL: it did nothing. */
const struct rf_account *rf_ledger_find(const struct rf_ledger *ledger, u32 process);

#endif
