// SPDX-License-Identifier: MIT
/*
 * Unmapping: the zap of entries, munmap, exit. zap_pte_range() and its callers
 * of mm/memory.c, unmap_region() and exit_mmap() of mm/mmap.c; kernel-model.md
 * 3.4 and 4.5.
 */
#include "engine/allocation.h"
#include "engine/blocks.h"
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/hugetlb.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/repeat.h"
#include "engine/tlb.h"

/* Which entries a zap spares. */
struct zap_details {
	bool keep_anon;			/* !even_cows: hole punching leaves COWed pages */
	bool reclaim_pt;		/* free tables that the zap empties */
};

struct zap_state {
	struct mmu_gather *tlb;
	const struct vm_area *vma;
	const struct zap_details *details;
	struct repeat *repeat;
	bool force_flush, force_break;
	bool any_skipped;
};

/* How many entries one step may take: a run of one folio, as far as the gather has room. */
static u32 zap_batch(struct zap_state *zap, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr)
{
	struct mm *mm = zap->tlb->mm;
	struct pte_batch seen = { 0 };
	u32 nr, room;

	if (!mm_knobs(mm)->batch_zap)
		return 1;
	/* v3 asks for room, and so may allocate it, even for a single page. */
	room = mm_knobs(mm)->gather == GATHER_GUARANTEED ? tlb_get_guaranteed_space(zap->tlb) : max_nr;
	if (!pte_folio_order(pte) || max_nr == 1)
		return count_run(mm, RF_RUN_batch_zap, 1, mm_knobs(mm)->gather == GATHER_GUARANTEED);
	nr = folio_pte_batch(mm, addr, ptep, pte, max_nr, FPB_NORECENCY, &seen);
	count_run(mm, RF_RUN_batch_zap, nr, true);
	if (mm_knobs(mm)->gather == GATHER_RESERVE)
		room = tlb_reserve_space(zap->tlb, nr);
	if (!room)
		room = 1;
	return nr < room ? nr : room;
}

/* zap_present_folio_ptes() */
static void zap_folio_ptes(struct zap_state *zap, u64 addr, pte_t *ptep, pte_t pte, u32 nr)
{
	struct mmu_gather *tlb = zap->tlb;
	struct mm *mm = tlb->mm;
	const struct arch_ops *ops = mm->arch.ops;
	bool anon = pte.val & PTE_ANON;

	folio_remove_rmap(mm, pte, nr);
	if (!mm_knobs(mm)->batch_zap)
		pte = ops->get_and_clear_full_ptes(&mm->arch, addr, ptep, 1, tlb->fullmm);
	else if (anon)
		ops->clear_full_ptes(&mm->arch, addr, ptep, nr, tlb->fullmm);
	else
		pte = ops->get_and_clear_full_ptes(&mm->arch, addr, ptep, nr, tlb->fullmm);
	/* A dirty file page may be written until the flush: its rmap stays until then. */
	if (!anon && pte_may_be_dirty(pte)) {
		tlb->delayed_rmap = true;
		zap->force_flush = true;
		repeat_forget(zap->repeat);
	}
	tlb_flush_pte_range(tlb, addr, (u64)nr << mm->arch.geometry->page_shift);
	if (tlb_remove_folio_pages(tlb, nr)) {
		zap->force_flush = true;
		zap->force_break = true;
	}
}

/* zap_present_ptes() */
static u32 zap_present_ptes(struct zap_state *zap, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr)
{
	struct mm *mm = zap->tlb->mm;
	u32 nr;

	if (pte_special(pte)) {
		mm->arch.ops->get_and_clear_full_ptes(&mm->arch, addr, ptep, 1, zap->tlb->fullmm);
		tlb_flush_pte_range(zap->tlb, addr, page_size(mm));
		return 1;
	}
	if ((pte.val & PTE_ANON) && zap->details && zap->details->keep_anon) {
		zap->any_skipped = true;
		repeat_forget(zap->repeat);
		return 1;
	}
	nr = zap_batch(zap, addr, ptep, pte, max_nr);
	zap_folio_ptes(zap, addr, ptep, pte, nr);
	return nr;
}

/* Guards go with their VMA only: ZAP_FLAG_DROP_MARKER is for munmap and exit. Hole punching leaves swapped COWs. */
static bool spares_nonpresent(const struct zap_state *zap, pte_t pte)
{
	if (is_guard_marker(pte))
		return zap->details;
	return zap->details && zap->details->keep_anon && (pte.val & PTE_ANON);
}

