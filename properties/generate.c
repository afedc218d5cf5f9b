// SPDX-License-Identifier: MIT
/*
 * The next random operation: one that a kernel could do in the state that the reference is in. Mostly around the border
 * of two tables and at round places, so that folios, blocks and tables are hit whole and in part.
 */
#include "properties/property.h"

#define RW (RF_VM_READ | RF_VM_WRITE)

u64 roll(struct trial *t, u64 below)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (t->random >> 11) % below;
}

static bool one_in(struct trial *t, u64 n)
{
	return !roll(t, n);
}

static u32 block_pages(const struct trial *t)
{
	u32 n = t->config->policy.geometry.cont_ptes;

	return n > 1 ? n : 16;
}

static unsigned int table_order(const struct trial *t)
{
	return __builtin_ctz(t->reference->table_pages);
}

/* Both windows have such a neighbourhood: the first table border of the low one, the start of the high one. */
static u32 some_page(struct trial *t)
{
	const struct reference *r = t->reference;
	u32 hot = 24 * block_pages(t), page, align;

	if (hot > r->table_pages)
		hot = r->table_pages;
	if (one_in(t, 12))
		page = roll(t, r->nr_pages);
	else if (one_in(t, 5))
		page = r->windows[1].first + roll(t, hot);
	else
		page = r->table_pages - hot / 2 + roll(t, hot);
	align = (u32[]){ 1, 1, 4, block_pages(t), block_pages(t), 2 * block_pages(t) }[roll(t, 6)];
	return page & ~(align - 1);
}

static u32 some_length(struct trial *t)
{
	u32 n = block_pages(t);

	switch (roll(t, 10)) {
	case 0 ... 2:
		return 1;
	case 3 ... 5:
		return 1 + roll(t, 2 * n);
	case 6 ... 8:
		return n * (1 + roll(t, 4));
	}
	return one_in(t, 4) ? t->reference->table_pages : n * (1 + roll(t, 24));
}

/* The next page that has this kind of entry, and if it has none, a VMA; or NO_PAGE. */
static u32 find_kind(struct trial *t, u32 mm, enum ref_kind kind)
{
	const struct ref_page *pages = t->reference->pages[mm];
	u32 number = some_page(t), i;

	for (i = 0; i < 8 * block_pages(t) && number + i < t->reference->nr_pages; i++)
		if (pages[number + i].kind == kind && pages[number + i].vma)
			return number + i;
	return NO_PAGE;
}

/* Where to begin with a range: mostly where there is something. */
static u32 some_start(struct trial *t, u32 mm)
{
	u32 page = one_in(t, 8) ? NO_PAGE : find_kind(t, mm, REF_PRESENT);

	if (page == NO_PAGE)
		return some_page(t);
	if (one_in(t, 3))
		return page - (page & (block_pages(t) - 1));
	return page < t->reference->windows[1].first && page > 8 && one_in(t, 2) ? page - roll(t, 8) : page;
}

static u64 some_pfns(struct trial *t, unsigned int order)
{
	u64 size = 1ull << order, pfn;

	/* Often right behind the last folio: neighbours in memory are not always of one folio. */
	if (one_in(t, 3))
		t->next_pfn += roll(t, 40);
	pfn = ALIGN_UP(t->next_pfn, size);
	t->next_pfn = pfn + size;
	return pfn;
}

static unsigned int block_order(const struct trial *t)
{
	return __builtin_ctz(block_pages(t));
}

static unsigned int some_order(struct trial *t)
{
	unsigned int b = block_order(t);

	switch (roll(t, 12)) {
	case 0 ... 1:
		return 0;
	case 2 ... 3:
		return roll(t, b);
	case 4 ... 7:
		return b;
	case 8:
		return b + 1;
	case 9:
		return b + 2 < table_order(t) ? b + 2 : table_order(t) - 1;
	case 10:
		return one_in(t, 6) ? table_order(t) : b;
	}
	return b ? b - 1 : 0;
}

static void set_range(struct trial *t, struct rf_op *op, u32 page, u32 nr)
{
	op->addr = page_addr(t, page);
	op->end = op->addr + ((u64)nr << t->reference->page_shift);
}

