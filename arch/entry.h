/* SPDX-License-Identifier: MIT */
/*
 * What all backends do to entries and counters in the same way. Private to
 * arch/: the engine sees only arch.h.
 */
#ifndef REFOLD_ARCH_ENTRY_H
#define REFOLD_ARCH_ENTRY_H

#include <string.h>

#include "arch/arch.h"

/* For .assumptions of backends that count an IPI where other CPUs run the mm. */
#define ARCH_OTHER_CPUS_TEXT \
	"a CPU runs the thread its last record came from, even if it sleeps since: there may be fewer IPIs"

/* 64-byte lines of 8 entries between two virtual addresses, both ends included. Tables are page aligned. */
static inline u64 arch_lines(const struct arch_mm *mm, u64 first, u64 last)
{
	unsigned int shift = mm->geometry->page_shift + 3;

	return (last >> shift) - (first >> shift) + 1;
}

static inline u64 arch_last_addr(const struct arch_mm *mm, u64 addr, unsigned int nr)
{
	return addr + ((u64)(nr - 1) << mm->geometry->page_shift);
}

static inline void arch_count_batch(struct arch_mm *mm, enum arch_helper helper, unsigned int nr)
{
	mm->batches->calls[helper][nr < ARCH_BATCH_MAX ? nr : ARCH_BATCH_MAX]++;
}

static inline void arch_write_ptes(pte_t *ptep, pte_t pte, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		ptep[i].val = pte.val + ((u64)i << PTE_PFN_SHIFT);
}

/* Last-level flush of nr pages, as the PTE helpers issue it. */
static inline void arch_flush_ptes(struct arch_mm *mm, u64 addr, unsigned int nr, enum arch_flush_mode mode)
{
	const struct arch_flush flush = {
		.start = addr,
		.end = addr + ((u64)nr << mm->geometry->page_shift),
		.stride = 1ull << mm->geometry->page_shift,
		.last_level = true,
		.level = FLUSH_LEVEL_PTE,
		.mode = mode,
	};

	mm->ops->flush_tlb_range(mm, &flush);
}

/* What the entries know of accesses, beside what pte knows. No branch: compilers do several entries at once. */
static inline pte_t arch_merge_access_dirty(pte_t pte, const pte_t *ptep, unsigned int nr)
{
	u64 any = 0, hw_dirty = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		any |= ptep[i].val;
		/* pte_hw_dirty() */
		hw_dirty |= ptep[i].val & (~ptep[i].val & PTE_RDONLY) / (PTE_RDONLY / PTE_WRITE);
	}
	if (any & PTE_DIRTY || hw_dirty)
		pte = pte_mkdirty(pte);
	return any & PTE_AF ? pte_mkyoung(pte) : pte;
}

/* xchg to none of nr entries: the first one, with A/D of all. */
static inline pte_t arch_take_ptes(pte_t *ptep, unsigned int nr)
{
	pte_t pte = arch_merge_access_dirty(ptep[0], ptep + 1, nr - 1);

	memset(ptep, 0, nr * sizeof(*ptep));
	return pte;
}

#endif
