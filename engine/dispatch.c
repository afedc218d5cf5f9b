// SPDX-License-Identifier: MIT
/*
 * From an operation to the function that does it: does it make sense, which address space is it for, in which row does
 * it count? All of it is in the rows of RF_OPS. The top of engine/: it calls all the others, and only machine.c and
 * rescaling call it.
 */
#include <errno.h>

#include "engine/account.h"
#include "engine/blocks.h"
#include "engine/dispatch.h"
#include "engine/machine.h"
#include "engine/operations.h"
#include "engine/reuse.h"

static void (*const functions[RF_NR_OPS])(struct mm *mm, const struct rf_op *op) = {
#define X(symbol, name, shape, pages, row) op_##name,
	RF_OPS(X)
#undef X
};

static enum rf_row row_of_why(u8 why)
{
	static const enum rf_row rows[RF_NR_WHYS] = {
		[RF_WHY_NONE] = RF_ROW_zap_other,
#define X(symbol, row) [RF_WHY_##symbol] = RF_ROW_##row,
		RF_WHYS(X)
#undef X
	};

	return why < ARRAY_SIZE(rows) ? rows[why] : RF_ROW_zap_other;
}

static bool is_fault(enum rf_shape shape)
{
	return shape == RF_SHAPE_FAULT || shape == RF_SHAPE_FAULT_HUGE;
}

enum rf_row rf_op_row(const struct rf_op *op)
{
	const enum rf_shape shape = rf_op_shapes[op->kind];
	static const enum rf_row rows[RF_NR_OPS] = {
#define X(symbol, name, shape, pages, row) RF_ROW_##row,
		RF_OPS(X)
#undef X
	};

	if (op->why)
		return row_of_why(op->why);
	if (op->kind == RF_OP_MPROTECT && op->flags & RF_OP_EXEC)
		return RF_ROW_exec;
	if (is_fault(shape)) {
		if (op->flags & RF_OP_EXEC)
			return RF_ROW_exec;
		if (op->flags & RF_OP_POPULATE)
			return RF_ROW_populate;
	}
	return rows[op->kind];
}

/* A fault-around is one fault however many runs it maps. */
static bool counts_as_fault(const struct rf_op *op)
{
	return op->kind != RF_OP_FAULT_FILE || (op->flags & RF_OP_FIRST);
}

static bool is_range(const struct rf_op *op, u64 mask, u64 limit)
{
	return !((op->addr | op->end) & mask) && op->addr < op->end && op->end <= limit;
}

/* Page aligned and inside what the radix can hold; anything else would be an operation on nothing. */
static bool makes_sense(const struct arch_geometry *geometry, const struct rf_op *op, enum rf_shape shape)
{
	unsigned int bits = geometry->page_shift + geometry->levels * geometry->table_shift;
	u64 limit = bits < 63 ? 1ull << bits : 1ull << 62;
	u64 mask = (1ull << geometry->page_shift) - 1;

	switch (shape) {
	case RF_SHAPE_FAULT:
	case RF_SHAPE_RUN:
		return op->addr < limit && op->nr <= MAX_RUN && op->order < 16 &&
		       op->nr <= (limit - op->addr) >> geometry->page_shift;
	case RF_SHAPE_FAULT_HUGE:
		return op->addr < limit && op->order >= geometry->page_shift && op->order < bits;
	case RF_SHAPE_RANGE:
		return is_range(op, mask, limit);
	case RF_SHAPE_BYTES:
		return op->addr < op->end && op->end <= limit;
	case RF_SHAPE_MOVE:
		return is_range(op, mask, limit) && !(op->addr2 & mask) && op->addr2 < limit &&
		       op->end - op->addr <= limit - op->addr2 &&
		       op->nr <= (limit - op->addr2) >> geometry->page_shift;
	case RF_SHAPE_MOVE_END:
		/* Without randomisation the stack ends at the very top. */
		return is_range(op, mask, limit) && !(op->addr2 & mask) && op->addr2 <= limit &&
		       op->addr2 >= op->end - op->addr;
	case RF_SHAPE_NEW:
	case RF_SHAPE_CHILD:
	case RF_SHAPE_MM:
	case RF_SHAPE_MARK:
		break;
	}
	return true;
}

/* Nothing is left to do: the address space was made, the window is the tracker's. */
void op_mm_new(struct mm *mm, const struct rf_op *op)
{
}

void op_window(struct mm *mm, const struct rf_op *op)
{
}

void op_alloc_failed(struct mm *mm, const struct rf_op *op)
{
}

