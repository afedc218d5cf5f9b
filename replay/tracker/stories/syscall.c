// SPDX-License-Identifier: MIT
/*
 * System calls that change VMAs and entries: their entry and their return, when it is known to have succeeded. What
 * happens between the two is in call.c and populate.c.
 */
#include <errno.h>

#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/exec.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/fork.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/hidden.h"

/* ---- entry ----------------------------------------------------------------------------------- */

static void madvise_entry(struct rf_tracker *tracker, struct task *task)
{
	u64 start = task->call.args[0], advice = task->call.args[2], end;

	if (!call_range(tracker, start, task->call.args[1], &end))
		return;
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
		populate_begin(tracker, task, start, end, advice == MADV_POPULATE_WRITE, advice == MADV_POPULATE_READ);
	} else if (advice == MADV_PAGEOUT) {
		pageout_begins(tracker, task, task->mm, start, end);
	}
}

static void mlock_entry(struct rf_tracker *tracker, struct task *task)
{
	u64 start, end;

	if (task->call.kind == RF_SYS_MLOCKALL && task->call.args[0] & MCL_CURRENT)
		populate_begin(tracker, task, 0, tracker->address_limit, true, true);
	else if (task->call.kind == RF_SYS_MLOCK && locked_range(tracker, task, &start, &end))
		populate_begin(tracker, task, start, end, true, true);
}

static bool may_unmap(u8 kind)
{
	return kind == RF_SYS_MMAP || kind == RF_SYS_MUNMAP || kind == RF_SYS_MADVISE || kind == RF_SYS_BRK ||
	       kind == RF_SYS_MREMAP || kind == RF_SYS_SHMDT || kind == RF_SYS_PROCESS_MADVISE ||
	       kind == RF_SYS_REMAP_FILE_PAGES;
}

void on_call(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	struct task_call *call = &task->call;

	fault_close(tracker, task);
	/* Whatever number exec's return bears, which changes with the ABI, it is behind the task. */
	if (task->exec.loading)
		exec_return(tracker, task, 0);
	if (call->kind)
		call_abandon(tracker, task);
	task->nr_allocs = 0;
	task->flush_due = false;
	if (record.kind != RF_SYS_MADVISE || (record.f[2] != MADV_FREE && record.f[2] != MADV_COLD))
		task->advised.end = 0;
	task->remap = (struct task_remap){ 0 };
	task->told_vmas.nr = 0;
	call_begins(task, &record, may_unmap(record.kind));
	if (tracker->causes)
		task->call_told = tracker->cause.told;
	if (record.kind != RF_SYS_PROCESS_VM && record.kind != RF_SYS_PROCESS_MADVISE)
		task->nr_gups = 0;
	switch (record.kind) {
	case RF_SYS_EXECVE:
		task->exec.building = true;
		task->exec.nr = 0;
		if (task->exec.mm)
			world_mm_free(tracker->world, &task->exec.mm->world);
		task->exec.mm = mm_new(tracker);
		find_exec_point(tracker, task);
		break;
	case RF_SYS_CLONE:
		find_fork_point(tracker, task);
		break;
	case RF_SYS_MLOCK:
	case RF_SYS_MLOCKALL:
		if (task->mm && task->mm->known)
			mlock_entry(tracker, task);
		break;
	case RF_SYS_PROCESS_VM:
		populate_gups(tracker, task);
		break;
	case RF_SYS_PROCESS_MADVISE:
		process_madvise_entry(tracker, task);
		break;
	case RF_SYS_IOCTL:
		if (task->mm && task->mm->known)
			ioctl_entry(tracker, task);
		break;
	case RF_SYS_MADVISE:
		if (task->mm && task->mm->known)
			madvise_entry(tracker, task);
		break;
	}
}

/* ---- return ---------------------------------------------------------------------------------- */

static void msync_return(struct rf_tracker *tracker, struct task *task)
{
	u64 start = task->call.args[0], end;

	if (task->call.args[2] & MS_SYNC && call_range(tracker, start, task->call.args[1], &end))
		write_back(tracker, task->mm, start, end);
}

static void mlock_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	/* -ENOMEM: above a limit, and nothing was done; or a hole, and what lies below it is locked. */
	if (!ret || (ret == -ENOMEM && locks_hole(tracker, task)))
		lock_vmas(tracker, task);
	populate_end(tracker, task, !ret);
}

static void return_of(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	bool ok = !failed(ret);

	if (ok && !task->call.overtaken)
		calls_overtaken(tracker, task, (u64)ret);
	switch (task->call.kind) {
	case RF_SYS_MMAP:
		if (ok && !task->call.overtaken)
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
		if (ok) {
			if (!task->call.overtaken)
				mremap_return(tracker, task, (u64)ret);
			mremap_populates(tracker, task, (u64)ret);
		}
		break;
	case RF_SYS_MADVISE:
		if (ok && advice_zaps(task->call.args[2]))
			call_zap(tracker, task);
		madvise_return(tracker, task, ret);
		break;
	case RF_SYS_MLOCK:
	case RF_SYS_MUNLOCK:
	case RF_SYS_MLOCKALL:
	case RF_SYS_MUNLOCKALL:
		mlock_return(tracker, task, ret);
		break;
	case RF_SYS_MBIND:
		mbind_return(tracker, task, ret);
		break;
	case RF_SYS_PRCTL:
		if (ok)
			prctl_return(tracker, task);
		break;
	case RF_SYS_IOCTL:
		ioctl_return(tracker, task, ret);
		break;
	case RF_SYS_SHMAT:
		if (ok)
			shmat_return(tracker, task, (u64)ret);
		break;
	case RF_SYS_PROCESS_MADVISE:
		process_madvise_return(tracker, task, ret);
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
	/* 0: ipc() of i386, whose return does not say of which of its calls. */
	u8 kind = record.f[0] ? (u8)record.f[0] : task->call.kind;
	s64 ret = (s64)record.f[1];

	fault_close(tracker, task);
	if (kind == RF_SYS_EXECVE)
		exec_return(tracker, task, ret);
	if (kind == RF_SYS_CLONE && ret > 0 && !task->call.bore)
		birth_unseen(tracker, task, (u32)ret);
	if (task->call.kind == kind && task->mm && task->mm->known)
		return_of(tracker, task, ret);
	if (task->mm)
		vmas_as_told(tracker, task);
	/* Another call may have split or merged it, its buffer not being read: attributes.c. */
	if (task->mm && task->mm->world.merge_untold)
		mark_mm(tracker, task->mm, RF_REASON_call_unknown);
	if (task->mm)
		task->mm->world.merge_untold = false;
	if (task->call.kind == kind)
		call_returned(&task->call);
	if (kind == RF_SYS_PROCESS_VM || kind == RF_SYS_PROCESS_MADVISE)
		task->nr_gups = 0;
	call_abandon(tracker, task);
	task->nr_allocs = 0;
	task->flush_due = false;
}
