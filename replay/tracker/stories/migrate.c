// SPDX-License-Identifier: MIT
/* Pages that move, told by page frame and address, and found through the reverse map. */
#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/split.h"

/* A migration entry waiting for its page to come back. */
struct migration {
	u64 vpn;
	u64 pfn;		/* the old page */
	u32 mm;
	u32 tid;		/* who moves it */
};

/* A large folio was split before it was migrated piece by piece; there is no event of its own. */
static void learn_split(struct rf_tracker *tracker, u64 pfn, u32 order)
{
	u32 old = folio_order(tracker->world, pfn);
	u64 head = folio_head(pfn, old);
	const struct world_map *maps;
	size_t nr;

	tracker->fidelity.inferred.folio_split++;
	nr = rmap_collect(tracker->world, pfn, &maps);
	for (size_t i = 0; i < nr; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, maps[i].mm);
		struct rf_op *op;

		if (!mm)
			continue;
		op = emit(tracker, RF_OP_FOLIO_SPLIT, mm);
		op->addr = (maps[i].vpn - (pfn - head)) << tracker->page_shift;
		op->nr = (u32)BIT_ULL(old);
		op->pfn = head;
		op->order = (u8)order;
		op->flags = RF_OP_INFERRED;
	}
	for (u64 i = 0; i < BIT_ULL(old); i += BIT_ULL(order))
		folio_set(tracker->world, head + i, order);
}

static void migration_set(struct rf_tracker *tracker, u32 tid, u64 vpn, u64 pfn)
{
	const struct world_map *maps;
	size_t nr = rmap_collect(tracker->world, pfn, &maps);

	for (size_t i = 0; i < nr; i++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, maps[i].mm);
		world_pte pte = mm ? world_get(&mm->world, vpn) : 0;

		/* One event an entry; forked processes have several at the same address. */
		if (maps[i].vpn != vpn || !world_pte_mapped(pte) || pte & WORLD_MIGRATION)
			continue;
		if (!world_grow(tracker->world, (void **)&tracker->migrations, sizeof(*tracker->migrations),
				&tracker->migrations_size, tracker->nr_migrations + 1ull))
			return;
		tracker->migrations[tracker->nr_migrations++] = (struct migration){ vpn, pfn, mm->world.id, tid };
		world_set_flags(tracker->world, &mm->world, vpn, 1, WORLD_MIGRATION, 0);
		if (tracker->nr_migrations == 1)
			advice_splits(tracker, tid, mm, vpn);
		emit_entry(tracker, RF_OP_MIGRATE_OUT, mm, vpn, pfn, folio_order(tracker->world, pfn),
			   RF_OP_DEFERRED | (world_pte_kind(pte) == WORLD_ANON ? RF_OP_ANON : 0));
		owe_flush(tracker, mm);
		return;
	}
}

static bool is_followed(const struct rf_tracker *tracker, u64 pfn)
{
	return rmap_is_mapped(tracker->world, pfn);
}

void on_migration_set(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 vpn = vpn_of(tracker, record.f[0]), pfn = record.f[1];
	u64 nr = record.kind == RF_MIGRATION_PMD_SET ? BIT_ULL(tracker->pmd_order) : 1;
	u32 order = nr > 1 ? tracker->pmd_order : (u32)record.f[2];

	if (pfn >= WORLD_INVENTED_PFN || record.f[0] >= tracker->address_limit || !is_followed(tracker, pfn))
		return;
	if (order < folio_order(tracker->world, pfn) && order <= WORLD_ORDER_MAX)
		learn_split(tracker, pfn, order);
	for (u64 i = 0; i < nr; i++)
		migration_set(tracker, record.tid, vpn + i, pfn + i);
}

static void forget_migration(struct rf_tracker *tracker, u32 at)
{
	tracker->nr_migrations--;
	memmove(&tracker->migrations[at], &tracker->migrations[at + 1],
		(tracker->nr_migrations - at) * sizeof(*tracker->migrations));
}

/* All pages that anybody moves are back. */
static void has_split(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm)
{
	advice_has_split(tracker, tid, mm);
	move_has_split(tracker, tid);
}

/* ---- pages of zeroes ------------------------------------------------------------------------- */

