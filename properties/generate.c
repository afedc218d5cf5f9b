// SPDX-License-Identifier: MIT
/*
 * The next random operation: one that a kernel could do in the state that the reference is in. Mostly around the border
 * of two tables and at round places, so that folios, blocks and tables are hit whole and in part.
 */
#include "property.h"

#define RW (RF_VM_READ | RF_VM_WRITE)

u64 roll(struct world *w, u64 below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 11) % below;
}

static bool one_in(struct world *w, u64 n)
{
	return !roll(w, n);
}

static u32 block_pages(const struct world *w)
{
	u32 n = w->config->policy.geometry.cont_ptes;

	return n > 1 ? n : 16;
}

static unsigned int table_order(const struct world *w)
{
	return __builtin_ctz(w->reference->table_pages);
}

/* Both windows have such a neighbourhood: the first table border of the low one, the start of the high one. */
static u32 some_page(struct world *w)
{
	const struct reference *r = w->reference;
	u32 hot = 24 * block_pages(w), page, align;

	if (hot > r->table_pages)
		hot = r->table_pages;
	if (one_in(w, 12))
		page = roll(w, r->nr_pages);
	else if (one_in(w, 5))
		page = r->windows[1].first + roll(w, hot);
	else
		page = r->table_pages - hot / 2 + roll(w, hot);
	align = (u32[]){ 1, 1, 4, block_pages(w), block_pages(w), 2 * block_pages(w) }[roll(w, 6)];
	return page & ~(align - 1);
}

static u32 some_length(struct world *w)
{
	u32 n = block_pages(w);

	switch (roll(w, 10)) {
	case 0 ... 2:
		return 1;
	case 3 ... 5:
		return 1 + roll(w, 2 * n);
	case 6 ... 8:
		return n * (1 + roll(w, 4));
	}
	return one_in(w, 4) ? w->reference->table_pages : n * (1 + roll(w, 24));
}

/* The next page that has this kind of entry, and if it has none, a VMA; or NO_PAGE. */
static u32 find_kind(struct world *w, u32 mm, enum ref_kind kind)
{
	const struct ref_page *pages = w->reference->pages[mm];
	u32 number = some_page(w), i;

	for (i = 0; i < 8 * block_pages(w) && number + i < w->reference->nr_pages; i++)
		if (pages[number + i].kind == kind && pages[number + i].vma)
			return number + i;
	return NO_PAGE;
}

/* Where to begin with a range: mostly where there is something. */
static u32 some_start(struct world *w, u32 mm)
{
	u32 page = one_in(w, 8) ? NO_PAGE : find_kind(w, mm, REF_PRESENT);

	if (page == NO_PAGE)
		return some_page(w);
	if (one_in(w, 3))
		return page - (page & (block_pages(w) - 1));
	return page < w->reference->windows[1].first && page > 8 && one_in(w, 2) ? page - roll(w, 8) : page;
}

static u64 some_pfns(struct world *w, unsigned int order)
{
	u64 size = 1ull << order, pfn;

	/* Often right behind the last folio: neighbours in memory are not always of one folio. */
	if (one_in(w, 3))
		w->next_pfn += roll(w, 40);
	pfn = ALIGN_UP(w->next_pfn, size);
	w->next_pfn = pfn + size;
	return pfn;
}

static unsigned int block_order(const struct world *w)
{
	return __builtin_ctz(block_pages(w));
}

static unsigned int some_order(struct world *w)
{
	unsigned int b = block_order(w);

	switch (roll(w, 12)) {
	case 0 ... 1:
		return 0;
	case 2 ... 3:
		return roll(w, b);
	case 4 ... 7:
		return b;
	case 8:
		return b + 1;
	case 9:
		return b + 2 < table_order(w) ? b + 2 : table_order(w) - 1;
	case 10:
		return one_in(w, 6) ? table_order(w) : b;
	}
	return b ? b - 1 : 0;
}

static void set_range(struct world *w, struct rf_op *op, u32 page, u32 nr)
{
	op->addr = page_addr(w, page);
	op->end = op->addr + ((u64)nr << w->reference->page_shift);
}

