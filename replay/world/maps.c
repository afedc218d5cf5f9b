// SPDX-License-Identifier: MIT
/*
 * The mappings of a page frame. Most are mapped once, so the newest mapping is inline; older ones are in a list, newest
 * first, because what forked last dies first. Where it does not, and the list is long, its mappings are indexed by
 * where they map, so that a page that thousands share can be left in any order.
 */
#include <stdlib.h>

#include "replay/world/world.h"

/* A list that was walked so far for one removal is indexed from then on. */
#define FEW_MAPPINGS 64
#define BUCKETS_AT_FIRST 1024

/* ---- the index: mappings of long lists, by address space and place, which has one entry and so one page ---- */

static u32 *bucket_of(const struct world *world, u32 mm, u64 vpn)
{
	return &world->rmap_buckets[table_hash((u64)mm << 40 ^ vpn) & (world->nr_rmap_buckets - 1)];
}

static void index_link(struct world *world, u32 node)
{
	struct world_map *map = &world->nodes[node];
	u32 *bucket = bucket_of(world, map->mm, map->vpn);

	map->chain = *bucket;
	*bucket = node;
}

/* Twice as many buckets; without memory for them the chains get longer. */
static void index_grow(struct world *world)
{
	u32 nr = world->nr_rmap_buckets ? world->nr_rmap_buckets * 2 : BUCKETS_AT_FIRST;
	u32 *old = world->rmap_buckets, nr_old = world->nr_rmap_buckets, *buckets;

	buckets = nr ? calloc(nr, sizeof(*buckets)) : NULL;
	if (!buckets)
		return;
	world->rmap_buckets = buckets;
	world->nr_rmap_buckets = nr;
	for (u32 i = 0; i < nr_old; i++)
		for (u32 node = old[i], next; node; node = next) {
			next = world->nodes[node].chain;
			index_link(world, node);
		}
	free(old);
}

static void index_add(struct world *world, u32 node)
{
	if (world->nr_indexed >= world->nr_rmap_buckets)
		index_grow(world);
	if (!world->nr_rmap_buckets) {
		world_set_out_of_memory(world);
		return;
	}
	index_link(world, node);
	world->nr_indexed++;
}

static void index_remove(struct world *world, u32 node)
{
	const struct world_map *map = &world->nodes[node];
	u32 *link = world->nr_rmap_buckets ? bucket_of(world, map->mm, map->vpn) : NULL;

	while (link && *link && *link != node)
		link = &world->nodes[*link].chain;
	if (!link || !*link)
		return;
	*link = map->chain;
	world->nr_indexed--;
}

static u32 index_find(const struct world *world, u32 mm, u64 vpn)
{
	u32 node = world->nr_rmap_buckets ? *bucket_of(world, mm, vpn) : 0;

	while (node && (world->nodes[node].mm != mm || world->nodes[node].vpn != vpn))
		node = world->nodes[node].chain;
	return node;
}

/* ---- the list of a page ---------------------------------------------------------------------- */

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

/* Out of the list, and free. */
static void node_free(struct world *world, struct world_page *page, u32 node)
{
	struct world_map *map = &world->nodes[node];

	if (page->indexed)
		index_remove(world, node);
	*(map->prev ? &world->nodes[map->prev].next : &page->next) = map->next;
	if (map->next)
		world->nodes[map->next].prev = map->prev;
	if (!page->next)
		page->indexed = false;
	map->next = world->free_node;
	world->free_node = node;
}

void maps_add(struct world *world, struct world_page *page, const struct world_mm *mm, u64 vpn)
{
	u32 node;

	if (page->mm) {
		node = node_alloc(world);
		if (!node)
			return;
		world->nodes[node] = (struct world_map){ .vpn = page->vpn, .mm = page->mm, .next = page->next };
		if (page->next)
			world->nodes[page->next].prev = node;
		page->next = node;
		if (page->indexed)
			index_add(world, node);
	}
	page->vpn = vpn;
	page->mm = mm->id + 1;
}

static u32 node_of(struct world *world, struct world_page *page, u32 mm, u64 vpn)
{
	u32 node, walked = 0;

	if (page->indexed)
		return index_find(world, mm, vpn);
	for (node = page->next; node; node = world->nodes[node].next, walked++)
		if (world->nodes[node].mm == mm && world->nodes[node].vpn == vpn)
			break;
	if (walked < FEW_MAPPINGS)
		return node;
	page->indexed = true;
	for (u32 other = page->next; other; other = world->nodes[other].next)
		index_add(world, other);
	return node;
}

void maps_remove(struct world *world, struct world_page *page, const struct world_mm *mm, u64 vpn)
{
	u32 node;

	if (page->mm != mm->id + 1 || page->vpn != vpn) {
		node = node_of(world, page, mm->id + 1, vpn);
		if (node)
			node_free(world, page, node);
		return;
	}
	node = page->next;
	if (!node) {
		page->mm = 0;
		return;
	}
	page->vpn = world->nodes[node].vpn;
	page->mm = world->nodes[node].mm;
	node_free(world, page, node);
}

/* A copy of the list of the first page, for the one so far behind it. */
static void list_copy(struct world *world, struct world_page *pages, u32 distance)
{
	u32 last = 0;

	pages[distance].next = 0;
	for (u32 from = pages[0].next; from; from = world->nodes[from].next) {
		u32 node = node_alloc(world);

		if (!node)
			return;
		world->nodes[node] = (struct world_map){
			.vpn = world->nodes[from].vpn + distance, .mm = world->nodes[from].mm, .prev = last };
		*(last ? &world->nodes[last].next : &pages[distance].next) = node;
		if (pages[0].indexed)
			index_add(world, node);
		last = node;
	}
	if (!last)
		pages[distance].indexed = false;
}

/* The first keeps the list. */
void maps_split(struct world *world, struct world_page *pages)
{
	for (u32 i = 1; i < WORLD_RUN; i++)
		list_copy(world, pages, i);
}
