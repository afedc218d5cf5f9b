// SPDX-License-Identifier: MIT
/* Page frames that are allocated or freed, some of them although the model still maps them. */
#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/cache.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/split.h"

/*
 * A page frame that the model maps somewhere was freed, or allocated anew. If reclaim is known to have taken pages of
 * that address space, this is one of them. Otherwise an unmapping was missed, or a copy: the entry stays, because it
 * is more likely to hold another page than none, but which page is not known any more.
 */
static void resolve_freed(struct rf_tracker *tracker, const struct task *task, u64 pfn, u32 order,
			  enum rf_reason reason)
{
	const struct world_map *maps;
	size_t nr = rmap_collect(tracker->world, pfn, &maps);

	for (size_t i = 0; i < nr; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, maps[i].mm);
		u64 vpn = maps[i].vpn;
		world_pte pte = mm ? world_get(&mm->world, vpn) : 0;
		bool reclaimed;

		if (!world_pte_mapped(pte) || world_pte_pfn(pte) != pfn)
			continue;
		/* A collapse frees the small pages before it says that it has succeeded. */
		if (task->collapse_known && task->collapse_mm == mm->world.id &&
		    vpn - task->collapse_vpn < BIT_ULL(tracker->pmd_order))
			continue;
		switch (world_pte_kind(pte)) {
		case WORLD_ANON:
			reclaimed = mm->swapped || (pte & WORLD_LAZYFREE && mm->unmapped[RF_RSS_ANON]);
			break;
		case WORLD_SHMEM:
			reclaimed = mm->unmapped[RF_RSS_SHMEM];
			break;
		default:
			reclaimed = mm->unmapped[RF_RSS_FILE];
		}
		if (reclaimed) {
			unmap_one(tracker, mm, vpn, pte, reason == RF_REASON_free_of_mapped ? 0 : RF_OP_INFERRED);
			continue;
		}
		if (split_frees(tracker, mm, vpn, order))
			continue;
		mark_mm(tracker, mm, reason);
		world_set(tracker->world, &mm->world, vpn,
			  (pte & ~WORLD_PFN_MASK) | world_invent_pfn(tracker->world, 0));
	}
}

static void resolve_folio(struct rf_tracker *tracker, const struct task *task, u64 pfn, u32 order,
			  enum rf_reason reason)
{
	for (u64 i = 0, step; i < BIT_ULL(order); i += step) {
		const struct world_page *page = world_page_find(tracker->world, pfn + i);

		step = order ? world_page_span(tracker->world, pfn + i) : 1;
		if (!page || (!page->mm && !page->slot))
			continue;
		if (page->mm)
			resolve_freed(tracker, task, pfn + i, order, reason);
		slot_page_freed(tracker->world, pfn + i);
		step = 1;
	}
}

/*
 * Shared futexes hash the page behind the word, and get it with FOLL_WRITE: the only call of no other interest whose
 * address we know. Anything else is found by the next fault or snapshot at its place.
 */
static void stray_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order)
{
	struct world_vma *vma;
	world_pte pte;
	u64 vpn;

	if (task->call.kind == RF_SYS_FUTEX && task->mm && task->mm->known && !order &&
	    task->call.args[0] < tracker->address_limit) {
		vpn = vpn_of(tracker, task->call.args[0]);
		vma = world_vma_find(&task->mm->world, task->call.args[0]);
		pte = world_get(&task->mm->world, vpn);
		if (vma && !(vma->flags & RF_VM_SHARED) && vma->flags & RF_VM_WRITE && world_pte_present(pte) &&
		    !(pte & WORLD_WRITE)) {
			tracker->fidelity.inferred.gup++;
			copy_page(tracker, task->mm, vma, vpn, pfn, RF_OP_POPULATE | RF_OP_INFERRED);
			task->flush_due = true;
			return;
		}
	}
	push_alloc(task, pfn, order);
}

/* shmem_swapin_folio(), for a fault. */
static bool is_swapped_in(struct rf_tracker *tracker, const struct task *task, u64 gfp)
{
	const struct world_vma *vma;

	if (!is_shmem_swapin_alloc(gfp) || !fault_pending(&task->fault) || !task->mm)
		return false;
	vma = world_vma_find(&task->mm->world, task->fault.addr);
	return vma && vma->flags & RF_VM_SHMEM;
}

void on_page_alloc(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 pfn = record.f[0], gfp = record.f[2];
	u32 order = (u32)min_u64(record.f[1], WORLD_ORDER_MAX);

	if (pfn >= WORLD_INVENTED_PFN) {
		if (order && is_user_alloc(gfp) && fault_is_open(&task->fault) && task->mm)
			emit(tracker, RF_OP_ALLOC_FAILED, task->mm)->nr = order;
		return;
	}
	if (tracker->nr_late_folios)
		page_cache_alloc(tracker, pfn);
	resolve_folio(tracker, task, pfn, order, RF_REASON_alloc_of_mapped);
	if (!is_user_alloc(gfp) && !is_swapped_in(tracker, task, gfp))
		return;
	if (fault_is_open(&task->fault) && (fault_pending(&task->fault) || task->fault.swapped_in)) {
		if (!fault_alloc(tracker, task, pfn, order, gfp))
			push_alloc(task, pfn, order);
		return;
	}
	if (!populate_alloc(tracker, task, pfn, order))
		stray_alloc(tracker, task, pfn, order);
}

/* What one task frees says nothing of what another has unmapped, if that is still at it and its frees are recorded. */
static bool others_owe_flush(struct rf_tracker *tracker, u32 tid)
{
	const struct task *owner = tracker->nr_flush_mms ? task_find(tracker, tracker->flush_tid) : NULL;

	return owner && owner->tid != tid && owner->mm && (owner->call.kind || fault_is_open(&owner->fault));
}

/*
 * Nor does a folio that it has not reclaimed itself: amid its reclaim an interrupt frees what RCU has kept, most often
 * nodes of page caches that went before.
 */
static bool is_not_reclaimed(struct rf_tracker *tracker, u32 tid, u64 pfn, u32 order)
{
	bool known = false;

	for (u64 at = pfn, step; at < pfn + BIT_ULL(order); at += step) {
		const struct world_page *page = world_page_find(tracker->world, at);

		step = order ? world_page_span(tracker->world, at) : 1;
		if (!page)
			continue;
		known |= page->leaves || page->mm || page->slot;
		if (page->leaves)
			world_page(tracker->world, at)->leaves = false;
	}
	return tracker->nr_flush_mms && tracker->flush_tid == tid && !known;
}

void on_page_free(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 pfn = record.f[0];
	u32 order = (u32)min_u64(record.f[1], WORLD_ORDER_MAX);
	bool others;

	if (pfn >= WORLD_INVENTED_PFN || drop_alloc(task, pfn))
		return;
	others = tracker->nr_migrations || others_owe_flush(tracker, record.tid) ||
		 is_not_reclaimed(tracker, record.tid, pfn, order);
	/*
	 * shrink_folio_list(): no page is freed that a TLB may still map. What only its freeing tells to have been
	 * unmapped was in the same batch. Amid a migration somebody else's page is freed, by an interrupt.
	 */
	if (!tracker->freeing && !pageout_discards(tracker, task, &record) && !others)
		reclaim_flush(tracker);
	fault_page_freed(tracker, task, pfn);
	pageout_tells(tracker, record.tid, pfn, order);
	resolve_folio(tracker, task, pfn, order, RF_REASON_free_of_mapped);
	tracker->freeing |= tracker->nr_flush_mms && !others;
}
