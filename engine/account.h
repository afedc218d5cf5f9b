/* SPDX-License-Identifier: MIT */
/* Counting per owner of operations (account.c), while machine->accounts is there. */
#ifndef REFOLD_ENGINE_ACCOUNT_H
#define REFOLD_ENGINE_ACCOUNT_H

#include "engine/machine.h"
#include "engine/mm.h"

/* Whose it is what the machine does to mm by itself. */
static inline u32 account_own(const struct rf_machine *machine, u32 mm)
{
	return machine->owned ? RF_OWNER_MACHINE : mm;
}

void accounts_destroy(struct accounts *accounts);
/* An operation of machine->owner on mm begins, and will be counted in row. -ENOMEM or 0. */
int account_op(struct rf_machine *machine, u32 mm, enum rf_row row);
/* The operation goes on in this row. */
void account_row(struct rf_machine *machine, enum rf_row row);

#endif
