// SPDX-License-Identifier: MIT
/* What the records inside an open fault tell: allocations, and the RSS change that commits it. */
#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"

/*
 * Only the model says that the entry holds a page of a file. Had it been there, a copy would say next that this page is
 * gone; do_cow_fault(), which fills an empty entry, looks for it in the page cache, and may begin again for that.
 */
static bool was_empty(struct rf_tracker *tracker, const struct task *task)
{
	const struct task_fault *fault = &task->fault;
	enum world_kind kind = world_pte_kind(world_get(&task->mm->world, fault->vpn));
	const struct rf_record *next;
	size_t i = 0;

	if (!(fault->flags & RF_FAULT_UNKNOWN) || fault->stage != FAULT_OPEN ||
	    (kind != WORLD_FILE && kind != WORLD_SHMEM))
		return false;
	next = next_of(tracker, task->tid, &i);
	if (!next)
		return false;
	if (next->kind == RF_FAULT)
		return vpn_of(tracker, next->f[0]) == fault->vpn;
	return next->kind == RF_FILEMAP_FAULT || own_rss(next) == RF_RSS_ANON;
}

/*
 * The fault found nothing, and waited while another thread mapped the page and fork() made it read-only: do_wp_page().
 * What do_anonymous_page() allocates is zeroed, and whether it is do_cow_fault() for a page of a file, a flush tells.
 */
static bool came_meanwhile(const struct rf_tracker *tracker, const struct task *task, u64 gfp)
{
	world_pte pte = world_get(&task->mm->world, task->fault.vpn);

	return task->fault.flags & RF_FAULT_WRITE && !(gfp & RF_GFP_ZERO) && world_pte_present(pte) &&
	       (tracker->have_flushes || world_pte_kind(pte) == WORLD_ANON);
}

static bool may_copy(const struct rf_tracker *tracker, const struct task *task, u64 gfp)
{
	const struct task_fault *fault = &task->fault;

	if (!fault_pending(fault))
		return fault->swapped_in && fault->flags & (RF_FAULT_WRITE | RF_FAULT_UNKNOWN);
	if (!(fault->flags & RF_FAULT_PRESENT))
		return came_meanwhile(tracker, task, gfp);
	return fault->flags & (RF_FAULT_WRITE | RF_FAULT_UNKNOWN);
}

bool fault_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order, u64 gfp)
{
	struct task_fault *fault = &task->fault;
	struct tracked_mm *mm = task->mm;
	struct world_vma *vma;
	world_pte pte;

	if (!mm || fault->stage == FAULT_COPIED || order)
		return false;
	if (was_empty(tracker, task)) {
		unmap_unseen(tracker, mm, fault->vpn, world_get(&mm->world, fault->vpn));
		fault_found_none(fault);
		return false;
	}
	if (!may_copy(tracker, task, gfp))
		return false;
	vma = fault->flags & RF_FAULT_WRITE ? written_vma(tracker, mm, fault->addr)
					    : world_vma_find(&mm->world, fault->addr);
	pte = fault->stage == FAULT_GUESSED ? fault->replaced : world_get(&mm->world, fault->vpn);
	if (!vma || !is_private_writable(vma) || !world_pte_present(world_get(&mm->world, fault->vpn)) ||
	    pte & WORLD_WRITE)
		return false;
	if (!is_copied(tracker, task, pte, pfn))
		return false;
	fault_copied(fault, pte, pfn, tracker->time);
	note_copy(tracker, task);
	task->flush_due = true;
	copy_page(tracker, mm, vma, fault->vpn, pfn, 0);
	return true;
}

/* wp_page_copy() lost a race and threw its page away. */
void fault_page_freed(struct rf_tracker *tracker, struct task *task, u64 pfn)
{
	struct task_fault *fault = &task->fault;
	world_pte now;

	if (fault->stage != FAULT_COPIED || fault->copied_pfn != pfn || !task->mm)
		return;
	now = world_get(&task->mm->world, fault->vpn);
	if (world_pte_kind(now) != WORLD_ANON || world_pte_pfn(now) != pfn)
		return;
	world_set(tracker->world, &task->mm->world, fault->vpn, fault->replaced);
	task->flush_due = false;
}

static void fault_anon(struct rf_tracker *tracker, struct task *task, s64 delta)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);
	world_pte pte = world_get(&task->mm->world, fault->vpn);
	struct task_alloc alloc;
	u16 flags = 0;

	if (!vma)
		return;
	if (world_pte_kind(pte) == WORLD_SWAP) {
		fault_swap_in(tracker, task, vma, pte, delta);
		return;
	}
	if (!take_alloc(task, delta > 0 ? (u64)delta : 1, &alloc)) {
		if (fault->stage == FAULT_COPIED || delta <= 0)
			return;		/* the RSS side of a copy */
		alloc.order = (u32)(63 - __builtin_clzll((u64)delta));
		if (alloc.order > tracker->pmd_order)
			alloc.order = tracker->pmd_order;
		alloc.pfn = world_invent_pfn(tracker->world, alloc.order);
		mark_mm(tracker, task->mm, RF_REASON_order_from_rss);
		if (tracker->have_allocs)
			mark_mm(tracker, task->mm, RF_REASON_rss_without_alloc);
		flags = RF_OP_INFERRED;
	} else if (delta != (s64)BIT_ULL(alloc.order) && task->mm->users == 1) {
		mark_mm(tracker, task->mm, RF_REASON_rss_order_mismatch);
	}
	fault_applied(fault);
	task->nr_allocs = 0;
	uffd_wakes(tracker, task->mm, vma, fault->vpn);
	/* wp_page_copy() of the zero page, which came there while the fault waited. */
	task->flush_due |= world_pte_present(world_get(&task->mm->world, fault->vpn));
	if (alloc.order) {
		u64 start = ALIGN_DOWN(fault->vpn, BIT_ULL(alloc.order)) << tracker->page_shift;
		u64 end = start + (BIT_ULL(alloc.order) << tracker->page_shift);

		maps_overtaken(tracker, task, start, end);
		vmas_as_faulted(tracker, task->mm, start, end);
		vma = fault_vma(tracker, task->mm, fault->addr);
	}
	set_anon(tracker, task->mm, vma, fault->vpn, alloc.pfn, alloc.order, flags);
}

