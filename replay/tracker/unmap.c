// SPDX-License-Identifier: MIT
/*
 * VMAs made and unmapped. What a system call unmaps is applied at its first RSS
 * change, because other threads may map the range anew before it returns.
 */
#include "engine/ops.h"
#include "replay/tracker/abi.h"
#include "replay/tracker/tracking.h"

/*
 * mm_tlb_flush_nested(): RF_OP_NESTED if another thread has a gather open. Only madvise() zaps beside a call that
 * holds the address space for writing (under the lock of its VMA), and it does so from its first RSS change on.
 */
u16 nested_gather(const struct world_mm *mm, const struct task *task)
{
	const struct task *other;

	for (other = mm->callers ? mm->tasks : NULL; other; other = other->mm_next)
		if (other != task && other->call.kind == RF_SYS_MADVISE && other->call.stage == CALL_ZAPPED)
			return RF_OP_NESTED;
	return 0;
}

/* Make room for a VMA. The kernel unmaps what MAP_FIXED hits, entries or not. */
struct world_vma *map_vma(struct rf_tracker *tracker, struct world_mm *mm, const struct world_vma *vma, u8 why)
{
	u16 flags = vma->flags;
	struct rf_op *op;

	if (vma->start >= vma->end || vma->end > tracker->address_limit)
		return NULL;
	if (world_vma_overlaps(mm, vma->start, vma->end))
		unmap_range(tracker, mm, NULL, vma->start, vma->end, why ? why : RF_WHY_MMAP_FIXED);
	op = emit(tracker, RF_OP_MAP, mm);
	op->addr = vma->start;
	op->end = vma->end;
	op->vm_flags = flags;
	op->pgoff = vma->pgoff;
	op->file = vma->file;
	if (vma->implicit)
		op->flags = RF_OP_INFERRED;
	return world_vma_insert(tracker->world, mm, vma);
}

void unmap_range(struct rf_tracker *tracker, struct world_mm *mm, const struct task *task, u64 start, u64 end, u8 why)
{
	struct rf_op *op;

	if (start >= end)
		return;
	settle_others(tracker, mm, task, tracker->time);
	op = emit(tracker, RF_OP_MUNMAP, mm);
	op->addr = start;
	op->end = end;
	op->why = why;
	op->flags = nested_gather(mm, task);
	world_vma_remove(tracker->world, mm, start, end);
	world_zap(tracker->world, mm, vpn_of(tracker, start), vpn_of(tracker, end));
}

static void zap_range(struct rf_tracker *tracker, struct task *task, u64 start, u64 end, u8 why)
{
	struct rf_op *op;

	if (start >= end)
		return;
	settle_others(tracker, task->mm, task, tracker->time);
	op = emit(tracker, RF_OP_ZAP, task->mm);
	op->addr = start;
	op->end = end;
	op->why = why;
	op->flags = nested_gather(task->mm, task);
	world_zap(tracker->world, task->mm, vpn_of(tracker, start), vpn_of(tracker, end));
}

/* What of [start, end) the address space can hold; a call's arguments may be anything. */
bool call_range(const struct rf_tracker *tracker, u64 start, u64 len, u64 *end)
{
	len = page_align(tracker, len);
	if (start >= tracker->address_limit || len > tracker->address_limit - start ||
	    start & (BIT_ULL(tracker->page_shift) - 1))
		return false;
	*end = start + len;
	return true;
}

static void zap_madvise(struct rf_tracker *tracker, struct task *task)
{
	static const struct {
		u64 advice;
		u8 why;
	} whys[] = {
		{ MADV_DONTNEED, RF_WHY_DONTNEED }, { MADV_DONTNEED_LOCKED, RF_WHY_DONTNEED },
		{ MADV_REMOVE, RF_WHY_REMOVE }, { MADV_GUARD_INSTALL, RF_WHY_GUARD },
	};
	u64 end;

	for (size_t i = 0; i < ARRAY_SIZE(whys); i++)
		if (task->call.args[2] == whys[i].advice &&
		    call_range(tracker, task->call.args[0], task->call.args[1], &end))
			zap_range(tracker, task, task->call.args[0], end, whys[i].why);
}

static void zap_brk(struct rf_tracker *tracker, struct task *task)
{
	u64 old = page_align(tracker, task->mm->brk), new = page_align(tracker, task->call.args[0]);

	if (task->mm->brk_known && new < old && new)
		unmap_range(tracker, task->mm, task, new, old, RF_WHY_BRK);
}

