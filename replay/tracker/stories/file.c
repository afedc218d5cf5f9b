// SPDX-License-Identifier: MIT
/* Records of file pages that are mapped, by a fault or by GUP. */
#include "engine/ops.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/readahead.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/handlers.h"

static void fault_map_pages(struct rf_tracker *tracker, struct task *task, u32 file, u64 first, u64 last)
{
	struct task_fault *fault = &task->fault;
	struct tracked_mm *mm = task->mm;
	struct world_vma *vma = fault_vma(tracker, mm, fault->addr);
	s64 delta = fault_waits(fault) ? fault->delta : -1;
	bool shmem = fault_waits(fault) && fault->member == RF_RSS_SHMEM;
	u64 left_out = ~0ull;

	if (!vma)
		return;
	if (vma->implicit && !vma->file) {
		adopt_file(tracker, mm, fault->vpn, file, first, last, false);
		vma = world_vma_find(&mm->world, fault->addr);
		if (!vma)
			return;
	}
	learn_file(tracker, mm, vma, file);
	fault_placed(task);
	/* Its own page was left out (its read is under way) if the fault goes on with the page cache. */
	if (delta != (s64)(last - first + 1) && next_is(tracker, task->tid, RF_FILEMAP_FAULT))
		left_out = fault->vpn;
	map_file_range(tracker, mm, vma, fault->vpn, left_out, first, last, delta, shmem, 0);
	if (world_pte_present(world_get(&mm->world, fault->vpn)))
		fault_applied(fault);
}

/*
 * GUP goes on with the first page that was left out of the window: after trying the same window once more it reaches
 * filemap_fault(). Its index, or ~0.
 */
static u64 reached_next(struct rf_tracker *tracker, const struct task *task, const struct rf_record *window)
{
	const struct rf_record *next;
	size_t i = 0;

	while ((next = next_of(tracker, task->tid, &i))) {
		if (next->kind == RF_FILEMAP_FAULT)
			return next->f[2] >= window->f[2] && next->f[2] <= window->f[3] ? next->f[2] : ~0ull;
		if (next->kind != RF_RSS_STAT && (next->kind != RF_MAP_PAGES || next->f[2] != window->f[2]))
			return ~0ull;
	}
	return ~0ull;
}

void on_map_pages(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 file = record_file(tracker, &record);
	u64 first = record.f[2], last = record.f[3];
	struct world_vma *vma;

	if (!task->mm || !task->mm->known || last < first)
		return;
	last = min_u64(last, first + WINDOW_MAX - 1);
	if (fault_is_open(&task->fault) && task->fault.stage != FAULT_COPIED &&
	    (fault_pending(&task->fault) || fault_waits(&task->fault))) {
		fault_map_pages(tracker, task, file, first, last);
		return;
	}
	if (call_populates(task)) {
		populate_event(tracker, task, &(struct populate_event){
			.what = POPULATE_MAP, .file = file, .index = first, .last = last,
			.left_out = reached_next(tracker, task, &record) });
		return;
	}
	/* GUP in a call we do not follow, but the file tells the place. */
	vma = vma_by_file(tracker, task->mm, file, first);
	if (vma) {
		tracker->fidelity.inferred.gup++;
		map_file_range(tracker, task->mm, vma, vpn_of(tracker, vma->start) + first - vma->pgoff, ~0ull,
			       first, last,
			       task->populate.delta_seen ? task->populate.delta : -1,
			       task->populate.member == RF_RSS_SHMEM, RF_OP_POPULATE | RF_OP_INFERRED);
		task->populate.delta_seen = false;
	}
}

void on_filemap_fault(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 file = record_file(tracker, &record);
	struct task_fault *fault = &task->fault;
	struct world_vma *vma;
	bool cached;
	u64 pfn;

	if (!task->mm || !task->mm->known)
		return;
	cached = cache_find(tracker->world, file, record.f[2], &pfn);
	if (cached)
		readahead_hit(tracker, pfn);
	if (fault_pending(fault)) {
		/* What fault-around did before is told; what is left of its RSS change was the page itself. */
		fault_reaches_file(fault, file, record.f[2], cached);
		vma = fault_vma(tracker, task->mm, fault->addr);
		if (vma && vma->implicit && !vma->file) {
			adopt_file(tracker, task->mm, fault->vpn, file, record.f[2], record.f[2],
				   fault->flags & RF_FAULT_WRITE);
			vma = world_vma_find(&task->mm->world, fault->addr);
		}
		if (vma)
			learn_file(tracker, task->mm, vma, file);
		return;
	}
	if (call_populates(task))
		populate_event(tracker, task, &(struct populate_event){
			.what = POPULATE_FILE, .file = file, .index = record.f[2] });
}
