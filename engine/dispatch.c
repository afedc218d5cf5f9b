// SPDX-License-Identifier: MIT
/*
 * From an operation to the function that does it: does it make sense, which address space is it for, in which row does
 * it count? The top of engine/: it calls all the others, and only machine.c and rescaling call it.
 */
#include <errno.h>

#include "engine/account.h"
#include "engine/dispatch.h"
#include "engine/operations.h"

static enum rf_row row_of_why(u8 why)
{
	static const enum rf_row rows[] = {
		[RF_WHY_NONE] = RF_ROW_zap_other,
		[RF_WHY_MUNMAP] = RF_ROW_zap_munmap,
		[RF_WHY_BRK] = RF_ROW_zap_brk,
		[RF_WHY_MMAP_FIXED] = RF_ROW_zap_mmap_fixed,
		[RF_WHY_MREMAP] = RF_ROW_zap_mremap,
		[RF_WHY_SHMDT] = RF_ROW_zap_shmdt,
		[RF_WHY_DONTNEED] = RF_ROW_zap_dontneed,
		[RF_WHY_GUARD] = RF_ROW_zap_guard,
		[RF_WHY_REMOVE] = RF_ROW_zap_remove,
		[RF_WHY_TRUNCATE] = RF_ROW_zap_truncate,
		[RF_WHY_OTHER] = RF_ROW_zap_other,
		[RF_WHY_PROCESS_EXIT] = RF_ROW_zap_exit,
		[RF_WHY_EXEC] = RF_ROW_zap_exec,
	};

	return why < ARRAY_SIZE(rows) ? rows[why] : RF_ROW_zap_other;
}

static enum rf_row row_of_op(const struct rf_op *op)
{
	static const enum rf_row rows[RF_NR_OPS] = {
		[RF_OP_MM_NEW] = RF_ROW_vma,
		[RF_OP_FORK] = RF_ROW_fork,
		[RF_OP_EXEC_STACK] = RF_ROW_exec,
		[RF_OP_MAP] = RF_ROW_vma,
		[RF_OP_VMA_FLAGS] = RF_ROW_vma,
		[RF_OP_VMA_GROW] = RF_ROW_vma,
		[RF_OP_FAULT_ANON] = RF_ROW_fault_anon,
		[RF_OP_FAULT_ZERO] = RF_ROW_fault_zero,
		[RF_OP_FAULT_FILE] = RF_ROW_fault_file,
		[RF_OP_FAULT_COW] = RF_ROW_cow,
		[RF_OP_FAULT_REUSE] = RF_ROW_reuse,
		[RF_OP_FAULT_SWAP] = RF_ROW_fault_swap,
		[RF_OP_FAULT_HUGETLB] = RF_ROW_fault_hugetlb,
		[RF_OP_FAULT_NONE] = RF_ROW_fault_none,
		[RF_OP_GUP_SLOW] = RF_ROW_gup_slow,
		[RF_OP_GUP_FAST] = RF_ROW_gup_fast,
		[RF_OP_MPROTECT] = RF_ROW_mprotect,
		[RF_OP_MREMAP] = RF_ROW_mremap,
		[RF_OP_VMA_EXPAND] = RF_ROW_vma,
		[RF_OP_MADV_FREE] = RF_ROW_madv_free,
		[RF_OP_MADV_COLD] = RF_ROW_madv_cold,
		[RF_OP_MADV_PAGEOUT] = RF_ROW_madv_pageout,
		[RF_OP_UNMAP_SWAP] = RF_ROW_unmap_swap,
		[RF_OP_UNMAP_FILE] = RF_ROW_unmap_file,
		[RF_OP_MIGRATE_OUT] = RF_ROW_migrate,
		[RF_OP_MIGRATE_IN] = RF_ROW_migrate,
		[RF_OP_RECLAIM_FLUSH] = RF_ROW_reclaim_flush,
		[RF_OP_COLLAPSE] = RF_ROW_collapse,
		[RF_OP_FOLIO_SPLIT] = RF_ROW_folio_split,
		[RF_OP_MKCLEAN] = RF_ROW_mkclean,
		[RF_OP_WINDOW] = RF_ROW_vma,
	};

