// SPDX-License-Identifier: MIT
/*
 * The page-table radix: directories of slots down to tables of entries, all of
 * one size, from one pool. A table leaves the pool zero and comes back zero,
 * as in the kernel, so the hot path neither clears nor allocates memory except
 * for tables the workload had not had before.
 *
 * Levels are counted from the bottom: 1 is a table of entries, 2 holds PMDs,
 * the policy's number of levels is the root.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pgtable.h"
#include "engine/tlb.h"

#define TABLES_PER_CHUNK 32

struct directory {
	u64 slots[1];
};

struct table_chunk {
	struct table_chunk *next;
	void *memory;
};

struct table_pool {
	size_t table_size;
	void **free;
	size_t nr_free, max_free;
	struct table_chunk *chunks;
};

struct table_pool *table_pool_create(unsigned int table_shift)
{
	struct table_pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pool->table_size = sizeof(pte_t) << table_shift;
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
	free(pool->free);
	free(pool);
}

/* Room for every table ever made, so that table_free() cannot fail. */
static int table_pool_grow(struct table_pool *pool)
{
	size_t size = pool->table_size * TABLES_PER_CHUNK, align = pool->table_size;
	struct table_chunk *chunk;
	void **list;
	int i;

	list = realloc(pool->free, (pool->max_free + TABLES_PER_CHUNK) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	pool->free = list;
	chunk = malloc(sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	chunk->memory = aligned_alloc(align, size);
	if (!chunk->memory) {
		free(chunk);
		return -ENOMEM;
	}
	memset(chunk->memory, 0, size);
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	pool->max_free += TABLES_PER_CHUNK;
	for (i = TABLES_PER_CHUNK - 1; i >= 0; i--)
		pool->free[pool->nr_free++] = (char *)chunk->memory + i * pool->table_size;
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

/* ---- walks ------------------------------------------------------------------ */

static inline unsigned int level_shift(const struct mm *mm, unsigned int level)
{
	const struct arch_geometry *geometry = mm->arch.geometry;

	return geometry->page_shift + (level - 1) * geometry->table_shift;
}

static inline u64 *slot_of(const struct mm *mm, struct directory *dir, unsigned int level, u64 addr)
{
	return &dir->slots[(addr >> level_shift(mm, level)) & (ptrs_per_pte(mm) - 1)];
}

static inline struct directory *slot_directory(u64 slot)
{
	return (struct directory *)(uintptr_t)slot;
}

static pmd_t *cache_pmd(struct mm *mm, u64 addr, u64 *slot)
{
	mm->cached_pmd_index = addr >> pmd_shift(mm);
	mm->cached_pmd = (pmd_t *)slot;
	return mm->cached_pmd;
}

static void forget_cached_pmd(struct mm *mm)
{
	mm->cached_pmd_index = ~0ull;
	mm->cached_pmd = NULL;
}

pmd_t *pmd_walk(struct mm *mm, u64 addr)
{
	struct directory *dir = mm->root;
	unsigned int level;

	for (level = mm->arch.geometry->levels; dir && level > 2; level--)
		dir = slot_directory(*slot_of(mm, dir, level, addr));
	return dir ? cache_pmd(mm, addr, slot_of(mm, dir, 2, addr)) : NULL;
}

static struct directory *directory_alloc(struct mm *mm)
{
	struct directory *dir = table_alloc(mm->machine->tables);

	if (!dir)
		mm->machine->error = -ENOMEM;
	return dir;
}

/* The slot of this level that maps addr, with all that is above it. */
static u64 *slot_alloc(struct mm *mm, u64 addr, unsigned int wanted)
{
	struct directory *dir;
	unsigned int level;

	if (!mm->root) {
		mm->root = directory_alloc(mm);
		if (!mm->root)
			return NULL;
	}
	dir = mm->root;
	for (level = mm->arch.geometry->levels; level > wanted; level--) {
		u64 *slot = slot_of(mm, dir, level, addr);

		if (!*slot) {
			dir = directory_alloc(mm);
			if (!dir)
				return NULL;
			mm->arch.counters->tables_allocated++;
			*slot = (uintptr_t)dir;
		}
		dir = slot_directory(*slot);
	}
	return slot_of(mm, dir, wanted, addr);
}

pmd_t *pmd_walk_alloc(struct mm *mm, u64 addr)
{
	u64 *slot = slot_alloc(mm, addr, 2);

	return slot ? cache_pmd(mm, addr, slot) : NULL;
}

pte_t *pte_alloc(struct mm *mm, pmd_t *pmd, u64 addr)
{
	if (pmd_none(*pmd)) {
		void *table = directory_alloc(mm);

		if (!table)
			return NULL;
		mm->arch.counters->tables_allocated++;
		pmd->val = (uintptr_t)table;
	}
	return pte_offset(mm, pmd, addr);
}

pmd_t *pmd_next(struct mm *mm, u64 *addr, u64 end)
{
	while (*addr < end) {
		struct directory *dir = mm->root;
		unsigned int level;
		u64 *slot = NULL;

		if (!dir)
			return NULL;
		for (level = mm->arch.geometry->levels; ; level--) {
			slot = slot_of(mm, dir, level, *addr);
			if (!*slot || level == 2)
				break;
			dir = slot_directory(*slot);
		}
		/* Neighbouring slots of a PMD table without another descent. */
		while (!*slot) {
			u64 size = 1ull << level_shift(mm, level);

			*addr = ALIGN_DOWN(*addr, size) + size;
			if (*addr >= end || !*addr)
				return NULL;
			if (level > 2 || !((*addr >> level_shift(mm, 2)) & (ptrs_per_pte(mm) - 1)))
				break;
			slot++;
		}
		if (*slot && level == 2)
			return cache_pmd(mm, *addr, slot);
	}
	return NULL;
}

void pmd_move(pmd_t *to, pmd_t *from)
{
	*to = *from;
	from->val = 0;
}

u64 pud_size(const struct mm *mm)
{
	return 1ull << level_shift(mm, 3);
}

bool pud_move(struct mm *mm, u64 to, u64 from)
{
	struct directory *dir = mm->root;
	u64 *old, *new;
	unsigned int level;

	for (level = mm->arch.geometry->levels; dir && level > 3; level--)
		dir = slot_directory(*slot_of(mm, dir, level, from));
	old = dir ? slot_of(mm, dir, 3, from) : NULL;
	new = old && *old ? slot_alloc(mm, to, 3) : NULL;
	if (!new || *new)
		return false;
	*new = *old;
	*old = 0;
	forget_cached_pmd(mm);
	return true;
}

/* ---- freeing ----------------------------------------------------------------- */

/*
 * What free_pgtables() finds in a table should have been unmapped. If an operation left entries there, take them out
 * through the backend, so that its blocks stay accounted.
 */
static void pte_table_free(struct mm *mm, pte_t *table, u64 addr)
{
	u64 any = 0;
	u32 i;

	for (i = 0; i < ptrs_per_pte(mm); i++)
		any |= table[i].val;
	for (i = 0; any && i < ptrs_per_pte(mm); i++) {
		if (!table[i].val)
			continue;
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		mm->arch.ops->pte_clear(&mm->arch, addr + ((u64)i << mm->arch.geometry->page_shift), &table[i]);
		table[i].val = 0;
	}
	table_free(mm->machine->tables, table);
}

void free_pte_table(struct mmu_gather *tlb, pmd_t *pmd, u64 addr)
{
	struct mm *mm = tlb->mm;
	pte_t *table = pmd_ptes(*pmd);

	pmd->val = 0;
	tlb_remove_table(tlb, addr, 1);
	pte_table_free(mm, table, ALIGN_DOWN(addr, pmd_size(mm)));
}

/* free_pmd_range() and its namesakes above: tables below the directory, then the directory if nobody else uses it. */
static void free_level_range(struct mmu_gather *tlb, u64 *dir_slot, unsigned int level, u64 addr, u64 end, u64 floor,
			     u64 ceiling)
{
	struct mm *mm = tlb->mm;
	struct directory *dir = slot_directory(*dir_slot);
	u64 size = 1ull << level_shift(mm, level);
	u64 span = 1ull << level_shift(mm, level + 1);
	u64 start = addr, next;

	for (; addr != end; addr = next) {
		u64 *slot = slot_of(mm, dir, level, addr);

		next = ALIGN_DOWN(addr, size) + size;
		if (next - 1 >= end - 1)
			next = end;
		if (!*slot)
			continue;
		if (level > 2)
			free_level_range(tlb, slot, level - 1, addr, next, floor, ceiling);
		else if (!pmd_leaf(*(pmd_t *)slot))
			free_pte_table(tlb, (pmd_t *)slot, addr);
	}
	if (level == mm->arch.geometry->levels)
		return;		/* the root stays until the mm is gone */
	start = ALIGN_DOWN(start, span);
	if (start < floor)
		return;
	if (ceiling) {
		ceiling = ALIGN_DOWN(ceiling, span);
		if (!ceiling)
			return;
	}
	if (end - 1 > ceiling - 1)
		return;
	*dir_slot = 0;
	tlb_remove_table(tlb, start, level);
	forget_cached_pmd(mm);
	memset(dir, 0, sizeof(pte_t) << mm->arch.geometry->table_shift);
	table_free(mm->machine->tables, dir);
}

void free_pgd_range(struct mmu_gather *tlb, u64 addr, u64 end, u64 floor, u64 ceiling)
{
	struct mm *mm = tlb->mm;
	u64 root = (uintptr_t)mm->root;

	if (!root)
		return;
	addr = ALIGN_DOWN(addr, pmd_size(mm));
	if (addr < floor) {
		addr += pmd_size(mm);
		if (!addr)
			return;
	}
	if (ceiling) {
		ceiling = ALIGN_DOWN(ceiling, pmd_size(mm));
		if (!ceiling)
			return;
	}
	if (end - 1 > ceiling - 1)
		end -= pmd_size(mm);
	if (addr > end - 1)
		return;
	free_level_range(tlb, &root, mm->arch.geometry->levels, addr, end, floor, ceiling);
}

static void destroy_level(struct mm *mm, struct directory *dir, unsigned int level, u64 base)
{
	u32 i;

	for (i = 0; i < ptrs_per_pte(mm); i++) {
		u64 addr = base + ((u64)i << level_shift(mm, level));
		u64 slot = dir->slots[i];

		dir->slots[i] = 0;
		if (!slot || (slot & PMD_LEAF))
			continue;
		if (level > 2)
			destroy_level(mm, slot_directory(slot), level - 1, addr);
		else
			pte_table_free(mm, (pte_t *)(uintptr_t)slot, addr);
	}
	table_free(mm->machine->tables, dir);
}

void pgtable_destroy(struct mm *mm)
{
	if (mm->root)
		destroy_level(mm, mm->root, mm->arch.geometry->levels, 0);
	mm->root = NULL;
	forget_cached_pmd(mm);
}