/* Swap slots are freed in runs, other entries one at a time; nothing of this reaches a TLB. */
static u32 zap_nonpresent_ptes(struct zap_state *zap, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr)
{
	struct mm *mm = zap->tlb->mm;
	u32 nr = 1, i;

	if (spares_nonpresent(zap, pte)) {
		zap->any_skipped = true;
		return 1;
	}
	folio_remove_rmap(mm, pte, 1);
	if (mm_knobs(mm)->batch_swap && !is_migration_entry(pte) && !is_guard_marker(pte))
		nr = count_run(mm, RF_RUN_batch_swap, swap_pte_batch(mm, addr, ptep, pte, max_nr), true);
	for (i = 0; i < nr; i++)	/* clear_not_present_full_ptes() */
		mm->arch.ops->pte_clear(&mm->arch, addr + ((u64)i << mm->arch.geometry->page_shift), ptep + i);
	return nr;
}

static void zap_pte_range(struct repeat *repeat, const struct vm_area *vma, pmd_t *pmd, u64 addr, u64 end,
			 const struct zap_details *details)
{
	struct mmu_gather *tlb = repeat->tlb;
	struct zap_state zap = { .tlb = tlb, .vma = vma, .details = details, .repeat = repeat };
	/* reclaim_pt_is_enabled() */
	bool reclaim_table = details && details->reclaim_pt && end - addr == pmd_size(tlb->mm);
	u64 start = addr;
	struct mm *mm = tlb->mm;
	unsigned int shift = mm->arch.geometry->page_shift;
	pte_t *ptep = pte_offset(mm, pmd, addr);
	u32 nr;

retry:
	zap.force_flush = false;
	zap.force_break = false;
	flush_tlb_batched_pending(mm);
	for (; addr < end; ptep += nr, addr += (u64)nr << shift) {
		u32 max_nr = (end - addr) >> shift;
		pte_t pte;

		nr = repeat_folios(repeat, addr, ptep, NULL, max_nr);
		if (nr)
			continue;
		nr = skip_none_ptes(mm, ptep, max_nr, RF_SITE_zap);
		if (nr)
			continue;
		pte = read_pte(mm, addr, ptep, RF_SITE_zap);
		if (!pte_present(pte)) {
			nr = zap_nonpresent_ptes(&zap, addr, ptep, pte, max_nr);
			continue;
		}
		nr = zap_present_ptes(&zap, addr, ptep, pte, max_nr);
		if (zap.force_break) {
			ptep += nr;
			addr += (u64)nr << shift;
			break;
		}
	}
	if (zap.force_flush) {
		mm->arch.counters->forced_flushes++;
		tlb_flush_mmu_tlbonly(tlb);
		tlb->delayed_rmap = false;	/* tlb_flush_rmaps() */
		tlb_flush_mmu(tlb);
	}
	if (addr < end)
		goto retry;
	if (reclaim_table && !zap.any_skipped)
		free_pte_table(tlb, pmd, start);
}

/* zap_huge_pmd() */
static void zap_huge_pmd(struct mmu_gather *tlb, pmd_t *pmd, u64 addr, const struct zap_details *details)
{
	pte_t pte = pmd_pte(*pmd);

	if ((pte.val & PTE_ANON) && details && details->keep_anon)
		return;
	folio_remove_rmap(tlb->mm, pte, ptrs_per_pte(tlb->mm));
	pmd->val = 0;
	if ((pte.val & PTE_ANON) || pte_special(pte))
		tlb->mm->arch.counters->tables_freed++;		/* zap_deposited_table() */
	if (!pte_present(pte))
		return;
	tlb_flush_pmd_range(tlb, addr, pmd_size(tlb->mm));
	if (!pte_special(pte) && tlb_remove_folio_pages(tlb, 1))
		tlb_flush_mmu(tlb);
}

static void unmap_page_range(struct mmu_gather *tlb, const struct vm_area *vma, u64 addr, u64 end,
			     const struct zap_details *details)
{
	struct mm *mm = tlb->mm;
	struct repeat repeat;
	pmd_t *pmd;

	repeat_begin(&repeat, mm, NULL, tlb);
	if (vma->flags & RF_VM_HUGETLB)
		unmap_huge_pages(tlb, addr, end);
	while ((pmd = pmd_next(mm, &addr, end))) {
		u64 next = pmd_addr_end(mm, addr, end);

		if (pmd_leaf(*pmd)) {
			if (next - addr == pmd_size(mm)) {
				zap_huge_pmd(tlb, pmd, addr, details);
				addr = next;
				continue;
			}
			if (split_huge_pmd(mm, vma, pmd, addr))
				return;
			if (pmd_none(*pmd)) {
				addr = next;
				continue;
			}
		}
		zap_pte_range(&repeat, vma, pmd, addr, next, details);
		addr = next;
	}
	tlb_end_vma(tlb, vma);
}

