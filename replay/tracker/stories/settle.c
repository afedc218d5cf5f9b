// SPDX-License-Identifier: MIT
/*
 * Page faults that nothing more will tell of. One that ends without a record of what it did has mapped the zero page,
 * made an entry writable, or nothing. Unmapping decides those of other threads first: what they did belongs before it.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/gup.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/rss.h"

void fault_none(struct rf_tracker *tracker, struct task *task)
{
	struct rf_op *op = emit(tracker, RF_OP_FAULT_NONE, task->mm);

	op->addr = task->fault.vpn << tracker->page_shift;
	op->flags = task->fault.flags & RF_FAULT_WRITE ? RF_OP_WRITE : 0;
}

/* wp_page_reuse(): a write fault on a present entry that allocated nothing. */
static void settle_write(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte)
{
	struct task_fault *fault = &task->fault;
	struct rf_op *op;

	if (!vma || !(vma->flags & RF_VM_WRITE) || !world_pte_present(pte) || pte & WORLD_WRITE) {
		fault_none(tracker, task);
		return;
	}
	if (!(vma->flags & RF_VM_SHARED) && world_pte_kind(pte) != WORLD_ANON) {
		/* Page cache and zero page are never reused: a copy whose allocation no record told. */
		if (tracker->have_allocs) {
			fault_none(tracker, task);
			return;
		}
		mark_mm(tracker, task->mm, RF_REASON_page_unknown);
		copy_page(tracker, task->mm, vma, fault->vpn, world_invent_pfn(tracker->world, 0), RF_OP_INFERRED);
		return;
	}
	/* It waits for whoever has the userfaultfd, and finds what he has done. */
	if (pte & WORLD_UFFD_WP && !(task->mm->uffd_features & UFFD_FEATURE_WP_ASYNC)) {
		fault_none(tracker, task);
		return;
	}
	if (!(vma->flags & RF_VM_SHARED || pte & WORLD_EXCLUSIVE) && tracker->have_allocs &&
	    is_shared(tracker, task->mm, pte))
		mark_mm(tracker, task->mm, RF_REASON_copy_untold);
	world_set_flags(tracker->world, &task->mm->world, fault->vpn, 1,
			WORLD_WRITE | (vma->flags & RF_VM_SHARED ? 0 : WORLD_EXCLUSIVE),
			WORLD_LAZYFREE | WORLD_UFFD_WP);
	note_recent(tracker, task->mm, fault->vpn, 1);
	tracker->fidelity.inferred.reuse++;
	op = emit(tracker, RF_OP_FAULT_REUSE, task->mm);
	op->addr = fault->vpn << tracker->page_shift;
	op->nr = 1;
	op->flags = RF_OP_WRITE;
}

/* vvar: vmf_insert_pfn(), which no counter sees. */
static void settle_special(struct rf_tracker *tracker, struct task *task, struct world_vma *vma)
{
	static const u8 what_of_name[] = {
		[RF_VMA_VVAR] = RF_KERNEL_PAGE_VVAR,
		[RF_VMA_VVAR_VCLOCK] = RF_KERNEL_PAGE_VVAR_VCLOCK,
	};
	struct task_fault *fault = &task->fault;
	u64 index = fault->vpn - vpn_of(tracker, vma->start), pfn;
	struct rf_op *op;

	if (vma->name != RF_VMA_VVAR && vma->name != RF_VMA_VVAR_VCLOCK) {
		fault_none(tracker, task);
		return;
	}
	if (!kernel_page(tracker, what_of_name[vma->name], index, &pfn))
		pfn = world_invent_pfn(tracker->world, 0);	/* pagemap hides it; nothing depends on it */
	world_set(tracker->world, &task->mm->world, fault->vpn, world_mkpte(WORLD_SPECIAL, pfn, 0));
	op = emit(tracker, RF_OP_FAULT_FILE, task->mm);
	op->addr = op->aux = fault->vpn << tracker->page_shift;
	op->nr = 1;
	op->pfn = pfn;
	op->flags = RF_OP_FIRST | RF_OP_INFERRED;
}

/*
 * A file that is not like /dev/zero. Those of a disk are none, whose file system has a device with a major number: what
 * lies behind their end is SIGBUS, and is told no more than a zero page is.
 */
static bool has_content(const struct world_file *file)
{
	return file->cached || file->provisional || file->dev >> WORLD_MINOR_BITS;
}

