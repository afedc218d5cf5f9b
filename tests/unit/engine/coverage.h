/* SPDX-License-Identifier: MIT */
/*
 * What hardware could coalesce, counted the plain way: all tables of a machine, entry by entry, property by property.
 * The machine keeps the same two numbers up to date as it writes (engine/coalesce.c).
 */
#ifndef REFOLD_TESTS_COVERAGE_H
#define REFOLD_TESTS_COVERAGE_H

#include "engine/coalesce.h"
#include "engine/pgtable.h"
#include "machine_script.h"

/* Could a TLB have one entry for both pages, if they are so many apart in both memories? */
static inline bool are_alike(pte_t a, pte_t b, u64 apart)
{
	return pte_valid(a) && pte_valid(b) && pte_pfn(b) - pte_pfn(a) == apart && pte_write(a) == pte_write(b) &&
	       !(a.val & PTE_RDONLY) == !(b.val & PTE_RDONLY) && !(a.val & PTE_EXEC) == !(b.val & PTE_EXEC) &&
	       !(a.val & PTE_PROTNONE) == !(b.val & PTE_PROTNONE) && pte_young(a) == pte_young(b) &&
	       pte_dirty(a) == pte_dirty(b);
}

/* Each page asks for itself: are all pages of its group like it, and is the group where it is in physical memory? */
static inline bool is_coalesced(const struct mm *mm, u64 addr, u32 group)
{
	u64 size = group * page_size(mm), start = ALIGN_DOWN(addr, size), at;
	pte_t pte = pte_peek(mm, addr);

	if (pte_pfn(pte) % group != addr / page_size(mm) % group)
		return false;
	for (at = start; at < start + size; at += page_size(mm))
		if (!are_alike(pte, pte_peek(mm, at), at / page_size(mm) - addr / page_size(mm)))
			return false;
	return pte_valid(pte);
}

static inline struct covered plain_coverage(struct rf_machine *machine)
{
	const struct arch_geometry *geometry = &machine->policy.geometry;
	u64 end = 1ull << (geometry->page_shift + geometry->levels * geometry->table_shift), addr, next, at;
	u32 group = 2u << machine->policy.mm.coalesce, i;
	struct covered covered = { 0 };
	pmd_t *pmd;

	for (i = 0; i < machine->max_mms; i++) {
		struct mm *mm = machine_mm(machine, i);

		for (addr = 0; mm && (pmd = pmd_next(mm, &addr, end)); addr = next) {
			next = ALIGN_DOWN(addr, pmd_size(mm)) + pmd_size(mm);
			for (at = next - pmd_size(mm); !pmd_leaf(*pmd) && at < next; at += page_size(mm)) {
				covered.valid += pte_valid(pte_peek(mm, at));
				covered.coalesced += is_coalesced(mm, at, group);
			}
		}
	}
	return covered;
}

static inline void check_coverage(struct rf_machine *machine)
{
	struct covered plain, kept;

	if (!machine->coalescing)
		return;
	plain = plain_coverage(machine);
	kept = coalescing_now(machine->coalescing);
	assert_int_equal(kept.valid, plain.valid);
	assert_int_equal(kept.coalesced, plain.coalesced);
}

#endif