/* try_to_map_unused_to_zeropage(): remap_page() of a split counts them down, and has no event for them. */
static void map_zero_page(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn)
{
	u64 zero = 0, pfn = world_pte_pfn(world_get(&mm->world, vpn));

	kernel_page(tracker, RF_KERNEL_PAGE_ZERO, 0, &zero);
	emit_entry(tracker, RF_OP_MIGRATE_IN, mm, vpn, pfn, folio_order(tracker->world, pfn), RF_OP_ANON | RF_OP_ZERO);
	world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_ZERO, zero, 0));
}

/* The first of the pages that the task is moving in mm. */
static bool first_is_zero(struct rf_tracker *tracker, const struct task *task, struct tracked_mm *mm)
{
	for (u32 i = 0; i < tracker->nr_migrations; i++) {
		struct migration migration = tracker->migrations[i];
		world_pte pte = world_get(&mm->world, migration.vpn);

		if (migration.tid != task->tid || migration.mm != mm->world.id || !(pte & WORLD_MIGRATION) ||
		    world_pte_kind(pte) != WORLD_ANON)
			continue;
		forget_migration(tracker, i);
		map_zero_page(tracker, mm, migration.vpn);
		if (!tracker->nr_migrations)
			has_split(tracker, task->tid, mm);
		return true;
	}
	return false;
}

bool split_rss(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm, u8 member, s64 delta)
{
	struct task_remap *remap = &task->remap;

	if (member != RF_RSS_ANON || delta >= 0 || remap->mm != mm->world.id)
		*remap = (struct task_remap){ .mm = mm->world.id };
	/* Each is one page; with threads, changes that others made meanwhile are in delta, and may come again. */
	if (member == RF_RSS_ANON && mm->users > 1 && first_is_zero(tracker, task, mm))
		return true;
	if (member != RF_RSS_ANON || delta >= 0)
		return false;
	for (; delta; delta++) {
		if (first_is_zero(tracker, task, mm))
			continue;
		if (remap->next == remap->end) {
			remap->zeroes -= delta;
			return false;
		}
		map_zero_page(tracker, mm, remap->next++);
	}
	return true;
}

/*
 * The split of a folio that a PMD maps makes migration entries without an event. All its pages come back in order: a
 * record of one tells which folio it is, RSS changes just before it were of the pages below.
 */
static void remapped(struct rf_tracker *tracker, struct task *task, u64 vpn, u64 pfn, u32 order)
{
	u32 old = folio_order(tracker->world, pfn);
	struct task_remap *remap = &task->remap;
	u64 below = pfn - folio_head(pfn, old);
	const struct world_map *maps;
	struct tracked_mm *mm;

	if (order >= old) {
		if (remap->next <= vpn && vpn < remap->end)
			remap->next = vpn + 1;
		return;
	}
	/* Of several address spaces nothing tells whose change was of which page. */
	if (rmap_collect(tracker->world, pfn, &maps) == 1 && maps[0].vpn == vpn && !order) {
		mm = tracked_mm(tracker->world, maps[0].mm);
		learn_split(tracker, pfn, order);
		if (remap->mm == mm->world.id && below && remap->zeroes >= (s64)below) {
			for (u64 i = vpn - below; i < vpn; i++)
				map_zero_page(tracker, mm, i);
			mm->unmapped[RF_RSS_ANON] -= (u32)min_u64(mm->unmapped[RF_RSS_ANON], below);
			call_unmap_told(&task->call, RF_RSS_ANON, (u32)below);
		}
		*remap = (struct task_remap){ .mm = mm->world.id, .next = vpn + 1, .end = vpn - below + BIT_ULL(old) };
		return;
	}
	learn_split(tracker, pfn, order);
}

bool split_frees(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u32 order)
{
	world_pte pte = world_get(&mm->world, vpn);
	u64 pfn = world_pte_pfn(pte);

	if (world_pte_kind(pte) != WORLD_ANON)
		return false;
	if (!(pte & WORLD_MIGRATION)) {
		if (folio_order(tracker->world, pfn) <= order)
			return false;
		learn_split(tracker, pfn, order);
	}
	map_zero_page(tracker, mm, vpn);
	return true;
}

/* ---- back from migration --------------------------------------------------------------------- */

