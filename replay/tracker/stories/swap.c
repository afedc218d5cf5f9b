// SPDX-License-Identifier: MIT
/*
 * A fault on a swap entry: its page is the one just allocated, one of several just read ahead, or one that is still
 * cached.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/fault.h"

/*
 * swap_vma_readahead() reads the swap entries around the fault, upwards: as many pages as it allocates are the entries
 * of the window that are not cached. How wide the window is depends on a history we do not keep, but only a power of
 * two that gives the right number is possible.
 */
struct window {
	u64 first, last;
};

static struct window window_around(u64 vpn, u64 pages, int mode)
{
	switch (mode) {
	case 0:
		return (struct window){ vpn - (pages - 1) / 2, vpn + pages - (pages - 1) / 2 };
	case 1:
		return (struct window){ vpn, vpn + pages };
	default:
		return (struct window){ vpn - pages + 1, vpn + 1 };
	}
}

/* The slots of the window's entries that are not cached; more than max: too many. */
static u32 find_slots(struct rf_tracker *tracker, struct tracked_mm *mm, const struct window *window, u32 *slots,
		      u32 max)
{
	u32 nr = 0;
	u64 pfn;

	for (u64 vpn = window->first; vpn < window->last; vpn++) {
		world_pte pte = world_get(&mm->world, vpn);

		if (world_pte_kind(pte) != WORLD_SWAP || slot_cached(tracker->world, (u32)world_pte_pfn(pte), &pfn))
			continue;
		if (nr == max)
			return max + 1;
		slots[nr++] = (u32)world_pte_pfn(pte);
	}
	return nr;
}

#define WINDOW_PAGES_MAX 32

static void read_ahead(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma)
{
	u64 vpn = task->fault.vpn, table = ALIGN_DOWN(vpn, BIT_ULL(tracker->pmd_order));
	u64 first = max_u64(vpn_of(tracker, vma->start), table);
	u64 last = min_u64(vpn_of(tracker, vma->end), table + BIT_ULL(tracker->pmd_order));
	u32 slots[TASK_ALLOCS];

	for (u32 i = 0; i < task->nr_allocs; i++)
		if (task->allocs[i].order)
			return;
	for (int mode = 0; mode < 3; mode++) {
		for (u64 pages = 2; pages <= WINDOW_PAGES_MAX; pages *= 2) {
			struct window window = window_around(vpn, pages, mode);

			window.first = max_u64(window.first, first);
			window.last = min_u64(window.last, last);
			if (find_slots(tracker, task->mm, &window, slots, task->nr_allocs) != task->nr_allocs)
				continue;
			for (u32 i = 0; i < task->nr_allocs; i++) {
				folio_set(tracker->world, task->allocs[i].pfn, 0);
				slot_set_cached(tracker->world, slots[i], task->allocs[i].pfn);
			}
			return;
		}
	}
}

void fault_swap_in(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte, s64 delta)
{
	struct task_fault *fault = &task->fault;
	struct task_alloc alloc;
	u64 pfn, nr = delta > 0 ? (u64)delta : 1;
	u16 write = fault->flags & RF_FAULT_WRITE ? RF_OP_WRITE : 0;

	fault_swapped_in(fault);
	if (delta == 1 && task->nr_allocs > 1)
		read_ahead(tracker, task, vma);
	if (slot_cached(tracker->world, (u32)world_pte_pfn(pte), &pfn)) {
		u32 order = folio_order(tracker->world, pfn);

		if (nr != BIT_ULL(order))
			nr = 1;
		tracker->fidelity.inferred.swap_in_from_cache += !task->nr_allocs;
		task->nr_allocs = 0;
		swap_in(tracker, task->mm, vma, fault->vpn, pfn, order, nr,
			write | RF_OP_CACHED | RF_OP_INFERRED);
		return;
	}
	if (!take_alloc(task, nr, &alloc)) {
		/* Read ahead by an earlier fault: cached, but nobody told as which page. */
		alloc.order = 0;
		alloc.pfn = world_invent_pfn(tracker->world, 0);
		mark_mm(tracker, task->mm, RF_REASON_page_unknown);
		tracker->fidelity.inferred.swap_in_from_cache++;
	}
	folio_set(tracker->world, alloc.pfn, alloc.order);
	if (nr != BIT_ULL(alloc.order))
		nr = 1;
	task->nr_allocs = 0;
	/* alloc_swap_folio(): a large folio lies naturally aligned around the fault. */
	swap_in(tracker, task->mm, vma, fault->vpn, alloc.pfn + (fault->vpn & (nr - 1)), alloc.order, nr, write);
}