/* ---- address spaces and VMAs ---- */

static u32 some_dead_mm(struct trial *t)
{
	u32 mm = roll(t, REFERENCE_MMS), i;

	for (i = 0; i < REFERENCE_MMS && t->reference->alive[mm]; i++)
		mm = (mm + 1) % REFERENCE_MMS;
	return mm;
}

static void make_map(struct trial *t, struct rf_op *op)
{
	static const u16 access[] = { RW, RW, RW, RW, RF_VM_READ, RF_VM_READ | RF_VM_EXEC, RW | RF_VM_EXEC, 0 };

	op->kind = RF_OP_MAP;
	if (one_in(t, 4))	/* whole tables, where PMDs could be */
		set_range(t, op, t->reference->table_pages * roll(t, MAX_TABLES),
			  t->reference->table_pages * (1 + roll(t, 2)));
	else
		set_range(t, op, some_page(t), (1 + roll(t, 8)) * some_length(t));
	op->vm_flags = access[roll(t, ARRAY_SIZE(access))];
	op->pgoff = op->addr >> t->reference->page_shift;
	if (one_in(t, 2))
		return;
	op->file = 1 + roll(t, 3);
	op->pgoff = roll(t, 4096);
	if (one_in(t, 2))
		op->vm_flags |= RF_VM_SHARED;
	if (one_in(t, 3))
		op->vm_flags |= RF_VM_SHMEM;
}

static void make_vma_op(struct trial *t, struct rf_op *op)
{
	u64 start, end;
	u32 page = some_page(t), nr = some_length(t);

	op->kind = (u8[]){ RF_OP_VMA_FLAGS, RF_OP_VMA_GROW, RF_OP_VMA_EXPAND, RF_OP_EXEC_STACK }[roll(t, 4)];
	if (op->kind == RF_OP_VMA_FLAGS) {
		set_range(t, op, page, nr);
		op->vm_flags = (u16[]){ 0, RF_VM_DONTCOPY, RF_VM_WIPEONFORK, RF_VM_LOCKED }[roll(t, 4)];
		op->aux = RF_VM_DONTCOPY | RF_VM_WIPEONFORK | RF_VM_LOCKED;
		return;
	}
	if (!t->reference->view.vma_span(t, op->mm, page, &start, &end))
		return;
	nr = 1 + roll(t, 3 * block_pages(t));
	if (op->kind == RF_OP_VMA_EXPAND) {
		op->addr = end;
		op->end = end + ((u64)nr << t->reference->page_shift);
		return;
	}
	op->end = start;
	op->addr = start - ((u64)nr << t->reference->page_shift);
	if (op->kind == RF_OP_EXEC_STACK) {
		op->addr = start;
		op->end = end;
		op->addr2 = end - ((u64)nr << t->reference->page_shift);
	}
}

static void make_range_op(struct trial *t, struct rf_op *op)
{
	static const u8 kinds[] = {
		RF_OP_MUNMAP, RF_OP_ZAP, RF_OP_ZAP, RF_OP_MPROTECT, RF_OP_MPROTECT, RF_OP_MPROTECT, RF_OP_MPROTECT,
		RF_OP_MREMAP, RF_OP_MREMAP, RF_OP_MADV_FREE, RF_OP_MADV_COLD, RF_OP_MADV_PAGEOUT,
	};
	static const u8 zaps[] = {
		RF_WHY_DONTNEED, RF_WHY_DONTNEED, RF_WHY_DONTNEED, RF_WHY_REMOVE, RF_WHY_TRUNCATE,
	};
	static const u16 access[] = { RW, RW, RW, RF_VM_READ, RF_VM_READ, RF_VM_READ | RF_VM_EXEC, 0 };
	u32 nr = some_length(t);

	op->kind = kinds[roll(t, ARRAY_SIZE(kinds))];
	set_range(t, op, some_start(t, op->mm), nr);
	switch (op->kind) {
	case RF_OP_MUNMAP:
		op->why = RF_WHY_MUNMAP + roll(t, 5);
		break;
	case RF_OP_ZAP:
		op->why = zaps[roll(t, ARRAY_SIZE(zaps))];
		if (nr < 2 * block_pages(t) && one_in(t, 8))
			op->why = RF_WHY_GUARD;
		break;
	case RF_OP_MPROTECT:
		op->vm_flags = access[roll(t, ARRAY_SIZE(access))];
		break;
	case RF_OP_MREMAP:
		op->addr2 = page_addr(t, some_page(t));
		op->nr = one_in(t, 4) ? 1 + roll(t, 2 * nr) : nr;
		if (op->nr == nr && one_in(t, 8))
			op->flags |= RF_OP_DONTUNMAP;
		break;
	}
}

