// SPDX-License-Identifier: MIT
/*
 * Page frames: the order of the folio each belongs to. Where they are mapped is for rmap.c. Those of a large folio have
 * all of this in common, and where they are mapped too but for their place in it, as long as nothing happens to one of
 * them alone: then one struct world_page stands for a whole run of them.
 */
#include <string.h>

#include "replay/world/world.h"

/* Page frames are kept in runs, and found by region: their table is small enough to stay near. */
#define REGION_RUNS 64
#define REGION_PAGES (WORLD_RUN * REGION_RUNS)
#define REGIONS_A_SLAB 16
#define PAGES_A_SLAB (WORLD_RUN * 64)

struct page_region {
	u64 number;
	u64 whole;				/* which runs are one struct world_page */
	struct world_page *runs[REGION_RUNS];	/* the others are an array, one for each page frame; NULL: never seen */
};

static inline struct page_region *region_find(const struct world *world, u64 pfn)
{
	u64 number = pfn / REGION_PAGES;

	if (world->last_region && world->last_region->number == number)
		return world->last_region;
	return region_table_find(&world->regions, number);
}

static struct page_region *region_make(struct world *world, u64 pfn)
{
	struct page_region *region;

	if (!world->nr_fresh_regions) {
		world->fresh_regions = world_slab(world, REGIONS_A_SLAB, sizeof(*region));
		world->nr_fresh_regions = world->fresh_regions ? REGIONS_A_SLAB : 0;
	}
	if (!world->nr_fresh_regions)
		return NULL;
	region = world->fresh_regions + --world->nr_fresh_regions;
	region->number = pfn / REGION_PAGES;
	if (region_table_add(&world->regions, region->number, region)) {
		world_set_out_of_memory(world);
		return NULL;
	}
	return region;
}

static u32 run_index(u64 pfn)
{
	return pfn / WORLD_RUN % REGION_RUNS;
}

static bool is_whole(const struct page_region *region, u64 pfn)
{
	return region->whole >> run_index(pfn) & 1;
}

static void pages_free(struct world *world, struct world_page *pages, u32 nr)
{
	struct world_page **list = nr == 1 ? &world->free_page : &world->free_pages;

	*(struct world_page **)pages = *list;
	*list = pages;
}

/* nr of them, zeroed: 1 or WORLD_RUN. Free ones link to the next by their first word. */
static struct world_page *pages_alloc(struct world *world, u32 nr)
{
	struct world_page **list = nr == 1 ? &world->free_page : &world->free_pages, *pages = *list;

	if (pages) {
		*list = *(struct world_page **)pages;
		return memset(pages, 0, nr * sizeof(*pages));
	}
	if (world->nr_fresh_pages < nr) {
		/* What is left of the last slab serves one at a time. */
		while (world->nr_fresh_pages)
			pages_free(world, world->fresh_pages + --world->nr_fresh_pages, 1);
		world->fresh_pages = world_slab(world, PAGES_A_SLAB, sizeof(*pages));
		world->nr_fresh_pages = world->fresh_pages ? PAGES_A_SLAB : 0;
	}
	if (!world->nr_fresh_pages)
		return NULL;
	world->nr_fresh_pages -= nr;
	return world->fresh_pages + world->nr_fresh_pages;
}

/* Each page frame of a run by itself from now on. */
static bool run_split(struct world *world, struct page_region *region, u64 pfn)
{
	struct world_page **run = &region->runs[run_index(pfn)], *whole = *run;
	struct world_page *pages = pages_alloc(world, WORLD_RUN);

	if (!pages)
		return false;
	for (u32 i = 0; i < WORLD_RUN; i++) {
		pages[i] = *whole;
		pages[i].vpn += i;
	}
	maps_split(world, pages);
	pages_free(world, whole, 1);
	*run = pages;
	region->whole &= ~BIT_ULL(run_index(pfn));
	return true;
}

static struct page_region *region_get(struct world *world, u64 pfn)
{
	struct page_region *region = region_find(world, pfn);

	if (!region)
		region = region_make(world, pfn);
	if (region)
		world->last_region = region;
	return region;
}

/* Where there is none by itself. */
static struct world_page *page_make(struct world *world, u64 pfn)
{
	struct page_region *region = region_get(world, pfn);
	struct world_page **run;

