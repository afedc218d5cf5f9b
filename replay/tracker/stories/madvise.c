// SPDX-License-Identifier: MIT
/*
 * madvise(). Most advice is taken when it returns; what it unmapped was applied before, see call.c. Some reclaims or
 * splits on its way: MADV_PAGEOUT walks one page table, reclaims what it found there, and goes on to the next; any
 * advice drops the page-table lock to split a folio that the range covers in part, and takes it again. Each time the
 * walk begins anew it makes sure that deferred flushes are done, so where it stood when pages were unmapped decides how
 * many flushes there are.
 */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

static struct task *task_in_advice(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm)
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

static void pageout_ends(struct rf_tracker *tracker, struct task *task)
{
	walk_to(tracker, task, end_of_advice(tracker, task));
}

/* reclaim_pages() follows the walk over a page table. */
void advice_unmaps(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm, u64 vpn)
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
void advice_splits(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm, u64 vpn)
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

void advice_has_split(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm)
{
	struct rf_op *op;

	if (!task_in_advice(tracker, tid, mm))
		return;
	op = emit(tracker, RF_OP_FOLIO_SPLIT, mm);
	op->flags = RF_OP_RELOCK;
}

/* ---- the return ------------------------------------------------------------------------------ */

static const struct {
	u16 advice, set, clear;
} flag_advice[] = {
	{ MADV_DONTFORK, RF_VM_DONTCOPY, 0 },	  { MADV_DOFORK, 0, RF_VM_DONTCOPY },
	{ MADV_WIPEONFORK, RF_VM_WIPEONFORK, 0 }, { MADV_KEEPONFORK, 0, RF_VM_WIPEONFORK },
	{ MADV_HUGEPAGE, RF_VM_HUGEPAGE, RF_VM_NOHUGEPAGE }, { MADV_NOHUGEPAGE, RF_VM_NOHUGEPAGE, RF_VM_HUGEPAGE },
};

struct advise {
	struct rf_tracker *tracker;
	struct tracked_mm *mm;
};

/* madvise_free_pte_range(): swap entries go at once, pages when memory is short. */
static void free_pte(void *context, u64 vpn, world_pte pte)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_SWAP)
		world_set(advise->tracker->world, &advise->mm->world, vpn, 0);
	else if (world_pte_kind(pte) == WORLD_ANON)
		world_set_flags(&advise->mm->world, vpn, WORLD_LAZYFREE, 0);
}

static void unguard_pte(void *context, u64 vpn, world_pte pte)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_GUARD)
		world_set(advise->tracker->world, &advise->mm->world, vpn, 0);
}

/* A marker in each entry; a terabyte of them is not worth modelling. */
#define GUARD_PAGES_MAX 65536

static void install_guards(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma;

	if (end - start > GUARD_PAGES_MAX)
		return;
	for (u64 vpn = start; vpn < end; vpn++) {
		vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
		if (!vma)
			continue;
		vma->anon_vma = true;
		world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_GUARD, 0, 0));
	}
}

static void advise_ptes(struct rf_tracker *tracker, struct tracked_mm *mm, u64 advice, u64 start, u64 end)
{
	struct advise advise = { tracker, mm };
	u64 first = vpn_of(tracker, start), last = vpn_of(tracker, end);
	struct rf_op *op;

	switch (advice) {
	case MADV_FREE:
		world_walk(&mm->world, first, last, free_pte, &advise);
		op = emit(tracker, RF_OP_MADV_FREE, mm);
		break;
	case MADV_COLD:
		op = emit(tracker, RF_OP_MADV_COLD, mm);
		break;
	case MADV_GUARD_INSTALL:
		install_guards(tracker, mm, first, last);
		return;
	case MADV_GUARD_REMOVE:
		world_walk(&mm->world, first, last, unguard_pte, &advise);
		return;
	default:
		return;
	}
	op->addr = start;
	op->end = end;
}

void madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct tracked_mm *mm = task->mm;
	u64 start = task->call.args[0], advice = task->call.args[2];
	u64 len = page_align(tracker, task->call.args[1]), limit = tracker->address_limit, end;
	struct rf_op *op;

	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		populate_end(tracker, task, !ret);
	if (advice == MADV_PAGEOUT) {
		pageout_ends(tracker, task);
		reclaim_flush(tracker);
	}
	/* -ENOMEM: there were holes, what is mapped was advised. */
	if ((ret && ret != -ENOMEM) || start >= limit || len > limit - start || !len ||
	    start & (BIT_ULL(tracker->page_shift) - 1))
		return;
	end = start + len;
	for (size_t i = 0; i < ARRAY_SIZE(flag_advice); i++) {
		if (flag_advice[i].advice != advice)
			continue;
		op = emit(tracker, RF_OP_VMA_FLAGS, mm);
		op->addr = start;
		op->end = end;
		op->vm_flags = flag_advice[i].set;
		op->aux = flag_advice[i].clear;
		world_vma_set_flags(tracker->world, &mm->world, start, end, flag_advice[i].set, flag_advice[i].clear);
	}
	advise_ptes(tracker, mm, advice, start, end);
}