/* ---- faults ---- */

static void make_file_fault(struct trial *t, struct rf_op *op, const struct ref_page *page)
{
	u32 size, offset;

	op->kind = RF_OP_FAULT_FILE;
	op->order = some_order(t);
	if (op->order >= table_order(t))
		op->order = block_order(t);
	size = 1u << op->order;
	/* Mostly as a page cache that is aligned like the mapping; sometimes not. */
	offset = one_in(t, 4) ? roll(t, size) : reference_page(t->reference, op->addr) & (size - 1);
	op->nr = 1 + roll(t, size - offset);
	if (!one_in(t, 3))
		op->nr = size - offset;
	op->pfn = some_pfns(t, op->order) + offset;
	op->aux = op->addr + (roll(t, op->nr + 2) << t->reference->page_shift);
	op->flags |= RF_OP_FIRST | (one_in(t, 2) ? RF_OP_FAULT_AROUND : 0);
	if (page->vma & RF_VM_SHMEM)
		op->flags |= RF_OP_SHMEM;
	if ((page->vma & RF_VM_SHARED) && (page->vma & RF_VM_WRITE) && one_in(t, 2))
		op->flags |= RF_OP_WRITE;
}

/* All pages of a swapped run whose slots and exclusiveness go together, or some of it. */
static void make_swap_fault(struct trial *t, struct rf_op *op, const struct ref_page *page)
{
	u32 number = reference_page(t->reference, op->addr), limit = t->reference->table_pages, size, offset, nr;

	op->kind = RF_OP_FAULT_SWAP;
	limit -= number & (limit - 1);
	for (nr = 1; nr < limit; nr++)
		if (page[nr].kind != REF_SWAP || ((page[nr].bits ^ page->bits) & REF_EXCLUSIVE))
			break;
	op->order = one_in(t, 2) ? some_order(t) : 0;
	if (op->order >= table_order(t))
		op->order = 0;
	size = 1u << op->order;
	offset = number & (size - 1);
	op->nr = nr < size - offset ? nr : size - offset;
	op->pfn = some_pfns(t, op->order) + offset;
	if ((page->vma & RF_VM_WRITE) && one_in(t, 2))
		op->flags |= RF_OP_WRITE;
	if (one_in(t, 2))
		op->flags |= RF_OP_EXCLUSIVE;
}

static void make_fault_on_none(struct trial *t, struct rf_op *op, const struct ref_page *page)
{
	op->order = some_order(t);
	if ((page->vma & REF_FILE) && ((page->vma & RF_VM_SHARED) || !one_in(t, 4))) {
		make_file_fault(t, op, page);
		return;
	}
	if (page->vma & REF_FILE) {
		op->kind = RF_OP_FAULT_COW;
		op->order = one_in(t, 6) ? op->order : 0;
	} else if (one_in(t, 12)) {
		op->kind = RF_OP_FAULT_ZERO;
		op->order = 0;
		op->pfn = 0x77;
		return;
	} else {
		op->kind = RF_OP_FAULT_ANON;
	}
	op->pfn = some_pfns(t, op->order);
}

