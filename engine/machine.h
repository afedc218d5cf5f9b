/* SPDX-License-Identifier: MIT */
/*
 * A machine: one policy, its address spaces, its counters. Machines share
 * nothing, so N policies are N machines fed the same operations, each on any
 * thread. No I/O, no JSON, no trace: operations in, counters out.
 */
#ifndef REFOLD_ENGINE_MACHINE_H
#define REFOLD_ENGINE_MACHINE_H

#include "engine/ops.h"
#include "engine/policy/policy.h"
#include "engine/stats.h"

struct rf_machine;

/* The policy is copied. NULL on lack of memory. */
struct rf_machine *rf_machine_create(const struct rf_policy *policy);
void rf_machine_destroy(struct rf_machine *machine);

/*
 * The operations will be those of a kernel with pages of this size: if they are smaller than the machine's, each is
 * said of its pages first, and what they cannot tell is counted (rf_stats.inexact). Before the first operation.
 * -EINVAL: they are larger, or more than 16 times smaller; -ENOMEM or 0.
 */
int rf_machine_recorded_pages(struct rf_machine *machine, unsigned int page_shift);

/*
 * Execute operations in order. 0, or -ENOMEM. Operations that contradict the machine's state (a fault on a page that
 * is already mapped, an unknown mm) are carried out as far as they make sense and counted as anomalies.
 */
int rf_machine_run(struct rf_machine *machine, const struct rf_op *ops, size_t nr);
/*
 * The same, where each operation has an owner, who gets its account: a number from 1, and one of this address space
 * alone. RF_OWNER_MACHINE gets what the machine does by itself between operations. NULL: the address space itself is
 * the owner, as in rf_machine_run().
 */
#define RF_OWNER_MACHINE 0
int rf_machine_run_for(struct rf_machine *machine, const struct rf_op *ops, const u32 *owners, size_t nr);

/* Where an operation counts; not if it sets up what was found at attach (RF_OP_LOAD). */
enum rf_row rf_op_row(const struct rf_op *op);

/* Count per owner of operations as well, from now on; by_row: apart for each row of the report. -ENOMEM or 0. */
int rf_machine_account(struct rf_machine *machine, bool by_row);

/* What the operations of one owner counted. */
struct rf_account {
	u32 mm;
	u32 owner;			/* mm, but in rf_machine_run_for() */
	u32 row;			/* RF_NR_ROWS: all of them */
	u64 operations;
	u64 anomalies;			/* of all kinds */
	struct arch_counters counters;
};

/*
 * The accounts of all owners who did anything since this was called last; good until operations are run again.
 * Only if they are kept. -ENOMEM or 0.
 */
int rf_machine_take_accounts(struct rf_machine *machine, const struct rf_account **list, u32 *nr);

const struct rf_policy *rf_machine_policy(const struct rf_machine *machine);
const struct rf_stats *rf_machine_stats(const struct rf_machine *machine);

/* What a virtual address maps to: for tests and for the fidelity of the machine itself. pte_none if nothing. */
pte_t rf_machine_lookup(struct rf_machine *machine, u32 mm, u64 addr);

#endif
