// SPDX-License-Identifier: MIT
/*
 * Tables from a pool. One leaves it zero and comes back zero, as in the kernel, so the hot path neither clears nor
 * allocates memory except for tables the workload had not had before.
 *
 * An entry alone in its table would take 4 KiB, or 64: such tables have a compact form, the entries that are not none
 * and where they are. It is of no use to helpers, which step along entries; so a table is plain from when a walk comes
 * by until many others were walked to since.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/tables.h"

#define TABLES_PER_CHUNK 32
/* Bytes of plain tables that stay as they are, whatever is in them; few tables, if they are large. */
#define RECENT_BYTES (2u << 20)
#define RECENT_LEAST 32
/* A table with one entry in so many, or fewer, has a compact form. */
#define SPARSE 8
#define COMPACT_CHUNK (64u << 10)

/* How many entries compact tables have room for. Those of the largest pages have 8192 in all. */
static const u16 rooms[] = { 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024 };
#define MOST_COMPACT 1024

/* Entries follow the places, in order of these. */
struct compact_table {
	u16 nr;
	u16 size;		/* of rooms */
	u16 places[];
};

struct table_chunk {
	struct table_chunk *next;
	void *memory;
};

struct table_pool {
	size_t table_size;
	u32 nr_entries;			/* of a table */
	void **free;
	size_t nr_free, max_free;
	struct table_chunk *chunks;
	u64 bytes;
	void *nobodys;			/* table_expand() without memory */
	void *free_compact[ARRAY_SIZE(rooms)];
	char *fresh;			/* for more of them */
	size_t nr_fresh;
	struct recent_table *recent;	/* from oldest on, in order */
	size_t oldest, end_recent, max_recent, keep;
};

static void *chunk_alloc(struct table_pool *pool, size_t align, size_t size)
{
	struct table_chunk *chunk = malloc(sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->memory = aligned_alloc(align, size);
	if (!chunk->memory) {
		free(chunk);
		return NULL;
	}
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	pool->bytes += size;
	return chunk->memory;
}

u64 table_pool_bytes(const struct table_pool *pool)
{
	return pool->bytes;
}

struct table_pool *table_pool_create(unsigned int table_shift)
{
	struct table_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->nr_entries = 1u << table_shift;
	pool->table_size = sizeof(u64) << table_shift;
	pool->keep = RECENT_BYTES / pool->table_size;
	if (pool->keep < RECENT_LEAST)
		pool->keep = RECENT_LEAST;
	pool->nobodys = calloc(1, pool->table_size);
	if (!pool->nobodys) {
		free(pool);
		return NULL;
	}
	return pool;
}

void table_pool_destroy(struct table_pool *pool)
{
	struct table_chunk *chunk, *next;

	if (!pool)
		return;
	for (chunk = pool->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk->memory);
		free(chunk);
	}
	free(pool->nobodys);
	free(pool->recent);
	free(pool->free);
	free(pool);
}

