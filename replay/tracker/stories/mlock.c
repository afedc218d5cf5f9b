// SPDX-License-Identifier: MIT
/*
 * mlock() and its like. Their flags are in place before the first page is populated, and bound the folios and windows
 * that populating maps: so they are applied at the first record that tells of a page, at the latest at the return.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

/* mlock_fixup() leaves VM_SPECIAL and hugetlb alone. */
static bool is_lockable(const struct world_vma *vma)
{
	return !(vma->flags & (RF_VM_PFNMAP | RF_VM_SPECIAL | RF_VM_HUGETLB));
}

static void set_locked(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, bool locked,
		       bool on_fault)
{
	struct world_vma_change change = { .clear = RF_VM_LOCKED, .attributes_clear = RF_ATTRIBUTE_LOCKONFAULT };

	if (locked)
		change = (struct world_vma_change){
			.set = RF_VM_LOCKED, .attributes_set = on_fault ? RF_ATTRIBUTE_LOCKONFAULT : 0,
			.attributes_clear = on_fault ? 0 : RF_ATTRIBUTE_LOCKONFAULT,
		};
	change_vmas(tracker, mm, start, end, &change, is_lockable);
}

bool locked_range(const struct rf_tracker *tracker, const struct task *task, u64 *start, u64 *end)
{
	u64 page = BIT_ULL(tracker->page_shift);

	*start = ALIGN_DOWN(task->call.args[0], page);
	return call_range(tracker, *start, task->call.args[1] + task->call.args[0] % page, end);
}

/* apply_mlockall_flags() */
static void mlockall_flags(struct rf_tracker *tracker, struct task *task)
{
	u64 flags = task->call.kind == RF_SYS_MLOCKALL ? task->call.args[0] : 0;

	task->mm->lock_future = flags & MCL_FUTURE;
	task->mm->lock_on_fault = task->mm->lock_future && flags & MCL_ONFAULT;
	if (flags & MCL_FUTURE && !(flags & MCL_CURRENT))
		return;
	set_locked(tracker, task->mm, 0, tracker->address_limit, flags & MCL_CURRENT, flags & MCL_ONFAULT);
}

/* apply_vma_lock_flags(), up to the first hole. */
static void mlock_flags(struct rf_tracker *tracker, struct task *task)
{
	struct world_vma *vma;
	u64 start, end, at;

	if (!locked_range(tracker, task, &start, &end))
		return;
	for (at = start; at < end && (vma = world_vma_find(&task->mm->world, at)); at = vma->end)
		;
	if (start < at)
		set_locked(tracker, task->mm, start, min_u64(at, end), task->call.kind == RF_SYS_MLOCK,
			   task->call.args[2] & MLOCK_ONFAULT);
}

bool locks_hole(const struct rf_tracker *tracker, struct task *task)
{
	struct world_vma *vma;
	u64 start, end, at;

	if (!locked_range(tracker, task, &start, &end))
		return false;
	for (at = start; at < end && (vma = world_vma_find(&task->mm->world, at)); at = vma->end)
		;
	return at < end;
}

bool call_locks(const struct task *task)
{
	return task->call.kind == RF_SYS_MLOCK || task->call.kind == RF_SYS_MLOCKALL;
}

void lock_vmas(struct rf_tracker *tracker, struct task *task)
{
	if (task->call.stage == CALL_ZAPPED)
		return;
	call_zapped(&task->call);
	if (task->call.kind == RF_SYS_MLOCK || task->call.kind == RF_SYS_MUNLOCK)
		mlock_flags(tracker, task);
	else
		mlockall_flags(tracker, task);
}
