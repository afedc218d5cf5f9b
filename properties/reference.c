// SPDX-License-Identifier: MIT
/* The naive reference: pages, addresses, bounds of A/D. What operations do is in reference_ops.c. */
#include <stdlib.h>
#include <string.h>

#include "properties/property.h"

#define LOW_WINDOW 0x40000000ull	/* aligned to a table of every granule */
#define HIGH_WINDOW 0x7fff80000000ull

struct reference *reference_create(unsigned int page_shift, u32 table_pages, const struct reference_view *view)
{
	struct reference *r = calloc(1, sizeof(*r));
	u32 mm, low = table_pages <= 512 ? 3 : 2;

	if (!r)
		abort();
	r->view = *view;
	r->page_shift = page_shift;
	r->table_pages = table_pages;
	r->windows[0] = (struct reference_window){ LOW_WINDOW, 0, low * table_pages };
	r->windows[1] = (struct reference_window){ HIGH_WINDOW, low * table_pages, table_pages };
	r->nr_pages = (low + 1) * table_pages;
	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		r->pages[mm] = calloc(r->nr_pages, sizeof(struct ref_page));
		if (!r->pages[mm])
			abort();
	}
	return r;
}

void reference_destroy(struct reference *r)
{
	u32 mm;

	for (mm = 0; mm < REFERENCE_MMS; mm++)
		free(r->pages[mm]);
	free(r);
}

u64 reference_addr(const struct reference *r, u32 page)
{
	const struct reference_window *window = &r->windows[page >= r->windows[1].first];

	return window->start + ((u64)(page - window->first) << r->page_shift);
}

u32 reference_page(const struct reference *r, u64 addr)
{
	const struct reference_window *window = &r->windows[addr >= HIGH_WINDOW];
	u64 page = (addr - window->start) >> r->page_shift;

	return addr < window->start || page >= window->nr ? NO_PAGE : window->first + (u32)page;
}

void ref_touch(struct reference *r, u32 mm, u32 first, u32 nr)
{
	if (nr)
		r->view.touch(r->view.context, mm, first, first + nr - 1);
}

void ref_unmap(struct ref_page *page)
{
	page->kind = REF_NONE;
	page->bits = 0;
	page->pfn = 0;
	page->order = 0;
}

/* Only shared memory without a file system behind it is writable at once; files want to be told by a fault. */
bool ref_prot_writes(u32 vma)
{
	return (vma & RF_VM_SHARED) && (vma & RF_VM_WRITE) && (vma & RF_VM_SHMEM);
}

void ref_map(struct ref_page *page, u64 pfn, unsigned int order, unsigned int facts)
{
	page->kind = REF_PRESENT;
	page->pfn = pfn;
	page->order = order;
	page->bits = facts | REF_YOUNG;
	if (page->vma & RF_VM_EXEC)
		page->bits |= REF_EXEC;
	if (!(page->vma & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)))
		page->bits |= REF_PROTNONE;
	if (ref_prot_writes(page->vma))
		page->bits |= REF_WRITE;
}

void reference_access(struct reference *r, u32 mm, u32 number, bool write)
{
	struct ref_page *page = &r->pages[mm][number];

	page->bits |= REF_YOUNG;
	if (write && (page->bits & REF_WRITE_MUST))
		page->bits |= REF_DIRTY;
	if (write && (page->bits & REF_WRITE_MAY))
		page->bits |= REF_DIRTY_MAY;
	ref_touch(r, mm, number, 1);
}

/* One that is split to be migrated keeps the bit; and the rest may have been written to since. */
void reference_split_cleans(struct reference *r, u32 mm, u32 first, u32 nr)
{
	u32 i;

	for (i = first; i < first + nr; i++)
		r->pages[mm][i].bits &= ~REF_DIRTY_MUST;
	ref_touch(r, mm, first, nr);
}

bool reference_adjacent(const struct reference *r, const struct ref_page *a, const struct ref_page *b)
{
	if (a->kind != REF_PRESENT || b->kind != REF_PRESENT || a->pfn + 1 != b->pfn)
		return false;
	return a->order == b->order && a->pfn >> a->order == b->pfn >> b->order;
}

void reference_spread(struct reference *r, u32 mm, u32 first, u32 last)
{
	struct ref_page *pages = r->pages[mm];
	u32 i, end;
	u16 any;

	while (first && reference_adjacent(r, &pages[first - 1], &pages[first]))
		first--;
	for (; first <= last; first = end) {
		any = pages[first].bits;
		for (end = first + 1; end < r->nr_pages; end++) {
			if (!reference_adjacent(r, &pages[end - 1], &pages[end]))
				break;
			any |= pages[end].bits;
		}
		if (end == first + 1)
			continue;
		any &= REF_YOUNG_MAY | REF_DIRTY_MAY;
		for (i = first; i < end; i++)
			pages[i].bits |= any;
	}
}

void reference_run(struct reference *r, const struct rf_op *op)
{
	u32 mm = op->mm;

	switch (op->kind) {
	case RF_OP_MM_NEW:
		r->alive[mm] = true;
		return;
	case RF_OP_MM_EXIT:
		r->alive[mm] = false;
		memset(r->pages[mm], 0, r->nr_pages * sizeof(struct ref_page));
		return;
	case RF_OP_FORK:
		ref_fork(r, mm, op->mm2);
		return;
	case RF_OP_FAULT_ANON ... RF_OP_FAULT_NONE:
		ref_fault(r, op);
		return;
	case RF_OP_UNMAP_SWAP ... RF_OP_MKCLEAN:
		ref_rmap(r, op);
		return;
	default:
		ref_range(r, op);
	}
}
