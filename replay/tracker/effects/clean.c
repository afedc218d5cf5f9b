// SPDX-License-Identifier: MIT
/* Writeback: entries of shared file mappings that are clean and read-only afterwards. */
#include "engine/ops.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"

/* page_mkclean_one() */
void make_clean(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, u16 op_flags)
{
	u64 pfn = world_pte_pfn(pte);

	emit_entry(tracker, RF_OP_MKCLEAN, mm, vpn, pfn, folio_order(tracker->world, pfn), op_flags);
	world_set_flags(tracker->world, &mm->world, vpn, 1, 0, WORLD_WRITE);
}

/* folio_mkclean(): every shared mapping of the page. */
static void clean_page(struct rf_tracker *tracker, u64 pfn)
{
	const struct world_map *maps;
	size_t nr = rmap_collect(tracker->world, pfn, &maps);

	for (size_t i = 0; i < nr; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, maps[i].mm);
		world_pte pte = mm ? world_get(&mm->world, maps[i].vpn) : 0;

		if (world_pte_kind(pte) == WORLD_FILE && pte & WORLD_WRITE)
			make_clean(tracker, mm, maps[i].vpn, pte, 0);
	}
}

/*
 * Dirty pages of a shared file mapping are those that are writable: the first write to a clean one faults. Folios are
 * written back whole.
 */
void write_back(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma;
	u64 vpn, last, pfn;

	for (; start < end && (vma = world_vma_next(&mm->world, start)) && vma->start < end; start = vma->end) {
		if ((vma->flags & (RF_VM_SHARED | RF_VM_SHMEM | RF_VM_HUGETLB)) != RF_VM_SHARED)
			continue;
		vpn = vpn_of(tracker, max_u64(start, vma->start));
		last = vpn_of(tracker, min_u64(end, vma->end));
		for (; vpn < last; vpn++) {
			world_pte pte = world_get(&mm->world, vpn);
			u32 order;

			if (world_pte_kind(pte) != WORLD_FILE)
				continue;
			order = folio_order(tracker->world, world_pte_pfn(pte));
			pfn = folio_head(world_pte_pfn(pte), order);
			for (u64 i = 0; i < BIT_ULL(order); i++)
				clean_page(tracker, pfn + i);
			vpn += pfn + BIT_ULL(order) - world_pte_pfn(pte) - 1;
		}
	}
}