static void make_fault(struct trial *t, struct rf_op *op)
{
	static const enum ref_kind kinds[] = {
		REF_NONE, REF_NONE, REF_NONE, REF_NONE, REF_SWAP, REF_PRESENT, REF_PRESENT,
	};
	u32 number = find_kind(t, op->mm, kinds[roll(t, ARRAY_SIZE(kinds))]);
	const struct ref_page *page;

	if (number == NO_PAGE)
		number = some_page(t);
	if (one_in(t, 2))
		number &= ~(block_pages(t) - 1);
	page = &t->reference->pages[op->mm][number];
	op->addr = page_addr(t, number);
	op->flags |= one_in(t, 10) ? RF_OP_POPULATE : 0;
	op->kind = RF_OP_FAULT_NONE;
	if (page->kind == REF_NONE) {
		make_fault_on_none(t, op, page);
		if (one_in(t, 25) && op->kind == RF_OP_FAULT_FILE)
			op->flags |= RF_OP_LOAD;
	} else if (page->kind == REF_SWAP) {
		make_swap_fault(t, op, page);
	} else if (page->kind == REF_PRESENT && !(page->bits & REF_WRITE)) {
		op->kind = page->bits & REF_EXCLUSIVE || (page->vma & RF_VM_SHARED) || one_in(t, 3) ?
			   RF_OP_FAULT_REUSE : RF_OP_FAULT_COW;
		op->order = op->kind == RF_OP_FAULT_COW && one_in(t, 10) ? some_order(t) : 0;
		op->pfn = some_pfns(t, op->order);
	} else if (one_in(t, 2)) {
		op->flags |= RF_OP_WRITE;
	} else if (!one_in(t, 6)) {
		op->addr = 0;	/* nothing to do here; another operation, then */
	}
}

/* ---- the reverse map ---- */

/* The mapped part of the folio around a page: neighbours in line with it. */
static void folio_run(const struct trial *t, u32 mm, u32 number, u32 *first, u32 *nr)
{
	const struct ref_page *pages = t->reference->pages[mm];
	u32 start = number, end = number + 1;

	while (start && reference_adjacent(t->reference, &pages[start - 1], &pages[start]))
		start--;
	while (end < t->reference->nr_pages && reference_adjacent(t->reference, &pages[end - 1], &pages[end]))
		end++;
	*first = start;
	*nr = end - start;
}

static void make_migrate_in(struct trial *t, struct rf_op *op)
{
	u32 number = find_kind(t, op->mm, REF_MIGRATION), size, offset, end;
	const struct ref_page *pages = t->reference->pages[op->mm];

	if (number == NO_PAGE)
		return;
	op->kind = RF_OP_MIGRATE_IN;
	while (number && pages[number - 1].kind == REF_MIGRATION && pages[number - 1].pfn + 1 == pages[number].pfn)
		number--;
	for (end = number + 1; end < t->reference->nr_pages && pages[end].kind == REF_MIGRATION; end++)
		if (pages[end].pfn != pages[end - 1].pfn + 1)
			break;
	op->order = pages[number].order;
	if (is_leaf(t, op->mm, number))
		number &= ~(t->reference->table_pages - 1);
	else if (op->order >= table_order(t) || one_in(t, 5))
		op->order = some_order(t) % table_order(t);
	size = 1u << op->order;
	offset = pages[number].pfn & (size - 1);
	op->nr = end - number < size - offset ? end - number : size - offset;
	op->pfn = some_pfns(t, op->order) + offset;
	op->addr = page_addr(t, number);
}

static void make_collapse(struct trial *t, struct rf_op *op)
{
	u32 number = find_kind(t, op->mm, REF_PRESENT);

	if (number == NO_PAGE)
		return;
	op->kind = RF_OP_COLLAPSE;
	op->addr = page_addr(t, number & ~(t->reference->table_pages - 1));
	op->order = table_order(t);
	op->pfn = some_pfns(t, op->order);
}

