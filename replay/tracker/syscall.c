// SPDX-License-Identifier: MIT
/*
 * System calls that change VMAs and entries. Unmapping is applied at the call's
 * first RSS change, because other threads may map the range anew before it
 * returns; the rest at the return, when it is known to have succeeded.
 */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/abi.h"
#include "replay/tracker/tracking.h"

#define VM_ACCESS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)

static bool failed(s64 ret)
{
	return ret < 0 && ret > -4096;
}

static void end_call(struct rf_tracker *tracker, struct task *task)
{
	bool was_in_call = task->call.kind;

	call_over(task);
	if (task->mm && was_in_call)
		check_rss(tracker, task->mm);
}

/* ---- entry -------------------------------------------------------------------------------------------- */

void call_abandon(struct rf_tracker *tracker, struct task *task)
{
	populate_end(tracker, task, false);
	end_call(tracker, task);
}

static void madvise_entry(struct rf_tracker *tracker, struct task *task)
{
	u64 start = task->call.args[0], advice = task->call.args[2], end;

	if (!call_range(tracker, start, task->call.args[1], &end))
		return;
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
		populate_begin(tracker, task, start, end, advice == MADV_POPULATE_WRITE, advice == MADV_POPULATE_READ);
	} else if (advice == MADV_PAGEOUT) {
		pageout_begins(tracker, task);
	}
}

static bool may_unmap(u8 kind)
{
	return kind == RF_SYS_MMAP || kind == RF_SYS_MUNMAP || kind == RF_SYS_MADVISE || kind == RF_SYS_BRK ||
	       kind == RF_SYS_MREMAP || kind == RF_SYS_SHMDT;
}

void on_call(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	struct task_call *call = &task->call;

	fault_close(tracker, task);
	if (call->kind)
		call_abandon(tracker, task);
	task->nr_allocs = 0;
	task->flush_due = false;
	call_begins(task, &record, may_unmap(record.kind));
	if (record.kind != RF_SYS_PROCESS_VM)
		task->nr_gups = 0;
	switch (record.kind) {
	case RF_SYS_EXECVE:
		task->exec.building = true;
		task->exec.nr = 0;
		if (task->exec.mm)
			world_mm_free(tracker->world, task->exec.mm);
		task->exec.mm = world_mm_new(tracker->world);
		break;
	case RF_SYS_CLONE:
		find_fork_point(tracker, task);
		break;
	case RF_SYS_MLOCK:
		if (task->mm && task->mm->known && !(call->args[2] & MLOCK_ONFAULT))
			populate_begin(tracker, task, call->args[0],
				       page_align(tracker, call->args[0] % BIT_ULL(tracker->page_shift) +
							   call->args[1]) +
					       ALIGN_DOWN(call->args[0], BIT_ULL(tracker->page_shift)),
				       true, true);
		break;
	case RF_SYS_MLOCKALL:
		if (task->mm && task->mm->known && call->args[0] & MCL_CURRENT && !(call->args[0] & MCL_ONFAULT))
			populate_begin(tracker, task, 0, tracker->address_limit, true, true);
		break;
	case RF_SYS_MADVISE:
		if (task->mm && task->mm->known)
			madvise_entry(tracker, task);
		break;
	}
}

/* ---- return --------------------------------------------------------------------------------------------- */

static u16 prot_flags(u64 prot)
{
	return (u16)((prot & PROT_READ ? RF_VM_READ : 0) | (prot & PROT_WRITE ? RF_VM_WRITE : 0) |
		     (prot & PROT_EXEC ? RF_VM_EXEC : 0));
}

