// SPDX-License-Identifier: MIT
/*
 * MADV_FREE, MADV_COLD and the advice part of MADV_PAGEOUT: mm/madvise.c;
 * kernel-model.md 4.8. Since 6.10 large folios that lie in the range whole are
 * changed in place; before, and where they lie in it in part, they are split.
 */
#include "engine/coalesce.h"
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/tlb.h"

enum advice { ADVICE_FREE, ADVICE_COLD, ADVICE_PAGEOUT };

struct advise_state {
	struct mmu_gather tlb;
	const struct vm_area *vma;
	enum advice advice;
	u64 unused, unused_end;		/* nobody can have used what lies here */
};

/*
 * Hardware sets A and D without anybody being told. That a page is advised again is taken to mean that it was used in
 * between, and written to if it could be, unless there was no time for it: allocators do not free twice what nobody
 * touched. No access of the kernel's, so nothing is counted.
 */
static bool may_be_used(pte_t pte)
{
	/* A block of PROT_NONE may be valid, and still nobody can use it (kernel-model.md C4). */
	return (pte.val & PTE_ANON) && pte_valid(pte) && !(pte.val & PTE_PROTNONE) && !pte_young(pte);
}

static bool had_time(const struct advise_state *state, u64 addr)
{
	return addr < state->unused || addr + page_size(state->tlb.mm) > state->unused_end;
}

static pte_t mkused(pte_t pte)
{
	return pte_mkyoung(pte_write(pte) ? pte_mkdirty(pte) : pte);
}

static void assume_used(const struct advise_state *state, u64 addr, pte_t *ptep, u64 max_nr)
{
	u64 size = 1ull << pte_folio_order(*ptep), pfn = pte_pfn(*ptep), page = page_size(state->tlb.mm), nr, i;

	if (!may_be_used(*ptep))
		return;
	nr = min_u64(size - (pfn & (size - 1)), max_nr);
	for (i = 0; i < nr && pte_valid(ptep[i]) && !pte_young(ptep[i]) && pte_pfn(ptep[i]) == pfn + i; i++)
		if (had_time(state, addr + i * page))
			coalescing_write(state->tlb.mm, addr + i * page, &ptep[i], mkused(ptep[i]));
}

/* madvise_cold_or_pageout_pte_range(): until 6.8 also for MADV_PAGEOUT. */
static bool ages(const struct advise_state *state)
{
	return state->advice == ADVICE_COLD ||
	       (state->advice == ADVICE_PAGEOUT && !mm_knobs(state->tlb.mm)->pageout_ignores_young);
}

static bool advice_changes(const struct advise_state *state, pte_t pte)
{
	if (state->advice == ADVICE_FREE)
		return pte_young(pte) || pte_dirty(pte);
	return ages(state) && pte_young(pte);
}

/* clear_young_dirty_ptes(), or what it replaced. */
static void clear_young_dirty(struct advise_state *state, u64 addr, pte_t *ptep, u32 nr)
{
	struct mm *mm = state->tlb.mm;
	const struct arch_ops *ops = mm->arch.ops;
	bool dirty = state->advice == ADVICE_FREE;

	if (mm_knobs(mm)->madv_clear_young_dirty) {
		ops->clear_young_dirty_ptes(&mm->arch, addr, ptep, nr, true, dirty);
	} else {
		pte_t pte = pte_mkold(ops->get_and_clear_full_ptes(&mm->arch, addr, ptep, 1, false));

		set_pte_at(mm, addr, ptep, dirty ? pte_mkclean(pte) : pte);
	}
	tlb_flush_pte_range(&state->tlb, addr, (u64)nr << mm->arch.geometry->page_shift);
}

/* A large folio: 0 after a split (look again), else how many entries to step over; *change: act on them. */
static u32 advise_large(struct advise_state *state, u64 addr, pte_t *ptep, pte_t *pte, u32 max_nr, bool *change)
{
	struct mm *mm = state->tlb.mm;
	u32 pages = 1u << pte_folio_order(*pte), nr = 1;
	struct pte_batch seen = { 0 };

	*change = false;
	if (mm_knobs(mm)->madv_clear_young_dirty) {
		nr = folio_pte_batch(mm, addr, ptep, *pte, max_nr, 0, &seen);
		if (nr == pages) {
			if (seen.any_young)
				*pte = pte_mkyoung(*pte);
			if (seen.any_dirty)
				*pte = pte_mkdirty(*pte);
			*change = true;
			return nr;
		}
	}
	/*
	 * folio_likely_mapped_shared(): of others' mappings only PageAnonExclusive is known. MADV_PAGEOUT comes before
	 * what it does, so where the recorded kernel split the folio, its migration entries follow. Kernels that age
	 * there do it page by page, after the split; with a helper that clears blocks, which none of them has, not.
	 */
	if (state->advice == ADVICE_PAGEOUT)
		*change = ages(state) && pte->val & PTE_EXCLUSIVE && !mm_knobs(mm)->madv_clear_young_dirty;
	if (!(pte->val & PTE_EXCLUSIVE) || state->advice == ADVICE_PAGEOUT)
		return nr;
	split_folio_ptes(mm, state->vma, addr, ptep, 0);
	flush_tlb_batched_pending(mm);		/* pte_offset_map_lock() again */
	return 0;
}

