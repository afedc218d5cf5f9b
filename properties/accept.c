// SPDX-License-Identifier: MIT
/*
 * Which operations a kernel could do in a given state. Streams hold no others, so every machine must execute them
 * without an anomaly; and shortened streams, whose operations may have lost their ground, skip what no longer stands.
 */
#include "properties/property.h"

#define ACCESS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

/* What an operation is about, looked up once. */
struct target {
	struct trial *t;
	const struct rf_op *op;
	const struct reference *r;
	const struct ref_page *pages;
	u32 first, nr;
	u32 vma;		/* flags of the first page's VMA */
	u64 span_start, span_end;
};

static bool all_of_kind(const struct target *on, enum ref_kind kind)
{
	u32 i;

	for (i = 0; i < on->nr; i++)
		if (on->pages[on->first + i].kind != kind)
			return false;
	return true;
}

static bool all_unmapped(const struct target *on, u32 first, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (on->pages[first + i].vma)
			return false;
	return true;
}

/* Every page has all of the bits in set, and none of those in clear. */
static bool all_bits(const struct target *on, u16 set, u16 clear)
{
	u32 i;

	for (i = 0; i < on->nr; i++)
		if ((on->pages[on->first + i].bits & (set | clear)) != set)
			return false;
	return true;
}

static bool in_one_window(const struct reference *r, u32 first, u32 nr)
{
	const struct reference_window *window = &r->windows[first != NO_PAGE && first >= r->windows[1].first];

	return first != NO_PAGE && nr && nr <= window->nr && first - window->first <= window->nr - nr;
}

static bool in_one_vma(const struct target *on)
{
	u64 start = reference_addr(on->r, on->first);

	return on->vma && start >= on->span_start && start + ((u64)on->nr << on->r->page_shift) <= on->span_end;
}

static bool in_one_table(const struct target *on)
{
	return on->first / on->r->table_pages == (on->first + on->nr - 1) / on->r->table_pages;
}

/* nr pages from pfn are of one folio of this order. */
static bool in_one_folio(u64 pfn, u32 nr, unsigned int order)
{
	return (pfn & ((1ull << order) - 1)) + nr <= 1ull << order;
}

static bool private_anon(u32 vma)
{
	return vma && !(vma & (REF_FILE | RF_VM_SHARED));
}

static unsigned int table_order(const struct reference *r)
{
	return __builtin_ctz(r->table_pages);
}

/* ---- faults ---- */

static bool accept_fault_anon(struct target *on)
{
	return private_anon(on->vma) && (on->vma & RF_VM_WRITE) && in_one_vma(on) && all_of_kind(on, REF_NONE) &&
	       on->op->order <= table_order(on->r) && in_one_folio(on->op->pfn, on->nr, on->op->order);
}

static bool accept_fault_file(struct target *on)
{
	const struct rf_op *op = on->op;

	if (!(on->vma & REF_FILE) || !(on->vma & ACCESS) || !in_one_vma(on) || !all_of_kind(on, REF_NONE) ||
	    !in_one_folio(op->pfn, on->nr, op->order) || op->order >= table_order(on->r))
		return false;
	if ((op->flags & RF_OP_WRITE) && (on->vma & (RF_VM_SHARED | RF_VM_WRITE)) != (RF_VM_SHARED | RF_VM_WRITE))
		return false;
	return !(op->flags & RF_OP_SHMEM) == !(on->vma & RF_VM_SHMEM);
}

static bool accept_fault_cow(struct target *on)
{
	u32 i;

	if (!on->vma || (on->vma & RF_VM_SHARED) || !(on->vma & RF_VM_WRITE) || !in_one_vma(on) ||
	    on->op->order >= table_order(on->r) || !in_one_folio(on->op->pfn, on->nr, on->op->order))
		return false;
	for (i = 0; i < on->nr; i++) {
		const struct ref_page *page = &on->pages[on->first + i];

		if (page->kind == REF_NONE ? !(on->vma & REF_FILE) :
		    page->kind != REF_PRESENT || page->bits & (REF_WRITE | REF_PROTNONE))
			return false;
	}
	return true;
}

static bool accept_fault_reuse(struct target *on)
{
	const struct ref_page *page = &on->pages[on->first];

	if (page->kind != REF_PRESENT || !(on->vma & RF_VM_WRITE) || (page->bits & (REF_PROTNONE | REF_SPECIAL)))
		return false;
	return (on->vma & RF_VM_SHARED) || (page->bits & REF_ANON);
}

