/* SPDX-License-Identifier: MIT */
/*
 * What refold pte runs its scripts on: a few small page tables under one
 * policy, on which helpers are called directly, without core mm.
 */
#ifndef REFOLD_REPLAY_PTE_MACHINE_H
#define REFOLD_REPLAY_PTE_MACHINE_H

#include "engine/policy/policy.h"
#include "replay/pte/script.h"

#define PTE_MAX_FLUSHES 4096

/* A flush call of the operation that just ran. */
struct pte_flush {
	bool mm;		/* flush_tlb_mm(): start and pages mean nothing */
	enum arch_flush_mode mode;
	u64 start, pages;
};

enum pte_result_kind { PTE_RESULT_VOID, PTE_RESULT_NUMBER, PTE_RESULT_PTE };

/* What one operation did. */
struct pte_outcome {
	struct arch_counters counters;
	s64 tlbi_single;		/* TLBIs of the same flushes on a CPU without range TLBI */
	s64 live;
	u64 mixed;			/* blocks with CONT on some of their valid entries only */
	const struct pte_flush *flushes;
	size_t nr_flushes, dropped_flushes;
	enum pte_result_kind result;
	u64 number;
	pte_t pte;
	const pte_t *dump;		/* DUMP: nr_dump entries */
	size_t nr_dump;
};

struct pte_machine;

struct pte_machine *pte_machine_create(const struct rf_policy *policy);
void pte_machine_destroy(struct pte_machine *machine);
/* Carry out a line. Operations fill *outcome, valid until the next call. -EINVAL: it breaks the helper's contract. */
int pte_machine_run(struct pte_machine *machine, const struct script_line *line, unsigned int line_number,
		    struct pte_outcome *outcome, struct rf_error *err);
const struct rf_policy *pte_machine_policy(const struct pte_machine *machine);

#endif
