/* SPDX-License-Identifier: MIT */
/*
 * What did each process do? The tracker tells which address space belongs to which process, machines count per address
 * space; here the two come together, for a whole trace and for each of its windows.
 */
#ifndef REFOLD_REPLAY_LEDGER_H
#define REFOLD_REPLAY_LEDGER_H

#include "engine/machine.h"

struct rf_processes;

/* Accounts collected over time. */
struct rf_ledger {
	struct rf_account *accounts;	/* by address space; after rf_ledger_sort() by process, and mm is the process */
	u32 nr, max;
	bool by_owner;			/* instead of address spaces: owners, and rows of each */
};

void rf_account_add(struct rf_account *sum, const struct rf_account *account);
/* Append; what is there of the same may be added up. -ENOMEM or 0. */
int rf_ledger_add(struct rf_ledger *ledger, const struct rf_account *accounts, u32 nr);
/* Add up what belongs to the same owner and row, in their order. */
void rf_ledger_sum(struct rf_ledger *ledger);
/* Add up what belongs to the same process, in the order of processes. */
void rf_ledger_sort(struct rf_ledger *ledger, const struct rf_processes *processes);
/* The account of a process in a sorted ledger, NULL: it did nothing. */
const struct rf_account *rf_ledger_find(const struct rf_ledger *ledger, u32 process);

#endif
