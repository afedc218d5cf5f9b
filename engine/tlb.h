/* SPDX-License-Identifier: MIT */
/* mmu_gather (mmu_gather.c), and flushes without one (tlb.c). */
#ifndef REFOLD_ENGINE_TLB_H
#define REFOLD_ENGINE_TLB_H

#include "engine/vma.h"

struct mmu_gather {
	struct mm *mm;
	u64 start, end;
	bool fullmm, freed_tables, delayed_rmap;
	bool cleared_ptes, cleared_pmds, cleared_puds, cleared_p4ds;
	bool unshared_tables, fully_unshared_tables;	/* of hugetlb; fully: one has a single owner now */
	u32 active;			/* the batch being filled; 0: the bundle on the stack */
	u32 nr;				/* slots used in it */
	u32 batch_count;		/* pages allocated */
	u32 nr_tables;			/* in the table batch */
	u32 nr_sets;			/* knob gather_sets: ranges of entries, in struct rf_machine; 0: not told */
};

/* What the steps over a folio did to a gather. */
struct gather_step {
	u32 slots;			/* for its pages */
	bool noted;			/* entries, */
	u64 end;			/* the last of which ends so far from the beginning of the folio */
	bool delayed_rmap, appended;	/* of the gather then */
};

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm);
void tlb_gather_mmu_fullmm(struct mmu_gather *tlb, struct mm *mm);
void tlb_finish_mmu(struct mmu_gather *tlb);
void tlb_flush_mmu_tlbonly(struct mmu_gather *tlb);
void tlb_flush_mmu(struct mmu_gather *tlb);
void tlb_end_vma(struct mmu_gather *tlb, const struct vm_area *vma);
void tlb_flush_pte_range(struct mmu_gather *tlb, u64 addr, u64 size);
void tlb_flush_pmd_range(struct mmu_gather *tlb, u64 addr, u64 size);
void tlb_flush_pud_range(struct mmu_gather *tlb, u64 addr, u64 size);
/* A PMD table of hugetlb, which others have as well, is not of this address space any more. */
void tlb_unshare_pmd(struct mmu_gather *tlb, u64 addr, u64 size);
/* A table at this level goes: 1 holds entries, 2 PMDs... */
void tlb_remove_table(struct mmu_gather *tlb, u64 addr, unsigned int level);
/* Queue a run of one folio; true: full, flush. */
bool tlb_remove_folio_pages(struct mmu_gather *tlb, u32 nr);
/* v3: how many pages fit for certain. */
u32 tlb_get_guaranteed_space(struct mmu_gather *tlb);
/* v4 */
u32 tlb_reserve_space(struct mmu_gather *tlb, u32 nr);

/* ---- steps over folios that are alike (repeat.h) ------------------------------------- */

/* Is there room for nr pages, or are none ever queued? */
bool tlb_has_room(const struct mmu_gather *tlb, u32 nr);
/* The steps over a folio at addr; false: they did more than to note entries and to queue pages where there was room. */
bool tlb_step_between(const struct mmu_gather *before, const struct mmu_gather *after, u64 addr,
		      struct gather_step *step);
/* How often the same steps do no more than that. */
u32 tlb_steps_fit(const struct mmu_gather *tlb, const struct gather_step *step);
/* As many folios as that from addr on. */
void tlb_step_again(struct mmu_gather *tlb, const struct gather_step *step, u64 addr, u64 size, u32 folios);

/* ---- without a gather (tlb.c) ------------------------------------------------------ */

void flush_tlb_range(struct mm *mm, u64 start, u64 end);
/* Last-level entries, as PTE helpers flush them. */
void flush_tlb_ptes(struct mm *mm, u64 start, u64 end, enum arch_flush_mode mode);
void flush_pmd_tlb_range(struct mm *mm, u64 start, u64 end);

static inline void flush_tlb_batched_pending(struct mm *mm)
{
	if (mm->arch.tlbbatch_pending)
		mm->arch.ops->flush_tlb_batched_pending(&mm->arch);
}

#endif
