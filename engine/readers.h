/* SPDX-License-Identifier: MIT */
/*
 * How engine/ reads entries: through these, never through the backend's
 * ptep_get() and ptep_get_lockless() themselves, so that every read is counted
 * at its place (sites.h) and policies can convert places one by one.
 */
#ifndef REFOLD_ENGINE_READERS_H
#define REFOLD_ENGINE_READERS_H

#include "engine/mm.h"

/* Reads that no wrapper below made, for the site alone: the caller has counted them where the operation counts. */
static inline void count_reads(struct mm *mm, enum rf_site site, u64 calls, u64 loads, u64 lines)
{
	struct rf_reader_counters *reader = &mm->machine->stats.readers[site];

	reader->calls += calls;
	reader->loads += loads;
	reader->lines += lines;
}

/* The call met a contiguous block. */
static inline void count_block(struct mm *mm, enum rf_site site)
{
	mm->machine->stats.readers[site].blocks++;
}

/* readers.c: an entry of a contiguous block. */
pte_t read_block(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site);
pte_t read_block_lockless(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site);

/* An entry that is in no contiguous block: one load in every backend, so that it takes no call. */
static inline pte_t read_plain_entry(struct mm *mm, const pte_t *ptep, enum rf_site site)
{
	mm->arch.counters->pte_loads++;
	mm->arch.counters->pte_lines++;
	count_reads(mm, site, 1, 1, 1);
	return *ptep;
}

/* ptep_get() */
static inline pte_t read_pte(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site)
{
	if (pte_cont(*ptep))
		return read_block(mm, addr, ptep, site);
	mm->arch.counters->ptep_get++;
	return read_plain_entry(mm, ptep, site);
}

/* ptep_get_lockless() */
static inline pte_t read_pte_lockless(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site)
{
	if (pte_cont(*ptep))
		return read_block_lockless(mm, addr, ptep, site);
	mm->arch.counters->ptep_get_lockless++;
	return read_plain_entry(mm, ptep, site);
}

/* gup_fast_pte_range() once the page is pinned: by ptep_get() until GUP, too, was made to use the lockless getter. */
static inline pte_t read_pte_gup_recheck(struct mm *mm, u64 addr, pte_t *ptep)
{
	if (mm_knobs(mm)->gup_recheck_lockless)
		return read_pte_lockless(mm, addr, ptep, RF_SITE_gup_fast_recheck);
	return read_pte(mm, addr, ptep, RF_SITE_gup_fast_recheck);
}

/* nr entries that are none: one load each in every backend, so runs of them are counted without a call each. */
static inline void read_none_ptes(struct mm *mm, u32 nr, enum rf_site site)
{
	mm->arch.counters->ptep_get += nr;
	mm->arch.counters->pte_loads += nr;
	mm->arch.counters->pte_lines += nr;
	count_reads(mm, site, nr, nr, nr);
}

#endif
