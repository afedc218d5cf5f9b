// SPDX-License-Identifier: MIT
/* What operations on ranges of addresses do to pages, as a plain kernel would do it: mmap to madvise. */
#include "properties/property.h"

#define ACCESS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

/* Own anonymous pages: what the kernel's age lets mprotect() make writable, by each page's dirtiness or not. */
static u16 upgraded(const struct reference *r, const struct ref_page *page, bool leaf)
{
	u16 write = 0;

	if (!r->write_upgrade || (page->bits & (REF_ANON | REF_EXCLUSIVE)) != (REF_ANON | REF_EXCLUSIVE))
		return 0;
	if (r->write_upgrade > 1)
		return REF_WRITE;
	if ((page->bits & REF_DIRTY_MUST) && !leaf)
		write |= REF_WRITE_MUST;
	return page->bits & REF_DIRTY_MAY ? write | REF_WRITE_MAY : write;
}

/* mprotect() on one page that its VMA changed for; leaf: a PMD maps it, or did. */
static void protect(const struct reference *r, struct ref_page *page, bool leaf)
{
	bool writes = ref_prot_writes(page->vma);

	if (page->kind == REF_MIGRATION)
		page->bits &= ~REF_WRITE;
	if (page->kind != REF_PRESENT)
		return;
	page->bits &= ~(REF_WRITE | REF_EXEC | REF_PROTNONE);
	if (!(page->vma & ACCESS))
		page->bits |= REF_PROTNONE;
	if (page->vma & RF_VM_EXEC)
		page->bits |= REF_EXEC;
	if (writes)
		page->bits |= REF_WRITE;
	if (writes || !(page->vma & RF_VM_WRITE))
		return;
	/* Write permission where no fault would be needed to learn anything: own anonymous pages, dirty shared ones. */
	if (!(page->vma & RF_VM_SHARED)) {
		page->bits |= upgraded(r, page, leaf);
		return;
	}
	if (page->bits & REF_DIRTY_MUST)
		page->bits |= REF_WRITE_MUST;
	if (page->bits & REF_DIRTY_MAY)
		page->bits |= REF_WRITE_MAY;
}

/*
 * MADV_FREE, MADV_COLD, and MADV_PAGEOUT of kernels where that ages. Which pages of large folios they take depends on
 * the kernel's age and on who else maps the folio; only a folio whose pages are all ours is certain to be taken, in
 * place or after a split. The split of MADV_PAGEOUT is an operation of its own.
 */
static void advise(struct ref_page *page, bool lazy_free, bool certain)
{
	u16 clear = lazy_free ? REF_YOUNG | REF_DIRTY : REF_YOUNG;

	if (!certain)
		clear &= REF_YOUNG_MUST | REF_DIRTY_MUST;
	page->bits &= ~clear;
}

/* Anonymous memory that is advised again may be taken to have been used in between, which no operation tells. */
static void perhaps_used(struct reference *r, u32 mm, u32 first, u32 end)
{
	u32 i;

	for (i = first; i < end; i++) {
		struct ref_page *page = &r->pages[mm][i];

		if (page->kind == REF_PRESENT && (page->bits & (REF_ANON | REF_PROTNONE)) == REF_ANON)
			page->bits |= REF_YOUNG_MAY | (page->bits & REF_WRITE_MAY ? REF_DIRTY_MAY : 0);
	}
	reference_spread(r, mm, first, end - 1);
}

static void advise_range(struct reference *r, const struct rf_op *op, u32 first, u32 end)
{
	bool lazy_free = op->kind == RF_OP_MADV_FREE, certain;
	struct ref_page *pages = r->pages[op->mm];
	u32 i, next;

	perhaps_used(r, op->mm, first, end);
	for (i = first; i < end; i = next) {
		certain = !r->refolds;
		for (next = i; next < end; next++) {
			if (next > i && !reference_adjacent(r, &pages[next - 1], &pages[next]))
				break;
			certain &= !pages[next].order ||
				   ((pages[next].bits & REF_EXCLUSIVE) && op->kind != RF_OP_MADV_PAGEOUT);
		}
		for (; i < next; i++) {
			if (!pages[i].vma || (pages[i].vma & RF_VM_LOCKED) ||
			    (lazy_free && (pages[i].vma & REF_FILE)))
				continue;
			if (pages[i].kind == REF_SWAP && lazy_free)
				ref_unmap(&pages[i]);
			if (pages[i].kind == REF_PRESENT && !(pages[i].bits & REF_SPECIAL))
				advise(&pages[i], lazy_free, certain);
		}
	}
}

static void zap(struct ref_page *page, u8 why)
{
	bool cow = (page->bits & REF_ANON) && why == RF_WHY_REMOVE;

	if (!page->vma)
		return;
	/* Guards go with their VMA only. */
	if (page->kind != REF_GUARD && !cow)
		ref_unmap(page);
	if (why == RF_WHY_GUARD)
		page->kind = REF_GUARD;
}

