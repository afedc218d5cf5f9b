// SPDX-License-Identifier: MIT
/*
 * madvise() that reclaims or splits on its way: MADV_PAGEOUT walks one page table, reclaims what it found there, and
 * goes on to the next; any advice drops the page-table lock to split a folio that the range covers in part, and takes
 * it again. Each time the walk begins anew it makes sure that deferred flushes are done, so where it stood when pages
 * were unmapped decides how many flushes there are.
 */
#include "engine/ops.h"
#include "replay/tracker/abi.h"
#include "replay/tracker/tracking.h"

static struct task *task_in_advice(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm)
{
	struct task *task = task_find(tracker, tid);

	return task && task->mm == mm && task->call.kind == RF_SYS_MADVISE ? task : NULL;
}

static u64 end_of_advice(const struct rf_tracker *tracker, const struct task *task)
{
	u64 end;

	if (!call_range(tracker, task->call.args[0], task->call.args[1], &end))
		return 0;
	return vpn_of(tracker, end);
}

/* The walk goes on from where it stood to vpn. */
static void walk_to(struct rf_tracker *tracker, struct task *task, u64 vpn)
{
	struct task_call *call = &task->call;
	struct rf_op *op;

	vpn = min_u64(vpn, end_of_advice(tracker, task));
	if (vpn <= call->walked)
		return;
	reclaim_flush(tracker);		/* the last table's pages were reclaimed, to the end */
	op = emit(tracker, RF_OP_MADV_PAGEOUT, task->mm);
	op->addr = call->walked << tracker->page_shift;
	op->end = vpn << tracker->page_shift;
	call_walked(call, vpn);
}

void pageout_begins(struct rf_tracker *tracker, struct task *task)
{
	call_walked(&task->call, vpn_of(tracker, task->call.args[0]));
}

void pageout_ends(struct rf_tracker *tracker, struct task *task)
{
	walk_to(tracker, task, end_of_advice(tracker, task));
}

/* reclaim_pages() follows the walk over a page table. */
void advice_unmaps(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm, u64 vpn)
{
	struct task *task = task_in_advice(tracker, tid, mm);
	u64 start;

	if (!task || task->call.args[2] != MADV_PAGEOUT)
		return;
	start = vpn_of(tracker, task->call.args[0]);
	if (vpn >= start && vpn < end_of_advice(tracker, task))
		walk_to(tracker, task, ALIGN_DOWN(vpn, BIT_ULL(tracker->pmd_order)) + BIT_ULL(tracker->pmd_order));
}

/* split_folio() begins; the walk has read the first entry of the folio, under the range, and stands there. */
void advice_splits(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm, u64 vpn)
{
	struct task *task = task_in_advice(tracker, tid, mm);
	u64 start;

	if (!task || task->call.args[2] != MADV_PAGEOUT)
		return;
	start = vpn_of(tracker, task->call.args[0]);
	vpn = max_u64(vpn, start);
	if (vpn < task->call.walked || vpn >= end_of_advice(tracker, task))
		return;
	walk_to(tracker, task, vpn + 1);
	call_walked(&task->call, vpn);
}

void advice_has_split(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm)
{
	struct rf_op *op;

	if (!task_in_advice(tracker, tid, mm))
		return;
	op = emit(tracker, RF_OP_FOLIO_SPLIT, mm);
	op->flags = RF_OP_RELOCK;
}
