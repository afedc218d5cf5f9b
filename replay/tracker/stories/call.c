// SPDX-License-Identifier: MIT
/*
 * A system call in progress. What it unmaps is applied at its first RSS change, because other threads may map the range
 * anew before it returns.
 */
#include "replay/tracker/stories/call.h"

#include "engine/ops.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/rss.h"

static void zap_advised(struct rf_tracker *tracker, struct task *task, u64 start, u64 len, u64 advice)
{
	static const struct {
		u64 advice;
		u8 why;
	} whys[] = {
		{ MADV_DONTNEED, RF_WHY_DONTNEED }, { MADV_DONTNEED_LOCKED, RF_WHY_DONTNEED },
		{ MADV_REMOVE, RF_WHY_REMOVE }, { MADV_GUARD_INSTALL, RF_WHY_GUARD },
	};
	u64 end;

	for (size_t i = 0; i < ARRAY_SIZE(whys); i++) {
		if (advice != whys[i].advice || !call_range(tracker, start, len, &end) || start == end)
			continue;
		settle_others(tracker, task->mm, task, tracker->time);
		zap_range(tracker, task, start, end, whys[i].why);
	}
}

/* vector_madvise(): only for itself may a process ask for what unmaps. */
static void zap_iovecs(struct rf_tracker *tracker, struct task *task)
{
	for (u32 i = 0; i < task->nr_gups; i++)
		if (mm_of_process(tracker, task->gups[i].pid) == task->mm)
			zap_advised(tracker, task, task->gups[i].addr, task->gups[i].len, task->call.args[3]);
}

/* The mapping goes that the same file will be mapped over; what it was is kept until then. */
static void zap_remapped(struct rf_tracker *tracker, struct task *task)
{
	u64 page = BIT_ULL(tracker->page_shift), start = ALIGN_DOWN(task->call.args[0], page), end;
	const struct world_vma *vma = world_vma_find(&task->mm->world, start);

	if (!vma || !call_range(tracker, start, ALIGN_DOWN(task->call.args[1], page), &end))
		return;
	call_maps(&task->call, vma);
	settle_unmap(tracker, task->mm, task, start, end, RF_WHY_MMAP_FIXED);
}

static void zap_brk(struct rf_tracker *tracker, struct task *task)
{
	u64 old = page_align(tracker, task->mm->brk), new = page_align(tracker, task->call.args[0]);

	if (task->mm->brk_known && new < old && new)
		settle_unmap(tracker, task->mm, task, new, old, RF_WHY_BRK);
}

static void zap_mremap(struct rf_tracker *tracker, struct task *task)
{
	const u64 *args = task->call.args;
	u64 old_end, new_end, fixed_end;

	if (!call_range(tracker, args[0], args[1], &old_end) || !call_range(tracker, args[0], args[2], &new_end) ||
	    mremap_several(tracker, task))
		return;
	if (args[3] & MREMAP_FIXED && call_range(tracker, args[4], args[2], &fixed_end) &&
	    world_vma_overlaps(&task->mm->world, args[4], fixed_end))
		settle_unmap(tracker, task->mm, task, args[4], fixed_end, RF_WHY_MREMAP);
	if (new_end < old_end)
		settle_unmap(tracker, task->mm, task, new_end, old_end, RF_WHY_MREMAP);
}

