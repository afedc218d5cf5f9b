// SPDX-License-Identifier: MIT
/*
 * Recordings on machines with larger pages: faults, and what is done through the reverse map. See rescale.h for the
 * rules.
 */
#include "engine/allocation.h"
#include "engine/pgtable.h"
#include "engine/rescale.h"

/* Granules that follow each other and are done alike. */
struct run {
	u64 addr;
	u32 nr;
};

static pte_t entry_at(const struct rescaling *r, u64 addr)
{
	return rf_machine_lookup(r->machine, r->op->mm, addr);
}

static bool nothing_there(pte_t pte)
{
	return pte_none(pte) || is_guard_marker(pte);
}

/* A folio as large as a granule or larger, whose pages and addresses are alike in their place within granules. */
static bool fits(const struct rescaling *r)
{
	u64 page = r->op->addr >> r->rescale->recorded_shift;

	return r->op->order >= r->rescale->shift && !((page ^ r->op->pfn) & ((1u << r->rescale->shift) - 1));
}

static unsigned int order_here(const struct rescaling *r)
{
	return r->op->order >= r->rescale->shift ? r->op->order - r->rescale->shift : 0;
}

/* The page frame of the granule at addr, of an operation that has its first frame at op->addr. */
static u64 pfn_here(const struct rescaling *r, u64 addr)
{
	s64 pages = (s64)(addr - granule_start(r, r->op->addr)) >> r->rescale->page_shift;

	return (r->op->pfn >> r->rescale->shift) + pages;
}

static void count_folio(const struct rescaling *r)
{
	unsigned int leaf_order = 21 - r->rescale->recorded_shift;

	if (r->op->order < r->rescale->shift)
		count_inexact(r, RF_INEXACT_small_folios);
	else if (r->rescale->recorded_shift == 12 && r->op->order == leaf_order)
		count_inexact(r, RF_INEXACT_huge_pages);
}

/* ---- one granule, one fault --------------------------------------------------------------- */

static int run_page(const struct rescaling *r, enum rf_op_kind kind, u64 addr, u64 pfn, u16 flags)
{
	struct rf_op op = *r->op;

	op.kind = kind;
	op.addr = granule_start(r, addr);
	op.pfn = pfn;
	op.order = 0;
	op.nr = 1;
	op.flags = flags;
	return allocation_op(r->machine, &op);
}

/* A fault on a granule that is not empty: only what the entry does not allow yet is still to be done. */
static int fault_again(const struct rescaling *r, u64 addr, pte_t pte, bool write)
{
	const struct vm_area *vma = vma_lookup(r->mm, addr);
	const struct rf_op *op = r->op;
	u16 flags = op->flags & RF_OP_POPULATE;

	if (is_migration_entry(pte)) {
		flags = (pte.val & PTE_WRITE ? RF_OP_WRITE : 0) | (pte.val & PTE_EXCLUSIVE ? RF_OP_EXCLUSIVE : 0);
		count_inexact(r, RF_INEXACT_faults_changed);
		return run_page(r, RF_OP_MIGRATE_IN, addr, pte_pfn(pte), flags | (pte.val & PTE_ANON ? RF_OP_ANON : 0));
	}
	if (pte_swap(pte)) {
		count_inexact(r, RF_INEXACT_faults_changed);
		return run_page(r, RF_OP_FAULT_SWAP, addr, op->pfn >> r->rescale->shift,
				flags | RF_OP_EXCLUSIVE | (write ? RF_OP_WRITE : 0));
	}
	if (!write || pte_write(pte) || pte_protnone(pte)) {
		count_inexact(r, RF_INEXACT_faults_merged);
		return 0;
	}
	count_inexact(r, RF_INEXACT_faults_changed);
	if ((pte.val & PTE_EXCLUSIVE) || (vma && (vma->flags & RF_VM_SHARED)))
		return run_page(r, RF_OP_FAULT_REUSE, addr, 0, flags | RF_OP_WRITE);
	return run_page(r, RF_OP_FAULT_COW, addr, op->pfn >> r->rescale->shift, flags | RF_OP_WRITE);
}

/* May the whole folio be put there at once? Over what is not written yet, if it is a copy. */
static bool folio_has_room(const struct rescaling *r, u64 start, u32 nr, bool copy)
{
	const struct vm_area *vma = vma_lookup(r->mm, start);
	u64 end = start + ((u64)nr << r->rescale->page_shift), addr;
	pte_t pte;

	if (!vma || end > vma->end)
		return false;
	for (addr = start; addr < end; addr += granule_size(r)) {
		pte = entry_at(r, addr);
		if (!nothing_there(pte) && (!copy || !pte_present(pte) || pte_write(pte)))
			return false;
	}
	return true;
}

