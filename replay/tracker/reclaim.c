// SPDX-License-Identifier: MIT
/*
 * What others do to page tables, told by page frame and found through the reverse
 * map: reclaim, migration, khugepaged; and page frames that are allocated or freed
 * although the model still maps them.
 */
#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/tracking.h"

/* ---- flushes put off ------------------------------------------------------------------- */

static void owe_flush(struct rf_tracker *tracker, struct world_mm *mm)
{
	if (mm->flush_due || !world_grow(tracker->world, (void **)&tracker->flush_mms, sizeof(u32),
					 &tracker->flush_mms_size, tracker->nr_flush_mms + 1ull))
		return;
	mm->flush_due = true;
	tracker->flush_mms[tracker->nr_flush_mms++] = mm->id;
}

/* try_to_unmap_flush_dirty(): if a store may still reach one of the pages; that was decided by each machine. */
static void reclaim_flush_dirty(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->nr_flush_mms; i++) {
		struct world_mm *mm = world_mm(tracker->world, tracker->flush_mms[i]);

		if (mm && mm->flush_due)
			emit(tracker, RF_OP_RECLAIM_FLUSH, mm)->flags = RF_OP_WRITE;
	}
}

void reclaim_flush(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->nr_flush_mms; i++) {
		struct world_mm *mm = world_mm(tracker->world, tracker->flush_mms[i]);

		if (!mm || !mm->flush_due)
			continue;
		mm->flush_due = false;
		emit(tracker, RF_OP_RECLAIM_FLUSH, mm);
	}
	tracker->nr_flush_mms = 0;
}

/* ---- unmapping ----------------------------------------------------------------------------- */

static void count_down(u32 *counter)
{
	if (*counter)
		--*counter;
}

static void swap_out(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, world_pte pte, u16 op_flags)
{
	u64 pfn = world_pte_pfn(pte);
	u32 slot = slot_of(tracker->world, pfn);

	if (!slot)
		return;
	emit_entry(tracker, RF_OP_UNMAP_SWAP, mm, vpn, slot, folio_order(tracker->world, pfn),
		   op_flags | RF_OP_ANON | RF_OP_DEFERRED);
	world_set(tracker->world, mm, vpn, world_mkpte(WORLD_SWAP, slot, pte & WORLD_EXCLUSIVE));
	count_down(&mm->unmapped[RF_RSS_ANON]);
	count_down(&mm->swapped);
	owe_flush(tracker, mm);
}

/* Fault-around has left it out: taken back, at no cost. */
static void never_mapped(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, world_pte pte)
{
	u64 pfn = world_pte_pfn(pte);

	emit_entry(tracker, RF_OP_UNMAP_FILE, mm, vpn, pfn, folio_order(tracker->world, pfn),
		   RF_OP_INFERRED | RF_OP_LOAD);
	world_set(tracker->world, mm, vpn, 0);
	count_down(&mm->doubts);
}

static void unmap_one(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, world_pte pte, u16 op_flags)
{
	u64 pfn = world_pte_pfn(pte);

	if (pte & WORLD_DOUBT) {
		never_mapped(tracker, mm, vpn, pte);
		return;
	}
	tracker->fidelity.inferred.unmapped_unseen++;
	if (world_pte_kind(pte) == WORLD_ANON && mm->swapped) {
		swap_out(tracker, mm, vpn, pte, op_flags);
		return;
	}
	emit_entry(tracker, RF_OP_UNMAP_FILE, mm, vpn, pfn, folio_order(tracker->world, pfn),
		   op_flags | RF_OP_DEFERRED | (world_pte_kind(pte) == WORLD_ANON ? RF_OP_ANON : 0));
	world_set(tracker->world, mm, vpn, 0);
	owe_flush(tracker, mm);
	switch (world_pte_kind(pte)) {
	case WORLD_ANON:
		count_down(&mm->unmapped[RF_RSS_ANON]);
		break;
	case WORLD_FILE:
	case WORLD_VDSO:
		count_down(&mm->unmapped[RF_RSS_FILE]);
		break;
	case WORLD_SHMEM:
		count_down(&mm->unmapped[RF_RSS_SHMEM]);
		break;
	default:
		break;
	}
}

void unmap_unseen(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, world_pte pte)
{
	unmap_one(tracker, mm, vpn, pte, RF_OP_INFERRED);
}

/*
 * A page frame that the model maps somewhere was freed, or allocated anew. If reclaim is known to have taken pages of
 * that address space, this is one of them. Otherwise an unmapping was missed, or a copy: the entry stays, because it
 * is more likely to hold another page than none, but which page is not known any more.
 */