static void mmap_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	const struct task_call *call = &task->call;
	u64 map_flags = call->args[3], end;
	bool shared = map_flags & MAP_SHARED, anonymous = map_flags & MAP_ANONYMOUS;
	struct world_vma vma = { .start = ret };
	struct rf_op *op;

	if (!call_range(tracker, ret, call->args[1], &end)) {
		populate_end(tracker, task, false);
		return;
	}
	vma.end = end;
	vma.flags = prot_flags(call->args[2]) | (shared ? RF_VM_SHARED : 0) |
		    (map_flags & MAP_GROWSDOWN ? RF_VM_GROWSDOWN : 0) | (map_flags & MAP_HUGETLB ? RF_VM_HUGETLB : 0) |
		    (map_flags & MAP_LOCKED || task->mm->lock_future ? RF_VM_LOCKED : 0);
	vma.pgoff = anonymous ? shared ? 0 : vpn_of(tracker, ret) : call->args[5] >> tracker->page_shift;
	/* A file of hugetlbfs: only the side band tells. */
	if (call->map_len)
		vma.flags |= call->map_flags & RF_VM_HUGETLB;
	if (vma.flags & RF_VM_HUGETLB) {
		vma.huge_shift = (u8)huge_shift_of(tracker, anonymous ? map_flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK : 0);
		vma.end = ret + ALIGN_UP(vma.end - ret, BIT_ULL(vma.huge_shift));
	}
	if (!anonymous || shared) {
		/* The side band knows the file; without it the first event about the file will tell. */
		vma.file = call->map_len ? call->map_file : 0;
		if (!vma.file)
			vma.file = file_new(tracker->world, true, shared && anonymous);
		if (shared && anonymous && !(vma.flags & RF_VM_HUGETLB))
			vma.flags |= RF_VM_SHMEM;
	}
	map_vma(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
	if (vma.flags & RF_VM_LOCKED) {
		op = emit(tracker, RF_OP_VMA_FLAGS, task->mm);
		op->addr = vma.start;
		op->end = vma.end;
		op->vm_flags = RF_VM_LOCKED;
	}
	populate_begin(tracker, task, vma.start, vma.end, true, call_populates(task));
	populate_end(tracker, task, true);
}

static void brk_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	struct world_mm *mm = task->mm;
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
		map_vma(tracker, mm, &vma, RF_WHY_BRK);
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
		if (vma.start < vma.end && !world_vma_overlaps(mm, vma.start, vma.end))
			map_vma(tracker, mm, &vma, RF_WHY_BRK);
	}
	mm->brk = ret;
	mm->brk_known = true;
}

struct protect {
	struct rf_tracker *tracker;
	struct world_mm *mm;
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
		world_set_flags(protect->mm, vpn, 0, WORLD_WRITE);
		return;
	}
	/* can_change_pte_writable(): our own anonymous page, or shared memory that wants no notice. */
	if (flags & RF_VM_SHARED ? world_pte_kind(pte) == WORLD_SHMEM : pte & WORLD_EXCLUSIVE)
		world_set_flags(protect->mm, vpn, WORLD_WRITE, 0);
}

/* The call succeeded, so all of the range is mapped, although nobody told by what. */
static void fill_holes(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end, u16 flags)
{
	struct world_vma hole = { .flags = flags, .implicit = true }, *next;

	for (; start < end; start = next ? next->end : end) {
		next = world_vma_next(mm, start, NULL);
		hole.start = start;
		hole.end = next ? min_u64(next->start, end) : end;
		hole.pgoff = vpn_of(tracker, start);
		if (hole.start >= hole.end)
			continue;
		tracker->fidelity.inferred.vma_implicit++;
		map_vma(tracker, mm, &hole, RF_WHY_NONE);
		next = world_vma_next(mm, hole.end - 1, NULL);
	}
}

static void mprotect_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct world_mm *mm = task->mm;
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
	for (at = start; at < end && (vma = world_vma_find(mm, at)); at = vma->end)
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
	world_vma_set_flags(tracker->world, mm, start, end, flags, VM_ACCESS);
	for (at = start; at < end && (vma = world_vma_find(mm, at)); at = vma->end) {
		protect.vma = vma;
		world_walk(mm, vpn_of(tracker, at), vpn_of(tracker, min_u64(vma->end, end)), protect_pte, &protect);
	}
}

static void set_locked(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end, bool locked)
{
	struct rf_op *op;

	if (start >= end)
		return;
	op = emit(tracker, RF_OP_VMA_FLAGS, mm);
	op->addr = start;
	op->end = end;
	op->vm_flags = locked ? RF_VM_LOCKED : 0;
	op->aux = locked ? 0 : RF_VM_LOCKED;
	world_vma_set_flags(tracker->world, mm, start, end, locked ? RF_VM_LOCKED : 0, locked ? 0 : RF_VM_LOCKED);
}

static void mlock_return(struct rf_tracker *tracker, struct task *task, bool ok)
{
	u64 page = BIT_ULL(tracker->page_shift), start = ALIGN_DOWN(task->call.args[0], page), end;

	populate_end(tracker, task, ok);
	if (ok && call_range(tracker, start, task->call.args[1] + task->call.args[0] % page, &end))
		set_locked(tracker, task->mm, start, end, task->call.kind == RF_SYS_MLOCK);
}

