// SPDX-License-Identifier: MIT
/* Recordings on machines with larger pages: ranges, and which operation is rescaled how. rescale.h has the rules. */
#include <errno.h>
#include <stdlib.h>

#include "engine/allocation.h"
#include "engine/rescale.h"

#define ACCESS_FLAGS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

/* Does a mapped page of the granule at addr lie outside [start, end)? */
static bool has_others(const struct rescaling *r, u64 addr, u64 start, u64 end)
{
	return rescale_mapped(r, addr) & ~rescale_pages_in(r, addr, start, end);
}

/* Granules of which no mapped page lies outside [start, end). */
static struct range owned(const struct rescaling *r, u64 start, u64 end)
{
	struct range range = rescale_touched(r, start, end);
	u64 last = range.end - granule_size(r);

	if (range.start != start || range.end != end)
		count_inexact(r, RF_INEXACT_ranges_rounded);
	if (has_others(r, last, start, end))
		range.end = last;
	if (!range_empty(range) && has_others(r, range.start, start, end))
		range.start += granule_size(r);
	if (range_empty(range))
		count_inexact(r, RF_INEXACT_ranges_left_out);
	return range;
}

/* ---- operations on ranges ---------------------------------------------------------- */

static int run_range(const struct rescaling *r, struct range range)
{
	struct rf_op op = *r->op;

	if (range_empty(range))
		return 0;
	op.addr = range.start;
	op.end = range.end;
	return allocation_op(r->machine, &op);
}

/* A granule that two mappings share may be used as either may. */
static int share_granule(const struct rescaling *r, u64 addr, u16 vm_flags)
{
	const struct vm_area *vma = vma_lookup(r->mm, addr);
	struct rf_op op = {
		.kind = RF_OP_VMA_FLAGS, .mm = r->op->mm, .time = r->op->time,
		.addr = addr, .end = addr + granule_size(r),
	};

	count_inexact(r, RF_INEXACT_granules_shared);
	if (!vma || !(vm_flags & ~vma->flags & ACCESS_FLAGS))
		return 0;
	op.vm_flags = (vm_flags | vma->flags) & ACCESS_FLAGS;
	return allocation_op(r->machine, &op);
}

/* The granules a new mapping gets: those that nobody has yet. */
static int claim(const struct rescaling *r, u64 start, u64 end, u16 vm_flags, struct range *range)
{
	u64 last;
	int err = 0;

	*range = rescale_touched(r, start, end);
	last = range->end - granule_size(r);
	if (range->start != start || range->end != end)
		count_inexact(r, RF_INEXACT_ranges_rounded);
	if (has_others(r, last, start, end)) {
		err = share_granule(r, last, vm_flags);
		range->end = last;
	}
	if (!err && !range_empty(*range) && has_others(r, range->start, start, end)) {
		err = share_granule(r, range->start, vm_flags);
		range->start += granule_size(r);
	}
	return err ? err : rescale_note_pages(r, start, end, true);
}

int rescale_map(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	struct range range;
	int err = claim(r, op.addr, op.end, op.vm_flags, &range);
	s64 offset;

	if (err || range_empty(range))
		return err;
	offset = ((s64)op.pgoff << r->rescale->recorded_shift) + (s64)(range.start - op.addr);
	op.pgoff = (u64)(offset >> r->rescale->page_shift);
	op.addr = range.start;
	op.end = range.end;
	return allocation_op(r->machine, &op);
}

int rescale_munmap(const struct rescaling *r)
{
	const struct rf_op *op = r->op;
	struct range range = owned(r, op->addr, op->end);
	int err = rescale_note_pages(r, op->addr, op->end, false);

	return err ? err : run_range(r, range);
}

/* Does it allow what the granule's VMA does not? Then all of the granule must be allowed it. */
static bool widens(const struct rescaling *r, u64 addr)
{
	const struct vm_area *vma = vma_lookup(r->mm, addr);

	return vma && (r->op->vm_flags & ~vma->flags & ACCESS_FLAGS);
}

int rescale_mprotect(const struct rescaling *r)
{
	struct range all = rescale_touched(r, r->op->addr, r->op->end);
	struct range range = owned(r, r->op->addr, r->op->end);

	if (widens(r, all.start))
		range.start = all.start;
	if (widens(r, all.end - granule_size(r)))
		range.end = all.end;
	return run_range(r, range);
}

int rescale_grow(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	const struct vm_area *vma = vma_lookup(r->mm, op.end);
	int err = rescale_note_pages(r, op.addr, op.end, true);

	op.addr = granule_start(r, op.addr);
	if (err || !vma || op.addr >= vma->start)
		return err;
	op.end = vma->start;
	return allocation_op(r->machine, &op);
}

int rescale_expand(const struct rescaling *r)
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
	return allocation_op(r->machine, &op);
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
		op.attributes = vma->attributes;
		op.file = vma->file;
	}
	return range_empty(to) ? 0 : allocation_op(r->machine, &op);
}

