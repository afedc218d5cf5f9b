// SPDX-License-Identifier: MIT
/* Reclaim, as far as records tell of it: folios on their way to swap. */
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/handlers.h"

/* shmem_writeout(): where the file had the page it has a swap entry now. */
static void leave_file(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u64 pfn)
{
	const struct world_vma *vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
	u64 cached;

	if (vma && vma_cache_find(tracker, vma, vpn, &cached) && cached == pfn)
		cache_swap_out(tracker->world, vma->file, world_vma_file_index(tracker->world, vma, vpn));
}

/* mm_vmscan_write_folio: everything that mapped the folio was unmapped before. */
void on_swap_write(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 order = folio_order(tracker->world, record.f[0]);
	u64 head = folio_head(record.f[0], order);
	const struct world_map *maps;
	size_t nr;

	if (record.f[0] >= WORLD_INVENTED_PFN)
		return;
	pageout_tells(tracker, record.tid, head, order);
	for (u64 i = 0; i < BIT_ULL(order); i++) {
		nr = rmap_collect(tracker->world, head + i, &maps);
		for (size_t m = 0; m < nr; m++) {
			struct tracked_mm *mm = tracked_mm(tracker->world, maps[m].mm);
			world_pte pte = mm ? world_get(&mm->world, maps[m].vpn) : 0;

			/* Without the counter's word for it, the page was faulted in again since. */
			if (world_pte_kind(pte) == WORLD_ANON && (mm->swapped || mm->uncounted || mm->settling))
				swap_out(tracker, mm, maps[m].vpn, pte, 0);
			if (world_pte_kind(pte) != WORLD_SHMEM)
				continue;
			leave_file(tracker, mm, maps[m].vpn, head + i);
			if (mm->unmapped[RF_RSS_SHMEM])
				unmap_one(tracker, mm, maps[m].vpn, pte, 0);
		}
	}
	/* Before the write, pageout() completes the flushes: a store must not reach a page that is on its way out. */
	reclaim_flush_dirty(tracker);
}