	if (!region || (is_whole(region, pfn) && !run_split(world, region, pfn)))
		return NULL;
	run = &region->runs[run_index(pfn)];
	if (!*run)
		*run = pages_alloc(world, WORLD_RUN);
	return *run ? &(*run)[pfn % WORLD_RUN] : NULL;
}

struct world_page *world_page(struct world *world, u64 pfn)
{
	struct page_region *region = region_find(world, pfn);
	struct world_page *run;

	if (!region)
		return page_make(world, pfn);
	world->last_region = region;
	run = region->runs[run_index(pfn)];
	return run && !is_whole(region, pfn) ? &run[pfn % WORLD_RUN] : page_make(world, pfn);
}

const struct world_page *world_page_find(const struct world *world, u64 pfn)
{
	const struct page_region *region = region_find(world, pfn);
	const struct world_page *run = region ? region->runs[run_index(pfn)] : NULL;

	return run ? &run[is_whole(region, pfn) ? 0 : pfn % WORLD_RUN] : NULL;
}

struct world_page *world_page_run(const struct world *world, u64 pfn)
{
	const struct page_region *region = region_find(world, pfn);

	return region && is_whole(region, pfn) ? region->runs[run_index(pfn)] : NULL;
}

u64 world_page_span(const struct world *world, u64 pfn)
{
	const struct page_region *region = region_find(world, pfn);

	return region && region->runs[run_index(pfn)] && !is_whole(region, pfn) ? 1 : WORLD_RUN - pfn % WORLD_RUN;
}

void world_page_prefetch(const struct world *world, u64 pfn)
{
	const struct world_page *page = world_page_find(world, pfn);

	if (page)
		__builtin_prefetch(page, 1);
}

/* One can stand for all: they are mapped nowhere, and nothing sets one apart. */
static bool are_alike(const struct world_page *pages)
{
	for (u32 i = 0; i < WORLD_RUN; i++)
		if (pages[i].mm || pages[i].slot || pages[i].readahead || pages[i].leaves ||
		    pages[i].cached_at != pages[0].cached_at)
			return false;
	return true;
}

/* One for all page frames of a run, which are of one folio; NULL: there must be one for each. */
static struct world_page *run_make(struct world *world, u64 pfn)
{
	struct page_region *region = region_get(world, pfn);
	struct world_page *pages, *whole;

	if (!region)
		return NULL;
	pages = region->runs[run_index(pfn)];
	if (is_whole(region, pfn))
		return pages;
	if (pages && !are_alike(pages))
		return NULL;
	whole = pages_alloc(world, 1);
	if (!whole)
		return NULL;
	if (pages) {
		whole->cached_at = pages[0].cached_at;
		pages_free(world, pages, WORLD_RUN);
	}
	region->runs[run_index(pfn)] = whole;
	region->whole |= BIT_ULL(run_index(pfn));
	return whole;
}

void folio_set(struct world *world, u64 pfn, u32 order)
{
	struct world_page *page;

	if (order > WORLD_ORDER_MAX)
		order = WORLD_ORDER_MAX;
	if (!order) {	/* most are */
		if ((page = world_page(world, pfn)))
			page->order = 0;
		return;
	}
	for (u64 i = 0, step; i < BIT_ULL(order); i += step) {
		step = 1;
		if (!(pfn % WORLD_RUN) && order >= WORLD_RUN_ORDER && (page = run_make(world, pfn + i)))
			step = WORLD_RUN;
		else
			page = world_page(world, pfn + i);
		if (page)
			page->order = order;
	}
}

void folio_set_cached(struct world *world, u64 pfn, u32 order, u32 at)
{
	struct world_page *page;

	for (u64 i = 0, step; i < BIT_ULL(order); i += step) {
		step = 1;
		if (!(pfn % WORLD_RUN) && order >= WORLD_RUN_ORDER && (page = world_page_run(world, pfn + i)))
			step = WORLD_RUN;
		else
			page = world_page(world, pfn + i);
		if (page)
			page->cached_at = at;
	}
}

u32 folio_order(const struct world *world, u64 pfn)
{
	const struct world_page *page = world_page_find(world, pfn);

	return page ? page->order : 0;
}

u64 world_invent_pfn(struct world *world, u32 order)
{
	u64 pfn = ALIGN_UP(world->invented, BIT_ULL(order));

	world->invented = pfn + BIT_ULL(order);
	folio_set(world, pfn, order);
	return pfn;
}
