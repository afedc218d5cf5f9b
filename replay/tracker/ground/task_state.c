// SPDX-License-Identifier: MIT
/* The transitions of a task's page fault and system call. */
#include <string.h>

#include "replay/tracker/ground/tasks.h"

/* ---- page faults ---------------------------------------------------------------- */

void fault_begins(struct task *task, u64 addr, u64 vpn, u16 flags, u64 time)
{
	task->fault = (struct task_fault){
		.stage = FAULT_OPEN, .flags = flags, .addr = addr, .vpn = vpn, .time = time,
		.copied_pfn = WORLD_PFN_MASK,
	};
}

void fault_contends(struct task_fault *fault, bool contended)
{
	fault->contended = contended;
}

void fault_found_none(struct task_fault *fault)
{
	fault->flags &= (u16)~RF_FAULT_PRESENT;
}

void fault_reaches_file(struct task_fault *fault, u32 file, u64 index, bool cached)
{
	fault->filemap = cached ? FILE_CACHED : FILE_READ;
	fault->file = file;
	fault->index = index;
	fault->reads = 0;
}

void fault_reads_page(struct task_fault *fault)
{
	fault->reads++;
}

void fault_wait_for_place(struct task *task, u8 member, s64 delta)
{
	struct task_fault *fault = &task->fault;

	fault->delta = delta;
	fault->member = member;
	if (fault->wait != WAIT_COUNTED) {
		fault->wait = WAIT_COUNTED;
		task->mm->deferred++;
	}
}

void fault_placed(struct task *task)
{
	if (task->fault.wait == WAIT_COUNTED)
		task->mm->deferred--;
	task->fault.wait = WAIT_NONE;
}

void fault_applied(struct task_fault *fault)
{
	if (fault->stage == FAULT_OPEN)
		fault->stage = FAULT_SETTLED;
}

void fault_guessed(struct task_fault *fault, world_pte replaced)
{
	fault->stage = FAULT_GUESSED;
	fault->replaced = replaced;
}

void fault_copied(struct task_fault *fault, world_pte replaced, u64 pfn, u64 time)
{
	fault->copied_at = time;
	fault->stage = FAULT_COPIED;
	fault->replaced = replaced;
	fault->copied_pfn = pfn;
}

void fault_swapped_in(struct task_fault *fault)
{
	fault_applied(fault);
	fault->swapped_in = true;
}

void fault_over(struct task *task)
{
	fault_placed(task);
	task->fault.stage = FAULT_NONE;
}

/* ---- system calls --------------------------------------------------------------- */

void call_begins(struct task *task, const struct rf_record *record, bool may_unmap)
{
	struct task_call *call = &task->call;

	memset(call, 0, sizeof(*call));
	call->stage = CALL_ENTERED;
	call->kind = record->kind;
	call->time = record->time;
	memcpy(call->args, record->f, sizeof(call->args));
	if (task->mm && may_unmap) {
		call->counted = true;
		task->mm->callers++;
	}
}

void call_defers(struct task *task)
{
	if (task->call.deferred)
		return;
	task->call.deferred = true;
	task->mm->deferred++;
}

void call_zapped(struct task_call *call)
{
	call->stage = CALL_ZAPPED;
}

void call_returned(struct task_call *call)
{
	call->stage = CALL_RETURNED;
}

void call_advises(struct task_call *call, u32 mm, u32 piece, u64 start, u64 end)
{
	call->advised = mm + 1;
	call->piece = piece;
	call->advice_start = call->walked = call->reclaimed = call->discarded = start;
	call->advice_end = end;
}

void call_walked(struct task_call *call, u64 vpn)
{
	call->walked = vpn;
}

void call_reclaimed(struct task_call *call, u64 vpn)
{
	call->reclaimed = max_u64(call->reclaimed, vpn);
}

void call_discarded(struct task_call *call, u64 vpn)
{
	call->discarded = vpn;
}

void call_unmaps(struct task_call *call, u32 member, u32 nr)
{
	call->unmapped[member] += nr;
}

void call_unmap_told(struct task_call *call, u32 member, u32 nr)
{
	call->unmapped[member] -= (u32)min_u64(call->unmapped[member], nr);
	/* What goes to swap was counted down as ANON, too. */
	if (member == RF_RSS_SWAP)
		call_unmap_told(call, RF_RSS_ANON, nr);
}

void call_moved(struct task_call *call)
{
	call->moved = true;
}

void call_flushes(struct task_call *call, u8 extent)
{
	call->flushed = extent;
}

void call_overtaken(struct task_call *call)
{
	call->overtaken = true;
}

void call_maps(struct task_call *call, const struct world_vma *vma)
{
	call->map_addr = vma->start;
	call->map_len = vma->end - vma->start;
	call->map_pgoff = vma->pgoff;
	call->map_file = vma->file;
	call->map_flags = vma->flags;
}

static void call_uncount(struct task *task)
{
	if (task->call.deferred)
		task->mm->deferred--;
	if (task->call.counted)
		task->mm->callers--;
	task->call.deferred = task->call.counted = false;
}

void call_over(struct task *task)
{
	call_uncount(task);
	task->call.stage = CALL_NONE;
	if (task->call.kind)
		task->call.was = task->call.kind;
	task->call.kind = 0;
	task->call.map_len = 0;
}

void call_moves(struct task *from, struct task *to)
{
	to->call = from->call;
	memset(&from->call, 0, sizeof(from->call));
}

/* ---- counters that the task keeps ------------------------------------------------ */

void task_keeps_count(struct task *task, u32 member, s64 pages)
{
	task->batched[member] += pages;
	task->mm->batched[member] += pages;
}

void task_state_leaves_mm(struct task *task)
{
	if (task->fault.wait == WAIT_COUNTED) {
		task->fault.wait = WAIT_LEFT;
		task->mm->deferred--;
	}
	call_uncount(task);
	for (u32 member = 0; member < RF_RSS_MEMBERS; member++)
		task_keeps_count(task, member, -task->batched[member]);
}
