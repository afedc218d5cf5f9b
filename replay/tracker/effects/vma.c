// SPDX-License-Identifier: MIT
/*
 * VMAs made, changed and unmapped. Whoever unmaps has decided the open faults of other threads before
 * (stories/settle.c): what they did belongs before it.
 */
#include "replay/tracker/effects/vma.h"

#include "engine/ops.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"

/* Has another thread a gather open? Surely: its madvise(), from its first RSS change on. Maybe: who is in a call. */
static bool others_gather(const struct tracked_mm *mm, const struct task *task, bool surely)
{
	const struct task *other;

	for (other = mm->callers ? mm->tasks : NULL; other; other = other->mm_next)
		if (other != task && other->call.kind &&
		    (!surely || (other->call.stage == CALL_ZAPPED && (other->call.kind == RF_SYS_MADVISE ||
								      other->call.kind == RF_SYS_PROCESS_MADVISE))))
			return true;
	return false;
}

/* The last flush of the call that the task is in, or returns from. */
static enum flush_extent flush_of_call(struct rf_tracker *tracker, const struct task *task)
{
	enum flush_extent flush = task->call.flushed;
	const struct rf_record *next;
	size_t i = 0;

	while ((next = next_of(tracker, task->tid, &i))) {
		switch (next->kind) {
		case RF_TLB_FLUSH:
			if (is_own_flush(next))
				flush = flush_extent(next);
			break;
		case RF_RSS_STAT:
		case RF_PAGE_FREE:
			break;
		case RF_SYS_RET:
			return flush;
		default:
			return task->call.flushed;	/* it has returned */
		}
	}
	return flush;
}

static void note_present(void *context, u64 vpn, world_pte pte)
{
	bool *any = context;

	(void)vpn;
	*any |= world_pte_present(pte);
}

/* tlb_single_page_flush_ceiling: x86 flushes more pages than that as all. */
#define FLUSHED_BY_PAGE 33

/* All was flushed: would it have been, had no other gather been open? Page tables that go may be far from the range. */
static bool flushes_all(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, bool frees_tables)
{
	bool any = false;

	if (!frees_tables && vpn_of(tracker, end - start) <= FLUSHED_BY_PAGE)
		return false;
	world_walk(&mm->world, vpn_of(tracker, start), vpn_of(tracker, end), note_present, &any);
	return any;
}

u16 nested_gather(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task, u64 start, u64 end,
		  bool frees_tables)
{
	bool batched = mm->flush_batched;

	mm->flush_batched = false;
	if (!others_gather(mm, task, false))
		return 0;
	if (tracker->have_flushes && task && task->mm == mm && task->call.kind && !batched) {
		/* tlb_finish_mmu() flushes all, whatever was unmapped. */
		if (flush_of_call(tracker, task) != FLUSH_ALL)
			return 0;
		if (!flushes_all(tracker, mm, start, end, frees_tables))
			return RF_OP_NESTED;
	}
	return others_gather(mm, task, true) ? RF_OP_NESTED : 0;
}

bool call_range(const struct rf_tracker *tracker, u64 start, u64 len, u64 *end)
{
	len = page_align(tracker, len);
	if (start >= tracker->address_limit || len > tracker->address_limit - start ||
	    start & (BIT_ULL(tracker->page_shift) - 1))
		return false;
	*end = start + len;
	return true;
}

/* ---- made ------------------------------------------------------------------------------------ */

/* do_brk_flags() gets the VMA below if that is of the heap, too: what begins it merges with nothing. */
static bool begins_heap(struct tracked_mm *mm, const struct world_vma *vma)
{
	const struct world_vma *below = vma->start ? world_vma_find(&mm->world, vma->start - 1) : NULL;

	return vma->name == RF_VMA_HEAP && !(below && below->name == RF_VMA_HEAP);
}

struct world_vma *map_vma(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma)
{
	u16 flags = vma->flags;
	struct rf_op *op;

	if (vma->start >= vma->end || vma->end > tracker->address_limit)
		return NULL;
	op = emit(tracker, RF_OP_MAP, mm);
	op->addr = vma->start;
	op->end = vma->end;
	op->vm_flags = flags;
	op->attributes = vma->attributes;
	op->pgoff = vma->pgoff;
	op->file = vma->file;
	if (vma->implicit)
		op->flags = RF_OP_INFERRED;
	else if (begins_heap(mm, vma))
		op->flags = RF_OP_EXCLUSIVE;
	return world_vma_insert(tracker->world, &mm->world, vma);
}

bool is_private_writable(const struct world_vma *vma)
{
	return (vma->flags & (RF_VM_WRITE | RF_VM_SHARED)) == RF_VM_WRITE;
}

/* ---- changed --------------------------------------------------------------------------------- */

static void change_run(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end,
		       const struct world_vma_change *change)
{
	struct rf_op *op;

	if (start >= end || !world_vma_overlaps(&mm->world, start, end))
		return;
	op = emit(tracker, RF_OP_VMA_FLAGS, mm);
	op->addr = start;
	op->end = end;
	op->vm_flags = change->set;
	op->aux = change->clear;
	op->attributes = change->attributes_set;
	op->attributes_clear = change->attributes_clear;
	world_vma_change(tracker->world, &mm->world, start, end, change);
}

void change_vmas(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end,
		 const struct world_vma_change *change, bool (*takes)(const struct world_vma *vma))
{
	struct world_vma *vma;
	u64 at;

	/* mlockall() means every address there may be. */
	if (mm->world.vmas.nr) {
		start = max_u64(start, mm->world.vmas.first->start);
		end = min_u64(end, mm->world.vmas.last->end);
	}
	/* By address: changed VMAs merge. */
	for (at = start; at < end && (vma = world_vma_next(&mm->world, at)) && vma->start < end;) {
		u64 left = vma->start, next = vma->end;

		if (!takes || takes(vma)) {
			at = next;
			continue;
		}
		change_run(tracker, mm, start, left, change);
		start = at = next;
	}
	change_run(tracker, mm, start, end, change);
}

/* ---- unmapped -------------------------------------------------------------------------------- */

void unmap_range(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task *task, u64 start, u64 end, u8 why)
{
	struct rf_op *op;

	if (start >= end)
		return;
	op = emit(tracker, RF_OP_MUNMAP, mm);
	op->addr = start;
	op->end = end;
	op->why = why;
	op->flags = nested_gather(tracker, mm, task, start, end, true);
	world_vma_remove(tracker->world, &mm->world, start, end);
	world_zap(tracker->world, &mm->world, vpn_of(tracker, start), vpn_of(tracker, end));
}

void zap_range(struct rf_tracker *tracker, struct task *task, u64 start, u64 end, u8 why)
{
	struct rf_op *op;

	if (start >= end)
		return;
	op = emit(tracker, RF_OP_ZAP, task->mm);
	op->addr = start;
	op->end = end;
	op->why = why;
	op->flags = nested_gather(tracker, task->mm, task, start, end, false);
	world_split_at(tracker->world, &task->mm->world, vpn_of(tracker, start));
	world_split_at(tracker->world, &task->mm->world, vpn_of(tracker, end));
	world_zap(tracker->world, &task->mm->world, vpn_of(tracker, start), vpn_of(tracker, end));
}
