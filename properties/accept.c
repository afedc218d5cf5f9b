// SPDX-License-Identifier: MIT
/*
 * Which operations a kernel could do in a given state. Streams hold no others, so every machine must execute them
 * without an anomaly; and shortened streams, whose operations may have lost their ground, skip what no longer stands.
 */
#include "property.h"

#define ACCESS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

/* What an operation is about, looked up once. */
struct target {
	struct world *w;
	const struct rf_op *op;
	const struct reference *r;
	const struct ref_page *pages;
	u32 first, nr;
	u32 vma;		/* flags of the first page's VMA */
	u64 span_start, span_end;
};

static bool all_of_kind(const struct target *t, enum ref_kind kind)
{
	u32 i;

	for (i = 0; i < t->nr; i++)
		if (t->pages[t->first + i].kind != kind)
			return false;
	return true;
}

static bool all_unmapped(const struct target *t, u32 first, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (t->pages[first + i].vma)
			return false;
	return true;
}

/* Every page has all of the bits in set, and none of those in clear. */
static bool all_bits(const struct target *t, u16 set, u16 clear)
{
	u32 i;

	for (i = 0; i < t->nr; i++)
		if ((t->pages[t->first + i].bits & (set | clear)) != set)
			return false;
	return true;
}

static bool in_one_window(const struct reference *r, u32 first, u32 nr)
{
	const struct reference_window *window = &r->windows[first != NO_PAGE && first >= r->windows[1].first];

	return first != NO_PAGE && nr && nr <= window->nr && first - window->first <= window->nr - nr;
}

static bool in_one_vma(const struct target *t)
{
	u64 start = reference_addr(t->r, t->first);

	return t->vma && start >= t->span_start && start + ((u64)t->nr << t->r->page_shift) <= t->span_end;
}