/* ---- address spaces and VMAs ---- */

static u32 some_dead_mm(struct world *w)
{
	u32 mm = roll(w, REFERENCE_MMS), i;

	for (i = 0; i < REFERENCE_MMS && w->reference->alive[mm]; i++)
		mm = (mm + 1) % REFERENCE_MMS;
	return mm;
}

static void make_map(struct world *w, struct rf_op *op)
{
	static const u16 access[] = { RW, RW, RW, RW, RF_VM_READ, RF_VM_READ | RF_VM_EXEC, RW | RF_VM_EXEC, 0 };

	op->kind = RF_OP_MAP;
	if (one_in(w, 4))	/* whole tables, where PMDs could be */
		set_range(w, op, w->reference->table_pages * roll(w, MAX_TABLES),
			  w->reference->table_pages * (1 + roll(w, 2)));
	else
		set_range(w, op, some_page(w), (1 + roll(w, 8)) * some_length(w));
	op->vm_flags = access[roll(w, ARRAY_SIZE(access))];
	op->pgoff = op->addr >> w->reference->page_shift;
	if (one_in(w, 2))
		return;
	op->file = 1 + roll(w, 3);
	op->pgoff = roll(w, 4096);
	if (one_in(w, 2))
		op->vm_flags |= RF_VM_SHARED;
	if (one_in(w, 3))
		op->vm_flags |= RF_VM_SHMEM;
}

static void make_vma_op(struct world *w, struct rf_op *op)
{
	u64 start, end;
	u32 page = some_page(w), nr = some_length(w);

	op->kind = (u8[]){ RF_OP_VMA_FLAGS, RF_OP_VMA_GROW, RF_OP_VMA_EXPAND, RF_OP_EXEC_STACK }[roll(w, 4)];
	if (op->kind == RF_OP_VMA_FLAGS) {
		set_range(w, op, page, nr);
		op->vm_flags = (u16[]){ 0, RF_VM_DONTCOPY, RF_VM_WIPEONFORK, RF_VM_LOCKED }[roll(w, 4)];
		op->aux = RF_VM_DONTCOPY | RF_VM_WIPEONFORK | RF_VM_LOCKED;
		return;
	}
	if (!w->reference->view.vma_span(w, op->mm, page, &start, &end))
		return;
	nr = 1 + roll(w, 3 * block_pages(w));
	if (op->kind == RF_OP_VMA_EXPAND) {
		op->addr = end;
		op->end = end + ((u64)nr << w->reference->page_shift);
		return;
	}
	op->end = start;
	op->addr = start - ((u64)nr << w->reference->page_shift);
	if (op->kind == RF_OP_EXEC_STACK) {
		op->addr = start;
		op->end = end;
		op->addr2 = end - ((u64)nr << w->reference->page_shift);
	}
}

static void make_range_op(struct world *w, struct rf_op *op)
{
	static const u8 kinds[] = {
		RF_OP_MUNMAP, RF_OP_ZAP, RF_OP_ZAP, RF_OP_MPROTECT, RF_OP_MPROTECT, RF_OP_MPROTECT, RF_OP_MPROTECT,
		RF_OP_MREMAP, RF_OP_MREMAP, RF_OP_MADV_FREE, RF_OP_MADV_COLD, RF_OP_MADV_PAGEOUT,
	};
	static const u8 zaps[] = {
		RF_WHY_DONTNEED, RF_WHY_DONTNEED, RF_WHY_DONTNEED, RF_WHY_REMOVE, RF_WHY_TRUNCATE,
	};
	static const u16 access[] = { RW, RW, RW, RF_VM_READ, RF_VM_READ, RF_VM_READ | RF_VM_EXEC, 0 };
	u32 nr = some_length(w);

	op->kind = kinds[roll(w, ARRAY_SIZE(kinds))];
	set_range(w, op, some_start(w, op->mm), nr);
	switch (op->kind) {
	case RF_OP_MUNMAP:
		op->why = RF_WHY_MUNMAP + roll(w, 5);
		break;
	case RF_OP_ZAP:
		op->why = zaps[roll(w, ARRAY_SIZE(zaps))];
		if (nr < 2 * block_pages(w) && one_in(w, 8))
			op->why = RF_WHY_GUARD;
		break;
	case RF_OP_MPROTECT:
		op->vm_flags = access[roll(w, ARRAY_SIZE(access))];
		break;
	case RF_OP_MREMAP:
		op->addr2 = page_addr(w, some_page(w));
		op->nr = one_in(w, 4) ? 1 + roll(w, 2 * nr) : nr;
		if (op->nr == nr && one_in(w, 8))
			op->flags |= RF_OP_DONTUNMAP;
		break;
	}
}