static void mlockall_return(struct rf_tracker *tracker, struct task *task, bool ok)
{
	populate_end(tracker, task, ok);
	if (!ok)
		return;
	task->mm->lock_future = task->call.kind == RF_SYS_MLOCKALL && task->call.args[0] & MCL_FUTURE &&
				!(task->call.args[0] & MCL_ONFAULT);
	if (task->call.kind == RF_SYS_MUNLOCKALL || task->call.args[0] & MCL_CURRENT)
		set_locked(tracker, task->mm, 0, tracker->address_limit, task->call.kind == RF_SYS_MLOCKALL);
}

/* do_shmat(): how long the segment is, only the side band tells. */
static void shmat_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	const struct task_call *call = &task->call;
	struct world_vma vma = { .start = ret, .flags = RF_VM_READ | RF_VM_SHARED | RF_VM_SHMEM };

	if (!call->map_len || call->map_addr > ret || ret - call->map_addr >= call->map_len)
		return;
	vma.end = call->map_addr + call->map_len;
	vma.file = call->map_file ? call->map_file : file_new(tracker->world, true, true);
	vma.flags |= call->map_flags & VM_ACCESS;
	map_vma(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
}

/* An old call, today emulated by mapping the same file over the range. */
static void remap_file_pages_return(struct rf_tracker *tracker, struct task *task)
{
	const u64 *args = task->call.args;
	struct world_vma *old = world_vma_find(task->mm, args[0]), vma;
	u64 end;

	if (!old || !call_range(tracker, args[0], args[1], &end))
		return;
	vma = *old;
	vma.start = args[0];
	vma.end = end;
	vma.pgoff = args[3];
	map_vma(tracker, task->mm, &vma, RF_WHY_MMAP_FIXED);
}

static void msync_return(struct rf_tracker *tracker, struct task *task)
{
	u64 start = task->call.args[0], end;

	if (task->call.args[2] & MS_SYNC && call_range(tracker, start, task->call.args[1], &end))
		write_back(tracker, task->mm, start, end);
}

static void return_of(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	bool ok = !failed(ret);

	switch (task->call.kind) {
	case RF_SYS_MMAP:
		if (ok)
			mmap_return(tracker, task, (u64)ret);
		break;
	case RF_SYS_MUNMAP:
	case RF_SYS_SHMDT:
		if (ok)
			call_zap(tracker, task);
		break;
	case RF_SYS_BRK:
		brk_return(tracker, task, (u64)ret);
		break;
	case RF_SYS_MPROTECT:
		mprotect_return(tracker, task, ret);
		break;
	case RF_SYS_MREMAP:
		if (ok)
			mremap_return(tracker, task, (u64)ret);
		break;
	case RF_SYS_MADVISE:
		if (ok && advice_zaps(task->call.args[2]))
			call_zap(tracker, task);
		madvise_return(tracker, task, ret);
		break;
	case RF_SYS_MLOCK:
	case RF_SYS_MUNLOCK:
		mlock_return(tracker, task, ok);
		break;
	case RF_SYS_MLOCKALL:
	case RF_SYS_MUNLOCKALL:
		mlockall_return(tracker, task, ok);
		break;
	case RF_SYS_SHMAT:
		if (ok)
			shmat_return(tracker, task, (u64)ret);
		break;
	case RF_SYS_PROCESS_VM:
		process_vm_return(tracker, task, ret);
		break;
	case RF_SYS_MSYNC:
		if (ok)
			msync_return(tracker, task);
		break;
	case RF_SYS_REMAP_FILE_PAGES:
		if (ok)
			remap_file_pages_return(tracker, task);
		break;
	}
}

void on_return(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	s64 ret = (s64)record.f[1];

	fault_close(tracker, task);
	if (record.f[0] == RF_SYS_EXECVE)
		exec_return(tracker, task, ret);
	if (task->call.kind == record.f[0] && task->mm && task->mm->known)
		return_of(tracker, task, ret);
	if (record.f[0] == RF_SYS_PROCESS_VM)
		task->nr_gups = 0;
	call_abandon(tracker, task);
	task->nr_allocs = 0;
	task->flush_due = false;
}
