// SPDX-License-Identifier: MIT
/*
 * Calls that were done before they returned. A thread that has given mmap_lock back may be held up on its way out, by
 * an interrupt, by another thread, or with its virtual CPU; what it has freed another thread may be given meanwhile.
 * The kernel gives nobody what is mapped: if the model has something there, the call that freed it was overtaken. Nor
 * does a folio reach where nothing is mapped: the call that has mapped what is there was overtaken.
 */
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

/* What the call leaves free, if it succeeds; false: nothing. */
static bool frees(struct rf_tracker *tracker, const struct task *task, u64 *start, u64 *end)
{
	const struct task_call *call = &task->call;
	const struct world_vma *vma;

	*start = call->args[0];
	switch (call->kind) {
	case RF_SYS_MUNMAP:
		return call_range(tracker, *start, call->args[1], end);
	case RF_SYS_SHMDT:
		vma = world_vma_find(&task->mm->world, *start);
		*end = vma ? vma->end : 0;
		return vma;
	case RF_SYS_BRK:
		*end = page_align(tracker, task->mm->brk);
		return task->mm->brk_known && *start && *start < *end;
	case RF_SYS_MREMAP:
		return !(call->args[3] & MREMAP_DONTUNMAP) && call->args[1] &&
		       call_range(tracker, *start, call->args[1], end);
	default:
		return false;
	}
}

/* The return that is still to come. */
static bool returns(struct rf_tracker *tracker, const struct task *task, u64 *ret)
{
	size_t i = 0;
	const struct rf_record *next = next_but_free(tracker, task->tid, &i);

	if (!next || next->kind != RF_SYS_RET || (s64)next->f[1] < 0)
		return false;
	*ret = next->f[1];
	return true;
}

/* What it unmapped may have been told; what it moved is not until it returns. */
static bool is_due(const struct task_call *call)
{
	return !call->overtaken && !call->moved &&
	       (call->stage == CALL_ENTERED || (call->stage == CALL_ZAPPED && call->kind == RF_SYS_MREMAP));
}

/* Where the kernel has placed what the call maps, if it was the kernel's choice; false: it was not. */
static bool is_placed(const struct rf_tracker *tracker, const struct task_call *call, u64 ret, u64 *end)
{
	switch (call->kind) {
	case RF_SYS_MMAP:
		return !(call->args[3] & MAP_FIXED) && call_range(tracker, ret, call->args[1], end);
	case RF_SYS_MREMAP:
		return !(call->args[3] & MREMAP_FIXED) && ret != call->args[0] &&
		       call_range(tracker, ret, call->args[2], end);
	case RF_SYS_SHMAT:
		return !call->args[1] && call->map_addr == ret && call_range(tracker, ret, call->map_len, end);
	default:
		return false;
	}
}

/* What is moved may go where somebody else was, who is held up, too. */
static void apply(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	struct rf_told began = tracker->cause.began;

	call_overtaken(&task->call);
	calls_overtaken(tracker, task, ret);
	tracker->cause.began = task->call_told;
	switch (task->call.kind) {
	case RF_SYS_MMAP:
		mmap_return(tracker, task, ret);
		break;
	case RF_SYS_BRK:
		brk_return(tracker, task, ret);
		break;
	case RF_SYS_MREMAP:
		mremap_return(tracker, task, ret);
		break;
	default:
		call_zap(tracker, task);
	}
	tracker->cause.began = began;
}

void calls_overtaken(struct rf_tracker *tracker, const struct task *by, u64 ret)
{
	struct tracked_mm *mm = by->mm;
	u64 end, from, to, other_ret;

	if (mm->callers == by->call.counted || !is_placed(tracker, &by->call, ret, &end) ||
	    !world_vma_overlaps(&mm->world, ret, end))
		return;
	for (struct task *task = mm->tasks; task; task = task->mm_next)
		if (task != by && is_due(&task->call) && frees(tracker, task, &from, &to) && from < end &&
		    ret < to && returns(tracker, task, &other_ret))
			apply(tracker, task, other_ret);
}

/* What the call maps, where nothing was; pages that it populates come in the order of its own records. */
static bool maps(struct rf_tracker *tracker, const struct task *task, u64 ret, u64 *start, u64 *end)
{
	const struct task_call *call = &task->call;

	*start = ret;
	switch (call->kind) {
	case RF_SYS_MMAP:
		return !call_populates(task) && call->args[1] && call_range(tracker, ret, call->args[1], end);
	case RF_SYS_MREMAP:
		return call_range(tracker, ret, call->args[2], end);
	case RF_SYS_BRK:
		*start = page_align(tracker, task->mm->brk);
		*end = page_align(tracker, ret);
		return !task->mm->lock_future && task->mm->brk_known && *start < *end;
	default:
		return false;
	}
}

void maps_overtaken(struct rf_tracker *tracker, const struct task *by, u64 start, u64 end)
{
	const struct world_vma *vma = world_vma_find(&by->mm->world, start);
	u64 from, to, ret;

	if (by->mm->users < 2 || (vma && vma->end >= end))
		return;
	for (struct task *task = by->mm->tasks; task; task = task->mm_next)
		if (task != by && is_due(&task->call) && returns(tracker, task, &ret) &&
		    maps(tracker, task, ret, &from, &to) && from < end && start < to)
			apply(tracker, task, ret);
}