static void fault_shmem(struct rf_tracker *tracker, struct task *task, s64 delta)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);
	struct task_alloc alloc;
	u64 pfn;

	if (!vma)
		return;
	learn_shmem(tracker, task->mm, vma);
	if (delta && take_alloc(task, (u64)delta, &alloc)) {
		shmem_add(tracker, vma, fault->vpn, alloc.pfn, alloc.order);
	} else if (delta != 1 || next_is(tracker, task->tid, RF_MAP_PAGES) ||
		   (!vma_cache_find(tracker, vma, fault->vpn, &pfn) && !shmem_swap_in(tracker, vma, fault->vpn))) {
		/* Fault-around over pages that are there, or a page that was there before the recording. */
		fault_wait_for_place(task, RF_RSS_SHMEM, delta);
		return;
	}
	fault_applied(fault);
	map_file_page(tracker, task->mm, vma, fault->vpn, delta, true, fault->flags & RF_FAULT_WRITE, 0);
}

/* wp_huge_pmd() of a private mapping: the fault goes on with an empty entry, do_cow_fault(). */
bool fault_splits_pmd(struct rf_tracker *tracker, struct task *task, u8 member)
{
	struct task_fault *fault = &task->fault;

	if (!fault_pending(fault) || (member != RF_RSS_FILE && member != RF_RSS_SHMEM) ||
	    !split_file_pmd(tracker, task->mm, fault->vpn))
		return false;
	fault_found_none(fault);
	return true;
}

/* More will tell what the fault does: it begins again when a page has been read, or goes on to its own page. */
static bool fault_goes_on(struct rf_tracker *tracker, const struct task *task, u8 member)
{
	const struct rf_record *next;
	u32 ahead = task->counted_ahead;
	size_t i = 0;

	while ((next = next_of(tracker, task->tid, &i))) {
		switch (next->kind) {
		case RF_RSS_CHANGE:
			if (!ahead)
				return next->f[0] == member && (s64)next->f[1] > 0;
			ahead--;
			break;
		case RF_FAULT:
			return next->f[1] & RF_FAULT_RETRY && vpn_of(tracker, next->f[0]) == task->fault.vpn;
		case RF_PAGE_ALLOC:
		case RF_PAGE_FREE:
		case RF_CACHE_DELETE:
			break;
		default:
			return false;
		}
	}
	return false;
}

/*
 * A kernel that counts page by page tells neither the window of fault-around nor where it ends: what it mapped is what
 * was counted in a row, and, unless the fault goes on, its own page is one of them.
 */
static void fault_pages(struct rf_tracker *tracker, struct task *task, u8 member, s64 nr)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);
	bool shmem = member == RF_RSS_SHMEM, goes_on = fault_goes_on(tracker, task, member);
	struct task_alloc alloc;
	u64 first, last, pfn;

	if (!vma)
		return;
	if (shmem && !goes_on && take_alloc(task, 1, &alloc))
		shmem_add(tracker, vma, fault->vpn, alloc.pfn, alloc.order);
	else if (shmem && !goes_on && !vma_cache_find(tracker, vma, fault->vpn, &pfn))
		shmem_swap_in(tracker, vma, fault->vpn);
	if (!goes_on)
		fault_applied(fault);
	if (nr == 1 && !goes_on) {
		map_file_page(tracker, task->mm, vma, fault->vpn, nr, shmem, fault->flags & RF_FAULT_WRITE, 0);
		return;
	}
	fault_around_window(tracker, vma, fault->vpn, &first, &last);
	map_file_range(tracker, task->mm, vma, fault->vpn, goes_on ? fault->vpn : ~0ull, first, last, nr, shmem, 0);
}

void fault_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	struct task_fault *fault = &task->fault;

	if (tracker->batches_rss && (member == RF_RSS_FILE || member == RF_RSS_SHMEM) && delta > 0 &&
	    delta != (s64)BIT_ULL(tracker->pmd_order) && fault->stage != FAULT_COPIED) {
		fault_pages(tracker, task, member, delta);
		return;
	}
	switch (member) {
	case RF_RSS_ANON:
		/* 0: two threads' changes cancelled each other. */
		if (delta > 0 || (!delta && task->mm->users > 1 && task->nr_allocs &&
				  !(fault->flags & RF_FAULT_PRESENT)))
			fault_anon(tracker, task, delta);
		break;
	case RF_RSS_FILE:
		if (delta < 0 || fault->stage == FAULT_COPIED)
			break;
		/* After a read the fault is retried as a whole, and fault-around may now find the page. */
		if (fault->filemap != FILE_NOT_SEEN && delta > 0 && !next_is(tracker, task->tid, RF_MAP_PAGES)) {
			struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);

			fault_applied(fault);
			if (vma)
				map_file_page(tracker, task->mm, vma, fault->vpn, delta, false,
					      fault->flags & RF_FAULT_WRITE, 0);
			break;
		}
		fault_wait_for_place(task, RF_RSS_FILE, delta);
		break;
	case RF_RSS_SHMEM:
		if (delta >= 0 && fault->stage != FAULT_COPIED)
			fault_shmem(tracker, task, delta);
		break;
	}
}