static void make_rmap_op(struct trial *t, struct rf_op *op)
{
	static const u8 kinds[] = {
		RF_OP_UNMAP_SWAP, RF_OP_UNMAP_SWAP, RF_OP_UNMAP_FILE, RF_OP_MIGRATE_OUT, RF_OP_MIGRATE_OUT,
		RF_OP_MIGRATE_IN, RF_OP_MIGRATE_IN, RF_OP_MIGRATE_IN, RF_OP_MIGRATE_IN, RF_OP_RECLAIM_FLUSH,
		RF_OP_FOLIO_SPLIT, RF_OP_MKCLEAN, RF_OP_MKCLEAN,
	};
	u32 number = find_kind(t, op->mm, REF_PRESENT), first, nr, skip;
	const struct ref_page *page;

	op->kind = kinds[roll(t, ARRAY_SIZE(kinds))];
	if (one_in(t, 12)) {
		make_collapse(t, op);
		return;
	}
	if (op->kind == RF_OP_MIGRATE_IN) {
		make_migrate_in(t, op);
		return;
	}
	if (number == NO_PAGE)
		return;
	folio_run(t, op->mm, number, &first, &nr);
	if (one_in(t, 3)) {
		skip = roll(t, nr);
		first += skip;
		nr = 1 + roll(t, nr - skip);
	}
	page = &t->reference->pages[op->mm][first];
	op->nr = nr;
	op->addr = page_addr(t, first);
	op->pfn = page->pfn;
	op->order = page->order;
	op->flags |= (one_in(t, 2) ? RF_OP_DEFERRED : 0) | (page->bits & REF_ANON ? RF_OP_ANON : 0);
	if (op->kind == RF_OP_UNMAP_SWAP && !(page->bits & REF_ANON))
		op->kind = RF_OP_UNMAP_FILE;
	if (op->kind == RF_OP_FOLIO_SPLIT)
		op->order = page->order ? roll(t, page->order) : 0;
}

/* ---- what comes next ---- */

static void make_hardware(struct trial *t, struct rf_op *op)
{
	u32 number = find_kind(t, op->mm, REF_PRESENT);

	op->kind = STEP_HARDWARE;
	op->addr = number == NO_PAGE ? 0 : page_addr(t, number);
	op->flags = one_in(t, 2) ? RF_OP_WRITE : 0;
}

static void make_mm_op(struct trial *t, struct rf_op *op)
{
	if (one_in(t, 2)) {
		/* The first one is everybody's parent, and mostly lives on. */
		op->mm = one_in(t, 10) ? op->mm : 1 + op->mm % (REFERENCE_MMS - 1);
		op->kind = RF_OP_MM_EXIT;
		op->why = one_in(t, 2) ? RF_WHY_PROCESS_EXIT : RF_WHY_EXEC;
		return;
	}
	op->kind = RF_OP_FORK;
	op->mm2 = some_dead_mm(t);
}

static void make_op(struct trial *t, struct rf_op *op)
{
	u64 what = roll(t, 1000);

	op->flags = one_in(t, 20) ? RF_OP_NESTED : 0;
	if (what < 12)
		make_mm_op(t, op);
	else if (what < 60)
		make_map(t, op);
	else if (what < 70)
		make_vma_op(t, op);
	else if (what < 150)
		make_range_op(t, op);
	else if (what < 640)
		make_fault(t, op);
	else if (what < 800)
		make_rmap_op(t, op);
	else
		make_hardware(t, op);
}

struct step generate(struct trial *t)
{
	struct step step;
	int tries;

	for (tries = 0; tries < 40; tries++) {
		step = (struct step){ .op = { .time = t->step_number * 100000, .mm = roll(t, REFERENCE_MMS) } };
		step.choice = roll(t, 1ull << 40);
		if (!t->reference->alive[step.op.mm])
			step.op.kind = RF_OP_MM_NEW;
		else
			make_op(t, &step.op);
			/* Address spaces mostly come from fork. */
		if (step.op.kind == RF_OP_MM_NEW && step.op.mm && !one_in(t, 30))
			continue;
		if (acceptable(t, &step.op))
			return step;
	}
	step.op = (struct rf_op){ .kind = RF_OP_MAP, .mm = step.op.mm };
	for (tries = 0; tries < 400 && t->reference->alive[step.op.mm]; tries++) {
		make_map(t, &step.op);
		if (acceptable(t, &step.op))
			return step;
	}
	step.op = (struct rf_op){ .kind = t->reference->alive[0] ? RF_OP_MM_EXIT : RF_OP_MM_NEW,
				  .why = RF_WHY_PROCESS_EXIT };
	return step;
}
