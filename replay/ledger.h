/* SPDX-License-Identifier: MIT */
/*
 * What did each process do? The tracker tells which address space belongs to which process, machines count per address
 * space; here the two come together, for a whole trace and for each of its windows.
 */
#ifndef REFOLD_REPLAY_LEDGER_H
#define REFOLD_REPLAY_LEDGER_H

#include "base/table.h"
#include "engine/machine.h"

struct rf_processes;

DEFINE_TABLE(ledger_table, u64, u32);	/* place + 1 */

/* Accounts collected over time: one of each address space, or of each owner and row. */
struct rf_ledger {
	struct rf_account *accounts;	/* by address space; after rf_ledger_sort() by process, and mm is the process */
	u32 nr;
	size_t room;
	struct ledger_table places;	/* until it is sorted */
	bool by_owner;			/* instead of address spaces: owners, and rows of each */
};

void rf_account_add(struct rf_account *sum, const struct rf_account *account);
/* Add to what is there. -ENOMEM or 0. */
int rf_ledger_add(struct rf_ledger *ledger, const struct rf_account *accounts, u32 nr);
void rf_ledger_free(struct rf_ledger *ledger);
/* Add up what belongs to the same process, in the order of processes; nothing can be added afterwards. */
void rf_ledger_sort(struct rf_ledger *ledger, const struct rf_processes *processes);
/* The account of a process in a sorted ledger, NULL: it did nothing. */
const struct rf_account *rf_ledger_find(const struct rf_ledger *ledger, u32 process);

#endif
