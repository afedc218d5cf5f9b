// SPDX-License-Identifier: MIT
/*
 * What others do to an address space through the reverse map: reclaim and
 * write-back. mm/rmap.c; kernel-model.md 4.10.
 *
 * page_vma_mapped_walk() reads every entry it visits twice: to find it and to
 * check it. Until it has found the first one it has no lock. Those reads are
 * counted in the row rmap_walk, so that the other rows show what the unmapping
 * itself costs.
 */
#include "engine/allocation.h"
#include "engine/coalesce.h"
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/rmap.h"
#include "engine/tlb.h"

void rmap_walk_reads(struct mm *mm, u64 addr, pte_t *ptep, bool first)
{
	enum rf_row row = machine_set_row(mm->machine, mm, RF_ROW_rmap_walk);

	mm->machine->stats.operations[RF_ROW_rmap_walk]++;
	if (first && mm_knobs(mm)->rmap_lockless)
		read_pte_lockless(mm, addr, ptep, RF_SITE_rmap_unlocked);
	else
		read_pte(mm, addr, ptep, first ? RF_SITE_rmap_unlocked : RF_SITE_rmap_locked);
	read_pte(mm, addr, ptep, RF_SITE_rmap_locked);
	machine_set_row(mm->machine, mm, row);
}

/* A walk goes on with the lock held to the end of the table and of the VMA. */
bool rmap_walk_begins(struct mm *mm, u64 addr, u32 done)
{
	const struct vm_area *vma;

	if (!done || !pte_index(mm, addr))
		return true;
	vma = vma_lookup(mm, addr);
	return vma && vma->start == addr;
}

/* The entry of addr for a reverse-map walk; splits a leaf. NULL, and an anomaly, if there is none. */
pte_t *rmap_pte(struct mm *mm, u64 addr)
{
	pmd_t *pmd = pmd_offset(mm, addr);

	if (pmd && pmd_leaf(*pmd)) {
		struct vm_area *vma = vma_of_fault(mm, addr, false);

		if (!vma || split_huge_pmd(mm, vma, pmd, addr))
			return NULL;
	}
	if (!pmd || !pmd_table(*pmd)) {
		count_anomaly(mm->machine, RF_ANOMALY_missing_pte);
		return NULL;
	}
	return pte_offset(mm, pmd, addr);
}

/* The operation is about all that the leaf at its address maps. */
bool covers_leaf(struct mm *mm, const struct rf_op *op, const pmd_t *pmd)
{
	return pmd && pmd_leaf(*pmd) && op->nr == ptrs_per_pte(mm) && !(op->addr & (pmd_size(mm) - 1));
}

/* Walks go from VMA to VMA and from table to table: no run is longer. */
u32 rmap_run_limit(struct mm *mm, u64 addr, u32 left)
{
	const struct vm_area *vma = vma_lookup(mm, addr);
	u64 limit = min_u64(left, ptrs_per_pte(mm) - pte_index(mm, addr));

	return vma ? min_u64(limit, (vma->end - addr) >> mm->arch.geometry->page_shift) : limit;
}

/* other_cpus: others than this one have run the mm. */
bool should_defer_flush(const struct mm *mm, bool other_cpus)
{
	if (!mm->arch.knobs->defer_unmap_flush || mm->arch.knobs->repeat_tlbi == REPEAT_TLBI_OLD)
		return false;
	return !mm->arch.ops->defers_for_others || other_cpus;
}

/*
 * arch_tlbbatch_should_defer(): not where each TLBI is repeated at once, with a wait in between; on x86 only where
 * another CPU is to be asked, which the batch saves.
 *
 * An unmapping that was only inferred, from a later fault, happened at a time nobody knows: no munmap or mprotect in
 * between may be charged with waiting for its flush (flush_tlb_batched_pending()).
 */
bool defers_flush(const struct mm *mm, const struct rf_op *op)
{
	return should_defer_flush(mm, op->other_cpus) && (op->flags & RF_OP_DEFERRED) && !(op->flags & RF_OP_INFERRED);
}

/* Clear entries for reclaim or migration and flush them, now or at the end of the reclaim batch. */
pte_t unmap_clear_run(struct mm *mm, u64 addr, pte_t *ptep, u32 nr, bool defer)
{
	const struct arch_ops *ops = mm->arch.ops;
	pte_t pte;

	if (nr == 1 && !defer)
		return ops->ptep_clear_flush(&mm->arch, addr, ptep);
	if (nr == 1)
		pte = ops->ptep_get_and_clear(&mm->arch, addr, ptep);
	else
		pte = ops->get_and_clear_full_ptes(&mm->arch, addr, ptep, nr, false);
	if (defer) {
		ops->tlbbatch_add_pending(&mm->arch, addr, nr);
		mm->machine->flush_required = true;
		mm->machine->flush_writable |= pte_may_be_dirty(pte);
	} else {
		flush_tlb_range(mm, addr, addr + ((u64)nr << mm->arch.geometry->page_shift));
	}
	return pte;
}

