// SPDX-License-Identifier: MIT
/*
 * The page-table radix: directories of slots down to tables of entries, all of
 * one size, from one pool (tables.c). Walks make plain what they come by;
 * tables_settle() gives those their compact form that are sparse.
 *
 * Levels are counted from the bottom: 1 is a table of entries, 2 holds PMDs,
 * the policy's number of levels is the root.
 */
#include <errno.h>

#include "engine/pgtable.h"
#include "engine/tlb.h"

struct directory {
	u64 slots[1];
};

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

/* The table that *slot names, at the level; it will be compact again. */
static void remember(struct mm *mm, u64 slot, unsigned int level, u64 addr)
{
	table_remember(mm->machine->tables, (struct recent_table){ mm, addr, slot_directory(slot), level });
}

static struct directory *expand(struct mm *mm, u64 *slot, unsigned int level, u64 addr)
{
	struct directory *dir = table_expand(mm->machine->tables, slot, &mm->machine->error);

	if (!(*slot & TABLE_COMPACT))
		remember(mm, *slot, level, addr);
	return dir;
}

pte_t *pte_table_expand(struct mm *mm, pmd_t *pmd, u64 addr)
{
	return (pte_t *)expand(mm, &pmd->val, 1, addr);
}

/* From the slot of a level to the directory below. */
static inline struct directory *descend(struct mm *mm, u64 *slot, unsigned int level, u64 addr)
{
	if (unlikely(*slot & TABLE_COMPACT))
		return expand(mm, slot, level - 1, addr);
	return slot_directory(*slot);
}

pmd_t *pmd_walk(struct mm *mm, u64 addr)
{
	struct directory *dir = mm->root;
	unsigned int level;

	for (level = mm->arch.geometry->levels; dir && level > 2; level--)
		dir = descend(mm, slot_of(mm, dir, level, addr), level, addr);
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
			remember(mm, *slot, level - 1, addr);
		}
		dir = descend(mm, slot, level, addr);
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
		remember(mm, pmd->val, 1, addr);
	}
	return pte_offset(mm, pmd, addr);
}

pmd_t *pmd_next(struct mm *mm, u64 *addr, u64 end)
{
	tables_settle(mm->machine);
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
			dir = descend(mm, slot, level, *addr);
		}
		/* Neighbouring slots of a directory without another descent. */
		if (!*slot) {
			unsigned int shift = level_shift(mm, level);
			u64 start = ALIGN_DOWN(*addr, 1ull << shift);
			u64 left = ptrs_per_pte(mm) - ((*addr >> shift) & (ptrs_per_pte(mm) - 1));
			u32 nr = (u32)min_u64(left, ((end - 1 - start) >> shift) + 1);
			u32 none = table_skip_none(slot, nr);

			*addr = start + ((u64)none << shift);
			if (*addr >= end || !*addr)
				return NULL;
			if (none == nr)
				continue;
			slot += none;
		}
		if (*slot && level == 2)
			return cache_pmd(mm, *addr, slot);
	}
	return NULL;
}

/* ---- sparse tables --------------------------------------------------------------- */

/*
 * The slots on the way from the root down to that of a table, which names it: slots[level]. Nothing is made plain for
 * this: below a compact directory all are compact.
 */
static bool find_slots(struct mm *mm, const struct recent_table *recent, u64 **slots)
{
	struct directory *dir = mm->root;
	unsigned int level;

	for (level = mm->arch.geometry->levels; dir && level > recent->level; level--) {
		u64 *slot = slot_of(mm, dir, level, recent->addr);

		if (!*slot || *slot & (TABLE_COMPACT | PMD_LEAF))
			return false;
		slots[level - 1] = slot;
		dir = slot_directory(*slot);
	}
	return dir == recent->table;
}

/* The table, and then the directories that it was the last one to keep plain. */
static void settle_table(struct mm *mm, const struct recent_table *recent)
{
	unsigned int level, root = mm->arch.geometry->levels;
	u64 *slots[8];

	if (!find_slots(mm, recent, slots))
		return;
	for (level = recent->level; level < root; level++)
		if (!table_compact(mm->machine->tables, slots[level], level > 1))
			break;
	if (level > 2)
		forget_cached_pmd(mm);
}

void tables_settle_some(struct rf_machine *machine)
{
	struct recent_table oldest;

	while (table_oldest(machine->tables, &oldest))
		settle_table(oldest.mm, &oldest);
}