/* Room for every table ever made, so that table_free() cannot fail. */
static int table_pool_grow(struct table_pool *pool)
{
	size_t size = pool->table_size * TABLES_PER_CHUNK, i;
	void **list;
	char *memory;

	list = realloc(pool->free, (pool->max_free + TABLES_PER_CHUNK) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	pool->free = list;
	memory = chunk_alloc(pool, pool->table_size, size);
	if (!memory)
		return -ENOMEM;
	memset(memory, 0, size);
	pool->max_free += TABLES_PER_CHUNK;
	for (i = TABLES_PER_CHUNK; i-- > 0;)
		pool->free[pool->nr_free++] = memory + i * pool->table_size;
	return 0;
}

void *table_alloc(struct table_pool *pool)
{
	if (!pool->nr_free && table_pool_grow(pool))
		return NULL;
	return pool->free[--pool->nr_free];
}

void table_free(struct table_pool *pool, void *table)
{
	pool->free[pool->nr_free++] = table;
}

/* ---- the compact form ------------------------------------------------------------- */

static struct compact_table *slot_compact(u64 slot)
{
	return (struct compact_table *)(uintptr_t)(slot & ~TABLE_COMPACT);
}

static size_t places_size(u32 room)
{
	return ALIGN_UP(sizeof(struct compact_table) + room * sizeof(u16), sizeof(u64));
}

static u64 *compact_entries(struct compact_table *compact)
{
	return (u64 *)((char *)compact + places_size(rooms[compact->size]));
}

/* Free ones of a size are in a list. */
static struct compact_table *compact_alloc(struct table_pool *pool, u32 nr)
{
	struct compact_table *compact;
	u16 size = 0;
	size_t bytes;

	while (rooms[size] < nr)
		size++;
	compact = pool->free_compact[size];
	if (compact) {
		memcpy(&pool->free_compact[size], compact, sizeof(void *));
	} else {
		bytes = places_size(rooms[size]) + rooms[size] * sizeof(u64);
		if (pool->nr_fresh < bytes) {
			char *fresh = chunk_alloc(pool, sizeof(u64), COMPACT_CHUNK);

			if (!fresh)
				return NULL;
			pool->fresh = fresh;
			pool->nr_fresh = COMPACT_CHUNK;
		}
		compact = (struct compact_table *)pool->fresh;
		pool->fresh += bytes;
		pool->nr_fresh -= bytes;
	}
	compact->nr = (u16)nr;
	compact->size = size;
	return compact;
}

static void compact_free(struct table_pool *pool, struct compact_table *compact)
{
	u16 size = compact->size;

	memcpy(compact, &pool->free_compact[size], sizeof(void *));
	pool->free_compact[size] = compact;
}

/*
 * Where there are entries, and in how many places; more than most: too many, or a plain table below. Most tables are
 * nearly empty, or are soon known to be full.
 */
static u32 find_entries(const u64 *table, u32 nr_entries, u32 most, bool directory, u16 *places)
{
	u32 nr = 0, i, j;

	for (i = 0; i < nr_entries; i += TABLE_STRIDE) {
		if (table_stride_is_none(table + i))
			continue;
		for (j = i; j < i + TABLE_STRIDE; j++) {
			places[nr] = (u16)j;
			nr += table[j] != 0;
			if (directory && table[j] && !(table[j] & (TABLE_COMPACT | BIT_ULL(63))))
				return most + 1;
		}
		if (nr > most)
			return nr;
	}
	return nr;
}

bool table_compact(struct table_pool *pool, u64 *slot, bool directory)
{
	u16 places[MOST_COMPACT + TABLE_STRIDE + 1];	/* one is written past the last */
	u64 *table = (u64 *)(uintptr_t)*slot, *entries;
	u32 most = pool->nr_entries / SPARSE, nr = find_entries(table, pool->nr_entries, most, directory, places);
	struct compact_table *compact = nr <= most ? compact_alloc(pool, nr) : NULL;

	if (!compact)
		return false;
	entries = compact_entries(compact);
	memcpy(compact->places, places, nr * sizeof(*places));
	for (u32 i = 0; i < nr; i++) {
		entries[i] = table[places[i]];
		table[places[i]] = 0;
	}
	table_free(pool, table);
	*slot = (u64)(uintptr_t)compact | TABLE_COMPACT;
	return true;
}

void *table_expand(struct table_pool *pool, u64 *slot, int *failed)
{
	struct compact_table *compact = slot_compact(*slot);
	const u64 *entries = compact_entries(compact);
	u64 *table = table_alloc(pool);

	if (!table) {
		*failed = -ENOMEM;
		return pool->nobodys;
	}
	for (u32 i = 0; i < compact->nr; i++)
		table[compact->places[i]] = entries[i];
	compact_free(pool, compact);
	*slot = (u64)(uintptr_t)table;
	return table;
}

u64 table_peek(u64 slot, u32 index)
{
	struct compact_table *compact = slot_compact(slot);

	if (!(slot & TABLE_COMPACT))
		return ((const u64 *)(uintptr_t)slot)[index];
	for (u32 i = 0; i < compact->nr; i++)
		if (compact->places[i] == index)
			return compact_entries(compact)[i];
	return 0;
}

bool table_free_empty(struct table_pool *pool, u64 slot)
{
	if (!(slot & TABLE_COMPACT) || slot_compact(slot)->nr)
		return false;
	compact_free(pool, slot_compact(slot));
	return true;
}

/* ---- recent ones --------------------------------------------------------------------- */

/* What cannot be remembered stays plain. */
void table_remember(struct table_pool *pool, struct recent_table recent)
{
	size_t nr = pool->end_recent - pool->oldest;

	if (pool->end_recent == pool->max_recent && pool->oldest > nr) {
		memcpy(pool->recent, pool->recent + pool->oldest, nr * sizeof(*pool->recent));
		pool->oldest = 0;
		pool->end_recent = nr;
	}
	if (array_grow(pool->recent, pool->max_recent, pool->end_recent + 1))
		return;
	pool->recent[pool->end_recent++] = recent;
}

bool table_recent_are_many(const struct table_pool *pool)
{
	return pool->end_recent - pool->oldest > pool->keep;
}

bool table_oldest(struct table_pool *pool, struct recent_table *oldest)
{
	if (!table_recent_are_many(pool))
		return false;
	*oldest = pool->recent[pool->oldest++];
	return true;
}

size_t table_keep_recent(struct table_pool *pool, size_t nr)
{
	size_t kept = pool->keep;

	pool->keep = nr;
	return kept;
}