static void resolve_freed(struct rf_tracker *tracker, const struct task *task, u64 pfn, u64 *anomaly)
{
	const struct world_map *maps;
	size_t nr = rmap_collect(tracker->world, pfn, &maps);

	for (size_t i = 0; i < nr; i++) {
		struct world_mm *mm = world_mm(tracker->world, maps[i].mm);
		u64 vpn = maps[i].vpn;
		world_pte pte = mm ? world_get(mm, vpn) : 0;
		bool reclaimed;

		if (!world_pte_mapped(pte) || world_pte_pfn(pte) != pfn)
			continue;
		/* A collapse frees the small pages before it says that it has succeeded. */
		if (task->collapse_known && task->collapse_mm == mm->id &&
		    vpn - task->collapse_vpn < BIT_ULL(tracker->pmd_order))
			continue;
		switch (world_pte_kind(pte)) {
		case WORLD_ANON:
			reclaimed = mm->swapped || (pte & WORLD_LAZYFREE && mm->unmapped[RF_RSS_ANON]);
			break;
		case WORLD_SHMEM:
			reclaimed = mm->unmapped[RF_RSS_SHMEM];
			break;
		default:
			reclaimed = mm->unmapped[RF_RSS_FILE];
		}
		if (reclaimed) {
			unmap_one(tracker, mm, vpn, pte, anomaly == &tracker->fidelity.anomalies.free_of_mapped
							 ? 0 : RF_OP_INFERRED);
			continue;
		}
		++*anomaly;
		world_set(tracker->world, mm, vpn, (pte & ~WORLD_PFN_MASK) | world_invent_pfn(tracker->world, 0));
	}
}

static void resolve_folio(struct rf_tracker *tracker, const struct task *task, u64 pfn, u32 order, u64 *anomaly)
{
	for (u64 i = 0; i < BIT_ULL(order); i++) {
		struct world_page *page = world_page_find(tracker->world, pfn + i);

		if (!page)
			continue;
		if (page->mm)
			resolve_freed(tracker, task, pfn + i, anomaly);
		if (page->slot)
			slot_page_freed(tracker->world, pfn + i);
	}
}

void on_page_alloc(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 pfn = record.f[0], gfp = record.f[2];
	u32 order = (u32)min_u64(record.f[1], WORLD_ORDER_MAX);

	if (pfn >= WORLD_INVENTED_PFN)
		return;		/* failed */
	resolve_folio(tracker, task, pfn, order, &tracker->fidelity.anomalies.alloc_of_mapped);
	if (!is_user_alloc(gfp))
		return;
	if (fault_is_open(&task->fault) && (fault_pending(&task->fault) || task->fault.swapped_in)) {
		if (!fault_alloc(tracker, task, pfn, order))
			push_alloc(task, pfn, order);
		return;
	}
	if (!populate_alloc(tracker, task, pfn, order))
		stray_alloc(tracker, task, pfn, order);
}

void on_page_free(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 pfn = record.f[0];
	u32 order = (u32)min_u64(record.f[1], WORLD_ORDER_MAX);

	if (pfn >= WORLD_INVENTED_PFN || drop_alloc(task, pfn))
		return;
	/*
	 * shrink_folio_list(): no page is freed that a TLB may still map. What only its freeing tells to have been
	 * unmapped was in the same batch. Amid a migration somebody else's page is freed, by an interrupt.
	 */
	if (!tracker->freeing && !tracker->nr_migrations)
		reclaim_flush(tracker);
	fault_page_freed(tracker, task, pfn);
	resolve_folio(tracker, task, pfn, order, &tracker->fidelity.anomalies.free_of_mapped);
	tracker->freeing = tracker->nr_flush_mms && !tracker->nr_migrations;
}

/* mm_vmscan_write_folio: everything that mapped the folio was unmapped before. */
void on_swap_write(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 order = folio_order(tracker->world, record.f[0]);
	u64 head = folio_head(record.f[0], order);
	const struct world_map *maps;
	size_t nr;

	if (record.f[0] >= WORLD_INVENTED_PFN)
		return;
	for (u64 i = 0; i < BIT_ULL(order); i++) {
		nr = rmap_collect(tracker->world, head + i, &maps);
		for (size_t m = 0; m < nr; m++) {
			struct world_mm *mm = world_mm(tracker->world, maps[m].mm);
			world_pte pte = mm ? world_get(mm, maps[m].vpn) : 0;

			if (mm)
				advice_unmaps(tracker, record.tid, mm, maps[m].vpn);
			/* Without the counter's word for it, the page was faulted in again since. */
			if (world_pte_kind(pte) == WORLD_ANON && (mm->swapped || mm->inexact || mm->settling))
				swap_out(tracker, mm, maps[m].vpn, pte, 0);
			else if (world_pte_kind(pte) == WORLD_SHMEM && mm->unmapped[RF_RSS_SHMEM])
				unmap_unseen(tracker, mm, maps[m].vpn, pte);
		}
	}
	/* Before the write, pageout() completes the flushes: a store must not reach a page that is on its way out. */
	reclaim_flush_dirty(tracker);
}