/* Since 6.15 try_to_unmap_one() flushes what cannot wait as a range, also of one page. */
static pte_t try_to_unmap_clear(struct mm *mm, u64 addr, pte_t *ptep, u32 nr, bool defer)
{
	pte_t pte;

	if (nr > 1 || defer || !mm_knobs(mm)->unmap_flush_walk)
		return unmap_clear_run(mm, addr, ptep, nr, defer);
	pte = mm->arch.ops->ptep_get_and_clear(&mm->arch, addr, ptep);
	flush_tlb_range(mm, addr, addr + page_size(mm));
	return pte;
}

/* Lazyfree pages since 6.15, file pages since 7.0, swapped ones in a list series. */
static u32 unmap_batch(struct mm *mm, const struct rf_op *op, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr)
{
	const struct rf_mm_knobs *knobs = mm_knobs(mm);
	enum rf_run run = op->kind == RF_OP_UNMAP_SWAP ? RF_RUN_batch_anon_unmap :
			  pte.val & PTE_ANON ? RF_RUN_batch_lazyfree : RF_RUN_batch_file_unmap;
	bool on = run == RF_RUN_batch_anon_unmap ? knobs->batch_anon_unmap :
		  run == RF_RUN_batch_lazyfree ? knobs->batch_lazyfree : knobs->batch_file_unmap;
	struct pte_batch seen = { 0 };
	u32 nr = 1;

	if (on && pte_folio_order(pte))
		nr = folio_pte_batch(mm, addr, ptep, pte, max_nr, FPB_RESPECT_WRITE | FPB_NORECENCY, &seen);
	return on ? count_run(mm, run, nr, pte_folio_order(pte)) : 1;
}

/* The swap entry; pte_swp_mkexclusive(), pte_swp_mkuffd_wp(). */
static pte_t swap_entry(pte_t pte, u64 slot)
{
	return (pte_t){ PTE_SWAP | ((slot << PTE_PFN_SHIFT) & PTE_PFN_MASK) |
			(pte.val & (PTE_ORDER_MASK | PTE_EXCLUSIVE | PTE_ANON | PTE_UFFD)) };
}

static u32 unmap_some(struct mm *mm, const struct rf_op *op, u64 addr, pte_t *ptep, u32 i)
{
	u32 max_nr = rmap_run_limit(mm, addr, op->nr - i), nr;
	struct exclusive_run exclusive;
	pte_t pte;

	rmap_walk_reads(mm, addr, ptep, rmap_walk_begins(mm, addr, i));
	pte = read_pte(mm, addr, ptep, RF_SITE_rmap_unmap);
	if (!pte_present(pte)) {
		count_anomaly(mm->machine, RF_ANOMALY_missing_pte);
		return 1;
	}
	nr = unmap_batch(mm, op, addr, ptep, pte, max_nr);
	exclusive_save(&exclusive, ptep, nr);
	folio_remove_rmap(mm, pte, nr);
	pte = try_to_unmap_clear(mm, addr, ptep, nr, defers_flush(mm, op));
	if (op->kind == RF_OP_UNMAP_SWAP) {
		mm->arch.ops->set_ptes(&mm->arch, addr, ptep, swap_entry(pte, op->pfn + i), nr);
		exclusive_restore(&exclusive, ptep, nr);
	}
	return nr;
}

/* try_to_unmap_one() */
static void try_to_unmap(struct mm *mm, const struct rf_op *op)
{
	u64 addr = op->addr;
	u32 i = 0, nr;

	for (; i < op->nr; i += nr, addr += (u64)nr << mm->arch.geometry->page_shift) {
		pte_t *ptep = rmap_pte(mm, addr);

		nr = 1;
		if (ptep)
			nr = unmap_some(mm, op, addr, ptep, i);
	}
}

void op_unmap_swap(struct mm *mm, const struct rf_op *op)
{
	try_to_unmap(mm, op);
}

/*
 * A leaf goes as a whole, flushed at once: a file's because splitting one unmaps it, a lazily freed one since 6.11
 * (unmap_huge_pmd_locked()), which is put back if it is dirty again.
 */
static bool unmap_leaf(struct mm *mm, const struct rf_op *op)
{
	pmd_t *pmd = pmd_offset(mm, op->addr);
	pte_t leaf;

	if (!covers_leaf(mm, op, pmd) || !pte_present(pmd_pte(*pmd)))
		return false;
	leaf = pmd_pte(*pmd);
	pmd->val = 0;
	flush_pmd_tlb_range(mm, op->addr, op->addr + pmd_size(mm));
	if (!(op->flags & RF_OP_WRITE))
		folio_remove_rmap(mm, leaf, ptrs_per_pte(mm));
	if (op->flags & RF_OP_WRITE)
		set_pmd_leaf(pmd, pte_mkdirty(leaf));
	else if (leaf.val & PTE_ANON)
		mm->arch.counters->tables_freed++;	/* zap_deposited_table() */
	else
		mm->arch.counters->pmd_splits++;
	return true;
}

