// SPDX-License-Identifier: MIT
/*
 * Reads of folded blocks: what the backend's getters load is the site's. Sites that do without the A and D of the block
 * have the ptep_get_norecency() of the norecency RFC, or its lockless twin: one load, A and D as this entry has them.
 */
#include "engine/readers.h"

static bool reads_one_entry(const struct mm *mm, enum rf_site site)
{
	return mm->machine->norecency_sites & BIT_ULL(site);
}

static pte_t read_one_entry(struct mm *mm, const pte_t *ptep)
{
	mm->arch.counters->pte_loads++;
	mm->arch.counters->pte_lines++;
	return *ptep;
}

pte_t read_block(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site)
{
	struct arch_counters *counters = mm->arch.counters;
	u64 loads = counters->pte_loads, lines = counters->pte_lines;
	pte_t pte;

	if (reads_one_entry(mm, site)) {
		counters->ptep_get++;
		pte = read_one_entry(mm, ptep);
	} else {
		pte = mm->arch.ops->ptep_get(&mm->arch, addr, ptep);
	}
	count_reads(mm, site, 1, counters->pte_loads - loads, counters->pte_lines - lines);
	count_block(mm, site);
	return pte;
}

pte_t read_block_lockless(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site)
{
	struct arch_counters *counters = mm->arch.counters;
	u64 loads = counters->pte_loads, lines = counters->pte_lines;
	pte_t pte;

	if (reads_one_entry(mm, site)) {
		counters->ptep_get_lockless++;
		pte = read_one_entry(mm, ptep);
	} else {
		pte = mm->arch.ops->ptep_get_lockless(&mm->arch, addr, ptep);
	}
	count_reads(mm, site, 1, counters->pte_loads - loads, counters->pte_lines - lines);
	count_block(mm, site);
	return pte;
}
