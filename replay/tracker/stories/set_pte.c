// SPDX-License-Identifier: MIT
/*
 * Pages of files as kernels map them that count in batches: do_set_pte() tells each with its address, one by one, where
 * later kernels have a window and a count.
 */
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/rss.h"

/* do_cow_fault(): what is mapped is a copy, of the page that was allocated. */
static bool is_copy(const struct task *task, const struct world_vma *vma, u64 vpn)
{
	if ((vma->flags & (RF_VM_SHARED | RF_VM_WRITE)) != RF_VM_WRITE)
		return false;
	if (fault_is_open(&task->fault))
		return vpn == task->fault.vpn && task->fault.flags & RF_FAULT_WRITE;
	return call_populates(task) && has_alloc(task, 0);
}

/*
 * It is told otherwise, by RSS_STAT: the page of another address space; a huge page that alloc_set_pte() maps by a PMD.
 */
static bool is_told_by_rss_stat(struct rf_tracker *tracker, const struct task *task)
{
	const struct tracked_mm *mm = task->mm;
	const struct rf_record *next;
	size_t i = 0;
	u64 member;

	next = next_but_free(tracker, task->tid, &i);
	if (next && next->kind == RF_RSS_CHANGE)
		next = next_but_free(tracker, task->tid, &i);
	if (!next || next->kind != RF_RSS_STAT)
		return false;
	member = next->f[2];
	if (member != RF_RSS_FILE && member != RF_RSS_SHMEM)
		return false;
	return !next->f[1] || (s64)next->f[3] - (mm->recorded[member] - mm->batched[member]) ==
				      (s64)BIT_ULL(tracker->pmd_order);
}

/* The places of this record and of those that go on with it. alloc_set_pte() is also called for what is mapped. */
static size_t collect(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma, u64 vpn, u64 *vpns)
{
	const struct rf_record *next;
	struct tracked_mm *mm = task->mm;
	size_t nr = 0, i = 0;

	if (!world_get(&mm->world, vpn))
		vpns[nr++] = vpn;
	while (nr < WINDOW_MAX && (next = next_but_free(tracker, task->tid, &i))) {
		if (next->kind == RF_SET_PTE && next->f[0] >= vma->start && next->f[0] < vma->end &&
		    vpn_of(tracker, next->f[0]) > vpn) {
			vpn = vpn_of(tracker, next->f[0]);
			if (!world_get(&mm->world, vpn))
				vpns[nr++] = vpn;
		} else if (next->kind != RF_RSS_CHANGE || (next->f[0] != RF_RSS_FILE && next->f[0] != RF_RSS_SHMEM) ||
			   (s64)next->f[1] != 1) {
			break;
		}
		task->counted_ahead++;
	}
	return nr;
}

/* shmem_fault(): a page that was not there has been allocated, or is back from swap. */
static void find_shmem(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, u64 vpn)
{
	struct task_alloc alloc;
	u64 pfn;

	if (vma_cache_find(tracker, vma, vpn, &pfn) || shmem_swap_in(tracker, vma, vpn))
		return;
	if (take_alloc(task, 1, &alloc))
		shmem_add(tracker, vma, vpn, alloc.pfn, alloc.order);
}

void on_set_pte(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 addr = record.f[0], vpn = vpn_of(tracker, addr), vpns[WINDOW_MAX];
	struct task_fault *fault = &task->fault;
	const struct rf_record *next;
	struct world_vma *vma;
	size_t nr, i = 0;
	bool shmem;

	if (task->counted_ahead) {
		task->counted_ahead--;
		return;
	}
	if (!tracker->batches_rss || !task->mm || !task->mm->known || addr >= tracker->address_limit ||
	    is_told_by_rss_stat(tracker, task))
		return;
	vma = fault_vma(tracker, task->mm, addr);
	if (!vma)
		return;
	if (is_copy(task, vma, vpn)) {
		next = next_but_free(tracker, task->tid, &i);
		task->counted_ahead = next && next->kind == RF_RSS_CHANGE;
		rss_kept_changes(tracker, task, RF_RSS_ANON, 1);
		return;
	}
	nr = collect(tracker, task, vma, vpn, vpns);
	if (!nr)
		return;
	shmem = record.f[1] || (record.f[2] && vma->flags & RF_VM_SHMEM);
	if (shmem)
		for (i = 0; i < nr; i++)
			find_shmem(tracker, task, vma, vpns[i]);
	rss_kept(task, shmem ? RF_RSS_SHMEM : RF_RSS_FILE, (s64)nr);
	map_file_pages(tracker, task->mm, vma, fault_is_open(fault) ? fault->vpn : vpns[0], vpns, nr, shmem,
		       fault->flags & RF_FAULT_WRITE, fault_is_open(fault) ? 0 : RF_OP_POPULATE);
	if (fault_is_open(fault) && world_get(&task->mm->world, fault->vpn))
		fault_applied(fault);
}
