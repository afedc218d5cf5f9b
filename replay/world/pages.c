// SPDX-License-Identifier: MIT
/*
 * Page frames: the order of the folio each belongs to, and where it is mapped.
 * Most pages are mapped once, so the first mapping is inline; further ones are in
 * a list, newest first, because what forked last dies first.
 */
#include <stdlib.h>

#include "base/array.h"
#include "replay/world/world.h"

#define CHUNK_PAGES 512

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
	struct page_chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk || chunk_table_add(&world->chunks, number, chunk)) {
		free(chunk);
		world_set_out_of_memory(world);
		return NULL;
	}
	chunk->number = number;
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

static u32 node_alloc(struct world *world)
{
	u32 node = world->free_node;

	if (node) {
		world->free_node = world->nodes[node].next;
		return node;
	}
	if (!world_grow(world, (void **)&world->nodes, sizeof(*world->nodes), &world->nodes_size,
			world->nr_nodes + 1ull))
		return 0;
	return world->nr_nodes++;
}

void rmap_add(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn)
{
	struct world_page *page = world_page(world, pfn);
	u32 node;

	if (!page)
		return;
	if (page->mm) {
		node = node_alloc(world);
		if (!node)
			return;
		world->nodes[node].vpn = page->vpn;
		world->nodes[node].mm = page->mm;
		world->nodes[node].next = page->next;
		page->next = node;
	}
	page->vpn = vpn;
	page->mm = mm->id + 1;
}

void rmap_remove(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn)
{
	struct world_page *page = world_page_find(world, pfn);
	u32 node, *link;

	if (!page)
		return;
	if (page->mm == mm->id + 1 && page->vpn == vpn) {
		node = page->next;
		if (!node) {
			page->mm = 0;
			return;
		}
		page->vpn = world->nodes[node].vpn;
		page->mm = world->nodes[node].mm;
		page->next = world->nodes[node].next;
		world->nodes[node].next = world->free_node;
		world->free_node = node;
		return;
	}
	for (link = &page->next; (node = *link); link = &world->nodes[node].next) {
		if (world->nodes[node].mm != mm->id + 1 || world->nodes[node].vpn != vpn)
			continue;
		*link = world->nodes[node].next;
		world->nodes[node].next = world->free_node;
		world->free_node = node;
		return;
	}
}

size_t rmap_collect(struct world *world, u64 pfn, const struct world_map **maps)
{
	const struct world_page *page = world_page_find(world, pfn);
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
	world->collected[0] = (struct world_map){ page->vpn, page->mm - 1, 0 };
	nr = 1;
	for (node = page->next; node; node = world->nodes[node].next)
		world->collected[nr++] = (struct world_map){ world->nodes[node].vpn, world->nodes[node].mm - 1, 0 };
	*maps = world->collected;
	return nr;
}

bool rmap_is_mapped(const struct world *world, u64 pfn)
{
	const struct world_page *page = world_page_find(world, pfn);

	return page && page->mm;
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
