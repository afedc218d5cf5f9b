// SPDX-License-Identifier: MIT
/*
 * Migration, and the splitting of folios, which is a migration of a folio to
 * its own pages: try_to_migrate_one() of mm/rmap.c, remove_migration_pte() of
 * mm/migrate.c, unmap_folio() and remap_page() of mm/huge_memory.c;
 * kernel-model.md 4.11.
 */
#include <errno.h>

#include "engine/allocation.h"
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/rmap.h"
#include "engine/tlb.h"

/* The entry that stands in while the page moves: writable, exclusive and A/D as the page was. */
static pte_t migration_entry(pte_t pte, u64 pfn)
{
	u64 dirty = pte_dirty(pte) ? PTE_DIRTY : 0;

	return (pte_t){ PTE_SWAP | PTE_MIGRATION | dirty | ((pfn << PTE_PFN_SHIFT) & PTE_PFN_MASK) |
			(pte.val & (PTE_WRITE | PTE_AF | PTE_ORDER_MASK | PTE_ANON | PTE_EXCLUSIVE | PTE_SHMEM |
				    PTE_UFFD)) };
}

/* remove_migration_pte()'s new entry. */
static pte_t migrated_pte(const struct vm_area *vma, pte_t entry, u64 pfn, unsigned int order)
{
	pte_t pte = mk_pte(vma, pfn, order, entry.val & (PTE_ANON | PTE_EXCLUSIVE | PTE_SHMEM));

	if (!pte_young(entry))
		pte = pte_mkold(pte);
	if (entry.val & PTE_DIRTY)
		pte = pte_mkdirty(pte);
	pte.val |= entry.val & PTE_UFFD;
	return pte_write(entry) ? pte_mkwrite(pte) : pte;
}

/* A run that migrates at once: what batch_migrate stands for. */
static u32 migrate_run(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr, u64 pfn, bool defer)
{
	struct pte_batch seen = { 0 };
	struct exclusive_run exclusive;
	u32 nr = folio_pte_batch(mm, addr, ptep, pte, max_nr, FPB_RESPECT_WRITE | FPB_NORECENCY, &seen);

	exclusive_save(&exclusive, ptep, nr);
	pte = unmap_clear_run(mm, addr, ptep, nr, defer);
	mm->arch.ops->set_ptes(&mm->arch, addr, ptep, migration_entry(pte, pfn), nr);
	exclusive_restore(&exclusive, ptep, nr);
	return nr;
}

static u32 migrate_out_one(struct mm *mm, const struct rf_op *op, u64 addr, u32 i)
{
	u32 max_nr = rmap_run_limit(mm, addr, op->nr - i);
	pte_t *ptep = rmap_pte(mm, addr), pte;
	bool defer = mm_knobs(mm)->migrate_defer && defers_flush(mm, op);

	if (!ptep)
		return 1;
	rmap_walk_reads(mm, addr, ptep, rmap_walk_begins(mm, addr, i));
	pte = read_pte(mm, addr, ptep, RF_SITE_rmap_unmap);
	if (!pte_present(pte)) {
		count_anomaly(mm->machine, RF_ANOMALY_missing_pte);
		return 1;
	}
	if (mm_knobs(mm)->batch_migrate && pte_folio_order(pte))
		return count_run(mm, RF_RUN_batch_migrate,
				 migrate_run(mm, addr, ptep, pte, max_nr, op->pfn + i, defer), true);
	if (mm_knobs(mm)->batch_migrate)
		count_run(mm, RF_RUN_batch_migrate, 1, false);
	pte = unmap_clear_run(mm, addr, ptep, 1, defer);
	set_pte_at(mm, addr, ptep, migration_entry(pte, op->pfn + i));
	return 1;
}

void op_migrate_out(struct mm *mm, const struct rf_op *op)
{
	pmd_t *pmd = pmd_offset(mm, op->addr);
	u64 addr = op->addr;
	u32 i = 0, nr;

	if (covers_leaf(mm, op, pmd) && pte_present(pmd_pte(*pmd))) {
		/* set_pmd_migration_entry() */
		set_pmd_leaf(pmd, migration_entry(pmd_pte(*pmd), op->pfn));
		flush_pmd_tlb_range(mm, op->addr, op->addr + pmd_size(mm));
		return;
	}
	for (; i < op->nr; i += nr, addr += (u64)nr << mm->arch.geometry->page_shift)
		nr = migrate_out_one(mm, op, addr, i);
}

/* What the machine's own entry says wins; the operation's flags stand in where there is none. */
static pte_t entry_of_op(const struct rf_op *op)
{
	pte_t entry = { PTE_SWAP | PTE_MIGRATION | PTE_AF };

	if (op->flags & RF_OP_ANON)
		entry.val |= PTE_ANON;
	if (op->flags & RF_OP_EXCLUSIVE)
		entry.val |= PTE_EXCLUSIVE;
	if (op->flags & RF_OP_WRITE)
		entry.val |= PTE_WRITE | PTE_DIRTY;
	if (op->flags & RF_OP_SHMEM)
		entry.val |= PTE_SHMEM;
	return entry;
}