static void zap_mremap(struct rf_tracker *tracker, struct task *task)
{
	const u64 *args = task->call.args;
	u64 old_end, new_end, fixed_end;

	if (!call_range(tracker, args[0], args[1], &old_end) || !call_range(tracker, args[0], args[2], &new_end))
		return;
	if (args[3] & MREMAP_FIXED && call_range(tracker, args[4], args[2], &fixed_end) &&
	    world_vma_overlaps(task->mm, args[4], fixed_end))
		unmap_range(tracker, task->mm, task, args[4], fixed_end, RF_WHY_MREMAP);
	if (new_end < old_end)
		unmap_range(tracker, task->mm, task, new_end, old_end, RF_WHY_MREMAP);
}

/* shmdt(): every piece of the segment that was attached at addr. */
static void zap_shmdt(struct rf_tracker *tracker, struct task *task)
{
	struct world_mm *mm = task->mm;
	u64 addr = task->call.args[0], start;
	struct world_vma *vma = world_vma_find(mm, addr);
	u32 file, index;

	if (!vma || !vma->file)
		return;
	file = vma->file;
	start = vma->start - (vma->pgoff << tracker->page_shift);
	for (world_vma_next(mm, start, &index); index < mm->nr_vmas;) {
		vma = mm->vmas[index];
		if (vma->file != file || vma->start - (vma->pgoff << tracker->page_shift) != start) {
			index++;
			continue;
		}
		unmap_range(tracker, mm, task, vma->start, vma->end, RF_WHY_SHMDT);
	}
}

void call_zap(struct rf_tracker *tracker, struct task *task)
{
	struct task_call *call = &task->call;
	u64 end;

	if (call->stage == CALL_ZAPPED)
		return;
	call_zapped(call);
	switch (call->kind) {
	case RF_SYS_MUNMAP:
		if (call_range(tracker, call->args[0], call->args[1], &end))
			unmap_range(tracker, task->mm, task, call->args[0], end, RF_WHY_MUNMAP);
		break;
	case RF_SYS_MMAP:
		if (call->args[3] & MAP_FIXED && call_range(tracker, call->args[0], call->args[1], &end) &&
		    world_vma_overlaps(task->mm, call->args[0], end))
			unmap_range(tracker, task->mm, task, call->args[0], end, RF_WHY_MMAP_FIXED);
		break;
	case RF_SYS_MADVISE:
		zap_madvise(tracker, task);
		break;
	case RF_SYS_BRK:
		zap_brk(tracker, task);
		break;
	case RF_SYS_MREMAP:
		zap_mremap(tracker, task);
		break;
	case RF_SYS_SHMDT:
		zap_shmdt(tracker, task);
		break;
	}
}

bool advice_zaps(u64 advice)
{
	return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_REMOVE ||
	       advice == MADV_GUARD_INSTALL;
}

void call_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	struct task_call *call = &task->call;
	bool zaps = delta < 0;

	switch (call->kind) {
	case RF_SYS_MUNMAP:
	case RF_SYS_SHMDT:
		zaps = true;	/* percpu counters of two threads may add up to anything */
		break;
	case RF_SYS_MADVISE:
		zaps = advice_zaps(call->args[2]);
		break;
	case RF_SYS_MMAP:
	case RF_SYS_BRK:
	case RF_SYS_MREMAP:
		break;
	default:
		zaps = false;
	}
	if (member == RF_RSS_SWAP && delta > 0) {
		task->mm->swapped += (u32)delta;
		return;
	}
	call_defers(task);
	if (zaps) {
		call_zap(tracker, task);
	} else if (call_populates(task) &&
		   (delta > 0 || (!delta && (member == RF_RSS_FILE || member == RF_RSS_SHMEM)))) {
		populate_event(tracker, task, &(struct populate_event){
			.what = POPULATE_RSS, .member = member, .delta = delta });
	} else if (delta > 0) {
		if (member == RF_RSS_ANON && call->kind != RF_SYS_MADVISE) {
			tracker->fidelity.inferred.gup++;
			mark_inexact(tracker, task->mm);
		}
	} else if (delta < 0 && (call->kind != RF_SYS_MADVISE || call->args[2] == MADV_PAGEOUT)) {
		task->mm->unmapped[member] += (u32)-delta;
	}
}
