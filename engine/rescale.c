// SPDX-License-Identifier: MIT
/*
 * Recordings on machines with larger pages: address spaces and ranges. See rescale.h for the rules. Mappings that
 * begin or end inside a granule are remembered page by page; all others are known from the machine's VMAs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rescale.h"

#define ACCESS_FLAGS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

struct range {
	u64 start, end;
};

static inline bool empty(struct range range)
{
	return range.start >= range.end;
}

/* ---- which pages of a granule are mapped ------------------------------------------- */

static u16 all_pages(const struct rescale *rescale)
{
	return (1u << (1u << rescale->shift)) - 1;
}

/* Index of the first edge at or after a granule. */
static u32 find_edge(const struct rescale_edges *edges, u64 granule)
{
	u32 low = 0, high = edges->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (edges->list[middle].granule < granule)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct rescale_edges *edges_of(const struct rescaling *r)
{
	return &r->rescale->mms[r->mm->id];
}

u16 rescale_mapped(const struct rescaling *r, u64 addr)
{
	const struct rescale_edges *edges = edges_of(r);
	u64 granule = addr >> r->rescale->page_shift;
	u32 index = find_edge(edges, granule);

	if (index < edges->nr && edges->list[index].granule == granule)
		return edges->list[index].pages;
	return vma_lookup(r->mm, granule_start(r, addr)) ? all_pages(r->rescale) : 0;
}

static void remove_edges(struct rescale_edges *edges, u32 first, u32 last)
{
	memmove(&edges->list[first], &edges->list[last], (edges->nr - last) * sizeof(*edges->list));
	edges->nr -= last - first;
}

/* All or nothing is what the VMAs tell. */
static int set_mapped(const struct rescaling *r, u64 addr, u16 pages)
{
	struct rescale_edges *edges = edges_of(r);
	u64 granule = addr >> r->rescale->page_shift;
	u32 index = find_edge(edges, granule);
	bool there = index < edges->nr && edges->list[index].granule == granule;

	if (!pages || pages == all_pages(r->rescale)) {
		if (there)
			remove_edges(edges, index, index + 1);
		return 0;
	}
	if (!there && edges->nr == edges->max) {
		u32 max = edges->max ? edges->max * 2 : 32;
		struct rescale_edge *list = realloc(edges->list, max * sizeof(*list));

		if (!list)
			return -ENOMEM;
		edges->list = list;
		edges->max = max;
	}
	if (!there) {
		memmove(&edges->list[index + 1], &edges->list[index], (edges->nr - index) * sizeof(*edges->list));
		edges->nr++;
	}
	edges->list[index] = (struct rescale_edge){ granule, pages };
	return 0;
}

/* The pages of the granule at addr that [start, end) has. */
static u16 pages_in(const struct rescaling *r, u64 addr, u64 start, u64 end)
{
	u64 base = granule_start(r, addr), size = granule_size(r);
	u64 from = max_u64(start, base), to = min_u64(end, base + size);
	unsigned int shift = r->rescale->recorded_shift;

	if (from >= to)
		return 0;
	return ((1u << ((to - base) >> shift)) - 1) & ~((1u << ((from - base) >> shift)) - 1);
}

/* Granules that [start, end) touches. */
static struct range touched(const struct rescaling *r, u64 start, u64 end)
{
	return (struct range){ granule_start(r, start), ALIGN_UP(end, granule_size(r)) };
}

/* Change which pages are mapped at both ends of [start, end); whole granules between need no note. */
static int note_pages(const struct rescaling *r, u64 start, u64 end, bool mapped)
{
	struct rescale_edges *edges = edges_of(r);
	struct range range = touched(r, start, end);
	u64 ends[2] = { range.start, range.end - granule_size(r) };
	u16 old[2] = { rescale_mapped(r, ends[0]), rescale_mapped(r, ends[1]) }, pages;
	int i, err = 0;

	remove_edges(edges, find_edge(edges, ends[0] >> r->rescale->page_shift),
		     find_edge(edges, range.end >> r->rescale->page_shift));
	for (i = 0; i < 2 && !err; i++) {
		pages = pages_in(r, ends[i], start, end);
		err = set_mapped(r, ends[i], mapped ? old[i] | pages : old[i] & ~pages);
	}
	return err;
}

/* Granules of which no mapped page lies outside [start, end). */
static struct range owned(const struct rescaling *r, u64 start, u64 end)
{
	struct range range = touched(r, start, end);
	u64 last = range.end - granule_size(r);

	if (range.start != start || range.end != end)
		count_inexact(r, RF_INEXACT_ranges_rounded);
	if (rescale_mapped(r, last) & ~pages_in(r, last, start, end))
		range.end = last;
	if (!empty(range) && rescale_mapped(r, range.start) & ~pages_in(r, range.start, start, end))
		range.start += granule_size(r);
	if (empty(range))
		count_inexact(r, RF_INEXACT_ranges_left_out);
	return range;
}

/* ---- operations on ranges ---------------------------------------------------------- */

static int run_range(const struct rescaling *r, struct range range)
{
	struct rf_op op = *r->op;

	if (empty(range))
		return 0;
	op.addr = range.start;
	op.end = range.end;
	return machine_run_op(r->machine, &op);
}

/* A granule that two mappings share may be used as either may. */
static int share_granule(const struct rescaling *r, u64 addr, u16 vm_flags)
{
	const struct vm_area *vma = vma_lookup(r->mm, addr);
	struct rf_op op = {
		.kind = RF_OP_VMA_FLAGS, .mm = r->op->mm, .time = r->op->time,
		.addr = addr, .end = addr + granule_size(r), .flags = r->op->flags & RF_OP_LOAD,
	};

	count_inexact(r, RF_INEXACT_granules_shared);
	if (!vma || !(vm_flags & ~vma->flags & ACCESS_FLAGS))
		return 0;
	op.vm_flags = (vm_flags | vma->flags) & ACCESS_FLAGS;
	op.flags = 0;
	return machine_run_op(r->machine, &op);
}

/* The granules a new mapping gets: those that nobody has yet. */
static int claim(const struct rescaling *r, u64 start, u64 end, u16 vm_flags, struct range *range)
{
	u64 last;
	int err = 0;

	*range = touched(r, start, end);
	last = range->end - granule_size(r);
	if (range->start != start || range->end != end)
		count_inexact(r, RF_INEXACT_ranges_rounded);
	if (rescale_mapped(r, last) & ~pages_in(r, last, start, end)) {
		err = share_granule(r, last, vm_flags);
		range->end = last;
	}
	if (!err && !empty(*range) && rescale_mapped(r, range->start) & ~pages_in(r, range->start, start, end)) {
		err = share_granule(r, range->start, vm_flags);
		range->start += granule_size(r);
	}
	return err ? err : note_pages(r, start, end, true);
}

static int rescale_map(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	struct range range;
	int err = claim(r, op.addr, op.end, op.vm_flags, &range);
	s64 offset;

	if (err || empty(range))
		return err;
	offset = ((s64)op.pgoff << r->rescale->recorded_shift) + (s64)(range.start - op.addr);
	op.pgoff = (u64)(offset >> r->rescale->page_shift);
	op.addr = range.start;
	op.end = range.end;
	return machine_run_op(r->machine, &op);
}

static int rescale_munmap(const struct rescaling *r)
{
	const struct rf_op *op = r->op;
	struct range range = owned(r, op->addr, op->end);
	int err = note_pages(r, op->addr, op->end, false);

	return err ? err : run_range(r, range);
}

/* Does it allow what the granule's VMA does not? Then all of the granule must be allowed it. */
static bool widens(const struct rescaling *r, u64 addr)
{
	const struct vm_area *vma = vma_lookup(r->mm, addr);

	return vma && (r->op->vm_flags & ~vma->flags & ACCESS_FLAGS);
}

static int rescale_mprotect(const struct rescaling *r)
{
	struct range all = touched(r, r->op->addr, r->op->end);
	struct range range = owned(r, r->op->addr, r->op->end);

	if (widens(r, all.start))
		range.start = all.start;
	if (widens(r, all.end - granule_size(r)))
		range.end = all.end;
	return run_range(r, range);
}

static int rescale_grow(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	const struct vm_area *vma = vma_lookup(r->mm, op.end);
	int err = note_pages(r, op.addr, op.end, true);

	op.addr = granule_start(r, op.addr);
	if (err || !vma || op.addr >= vma->start)
		return err;
	op.end = vma->start;
	return machine_run_op(r->machine, &op);
}

static int rescale_expand(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	const struct vm_area *vma = vma_lookup(r->mm, op.addr - 1);
	struct range range;
	int err = claim(r, op.addr, op.end, vma ? vma->flags : 0, &range);

	vma = vma_lookup(r->mm, op.addr - 1);
	if (err || !vma || range.end <= vma->end)
		return err;
	op.addr = vma->end;
	op.end = range.end;
	return machine_run_op(r->machine, &op);
}

/* The pages stay where they are, in a granule with others; the new place is a new mapping. */
static int map_instead_of_moving(const struct rescaling *r, struct range to)
{
	const struct vm_area *vma = vma_lookup(r->mm, r->op->addr);
	struct rf_op op = {
		.kind = RF_OP_MAP, .mm = r->op->mm, .time = r->op->time, .addr = to.start, .end = to.end,
		.pgoff = to.start >> r->rescale->page_shift,
	};

	if (vma) {
		op.vm_flags = vma->flags & 0xffff;
		op.file = vma->file;
	}
	return empty(to) ? 0 : machine_run_op(r->machine, &op);
}

/* The new place is claimed first: a granule that it shares with the old one stays. */
static int rescale_mremap(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	u64 length = op.nr ? (u64)op.nr << r->rescale->recorded_shift : op.end - op.addr;
	struct range from, to;
	int err = claim(r, op.addr2, op.addr2 + length, 0, &to);

	from = owned(r, op.addr, op.end);
	if (!err && !(op.flags & RF_OP_DONTUNMAP))
		err = note_pages(r, op.addr, op.end, false);
	if (err || empty(from))
		return err ? err : map_instead_of_moving(r, to);
	op.addr = from.start;
	op.end = from.end;
	if (empty(to)) {
		count_inexact(r, RF_INEXACT_ranges_left_out);
		op.kind = RF_OP_MUNMAP;
		op.why = RF_WHY_MREMAP;
		op.flags = 0;
		return machine_run_op(r->machine, &op);
	}
	op.addr2 = to.start;
	op.nr = (to.end - to.start) >> r->rescale->page_shift;
	return machine_run_op(r->machine, &op);
}

/* The stack keeps its place within a granule, or nearly. */
static int rescale_exec_stack(const struct rescaling *r)
{
	struct rf_op op = *r->op, grow;
	const struct vm_area *vma = vma_lookup(r->mm, op.addr);
	u64 start = op.addr2 - (op.end - op.addr);
	int err;

	if (!vma)
		return machine_run_op(r->machine, &op);
	err = note_pages(r, op.addr, op.end, false);
	if (!err)
		err = note_pages(r, start, op.addr2, true);
	op.addr = vma->start;
	op.end = vma->end;
	op.addr2 = ALIGN_UP(op.addr2, granule_size(r));
	if (!err && op.addr2 < op.end)
		err = machine_run_op(r->machine, &op);
	vma = vma_lookup(r->mm, op.addr2 - 1);
	if (err || !vma || granule_start(r, start) >= vma->start)
		return err;
	grow = (struct rf_op){ .kind = RF_OP_VMA_GROW, .mm = op.mm, .time = op.time,
			       .addr = granule_start(r, start), .end = vma->start };
	return machine_run_op(r->machine, &grow);
}

/* ---- address spaces ------------------------------------------------------------------ */

static int make_room(struct rescale *rescale, u32 id)
{
	u32 max = rescale->max_mms ? rescale->max_mms : 64;
	struct rescale_edges *mms;

	while (max <= id)
		max *= 2;
	if (max == rescale->max_mms)
		return 0;
	mms = realloc(rescale->mms, max * sizeof(*mms));
	if (!mms)
		return -ENOMEM;
	memset(mms + rescale->max_mms, 0, (max - rescale->max_mms) * sizeof(*mms));
	rescale->mms = mms;
	rescale->max_mms = max;
	return 0;
}

static void forget_edges(struct rescale *rescale, u32 id)
{
	free(rescale->mms[id].list);
	rescale->mms[id] = (struct rescale_edges){ 0 };
}

static int copy_edges(struct rescale *rescale, u32 parent, u32 child)
{
	const struct rescale_edges *from = &rescale->mms[parent];
	struct rescale_edges *to = &rescale->mms[child];

	forget_edges(rescale, child);
	if (!from->nr)
		return 0;
	to->list = malloc(from->nr * sizeof(*to->list));
	if (!to->list)
		return -ENOMEM;
	memcpy(to->list, from->list, from->nr * sizeof(*to->list));
	to->nr = to->max = from->nr;
	return 0;
}

void rescale_destroy(struct rescale *rescale)
{
	u32 i;

	for (i = 0; rescale && i < rescale->max_mms; i++)
		free(rescale->mms[i].list);
	if (rescale)
		free(rescale->mms);
	free(rescale);
}

int rf_machine_recorded_pages(struct rf_machine *machine, unsigned int page_shift)
{
	unsigned int own = machine->policy.geometry.page_shift;

	if (page_shift > own || own - page_shift > 4)
		return -EINVAL;
	/* Tables of another size make huge pages of another size, even of equal pages. */
	if (page_shift == own && machine->policy.geometry.table_shift == page_shift - 3)
		return 0;
	machine->rescale = calloc(1, sizeof(*machine->rescale));
	if (!machine->rescale)
		return -ENOMEM;
	machine->rescale->recorded_shift = page_shift;
	machine->rescale->page_shift = own;
	machine->rescale->shift = own - page_shift;
	return 0;
}

/* ---- dispatch -------------------------------------------------------------------------- */

static int run_in_mm(const struct rescaling *r)
{
	const struct rf_op *op = r->op;

	if ((op->flags & RF_OP_LOAD) && op->kind != RF_OP_MAP)
		return rescale_load(r);
	switch (op->kind) {
	case RF_OP_MAP:
		return rescale_map(r);
	case RF_OP_MUNMAP:
		return rescale_munmap(r);
	case RF_OP_MPROTECT:
		return rescale_mprotect(r);
	case RF_OP_VMA_GROW:
		return rescale_grow(r);
	case RF_OP_VMA_EXPAND:
		return rescale_expand(r);
	case RF_OP_MREMAP:
		return rescale_mremap(r);
	case RF_OP_EXEC_STACK:
		return rescale_exec_stack(r);
	case RF_OP_VMA_FLAGS:
	case RF_OP_ZAP:
	case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD:
	case RF_OP_MADV_PAGEOUT:
		return run_range(r, owned(r, op->addr, op->end));
	case RF_OP_FAULT_ANON ... RF_OP_FAULT_NONE:
		return rescale_fault(r);
	case RF_OP_UNMAP_SWAP:
	case RF_OP_UNMAP_FILE:
	case RF_OP_MIGRATE_OUT:
	case RF_OP_MIGRATE_IN:
	case RF_OP_FOLIO_SPLIT:
	case RF_OP_MKCLEAN:
		return rescale_rmap(r);
	case RF_OP_COLLAPSE:
		count_inexact(r, RF_INEXACT_collapses_left_out);
		return 0;
	}
	return machine_run_op(r->machine, op);
}

/* What does not is for the machine to refuse. */
static bool makes_sense(const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_MAP: case RF_OP_MUNMAP: case RF_OP_MPROTECT: case RF_OP_VMA_GROW: case RF_OP_VMA_EXPAND:
	case RF_OP_MREMAP: case RF_OP_EXEC_STACK: case RF_OP_VMA_FLAGS: case RF_OP_ZAP: case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD: case RF_OP_MADV_PAGEOUT:
		return op->addr < op->end && op->end <= 1ull << 57;
	}
	return op->addr <= 1ull << 57 && op->nr <= MAX_RUN && op->order < 16;
}

int rescale_op(struct rf_machine *machine, const struct rf_op *op)
{
	struct rescale *rescale = machine->rescale;
	struct rescaling r = { machine, rescale, machine_mm(machine, op->mm), op };
	u32 highest = op->kind == RF_OP_FORK && op->mm2 > op->mm ? op->mm2 : op->mm;
	int err;

	if (op->kind == RF_OP_WINDOW || make_room(rescale, highest))
		return op->kind == RF_OP_WINDOW ? machine_run_op(machine, op) : -ENOMEM;
	switch (op->kind) {
	case RF_OP_MM_NEW:
	case RF_OP_MM_EXIT:
		forget_edges(rescale, op->mm);
		return machine_run_op(machine, op);
	case RF_OP_FORK:
		err = op->mm2 == op->mm ? 0 : copy_edges(rescale, op->mm, op->mm2);
		return err ? err : machine_run_op(machine, op);
	}
	if (!r.mm || !makes_sense(op))
		return machine_run_op(machine, op);
	return run_in_mm(&r);
}
