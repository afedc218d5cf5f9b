// SPDX-License-Identifier: MIT
/* Page faults: mm/memory.c, mm/filemap.c; kernel-model.md 4.1-4.3, 4.11. */
#include "engine/allocation.h"
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/tlb.h"

/* ---- what all faults begin with ------------------------------------------------ */

/* How many entries are none before one that is not. */
static u32 count_none(const pte_t *ptep, u32 nr)
{
	u32 i = 0;

	for (; i + 8 <= nr; i += 8)
		if (ptep[i].val | ptep[i + 1].val | ptep[i + 2].val | ptep[i + 3].val | ptep[i + 4].val |
		    ptep[i + 5].val | ptep[i + 6].val | ptep[i + 7].val)
			break;
	while (i < nr && !ptep[i].val)
		i++;
	return i;
}

/* pte_range_none(): lockless reads until one is not none. */
static bool pte_range_none(struct mm *mm, const pte_t *ptep, u32 nr)
{
	struct arch_counters *counters = mm->arch.counters;
	u32 i = count_none(ptep, nr);

	counters->ptep_get_lockless += i;
	counters->pte_loads += i;
	counters->pte_lines += i;
	count_reads(mm, RF_SITE_pte_range_none, i, i, i);
	return i == nr;
}

/* handle_pte_fault(): one lockless read, if there is a table to read from. */
static void fault_reads_pte(struct mm *mm, u64 addr)
{
	pmd_t *pmd = pmd_offset(mm, addr);

	if (pmd && pmd_table(*pmd))
		read_pte_lockless(mm, addr, pte_offset(mm, pmd, addr), RF_SITE_fault_entry);
}

/*
 * A table for addr. A leaf in the way contradicts a fault on one of its entries: the recorded kernel had split it, so
 * split it here.
 */
static pte_t *fault_pte_alloc(struct mm *mm, const struct vm_area *vma, u64 addr)
{
	pmd_t *pmd = pmd_alloc(mm, addr);

	if (!pmd)
		return NULL;
	if (pmd_leaf(*pmd) && split_huge_pmd(mm, vma, pmd, addr))
		return NULL;
	return pte_alloc(mm, pmd, addr);
}

/* Entries that a fault should have found none: take what is there out of the way, and say so. */
static void displace_ptes(struct mm *mm, u64 addr, pte_t *ptep, u32 nr)
{
	for (u32 i = count_none(ptep, nr); i < nr; i++) {
		if (!ptep[i].val)
			continue;
		if (!is_guard_marker(ptep[i]))
			count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
		folio_remove_rmap(mm, ptep[i], 1);
		mm->arch.ops->pte_clear(&mm->arch, addr + ((u64)i << mm->arch.geometry->page_shift), &ptep[i]);
	}
}

/* Pages of a folio and where an operation maps them. */
struct run {
	u64 addr, pfn;
	u32 nr;
};

/* Faults map nothing outside their VMA; if an operation would, the VMAs are wrong somewhere. */
static struct run clip_to_vma(struct mm *mm, const struct vm_area *vma, u64 addr, u64 pfn, u64 nr)
{
	unsigned int shift = mm->arch.geometry->page_shift;
	u64 start = max_u64(addr, vma->start), end = min_u64(addr + (nr << shift), vma->end);

	if (end - start != nr << shift)
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
	if (end <= start)
		return (struct run){ .addr = start };
	return (struct run){ start, pfn + ((start - addr) >> shift), (end - start) >> shift };
}

/* Pages of a run that starts at addr and fit its table. */
static u32 clip_to_table(const struct mm *mm, u64 addr, u64 nr)
{
	return min_u64(nr, ptrs_per_pte(mm) - pte_index(mm, addr));
}

/*
 * set_ptes() of a run that an operation gave: callers of the kernel's never cross a folio, and backends rely on it to
 * let blocks be born folded.
 */
static void set_folio_ptes(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 nr)
{
	u64 size = 1ull << pte_folio_order(pte);
	u32 part;

	for (; nr; nr -= part) {
		part = min_u64(nr, size - (pte_pfn(pte) & (size - 1)));
		mm->arch.ops->set_ptes(&mm->arch, addr, ptep, pte, part);
		pte = pte_advance_pfn(pte, part);
		addr += (u64)part << mm->arch.geometry->page_shift;
		ptep += part;
	}
}