/* A new folio, for pages that were none (FAULT_ANON) or for a copy. */
int rescale_fault_folio(const struct rescaling *r)
{
	bool copy = r->op->kind == RF_OP_FAULT_COW, room;
	unsigned int order = order_here(r);
	u64 start = ALIGN_DOWN(r->op->addr, granule_size(r) << order), addr;
	struct rf_op op = *r->op;
	u32 nr = 1u << order;
	pte_t pte;
	int err = 0;

	count_folio(r);
	room = folio_has_room(r, start, nr, copy);
	op.order = order;
	op.pfn >>= r->rescale->shift;
	if (room)
		return allocation_op(r->machine, &op);
	op.order = 0;
	for (addr = start; addr < start + nr * granule_size(r) && !err; addr += granule_size(r)) {
		bool faulted = addr == granule_start(r, r->op->addr);

		op.addr = addr;
		op.pfn = (r->op->pfn >> r->rescale->shift) + ((addr - start) >> r->rescale->page_shift);
		pte = entry_at(r, addr);
		if (nothing_there(pte) && (faulted || vma_lookup(r->mm, addr)))
			err = allocation_op(r->machine, &op);
		else if (faulted)
			err = fault_again(r, addr, pte, true);
	}
	if (nr > 1)
		count_inexact(r, RF_INEXACT_folios_broken);
	return err;
}

int rescale_fault_zero(const struct rescaling *r)
{
	pte_t pte = entry_at(r, granule_start(r, r->op->addr));

	if (r->op->order)
		count_inexact(r, RF_INEXACT_huge_pages);
	if (nothing_there(pte))
		return run_page(r, RF_OP_FAULT_ZERO, r->op->addr, r->op->pfn >> r->rescale->shift, r->op->flags);
	return fault_again(r, r->op->addr, pte, false);
}

int rescale_fault_reuse(const struct rescaling *r)
{
	u64 addr = granule_start(r, r->op->addr);
	pte_t pte = entry_at(r, addr);

	if (nothing_there(pte)) {
		count_inexact(r, RF_INEXACT_pages_missing);
		return 0;
	}
	if (pte_present(pte) && !pte_write(pte))
		return allocation_op(r->machine, r->op);
	return fault_again(r, addr, pte, true);
}

/* ---- runs -------------------------------------------------------------------------------------- */

/* nr granules, as the operation says it of pages. */
static int emit(const struct rescaling *r, const struct run *run)
{
	struct rf_op op = *r->op;
	bool large = fits(r);

	if (!run->nr)
		return 0;
	op.addr = run->addr;
	op.nr = run->nr;
	op.pfn = pfn_here(r, run->addr);
	op.order = large ? order_here(r) : 0;
	op.flags &= ~RF_OP_ZERO;	/* nobody knows of the granule's other pages */
	if (op.kind == RF_OP_FAULT_ANON)	/* a loaded leaf, which is none here */
		op.kind = RF_OP_FAULT_SWAP;
	return allocation_op(r->machine, &op);
}

/* Granules one after the other, one operation for each stretch; a folio that does not fit is pages of its own. */
static int add_to_run(const struct rescaling *r, struct run *run, u64 addr)
{
	int err;

	if (run->nr && fits(r) && addr == run->addr + ((u64)run->nr << r->rescale->page_shift)) {
		run->nr++;
		return 0;
	}
	err = emit(r, run);
	*run = (struct run){ addr, 1 };
	return err;
}

/* The first run of a fault-around that mapped nothing hands its place to the next. */
void rescale_fault_begins(const struct rescaling *r)
{
	struct rescale *rescale = r->rescale;
	const struct rf_op *op = r->op;

	if (!rescale->owes_first || (op->kind == RF_OP_FAULT_FILE && !(op->flags & RF_OP_FIRST)))
		return;
	rescale->owes_first = false;
	count_inexact(r, RF_INEXACT_faults_merged);
}