/* The new place is claimed first: a granule that it shares with the old one stays. */
int rescale_mremap(const struct rescaling *r)
{
	struct rf_op op = *r->op;
	u64 length = op.nr ? (u64)op.nr << r->rescale->recorded_shift : op.end - op.addr;
	struct range from, to;
	int err = claim(r, op.addr2, op.addr2 + length, 0, &to);

	from = owned(r, op.addr, op.end);
	if (!err && !(op.flags & RF_OP_DONTUNMAP))
		err = rescale_note_pages(r, op.addr, op.end, false);
	if (err || range_empty(from))
		return err ? err : map_instead_of_moving(r, to);
	op.addr = from.start;
	op.end = from.end;
	if (range_empty(to)) {
		count_inexact(r, RF_INEXACT_ranges_left_out);
		op.kind = RF_OP_MUNMAP;
		op.why = RF_WHY_MREMAP;
		op.flags = 0;
		return allocation_op(r->machine, &op);
	}
	op.addr2 = to.start;
	op.nr = (to.end - to.start) >> r->rescale->page_shift;
	return allocation_op(r->machine, &op);
}

/* Only where granules move as a whole; where they do not, each part would be a granule's. */
int rescale_uffd_move(const struct rescaling *r)
{
	struct range range = owned(r, r->op->addr, r->op->end);
	struct rf_op op = *r->op;

	if (range_empty(range))
		return 0;
	if ((op.addr ^ op.addr2) & (granule_size(r) - 1)) {
		count_inexact(r, RF_INEXACT_ranges_left_out);
		return 0;
	}
	op.addr2 += range.start - op.addr;
	op.addr = range.start;
	op.end = range.end;
	op.nr = (op.end - op.addr) >> r->rescale->page_shift;
	return allocation_op(r->machine, &op);
}

/* The stack keeps its place within a granule, or nearly. */
int rescale_exec_stack(const struct rescaling *r)
{
	struct rf_op op = *r->op, grow;
	const struct vm_area *vma = vma_lookup(r->mm, op.addr);
	u64 start = op.addr2 - (op.end - op.addr);
	int err;

	if (!vma)
		return allocation_op(r->machine, &op);
	err = rescale_note_pages(r, op.addr, op.end, false);
	if (!err)
		err = rescale_note_pages(r, start, op.addr2, true);
	op.addr = vma->start;
	op.end = vma->end;
	op.addr2 = ALIGN_UP(op.addr2, granule_size(r));
	if (!err && op.addr2 < op.end)
		err = allocation_op(r->machine, &op);
	vma = vma_lookup(r->mm, op.addr2 - 1);
	if (err || !vma || granule_start(r, start) >= vma->start)
		return err;
	grow = (struct rf_op){ .kind = RF_OP_VMA_GROW, .mm = op.mm, .time = op.time,
			       .addr = granule_start(r, start), .end = vma->start };
	return allocation_op(r->machine, &grow);
}

/* ---- address spaces ------------------------------------------------------------------ */

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

int rescale_as_is(const struct rescaling *r)
{
	return allocation_op(r->machine, r->op);
}

/* Other ranges: the granules of which nothing lies outside. */
int rescale_range(const struct rescaling *r)
{
	return run_range(r, owned(r, r->op->addr, r->op->end));
}

/* It would not be a huge page here. */
int rescale_collapse(const struct rescaling *r)
{
	count_inexact(r, RF_INEXACT_collapses_left_out);
	return 0;
}

int rescale_forget(const struct rescaling *r)
{
	rescale_forget_edges(r->rescale, r->op->mm);
	return allocation_op(r->machine, r->op);
}

int rescale_fork(const struct rescaling *r)
{
	const struct rf_op *op = r->op;
	int err = op->mm2 == op->mm ? 0 : rescale_copy_edges(r->rescale, op->mm, op->mm2);

	return err ? err : allocation_op(r->machine, op);
}

static int rescale_mark(struct rf_machine *machine, const struct rf_op *op)
{
	struct rf_op mark = *op;

	if (op->kind == RF_OP_ALLOC_FAILED)	/* an order */
		mark.nr -= min_u64(mark.nr, machine->rescale->shift);
	return allocation_op(machine, &mark);
}

/* What does not is for the machine to refuse. */
static bool makes_sense(const struct rf_op *op, enum rf_shape shape)
{
	if (shape == RF_SHAPE_RANGE || shape == RF_SHAPE_MOVE || shape == RF_SHAPE_MOVE_END)
		return op->addr < op->end && op->end <= 1ull << 57;
	return op->addr <= 1ull << 57 && op->nr <= MAX_RUN && op->order < 16;
}

int rescale_op(struct rf_machine *machine, const struct rf_op *op)
{
	static int (*const functions[RF_NR_OPS])(const struct rescaling *r) = {
#define X(symbol, name, shape, pages, row) rescale_##pages,
		RF_OPS(X)
#undef X
	};
	struct rescaling r = { machine, machine->rescale, machine_mm(machine, op->mm), op };
	u32 highest = op->kind == RF_OP_FORK && op->mm2 > op->mm ? op->mm2 : op->mm;
	enum rf_shape shape = op->kind < RF_NR_OPS ? rf_op_shapes[op->kind] : RF_SHAPE_MARK;
	bool of_pages = shape == RF_SHAPE_FAULT || shape == RF_SHAPE_RUN;

	if (shape == RF_SHAPE_MARK)
		return rescale_mark(machine, op);
	if (rescale_make_room(r.rescale, highest))
		return -ENOMEM;
	if (shape == RF_SHAPE_NEW || shape == RF_SHAPE_CHILD || shape == RF_SHAPE_MM)
		return functions[op->kind](&r);
	if (!r.mm || !makes_sense(op, shape))
		return allocation_op(machine, op);
	if (of_pages && op->flags & RF_OP_LOAD)
		return rescale_load(&r);
	if (shape == RF_SHAPE_FAULT)
		rescale_fault_begins(&r);
	return functions[op->kind](&r);
}