/* free_pgtables() for the VMAs from one on, up to before last, or all. */
static void free_pgtables(struct mmu_gather *tlb, const struct vm_area *vma, const struct vm_area *last, u64 floor,
			  u64 ceiling)
{
	const struct vm_area *next;
	u64 addr;

	for (; vma != last; vma = next) {
		addr = vma->start;
		/* Gather nearby VMAs into one call down. */
		while ((next = vma_next(vma)) != last && next->start <= vma->end + pmd_size(tlb->mm))
			vma = next;
		free_pgd_range(tlb, addr, vma->end, floor, next != last ? next->start : ceiling);
	}
}

int do_munmap(struct mm *mm, u64 start, u64 end)
{
	struct vm_area *first, *last, *vma, *next;
	struct mmu_gather tlb;
	int err = split_vma(mm, start, false);

	if (!err)
		err = split_vma(mm, end, false);
	if (err)
		return err;
	first = vma_find(mm, start);
	if (!first || first->start >= end)
		return 0;
	tlb_gather_mmu(&tlb, mm);
	for (last = first; last && last->start < end; last = vma_next(last)) {
		unmap_page_range(&tlb, last, last->start, last->end, NULL);
		huge_pmds_free(mm, last->start, last->end);
	}
	free_pgtables(&tlb, first, last, vma_prev(first) ? vma_prev(first)->end : 0, last ? last->start : 0);
	tlb_finish_mmu(&tlb);
	for (vma = first; vma != last; vma = next) {
		next = vma_next(vma);
		vma_remove(mm, vma);
	}
	return 0;
}

static void exit_mmap(struct mm *mm)
{
	const struct vm_area *first = vma_tree_first(&mm->vmas), *vma;
	struct mmu_gather tlb;

	if (!first)
		return;
	mm->arch.dying = true;
	tlb_gather_mmu_fullmm(&tlb, mm);
	for (vma = first; vma; vma = vma_next(vma))
		unmap_page_range(&tlb, vma, vma->start, vma->end, NULL);
	free_pgtables(&tlb, first, NULL, 0, 0);
	tlb_finish_mmu(&tlb);
	vmas_clear(mm);
}

void op_munmap(struct mm *mm, const struct rf_op *op)
{
	mm_error(mm, do_munmap(mm, op->addr, op->end));
}

void op_mm_exit(struct mm *mm, const struct rf_op *op)
{
	exit_mmap(mm);
	end_operation(mm);
	machine_free_mm(mm->machine, mm);
}

/* MADV_GUARD_INSTALL: a marker in every entry of the range, so every table of it exists. */
static void install_guards(struct mm *mm, u64 addr, u64 end)
{
	for (; addr < end; addr += page_size(mm)) {
		pmd_t *pmd = pmd_alloc(mm, addr);
		pte_t *ptep;

		if (!pmd || pmd_leaf(*pmd))
			return;
		ptep = pte_alloc(mm, pmd, addr);
		if (!ptep)
			return;
		if (pte_none(read_pte(mm, addr, ptep, RF_SITE_guard_install)))
			set_pte_at(mm, addr, ptep, (pte_t){ PTE_GUARD_MARKER });
	}
}

/* zap_page_range_single() on each VMA of the range; since 6.16 madvise() has one gather for all of them. */
void op_zap(struct mm *mm, const struct rf_op *op)
{
	bool dontneed = op->why == RF_WHY_DONTNEED, one_gather = dontneed && mm_knobs(mm)->madvise_one_gather;
	const struct zap_details details = {
		.keep_anon = op->why == RF_WHY_REMOVE,
		.reclaim_pt = dontneed && mm_knobs(mm)->pt_reclaim,
	};
	struct mmu_gather tlb;
	struct vm_area *vma;

	tlb_gather_mmu(&tlb, mm);
	for (vma = vma_find(mm, op->addr); vma && vma->start < op->end; vma = vma_next(vma)) {
		u64 start = max_u64(vma->start, op->addr), end = min_u64(vma->end, op->end);

		unmap_page_range(&tlb, vma, start, end, &details);
		if (!one_gather) {
			tlb_finish_mmu(&tlb);
			tlb_gather_mmu(&tlb, mm);
		}
		if (op->why != RF_WHY_GUARD)
			continue;
		/* What is not empty any more must be copied by fork. */
		if (!vma->file && !(vma->flags & RF_VM_SHARED))
			vma_anon_prepare(mm, vma);
		install_guards(mm, start, end);
	}
	tlb_finish_mmu(&tlb);
}