/* ---- faults ---- */

static void make_file_fault(struct world *w, struct rf_op *op, const struct ref_page *page)
{
	u32 size, offset;

	op->kind = RF_OP_FAULT_FILE;
	op->order = some_order(w);
	if (op->order >= table_order(w))
		op->order = block_order(w);
	size = 1u << op->order;
	/* Mostly as a page cache that is aligned like the mapping; sometimes not. */
	offset = one_in(w, 4) ? roll(w, size) : reference_page(w->reference, op->addr) & (size - 1);
	op->nr = 1 + roll(w, size - offset);
	if (!one_in(w, 3))
		op->nr = size - offset;
	op->pfn = some_pfns(w, op->order) + offset;
	op->aux = op->addr + (roll(w, op->nr + 2) << w->reference->page_shift);
	op->flags |= RF_OP_FIRST | (one_in(w, 2) ? RF_OP_FAULT_AROUND : 0);
	if (page->vma & RF_VM_SHMEM)
		op->flags |= RF_OP_SHMEM;
	if ((page->vma & RF_VM_SHARED) && (page->vma & RF_VM_WRITE) && one_in(w, 2))
		op->flags |= RF_OP_WRITE;
}

/* All pages of a swapped run whose slots and exclusiveness go together, or some of it. */
static void make_swap_fault(struct world *w, struct rf_op *op, const struct ref_page *page)
{
	u32 number = reference_page(w->reference, op->addr), limit = w->reference->table_pages, size, offset, nr;

	op->kind = RF_OP_FAULT_SWAP;
	limit -= number & (limit - 1);
	for (nr = 1; nr < limit; nr++)
		if (page[nr].kind != REF_SWAP || ((page[nr].bits ^ page->bits) & REF_EXCLUSIVE))
			break;
	op->order = one_in(w, 2) ? some_order(w) : 0;
	if (op->order >= table_order(w))
		op->order = 0;
	size = 1u << op->order;
	offset = number & (size - 1);
	op->nr = nr < size - offset ? nr : size - offset;
	op->pfn = some_pfns(w, op->order) + offset;
	if ((page->vma & RF_VM_WRITE) && one_in(w, 2))
		op->flags |= RF_OP_WRITE;
	if (one_in(w, 2))
		op->flags |= RF_OP_EXCLUSIVE;
}

static void make_fault_on_none(struct world *w, struct rf_op *op, const struct ref_page *page)
{
	op->order = some_order(w);
	if ((page->vma & REF_FILE) && ((page->vma & RF_VM_SHARED) || !one_in(w, 4))) {
		make_file_fault(w, op, page);
		return;
	}
	if (page->vma & REF_FILE) {
		op->kind = RF_OP_FAULT_COW;
		op->order = one_in(w, 6) ? op->order : 0;
	} else if (one_in(w, 12)) {
		op->kind = RF_OP_FAULT_ZERO;
		op->order = 0;
		op->pfn = 0x77;
		return;
	} else {
		op->kind = RF_OP_FAULT_ANON;
	}
	op->pfn = some_pfns(w, op->order);
}