static void migrate_in_one(struct mm *mm, const struct vm_area *vma, const struct rf_op *op, u64 addr, u32 i)
{
	pmd_t *pmd = pmd_alloc(mm, addr);
	pte_t *ptep, entry;

	if (!pmd || (pmd_leaf(*pmd) && split_huge_pmd(mm, vma, pmd, addr)))
		return;
	ptep = pte_alloc(mm, pmd, addr);
	if (!ptep)
		return;
	rmap_walk_reads(mm, addr, ptep, rmap_walk_begins(mm, addr, i));
	entry = read_pte(mm, addr, ptep, RF_SITE_remove_migration);
	if (op->flags & RF_OP_ZERO) {
		folio_remove_rmap(mm, entry, 1);
		/* Of a folio that a PMD mapped, the split has put the pages back already. */
		if (pte_present(entry))
			mm->arch.ops->pte_clear(&mm->arch, addr, ptep);
		set_pte_at(mm, addr, ptep, mk_pte(vma, 0, 0, PTE_SPECIAL));
		return;
	}
	if (!is_migration_entry(entry)) {
		count_anomaly(mm->machine, pte_present(entry) ? RF_ANOMALY_mapped_twice : RF_ANOMALY_missing_pte);
		folio_remove_rmap(mm, entry, 1);
		if (entry.val)
			mm->arch.ops->pte_clear(&mm->arch, addr, ptep);
		entry = entry_of_op(op);
	}
	set_pte_at(mm, addr, ptep, migrated_pte(vma, entry, op->pfn + i, op->order));
	update_mmu_cache(mm, addr, 1);
}

void op_migrate_in(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_of_fault(mm, op->addr, false);
	pmd_t *pmd = pmd_offset(mm, op->addr);
	u64 addr = op->addr;
	u32 i;

	if (!vma)
		return;
	if (covers_leaf(mm, op, pmd) && is_migration_entry(pmd_pte(*pmd))) {
		/* remove_migration_pmd() */
		set_pmd_leaf(pmd, migrated_pte(vma, pmd_pte(*pmd), op->pfn, op->order));
		update_mmu_cache(mm, op->addr, 1);
		return;
	}
	for (i = 0; i < op->nr; i++, addr += page_size(mm)) {
		if (addr >= vma->end) {
			vma = vma_of_fault(mm, addr, false);
			if (!vma)
				return;
		}
		migrate_in_one(mm, vma, op, addr, i);
	}
}

/* ---- splitting ------------------------------------------------------------------ */

static bool same_folio(pte_t pte, u64 folio, unsigned int order)
{
	return pte_present(pte) && !pte_special(pte) && pte_folio_order(pte) == order && pte_folio_pfn(pte) == folio;
}

/*
 * split_folio(): unmap_folio() turns all entries of the folio at ptep into migration entries, with one wait for all
 * where migration defers its flushes, and remap_page() makes them entries of the smaller folios. Entries of the folio
 * that are not in line with it, or in other tables, are rare and left.
 */
void split_folio_ptes(struct mm *mm, const struct vm_area *vma, u64 addr, pte_t *ptep, unsigned int new_order)
{
	enum rf_row row = machine_set_row(mm->machine, mm, RF_ROW_folio_split);
	unsigned int shift = mm->arch.geometry->page_shift, order = pte_folio_order(*ptep);
	u64 folio = pte_folio_pfn(*ptep);
	u32 before = min_u64(pte_pfn(*ptep) - folio, pte_index(mm, addr)), unmapped = 0, mapped = 0, nr, i;
	pte_t *first = ptep - before;
	u64 start = addr - ((u64)before << shift);
	u64 pfn = pte_pfn(*ptep) - before;
	bool defer = mm_knobs(mm)->migrate_defer && should_defer_flush(mm, mm->arch.remote_cpus);
	u64 ours[MAX_PTRS_PER_PTE / 64];	/* bits; entries that were migrating before are not ours */

	folio_note_split(mm, *ptep, new_order);
	if (row != RF_ROW_folio_split)
		mm->machine->stats.operations[RF_ROW_folio_split]++;
	nr = min_u64(1ull << order, ptrs_per_pte(mm) - pte_index(mm, start));
	for (i = 0; i < nr; i++) {
		u64 at = start + ((u64)i << shift);
		pte_t pte;

		ours[i / 64] = i % 64 ? ours[i / 64] : 0;
		if (!same_folio(first[i], folio, order) || pte_pfn(first[i]) != pfn + i)
			continue;
		ours[i / 64] |= BIT_ULL(i % 64);
		rmap_walk_reads(mm, at, &first[i], rmap_walk_begins(mm, at, unmapped++));
		read_pte(mm, at, &first[i], RF_SITE_rmap_unmap);
		pte = unmap_clear_run(mm, at, &first[i], 1, defer);
		set_pte_at(mm, at, &first[i], migration_entry(pte, pte_pfn(pte)));
	}
	if (unmapped)
		try_to_unmap_flush(mm);
	for (i = 0; i < nr; i++) {
		u64 at = start + ((u64)i << shift);
		const struct vm_area *owner = vma;
		pte_t entry = first[i];

		if (!(ours[i / 64] & BIT_ULL(i % 64)))
			continue;
		/* The folio may reach into other VMAs, with other protections. */
		if (at < vma->start || at >= vma->end)
			owner = vma_lookup(mm, at);
		rmap_walk_reads(mm, at, &first[i], rmap_walk_begins(mm, at, mapped++));
		read_pte(mm, at, &first[i], RF_SITE_remove_migration);
		set_pte_at(mm, at, &first[i], migrated_pte(owner ? owner : vma, entry, pte_pfn(entry), new_order));
		update_mmu_cache(mm, at, 1);
	}
	machine_set_row(mm->machine, mm, row);
}

