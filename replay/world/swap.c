// SPDX-License-Identifier: MIT
/*
 * Swap: what a swap entry names. Real slot numbers are in no record; what matters
 * is which entries share one, and which page is cached for it, because a swap-in
 * without allocation maps that page.
 */
#include "replay/world/world.h"

#define NO_PFN (~0ull)

u32 slot_new(struct world *world)
{
	u32 slot = world->free_slot;

	if (slot) {
		world->free_slot = world->slots[slot].next_free;
	} else {
		if (!world_grow(world, (void **)&world->slots, sizeof(*world->slots), &world->slots_size,
				world->nr_slots + 1ull))
			return 0;
		slot = world->nr_slots++;
	}
	world->slots[slot] = (struct world_slot){ NO_PFN, 0, 0 };
	return slot;
}

u32 slot_of(struct world *world, u64 pfn)
{
	struct world_page *page = world_page(world, pfn);

	if (!page)
		return 0;
	if (!page->slot) {
		page->slot = slot_new(world);
		if (page->slot)
			world->slots[page->slot].pfn = pfn;
	}
	return page->slot;
}

void slot_get(struct world *world, u32 slot)
{
	if (slot && slot < world->nr_slots)
		world->slots[slot].entries++;
}

/* The page that is cached for it, if one is, is not any more. */
static void page_forget(struct world *world, u32 slot)
{
	u64 pfn = world->slots[slot].pfn;
	const struct world_page *page = pfn == NO_PFN ? NULL : world_page_find(world, pfn);

	if (page && page->slot == slot)
		world_page(world, pfn)->slot = 0;
}

/* The last entry is gone: so is the name. A page that stays in the swap cache gets a new one when it is needed. */
void slot_put(struct world *world, u32 slot)
{
	if (!slot || slot >= world->nr_slots || !world->slots[slot].entries || --world->slots[slot].entries)
		return;
	page_forget(world, slot);
	world->slots[slot].pfn = NO_PFN;
	world->slots[slot].next_free = world->free_slot;
	world->free_slot = slot;
}

bool slot_cached(const struct world *world, u32 slot, u64 *pfn)
{
	if (!slot || slot >= world->nr_slots || world->slots[slot].pfn == NO_PFN)
		return false;
	*pfn = world->slots[slot].pfn;
	return true;
}

void slot_set_cached(struct world *world, u32 slot, u64 pfn)
{
	struct world_page *page;

	if (!slot || slot >= world->nr_slots)
		return;
	page_forget(world, slot);
	page = world_page(world, pfn);
	if (!page)
		return;
	if (page->slot && page->slot != slot)
		world->slots[page->slot].pfn = NO_PFN;
	page->slot = slot;
	world->slots[slot].pfn = pfn;
}

u32 slot_entries(const struct world *world, u32 slot)
{
	return slot && slot < world->nr_slots ? world->slots[slot].entries : 0;
}

void slot_page_freed(struct world *world, u64 pfn)
{
	const struct world_page *page = world_page_find(world, pfn);
	u32 slot = page ? page->slot : 0;

	if (!slot)
		return;
	world_page(world, pfn)->slot = 0;
	world->slots[slot].pfn = NO_PFN;
	if (!world->slots[slot].entries) {
		world->slots[slot].next_free = world->free_slot;
		world->free_slot = slot;
	}
}