static void make_fault(struct world *w, struct rf_op *op)
{
	static const enum ref_kind kinds[] = {
		REF_NONE, REF_NONE, REF_NONE, REF_NONE, REF_SWAP, REF_PRESENT, REF_PRESENT,
	};
	u32 number = find_kind(w, op->mm, kinds[roll(w, ARRAY_SIZE(kinds))]);
	const struct ref_page *page;

	if (number == NO_PAGE)
		number = some_page(w);
	if (one_in(w, 2))
		number &= ~(block_pages(w) - 1);
	page = &w->reference->pages[op->mm][number];
	op->addr = page_addr(w, number);
	op->flags |= one_in(w, 10) ? RF_OP_POPULATE : 0;
	op->kind = RF_OP_FAULT_NONE;
	if (page->kind == REF_NONE) {
		make_fault_on_none(w, op, page);
		if (one_in(w, 25) && op->kind == RF_OP_FAULT_FILE)
			op->flags |= RF_OP_LOAD;
	} else if (page->kind == REF_SWAP) {
		make_swap_fault(w, op, page);
	} else if (page->kind == REF_PRESENT && !(page->bits & REF_WRITE)) {
		op->kind = page->bits & REF_EXCLUSIVE || (page->vma & RF_VM_SHARED) || one_in(w, 3) ?
			   RF_OP_FAULT_REUSE : RF_OP_FAULT_COW;
		op->order = op->kind == RF_OP_FAULT_COW && one_in(w, 10) ? some_order(w) : 0;
		op->pfn = some_pfns(w, op->order);
	} else if (one_in(w, 2)) {
		op->flags |= RF_OP_WRITE;
	} else if (!one_in(w, 6)) {
		op->addr = 0;	/* nothing to do here; another operation, then */
	}
}

/* ---- the reverse map ---- */

/* The mapped part of the folio around a page: neighbours in line with it. */
static void folio_run(const struct world *w, u32 mm, u32 number, u32 *first, u32 *nr)
{
	const struct ref_page *pages = w->reference->pages[mm];
	u32 start = number, end = number + 1;

	while (start && reference_adjacent(w->reference, &pages[start - 1], &pages[start]))
		start--;
	while (end < w->reference->nr_pages && reference_adjacent(w->reference, &pages[end - 1], &pages[end]))
		end++;
	*first = start;
	*nr = end - start;
}

static void make_migrate_in(struct world *w, struct rf_op *op)
{
	u32 number = find_kind(w, op->mm, REF_MIGRATION), size, offset, end;
	const struct ref_page *pages = w->reference->pages[op->mm];

	if (number == NO_PAGE)
		return;
	op->kind = RF_OP_MIGRATE_IN;
	while (number && pages[number - 1].kind == REF_MIGRATION && pages[number - 1].pfn + 1 == pages[number].pfn)
		number--;
	for (end = number + 1; end < w->reference->nr_pages && pages[end].kind == REF_MIGRATION; end++)
		if (pages[end].pfn != pages[end - 1].pfn + 1)
			break;
	op->order = pages[number].order;
	if (is_leaf(w, op->mm, number))
		number &= ~(w->reference->table_pages - 1);
	else if (op->order >= table_order(w) || one_in(w, 5))
		op->order = some_order(w) % table_order(w);
	size = 1u << op->order;
	offset = pages[number].pfn & (size - 1);
	op->nr = end - number < size - offset ? end - number : size - offset;
	op->pfn = some_pfns(w, op->order) + offset;
	op->addr = page_addr(w, number);
}

static void make_collapse(struct world *w, struct rf_op *op)
{
	u32 number = find_kind(w, op->mm, REF_PRESENT);

	if (number == NO_PAGE)
		return;
	op->kind = RF_OP_COLLAPSE;
	op->addr = page_addr(w, number & ~(w->reference->table_pages - 1));
	op->order = table_order(w);
	op->pfn = some_pfns(w, op->order);
}