int rescale_fault_file(const struct rescaling *r)
{
	struct rescale *rescale = r->rescale;
	u64 addr = granule_start(r, r->op->addr), hit = granule_start(r, r->op->aux);
	u64 end = r->op->addr + ((u64)r->op->nr << rescale->recorded_shift);
	struct rf_op op = *r->op;
	struct rescaling own = *r;
	struct run run = { 0 };
	bool mapped = false, again = false;
	u32 before;
	pte_t pte;
	int err = 0;

	own.op = &op;
	if (rescale->owes_first && rescale->owed_address == op.aux)
		op.flags |= RF_OP_FIRST;
	count_folio(r);
	if (op.order >= rescale->shift && !fits(r))
		count_inexact(r, RF_INEXACT_misaligned_runs);
	for (; addr < end && !err; addr += granule_size(r)) {
		pte = entry_at(r, addr);
		if (nothing_there(pte)) {
			before = run.nr;
			err = add_to_run(&own, &run, addr);
			if (before && run.nr == 1)	/* the run before is done */
				op.flags &= ~RF_OP_FIRST;
			mapped = true;
		} else if (addr == hit && (op.flags & RF_OP_WRITE)) {
			err = fault_again(r, addr, pte, true);
			again = true;
		}
	}
	rescale->owes_first = (op.flags & RF_OP_FIRST) && !mapped && !again;
	rescale->owed_address = op.aux;
	return err ? err : emit(&own, &run);
}

/* Swap entries become pages; where there is none any more, it is a new page. */
int rescale_fault_swap(const struct rescaling *r)
{
	u64 addr = granule_start(r, r->op->addr);
	u64 end = r->op->addr + ((u64)(r->op->nr ? r->op->nr : 1) << r->rescale->recorded_shift);
	struct run run = { 0 };
	pte_t pte;
	int err = 0;

	count_folio(r);
	for (; addr < end && !err; addr += granule_size(r)) {
		pte = entry_at(r, addr);
		if (pte_swap(pte) && !is_migration_entry(pte) && !is_guard_marker(pte))
			err = add_to_run(r, &run, addr);
		else if (nothing_there(pte))
			err = run_page(r, RF_OP_FAULT_ANON, addr, pfn_here(r, addr), r->op->flags);
		else
			err = fault_again(r, addr, pte, r->op->flags & RF_OP_WRITE);
	}
	return err ? err : emit(r, &run);
}

/* What was found at attach. */
int rescale_load(const struct rescaling *r)
{
	u64 addr = granule_start(r, r->op->addr);
	u64 end = r->op->addr + ((u64)(r->op->nr ? r->op->nr : 1) << r->rescale->recorded_shift);
	struct run run = { 0 };
	int err = 0;

	if (r->op->kind == RF_OP_UNMAP_FILE)	/* it was never there */
		return rescale_run(r);
	count_folio(r);
	for (; addr < end && !err; addr += granule_size(r))
		if (vma_lookup(r->mm, addr) && pte_none(entry_at(r, addr)))
			err = add_to_run(r, &run, addr);
	return err ? err : emit(r, &run);
}

/* ---- through the reverse map ----------------------------------------------------------------------- */

/* Is the page that stands for the granule, the first that is mapped, among those of the operation? */
static bool stands_for(const struct rescaling *r, u64 granule)
{
	u16 mapped = rescale_mapped(r, granule);
	u64 page = granule, end = r->op->addr + ((u64)r->op->nr << r->rescale->recorded_shift);

	if (mapped)
		page += (u64)__builtin_ctz(mapped) << r->rescale->recorded_shift;
	return page >= r->op->addr && page < end;
}

static bool can_be_done(const struct rescaling *r, pte_t pte)
{
	if (r->op->kind == RF_OP_MIGRATE_IN)
		return is_migration_entry(pte);
	return pte_present(pte);
}

int rescale_run(const struct rescaling *r)
{
	u64 addr = granule_start(r, r->op->addr);
	u64 end = r->op->addr + ((u64)r->op->nr << r->rescale->recorded_shift);
	struct run run = { 0 };
	bool any = false;
	int err = 0;

	if (!r->op->nr)
		return allocation_op(r->machine, r->op);
	for (; addr < end && !err; addr += granule_size(r)) {
		if (!stands_for(r, addr))
			continue;
		any = true;
		if (can_be_done(r, entry_at(r, addr)))
			err = add_to_run(r, &run, addr);
		else
			count_inexact(r, RF_INEXACT_pages_missing);
	}
	if (!any)
		count_inexact(r, RF_INEXACT_pages_left);
	return err ? err : emit(r, &run);
}
