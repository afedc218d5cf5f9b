/* SPDX-License-Identifier: MIT */
/* What machine.c and calls.c share. */
#ifndef REFOLD_REPLAY_PTE_CALLS_H
#define REFOLD_REPLAY_PTE_CALLS_H

#include <errno.h>

#include "replay/pte/machine.h"

struct pte_folio {
	u64 pfn;
	unsigned int order;
};

struct pte_machine {
	struct arch_flush_observer observer;	/* first: the observer is the machine */
	struct rf_policy policy;
	struct arch_knobs single_knobs;		/* the policy on a CPU without range TLBI */
	struct arch_mm mms[SCRIPT_NR_MMS];
	struct arch_mm ranged, single;		/* recount each flush call for T and Tn */
	struct arch_counters counters, ranged_counters, single_counters;
	struct arch_batches batches;
	s64 live;
	pte_t *tables[SCRIPT_NR_MMS];
	u64 window_start, window_pages;
	bool window_used;
	enum script_mm selected;
	struct pte_folio *folios;
	size_t nr_folios;
	struct pte_flush flushes[PTE_MAX_FLUSHES];
	size_t nr_flushes, dropped_flushes;
};

/* A line and where it is, for the functions below. */
struct pte_step {
	struct pte_machine *machine;
	const struct script_line *line;
	unsigned int line_number;
	struct arch_mm *mm;
	u64 addr;
	unsigned int nr;
	pte_t *ptep;
	struct pte_outcome *outcome;
	struct rf_error *err;
};

static inline u64 page_size(const struct pte_machine *machine)
{
	return 1ull << machine->policy.geometry.page_shift;
}

static inline u64 table_entries(const struct pte_machine *machine)
{
	return 1ull << machine->policy.geometry.table_shift;
}

#define fail(step, ...) rf_error_set((step)->err, -EINVAL, (step)->line_number, __VA_ARGS__)

/* machine.c: the entry of an address and nr entries after it, in one page table of the window; NULL after fail(). */
pte_t *pte_entries(struct pte_step *step, enum script_mm mm, u64 addr, u64 nr);
/* calls.c: one operation. */
int pte_run_operation(struct pte_step *step);

#endif
