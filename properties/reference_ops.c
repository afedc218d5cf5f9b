// SPDX-License-Identifier: MIT
/* What operations do to pages, as a plain kernel would do it: faults, reclaim, migration, fork. */
#include "properties/property.h"

/* ---- faults ---- */

static void make_dirty(struct ref_page *page)
{
	page->bits |= REF_DIRTY;
}

static void make_writable(struct ref_page *page)
{
	if (page->vma & RF_VM_WRITE)
		page->bits |= REF_WRITE;
}

/* Found at attach: as it was, young. */
static void load_page(struct ref_page *page, const struct rf_op *op, u64 pfn)
{
	unsigned int facts = REF_ANON | (op->flags & RF_OP_EXCLUSIVE ? REF_EXCLUSIVE : 0);

	if (op->kind == RF_OP_FAULT_FILE)
		facts = op->flags & RF_OP_SHMEM ? REF_SHMEM : 0;
	ref_map(page, pfn, op->order, facts);
	if (op->flags & RF_OP_WRITE) {
		make_dirty(page);
		make_writable(page);
	}
}

static void fault_file(const struct reference *r, struct ref_page *page, const struct rf_op *op, u64 pfn)
{
	u64 end = op->addr + ((u64)op->nr << r->page_shift);

	ref_map(page, pfn, op->order, op->flags & RF_OP_SHMEM ? REF_SHMEM : 0);
	if ((op->aux < op->addr || op->aux >= end) && r->old_prefaulted)
		page->bits &= ~REF_YOUNG;
	if (op->flags & RF_OP_WRITE) {
		make_dirty(page);
		make_writable(page);
	}
}

static void fault_swap(struct ref_page *page, const struct rf_op *op, u64 pfn, bool exclusive)
{
	ref_map(page, pfn, op->order, REF_ANON | (exclusive ? REF_EXCLUSIVE : 0));
	if (!exclusive)
		return;
	if (op->flags & RF_OP_WRITE)
		make_dirty(page);
	make_writable(page);
}

static void fault_reuse(const struct reference *r, struct ref_page *page)
{
	page->bits |= r->reuse_around ? REF_YOUNG_MAY : REF_YOUNG;
	make_dirty(page);
	make_writable(page);
	if (page->bits & REF_ANON)
		page->bits |= REF_EXCLUSIVE;
}

static bool may_be_reused(const struct ref_page *page)
{
	return (page->vma & RF_VM_WRITE) && (page->bits & REF_ANON) && !(page->bits & REF_PROTNONE);
}

/* Pages in line with the one that is written to: which of them are exclusive, the machine decides. */
static void reuse_around(const struct reference *r, u32 mm, u32 page)
{
	struct ref_page *pages = r->pages[mm];
	const u16 may = REF_WRITE_MAY | REF_YOUNG_MAY | REF_DIRTY_MAY;
	u32 i;

	for (i = page; i && reference_adjacent(r, &pages[i - 1], &pages[i]); i--)
		pages[i - 1].bits |= may_be_reused(&pages[i - 1]) ? may : 0;
	for (i = page; i + 1 < r->nr_pages && reference_adjacent(r, &pages[i], &pages[i + 1]); i++)
		pages[i + 1].bits |= may_be_reused(&pages[i + 1]) ? may : 0;
}

/*
 * Only A/D were missing, which the kernel sets where the hardware does not: for reads not on x86. A PMD would be
 * another fault's work.
 */
static void fault_access(const struct reference *r, const struct rf_op *op, u32 number, struct ref_page *page)
{
	bool write = op->flags & RF_OP_WRITE;

	if (page->kind != REF_PRESENT || r->view.leaf(r->view.context, op->mm, number))
		return;
	if (write && (page->bits & REF_WRITE_MUST))
		page->bits |= REF_YOUNG | REF_DIRTY;
	else if (write && (page->bits & REF_WRITE_MAY))
		page->bits |= REF_YOUNG_MAY | REF_DIRTY_MAY;
	else if (!write)
		page->bits |= REF_YOUNG_MAY;
}

