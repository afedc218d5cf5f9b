/* SPDX-License-Identifier: MIT */
/*
 * Tables of entries and of directories (tables.c): zeroed memory of one size, from a pool. One that has few entries and
 * was not looked at for a while is kept compactly; whoever walks to it finds a plain one again.
 */
#ifndef REFOLD_ENGINE_TABLES_H
#define REFOLD_ENGINE_TABLES_H

#include "base/pair.h"

struct mm;
struct table_pool;

struct table_pool *table_pool_create(unsigned int table_shift);
void table_pool_destroy(struct table_pool *pool);
void *table_alloc(struct table_pool *pool);
/* The table must be all zero again. */
void table_free(struct table_pool *pool, void *table);

/* Entries that are looked at together: two cache lines. */
#define TABLE_STRIDE 16

static inline bool table_stride_is_none(const u64 *entries)
{
	const pair *p = (const pair *)entries;

	return pair_is_zero(p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7]);
}

/* How many entries from here on are none, of at most nr. */
static inline u32 table_skip_none(const u64 *entries, u32 nr)
{
	u32 i = 0;

	/* Most are alone, or in long runs. */
	if (nr && entries[0])
		return 0;
	while (i + TABLE_STRIDE <= nr && table_stride_is_none(entries + i))
		i += TABLE_STRIDE;
	while (i < nr && !entries[i])
		i++;
	return i;
}

/* ---- the compact form ------------------------------------------------------------- */

/* Of a slot that names a table: it is compact. Neither user pointers nor leaves have the bit. */
#define TABLE_COMPACT	BIT_ULL(62)

/*
 * Give the plain table of *slot its compact form, if it has few entries. A directory stays plain as long as one below
 * it does, so that a table is found by its address without another being made plain.
 */
bool table_compact(struct table_pool *pool, u64 *slot, bool directory);
/*
 * The plain form, which *slot then names. On lack of memory a table that is in no slot: the caller goes on with it, and
 * *failed says that nothing more can be run.
 */
void *table_expand(struct table_pool *pool, u64 *slot, int *failed);
/* An entry of a table of either form. */
u64 table_peek(u64 slot, u32 index);
/* A compact table without entries goes; false: it has some. */
bool table_free_empty(struct table_pool *pool, u64 slot);
/* What the pool has taken of memory for tables of either form. */
u64 table_pool_bytes(const struct table_pool *pool);

/* ---- those that are plain because they are new, or were walked to ------------------- */

struct recent_table {
	struct mm *mm;
	u64 addr;		/* of what it maps */
	const void *table;
	unsigned int level;	/* pgtable.c; the slot is in a table one above */
};

void table_remember(struct table_pool *pool, struct recent_table recent);
bool table_oldest(struct table_pool *pool, struct recent_table *oldest);	/* false: they may stay as they are */
/* So many may stay plain, from now on; how many might. */
size_t table_keep_recent(struct table_pool *pool, size_t nr);
/* More than may stay. */
bool table_recent_are_many(const struct table_pool *pool);

#endif