static bool accept_fault_swap(struct target *on)
{
	const struct rf_op *op = on->op;
	bool exclusive = on->pages[on->first].bits & REF_EXCLUSIVE;

	if (!private_anon(on->vma) || !(on->vma & ACCESS) || !in_one_vma(on) || !in_one_table(on) ||
	    !in_one_folio(op->pfn, on->nr, op->order) || op->order >= table_order(on->r))
		return false;
	if ((op->flags & RF_OP_WRITE) && !(on->vma & RF_VM_WRITE))
		return false;
	if (op->flags & RF_OP_LOAD)
		return all_of_kind(on, REF_NONE);
	return all_of_kind(on, REF_SWAP) && all_bits(on, exclusive ? REF_EXCLUSIVE : 0, exclusive ? 0 : REF_EXCLUSIVE);
}

static bool accept_fault(struct target *on)
{
	switch (on->op->kind) {
	case RF_OP_FAULT_ANON:	return accept_fault_anon(on);
	case RF_OP_FAULT_ZERO:
		return !on->op->order && private_anon(on->vma) && (on->vma & ACCESS) && all_of_kind(on, REF_NONE);
	case RF_OP_FAULT_FILE:	return accept_fault_file(on);
	case RF_OP_FAULT_COW:	return accept_fault_cow(on);
	case RF_OP_FAULT_REUSE:	return accept_fault_reuse(on);
	case RF_OP_FAULT_SWAP:	return accept_fault_swap(on);
	}
	return !(on->pages[on->first].bits & REF_PROTNONE);
}

/* ---- the reverse map ---- */

static bool accept_migrate_out(struct target *on)
{
	u32 i;

	if (!all_of_kind(on, REF_PRESENT) || !all_bits(on, 0, REF_SPECIAL))
		return false;
	for (i = 0; i < on->nr; i++)
		if (on->pages[on->first + i].pfn != on->op->pfn + i)
			return false;
	return true;
}

static bool accept_migrate_in(struct target *on)
{
	bool whole = on->nr == on->r->table_pages && is_leaf(on->t, on->op->mm, on->first);

	return all_of_kind(on, REF_MIGRATION) && in_one_vma(on) && in_one_folio(on->op->pfn, on->nr, on->op->order) &&
	       whole == (on->op->order == table_order(on->r));
}

static bool accept_collapse(struct target *on)
{
	bool any = false;
	u32 i;

	if (on->op->order != table_order(on->r) || (on->first & (on->r->table_pages - 1)) || !private_anon(on->vma) ||
	    !(on->vma & RF_VM_WRITE) || !in_one_vma(on) || is_leaf(on->t, on->op->mm, on->first))
		return false;
	for (i = 0; i < on->nr; i++) {
		enum ref_kind kind = on->pages[on->first + i].kind;

		if (kind == REF_MIGRATION || kind == REF_GUARD)
			return false;
		any |= kind == REF_PRESENT;
	}
	return any;
}

static bool accept_rmap(struct target *on)
{
	switch (on->op->kind) {
	case RF_OP_UNMAP_SWAP:
		return all_of_kind(on, REF_PRESENT) && all_bits(on, REF_ANON, REF_SPECIAL) && private_anon(on->vma);
	case RF_OP_UNMAP_FILE:
		return all_of_kind(on, REF_PRESENT) && all_bits(on, 0, REF_SPECIAL);
	case RF_OP_MIGRATE_OUT:	return accept_migrate_out(on);
	case RF_OP_MIGRATE_IN:	return accept_migrate_in(on);
	case RF_OP_COLLAPSE:	return accept_collapse(on);
	case RF_OP_FOLIO_SPLIT:
		/* Files: their pages are unmapped by a split, and faulted back. */
		return all_of_kind(on, REF_PRESENT) && all_bits(on, REF_ANON, REF_SPECIAL) && in_one_vma(on) &&
		       in_one_table(on) && on->op->order < on->pages[on->first].order;
	case RF_OP_MKCLEAN:
		return all_of_kind(on, REF_PRESENT) && all_bits(on, 0, REF_ANON | REF_SPECIAL) &&
		       (on->vma & RF_VM_SHARED) && in_one_vma(on);
	}
	return true;
}

/* ---- ranges ---- */

static bool accept_mremap(struct target *on)
{
	const struct rf_op *op = on->op;
	u32 to = reference_page(on->r, op->addr2), nr = op->nr ? op->nr : on->nr, i;

	if (!in_one_window(on->r, to, nr) || (to < on->first + on->nr && on->first < to + nr))
		return false;
	for (i = 0; i < on->nr; i++)
		if (!on->pages[on->first + i].vma)
			return false;
	if ((nr != on->nr || (op->flags & RF_OP_DONTUNMAP)) && !in_one_vma(on))
		return false;
	return !(op->flags & RF_OP_DONTUNMAP) || (nr == on->nr && private_anon(on->vma));
}