/* Pages that a fault on op->addr is about. */
static void fault_range(const struct reference *r, const struct rf_op *op, u32 *first, u32 *nr)
{
	u32 page = reference_page(r, op->addr), size = 1u << op->order;

	*first = page;
	*nr = 1;
	switch (op->kind) {
	case RF_OP_FAULT_ANON:
	case RF_OP_FAULT_COW:
		*first = page & ~(size - 1);
		*nr = size;
		break;
	case RF_OP_FAULT_FILE:
	case RF_OP_FAULT_SWAP:
		*nr = op->nr;
		break;
	case RF_OP_FAULT_REUSE:
		/* A PMD maps its pages with one entry: all of them become writable. */
		if (r->view.leaf(r->view.context, op->mm, page)) {
			*first = page & ~(r->table_pages - 1);
			*nr = r->table_pages;
		}
		break;
	}
}

void ref_fault(struct reference *r, const struct rf_op *op)
{
	bool exclusive;
	u32 first, nr, i;

	fault_range(r, op, &first, &nr);
	exclusive = (op->flags & (RF_OP_EXCLUSIVE | RF_OP_WRITE)) || (r->pages[op->mm][first].bits & REF_EXCLUSIVE);
	for (i = 0; i < nr; i++) {
		struct ref_page *page = &r->pages[op->mm][first + i];

		if (op->flags & RF_OP_LOAD) {
			load_page(page, op, op->pfn + i);
			continue;
		}
		switch (op->kind) {
		case RF_OP_FAULT_ANON:
		case RF_OP_FAULT_COW:
			ref_map(page, op->pfn + i, op->order, REF_ANON | REF_EXCLUSIVE);
			make_dirty(page);
			make_writable(page);
			break;
		case RF_OP_FAULT_ZERO:
			ref_map(page, op->pfn, 0, REF_SPECIAL);
			break;
		case RF_OP_FAULT_FILE:
			fault_file(r, page, op, op->pfn + i);
			break;
		case RF_OP_FAULT_SWAP:
			fault_swap(page, op, op->pfn + i, exclusive);
			break;
		case RF_OP_FAULT_REUSE:
			fault_reuse(r, page);
			if (r->reuse_around && nr == 1)
				reuse_around(r, op->mm, first);
			break;
		case RF_OP_FAULT_NONE:
			fault_access(r, op, first + i, page);
			break;
		}
	}
	ref_touch(r, op->mm, first, nr);
}

/* ---- through the reverse map ---- */

static void migrate_in(struct ref_page *page, const struct rf_op *op, u64 pfn)
{
	u16 kept = page->bits & (REF_WRITE | REF_YOUNG | REF_DIRTY);

	ref_map(page, pfn, op->order, page->bits & REF_FACTS);
	page->bits = (page->bits & ~REF_YOUNG) | kept;
}

static void swap_out(struct ref_page *page, u64 slot)
{
	page->kind = REF_SWAP;
	page->pfn = slot;
	page->bits &= REF_EXCLUSIVE | REF_ANON;
}

/* Pages of the folio of this one, mapped in line with it in the same table, are of smaller folios now. */
static void split_folio(struct reference *r, u32 mm, u32 number, unsigned int order)
{
	struct ref_page *pages = r->pages[mm], *page = &pages[number];
	u32 table = number & ~(r->table_pages - 1), i;
	u64 folio = page->pfn >> page->order;
	u64 pfn = page->pfn;
	u8 old = page->order;

	for (i = table; i < table + r->table_pages; i++) {
		if (pages[i].kind != REF_PRESENT || pages[i].order != old || pages[i].pfn >> old != folio ||
		    pages[i].pfn + number != pfn + i)
			continue;
		pages[i].order = order;
		ref_touch(r, mm, i, 1);
	}
}