/*
 * split_folio() of a folio that a PMD maps: __split_huge_pmd_locked() with freeze, the table of migration entries that
 * it makes, and remap_page(). Others' mappings of it are left.
 */
int split_huge_folio(struct mm *mm, const struct vm_area *vma, pmd_t *pmd, u64 addr, unsigned int new_order)
{
	pte_t leaf = pmd_pte(*pmd), *table;
	u64 start = ALIGN_DOWN(addr, pmd_size(mm)), at = start;
	enum rf_row row;
	u32 i;

	if (!pte_present(leaf) || pte_special(leaf) || !(leaf.val & PTE_ANON))
		return split_huge_pmd(mm, vma, pmd, addr);
	folio_note_split(mm, leaf, new_order);
	row = machine_set_row(mm->machine, mm, RF_ROW_folio_split);
	pmd->val = 0;
	mm->arch.counters->pmd_splits++;
	flush_pmd_tlb_range(mm, start, start + pmd_size(mm));
	table = table_alloc(mm->machine->tables);
	if (!table) {
		mm->machine->error = -ENOMEM;
		return -ENOMEM;
	}
	for (i = 0; i < ptrs_per_pte(mm); i++, at += page_size(mm))
		set_pte_at(mm, at, &table[i], migration_entry(pte_advance_pfn(leaf, i), pte_pfn(leaf) + i));
	pmd->val = (uintptr_t)table;
	for (i = 0, at = start; i < ptrs_per_pte(mm); i++, at += page_size(mm)) {
		rmap_walk_reads(mm, at, &table[i], !i);
		read_pte(mm, at, &table[i], RF_SITE_remove_migration);
		set_pte_at(mm, at, &table[i], migrated_pte(vma, table[i], pte_pfn(leaf) + i, new_order));
		update_mmu_cache(mm, at, 1);
	}
	machine_set_row(mm->machine, mm, row);
	return 0;
}

/*
 * Entries that already are migration entries only learn their new order: their migration was an operation of its own.
 */
void op_folio_split(struct mm *mm, const struct rf_op *op)
{
	u64 addr = op->addr;
	u32 i;

	if (op->flags & RF_OP_RELOCK)
		flush_tlb_batched_pending(mm);
	for (i = 0; i < op->nr; i++, addr += page_size(mm)) {
		pmd_t *pmd = pmd_offset(mm, addr);
		struct vm_area *vma = vma_lookup(mm, addr);
		pte_t *ptep;

		if (!pmd || pmd_none(*pmd) || !vma)
			continue;
		if (pmd_leaf(*pmd) && op->order == mm->arch.geometry->table_shift) {
			mm_error(mm, split_huge_pmd(mm, vma, pmd, addr));
			return;
		}
		if (pmd_leaf(*pmd)) {
			if (split_huge_folio(mm, vma, pmd, addr, op->order))
				return;
			continue;
		}
		if (!pmd_table(*pmd))
			continue;
		ptep = pte_offset(mm, pmd, addr);
		if (pte_special(*ptep) || pte_folio_order(*ptep) <= op->order)
			continue;
		if (pte_present(*ptep))
			split_folio_ptes(mm, vma, addr, ptep, op->order);
		else
			ptep->val = (ptep->val & ~PTE_ORDER_MASK) | ((u64)op->order << PTE_ORDER_SHIFT);
	}
	if (op->flags & RF_OP_RELOCK)
		flush_tlb_batched_pending(mm);	/* of what was split here */
}