/* Only entries cost anything; VMAs are mapped as ever. */
static void run_load(struct mm *mm, const struct rf_op *op, enum rf_shape shape)
{
	struct rf_machine *machine = mm->machine;

	mm->arch.counters = &machine->stats.loaded;
	mm->arch.batches = machine->load_batches;
	if (shape == RF_SHAPE_FAULT || shape == RF_SHAPE_RUN)
		op_load(mm, op);
	else if (op->kind == RF_OP_MM_EXIT)
		op_unload(mm, op);
	else
		functions[op->kind](mm, op);
	if (op->kind != RF_OP_MM_EXIT)
		end_operation(mm);
	mm->arch.batches = &machine->stats.batches;
}

/* GUP had not found what it wanted. That it looks again is in its own operation, but for exec, which has none. */
static void run_gup_fault(struct mm *mm, const struct rf_op *op)
{
	gup_looks(mm, op->addr, false);
	functions[op->kind](mm, op);
	if (op->flags & RF_OP_EXEC)
		gup_looks(mm, op->addr, true);
}

static void run_in_mm(struct mm *mm, const struct rf_op *op, enum rf_shape shape)
{
	struct mm *parent = shape == RF_SHAPE_CHILD ? machine_mm(mm->machine, op->mm) : NULL;

	mm->tlb_flush_nested = op->flags & RF_OP_NESTED;
	mm->arch.tlb_flush_pending = mm->tlb_flush_nested;
	mm->arch.remote_cpus = mm->arch.ops->keeps_cpus ? op->other_cpus : op->remote_cpus;
	mm->arch.cpus = op->cpus;
	if (is_fault(shape)) {
		if (op->flags & (RF_OP_POPULATE | RF_OP_EXEC)) {
			run_gup_fault(mm, op);
			end_operation(mm);
			return;
		}
		if (counts_as_fault(op))
			mm->arch.counters->faults++;
	}
	functions[op->kind](mm, op);
	if (op->kind == RF_OP_MM_EXIT)
		return;		/* mm is no more */
	if (mm->arch.knobs->refold_lazy && shape == RF_SHAPE_FAULT)
		refold_at(mm, op->addr);
	end_operation(mm);
	if (parent)
		end_operation(parent);
}

static struct mm *make_mm(struct rf_machine *machine, u32 id)
{
	struct mm *mm = machine_mm(machine, id);

	if (mm) {
		count_anomaly(machine, RF_ANOMALY_unknown_mm);
		machine_free_mm(machine, mm);
	}
	mm = machine_new_mm(machine, id);
	if (!mm)
		machine->error = -ENOMEM;
	return mm;
}

/* The address space that the operation's function is for: its own, or the one it makes. NULL: nothing is to be done. */
static struct mm *mm_of_op(struct rf_machine *machine, const struct rf_op *op, enum rf_shape shape)
{
	struct mm *mm;

	if (shape == RF_SHAPE_NEW)
		return make_mm(machine, op->mm);
	mm = machine_mm(machine, op->mm);
	if (mm)
		mm->arch.counters = &machine->stats.rows[machine->row];
	else
		count_anomaly(machine, RF_ANOMALY_unknown_mm);
	if (shape == RF_SHAPE_CHILD)
		return op->mm2 == op->mm ? NULL : make_mm(machine, op->mm2);
	return mm;
}

int machine_run_op(struct rf_machine *machine, const struct rf_op *op)
{
	enum rf_shape shape = op->kind < RF_NR_OPS ? rf_op_shapes[op->kind] : RF_SHAPE_MARK;
	struct mm *mm;

	if (op->kind >= RF_NR_OPS || !makes_sense(&machine->policy.geometry, op, shape)) {
		count_anomaly(machine, RF_ANOMALY_no_vma);
		return 0;
	}
	if (shape == RF_SHAPE_MARK)
		return 0;
	if (machine->policy.mm.reuse_around && op->kind == RF_OP_FAULT_REUSE && reuse_happened(machine, op))
		return 0;
	machine->row = rf_op_row(op);
	if (machine->accounts && account_op(machine, op->mm, machine->row))
		return -ENOMEM;
	if (!(op->flags & RF_OP_LOAD))
		machine->stats.operations[machine->row]++;
	mm = mm_of_op(machine, op, shape);
	if (!mm)
		return machine->error;
	if (op->flags & RF_OP_LOAD)
		run_load(mm, op, shape);
	else
		run_in_mm(mm, op, shape);
	return machine->error;
}
