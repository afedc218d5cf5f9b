// SPDX-License-Identifier: MIT
/* Page frames: the order of the folio each belongs to. Where they are mapped is for rmap.c. */
#include "replay/world/world.h"

#define CHUNK_PAGES 32
#define CHUNKS_A_SLAB 32

struct page_chunk {
	u64 number;
	struct world_page pages[CHUNK_PAGES];
};

static struct page_chunk *chunk_find(const struct world *world, u64 number)
{
	if (world->last_chunk && world->last_chunk->number == number)
		return world->last_chunk;
	return chunk_table_find(&world->chunks, number);
}

static struct page_chunk *chunk_make(struct world *world, u64 number)
{
	struct page_chunk *chunk;

	if (world->nr_fresh_chunks == 0) {
		world->fresh_chunks = world_slab(world, CHUNKS_A_SLAB, sizeof(*chunk));
		world->nr_fresh_chunks = world->fresh_chunks ? CHUNKS_A_SLAB : 0;
	}
	if (!world->nr_fresh_chunks)
		return NULL;
	chunk = world->fresh_chunks + --world->nr_fresh_chunks;
	chunk->number = number;
	if (chunk_table_add(&world->chunks, number, chunk)) {
		world_set_out_of_memory(world);
		return NULL;
	}
	return chunk;
}

struct world_page *world_page(struct world *world, u64 pfn)
{
	struct page_chunk *chunk = chunk_find(world, pfn / CHUNK_PAGES);

	if (!chunk)
		chunk = chunk_make(world, pfn / CHUNK_PAGES);
	if (!chunk)
		return NULL;
	world->last_chunk = chunk;
	return &chunk->pages[pfn % CHUNK_PAGES];
}

struct world_page *world_page_find(const struct world *world, u64 pfn)
{
	struct page_chunk *chunk = chunk_find(world, pfn / CHUNK_PAGES);

	return chunk ? &chunk->pages[pfn % CHUNK_PAGES] : NULL;
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