	switch (op->kind) {
	case RF_OP_MUNMAP:
	case RF_OP_ZAP:
	case RF_OP_MM_EXIT:
		return row_of_why(op->why);
	case RF_OP_FAULT_ANON ... RF_OP_FAULT_HUGETLB:
		if (op->flags & RF_OP_EXEC)
			return RF_ROW_exec;
		if (op->flags & RF_OP_POPULATE)
			return RF_ROW_populate;
		break;
	}
	return rows[op->kind];
}

static bool is_fault(const struct rf_op *op)
{
	return op->kind >= RF_OP_FAULT_ANON && op->kind <= RF_OP_FAULT_HUGETLB;
}

/* A fault-around is one fault however many runs it maps. */
static bool counts_as_fault(const struct rf_op *op)
{
	return op->kind != RF_OP_FAULT_FILE || (op->flags & RF_OP_FIRST);
}

static bool has_range(const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_MAP:
	case RF_OP_VMA_FLAGS:
	case RF_OP_VMA_GROW:
	case RF_OP_VMA_EXPAND:
	case RF_OP_MUNMAP:
	case RF_OP_ZAP:
	case RF_OP_MPROTECT:
	case RF_OP_MREMAP:
	case RF_OP_EXEC_STACK:
	case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD:
	case RF_OP_MADV_PAGEOUT:
		return true;
	}
	return false;
}

/* Page aligned and inside what the radix can hold; anything else would be an operation on nothing. */
static bool addresses_make_sense(const struct rf_machine *machine, const struct rf_op *op)
{
	const struct arch_geometry *geometry = &machine->policy.geometry;
	unsigned int bits = geometry->page_shift + geometry->levels * geometry->table_shift;
	u64 limit = bits < 63 ? 1ull << bits : 1ull << 62;
	u64 mask = (1ull << geometry->page_shift) - 1;

	if (op->kind == RF_OP_WINDOW)
		return true;
	if (op->addr >= limit)
		return false;
	if (op->kind == RF_OP_GUP_SLOW || op->kind == RF_OP_GUP_FAST)
		return op->addr < op->end && op->end <= limit;
	if (op->kind == RF_OP_FAULT_HUGETLB)
		return op->order >= geometry->page_shift && op->order < bits;
	if (is_fault(op) || op->kind >= RF_OP_UNMAP_SWAP)
		return op->nr <= MAX_RUN && op->nr <= (limit - op->addr) >> geometry->page_shift && op->order < 16;
	if (!has_range(op))
		return true;
	if (((op->addr | op->end) & mask) || op->end <= op->addr || op->end > limit)
		return false;
	/* Where the stack is to end, not begin: without randomisation at the very top. */
	if (op->kind == RF_OP_EXEC_STACK)
		return !(op->addr2 & mask) && op->addr2 <= limit && op->addr2 >= op->end - op->addr;
	if (op->kind != RF_OP_MREMAP)
		return true;
	return !(op->addr2 & mask) && op->addr2 < limit && op->nr <= (limit - op->addr2) >> geometry->page_shift &&
	       op->end - op->addr <= limit - op->addr2;
}

static int run_fork(struct rf_machine *machine, struct mm *parent, u32 child_id)
{
	struct mm *child = machine_mm(machine, child_id);

	if (child == parent)
		return 0;
	if (child) {
		count_anomaly(machine, RF_ANOMALY_unknown_mm);
		machine_free_mm(machine, child);
	}
	child = machine_new_mm(machine, child_id);
	if (!child)
		return -ENOMEM;
	return parent ? op_fork(parent, child) : 0;
}