/* do_anonymous_page(): no file, or one like /dev/zero. */
static bool reads_as_zero(const struct rf_tracker *tracker, const struct world_vma *vma)
{
	const struct world_file *file = file_get(tracker->world, vma->file);
	bool missing = vma->attributes & RF_ATTRIBUTES_UFFD ? vma->attributes & RF_ATTRIBUTE_UFFD_MISSING
							  : vma->flags & RF_VM_UFFD;

	/* Where a userfaultfd waits for missing pages, a fault is somebody else's to resolve. */
	if (vma->flags & (RF_VM_SHARED | RF_VM_HUGETLB) || missing || tracker->no_zero_page)
		return false;
	return vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC) && !(file && has_content(file));
}

static void settle_missing(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte)
{
	struct task_fault *fault = &task->fault;

	if (pte || fault->filemap != FILE_NOT_SEEN || fault->flags & RF_FAULT_WRITE) {
		fault_none(tracker, task);
	} else if (vma && vma->flags & (RF_VM_SPECIAL | RF_VM_PFNMAP)) {
		settle_special(tracker, task, vma);
	} else if (vma && reads_as_zero(tracker, vma)) {
		set_zero(tracker, task->mm, vma, fault->vpn, 0);
	} else {
		fault_none(tracker, task);
	}
}

/* Where no error code tells what access it was, one that the mapping permits. */
static u16 fault_access(const struct task_fault *fault, const struct world_vma *vma)
{
	const u16 guessed = fault->flags & (RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN);

	if (guessed == RF_FAULT_UNKNOWN)
		return vma->flags & RF_VM_WRITE ? RF_OP_WRITE | RF_OP_INFERRED : RF_OP_INFERRED;
	return fault->flags & RF_FAULT_WRITE ? RF_OP_WRITE : 0;
}

static void settle_open(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma;
	world_pte pte;

	fault_applied(fault);
	vma = world_vma_find(&task->mm->world, fault->addr);
	if (vma && vma->flags & RF_VM_HUGETLB) {
		fault_hugetlb(tracker, task->mm, vma, fault->addr, fault_access(fault, vma));
		return;
	}
	if (fault_waits(fault)) {
		fault_placed(task);
		if (fault->delta > 0) {
			if (!vma)
				vma = fault_vma(tracker, task->mm, fault->addr);
			if (vma)
				map_file_page(tracker, task->mm, vma, fault->vpn, fault->delta,
					      fault->member == RF_RSS_SHMEM, fault->flags & RF_FAULT_WRITE, 0);
			return;
		}
	}
	if (!vma && !(fault->flags & RF_FAULT_PRESENT)) {
		/* The stack grows by a read too; anything else is a wild address, or the VMA was never told. */
		vma = world_vma_next(&task->mm->world, fault->addr);
		if (!tracker->have_side_band ||
		    (vma && vma->flags & RF_VM_GROWSDOWN && vma->start - fault->addr < BIT_ULL(20)))
			vma = fault_vma(tracker, task->mm, fault->addr);
		else
			vma = NULL;
	}
	pte = world_get(&task->mm->world, fault->vpn);
	if (fault->flags & RF_FAULT_PRESENT && fault->flags & RF_FAULT_WRITE)
		settle_write(tracker, task, written_vma(tracker, task->mm, fault->addr), pte);
	else if (fault->flags & RF_FAULT_PRESENT)
		fault_none(tracker, task);
	else
		settle_missing(tracker, task, vma, pte);
}

/* Nothing more will tell what the fault did. */
static void settle(struct rf_tracker *tracker, struct task *task)
{
	struct rf_told began;

	if (task->fault.stage != FAULT_OPEN || !task->mm)
		return;
	began = tracker->cause.began;
	tracker->cause.began = task->fault_told;
	settle_open(tracker, task);
	tracker->cause.began = began;
}

void fault_close(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault *fault = &task->fault;

	if (!fault_is_open(fault))
		return;
	settle(tracker, task);
	/* A swap-in for write that stayed read-only and copied nothing ended in do_wp_page() reusing the page. */
	if (task->mm && fault->swapped_in && fault->flags & RF_FAULT_WRITE && fault->stage != FAULT_COPIED &&
	    world_pte_kind(world_get(&task->mm->world, fault->vpn)) == WORLD_ANON)
		world_set_flags(tracker->world, &task->mm->world, fault->vpn, 1, WORLD_WRITE | WORLD_EXCLUSIVE, 0);
	fault_over(task);
	if (task->mm)
		check_rss(tracker, task->mm);
}

