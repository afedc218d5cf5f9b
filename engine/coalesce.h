/* SPDX-License-Identifier: MIT */
/*
 * Hardware that keeps aligned neighbours as one TLB entry without a bit in the table (knob coalesce): how many pages it
 * could keep so. It costs no entry, no flush and no fold, so nothing else that is counted changes. kernel-model.md 9.3.
 */
#ifndef REFOLD_ENGINE_COALESCE_H
#define REFOLD_ENGINE_COALESCE_H

#include "engine/mm.h"

/* Pages that valid entries map, and those of them in groups that the hardware could take as one. */
struct covered {
	s64 valid, coalesced;
};

/* NULL: no memory. */
struct coalescing *coalescing_create(const struct rf_policy *policy);
/* The policy's backend, watched. */
const struct arch_ops *coalescing_ops(const struct coalescing *coalescing);
struct covered coalescing_now(const struct coalescing *coalescing);
/* What is covered now is so from this time on, in nanoseconds; before, what was covered then. */
void coalescing_account(struct rf_machine *machine, u64 time);

/* A write of the hardware's own. */
void coalescing_write(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte);

#endif
