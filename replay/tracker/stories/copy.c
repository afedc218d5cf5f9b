// SPDX-License-Identifier: MIT
/*
 * Was the page that a task allocated after a write fault the copy that the fault made? A copy of an anonymous page
 * leaves no record but the allocation; a page reused leaves none at all, and then the allocation is for something else:
 * write(2) to tmpfs, say.
 */
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/fault.h"

/* An allocation this soon after a fault is the fault's, unless the page was the task's alone. */
#define COPY_NS 200000
/* If others had the page when the fault began, and have gone since: the fault waits no longer for a page of its own. */
#define CONTENDED_NS 10000000

/*
 * flush_tlb_func(): all, where another CPU flushes the same address space, whose generation it catches up with. So does
 * an IPI that was meant for the one before on this CPU, before the flush of its own, of which nothing is left to tell:
 * nobody else changes the generation of an address space with one user.
 */
static bool is_copys_flush(const struct task *task, const struct rf_record *flush)
{
	bool all = flush->f[1] == RF_TLB_ALL;

	if (flush->f[0] == RF_TLB_REMOTE)
		return all && task->mm->users == 1;
	return flush->f[0] >= RF_TLB_LOCAL && flush->f[0] <= RF_TLB_REMOTE_SEND && (flush->f[1] == 1 || all);
}

/*
 * wp_page_copy() goes on with an RSS change (of what was not anonymous) and the flush of ptep_clear_flush(), where
 * flushes are recorded.
 */
static bool is_flushed(struct rf_tracker *tracker, const struct task *task, world_pte old)
{
	const struct rf_record *next;
	size_t i = 0;

	while ((next = next_of(tracker, task->tid, &i))) {
		switch (next->kind) {
		case RF_TLB_FLUSH:
			if (is_copys_flush(task, next))
				return true;
			break;
		case RF_RSS_STAT:
		case RF_RSS_CHANGE:
			if (own_rss(next) != RF_RSS_MEMBERS && world_pte_kind(old) != WORLD_ANON)
				return true;
			break;
		case RF_PAGE_ALLOC:
			if (is_user_alloc(next->f[2]))
				return false;
			break;
		case RF_PAGE_FREE:
		case RF_SWAP_WRITE:
		case RF_CACHE_DELETE:
			break;	/* reclaim, to make room for the page */
		default:
			return false;
		}
	}
	return true;		/* not in sight */
}

bool is_shared(struct rf_tracker *tracker, const struct tracked_mm *mm, world_pte pte)
{
	u32 order = folio_order(tracker->world, world_pte_pfn(pte));
	u64 pfn = folio_head(world_pte_pfn(pte), order);
	const struct world_map *maps;

	for (u64 i = 0; i < BIT_ULL(order); i++) {
		size_t nr = rmap_collect(tracker->world, pfn + i, &maps);

		for (size_t m = 0; m < nr; m++)
			if (maps[m].mm != mm->world.id)
				return true;
	}
	return false;
}

/* wp_can_reuse_anon_folio(): before 6.15 no large folio, unless the page is known to be exclusive. */
bool is_reusable(struct rf_tracker *tracker, const struct tracked_mm *mm, world_pte pte)
{
	if (world_pte_kind(pte) != WORLD_ANON)
		return false;
	if (pte & WORLD_EXCLUSIVE)
		return true;
	return (tracker->reuses_large || !folio_order(tracker->world, world_pte_pfn(pte))) &&
	       !is_shared(tracker, mm, pte);
}

void note_copy(struct rf_tracker *tracker, const struct task *task)
{
	if (tracker->copies.by != task)
		tracker->copies.others_at = tracker->copies.at;
	tracker->copies.by = task;
	tracker->copies.at = tracker->time;
}

/* Has any other task copied a page so lately that it may hold on to what it copied? Most of the time none has. */
static bool others_copy(const struct rf_tracker *tracker, const struct task *task)
{
	u64 at = tracker->copies.by == task ? tracker->copies.others_at : tracker->copies.at;

	return tracker->time - at < COPY_NS;
}

bool is_contended(struct rf_tracker *tracker, const struct task *task)
{
	const u16 access = RF_FAULT_PRESENT | RF_FAULT_WRITE;
	world_pte pte = world_get(&task->mm->world, task->fault.vpn);

	if ((task->fault.flags & access) != access || world_pte_kind(pte) != WORLD_ANON)
		return false;
	if (!is_reusable(tracker, task->mm, pte))
		return true;
	if (!others_copy(tracker, task))
		return false;
	/* It allocates the copy, then lets go of the page. */
	for (const struct task *other = tracker->running; other; other = other->running_next)
		if (other != task && other->fault.stage == FAULT_COPIED &&
		    tracker->time - other->fault.copied_at < COPY_NS &&
		    world_pte_pfn(other->fault.replaced) == world_pte_pfn(pte))
			return true;
	return false;
}

bool is_copied(struct rf_tracker *tracker, const struct task *task, world_pte old, u64 pfn)
{
	if (enters_page_cache(tracker, task->tid, pfn))
		return false;
	if (tracker->have_flushes)
		return is_flushed(tracker, task, old);
	if (old & WORLD_EXCLUSIVE)
		return false;
	if (!is_reusable(tracker, task->mm, old))
		return true;
	return tracker->time - task->fault.time < (task->fault.contended ? CONTENDED_NS : COPY_NS);
}
