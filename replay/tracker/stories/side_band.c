// SPDX-License-Identifier: MIT
/* The side band tells VMAs: those of a new program, and what a call in progress maps. And the names of programs. */
#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/effects/gup.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/exec.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/processes.h"

#define VM_OF_RECORD(flags) ((u16)((flags) & RF_VM_RECORDED))

static void grow_stack_to(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma = world_vma_find(&mm->world, end - 1), *below;
	struct rf_op *op;

	if (!vma || !(vma->flags & RF_VM_GROWSDOWN) || start >= vma->start)
		return;
	below = world_vma_next(&mm->world, start);
	if (below != vma)
		return;
	op = emit(tracker, RF_OP_VMA_GROW, mm);
	op->addr = start;
	op->end = vma->start;
	vma->pgoff -= vpn_of(tracker, vma->start - start);
	vma->start = start;
}

/*
 * elf_load() maps an object as a whole, with its first segment, and unmaps what is beyond that segment. The others are
 * mapped into the hole: what is left between two of them is of none.
 */
static void exec_object(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma)
{
	struct task_exec *exec = &task->exec;

	if (vma->start < exec->object || vma->end > exec->object_end) {
		exec->object = vma->start;
		exec->object_end = vma->end;
		exec->segment_end = 0;
		return;
	}
	if (exec->segment_end && exec->segment_end < vma->start)
		unmap_range(tracker, task->mm, task, exec->segment_end, vma->start, RF_WHY_MUNMAP);
	exec->segment_end = vma->end;
}

/*
 * setup_arg_pages(): mprotect_fixup() of the stack where __bprm_mm_init() put it, at the very top (on x86 with five
 * levels above what we take it to be), if it is to be executable or no longer.
 */
static bool protects_arguments(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma)
{
	u64 top = tracker->stack_top_max, size = max_u64(task->exec.nr, 1) << tracker->page_shift;
	struct rf_op *op;

	if (task->exec.stack_placed || vma->file || vma->end < top)
		return false;
	op = emit(tracker, RF_OP_MPROTECT, task->mm);
	op->addr = top - size;
	op->end = top;
	op->vm_flags = vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC);
	op->flags = RF_OP_EXEC;
	return true;
}

/* A VMA of the new program. */
static void exec_vma(struct rf_tracker *tracker, struct task *task, struct world_vma *vma)
{
	if (vma->name == RF_VMA_STACK) {
		vma->flags |= RF_VM_GROWSDOWN;
		if (!task->exec.stack_placed)
			place_stack(tracker, task, vma);
		else
			grow_stack_to(tracker, task->mm, vma->start, vma->end);
		return;
	}
	if (protects_arguments(tracker, task, vma))
		return;
	exec_object(tracker, task, vma);
	map_over(tracker, task->mm, vma, RF_WHY_MMAP_FIXED);
}

bool vma_of_record(struct rf_tracker *tracker, const struct rf_record *record, struct world_vma *vma)
{
	u64 addr = record->f[0], len = record->f[1], page = BIT_ULL(tracker->page_shift);

	if ((addr | len) & (page - 1) || addr >= tracker->address_limit || len > tracker->address_limit - addr || !len)
		return false;
	memset(vma, 0, sizeof(*vma));
	vma->start = addr;
	vma->end = addr + len;
	vma->pgoff = record->f[2];
	vma->name = RF_VMA_NAME(record->f[5]);
	vma->flags = VM_OF_RECORD(record->f[5]);
	vma->attributes = record->f[5] & RF_ATTRIBUTES_RECORDED;
	if (vma->flags & RF_VM_HUGETLB)
		vma->huge_shift = (u8)huge_shift_of(tracker, RF_VMA_HUGE_SHIFT(record->f[5]));
	switch (vma->name) {
	case RF_VMA_VVAR:
	case RF_VMA_VVAR_VCLOCK:
		vma->flags |= RF_VM_PFNMAP | RF_VM_SPECIAL;
		break;
	case RF_VMA_VDSO:
	case RF_VMA_VSYSCALL:
		vma->flags |= RF_VM_SPECIAL;
		break;
	}
	if (record->f[4])
		vma->file = file_by_inode(tracker->world, record->f[3], record->f[4]);
	else if (!(vma->flags & (RF_VM_SHARED | RF_VM_SPECIAL)))
		vma->pgoff = vpn_of(tracker, addr);
	return true;
}

void on_mmap2(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	struct world_vma vma;

	if (tracker->record == task->exec_at)
		exec_arrives(tracker, task);
	if (task->exec_from && (!task->mm || task->dead))
		exec_take_over(tracker, task);
	if (task->exec.due)
		exec_switch(tracker, task);
	if (!task->mm || !task->mm->known || !vma_of_record(tracker, &record, &vma))
		return;
	if (task->exec.loading) {
		task->exec.compat |= compat_exec_maps(&tracker->compat, &record);
		exec_vma(tracker, task, &vma);
		return;
	}
	note_told_vma(task, &vma);
	switch (task->call.kind) {
	case RF_SYS_MMAP:
	case RF_SYS_BRK:
	case RF_SYS_SHMAT:
		call_maps(&task->call, &vma);
		break;
	default:
		if (vma.name == RF_VMA_STACK)
			grow_stack_to(tracker, task->mm, vma.start, vma.end);
	}
}

void on_comm(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	task = task_find(tracker, record.tid);
	if (!task)
		return;
	if (record.f[2])
		exec_is_named(tracker, task);
	name_process(tracker, task, record.f);
}