static bool in_one_table(const struct target *t)
{
	return t->first / t->r->table_pages == (t->first + t->nr - 1) / t->r->table_pages;
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

static bool accept_fault_anon(struct target *t)
{
	return private_anon(t->vma) && (t->vma & RF_VM_WRITE) && in_one_vma(t) && all_of_kind(t, REF_NONE) &&
	       t->op->order <= table_order(t->r) && in_one_folio(t->op->pfn, t->nr, t->op->order);
}

static bool accept_fault_file(struct target *t)
{
	const struct rf_op *op = t->op;

	if (!(t->vma & REF_FILE) || !(t->vma & ACCESS) || !in_one_vma(t) || !all_of_kind(t, REF_NONE) ||
	    !in_one_folio(op->pfn, t->nr, op->order) || op->order >= table_order(t->r))
		return false;
	if ((op->flags & RF_OP_WRITE) && (t->vma & (RF_VM_SHARED | RF_VM_WRITE)) != (RF_VM_SHARED | RF_VM_WRITE))
		return false;
	return !(op->flags & RF_OP_SHMEM) == !(t->vma & RF_VM_SHMEM);
}

static bool accept_fault_cow(struct target *t)
{
	u32 i;

	if (!t->vma || (t->vma & RF_VM_SHARED) || !(t->vma & RF_VM_WRITE) || !in_one_vma(t) ||
	    t->op->order >= table_order(t->r) || !in_one_folio(t->op->pfn, t->nr, t->op->order))
		return false;
	for (i = 0; i < t->nr; i++) {
		const struct ref_page *page = &t->pages[t->first + i];

		if (page->kind == REF_NONE ? !(t->vma & REF_FILE) :
		    page->kind != REF_PRESENT || page->bits & (REF_WRITE | REF_PROTNONE))
			return false;
	}
	return true;
}

static bool accept_fault_reuse(struct target *t)
{
	const struct ref_page *page = &t->pages[t->first];

	if (page->kind != REF_PRESENT || !(t->vma & RF_VM_WRITE) || (page->bits & (REF_PROTNONE | REF_SPECIAL)))
		return false;
	return (t->vma & RF_VM_SHARED) || (page->bits & REF_ANON);
}

static bool accept_fault_swap(struct target *t)
{
	const struct rf_op *op = t->op;
	bool exclusive = t->pages[t->first].bits & REF_EXCLUSIVE;

	if (!private_anon(t->vma) || !(t->vma & ACCESS) || !in_one_vma(t) || !in_one_table(t) ||
	    !in_one_folio(op->pfn, t->nr, op->order) || op->order >= table_order(t->r))
		return false;
	if ((op->flags & RF_OP_WRITE) && !(t->vma & RF_VM_WRITE))
		return false;
	if (op->flags & RF_OP_LOAD)
		return all_of_kind(t, REF_NONE);
	return all_of_kind(t, REF_SWAP) && all_bits(t, exclusive ? REF_EXCLUSIVE : 0, exclusive ? 0 : REF_EXCLUSIVE);
}

static bool accept_fault(struct target *t)
{
	switch (t->op->kind) {
	case RF_OP_FAULT_ANON:	return accept_fault_anon(t);
	case RF_OP_FAULT_ZERO:
		return !t->op->order && private_anon(t->vma) && (t->vma & ACCESS) && all_of_kind(t, REF_NONE);
	case RF_OP_FAULT_FILE:	return accept_fault_file(t);
	case RF_OP_FAULT_COW:	return accept_fault_cow(t);
	case RF_OP_FAULT_REUSE:	return accept_fault_reuse(t);
	case RF_OP_FAULT_SWAP:	return accept_fault_swap(t);
	}
	return !(t->pages[t->first].bits & REF_PROTNONE);
}

/* ---- the reverse map ---- */

static bool accept_migrate_out(struct target *t)
{
	u32 i;

	if (!all_of_kind(t, REF_PRESENT) || !all_bits(t, 0, REF_SPECIAL))
		return false;
	for (i = 0; i < t->nr; i++)
		if (t->pages[t->first + i].pfn != t->op->pfn + i)
			return false;
	return true;
}

static bool accept_migrate_in(struct target *t)
{
	bool whole = t->nr == t->r->table_pages && is_leaf(t->w, t->op->mm, t->first);

	return all_of_kind(t, REF_MIGRATION) && in_one_vma(t) && in_one_folio(t->op->pfn, t->nr, t->op->order) &&
	       whole == (t->op->order == table_order(t->r));
}

static bool accept_collapse(struct target *t)
{
	bool any = false;
	u32 i;

	if (t->op->order != table_order(t->r) || (t->first & (t->r->table_pages - 1)) || !private_anon(t->vma) ||
	    !(t->vma & RF_VM_WRITE) || !in_one_vma(t) || is_leaf(t->w, t->op->mm, t->first))
		return false;
	for (i = 0; i < t->nr; i++) {
		enum ref_kind kind = t->pages[t->first + i].kind;

		if (kind == REF_MIGRATION || kind == REF_GUARD)
			return false;
		any |= kind == REF_PRESENT;
	}
	return any;
}

static bool accept_rmap(struct target *t)
{
	switch (t->op->kind) {
	case RF_OP_UNMAP_SWAP:
		return all_of_kind(t, REF_PRESENT) && all_bits(t, REF_ANON, REF_SPECIAL) && private_anon(t->vma);
	case RF_OP_UNMAP_FILE:
		return all_of_kind(t, REF_PRESENT) && all_bits(t, 0, REF_SPECIAL);
	case RF_OP_MIGRATE_OUT:	return accept_migrate_out(t);
	case RF_OP_MIGRATE_IN:	return accept_migrate_in(t);
	case RF_OP_COLLAPSE:	return accept_collapse(t);
	case RF_OP_FOLIO_SPLIT:
		/* Files: their pages are unmapped by a split, and faulted back. */
		return all_of_kind(t, REF_PRESENT) && all_bits(t, REF_ANON, REF_SPECIAL) && in_one_vma(t) &&
		       in_one_table(t) && t->op->order < t->pages[t->first].order;
	case RF_OP_MKCLEAN:
		return all_of_kind(t, REF_PRESENT) && all_bits(t, 0, REF_ANON | REF_SPECIAL) &&
		       (t->vma & RF_VM_SHARED) && in_one_vma(t);
	}
	return true;
}

/* ---- ranges ---- */

static bool accept_mremap(struct target *t)
{
	const struct rf_op *op = t->op;
	u32 to = reference_page(t->r, op->addr2), nr = op->nr ? op->nr : t->nr, i;

	if (!in_one_window(t->r, to, nr) || (to < t->first + t->nr && t->first < to + nr))
		return false;
	for (i = 0; i < t->nr; i++)
		if (!t->pages[t->first + i].vma)
			return false;
	if ((nr != t->nr || (op->flags & RF_OP_DONTUNMAP)) && !in_one_vma(t))
		return false;
	return !(op->flags & RF_OP_DONTUNMAP) || (nr == t->nr && private_anon(t->vma));
}

static bool accept_exec_stack(struct target *t)
{
	u64 shift = t->op->end - t->op->addr2;
	u32 first, pages = shift >> t->r->page_shift;

	if (!in_one_vma(t) || !private_anon(t->vma) || t->span_end != t->op->end || t->op->addr2 > t->op->end || !pages)
		return false;
	first = reference_page(t->r, t->span_start);
	if (first < pages || !in_one_window(t->r, first - pages, pages + 1))
		return false;
	return all_unmapped(t, first - pages, pages);
}

static bool accept_range(struct target *t)
{
	const struct rf_op *op = t->op;
	u64 start, end;
	u32 i;

	switch (op->kind) {
	case RF_OP_MAP:
		return all_unmapped(t, t->first, t->nr);
	case RF_OP_VMA_GROW:
		return all_unmapped(t, t->first, t->nr) && in_one_window(t->r, t->first, t->nr + 1) &&
		       t->r->view.vma_span(t->w, op->mm, t->first + t->nr, &start, &end) && start == op->end;
	case RF_OP_VMA_EXPAND:
		return all_unmapped(t, t->first, t->nr) && t->first && in_one_window(t->r, t->first - 1, t->nr + 1) &&
		       t->r->view.vma_span(t->w, op->mm, t->first - 1, &start, &end) && end == op->addr;
	case RF_OP_MREMAP:
		return accept_mremap(t);
	case RF_OP_EXEC_STACK:
		return accept_exec_stack(t);
	case RF_OP_ZAP:
		for (i = 0; op->why == RF_WHY_GUARD && i < t->nr; i++)
			if (!private_anon(t->pages[t->first + i].vma) || (t->pages[t->first + i].vma & RF_VM_LOCKED))
				return false;
		return true;
	}
	return true;
}

/* Pages of the operation: whole folios for anonymous faults, a table for a collapse. */
static bool find_target(struct target *t)
{
	const struct rf_op *op = t->op;
	u32 page = reference_page(t->r, op->addr), size;

	t->first = page;
	t->nr = 1;
	if (page == NO_PAGE)
		return false;
	switch (op->kind) {
	case RF_OP_FAULT_ANON:
	case RF_OP_FAULT_COW:
		if (op->order > table_order(t->r))
			return false;
		size = 1u << op->order;
		t->first = page & ~(size - 1);
		t->nr = size;
		break;
	case RF_OP_FAULT_FILE:
	case RF_OP_FAULT_SWAP:
	case RF_OP_UNMAP_SWAP ... RF_OP_MIGRATE_IN:
	case RF_OP_FOLIO_SPLIT:
	case RF_OP_MKCLEAN:
		t->nr = op->nr;
		break;
	case RF_OP_COLLAPSE:
		t->nr = t->r->table_pages;
		break;
	case RF_OP_EXEC_STACK:
	case RF_OP_MAP ... RF_OP_VMA_GROW:
	case RF_OP_MUNMAP ... RF_OP_MADV_PAGEOUT:
		if (op->end <= op->addr)
			return false;
		t->nr = (op->end - op->addr) >> t->r->page_shift;
		break;
	}
	return in_one_window(t->r, t->first, t->nr);
}

bool acceptable(struct world *w, const struct rf_op *op)
{
	struct target t = { .w = w, .op = op, .r = w->reference };

	if (op->mm >= REFERENCE_MMS)
		return false;
	if (op->kind == RF_OP_MM_NEW)
		return !t.r->alive[op->mm];
	if (!t.r->alive[op->mm])
		return false;
	if (op->kind == RF_OP_MM_EXIT || op->kind == RF_OP_RECLAIM_FLUSH)
		return true;
	if (op->kind == RF_OP_FORK)
		return op->mm2 < REFERENCE_MMS && !t.r->alive[op->mm2];
	t.pages = t.r->pages[op->mm];
	if (!find_target(&t))
		return false;
	t.vma = t.pages[t.first].vma;
	if (t.vma)
		t.r->view.vma_span(w, op->mm, t.first, &t.span_start, &t.span_end);
	if (op->kind == STEP_HARDWARE)
		return t.pages[t.first].kind == REF_PRESENT && !(t.pages[t.first].bits & REF_PROTNONE);
	if (op->kind >= RF_OP_FAULT_ANON && op->kind <= RF_OP_FAULT_NONE)
		return accept_fault(&t);
	return op->kind >= RF_OP_UNMAP_SWAP ? accept_rmap(&t) : accept_range(&t);
}