static void unmap_pages(struct reference *r, u32 mm, u32 first, u32 nr)
{
	u32 i;

	for (i = first; i < first + nr; i++) {
		ref_unmap(&r->pages[mm][i]);
		r->pages[mm][i].vma = 0;
	}
	ref_touch(r, mm, first, nr);
}

/* Entries and VMAs of nr pages move; the old VMAs stay if they are not to be unmapped. */
static void move_pages(struct reference *r, u32 mm, u32 from, u32 to, u32 nr, bool unmap)
{
	struct ref_page *pages = r->pages[mm];
	u32 i;

	for (i = 0; i < nr; i++) {
		pages[to + i] = pages[from + i];
		ref_unmap(&pages[from + i]);
		if (unmap)
			pages[from + i].vma = 0;
	}
	ref_touch(r, mm, from, nr);
	ref_touch(r, mm, to, nr);
}

/* dontunmap_complete(): of the whole VMA, also where only a part of it was moved. */
static void unlock_vma(struct reference *r, const struct rf_op *op)
{
	u64 start, end;
	u32 page;

	if (!r->view.vma_span(r->view.context, op->mm, reference_page(r, op->addr), &start, &end))
		return;
	for (; start < end; start += 1ull << r->page_shift) {
		page = reference_page(r, start);
		if (page != NO_PAGE)
			r->pages[op->mm][page].vma &= ~(u32)RF_VM_LOCKED;
	}
}

static void move_area(struct reference *r, const struct rf_op *op, u32 first, u32 end)
{
	u32 mm = op->mm, to = reference_page(r, op->addr2), old_nr = end - first, nr = op->nr ? op->nr : old_nr, i;
	u32 moved = nr < old_nr ? nr : old_nr, vma;

	unmap_pages(r, mm, first + moved, old_nr - moved);
	unmap_pages(r, mm, to, nr);
	vma = r->pages[mm][first + moved - 1].vma;
	move_pages(r, mm, first, to, moved, !(op->flags & RF_OP_DONTUNMAP));
	for (i = moved; i < nr; i++)
		r->pages[mm][to + i].vma = vma;
	if (op->flags & RF_OP_DONTUNMAP)
		unlock_vma(r, op);
}

/* The whole VMA moves down. */
static void move_stack(struct reference *r, const struct rf_op *op)
{
	u32 shift = (op->end - op->addr2) >> r->page_shift, first;
	u64 start, end;

	if (!shift || !r->view.vma_span(r->view.context, op->mm, reference_page(r, op->addr), &start, &end))
		return;
	first = reference_page(r, start);
	move_pages(r, op->mm, first, first - shift, (end - start) >> r->page_shift, true);
}

static void change_flags(struct ref_page *page, u32 set, u32 clear)
{
	if (page->vma)
		page->vma = (page->vma & ~(clear & 0xffff)) | set;
}

static void range_page(const struct reference *r, const struct rf_op *op, u32 number)
{
	struct ref_page *page = &r->pages[op->mm][number];
	u32 vma = page->vma;

	switch (op->kind) {
	case RF_OP_MAP:
		page->vma = REF_MAPPED | op->vm_flags | (op->file ? REF_FILE : 0);
		break;
	case RF_OP_VMA_FLAGS:
		change_flags(page, op->vm_flags, op->aux);
		break;
	case RF_OP_ZAP:
		zap(page, op->why);
		break;
	case RF_OP_MPROTECT:
		change_flags(page, op->vm_flags & ACCESS, ACCESS);
		if (page->vma != vma)
			protect(r, page, r->view.leaf(r->view.context, op->mm, number));
		break;
	}
}

void ref_range(struct reference *r, const struct rf_op *op)
{
	u32 first = reference_page(r, op->addr), end = reference_page(r, op->end - 1) + 1, i;
	struct ref_page *pages = r->pages[op->mm];

	switch (op->kind) {
	case RF_OP_VMA_GROW:
	case RF_OP_VMA_EXPAND:
		for (i = first; i < end; i++)
			pages[i].vma = pages[op->kind == RF_OP_VMA_GROW ? end : first - 1].vma;
		return;
	case RF_OP_MUNMAP:
		unmap_pages(r, op->mm, first, end - first);
		return;
	case RF_OP_MREMAP:
		move_area(r, op, first, end);
		return;
	case RF_OP_EXEC_STACK:
		move_stack(r, op);
		return;
	case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD:
		advise_range(r, op, first, end);
		break;
	case RF_OP_MADV_PAGEOUT:
		if (r->pageout_ages)
			advise_range(r, op, first, end);
		break;
	default:
		for (i = first; i < end; i++)
			range_page(r, op, i);
	}
	ref_touch(r, op->mm, first, end - first);
}
