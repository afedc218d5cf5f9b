// SPDX-License-Identifier: MIT
/*
 * Where page frames are mapped, by their number. What maps a whole run of them, of a large folio, is one mapping as
 * long as all of them have it.
 */
#include "base/array.h"
#include "replay/world/world.h"

void rmap_add(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn)
{
	struct world_page *page = world_page(world, pfn);

	if (page)
		maps_add(world, page, mm, vpn);
}

void rmap_remove(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn)
{
	struct world_page *page = world_page(world, pfn);

	if (page)
		maps_remove(world, page, mm, vpn);
}

/* ---- runs ------------------------------------------------------------------------------------ */

void rmap_add_run(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn)
{
	struct world_page *page = world_page_run(world, pfn);

	if (page)
		maps_add(world, page, mm, vpn);
	else
		for (u32 i = 0; i < WORLD_RUN; i++)
			rmap_add(world, pfn + i, mm, vpn + i);
}

void rmap_remove_run(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn)
{
	struct world_page *page = world_page_run(world, pfn);

	if (page)
		maps_remove(world, page, mm, vpn);
	else
		for (u32 i = 0; i < WORLD_RUN; i++)
			rmap_remove(world, pfn + i, mm, vpn + i);
}

/* ---- questions ------------------------------------------------------------------------------- */

size_t rmap_collect(struct world *world, u64 pfn, const struct world_map **maps)
{
	const struct world_page *page = world_page_find(world, pfn);
	u64 distance = world_page_run(world, pfn) ? pfn % WORLD_RUN : 0;
	size_t nr = 0;
	u32 node;

	*maps = NULL;
	if (!page || !page->mm)
		return 0;
	for (node = page->next; node; node = world->nodes[node].next)
		nr++;
	if (array_grow(world->collected, world->collected_room, nr + 1)) {
		world_set_out_of_memory(world);
		return 0;
	}
	world->collected[0] = (struct world_map){ .vpn = page->vpn + distance, .mm = page->mm - 1 };
	nr = 1;
	for (node = page->next; node; node = world->nodes[node].next)
		world->collected[nr++] = (struct world_map){ .vpn = world->nodes[node].vpn + distance,
							     .mm = world->nodes[node].mm - 1 };
	*maps = world->collected;
	return nr;
}

bool rmap_is_mapped(const struct world *world, u64 pfn)
{
	const struct world_page *page = world_page_find(world, pfn);

	return page && page->mm;
}
