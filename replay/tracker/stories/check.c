// SPDX-License-Identifier: MIT
/*
 * Each fault is an assertion on the entry it hit: the hardware's error code says
 * whether it was present, and that it was not writable. What contradicts the model
 * is explained where a known gap of the records explains it, and repaired.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/fault.h"

/* The model held the entry empty, the hardware found it present: something no record told, most often GUP. */
static void adopt_unseen(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn)
{
	if (vma->flags & (RF_VM_SPECIAL | RF_VM_PFNMAP | RF_VM_HUGETLB))
		return;
	if (vma->file)
		map_file_page(tracker, mm, vma, vpn, 1, vma->flags & RF_VM_SHMEM, false,
			      RF_OP_POPULATE | RF_OP_INFERRED);
	else
		set_anon(tracker, mm, vma, vpn, world_invent_pfn(tracker->world, 0), 0,
			 RF_OP_POPULATE | RF_OP_INFERRED);
	/* Whatever it is, it was not writable: the fault says so. */
	world_set_flags(tracker->world, &mm->world, vpn, 1, 0, WORLD_WRITE);
}

bool check_write_protected(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte)
{
	const struct world_vma *vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
	bool explained = false;

	if (was_recent(tracker, mm, vpn))
		return true;
	explained = pte & WORLD_GUESSED;
	if (vma && vma->flags & RF_VM_SHARED && world_pte_kind(pte) == WORLD_FILE) {
		/* By writeback, which no record tells. */
		make_clean(tracker, mm, vpn, pte, RF_OP_INFERRED);
		tracker->fidelity.inferred.mkclean++;
		explained = true;
	}
	world_set_flags(tracker->world, &mm->world, vpn, 1, 0,
			WORLD_WRITE | WORLD_GUESSED | (pte & WORLD_GUESSED ? WORLD_EXCLUSIVE : 0));
	return explained;
}

/*
 * dup_mmap() write-protects page by page; here all are at its end. A fault on one waits for the lock of its VMA until
 * then, and tells nothing before.
 */
static bool waits_for_fork(struct rf_tracker *tracker, const struct task *task)
{
	const struct tracked_mm *mm = task->mm;
	u64 fork_at = 0;
	size_t ahead;

	for (const struct task *other = mm->users > 1 ? mm->tasks : NULL; other; other = other->mm_next)
		if (other->call.kind == RF_SYS_CLONE)
			fork_at = max_u64(fork_at, other->fork_at);
	if (fork_at <= tracker->record)
		return false;
	return !next_of_fault(tracker, task->tid, &ahead) || tracker->record + 1 + ahead > fork_at;
}

static bool check_present(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, u64 vpn, bool write)
{
	struct tracked_mm *mm = task->mm;
	world_pte pte = world_get(&mm->world, vpn);

	if (!world_pte_present(pte)) {
		settle_others(tracker, mm, task, tracker->time);
		pte = world_get(&mm->world, vpn);
	}
	if (!world_pte_present(pte)) {
		if (vma)
			adopt_unseen(tracker, mm, vma, vpn);
		return false;
	}
	return !write || !(pte & WORLD_WRITE) || waits_for_fork(tracker, task) ||
	       check_write_protected(tracker, mm, vpn, pte);
}

/*
 * The entry was there by the time the kernel looked: a fault that maps something changes a counter. Between the fault
 * and its record the CPU may have been somewhere else, a virtual one for milliseconds.
 */
static bool changes_nothing(struct rf_tracker *tracker, const struct task *task)
{
	const struct rf_record *next;
	size_t i = 0;

	while ((next = next_of(tracker, task->tid, &i))) {
		switch (next->kind) {
		case RF_RSS_STAT:
		case RF_RSS_CHANGE:
			if (own_rss(next) != RF_RSS_MEMBERS)
				return false;
			break;
		case RF_PAGE_ALLOC:
		case RF_PAGE_FREE:
		case RF_TLB_FLUSH:
			break;
		default:
			return true;
		}
	}
	return false;		/* not in sight */
}

static bool check_missing(struct rf_tracker *tracker, struct task *task, u64 vpn)
{
	static const u8 member_of_kind[] = { [WORLD_ANON] = RF_RSS_ANON, [WORLD_SHMEM] = RF_RSS_SHMEM };
	struct tracked_mm *mm = task->mm;
	world_pte pte = world_get(&mm->world, vpn);
	enum world_kind kind = world_pte_kind(pte);
	bool reclaimed;

	if (!world_pte_present(pte) || was_recent(tracker, mm, vpn))
		return true;
	reclaimed = pte & WORLD_DOUBT ||
		    (kind < ARRAY_SIZE(member_of_kind) && mm->unmapped[member_of_kind[kind]]);
	if (!reclaimed && mm->users > 1 && changes_nothing(tracker, task))
		return true;
	unmap_unseen(tracker, mm, vpn, pte);
	return reclaimed;
}

void check_fault(struct rf_tracker *tracker, struct task *task, u64 vpn, u16 flags)
{
	struct world_vma *vma = world_vma_find(&task->mm->world, vpn << tracker->page_shift);
	bool ok;

	if (task->mm->settling || !vma || vma->implicit)
		return;
	/* pte_protnone() is present to the kernel and not to the hardware. */
	if (!(vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)) || vma->flags & (RF_VM_HUGETLB | RF_VM_PFNMAP))
		return;
	if (flags & RF_FAULT_PRESENT)
		ok = check_present(tracker, task, vma, vpn, flags & RF_FAULT_WRITE);
	else
		ok = check_missing(tracker, task, vpn);
	if (ok)
		tracker->fidelity.fault_checks_ok++;
	else
		mark_mm(tracker, task->mm, RF_REASON_fault_differs);
}