/* Which entry at vpn comes back as pfn: the one that never left (it failed), else the one that left first. */
static bool find_migration(struct rf_tracker *tracker, u64 vpn, u64 pfn, struct migration *found)
{
	u32 best = UINT32_MAX;

	for (u32 i = 0; i < tracker->nr_migrations;) {
		struct migration *migration = &tracker->migrations[i];
		struct tracked_mm *mm = tracked_mm(tracker->world, migration->mm);
		world_pte pte = mm ? world_get(&mm->world, migration->vpn) : 0;

		if (!(pte & WORLD_MIGRATION) || world_pte_pfn(pte) != migration->pfn) {
			forget_migration(tracker, i);	/* unmapped meanwhile */
			continue;
		}
		if (migration->vpn == vpn && (migration->pfn == pfn || best == UINT32_MAX)) {
			best = i;
			if (migration->pfn == pfn)
				break;
		}
		i++;
	}
	if (best == UINT32_MAX)
		return false;
	*found = tracker->migrations[best];
	forget_migration(tracker, best);
	return true;
}

/*
 * Found at attach, and taken to be the task's alone. It comes back writable if it is; read-only, in a mapping that may
 * be written to, if it had been shared once.
 */
static world_pte is_it_exclusive(const struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte,
				 u64 flags)
{
	const struct world_vma *vma = world_vma_find(&mm->world, vpn << tracker->page_shift);

	if (!(pte & WORLD_GUESSED))
		return pte;
	if (flags & RF_PTE_WRITE)
		return pte & ~WORLD_GUESSED;
	if (vma && is_private_writable(vma))
		return pte & ~(WORLD_GUESSED | WORLD_EXCLUSIVE);
	return pte;
}

static void migration_remove(struct rf_tracker *tracker, u32 tid, u64 vpn, u64 pfn, u32 order, u64 flags)
{
	struct migration migration;
	struct tracked_mm *mm;
	struct world_vma *vma;
	struct task *task;
	world_pte pte, new;
	u64 old, cached;
	u16 op_flags;

	if (!find_migration(tracker, vpn, pfn, &migration)) {
		task = task_get(tracker, tid);
		if (task && is_followed(tracker, pfn))
			remapped(tracker, task, vpn, pfn, order);
		return;
	}
	folio_set(tracker->world, folio_head(pfn, order), order);
	mm = tracked_mm(tracker->world, migration.mm);
	pte = is_it_exclusive(tracker, mm, vpn, world_get(&mm->world, vpn), flags);
	old = migration.pfn;
	new = world_mkpte(world_pte_kind(pte), pfn,
			  pte & (WORLD_EXCLUSIVE | WORLD_GUESSED | WORLD_LAZYFREE | WORLD_UFFD_WP)) |
	      (flags & RF_PTE_WRITE ? WORLD_WRITE : 0);
	world_set(tracker->world, &mm->world, vpn, new);
	if (pfn != old && world_pte_kind(pte) != WORLD_ANON) {
		vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
		if (vma && vma_cache_find(tracker, vma, vpn, &cached) && cached == old)
			vma_cache_set(tracker, vma, vpn, pfn);
	}
	op_flags = (world_pte_kind(pte) == WORLD_ANON ? RF_OP_ANON : 0) | (flags & RF_PTE_WRITE ? RF_OP_WRITE : 0) |
		   (pte & WORLD_EXCLUSIVE ? RF_OP_EXCLUSIVE : 0);
	emit_entry(tracker, RF_OP_MIGRATE_IN, mm, vpn, pfn, order, op_flags);
	if (!tracker->nr_migrations)
		has_split(tracker, tid, mm);
}

/* The kernel tells compound_order() of the page: 0 for all pages of a folio but its first, which comes before them. */
static u32 moved_order(struct rf_tracker *tracker, u64 pfn, u32 order)
{
	if (order) {
		tracker->moved_pfn = folio_head(pfn, order);
		tracker->moved_order = order;
	} else if (pfn - tracker->moved_pfn >= BIT_ULL(tracker->moved_order)) {
		tracker->moved_order = 0;
	}
	return tracker->moved_order;
}

void on_migration_remove(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 vpn = vpn_of(tracker, record.f[0]), pfn = record.f[1];
	u64 nr = record.kind == RF_MIGRATION_PMD_REMOVE ? BIT_ULL(tracker->pmd_order) : 1;
	u32 order = tracker->pmd_order;

	if (pfn >= WORLD_INVENTED_PFN)
		return;
	if (nr == 1)
		order = moved_order(tracker, pfn, (u32)min_u64(record.f[2], WORLD_ORDER_MAX));
	reclaim_flush(tracker);
	for (u64 i = 0; i < nr; i++)
		migration_remove(tracker, record.tid, vpn + i, pfn + i, order, nr > 1 ? record.f[2] : record.f[3]);
}