/* ---- at the end ------------------------------------------------------------------------------ */

/* A write to a page that others map, too, copies it: its record is still to come. */
static bool is_silent(struct rf_tracker *tracker, const struct task *task)
{
	const u8 access = RF_FAULT_PRESENT | RF_FAULT_WRITE;
	const struct world_vma *vma = world_vma_find(&task->mm->world, task->fault.addr);

	if ((task->fault.flags & access) != access || !tracker->have_allocs || (vma && vma->flags & RF_VM_SHARED))
		return true;
	return is_reusable(tracker, task->mm, world_get(&task->mm->world, task->fault.vpn));
}

void fault_ends(struct rf_tracker *tracker, struct task *task)
{
	if (task->mm && task->fault.stage == FAULT_OPEN && !is_silent(tracker, task))
		fault_over(task);
	else
		fault_close(tracker, task);
}

/* ---- early ----------------------------------------------------------------------------------- */

/* A fault younger than this is taken to be still in the kernel. */
#define IN_FLIGHT_NS 5000

/*
 * The task has not gone on yet, so more may come; but what leaves no record (reuse, the zero page) has most likely
 * happened. If it has not, the record that says so is believed.
 */
static void settle_early(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault *fault = &task->fault;
	u8 access = fault->flags & (RF_FAULT_PRESENT | RF_FAULT_WRITE);
	const struct world_vma *vma;
	world_pte replaced;

	if (fault_waits(fault) || fault->filemap != FILE_NOT_SEEN || tracker->time - fault->time < IN_FLIGHT_NS)
		return;
	/* A huge page of hugetlb is in no counter: its fault leaves no other record. */
	vma = world_vma_find(&task->mm->world, fault->addr);
	if (access != (RF_FAULT_PRESENT | RF_FAULT_WRITE) && access && !(vma && vma->flags & RF_VM_HUGETLB))
		return;
	replaced = world_get(&task->mm->world, fault->vpn);
	/* It waits for a fork, or another thread was faster: that can be told when it is over. */
	if (access && (replaced & WORLD_WRITE || !is_silent(tracker, task)))
		return;
	settle(tracker, task);
	fault_guessed(fault, replaced);
}

void settle_others(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *except, u64 time)
{
	if (mm->users < 2 && (!except || except->mm == mm))
		return;
	for (struct task *task = mm->tasks; task; task = task->mm_next)
		if (task != except && task->fault.stage == FAULT_OPEN && task->fault.time < time)
			settle_early(tracker, task);
}

/* The task's next record is not one of its open fault: what that did, it did without one. */
static bool is_silently_over(struct rf_tracker *tracker, const struct task *task)
{
	size_t ahead;
	const struct rf_record *next = next_of_fault(tracker, task->tid, &ahead);

	return next && next->kind != RF_PAGE_ALLOC && next->kind != RF_RSS_STAT && next->kind != RF_MAP_PAGES &&
	       next->kind != RF_FILEMAP_FAULT;
}

void settle_before_fork(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task)
{
	const u8 access = RF_FAULT_PRESENT | RF_FAULT_WRITE;

	for (struct task *other = mm->users > 1 ? mm->tasks : NULL; other; other = other->mm_next) {
		if (other == task || other->fault.stage != FAULT_OPEN)
			continue;
		if ((other->fault.flags & access) == access && is_silent(tracker, other) &&
		    is_silently_over(tracker, other))
			settle(tracker, other);
		else if (other->fault.time < task->call.time)
			settle_early(tracker, other);
	}
}

void settle_all(struct rf_tracker *tracker)
{
	for (struct task *task = tracker->running; task; task = task->running_next)
		if (task->fault.stage == FAULT_OPEN)
			settle_early(tracker, task);
}

/* ---- what depends on it ---------------------------------------------------------------------- */

void settle_unmap(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task, u64 start, u64 end,
		  u8 why)
{
	if (start >= end)
		return;
	settle_others(tracker, mm, task, tracker->time);
	unmap_range(tracker, mm, task, start, end, why);
}

/* The kernel unmaps what MAP_FIXED hits, entries or not. */
struct world_vma *map_over(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u8 why)
{
	if (vma->end <= tracker->address_limit && world_vma_overlaps(&mm->world, vma->start, vma->end))
		settle_unmap(tracker, mm, NULL, vma->start, vma->end, why);
	return map_vma(tracker, mm, vma);
}
