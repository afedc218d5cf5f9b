/* SPDX-License-Identifier: MIT */
/*
 * The oracle of the property test: page tables without blocks, one entry at a
 * time, written to be obvious. It knows what helpers mean, not what they cost.
 */
#ifndef TESTS_UNIT_ARCH_REFERENCE_H
#define TESTS_UNIT_ARCH_REFERENCE_H

#include "arch/arch.h"

#define REFERENCE_ENTRIES 512

struct reference {
	pte_t entries[REFERENCE_ENTRIES];	/* never CONT */
	/* Upper bounds for A/D, by entry: could any page of its folio have had the bit since it was mapped? */
	bool ever_young[REFERENCE_ENTRIES], ever_dirty[REFERENCE_ENTRIES];
};

/* What a program, or core mm, can see of an entry but for A/D: I11. */
static inline u64 reference_map(pte_t pte)
{
	u64 bits = pte.val & (PTE_PFN_MASK | PTE_WRITE | PTE_SPECIAL | PTE_UFFD | PTE_PROTNONE | PTE_EXEC | PTE_SWAP);

	return bits | (pte.val & PTE_PROTNONE ? 0 : pte.val & PTE_VALID);
}

/* A and D of one page reach all pages of its folio that are mapped next to it, because blocks share them. */
static inline void reference_note(struct reference *r)
{
	unsigned int i, j, end;
	bool young, dirty;

	for (i = 0; i < REFERENCE_ENTRIES; i = end) {
		young = dirty = false;
		for (end = i; end < REFERENCE_ENTRIES; end++) {
			if (!pte_present(r->entries[end]) ||
			    pte_folio_pfn(r->entries[end]) != pte_folio_pfn(r->entries[i]))
				break;
			young |= pte_young(r->entries[end]) || r->ever_young[end];
			dirty |= pte_dirty(r->entries[end]) || r->ever_dirty[end];
		}
		for (j = i; j < end; j++) {
			r->ever_young[j] = young;
			r->ever_dirty[j] = dirty;
		}
		if (end == i) {
			r->ever_young[i] = r->ever_dirty[i] = false;
			end++;
		}
	}
}

static inline void reference_set(struct reference *r, unsigned int index, pte_t pte, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		r->entries[index + i] = (pte_t){ pte_advance_pfn(pte, i).val & ~PTE_CONT };
		r->ever_young[index + i] = r->ever_dirty[index + i] = false;
	}
}

static inline void reference_clear(struct reference *r, unsigned int index, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		r->entries[index + i].val = 0;
		r->ever_young[index + i] = r->ever_dirty[index + i] = false;
	}
}

static inline void reference_wrprotect(struct reference *r, unsigned int index, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		r->entries[index + i] = pte_wrprotect(r->entries[index + i]);
}

static inline void reference_access(struct reference *r, unsigned int index, bool young, bool dirty, bool write)
{
	pte_t *pte = &r->entries[index];

	if (young)
		*pte = pte_mkyoung(*pte);
	if (dirty)
		*pte = pte_mkdirty(*pte);
	if (write)
		*pte = pte_mkwrite(*pte);
}

static inline void reference_clear_bits(struct reference *r, unsigned int index, unsigned int nr, bool young,
					bool dirty)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (young)
			r->entries[index + i] = pte_mkold(r->entries[index + i]);
		if (dirty)
			r->entries[index + i] = pte_mkclean(r->entries[index + i]);
	}
}

static inline void reference_mprotect(struct reference *r, unsigned int index, unsigned int nr, bool write, bool none)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		r->entries[index + i] = pte_modify(r->entries[index + i], write, false, none);
}

#endif