static void tables_settle_all(struct rf_machine *machine)
{
	size_t kept = table_keep_recent(machine->tables, 0);

	tables_settle_some(machine);
	table_keep_recent(machine->tables, kept);
}

/* ---- moving ------------------------------------------------------------------ */

void pmd_move(struct mm *mm, pmd_t *to, u64 to_addr, pmd_t *from)
{
	*to = *from;
	from->val = 0;
	if (pmd_table(*to) && !(to->val & TABLE_COMPACT))
		remember(mm, to->val, 1, to_addr);
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

	/* What is below is found at other addresses from now on. */
	tables_settle_all(mm->machine);
	for (level = mm->arch.geometry->levels; dir && level > 3; level--)
		dir = descend(mm, slot_of(mm, dir, level, from), level, from);
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
static void pte_table_free(struct mm *mm, u64 slot, u64 addr)
{
	struct table_pool *tables = mm->machine->tables;
	pte_t *table;
	u64 any = 0;
	u32 i;

	if (table_free_empty(tables, slot))
		return;
	if (slot & TABLE_COMPACT)
		table_expand(tables, &slot, &mm->machine->error);
	if (slot & TABLE_COMPACT)
		return;		/* no memory; nothing more will be run */
	table = (pte_t *)slot_directory(slot);
	for (i = 0; i < ptrs_per_pte(mm); i++)
		any |= table[i].val;
	for (i = 0; any && i < ptrs_per_pte(mm); i++) {
		if (!table[i].val)
			continue;
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		mm->arch.ops->pte_clear(&mm->arch, addr + ((u64)i << mm->arch.geometry->page_shift), &table[i]);
		table[i].val = 0;
	}
	table_free(tables, table);
}

void free_pte_table(struct mmu_gather *tlb, pmd_t *pmd, u64 addr)
{
	struct mm *mm = tlb->mm;
	u64 slot = pmd->val;

	pmd->val = 0;
	tlb_remove_table(tlb, addr, 1);
	pte_table_free(mm, slot, ALIGN_DOWN(addr, pmd_size(mm)));
}

/* A directory, and what it still has. */
static void destroy_level(struct mm *mm, struct directory *dir, unsigned int level, u64 base)
{
	u32 nr = ptrs_per_pte(mm), i;

	for (i = table_skip_none(dir->slots, nr); i < nr; i += table_skip_none(dir->slots + i, nr - i)) {
		u64 addr = base + ((u64)i << level_shift(mm, level));
		u64 slot = dir->slots[i];

		dir->slots[i] = 0;
		if (slot & PMD_LEAF)
			continue;
		if (level > 2)
			destroy_level(mm, descend(mm, &slot, level, addr), level - 1, addr);
		else
			pte_table_free(mm, slot, addr);
	}
	table_free(mm->machine->tables, dir);
}

/* free_pmd_range() and its namesakes above: tables below the directory, then the directory if nobody else uses it. */
static void free_level_range(struct mmu_gather *tlb, u64 *dir_slot, unsigned int level, u64 addr, u64 end, u64 floor,
			     u64 ceiling)
{
	struct mm *mm = tlb->mm;
	struct directory *dir = descend(mm, dir_slot, level + 1, addr);
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
	if (level == mm->arch.geometry->levels || *dir_slot & TABLE_COMPACT)
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
	/* Operations that contradict the trace leave tables where no VMA is; they have been counted. */
	destroy_level(mm, dir, level, start);
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

void pgtable_destroy(struct mm *mm)
{
	if (mm->root)
		destroy_level(mm, mm->root, mm->arch.geometry->levels, 0);
	mm->root = NULL;
	forget_cached_pmd(mm);
}

pte_t pte_peek(const struct mm *mm, u64 addr)
{
	unsigned int level = mm->arch.geometry->levels;
	u64 slot = (uintptr_t)mm->root;

	if (addr >> pmd_shift(mm) == mm->cached_pmd_index) {
		slot = mm->cached_pmd->val;
		level = 1;
	}
	for (; slot && !(slot & PMD_LEAF); level--) {
		slot = table_peek(slot, (addr >> level_shift(mm, level)) & (ptrs_per_pte(mm) - 1));
		if (level == 1)
			return (pte_t){ slot };
	}
	return slot ? pte_advance_pfn(pmd_pte((pmd_t){ slot }), pte_index(mm, addr)) : (pte_t){ 0 };
}