static void advise_pte_range(struct advise_state *state, pmd_t *pmd, u64 addr, u64 end)
{
	struct mm *mm = state->tlb.mm;
	unsigned int shift = mm->arch.geometry->page_shift;
	pte_t *ptep = pte_offset(mm, pmd, addr);
	u32 nr;

	flush_tlb_batched_pending(mm);
	for (; addr < end; ptep += nr, addr += (u64)nr << shift) {
		u32 max_nr = (end - addr) >> shift, i;
		bool change = true;
		pte_t pte;

		nr = skip_none_ptes(mm, ptep, max_nr, RF_SITE_madvise);
		if (nr)
			continue;
		nr = 1;
		if (state->advice == ADVICE_FREE || ages(state))
			assume_used(state, addr, ptep, max_nr);
		pte = read_pte(mm, addr, ptep, RF_SITE_madvise);
		if (!pte_present(pte)) {
			if (state->advice != ADVICE_FREE || is_migration_entry(pte) || is_guard_marker(pte))
				continue;
			if (mm_knobs(mm)->batch_swap)
				nr = count_run(mm, RF_RUN_batch_swap, swap_pte_batch(mm, addr, ptep, pte, max_nr),
					       true);
			for (i = 0; i < nr; i++)
				mm->arch.ops->pte_clear(&mm->arch, addr + ((u64)i << shift), ptep + i);
			continue;
		}
		if (pte_special(pte))
			continue;
		if (pte_folio_order(pte))
			nr = advise_large(state, addr, ptep, &pte, max_nr, &change);
		if (nr && change && advice_changes(state, pte))
			clear_young_dirty(state, addr, ptep, nr);
	}
}

/* madvise_free_huge_pmd(), and the huge part of madvise_cold_or_pageout_pte_range(). */
static void advise_huge_pmd(struct advise_state *state, pmd_t *pmd, u64 addr)
{
	struct mm *mm = state->tlb.mm;
	pte_t pte;

	pte = pmd_pte(*pmd);
	if (may_be_used(pte) && had_time(state, addr))
		pte = mkused(pte);
	if (!pte_present(pte) || pte_special(pte) || !advice_changes(state, pte))
		return;
	if (state->advice != ADVICE_COLD || !mm_knobs(mm)->madv_cold_pmd_young)
		flush_pmd_tlb_range(mm, addr, addr + pmd_size(mm));	/* pmdp_invalidate() */
	pte = pte_mkold(pte);
	if (state->advice == ADVICE_FREE)
		pte = pte_mkclean(pte);
	set_pmd_leaf(pmd, pte);
	tlb_flush_pmd_range(&state->tlb, addr, pmd_size(mm));
}

static void advise_vma(struct advise_state *state, u64 addr, u64 end)
{
	struct mm *mm = state->tlb.mm;
	pmd_t *pmd;

	while ((pmd = pmd_next(mm, &addr, end))) {
		u64 next = pmd_addr_end(mm, addr, end);

		if (pmd_leaf(*pmd)) {
			if (next - addr == pmd_size(mm)) {
				advise_huge_pmd(state, pmd, addr);
				addr = next;
				continue;
			}
			if (split_huge_folio(mm, state->vma, pmd, addr, 0))
				return;
		}
		if (pmd_table(*pmd))
			advise_pte_range(state, pmd, addr, next);
		addr = next;
	}
}

/* An operation of MADV_PAGEOUT is about one table, and what it gathered is flushed with the VMA's last. */
static void gather_goes_on(struct mmu_gather *tlb)
{
	struct pageout_gather *gather = &tlb->mm->pageout;

	if (gather->ptes)
		tlb_flush_pte_range(tlb, gather->start, gather->end - gather->start);
	if (gather->pmds)
		tlb_flush_pmd_range(tlb, gather->start, gather->end - gather->start);
	*gather = (struct pageout_gather){ 0 };
}

/* Whether more of the VMA that ends at vma_end is to come: it is kept until then. */
static bool gather_is_kept(struct mmu_gather *tlb, const struct rf_op *op, u64 vma_end)
{
	if (op->end >= op->aux || op->end >= vma_end)
		return false;
	tlb->mm->pageout = (struct pageout_gather){ tlb->start, tlb->end, tlb->cleared_ptes, tlb->cleared_pmds };
	return true;
}

static void advise(struct mm *mm, const struct rf_op *op, enum advice advice)
{
	struct advise_state state = { .advice = advice };
	bool one_gather = advice == ADVICE_FREE && mm_knobs(mm)->madvise_one_gather;
	const struct vm_area *vma;

	tlb_gather_mmu(&state.tlb, mm);
	if (advice == ADVICE_PAGEOUT) {
		gather_goes_on(&state.tlb);
	} else {
		state.unused = op->addr2;
		state.unused_end = op->aux;
	}
	for (vma = vma_find(mm, op->addr); vma && vma->start < op->end; vma = vma_next(vma)) {
		if (vma->flags & (RF_VM_PFNMAP | RF_VM_HUGETLB | RF_VM_LOCKED))
			continue;
		if (advice == ADVICE_FREE && vma->file)
			continue;
		state.vma = vma;
		advise_vma(&state, max_u64(vma->start, op->addr), min_u64(vma->end, op->end));
		if (advice == ADVICE_PAGEOUT && gather_is_kept(&state.tlb, op, vma->end))
			return;
		tlb_end_vma(&state.tlb, vma);
		if (!one_gather) {
			tlb_finish_mmu(&state.tlb);
			tlb_gather_mmu(&state.tlb, mm);
		}
	}
	tlb_finish_mmu(&state.tlb);
}

void op_madv_free(struct mm *mm, const struct rf_op *op)
{
	advise(mm, op, ADVICE_FREE);
}

void op_madv_cold(struct mm *mm, const struct rf_op *op)
{
	advise(mm, op, ADVICE_COLD);
}

void op_madv_pageout(struct mm *mm, const struct rf_op *op)
{
	advise(mm, op, ADVICE_PAGEOUT);
}