/* vma_alloc_folio() for a fault, cleared or to be copied to. */
static void new_folio(struct mm *mm, u32 zeroed, u32 copied)
{
	mm->arch.counters->folios_allocated++;
	mm->arch.counters->pages_zeroed += zeroed;
	mm->arch.counters->pages_copied += copied;
}

/* ---- anonymous memory ------------------------------------------------------------ */

/* do_huge_pmd_anonymous_page() */
static bool fault_anon_pmd(struct mm *mm, struct vm_area *vma, u64 addr, u64 pfn, u64 facts)
{
	u64 start = ALIGN_DOWN(addr, pmd_size(mm));
	pmd_t *pmd;
	pte_t entry;

	if (start < vma->start || start + pmd_size(mm) > vma->end)
		return false;
	pmd = pmd_alloc(mm, start);
	if (!pmd || !pmd_none(*pmd))
		return false;
	vma_anon_prepare(mm, vma);			/* of the huge zero page, too: fork copies it */
	mm->arch.counters->tables_allocated++;		/* pgtable_trans_huge_deposit() */
	entry = mk_pte(vma, pfn, mm->arch.geometry->table_shift, facts);
	if (!(facts & PTE_SPECIAL))
		entry = maybe_mkwrite(pte_mkdirty(entry), vma);
	set_pmd_leaf(pmd, entry);
	folio_add_rmap(mm, entry, ptrs_per_pte(mm));
	update_mmu_cache(mm, start, 1);
	return true;
}

/* do_anonymous_page() */
void op_fault_anon(struct mm *mm, const struct rf_op *op)
{
	const u64 facts = PTE_ANON | PTE_EXCLUSIVE;
	struct vm_area *vma = vma_of_fault(mm, op->addr, false);
	unsigned int order = op->order;
	pte_t *ptep, entry;
	struct run run;

	if (!vma)
		return;
	vma_anon_prepare(mm, vma);
	new_folio(mm, 1u << order, 0);
	if (order >= mm->arch.geometry->table_shift) {
		if (order == mm->arch.geometry->table_shift && fault_anon_pmd(mm, vma, op->addr, op->pfn, facts))
			return;
		order = mm->arch.geometry->table_shift;
	}
	fault_reads_pte(mm, op->addr);
	run = clip_to_vma(mm, vma, ALIGN_DOWN(op->addr, page_size(mm) << order), op->pfn, 1u << order);
	ptep = fault_pte_alloc(mm, vma, run.addr);
	if (!ptep)
		return;
	if (run.nr == 1) {
		read_pte(mm, run.addr, ptep, RF_SITE_fault_recheck);
	} else {
		pte_range_none(mm, ptep, run.nr);	/* alloc_anon_folio(), then again under the lock */
		pte_range_none(mm, ptep, run.nr);
	}
	displace_ptes(mm, run.addr, ptep, run.nr);
	entry = maybe_mkwrite(pte_mkdirty(mk_pte(vma, run.pfn, op->order, facts)), vma);
	set_folio_ptes(mm, run.addr, ptep, entry, run.nr);
	folio_add_rmap(mm, entry, run.nr);
	update_mmu_cache(mm, run.addr, run.nr);
}

void op_fault_zero(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_of_fault(mm, op->addr, false);
	u64 addr = ALIGN_DOWN(op->addr, page_size(mm));
	pte_t *ptep;

	if (!vma)
		return;
	if (op->order && op->order == mm->arch.geometry->table_shift &&
	    fault_anon_pmd(mm, vma, op->addr, op->pfn, PTE_SPECIAL))
		return;
	fault_reads_pte(mm, addr);
	ptep = fault_pte_alloc(mm, vma, addr);
	if (!ptep)
		return;
	read_pte(mm, addr, ptep, RF_SITE_fault_recheck);
	displace_ptes(mm, addr, ptep, 1);
	set_pte_at(mm, addr, ptep, mk_pte(vma, op->pfn, 0, PTE_SPECIAL));
	update_mmu_cache(mm, addr, 1);
}

/* ---- files ---------------------------------------------------------------------- */