static int run_in_mm(struct mm *mm, const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_MM_EXIT:
		exit_mmap(mm);
		machine_free_mm(mm->machine, mm);
		return 0;
	case RF_OP_EXEC_STACK:	return op_exec_stack(mm, op);
	case RF_OP_MAP:		return op_map(mm, op);
	case RF_OP_VMA_FLAGS:	return op_vma_flags(mm, op);
	case RF_OP_MUNMAP:	return op_munmap(mm, op);
	case RF_OP_MPROTECT:	return op_mprotect(mm, op);
	case RF_OP_MREMAP:	return op_mremap(mm, op);
	case RF_OP_VMA_GROW:	op_vma_grow(mm, op); break;
	case RF_OP_VMA_EXPAND:	op_vma_expand(mm, op); break;
	case RF_OP_FAULT_ANON:	op_fault_anon(mm, op); break;
	case RF_OP_FAULT_ZERO:	op_fault_zero(mm, op); break;
	case RF_OP_FAULT_FILE:	op_fault_file(mm, op); break;
	case RF_OP_FAULT_COW:	op_fault_cow(mm, op); break;
	case RF_OP_FAULT_REUSE:	op_fault_reuse(mm, op); break;
	case RF_OP_FAULT_SWAP:	op_fault_swap(mm, op); break;
	case RF_OP_FAULT_HUGETLB: op_fault_hugetlb(mm, op); break;
	case RF_OP_FAULT_NONE:	op_fault_none(mm, op); break;
	case RF_OP_GUP_SLOW:	op_gup_slow(mm, op); break;
	case RF_OP_GUP_FAST:	op_gup_fast(mm, op); break;
	case RF_OP_ZAP:		op_zap(mm, op); break;
	case RF_OP_MADV_FREE:	op_madv_free(mm, op); break;
	case RF_OP_MADV_COLD:	op_madv_cold(mm, op); break;
	case RF_OP_MADV_PAGEOUT: op_madv_pageout(mm, op); break;
	case RF_OP_UNMAP_SWAP:
	case RF_OP_UNMAP_FILE:	op_unmap(mm, op); break;
	case RF_OP_MIGRATE_OUT:	op_migrate_out(mm, op); break;
	case RF_OP_MIGRATE_IN:	op_migrate_in(mm, op); break;
	case RF_OP_RECLAIM_FLUSH: op_reclaim_flush(mm, op); break;
	case RF_OP_COLLAPSE:	op_collapse(mm, op); break;
	case RF_OP_FOLIO_SPLIT:	op_folio_split(mm, op); break;
	case RF_OP_MKCLEAN:	op_mkclean(mm, op); break;
	}
	return mm->machine->error;
}

/* Only entries cost anything; VMAs are mapped as ever. */
static int run_load(struct mm *mm, const struct rf_op *op)
{
	struct rf_machine *machine = mm->machine;

	if (op->kind == RF_OP_MAP)
		return op_map(mm, op);
	mm->arch.counters = &machine->stats.loaded;
	mm->arch.batches = machine->load_batches;
	if (op->kind == RF_OP_FAULT_HUGETLB)
		op_fault_hugetlb(mm, op);
	else
		op_load(mm, op);
	mm->arch.batches = &machine->stats.batches;
	return machine->error;
}

/* GUP had not found what it wanted. That it looks again is in its own operation, but for exec, which has none. */
static int run_gup_fault(struct mm *mm, const struct rf_op *op)
{
	int err;

	gup_looks(mm, op->addr, false);
	err = run_in_mm(mm, op);
	if (!err && op->flags & RF_OP_EXEC)
		gup_looks(mm, op->addr, true);
	return err;
}

int machine_run_op(struct rf_machine *machine, const struct rf_op *op)
{
	struct mm *mm = machine_mm(machine, op->mm);
	enum rf_row row;

	if (op->kind >= RF_NR_OPS || !addresses_make_sense(machine, op)) {
		count_anomaly(machine, RF_ANOMALY_no_vma);
		return 0;
	}
	if (op->kind == RF_OP_WINDOW)
		return 0;
	row = row_of_op(op);
	machine->row = row;
	if (machine->accounts && account_op(machine, op->mm, row))
		return -ENOMEM;
	if (!(op->flags & RF_OP_LOAD))
		machine->stats.operations[row]++;
	if (op->kind == RF_OP_MM_NEW) {
		if (mm) {
			count_anomaly(machine, RF_ANOMALY_unknown_mm);
			machine_free_mm(machine, mm);
		}
		return machine_new_mm(machine, op->mm) ? 0 : -ENOMEM;
	}
	if (!mm)
		count_anomaly(machine, RF_ANOMALY_unknown_mm);
	else
		mm->arch.counters = &machine->stats.rows[row];
	if (op->kind == RF_OP_FORK)
		return run_fork(machine, mm, op->mm2);
	if (!mm)
		return 0;
	if (op->flags & RF_OP_LOAD)
		return run_load(mm, op);
	mm->tlb_flush_nested = op->flags & RF_OP_NESTED;
	mm->arch.tlb_flush_pending = mm->tlb_flush_nested;
	mm->arch.remote_cpus = op->remote_cpus;
	if (is_fault(op) && op->flags & (RF_OP_POPULATE | RF_OP_EXEC))
		return run_gup_fault(mm, op);
	if (is_fault(op) && counts_as_fault(op))
		mm->arch.counters->faults++;
	return run_in_mm(mm, op);
}