/* shmdt(): every piece of the segment that was attached at addr. */
static void zap_shmdt(struct rf_tracker *tracker, struct task *task)
{
	struct tracked_mm *mm = task->mm;
	u64 addr = task->call.args[0], start;
	struct world_vma *vma = world_vma_find(&mm->world, addr);
	u32 file;

	if (!vma || !vma->file)
		return;
	file = vma->file;
	start = vma->start - (vma->pgoff << tracker->page_shift);
	for (vma = world_vma_next(&mm->world, start); vma; vma = world_vma_next(&mm->world, addr)) {
		addr = vma->end;
		if (vma->file == file && vma->start - (vma->pgoff << tracker->page_shift) == start)
			settle_unmap(tracker, mm, task, vma->start, vma->end, RF_WHY_SHMDT);
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
			settle_unmap(tracker, task->mm, task, call->args[0], end, RF_WHY_MUNMAP);
		break;
	case RF_SYS_MMAP:
		if (call->args[3] & MAP_FIXED && call_range(tracker, call->args[0], call->args[1], &end) &&
		    world_vma_overlaps(&task->mm->world, call->args[0], end))
			settle_unmap(tracker, task->mm, task, call->args[0], end, RF_WHY_MMAP_FIXED);
		break;
	case RF_SYS_MADVISE:
		zap_advised(tracker, task, call->args[0], call->args[1], call->args[2]);
		break;
	case RF_SYS_PROCESS_MADVISE:
		zap_iovecs(tracker, task);
		break;
	case RF_SYS_REMAP_FILE_PAGES:
		zap_remapped(tracker, task);
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

/*
 * A PMD of a file that the call's range covers in part, or that a VMA is split in, is unmapped first, all of it. How
 * many pages were counted down tells it from a table of the same pages.
 */
static bool call_splits_pmd(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	const struct task_call *call = &task->call;
	u64 edges[2] = { call->args[0] }, pmd_size = BIT_ULL(tracker->pmd_order + tracker->page_shift);

	if (delta != -(s64)BIT_ULL(tracker->pmd_order) || (member != RF_RSS_FILE && member != RF_RSS_SHMEM) ||
	    !call_range(tracker, call->args[0], call->args[1], &edges[1]))
		return false;
	switch (call->kind) {
	case RF_SYS_MUNMAP:
	case RF_SYS_MMAP:
	case RF_SYS_MPROTECT:
	case RF_SYS_MADVISE:
	case RF_SYS_MREMAP:
	case RF_SYS_MLOCK:
	case RF_SYS_MUNLOCK:
		break;
	default:
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
		if (edges[i] & (pmd_size - 1) && split_file_pmd(tracker, task->mm, vpn_of(tracker, edges[i])))
			return true;
	return false;
}

/* wp_page_copy() of a page of a file, in GUP: it is counted down before the copy is counted. */
static bool gup_copies_file(struct rf_tracker *tracker, const struct task *task, u8 member, s64 delta)
{
	const struct rf_record *next;
	size_t i = 0;

	if (delta != -1 || (member != RF_RSS_FILE && member != RF_RSS_SHMEM) || !call_populates(task))
		return false;
	next = next_of(tracker, task->tid, &i);
	return next && own_rss(next) == RF_RSS_ANON;
}

/* Counters of two CPUs may add up to anything: what is no page that the call populates is one that it takes away. */
static bool counts_zap(const struct task *task, u8 member, s64 delta)
{
	if (delta < 0 || task->mm->users < 2)
		return delta < 0;
	return member == RF_RSS_ANON ? !task->nr_allocs && !task->populate.nr : !call_populates(task);
}

/* With threads, another's record may have told of this change: of an anonymous page its allocation tells. */
static bool counts_populated(const struct task *task, u8 member, s64 delta)
{
	if (delta > 0 || member == RF_RSS_FILE || member == RF_RSS_SHMEM)
		return delta >= 0;
	return member == RF_RSS_ANON && task->mm->users > 1 && task->nr_allocs;
}

void call_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	struct task_call *call = &task->call;
	bool zaps = counts_zap(task, member, delta);

	if (call_splits_pmd(tracker, task, member, delta) || gup_copies_file(tracker, task, member, delta))
		return;
	switch (call->kind) {
	case RF_SYS_MUNMAP:
	case RF_SYS_SHMDT:
		zaps = true;
		break;
	case RF_SYS_MADVISE:
		zaps = advice_zaps(call->args[2]);
		break;
	case RF_SYS_PROCESS_MADVISE:
		zaps = advice_zaps(call->args[3]) && task->nr_gups;
		break;
	case RF_SYS_MMAP:
	case RF_SYS_BRK:
	case RF_SYS_MREMAP:
	case RF_SYS_REMAP_FILE_PAGES:
		break;
	default:
		zaps = false;
	}
	pageout_rss(task, task->mm, member, delta);
	if (member == RF_RSS_SWAP && delta > 0) {
		task->mm->swapped += (u32)delta;
		return;
	}
	call_defers(task);
	if (zaps) {
		call_zap(tracker, task);
	} else if (call_populates(task) && counts_populated(task, member, delta)) {
		populate_event(tracker, task, &(struct populate_event){
			.what = POPULATE_RSS, .member = member, .delta = delta,
			.around = member == RF_RSS_FILE && next_is(tracker, task->tid, RF_MAP_PAGES) });
	} else if (delta > 0) {
		if (member == RF_RSS_ANON && call->kind != RF_SYS_MADVISE) {
			tracker->fidelity.inferred.gup++;
			mark_mm(tracker, task->mm, RF_REASON_gup_unplaced);
		}
	} else if (delta < 0 && (call->kind != RF_SYS_MADVISE || call->args[2] == MADV_PAGEOUT)) {
		task->mm->unmapped[member] += (u32)-delta;
	}
}

static void end_call(struct rf_tracker *tracker, struct task *task)
{
	bool was_in_call = task->call.kind;

	call_over(task);
	task->data.call = 0;
	if (task->mm && was_in_call)
		check_rss(tracker, task->mm);
}

/* The return of some calls is only recorded when they fail. */
static void silent_success(struct rf_tracker *tracker, struct task *task)
{
	if (task->call.stage == CALL_RETURNED || !task->mm || !task->mm->known)
		return;
	if (task->call.kind == RF_SYS_PRCTL)
		prctl_return(tracker, task);
	else if (task->call.kind == RF_SYS_IOCTL)
		ioctl_return(tracker, task, 0);
}

void call_abandon(struct rf_tracker *tracker, struct task *task)
{
	silent_success(tracker, task);
	populate_end(tracker, task, false);
	end_call(tracker, task);
}
