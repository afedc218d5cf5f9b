/* SPDX-License-Identifier: MIT */
/*
 * Walks over many large folios in one state. What a step of a walk costs depends on the entries it meets, on the
 * struct arch_mm of the address space, on the mmu_gather and on the address modulo what a folio maps. So a
 * folio whose entries are those of the one before it, with the pfn of its own, becomes what that one became, and
 * costs what that one has cost: the steps over one are watched, the following ones are written and counted without a
 * step. Whatever differs is done by steps, as ever; they alone know what anything costs.
 *
 * This holds for every policy and for the backends of arch/; not for code that was loaded, and not where somebody
 * listens to each call.
 */
#ifndef REFOLD_ENGINE_REPEAT_H
#define REFOLD_ENGINE_REPEAT_H

#include "engine/tlb.h"

/* Folios of these sizes: no block, no line and no unit of a flush is larger than the least, but for larger blocks. */
#define REPEAT_MIN_ORDER 4
#define REPEAT_MAX_ORDER 7
#define REPEAT_MAX_NR (1u << REPEAT_MAX_ORDER)

/* One counter of the machine, and what a folio adds to it. */
struct repeat_change {
	u64 *counter;
	u64 by;
};

/* All that steps count. */
struct repeat_tally {
	struct arch_counters row;
	struct rf_reader_counters readers[RF_NR_SITES];
	struct rf_run_counters runs[RF_NR_RUNS];
	u64 calls[ARCH_NR_HELPERS][REPEAT_MAX_NR];	/* by size, from 1 on */
	s64 live_blocks;
};

struct repeat {
	struct mm *mm;
	struct mm *child;		/* of a fork, whose entries are written, too; or NULL */
	struct mmu_gather *tlb;		/* or NULL */
	u64 skip;			/* bits of addresses at which no folio begins; all: it is not to be done here */
	enum { REPEAT_NOTHING, REPEAT_WATCHING, REPEAT_KNOWN } state;
	u32 tries;			/* that may still be in vain */
	u32 nr;				/* entries of the folio that is watched, or was */
	u64 addr;
	u64 last_step;			/* but for those that may begin a folio */
	bool ends_alone;		/* its last entry had a step of its own */
	pte_t *ptep, *copy;
	pte_t before[REPEAT_MAX_NR], after[REPEAT_MAX_NR], copied[REPEAT_MAX_NR];
	bool writes;			/* after differs from before */
	struct arch_mm arch, child_arch;
	struct mmu_gather tlb_before;
	struct gather_step step;
	struct repeat_tally tally;
	struct repeat_change changes[64];
	u32 nr_changes;
};

/* A walk over one VMA begins. */
void repeat_begin(struct repeat *repeat, struct mm *mm, struct mm *child, struct mmu_gather *tlb);

/* The step has done more than to entries, counters and the gather. */
static inline void repeat_forget(struct repeat *repeat)
{
	repeat->state = REPEAT_NOTHING;
}

u32 repeat_at(struct repeat *repeat, u64 addr, pte_t *ptep, pte_t *copy, u32 max_nr);

/*
 * Before each step: how many entries from ptep on, of max_nr, are done without one; 0: the step is to be done. copy:
 * where a fork copies to.
 */
static inline u32 repeat_folios(struct repeat *repeat, u64 addr, pte_t *ptep, pte_t *copy, u32 max_nr)
{
	if (addr & repeat->skip) {
		repeat->last_step = addr;
		return 0;
	}
	return repeat_at(repeat, addr, ptep, copy, max_nr);
}

#endif
