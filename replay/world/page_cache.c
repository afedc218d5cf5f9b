// SPDX-License-Identifier: MIT
/*
 * The page cache: which page frame holds which index of which file. Blocks of 16
 * indices in one hash over all files, because most files are small and most are
 * never mapped.
 */
#include <stdlib.h>

#include "replay/world/world.h"

#define BLOCK_PAGES 16
#define ABSENT 0	/* pfns are stored + 1 */
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
	u32 mask = world->blocks_size - 1;

	if (block && block->key == key)
		return block;
	if (!world->blocks_size || index >= MAX_INDEX)
		return NULL;
	for (u32 i = (u32)world_hash(key) & mask; (block = world->blocks[i]); i = (i + 1) & mask) {
		if (block->key == key) {
			world->last_block = block;
			return block;
		}
	}
	return NULL;
}

static void block_insert(struct cache_block **table, u32 size, struct cache_block *block)
{
	u32 i = (u32)world_hash(block->key) & (size - 1);

	while (table[i])
		i = (i + 1) & (size - 1);
	table[i] = block;
}

static struct cache_block *block_make(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_find(world, file, index);

	if (block || index >= MAX_INDEX)
		return block;
	if (world->nr_blocks * 2 >= world->blocks_size) {
		u32 size = world->blocks_size ? world->blocks_size * 2 : 1024;
		struct cache_block **table = world_calloc(world, size, sizeof(*table));

		if (!table)
			return NULL;
		for (u32 i = 0; i < world->blocks_size; i++)
			if (world->blocks[i])
				block_insert(table, size, world->blocks[i]);
		free(world->blocks);
		world->blocks = table;
		world->blocks_size = size;
	}
	block = world_calloc(world, 1, sizeof(*block));
	if (!block)
		return NULL;
	block->key = block_key(file, index);
	block_insert(world->blocks, world->blocks_size, block);
	world->nr_blocks++;
	return block;
}

bool cache_find(struct world *world, u32 file, u64 index, u64 *pfn)
{
	struct cache_block *block = block_find(world, file, index);

	if (!block || block->pfns[index % BLOCK_PAGES] == ABSENT)
		return false;
	*pfn = block->pfns[index % BLOCK_PAGES] - 1;
	return true;
}

void cache_set(struct world *world, u32 file, u64 index, u64 pfn)
{
	struct cache_block *block = block_make(world, file, index);

	if (!block)
		return;
	block->pfns[index % BLOCK_PAGES] = pfn + 1;
	block->told |= (u16)BIT(index % BLOCK_PAGES);
}

void cache_clear(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_make(world, file, index);

	if (!block)
		return;
	block->pfns[index % BLOCK_PAGES] = ABSENT;
	block->told |= (u16)BIT(index % BLOCK_PAGES);
}

bool cache_is_absent(struct world *world, u32 file, u64 index)
{
	struct cache_block *block = block_find(world, file, index);
	const struct world_file *info = file_get(world, file);

	if (block && block->told & BIT(index % BLOCK_PAGES))
		return block->pfns[index % BLOCK_PAGES] == ABSENT;
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
	for (u32 i = 0; i < world->blocks_size; i++)
		if (world->blocks[i])
			world->blocks[i]->events = 0;
}

void cache_merge(struct world *world, u32 from, u32 to)
{
	/* Collect first: block_make() may rebuild the table. */
	u32 nr = 0, size = 0;
	u64 *keys = NULL;

	for (u32 i = 0; i < world->blocks_size; i++)
		if (world->blocks[i] && world->blocks[i]->key >> 32 == from &&
		    world_grow(world, (void **)&keys, sizeof(*keys), &size, nr + 1ull))
			keys[nr++] = world->blocks[i]->key;
	for (u32 k = 0; k < nr; k++) {
		u64 first = (keys[k] & UINT32_MAX) * BLOCK_PAGES, pfn, known;

		for (u64 index = first; index < first + BLOCK_PAGES; index++)
			if (cache_find(world, from, index, &pfn) && !cache_find(world, to, index, &known))
				cache_set(world, to, index, pfn);
	}
	free(keys);
}

/* ---- files --------------------------------------------------------------- */

static u64 inode_hash(u64 dev, u64 ino)
{
	return world_hash(world_hash(dev) ^ ino);
}

static bool grow_file_index(struct world *world)
{
	u32 size = world->file_index_size ? world->file_index_size * 2 : 256;
	u32 *table = world_calloc(world, size, sizeof(*table));

	if (!table)
		return false;
	for (u32 i = 0; i < world->file_index_size; i++) {
		u32 file = world->file_index[i], slot;

		if (!file)
			continue;
		slot = (u32)inode_hash(world->files[file].dev, world->files[file].ino) & (size - 1);
		while (table[slot])
			slot = (slot + 1) & (size - 1);
		table[slot] = file;
	}
	free(world->file_index);
	world->file_index = table;
	world->file_index_size = size;
	return true;
}

u32 file_new(struct world *world, bool provisional, bool shmem)
{
	if (!world_grow(world, (void **)&world->files, sizeof(*world->files), &world->files_size,
			world->nr_files + 1ull))
		return 0;
	world->files[world->nr_files] = (struct world_file){ 0, 0, ~0ull, provisional, shmem, false };
	return world->nr_files++;
}

u32 file_by_inode(struct world *world, u64 dev, u64 ino)
{
	u32 slot, file;

	if (world->nr_files * 2 >= world->file_index_size && !grow_file_index(world))
		return 0;
	slot = (u32)inode_hash(dev, ino) & (world->file_index_size - 1);
	while ((file = world->file_index[slot])) {
		if (world->files[file].dev == dev && world->files[file].ino == ino)
			return file;
		slot = (slot + 1) & (world->file_index_size - 1);
	}
	file = file_new(world, false, false);
	if (!file)
		return 0;
	world->files[file].dev = dev;
	world->files[file].ino = ino;
	world->file_index[slot] = file;
	return file;
}

struct world_file *file_get(const struct world *world, u32 file)
{
	return file && file < world->nr_files ? &world->files[file] : NULL;
}