static void rmap_page(struct reference *r, const struct rf_op *op, u32 number, u32 i)
{
	struct ref_page *page = &r->pages[op->mm][number];

	switch (op->kind) {
	case RF_OP_UNMAP_SWAP:
		swap_out(page, op->pfn + i);
		break;
	case RF_OP_UNMAP_FILE:
		ref_unmap(page);
		break;
	case RF_OP_MIGRATE_OUT:
		page->kind = REF_MIGRATION;
		page->pfn = op->pfn + i;
		page->bits &= REF_WRITE | REF_YOUNG | REF_DIRTY | REF_FACTS;
		break;
	case RF_OP_MIGRATE_IN:
		migrate_in(page, op, op->pfn + i);
		break;
	case RF_OP_COLLAPSE:
		ref_map(page, op->pfn + i, op->order, REF_ANON | REF_EXCLUSIVE);
		make_dirty(page);
		make_writable(page);
		break;
	case RF_OP_FOLIO_SPLIT:
		if (page->kind == REF_PRESENT && page->order > op->order && !(page->bits & REF_SPECIAL))
			split_folio(r, op->mm, number, op->order);
		break;
	case RF_OP_MKCLEAN:
		page->bits &= ~(REF_WRITE | REF_DIRTY_MUST | (r->refolds ? 0 : REF_DIRTY_MAY));
		break;
	}
}

void ref_rmap(struct reference *r, const struct rf_op *op)
{
	u32 first = reference_page(r, op->addr), nr = op->kind == RF_OP_COLLAPSE ? r->table_pages : op->nr, i;

	if (op->kind == RF_OP_RECLAIM_FLUSH)
		return;
	for (i = 0; i < nr; i++)
		rmap_page(r, op, first + i, i);
	ref_touch(r, op->mm, first, nr);
}

/* ---- fork ---- */

static void fork_present(struct ref_page *from, struct ref_page *to)
{
	bool shared = from->vma & RF_VM_SHARED;

	if (from->bits & REF_ANON)
		from->bits &= ~REF_EXCLUSIVE;
	if (!shared)
		from->bits &= ~REF_WRITE;
	to->kind = from->kind;
	to->pfn = from->pfn;
	to->order = from->order;
	to->bits = from->bits & ~REF_YOUNG;
	if (shared)
		to->bits &= ~REF_DIRTY;
}

static void fork_page(struct ref_page *from, struct ref_page *to)
{
	if (from->kind == REF_PRESENT) {
		fork_present(from, to);
		return;
	}
	/* Swap slots and private migrating pages are shared now, and must be copied before they are written. */
	from->bits &= ~REF_EXCLUSIVE;
	if (!(from->vma & RF_VM_SHARED))
		from->bits &= ~REF_WRITE;
	to->kind = from->kind;
	to->pfn = from->pfn;
	to->order = from->order;
	to->bits = from->bits;
}

/* A run of a folio is copied with one write permission, if any of its pages has it. */
static void fork_spread_write(struct reference *r, u32 mm, u32 first, u32 end)
{
	struct ref_page *pages = r->pages[mm];
	u32 i, next;
	u16 any;

	for (; first < end; first = next) {
		any = pages[first].bits & REF_WRITE_MAY;
		for (next = first + 1; next < end && reference_adjacent(r, &pages[next - 1], &pages[next]); next++)
			any |= pages[next].bits & REF_WRITE_MAY;
		for (i = first; i < next; i++)
			if (pages[i].vma & RF_VM_SHARED)
				pages[i].bits |= any;
	}
}

void ref_fork(struct reference *r, u32 parent, u32 child)
{
	u32 i;

	r->alive[child] = true;
	for (i = 0; i < r->nr_pages; i++) {
		struct ref_page *from = &r->pages[parent][i], *to = &r->pages[child][i];

		if (!from->vma || (from->vma & RF_VM_DONTCOPY))
			continue;
		to->vma = from->vma & ~(u32)(RF_VM_LOCKED | RF_VM_UFFD);
		if ((from->vma & RF_VM_WIPEONFORK) || from->kind == REF_NONE ||
		    !r->view.fork_copies(r->view.context, parent, i))
			continue;
		fork_page(from, to);
	}
	fork_spread_write(r, child, 0, r->nr_pages);
	ref_touch(r, parent, 0, r->nr_pages);
	ref_touch(r, child, 0, r->nr_pages);
}