static bool accept_exec_stack(struct target *on)
{
	u64 shift = on->op->end - on->op->addr2;
	u32 first, pages = shift >> on->r->page_shift;

	if (!in_one_vma(on) || !private_anon(on->vma) || on->span_end != on->op->end ||
	    on->op->addr2 > on->op->end || !pages)
		return false;
	first = reference_page(on->r, on->span_start);
	if (first < pages || !in_one_window(on->r, first - pages, pages + 1))
		return false;
	return all_unmapped(on, first - pages, pages);
}

static bool accept_range(struct target *on)
{
	const struct rf_op *op = on->op;
	u64 start, end;
	u32 i;

	switch (op->kind) {
	case RF_OP_MAP:
		return all_unmapped(on, on->first, on->nr);
	case RF_OP_VMA_GROW:
		return all_unmapped(on, on->first, on->nr) && in_one_window(on->r, on->first, on->nr + 1) &&
		       on->r->view.vma_span(on->t, op->mm, on->first + on->nr, &start, &end) && start == op->end;
	case RF_OP_VMA_EXPAND:
		return all_unmapped(on, on->first, on->nr) && on->first &&
		       in_one_window(on->r, on->first - 1, on->nr + 1) &&
		       on->r->view.vma_span(on->t, op->mm, on->first - 1, &start, &end) && end == op->addr;
	case RF_OP_MREMAP:
		return accept_mremap(on);
	case RF_OP_EXEC_STACK:
		return accept_exec_stack(on);
	case RF_OP_ZAP:
		for (i = 0; op->why == RF_WHY_GUARD && i < on->nr; i++)
			if (!private_anon(on->pages[on->first + i].vma) ||
			    (on->pages[on->first + i].vma & RF_VM_LOCKED))
				return false;
		return true;
	}
	return true;
}

/* Pages of the operation: whole folios for anonymous faults, a table for a collapse. */
static bool find_target(struct target *on)
{
	const struct rf_op *op = on->op;
	u32 page = reference_page(on->r, op->addr), size;

	on->first = page;
	on->nr = 1;
	if (page == NO_PAGE)
		return false;
	switch (op->kind) {
	case RF_OP_FAULT_ANON:
	case RF_OP_FAULT_COW:
		if (op->order > table_order(on->r))
			return false;
		size = 1u << op->order;
		on->first = page & ~(size - 1);
		on->nr = size;
		break;
	case RF_OP_FAULT_FILE:
	case RF_OP_FAULT_SWAP:
	case RF_OP_UNMAP_SWAP ... RF_OP_MIGRATE_IN:
	case RF_OP_FOLIO_SPLIT:
	case RF_OP_MKCLEAN:
		on->nr = op->nr;
		break;
	case RF_OP_COLLAPSE:
		on->nr = on->r->table_pages;
		break;
	case RF_OP_EXEC_STACK:
	case RF_OP_MAP ... RF_OP_VMA_GROW:
	case RF_OP_MUNMAP ... RF_OP_MADV_PAGEOUT:
		if (op->end <= op->addr)
			return false;
		on->nr = (op->end - op->addr) >> on->r->page_shift;
		break;
	}
	return in_one_window(on->r, on->first, on->nr);
}

bool acceptable(struct trial *t, const struct rf_op *op)
{
	struct target target = { .t = t, .op = op, .r = t->reference };

	if (op->mm >= REFERENCE_MMS)
		return false;
	if (op->kind == RF_OP_MM_NEW)
		return !target.r->alive[op->mm];
	if (!target.r->alive[op->mm])
		return false;
	if (op->kind == RF_OP_MM_EXIT || op->kind == RF_OP_RECLAIM_FLUSH)
		return true;
	if (op->kind == RF_OP_FORK)
		return op->mm2 < REFERENCE_MMS && !target.r->alive[op->mm2];
	target.pages = target.r->pages[op->mm];
	if (!find_target(&target))
		return false;
	target.vma = target.pages[target.first].vma;
	if (target.vma)
		target.r->view.vma_span(t, op->mm, target.first, &target.span_start, &target.span_end);
	if (op->kind == STEP_HARDWARE)
		return target.pages[target.first].kind == REF_PRESENT &&
		       !(target.pages[target.first].bits & REF_PROTNONE);
	if (op->kind >= RF_OP_FAULT_ANON && op->kind <= RF_OP_FAULT_NONE)
		return accept_fault(&target);
	return op->kind >= RF_OP_UNMAP_SWAP ? accept_rmap(&target) : accept_range(&target);
}
