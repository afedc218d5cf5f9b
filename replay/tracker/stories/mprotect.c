// SPDX-License-Identifier: MIT
/* mprotect(), when it returns. */
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

/* change_pte_range() on entries of equal flags, their VMA having the new ones. */
static void protect_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct protect *protect = context;
	struct world *world = protect->tracker->world;
	u16 flags = protect->vma->flags;

	if (!world_pte_mapped(pte))
		return;
	if (!(flags & RF_VM_WRITE)) {
		world_set_flags(world, &protect->mm->world, vpn, nr, 0, WORLD_WRITE);
		return;
	}
	/*
	 * can_change_pte_writable(): our own anonymous page, or shared memory that wants no notice. 6.0 and 6.1 do so
	 * for dirty entries only, which nothing tells: where they did, no write fault comes.
	 */
	if (pte & WORLD_UFFD_WP)
		return;
	if (flags & RF_VM_SHARED ? world_pte_kind(pte) == WORLD_SHMEM :
				   !protect->tracker->keeps_read_only && pte & WORLD_EXCLUSIVE)
		world_set_flags(world, &protect->mm->world, vpn, nr, WORLD_WRITE, 0);
}

/* mprotect_fixup(): locked memory that becomes private and writable is populated. The part of [start, end) that is. */
static bool populates(struct tracked_mm *mm, u16 flags, u64 *start, u64 *end)
{
	u64 first = ~0ull, last = 0, at = *start;
	const struct world_vma *vma;

	for (; flags & RF_VM_WRITE && at < *end && (vma = world_vma_find(&mm->world, at)); at = vma->end) {
		if ((vma->flags & (RF_VM_WRITE | RF_VM_SHARED | RF_VM_LOCKED)) != RF_VM_LOCKED)
			continue;
		first = min_u64(first, at);
		last = min_u64(vma->end, *end);
	}
	*start = first;
	*end = last;
	return first < last;
}

/* pkey_mprotect(); without a key the one that is there stays. */
static struct world_vma_change change_of(const struct task_call *call)
{
	struct world_vma_change change = { .set = prot_flags(call->args[2]), .clear = VM_ACCESS };
	s64 key = (s64)call->args[3];

	if (call->kind == RF_SYS_MPROTECT && key >= 0) {
		change.attributes_set = (u64)key << RF_ATTRIBUTE_PKEY_SHIFT & RF_ATTRIBUTE_PKEY;
		change.attributes_clear = RF_ATTRIBUTE_PKEY;
	}
	return change;
}

/* All of [start, end) is mapped. */
static void protect_range(struct rf_tracker *tracker, struct task *task, u64 start, u64 end)
{
	struct world_vma_change change = change_of(&task->call);
	struct tracked_mm *mm = task->mm;
	struct protect protect = { tracker, mm, NULL };
	struct world_vma *vma;
	struct rf_op *op;

	op = emit(tracker, RF_OP_MPROTECT, mm);
	op->addr = start;
	op->end = end;
	op->vm_flags = change.set;
	op->attributes = change.attributes_set;
	op->attributes_clear = change.attributes_clear;
	op->flags = nested_gather(tracker, mm, task, start, end, false);
	world_vma_change(tracker->world, &mm->world, start, end, &change);
	for (u64 at = start; at < end && (vma = world_vma_find(&mm->world, at)); at = vma->end) {
		protect.vma = vma;
		/* hugetlb_change_protection() */
		if (vma->flags & RF_VM_HUGETLB)
			mark_mm(tracker, mm, RF_REASON_call_unknown);
		world_walk_runs(&mm->world, vpn_of(tracker, at), vpn_of(tracker, min_u64(vma->end, end)), protect_run,
				&protect);
	}
}

void mprotect_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct tracked_mm *mm = task->mm;
	u64 start = task->call.args[0], end, at, populated;
	u16 flags = prot_flags(task->call.args[2]);
	struct world_vma *vma;
	bool locked;

	if (!call_range(tracker, start, task->call.args[1], &end) || start == end || (ret && ret != -ENOMEM))
		return;
	if (!ret && !tracker->have_side_band)
		unite_implicit(tracker, mm, start, end, flags);
	/* -ENOMEM: everything up to the first hole was done. */
	for (at = start; at < end && (vma = world_vma_find(&mm->world, at)); at = vma->end)
		;
	end = min_u64(at, end);
	if (start >= end)
		return;
	settle_others(tracker, mm, task, tracker->time);
	at = start;
	populated = end;
	locked = populates(mm, flags, &at, &populated);
	protect_range(tracker, task, start, end);
	if (locked) {
		populate_begin(tracker, task, at, populated, true, true);
		populate_end(tracker, task, true);
	}
}
