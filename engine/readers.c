// SPDX-License-Identifier: MIT
/* Reads of folded blocks: what the backend's getters count is the site's. */
#include "engine/readers.h"

pte_t read_block(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site)
{
	const struct arch_counters *counters = mm->arch.counters;
	u64 loads = counters->pte_loads, lines = counters->pte_lines;
	pte_t pte = mm->arch.ops->ptep_get(&mm->arch, addr, ptep);

	count_reads(mm, site, 1, counters->pte_loads - loads, counters->pte_lines - lines);
	return pte;
}

pte_t read_block_lockless(struct mm *mm, u64 addr, pte_t *ptep, enum rf_site site)
{
	const struct arch_counters *counters = mm->arch.counters;
	u64 loads = counters->pte_loads, lines = counters->pte_lines;
	pte_t pte = mm->arch.ops->ptep_get_lockless(&mm->arch, addr, ptep);

	count_reads(mm, site, 1, counters->pte_loads - loads, counters->pte_lines - lines);
	return pte;
}