/* A lazily freed folio that is dirty again: what is cleared first, an entry or a run, is set again, and that was it. */
static void set_back(struct mm *mm, const struct rf_op *op)
{
	u32 max_nr = rmap_run_limit(mm, op->addr, op->nr), nr;
	pte_t *ptep = rmap_pte(mm, op->addr), pte;
	struct exclusive_run exclusive;

	if (!ptep)
		return;
	if (pte_write(*ptep))	/* by hardware, so it costs nothing */
		coalescing_write(mm, op->addr, ptep, pte_mkyoung(pte_mkdirty(*ptep)));
	rmap_walk_reads(mm, op->addr, ptep, true);
	pte = read_pte(mm, op->addr, ptep, RF_SITE_rmap_unmap);
	if (!pte_present(pte)) {
		count_anomaly(mm->machine, RF_ANOMALY_missing_pte);
		return;
	}
	nr = unmap_batch(mm, op, op->addr, ptep, pte, max_nr);
	exclusive_save(&exclusive, ptep, nr);
	pte = try_to_unmap_clear(mm, op->addr, ptep, nr, defers_flush(mm, op));
	mm->arch.ops->set_ptes(&mm->arch, op->addr, ptep, pte, nr);
	exclusive_restore(&exclusive, ptep, nr);
}

void op_unmap_file(struct mm *mm, const struct rf_op *op)
{
	if (unmap_leaf(mm, op))
		return;
	if (op->flags & RF_OP_WRITE)
		set_back(mm, op);
	else
		try_to_unmap(mm, op);
}

void try_to_unmap_flush(struct mm *mm)
{
	struct rf_machine *machine = mm->machine;

	if (!machine->flush_required)
		return;
	machine->flush_required = machine->flush_writable = false;
	mm->arch.ops->tlbbatch_flush(&mm->arch);
}

/* try_to_unmap_flush_dirty() need not wait for entries nobody can write through. */
void op_reclaim_flush(struct mm *mm, const struct rf_op *op)
{
	if (!(op->flags & RF_OP_WRITE) || mm->machine->flush_writable)
		try_to_unmap_flush(mm);
}

static u32 mkclean_some(struct mm *mm, u64 addr, u32 done, u32 left)
{
	u32 max_nr = rmap_run_limit(mm, addr, left), nr = 1;
	struct exclusive_run exclusive;
	struct pte_batch seen = { 0 };
	pte_t *ptep = rmap_pte(mm, addr);
	pte_t pte;

	if (!ptep)
		return 1;
	rmap_walk_reads(mm, addr, ptep, rmap_walk_begins(mm, addr, done));
	pte = read_pte(mm, addr, ptep, RF_SITE_mkclean);
	if (!pte_present(pte) || (!pte_dirty(pte) && !pte_write(pte)))
		return 1;
	if (mm_knobs(mm)->batch_mkclean && pte_folio_order(pte))
		nr = folio_pte_batch(mm, addr, ptep, pte, max_nr, FPB_RESPECT_WRITE, &seen);
	if (mm_knobs(mm)->batch_mkclean)
		count_run(mm, RF_RUN_batch_mkclean, nr, pte_folio_order(pte));
	exclusive_save(&exclusive, ptep, nr);
	pte = unmap_clear_run(mm, addr, ptep, nr, false);
	mm->arch.ops->set_ptes(&mm->arch, addr, ptep, pte_mkclean(pte_wrprotect(pte)), nr);
	exclusive_restore(&exclusive, ptep, nr);
	return nr;
}

/* False: no PMD maps all of what begins at addr. */
static bool mkclean_leaf(struct mm *mm, u64 addr, u32 left)
{
	pmd_t *pmd = pmd_offset(mm, addr);
	pte_t pte;

	if (!pmd || !pmd_leaf(*pmd) || left < ptrs_per_pte(mm) || addr & (pmd_size(mm) - 1))
		return false;
	pte = pmd_pte(*pmd);
	if (pte_present(pte) && (pte_dirty(pte) || pte_write(pte))) {
		flush_pmd_tlb_range(mm, addr, addr + pmd_size(mm));	/* pmdp_invalidate() */
		set_pmd_leaf(pmd, pte_mkclean(pte_wrprotect(pte)));
	}
	return true;
}

/* page_vma_mkclean_one(): also learned after the fact, from a write fault on a page that was writable. */
void op_mkclean(struct mm *mm, const struct rf_op *op)
{
	u64 addr = op->addr;
	u32 i, nr;

	for (i = 0; i < op->nr; i += nr, addr += (u64)nr << mm->arch.geometry->page_shift)
		nr = mkclean_leaf(mm, addr, op->nr - i) ? ptrs_per_pte(mm) : mkclean_some(mm, addr, i, op->nr - i);
}