/* ---- migration -------------------------------------------------------------------------------- */

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
		struct world_mm *mm = world_mm(tracker->world, maps[i].mm);
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
		struct world_mm *mm = world_mm(tracker->world, maps[i].mm);
		world_pte pte = mm ? world_get(mm, vpn) : 0;

		/* One event an entry; forked processes have several at the same address. */
		if (maps[i].vpn != vpn || !world_pte_mapped(pte) || pte & WORLD_MIGRATION)
			continue;
		if (!world_grow(tracker->world, (void **)&tracker->migrations, sizeof(*tracker->migrations),
				&tracker->migrations_size, tracker->nr_migrations + 1ull))
			return;
		tracker->migrations[tracker->nr_migrations++] = (struct migration){ vpn, pfn, mm->id };
		world_set_flags(mm, vpn, WORLD_MIGRATION, 0);
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

/* Which entry at vpn comes back as pfn: the one that never left (it failed), else the one that left first. */
static bool find_migration(struct rf_tracker *tracker, u64 vpn, u64 pfn, struct migration *found)
{
	u32 best = UINT32_MAX;

	for (u32 i = 0; i < tracker->nr_migrations;) {
		struct migration *migration = &tracker->migrations[i];
		struct world_mm *mm = world_mm(tracker->world, migration->mm);
		world_pte pte = mm ? world_get(mm, migration->vpn) : 0;

		if (!(pte & WORLD_MIGRATION) || world_pte_pfn(pte) != migration->pfn) {
			/* Unmapped meanwhile. */
			tracker->nr_migrations--;
			memmove(migration, migration + 1, (tracker->nr_migrations - i) * sizeof(*migration));
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
	tracker->nr_migrations--;
	memmove(&tracker->migrations[best], &tracker->migrations[best + 1],
		(tracker->nr_migrations - best) * sizeof(*found));
	return true;
}

static void migration_remove(struct rf_tracker *tracker, u32 tid, u64 vpn, u64 pfn, u32 order, u64 flags)
{
	struct migration migration;
	struct world_mm *mm;
	struct world_vma *vma;
	world_pte pte, new;
	u64 old, cached;
	u16 op_flags;

	if (!find_migration(tracker, vpn, pfn, &migration)) {
		/* It never left: the split of a folio mapped by a PMD makes migration entries without an event. */
		if (order < folio_order(tracker->world, pfn) && is_followed(tracker, pfn))
			learn_split(tracker, pfn, order);
		return;
	}
	folio_set(tracker->world, folio_head(pfn, order), order);
	mm = world_mm(tracker->world, migration.mm);
	pte = world_get(mm, vpn);
	old = migration.pfn;
	new = world_mkpte(world_pte_kind(pte), pfn, pte & (WORLD_EXCLUSIVE | WORLD_LAZYFREE)) |
	      (flags & RF_PTE_WRITE ? WORLD_WRITE : 0);
	world_set(tracker->world, mm, vpn, new);
	if (pfn != old && world_pte_kind(pte) != WORLD_ANON) {
		vma = world_vma_find(mm, vpn << tracker->page_shift);
		if (vma && vma_cache_find(tracker, vma, vpn, &cached) && cached == old)
			vma_cache_set(tracker, vma, vpn, pfn);
	}
	op_flags = (world_pte_kind(pte) == WORLD_ANON ? RF_OP_ANON : 0) | (flags & RF_PTE_WRITE ? RF_OP_WRITE : 0) |
		   (pte & WORLD_EXCLUSIVE ? RF_OP_EXCLUSIVE : 0);
	emit_entry(tracker, RF_OP_MIGRATE_IN, mm, vpn, pfn, order, op_flags);
	if (!tracker->nr_migrations)
		advice_has_split(tracker, tid, mm);
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

/* enum scan_result */
#define SCAN_SUCCEED 1

/* ---- collapse ------------------------------------------------------------------------------------ */

/*
 * Which table: one that maps a page of the folio khugepaged looked at last. Of several address spaces (fork) it is the
 * task's own if it asked for the collapse, else the one known by this (hidden) mm pointer.
 */
static void collapse_place(struct rf_tracker *tracker, struct task *task, u64 pfn, u64 pointer)
{
	bool own = task->call.kind == RF_SYS_MADVISE && task->mm, found = false;
	u32 order = pfn < WORLD_INVENTED_PFN ? folio_order(tracker->world, pfn) : 0;
	u64 head = folio_head(pfn, order);
	struct world_mm *mm;

	for (u64 page = head; pfn < WORLD_INVENTED_PFN && page < head + BIT_ULL(order); page++) {
		const struct world_map *maps;
		size_t nr = rmap_collect(tracker->world, page, &maps);

		for (size_t i = 0; i < nr; i++) {
			mm = world_mm(tracker->world, maps[i].mm);
			if (!mm || (found && !(own && mm == task->mm) && !(pointer && mm->pointer == pointer)))
				continue;
			found = true;
			task->collapse_known = true;
			task->collapse_mm = maps[i].mm;
			task->collapse_vpn = ALIGN_DOWN(maps[i].vpn, BIT_ULL(tracker->pmd_order));
			if ((own && mm == task->mm) || (pointer && mm->pointer == pointer))
				return;
		}
	}
}

/* A page that only one address space maps tells whose this pointer is. */
static void learn_pointer(struct rf_tracker *tracker, u64 pfn, u64 pointer)
{
	const struct world_map *maps;
	struct world_mm *mm;

	if (pfn >= WORLD_INVENTED_PFN || !pointer || rmap_collect(tracker->world, pfn, &maps) != 1)
		return;
	mm = world_mm(tracker->world, maps[0].mm);
	if (mm)
		mm->pointer = pointer;
}

static void collapse(struct rf_tracker *tracker, struct task *task)
{
	struct world_mm *mm = world_mm(tracker->world, task->collapse_mm);
	u64 nr = BIT_ULL(tracker->pmd_order), vpn = task->collapse_vpn, flags = WORLD_EXCLUSIVE;
	struct world_vma *vma = mm ? world_vma_find(mm, vpn << tracker->page_shift) : NULL;
	struct task_alloc alloc;
	struct rf_op *op;

	if (!vma)
		return;
	if (!take_alloc(task, nr, &alloc) || alloc.order != tracker->pmd_order) {
		tracker->fidelity.anomalies.collapse_without_alloc++;
		alloc.pfn = world_invent_pfn(tracker->world, tracker->pmd_order);
	}
	settle_others(tracker, mm, NULL, tracker->time);
	folio_set(tracker->world, alloc.pfn, tracker->pmd_order);
	if (vma->flags & RF_VM_WRITE)
		flags |= WORLD_WRITE;
	for (u64 i = 0; i < nr; i++)
		world_set(tracker->world, mm, vpn + i, world_mkpte(WORLD_ANON, alloc.pfn + i, flags));
	op = emit(tracker, RF_OP_COLLAPSE, mm);
	op->addr = vpn << tracker->page_shift;
	op->pfn = alloc.pfn;
	op->order = (u8)tracker->pmd_order;
	op->nr = (u32)nr;
}

void on_collapse(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	switch (record.kind) {
	case RF_COLLAPSE_SCAN:
		/* Told at its end, when a collapse that it led to is done and its pages may be only others'. */
		task->collapse_known = false;
		if (record.f[2] != SCAN_SUCCEED)
			learn_pointer(tracker, record.f[1], record.f[0]);
		break;
	case RF_COLLAPSE_ISOLATE:
		task->collapse_known = false;
		task->collapse_pfn = record.f[0];
		collapse_place(tracker, task, record.f[0], 0);
		break;
	case RF_COLLAPSE:
		if (record.f[1] == SCAN_SUCCEED)
			collapse_place(tracker, task, task->collapse_pfn, record.f[0]);
		if (record.f[1] == SCAN_SUCCEED && task->collapse_known)
			collapse(tracker, task);
		task->collapse_known = false;
		task->nr_allocs = 0;
		break;
	}
}

/* Which entry now maps the shared page is not told. */
void on_ksm_merge(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	const struct world_map *maps;
	size_t nr = record.f[0] < WORLD_INVENTED_PFN ? rmap_collect(tracker->world, record.f[0], &maps) : 0;

	if (record.f[3])
		return;
	for (size_t i = 0; i < nr; i++)
		mark_inexact(tracker, world_mm(tracker->world, maps[i].mm));
}
