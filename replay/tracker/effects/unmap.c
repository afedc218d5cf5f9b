// SPDX-License-Identifier: MIT
/* Entries that reclaim, truncation or nobody told of took away, found through the reverse map. */
#include "replay/tracker/effects/unmap.h"

#include "engine/ops.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"

static void count_down(u32 *counter)
{
	if (*counter)
		--*counter;
}

void swap_out(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, u16 op_flags)
{
	u64 pfn = world_pte_pfn(pte);
	u32 slot = slot_of(tracker->world, pfn);

	if (!slot)
		return;
	emit_entry(tracker, RF_OP_UNMAP_SWAP, mm, vpn, slot, folio_order(tracker->world, pfn),
		   op_flags | RF_OP_ANON | RF_OP_DEFERRED);
	world_set(tracker->world, &mm->world, vpn,
		  world_mkpte(WORLD_SWAP, slot, pte & (WORLD_EXCLUSIVE | WORLD_UFFD_WP)));
	count_down(&mm->unmapped[RF_RSS_ANON]);
	count_down(&mm->swapped);
	owe_flush(tracker, mm);
}

/* Fault-around has left it out: taken back, at no cost. */
static void never_mapped(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte)
{
	u64 pfn = world_pte_pfn(pte);

	emit_entry(tracker, RF_OP_UNMAP_FILE, mm, vpn, pfn, folio_order(tracker->world, pfn),
		   RF_OP_INFERRED | RF_OP_LOAD);
	world_set(tracker->world, &mm->world, vpn, 0);
	count_down(&mm->doubts);
}

/* Lazily freed pages are discarded, if more than were swapped are gone. */
static bool goes_to_swap(const struct tracked_mm *mm, world_pte pte)
{
	return mm->swapped && !(pte & WORLD_LAZYFREE && mm->unmapped[RF_RSS_ANON] > mm->swapped);
}

void unmap_one(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, u16 op_flags)
{
	u64 pfn = world_pte_pfn(pte);

	if (pte & WORLD_DOUBT) {
		never_mapped(tracker, mm, vpn, pte);
		return;
	}
	if (op_flags & RF_OP_INFERRED)
		mark_mm(tracker, mm, RF_REASON_unmapped_unseen);
	if (world_pte_kind(pte) == WORLD_ANON && goes_to_swap(mm, pte)) {
		swap_out(tracker, mm, vpn, pte, op_flags);
		return;
	}
	emit_entry(tracker, RF_OP_UNMAP_FILE, mm, vpn, pfn, folio_order(tracker->world, pfn),
		   op_flags | RF_OP_DEFERRED | (world_pte_kind(pte) == WORLD_ANON ? RF_OP_ANON : 0));
	world_set(tracker->world, &mm->world, vpn, 0);
	owe_flush(tracker, mm);
	switch (world_pte_kind(pte)) {
	case WORLD_ANON:
		count_down(&mm->unmapped[RF_RSS_ANON]);
		break;
	case WORLD_FILE:
	case WORLD_VDSO:
		count_down(&mm->unmapped[RF_RSS_FILE]);
		break;
	case WORLD_SHMEM:
		count_down(&mm->unmapped[RF_RSS_SHMEM]);
		break;
	default:
		break;
	}
}

void unmap_unseen(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte)
{
	unmap_one(tracker, mm, vpn, pte, RF_OP_INFERRED);
}

void unmap_cache_page(struct rf_tracker *tracker, u64 pfn, u16 op_flags)
{
	const struct world_map *maps;
	size_t nr = rmap_collect(tracker->world, pfn, &maps);

	for (size_t i = 0; i < nr; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, maps[i].mm);
		world_pte pte = mm ? world_get(&mm->world, maps[i].vpn) : 0;

		if (world_pte_kind(pte) != WORLD_FILE && world_pte_kind(pte) != WORLD_SHMEM)
			continue;
		emit_entry(tracker, RF_OP_UNMAP_FILE, mm, maps[i].vpn, pfn, folio_order(tracker->world, pfn),
			   op_flags | RF_OP_DEFERRED);
		world_set(tracker->world, &mm->world, maps[i].vpn, 0);
		count_down(&mm->unmapped[world_pte_kind(pte) == WORLD_SHMEM ? RF_RSS_SHMEM : RF_RSS_FILE]);
		if (!(op_flags & RF_OP_INFERRED))
			owe_flush(tracker, mm);
	}
}