/* do_set_pmd(): a run that is a whole PMD of one folio, and nothing there. */
static bool fault_file_pmd(struct mm *mm, const struct vm_area *vma, const struct rf_op *op, pte_t entry)
{
	pmd_t *pmd;

	if (op->order != mm->arch.geometry->table_shift || op->nr != ptrs_per_pte(mm) ||
	    op->addr & (pmd_size(mm) - 1) || op->addr < vma->start || op->addr + pmd_size(mm) > vma->end)
		return false;
	pmd = pmd_alloc(mm, op->addr);
	if (!pmd || !pmd_none(*pmd))
		return false;
	set_pmd_leaf(pmd, entry);
	update_mmu_cache(mm, op->addr, 1);
	return true;
}

/* set_pte_range()'s entry */
static pte_t file_entry(const struct mm *mm, const struct vm_area *vma, const struct rf_op *op)
{
	u64 end = op->addr + ((u64)op->nr << mm->arch.geometry->page_shift);
	pte_t entry = mk_pte(vma, op->pfn, op->order, op->flags & RF_OP_SHMEM ? PTE_SHMEM : 0);

	if ((op->aux < op->addr || op->aux >= end) && mm->arch.ops->old_prefaulted_ptes && mm_knobs(mm)->prefault_old)
		entry = pte_mkold(entry);
	if (op->flags & RF_OP_WRITE)
		entry = maybe_mkwrite(pte_mkdirty(entry), vma);
	return entry;
}

/* The re-check of a file fault: fault-around and single pages read with ptep_get(), whole folios without lock. */
static void file_recheck(struct mm *mm, const struct rf_op *op, u64 addr, pte_t *ptep, u32 nr)
{
	enum rf_site site = op->flags & RF_OP_FAULT_AROUND ? RF_SITE_fault_around : RF_SITE_fault_recheck;
	u32 i = 0;

	if (nr > 1 && !(op->flags & RF_OP_FAULT_AROUND)) {
		pte_range_none(mm, ptep, nr);
		return;
	}
	while (i < nr) {
		i += skip_none_ptes(mm, ptep + i, nr - i, site);
		if (i < nr) {
			read_pte(mm, addr + ((u64)i << mm->arch.geometry->page_shift), ptep + i, site);
			i++;
		}
	}
}

/* set_pte_range(); do_set_pte() was called page by page until 6.5. */
static void set_file_ptes(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 nr)
{
	u32 i;

	if (mm_knobs(mm)->fault_around_runs) {
		count_run(mm, RF_RUN_faultaround_set, nr, nr > 1);
		set_folio_ptes(mm, addr, ptep, pte, nr);
		return;
	}
	for (i = 0; i < nr; i++)
		set_pte_at(mm, addr + ((u64)i << mm->arch.geometry->page_shift), ptep + i, pte_advance_pfn(pte, i));
}

/* do_read_fault(), do_shared_fault() and filemap_map_pages(): one run of one folio. */
void op_fault_file(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_of_fault(mm, op->addr, true);
	pte_t entry, *ptep;
	struct run run;
	u32 nr;

	if (!vma)
		return;
	if (op->flags & RF_OP_FIRST)
		fault_reads_pte(mm, op->aux);
	entry = file_entry(mm, vma, op);
	if (fault_file_pmd(mm, vma, op, entry))
		return;
	run = clip_to_vma(mm, vma, op->addr, op->pfn, op->nr);
	entry = pte_advance_pfn(entry, run.pfn - op->pfn);
	for (; run.nr; run.nr -= nr, run.addr += (u64)nr << mm->arch.geometry->page_shift) {
		nr = clip_to_table(mm, run.addr, run.nr);
		ptep = fault_pte_alloc(mm, vma, run.addr);
		if (!ptep)
			return;
		file_recheck(mm, op, run.addr, ptep, nr);
		displace_ptes(mm, run.addr, ptep, nr);
		set_file_ptes(mm, run.addr, ptep, entry, nr);
		update_mmu_cache(mm, run.addr, nr);
		entry = pte_advance_pfn(entry, nr);
	}
}

/* ---- write faults ------------------------------------------------------------------ */

