// SPDX-License-Identifier: MIT
/*
 * The page cache: which page frame holds which index of which file. Blocks of 16
 * indices in one hash over all files, because most files are small and most are
 * never mapped.
 */
#include <stdlib.h>

#include "replay/world/world.h"

#define BLOCK_PAGES 16
#define BLOCKS_A_SLAB 64
#define ABSENT 0	/* pfns are stored + 1 */
#define SWAPPED BIT_ULL(63)	/* with a swap slot: shmem's, whose page may still be in the swap cache */
#define MAX_INDEX BIT_ULL(36)

struct cache_block {
	u64 key;		/* file << 32 | index / 16 */
	u16 events;		/* start-state pass: indices with an event already */
	u16 told;		/* indices some record told about, if only that they are absent */
	u64 pfns[BLOCK_PAGES];
};

static u64 block_key(u32 file, u64 index)
{
	return (u64)file << 32 | index / BLOCK_PAGES;
}

static struct cache_block *block_find(struct world *world, u32 file, u64 index)
{
	u64 key = block_key(file, index);
	struct cache_block *block = world->last_block;

	if (block && block->key == key)
		return block;
	block = index < MAX_INDEX ? block_table_find(&world->blocks, key) : NULL;
	if (block)
		world->last_block = block;
	return block;
}

static struct cache_block *block_make(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_find(world, file, index);

	if (block || index >= MAX_INDEX)
		return block;
	if (!world->nr_fresh_blocks) {
		world->fresh_blocks = world_slab(world, BLOCKS_A_SLAB, sizeof(*block));
		world->nr_fresh_blocks = world->fresh_blocks ? BLOCKS_A_SLAB : 0;
	}
	if (!world->nr_fresh_blocks)
		return NULL;
	block = world->fresh_blocks + --world->nr_fresh_blocks;
	block->key = block_key(file, index);
	if (block_table_add(&world->blocks, block->key, block)) {
		world_set_out_of_memory(world);
		return NULL;
	}
	if (file_get(world, file))
		file_get(world, file)->has_pages = true;
	return block;
}

static void replace(struct world *world, struct cache_block *block, u64 index, u64 what)
{
	u64 *place = &block->pfns[index % BLOCK_PAGES];

	if (*place & SWAPPED)
		slot_put(world, (u32)*place);
	*place = what;
	block->told |= (u16)BIT(index % BLOCK_PAGES);
}

static bool is_page(u64 stored)
{
	return stored != ABSENT && !(stored & SWAPPED);
}

bool cache_find(struct world *world, u32 file, u64 index, u64 *pfn)
{
	struct cache_block *block = block_find(world, file, index);

	if (!block || !is_page(block->pfns[index % BLOCK_PAGES]))
		return false;
	*pfn = block->pfns[index % BLOCK_PAGES] - 1;
	return true;
}

void cache_set(struct world *world, u32 file, u64 index, u64 pfn)
{
	struct cache_block *block = block_make(world, file, index);

	if (block)
		replace(world, block, index, pfn + 1);
}

void cache_swap_out(struct world *world, u32 file, u64 index)
{
	u32 slot;
	u64 pfn;

	if (!cache_find(world, file, index, &pfn))
		return;
	slot = slot_of(world, pfn);
	slot_get(world, slot);
	replace(world, block_find(world, file, index), index, slot ? SWAPPED | slot : ABSENT);
}

bool cache_find_swapped(struct world *world, u32 file, u64 index, u64 *pfn)
{
	struct cache_block *block = block_find(world, file, index);
	u64 stored = block ? block->pfns[index % BLOCK_PAGES] : ABSENT;

	return stored & SWAPPED && slot_cached(world, (u32)stored, pfn);
}

void cache_clear(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_make(world, file, index);

	if (block)
		replace(world, block, index, ABSENT);
}

bool cache_is_absent(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_find(world, file, index);
	const struct world_file *info = file_get(world, file);

	if (block && block->told & BIT(index % BLOCK_PAGES))
		return !is_page(block->pfns[index % BLOCK_PAGES]);
	return info && info->layout_time != ~0ull;
}

bool cache_first_event(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_make(world, file, index);

	if (!block || block->events & BIT(index % BLOCK_PAGES))
		return false;
	block->events |= (u16)BIT(index % BLOCK_PAGES);
	return true;
}

void cache_forget_events(struct world *world)
{
	for (u32 i = 0; i < world->blocks.size; i++)
		if (world->blocks.slots[i].value)
			world->blocks.slots[i].value->events = 0;
}

void cache_merge(struct world *world, u32 from, u32 to)
{
	/* Collect first: block_make() may rebuild the table. */
	u32 nr = 0, size = 0;
	u64 *keys = NULL;

	if (!file_get(world, from) || !file_get(world, from)->has_pages)
		return;
	for (u32 i = 0; i < world->blocks.size; i++)
		if (world->blocks.slots[i].value && world->blocks.slots[i].key >> 32 == from &&
		    world_grow(world, (void **)&keys, sizeof(*keys), &size, nr + 1ull))
			keys[nr++] = world->blocks.slots[i].key;
	for (u32 k = 0; k < nr; k++) {
		u64 first = (keys[k] & UINT32_MAX) * BLOCK_PAGES, pfn, known;

		for (u64 index = first; index < first + BLOCK_PAGES; index++)
			if (cache_find(world, from, index, &pfn) && !cache_find(world, to, index, &known))
				cache_set(world, to, index, pfn);
	}
	free(keys);
}

/* ---- files --------------------------------------------------------------- */

u32 file_new(struct world *world, bool provisional)
{
	if (!world_grow(world, (void **)&world->files, sizeof(*world->files), &world->files_size,
			world->nr_files + 1ull))
		return 0;
	world->files[world->nr_files] = (struct world_file){ .layout_time = ~0ull, .provisional = provisional };
	return world->nr_files++;
}

struct inode {
	const struct world *world;
	u64 dev, ino;
};

static bool is_inode(const void *context, u32 file)
{
	const struct inode *inode = context;

	return inode->world->files[file].dev == inode->dev && inode->world->files[file].ino == inode->ino;
}

u32 file_by_inode(struct world *world, u64 dev, u64 ino)
{
	struct inode inode = { world, dev, ino };
	u64 key = ino ^ dev << 32;
	u32 file = inode_table_match(&world->inodes, key, is_inode, &inode);

	if (file)
		return file;
	file = file_new(world, false);
	if (!file)
		return 0;
	world->files[file].dev = dev;
	world->files[file].ino = ino;
	if (inode_table_add(&world->inodes, key, file))
		world_set_out_of_memory(world);
	return file;
}
