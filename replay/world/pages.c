// SPDX-License-Identifier: MIT
/* Page frames: the order of the folio each belongs to. Where they are mapped is for rmap.c. */
#include "replay/world/world.h"

/* Page frames are kept in chunks, and found by region: their table is small enough to stay near. */
#define CHUNK_PAGES 32
#define CHUNKS_A_SLAB 32
#define REGION_CHUNKS 64
#define REGION_PAGES (CHUNK_PAGES * REGION_CHUNKS)
#define REGIONS_A_SLAB 16

struct page_chunk {
	struct world_page pages[CHUNK_PAGES];
};

struct page_region {
	u64 number;
	struct page_chunk *chunks[REGION_CHUNKS];
};

static struct page_region *region_find(const struct world *world, u64 pfn)
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

static struct page_chunk *chunk_make(struct world *world)
{
	if (!world->nr_fresh_chunks) {
		world->fresh_chunks = world_slab(world, CHUNKS_A_SLAB, sizeof(struct page_chunk));
		world->nr_fresh_chunks = world->fresh_chunks ? CHUNKS_A_SLAB : 0;
	}
	return world->nr_fresh_chunks ? world->fresh_chunks + --world->nr_fresh_chunks : NULL;
}

static u64 chunk_index(u64 pfn)
{
	return pfn / CHUNK_PAGES % REGION_CHUNKS;
}

struct world_page *world_page(struct world *world, u64 pfn)
{
	struct page_region *region = region_find(world, pfn);
	struct page_chunk **chunk;

	if (!region)
		region = region_make(world, pfn);
	if (!region)
		return NULL;
	world->last_region = region;
	chunk = &region->chunks[chunk_index(pfn)];
	if (!*chunk)
		*chunk = chunk_make(world);
	return *chunk ? &(*chunk)->pages[pfn % CHUNK_PAGES] : NULL;
}

struct world_page *world_page_find(const struct world *world, u64 pfn)
{
	const struct page_region *region = region_find(world, pfn);
	struct page_chunk *chunk = region ? region->chunks[chunk_index(pfn)] : NULL;

	return chunk ? &chunk->pages[pfn % CHUNK_PAGES] : NULL;
}

void world_page_prefetch(const struct world *world, u64 pfn)
{
	const struct world_page *page = world_page_find(world, pfn);

	if (page)
		__builtin_prefetch(page, 1);
}

void folio_set(struct world *world, u64 pfn, u32 order)
{
	struct world_page *page;

	if (order > WORLD_ORDER_MAX)
		order = WORLD_ORDER_MAX;
	for (u64 i = 0; i < BIT_ULL(order); i++)
		if ((page = world_page(world, pfn + i)))
			page->order = order;
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