static void make_rmap_op(struct world *w, struct rf_op *op)
{
	static const u8 kinds[] = {
		RF_OP_UNMAP_SWAP, RF_OP_UNMAP_SWAP, RF_OP_UNMAP_FILE, RF_OP_MIGRATE_OUT, RF_OP_MIGRATE_OUT,
		RF_OP_MIGRATE_IN, RF_OP_MIGRATE_IN, RF_OP_MIGRATE_IN, RF_OP_MIGRATE_IN, RF_OP_RECLAIM_FLUSH,
		RF_OP_FOLIO_SPLIT, RF_OP_MKCLEAN, RF_OP_MKCLEAN,
	};
	u32 number = find_kind(w, op->mm, REF_PRESENT), first, nr, skip;
	const struct ref_page *page;

	op->kind = kinds[roll(w, ARRAY_SIZE(kinds))];
	if (one_in(w, 12)) {
		make_collapse(w, op);
		return;
	}
	if (op->kind == RF_OP_MIGRATE_IN) {
		make_migrate_in(w, op);
		return;
	}
	if (number == NO_PAGE)
		return;
	folio_run(w, op->mm, number, &first, &nr);
	if (one_in(w, 3)) {
		skip = roll(w, nr);
		first += skip;
		nr = 1 + roll(w, nr - skip);
	}
	page = &w->reference->pages[op->mm][first];
	op->nr = nr;
	op->addr = page_addr(w, first);
	op->pfn = page->pfn;
	op->order = page->order;
	op->flags |= (one_in(w, 2) ? RF_OP_DEFERRED : 0) | (page->bits & REF_ANON ? RF_OP_ANON : 0);
	if (op->kind == RF_OP_UNMAP_SWAP && !(page->bits & REF_ANON))
		op->kind = RF_OP_UNMAP_FILE;
	if (op->kind == RF_OP_FOLIO_SPLIT)
		op->order = page->order ? roll(w, page->order) : 0;
}

/* ---- what comes next ---- */

static void make_hardware(struct world *w, struct rf_op *op)
{
	u32 number = find_kind(w, op->mm, REF_PRESENT);

	op->kind = STEP_HARDWARE;
	op->addr = number == NO_PAGE ? 0 : page_addr(w, number);
	op->flags = one_in(w, 2) ? RF_OP_WRITE : 0;
}

static void make_mm_op(struct world *w, struct rf_op *op)
{
	if (one_in(w, 2)) {
		/* The first one is everybody's parent, and mostly lives on. */
		op->mm = one_in(w, 10) ? op->mm : 1 + op->mm % (REFERENCE_MMS - 1);
		op->kind = RF_OP_MM_EXIT;
		op->why = one_in(w, 2) ? RF_WHY_PROCESS_EXIT : RF_WHY_EXEC;
		return;
	}
	op->kind = RF_OP_FORK;
	op->mm2 = some_dead_mm(w);
}

static void make_op(struct world *w, struct rf_op *op)
{
	u64 what = roll(w, 1000);

	op->flags = one_in(w, 20) ? RF_OP_NESTED : 0;
	if (what < 12)
		make_mm_op(w, op);
	else if (what < 60)
		make_map(w, op);
	else if (what < 70)
		make_vma_op(w, op);
	else if (what < 150)
		make_range_op(w, op);
	else if (what < 640)
		make_fault(w, op);
	else if (what < 800)
		make_rmap_op(w, op);
	else
		make_hardware(w, op);
}

struct step generate(struct world *w)
{
	struct step step;
	int tries;

	for (tries = 0; tries < 40; tries++) {
		step = (struct step){ .op = { .time = w->step_number * 1000, .mm = roll(w, REFERENCE_MMS) } };
		step.choice = roll(w, 1ull << 40);
		if (!w->reference->alive[step.op.mm])
			step.op.kind = RF_OP_MM_NEW;
		else
			make_op(w, &step.op);
			/* Address spaces mostly come from fork. */
		if (step.op.kind == RF_OP_MM_NEW && step.op.mm && !one_in(w, 30))
			continue;
		if (acceptable(w, &step.op))
			return step;
	}
	step.op = (struct rf_op){ .kind = RF_OP_MAP, .mm = step.op.mm };
	for (tries = 0; tries < 400 && w->reference->alive[step.op.mm]; tries++) {
		make_map(w, &step.op);
		if (acceptable(w, &step.op))
			return step;
	}
	step.op = (struct rf_op){ .kind = w->reference->alive[0] ? RF_OP_MM_EXIT : RF_OP_MM_NEW,
				  .why = RF_WHY_PROCESS_EXIT };
	return step;
}
