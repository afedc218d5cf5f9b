// SPDX-License-Identifier: MIT
/* mprotect(), and mlock() and its like: VMAs that change. */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"

struct protect {
	struct rf_tracker *tracker;
	struct tracked_mm *mm;
	const struct world_vma *vma;
};

/* change_pte_range() on one entry, its VMA having the new flags. */
static void protect_pte(void *context, u64 vpn, world_pte pte)
{
	struct protect *protect = context;
	u16 flags = protect->vma->flags;

	if (!world_pte_mapped(pte))
		return;
	if (!(flags & RF_VM_WRITE)) {
		world_set_flags(&protect->mm->world, vpn, 0, WORLD_WRITE);
		return;
	}
	/* can_change_pte_writable(): our own anonymous page, or shared memory that wants no notice. */
	if (flags & RF_VM_SHARED ? world_pte_kind(pte) == WORLD_SHMEM : pte & WORLD_EXCLUSIVE)
		world_set_flags(&protect->mm->world, vpn, WORLD_WRITE, 0);
}

/* The call succeeded, so all of the range is mapped, although nobody told by what. */
static void fill_holes(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, u16 flags)
{
	struct world_vma hole = { .flags = flags, .implicit = true }, *next;

	for (; start < end; start = next ? next->end : end) {
		next = world_vma_next(&mm->world, start, NULL);
		hole.start = start;
		hole.end = next ? min_u64(next->start, end) : end;
		hole.pgoff = vpn_of(tracker, start);
		if (hole.start >= hole.end)
			continue;
		mark_mm(tracker, mm, RF_REASON_vma_implicit);
		map_vma(tracker, mm, &hole);
		next = world_vma_next(&mm->world, hole.end - 1, NULL);
	}
}

void mprotect_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct tracked_mm *mm = task->mm;
	struct protect protect = { tracker, mm, NULL };
	u64 start = task->call.args[0], end, at;
	u16 flags = prot_flags(task->call.args[2]);
	struct world_vma *vma;
	struct rf_op *op;

	if (!call_range(tracker, start, task->call.args[1], &end) || start == end || (ret && ret != -ENOMEM))
		return;
	if (!ret && !tracker->have_side_band)
		fill_holes(tracker, mm, start, end, flags);
	/* -ENOMEM: everything up to the first hole was done. */
	for (at = start; at < end && (vma = world_vma_find(&mm->world, at)); at = vma->end)
		;
	end = min_u64(at, end);
	if (start >= end)
		return;
	settle_others(tracker, mm, task, tracker->time);
	op = emit(tracker, RF_OP_MPROTECT, mm);
	op->addr = start;
	op->end = end;
	op->vm_flags = flags;
	op->flags = nested_gather(mm, task);
	world_vma_set_flags(tracker->world, &mm->world, start, end, flags, VM_ACCESS);
	for (at = start; at < end && (vma = world_vma_find(&mm->world, at)); at = vma->end) {
		protect.vma = vma;
		world_walk(&mm->world, vpn_of(tracker, at), vpn_of(tracker, min_u64(vma->end, end)), protect_pte,
			   &protect);
	}
}

/* ---- mlock ----------------------------------------------------------------------------------- */

static void set_locked(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, bool locked)
{
	struct rf_op *op;

	if (start >= end)
		return;
	op = emit(tracker, RF_OP_VMA_FLAGS, mm);
	op->addr = start;
	op->end = end;
	op->vm_flags = locked ? RF_VM_LOCKED : 0;
	op->aux = locked ? 0 : RF_VM_LOCKED;
	world_vma_set_flags(tracker->world, &mm->world, start, end, locked ? RF_VM_LOCKED : 0,
			    locked ? 0 : RF_VM_LOCKED);
}

void mlock_return(struct rf_tracker *tracker, struct task *task, bool ok)
{
	u64 page = BIT_ULL(tracker->page_shift), start = ALIGN_DOWN(task->call.args[0], page), end;

	populate_end(tracker, task, ok);
	if (ok && call_range(tracker, start, task->call.args[1] + task->call.args[0] % page, &end))
		set_locked(tracker, task->mm, start, end, task->call.kind == RF_SYS_MLOCK);
}

void mlockall_return(struct rf_tracker *tracker, struct task *task, bool ok)
{
	populate_end(tracker, task, ok);
	if (!ok)
		return;
	task->mm->lock_future = task->call.kind == RF_SYS_MLOCKALL && task->call.args[0] & MCL_FUTURE &&
				!(task->call.args[0] & MCL_ONFAULT);
	if (task->call.kind == RF_SYS_MUNLOCKALL || task->call.args[0] & MCL_CURRENT)
		set_locked(tracker, task->mm, 0, tracker->address_limit, task->call.kind == RF_SYS_MLOCKALL);
}
