// SPDX-License-Identifier: MIT
/* khugepaged, and madvise() on its behalf. */
#include "engine/ops.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/collapse.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"

/* enum scan_result */
#define SCAN_SUCCEED 1

/*
 * Which table: one that maps a page of the folio khugepaged looked at last. Of several address spaces (fork) it is the
 * task's own if it asked for the collapse, else the one known by this (hidden) mm pointer.
 */
static void collapse_place(struct rf_tracker *tracker, struct task *task, u64 pfn, u64 pointer)
{
	bool own = task->call.kind == RF_SYS_MADVISE && task->mm, found = false;
	u32 order = pfn < WORLD_INVENTED_PFN ? folio_order(tracker->world, pfn) : 0;
	u64 head = folio_head(pfn, order);
	struct tracked_mm *mm;

	for (u64 page = head; pfn < WORLD_INVENTED_PFN && page < head + BIT_ULL(order); page++) {
		const struct world_map *maps;
		size_t nr = rmap_collect(tracker->world, page, &maps);

		for (size_t i = 0; i < nr; i++) {
			mm = tracked_mm(tracker->world, maps[i].mm);
			if (!mm || (found && !(own && mm == task->mm) && !(pointer && mm->pointer == pointer)))
				continue;
			found = true;
			task->collapse_known = true;
			task->collapse_mm = maps[i].mm;
			task->collapse_vpn = ALIGN_DOWN(maps[i].vpn, BIT_ULL(tracker->pmd_order));
			if ((own && mm == task->mm) || (pointer && mm->pointer == pointer))
				return;
		}
	}
}

/* A page that only one address space maps tells whose this pointer is. */
static void learn_pointer(struct rf_tracker *tracker, u64 pfn, u64 pointer)
{
	const struct world_map *maps;
	struct tracked_mm *mm;

	if (pfn >= WORLD_INVENTED_PFN || !pointer || rmap_collect(tracker->world, pfn, &maps) != 1)
		return;
	mm = tracked_mm(tracker->world, maps[0].mm);
	if (mm)
		mm->pointer = pointer;
}

/*
 * The huge page is allocated first. Then pages come back from swap, and each hole and each zero page is counted when it
 * is filled: what all of this has set is told at the end, by the collapse.
 */
bool collapse_rss(struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm, u8 member, s64 delta)
{
	if (mm == task->mm || !(task->collapse_known || has_alloc(task, tracker->pmd_order)))
		return false;
	if (member == RF_RSS_SWAP && delta < 0)
		task->collapse_swapped = mm->world.id + 1;
	return true;
}

static void collapse(struct rf_tracker *tracker, struct task *task)
{
	struct tracked_mm *mm = tracked_mm(tracker->world, task->collapse_mm);
	u64 nr = BIT_ULL(tracker->pmd_order), vpn = task->collapse_vpn, flags = WORLD_EXCLUSIVE;
	struct world_vma *vma = mm ? world_vma_find(&mm->world, vpn << tracker->page_shift) : NULL;
	struct task_alloc alloc;
	struct rf_op *op;

	if (!vma)
		return;
	if (!take_alloc(task, nr, &alloc) || alloc.order != tracker->pmd_order) {
		mark_mm(tracker, mm, RF_REASON_collapse_without_alloc);
		alloc.pfn = world_invent_pfn(tracker->world, tracker->pmd_order);
	}
	settle_others(tracker, mm, NULL, tracker->time);
	folio_set(tracker->world, alloc.pfn, tracker->pmd_order);
	if (vma->flags & RF_VM_WRITE)
		flags |= WORLD_WRITE;
	world_set_pages(tracker->world, &mm->world, vpn, world_mkpte(WORLD_ANON, alloc.pfn, flags), nr);
	op = emit(tracker, RF_OP_COLLAPSE, mm);
	op->addr = vpn << tracker->page_shift;
	op->pfn = alloc.pfn;
	op->order = (u8)tracker->pmd_order;
	op->nr = (u32)nr;
}

void on_collapse(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	switch (record.kind) {
	case RF_COLLAPSE_SCAN:
		/* Told at its end, when a collapse that it led to is done and its pages may be only others'. */
		task->collapse_known = false;
		if (record.f[2] != SCAN_SUCCEED)
			learn_pointer(tracker, record.f[1], record.f[0]);
		break;
	case RF_COLLAPSE_ISOLATE:
		task->collapse_known = false;
		task->collapse_pfn = record.f[0];
		collapse_place(tracker, task, record.f[0], 0);
		break;
	case RF_COLLAPSE:
		if (record.f[1] == SCAN_SUCCEED)
			collapse_place(tracker, task, task->collapse_pfn, record.f[0]);
		if (record.f[1] == SCAN_SUCCEED && task->collapse_known)
			collapse(tracker, task);
		else if (task->collapse_swapped)	/* pages came back, nobody knows where */
			mark_mm(tracker, tracked_mm(tracker->world, task->collapse_swapped - 1),
				RF_REASON_pages_untold);
		task->collapse_known = false;
		task->collapse_swapped = 0;
		task->nr_allocs = 0;
		break;
	}
}