/* do_huge_zero_wp_pmd(): a huge page replaces the huge zero page. */
static bool cow_pmd(struct mm *mm, const struct vm_area *vma, const struct rf_op *op, pte_t entry)
{
	u64 addr = ALIGN_DOWN(op->addr, pmd_size(mm));
	pmd_t *pmd = pmd_offset(mm, addr);

	if (!op->order || op->order != mm->arch.geometry->table_shift || !pmd || !pmd_leaf(*pmd))
		return false;
	new_folio(mm, 1u << op->order, 0);
	set_pmd_leaf(pmd, entry);
	folio_add_rmap(mm, entry, ptrs_per_pte(mm));
	flush_pmd_tlb_range(mm, addr, addr + pmd_size(mm));
	update_mmu_cache(mm, addr, 1);
	return true;
}

/*
 * Write fault with a copy. On an empty entry it is do_cow_fault(), on a present one wp_page_copy(): clear and flush
 * come strictly before the new entry.
 */
void op_fault_cow(struct mm *mm, const struct rf_op *op)
{
	const struct arch_ops *ops = mm->arch.ops;
	struct vm_area *vma = vma_of_fault(mm, op->addr, false);
	unsigned int order = op->order;
	pte_t *ptep, old, entry;
	struct run run;
	u32 i, copied = 0;

	if (!vma)
		return;
	vma_anon_prepare(mm, vma);
	entry = maybe_mkwrite(pte_mkdirty(mk_pte(vma, op->pfn, order, PTE_ANON | PTE_EXCLUSIVE)), vma);
	if (cow_pmd(mm, vma, op, entry))
		return;
	if (order > mm->arch.geometry->table_shift)
		order = mm->arch.geometry->table_shift;
	fault_reads_pte(mm, op->addr);
	run = clip_to_vma(mm, vma, ALIGN_DOWN(op->addr, page_size(mm) << order), op->pfn, 1u << order);
	ptep = fault_pte_alloc(mm, vma, run.addr);
	if (!ptep)
		return;
	old = read_pte(mm, run.addr, ptep, RF_SITE_fault_recheck);
	if (pte_present(old)) {
		read_pte(mm, run.addr, ptep, RF_SITE_do_wp_page);
		read_pte(mm, run.addr, ptep, RF_SITE_wp_page_copy);
	}
	for (i = 0; i < run.nr; i++) {
		u64 addr = run.addr + ((u64)i << mm->arch.geometry->page_shift);

		/* The zero page is not copied; a file's page is, that is not mapped yet. */
		copied += pte_present(ptep[i]) ? !pte_special(ptep[i]) : run.nr == 1;
		folio_remove_rmap(mm, ptep[i], 1);
		if (pte_present(ptep[i]))
			ops->ptep_clear_flush(&mm->arch, addr, &ptep[i]);
		else if (run.nr > 1 && ptep[i].val)
			ops->pte_clear(&mm->arch, addr, &ptep[i]);
	}
	new_folio(mm, run.nr - copied, copied);
	entry = pte_advance_pfn(entry, run.pfn - op->pfn);
	set_folio_ptes(mm, run.addr, ptep, entry, run.nr);
	folio_add_rmap(mm, entry, run.nr);
	update_mmu_cache(mm, run.addr, run.nr);
}

/* ---- swap ------------------------------------------------------------------------- */

/* The entries of a swap-in should be swap entries; what else is there goes. */
static void displace_unswapped(struct mm *mm, u64 addr, pte_t *ptep, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (pte_swap(ptep[i]))
			continue;
		count_anomaly(mm->machine, ptep[i].val ? RF_ANOMALY_mapped_twice : RF_ANOMALY_missing_pte);
		folio_remove_rmap(mm, ptep[i], 1);
		if (ptep[i].val)
			mm->arch.ops->pte_clear(&mm->arch, addr + ((u64)i << mm->arch.geometry->page_shift), &ptep[i]);
	}
}

/*
 * swap_vma_readahead(): which of the entries around are swapped out, too? Its window follows its hits, of which nobody
 * tells; here it has one size. What it read from swap is found by faults to come (RF_OP_CACHED).
 */
static void swap_readahead(struct mm *mm, const struct vm_area *vma, u64 addr)
{
	u32 window = mm_knobs(mm)->swap_readahead;
	u64 before = (window - 1) / 2 * page_size(mm), table = ALIGN_DOWN(addr, pmd_size(mm)), at, end;
	pmd_t *pmd = pmd_offset(mm, addr);

	if (window < 2 || !pmd || !pmd_table(*pmd))
		return;
	at = max_u64(addr - table > before ? addr - before : table, vma->start);
	end = min_u64(min_u64(addr - before + window * page_size(mm), vma->end), table + pmd_size(mm));
	for (; at < end; at += page_size(mm))
		read_pte_lockless(mm, at, pte_offset(mm, pmd, at), RF_SITE_swap_readahead);
}

