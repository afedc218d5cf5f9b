// SPDX-License-Identifier: MIT
/*
 * Which VMAs there are, as the kernel says in the side band. Calls that map or protect tell each VMA they have changed
 * as it is then, merged with its neighbours or not. From a snapshot on that is a matter of what nobody has seen: where
 * memory was born that mremap() moved, whether neighbours have one anon_vma. What is told is believed. So is a folio
 * that a fault maps: it lies in one VMA.
 */
#include "engine/ops.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"

void note_told_vma(struct task *task, const struct world_vma *vma)
{
	struct task_told_vmas *told = &task->told_vmas;

	if (!task->mm->found || vma->file || vma->flags & (RF_VM_SHARED | RF_VM_SPECIAL | RF_VM_HUGETLB) ||
	    (vma->name != RF_VMA_PLAIN && vma->name != RF_VMA_HEAP))
		return;
	if (task->call.kind != RF_SYS_MMAP && task->call.kind != RF_SYS_MPROTECT && task->call.kind != RF_SYS_BRK)
		return;
	if (!told->nr)
		told->calls = task->mm->calls;
	if (told->nr == ARRAY_SIZE(told->vmas))
		return;
	told->vmas[told->nr].start = vma->start;
	told->vmas[told->nr++].end = vma->end;
}

/* A later piece of the call has been merged with it. */
static bool is_superseded(const struct task_told_vmas *told, u32 i)
{
	for (u32 later = i + 1; later < told->nr; later++)
		if (told->vmas[later].start < told->vmas[i].end && told->vmas[i].start < told->vmas[later].end)
			return true;
	return false;
}

static void unite(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma *vma = world_vma_unite(tracker->world, &mm->world, start, end);
	struct rf_op *op;

	if (!vma)
		return;
	op = emit(tracker, RF_OP_MAP, mm);
	op->addr = vma->start;
	op->end = vma->end;
	op->vm_flags = vma->flags;
	op->attributes = vma->attributes | (vma->accounted ? RF_ATTRIBUTE_ACCOUNT : 0);
	op->pgoff = vma->pgoff;
	op->flags = RF_OP_LOAD | RF_OP_INFERRED;
}

void vmas_as_faulted(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma *first = world_vma_find(&mm->world, start), *last;

	if (!first || first->end >= end)
		return;
	last = world_vma_find(&mm->world, end - 1);
	if (last)
		unite(tracker, mm, first->start, last->end);
}

void vmas_as_told(struct rf_tracker *tracker, struct task *task)
{
	struct task_told_vmas *told = &task->told_vmas;
	struct tracked_mm *mm = task->mm;

	/* If another call has returned since, they may have changed again. */
	for (u32 i = 0; told->calls == mm->calls && i < told->nr; i++)
		if (!is_superseded(told, i))
			unite(tracker, mm, told->vmas[i].start, told->vmas[i].end);
	told->nr = 0;
	mm->calls++;
}
