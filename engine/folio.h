/* SPDX-License-Identifier: MIT */
/* Runs of entries that map one folio (folio.c). */
#ifndef REFOLD_ENGINE_FOLIO_H
#define REFOLD_ENGINE_FOLIO_H

#include "engine/mm.h"

/* folio_pte_batch()'s flags, by what makes a run end. */
#define FPB_RESPECT_DIRTY BIT(0)
#define FPB_RESPECT_WRITE BIT(1)
/* The caller does not use what was seen of A and D. */
#define FPB_NORECENCY BIT(2)

/* What folio_pte_batch() saw in the run beyond its first entry. */
struct pte_batch {
	bool any_writable, any_young, any_dirty;
};

/* Entries from ptep that map consecutive pages of one folio alike; pte is the value read from ptep. At least 1. */
u32 folio_pte_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr, unsigned int flags,
		    struct pte_batch *seen);
/* The knob lets core mm take nr entries at once here; compared: it had to look at others to know. */
static inline u32 count_run(struct mm *mm, enum rf_run run, u32 nr, bool compared)
{
	struct rf_run_counters *counters = &mm->machine->stats.runs[run];

	counters->looked++;
	counters->compared += compared;
	counters->several += nr > 1;
	return nr;
}

u32 swap_pte_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr);
/* Entries from ptep that are none, at most max_nr; read with ptep_get, as the walks over a table do. */
u32 skip_none_ptes(struct mm *mm, const pte_t *ptep, u32 max_nr, enum rf_site site);
/* set_pte_at() */
void set_pte_at(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte);

/*
 * PageAnonExclusive belongs to pages but lives in entries here, so writing a run from its first entry must not spread
 * it. Saved before, restored after.
 */
struct exclusive_run {
	bool mixed;
	u64 bits[MAX_PTRS_PER_PTE / 64];	/* of each entry, if mixed; not set otherwise */
};

void exclusive_save(struct exclusive_run *run, const pte_t *ptep, u32 nr);
void exclusive_restore(const struct exclusive_run *run, pte_t *ptep, u32 nr);

#endif