/* do_swap_page(): nr entries become present again. */
void op_fault_swap(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_of_fault(mm, op->addr, false);
	pte_t *ptep, old, entry;
	struct run run;
	bool exclusive;

	if (!vma)
		return;
	vma_anon_prepare(mm, vma);
	fault_reads_pte(mm, op->addr);
	if (!(op->flags & RF_OP_CACHED)) {
		new_folio(mm, 0, 0);
		swap_readahead(mm, vma, ALIGN_DOWN(op->addr, page_size(mm)));
	}
	ptep = fault_pte_alloc(mm, vma, op->addr);
	if (!ptep)
		return;
	run = clip_to_vma(mm, vma, op->addr, op->pfn, op->nr ? op->nr : 1);
	run.nr = clip_to_table(mm, run.addr, run.nr);
	old = read_pte(mm, run.addr, ptep, RF_SITE_do_swap_page);
	if (run.nr > 1 && pte_swap(old))
		swap_pte_batch(mm, run.addr, ptep, old, run.nr);
	displace_unswapped(mm, run.addr, ptep, run.nr);
	exclusive = (op->flags & (RF_OP_EXCLUSIVE | RF_OP_WRITE)) || (pte_swap(old) && (old.val & PTE_EXCLUSIVE));
	entry = mk_pte(vma, run.pfn, op->order, PTE_ANON | (exclusive ? PTE_EXCLUSIVE : 0));
	if (exclusive)
		entry = maybe_mkwrite(op->flags & RF_OP_WRITE ? pte_mkdirty(entry) : entry, vma);
	if (pte_swap(old) && (old.val & PTE_UFFD))
		entry = pte_wrprotect((pte_t){ entry.val | PTE_UFFD });
	set_folio_ptes(mm, run.addr, ptep, entry, run.nr);
	folio_add_rmap(mm, entry, run.nr);
	update_mmu_cache(mm, run.addr, run.nr);
}

/* huge_pmd_set_accessed() */
static void set_pmd_accessed(struct mm *mm, u64 addr, pmd_t *pmd, bool write)
{
	pte_t pte = pmd_pte(*pmd);

	if (!pte_valid(pte) || (write && !pte_write(pte)))
		return;
	pte = pte_mkyoung(write ? pte_mkdirty(pte) : pte);
	if (pte.val != pmd_pte(*pmd).val)
		mm->arch.ops->flush_pmd_access(&mm->arch, addr);
	set_pmd_leaf(pmd, pte);
	update_mmu_cache(mm, addr, 1);
}

/*
 * A fault that mapped nothing: handle_pte_fault() on an entry that permits the access by now. A CPU that does not set A
 * and D by itself comes here for them; otherwise a write met a stale TLB.
 */
void op_fault_none(struct mm *mm, const struct rf_op *op)
{
	const struct arch_ops *ops = mm->arch.ops;
	u64 addr = ALIGN_DOWN(op->addr, page_size(mm));
	bool write = op->flags & RF_OP_WRITE;
	pmd_t *pmd = pmd_offset(mm, addr);
	pte_t *ptep, pte;

	if (pmd && pmd_leaf(*pmd)) {
		set_pmd_accessed(mm, addr, pmd, write);
		return;
	}
	if (!pmd || !pmd_table(*pmd))
		return;
	ptep = pte_offset(mm, pmd, addr);
	read_pte_lockless(mm, addr, ptep, RF_SITE_fault_entry);
	pte = read_pte(mm, addr, ptep, RF_SITE_fault_recheck);
	if (!pte_valid(pte) || (write && !pte_write(pte)))
		return;
	pte = pte_mkyoung(write ? pte_mkdirty(pte) : pte);
	if (ops->ptep_set_access_flags(&mm->arch, addr, ptep, pte, write))
		update_mmu_cache(mm, addr, 1);
	else if (write)
		ops->flush_tlb_fix_spurious_fault(&mm->arch, addr);
}
