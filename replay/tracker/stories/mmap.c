// SPDX-License-Identifier: MIT
/* mmap(), brk(), shmat() and remap_file_pages(), when they return: new VMAs. */
#include "engine/ops.h"
#include "replay/tracker/effects/gup.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"

u16 prot_flags(u64 prot)
{
	return (u16)((prot & PROT_READ ? RF_VM_READ : 0) | (prot & PROT_WRITE ? RF_VM_WRITE : 0) |
		     (prot & PROT_EXEC ? RF_VM_EXEC : 0));
}

/* mm->def_flags; __mmap_complete() does not lock hugetlb. */
static void lock_new(const struct tracked_mm *mm, struct world_vma *vma, bool locked)
{
	if (vma->flags & RF_VM_HUGETLB || !(locked || mm->lock_future))
		return;
	vma->flags |= RF_VM_LOCKED;
	vma->attributes |= mm->lock_on_fault ? RF_ATTRIBUTE_LOCKONFAULT : 0;
}

/*
 * The old mmap() of i386, whose arguments are behind a pointer: the side band tells what it mapped, or the whole that
 * this has become with its neighbours (vma_merge_new_range()). What is known of these bounds what is new, unless the
 * call may have replaced some of it.
 */
static void old_mmap_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	const struct task_call *call = &task->call;
	struct world_vma vma = { .start = ret, .end = call->map_addr + call->map_len, .file = call->map_file,
				 .flags = call->map_flags };
	const struct world_vma *next;

	populate_end(tracker, task, false);
	if (!call->map_len || ret < call->map_addr || ret >= vma.end) {
		mark_mm(tracker, task->mm, RF_REASON_call_unknown);
		return;
	}
	vma.pgoff = call->map_pgoff + vpn_of(tracker, ret) - vpn_of(tracker, call->map_addr);
	next = world_vma_next(&task->mm->world, ret);
	if (next && next->start <= ret)
		mark_mm(tracker, task->mm, RF_REASON_call_unknown);
	else if (next && next->start < vma.end)
		vma.end = next->start;
	map_over(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
}

void mmap_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	const struct task_call *call = &task->call;
	u64 map_flags = call->args[3], end;
	bool shared = map_flags & MAP_SHARED, anonymous = map_flags & MAP_ANONYMOUS, provisional = false;
	struct world_vma vma = { .start = ret };

	if (!call->args[1]) {
		old_mmap_return(tracker, task, ret);
		return;
	}
	if (!call_range(tracker, ret, call->args[1], &end)) {
		populate_end(tracker, task, false);
		return;
	}
	vma.end = end;
	vma.flags = prot_flags(call->args[2]) | (shared ? RF_VM_SHARED : 0) |
		    (map_flags & MAP_GROWSDOWN ? RF_VM_GROWSDOWN : 0) | (map_flags & MAP_HUGETLB ? RF_VM_HUGETLB : 0) |
		    (map_flags & MAP_STACK && tracker->small_stacks ? RF_VM_NOHUGEPAGE : 0);
	vma.attributes = map_flags & MAP_NORESERVE ? RF_ATTRIBUTE_NORESERVE : 0;
	vma.pgoff = anonymous ? shared ? 0 : vpn_of(tracker, ret) : call->args[5] >> tracker->page_shift;
	/* A file of hugetlbfs: only the side band tells. */
	if (call->map_len)
		vma.flags |= call->map_flags & RF_VM_HUGETLB;
	if (vma.flags & RF_VM_HUGETLB) {
		vma.huge_shift =
			(u8)huge_shift_of(tracker, anonymous ? map_flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK : 0);
		vma.end = ret + ALIGN_UP(vma.end - ret, BIT_ULL(vma.huge_shift));
	}
	if (!anonymous || shared) {
		/* The side band knows the file; without it the first event about the file will tell. */
		vma.file = call->map_len ? call->map_file : 0;
		provisional = !vma.file;
		if (provisional)
			vma.file = file_new(tracker->world, true);
		if (shared && anonymous && !(vma.flags & RF_VM_HUGETLB))
			vma.flags |= RF_VM_SHMEM;
	}
	lock_new(task->mm, &vma, map_flags & MAP_LOCKED);
	map_over(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
	if (provisional && vma.file)
		file_get(tracker->world, vma.file)->alone = true;
	populate_begin(tracker, task, vma.start, vma.end, true, call_populates(task));
	populate_end(tracker, task, true);
}

void brk_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	struct tracked_mm *mm = task->mm;
	u64 old = page_align(tracker, mm->brk), new = page_align(tracker, ret);
	struct world_vma vma = { .flags = RF_VM_READ | RF_VM_WRITE, .name = RF_VMA_HEAP };

	if (new > tracker->address_limit)
		return;
	if (mm->brk_known && new > old) {
		vma.start = old;
		vma.end = new;
		vma.pgoff = vpn_of(tracker, old);
		if (task->call.map_len)
			vma.flags = task->call.map_flags & VM_ACCESS;
		lock_new(mm, &vma, false);
		map_over(tracker, mm, &vma, RF_WHY_BRK);
		if (mm->lock_future) {
			populate_begin(tracker, task, old, new, true, true);
			populate_end(tracker, task, true);
		}
	} else if (mm->brk_known && new < old) {
		call_zap(tracker, task);
	} else if (!mm->brk_known && task->call.map_len) {
		/* Grown in the first brk() we see: the side band says to what. */
		vma.start = task->call.map_addr;
		vma.end = new;
		vma.pgoff = vpn_of(tracker, vma.start);
		vma.flags = task->call.map_flags & VM_ACCESS;
		if (vma.start < vma.end && !world_vma_overlaps(&mm->world, vma.start, vma.end))
			map_over(tracker, mm, &vma, RF_WHY_BRK);
	}
	mm->brk = ret;
	mm->brk_known = true;
}

/* do_shmat(): how long the segment is, only the side band tells. */
void shmat_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	const struct task_call *call = &task->call;
	struct world_vma vma = { .start = ret, .flags = RF_VM_READ | RF_VM_SHARED | RF_VM_SHMEM };

	/* ipc() of i386 returns the address by a pointer. */
	if (!ret)
		vma.start = ret = call->map_addr;
	if (!call->map_len || call->map_addr > ret || ret - call->map_addr >= call->map_len)
		return;
	vma.end = call->map_addr + call->map_len;
	vma.file = call->map_file ? call->map_file : file_new(tracker->world, true);
	vma.flags |= call->map_flags & VM_ACCESS;
	lock_new(task->mm, &vma, false);
	map_over(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
	populate_begin(tracker, task, vma.start, vma.end, true, call_populates(task));
	populate_end(tracker, task, true);
}

/* An old call, today emulated by mapping the same file over the range. */
void remap_file_pages_return(struct rf_tracker *tracker, struct task *task)
{
	const struct task_call *call = &task->call;
	u64 page = BIT_ULL(tracker->page_shift);
	struct world_vma vma = { .start = ALIGN_DOWN(call->args[0], page), .pgoff = call->args[3] };

	call_zap(tracker, task);
	if (!call->map_len || !call_range(tracker, vma.start, ALIGN_DOWN(call->args[1], page), &vma.end)) {
		populate_end(tracker, task, false);
		return;
	}
	vma.file = call->map_file;
	vma.flags = call->map_flags;
	map_over(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
	populate_begin(tracker, task, vma.start, vma.end, true, call_populates(task));
	populate_end(tracker, task, true);
}
