// SPDX-License-Identifier: MIT
/* mremap(), when it returns; what it unmapped, and all it did to several VMAs, was applied before, see call.c. */
#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"

static void expand_in_place(struct rf_tracker *tracker, struct tracked_mm *mm, u64 old_end, u64 new_end)
{
	struct world_vma *vma = world_vma_find(&mm->world, old_end - 1), wider;
	struct rf_op *op;

	if (!vma || vma->end != old_end || world_vma_overlaps(&mm->world, old_end, new_end))
		return;
	op = emit(tracker, RF_OP_VMA_EXPAND, mm);
	op->addr = old_end;
	op->end = new_end;
	wider = *vma;
	wider.end = new_end;
	world_vma_remove(tracker->world, &mm->world, vma->start, old_end);
	world_vma_insert(tracker->world, &mm->world, &wider);
}

/* old_len 0: a second mapping of shared memory, nothing moves. */
static void duplicate(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr, u64 to, u64 to_end)
{
	struct world_vma *vma = world_vma_find(&mm->world, addr), copy;

	if (!vma)
		return;
	copy = *vma;
	copy.pgoff = world_vma_file_index(tracker->world, vma, vpn_of(tracker, addr));
	copy.start = to;
	copy.end = to_end;
	map_vma(tracker, mm, &copy);
}

/* The piece of the VMA at addr inside [addr, end), as it will be at its new place. */
static struct world_vma moved_piece(const struct rf_tracker *tracker, const struct world_vma *vma, u64 addr, u64 end,
				    u64 shift)
{
	struct world_vma piece = *vma;

	piece.pgoff = world_vma_file_index(tracker->world, vma, vpn_of(tracker, addr));
	piece.start = addr + shift;
	piece.end = min_u64(vma->end, end) + shift;
	/* copy_vma(): what was never faulted forgets where it was born. */
	if (!piece.file && !piece.anon_vma)
		piece.pgoff = vpn_of(tracker, piece.start);
	return piece;
}

/* Of what was left behind [start, end) was moved. */
static void dontunmap_complete(struct world_vma *vma, u64 start, u64 end)
{
	vma->flags &= (u16)~RF_VM_LOCKED;
	vma->attributes &= ~RF_ATTRIBUTE_LOCKONFAULT;
	if (vma->start != start || vma->end != end)
		return;
	vma->anon_vma = 0;
	vma->anon_chain_shared = false;
}

static void move_range(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr, u64 end, u64 to, u64 to_end,
		       bool keep)
{
	u64 at = addr, shift = to - addr, next;
	struct world_vma *vma, piece;
	struct rf_op *op;

	op = emit(tracker, RF_OP_MREMAP, mm);
	op->addr = addr;
	op->end = end;
	op->addr2 = to;
	op->nr = (u32)vpn_of(tracker, to_end - to);
	op->flags = keep ? RF_OP_DONTUNMAP : 0;
	while (at < end && (vma = world_vma_next(&mm->world, at)) && vma->start < end) {
		at = max_u64(at, vma->start);
		next = min_u64(vma->end, end);
		piece = moved_piece(tracker, vma, at, end, shift);
		/* Growing: the last piece takes what is more. */
		if (next == end)
			piece.end = to_end;
		if (!keep)
			world_vma_remove(tracker->world, &mm->world, at, next);
		else
			dontunmap_complete(vma, at, next);
		world_vma_insert(tracker->world, &mm->world, &piece);
		at = next;
	}
	world_move(tracker->world, &mm->world, vpn_of(tracker, addr), vpn_of(tracker, end), vpn_of(tracker, to));
}

/* ---- several VMAs ---------------------------------------------------------------------------- */

/* A VMA of the range, as far as it lies in it. Several that were made up are one that no record told. */
static bool next_part(const struct rf_tracker *tracker, struct tracked_mm *mm, u64 *start, u64 *part_end, u64 end)
{
	struct world_vma *vma = world_vma_next(&mm->world, *start), *next;

	if (!vma || vma->start >= end)
		return false;
	*start = max_u64(*start, vma->start);
	while (vma->implicit && (next = world_vma_find(&mm->world, vma->end)) && next->implicit)
		vma = next;
	*part_end = min_u64(vma->end, end);
	return true;
}

/* Until the call returns nobody else changes its VMAs; so that it succeeded can be told at its first RSS change. */
static bool succeeds(struct rf_tracker *tracker, const struct task *task)
{
	const struct rf_record *record;

	for (size_t i = 0; i < LOOK_AHEAD_CALL && (record = look_ahead(tracker, i)); i++)
		if (record->tid == task->tid && record->kind == RF_SYS_RET)
			return record->f[1] == task->call.args[4];
	return true;
}

/*
 * remap_move(): each VMA is a move of its own, which unmaps its own target, moves, and unmaps the old place; gaps
 * between them are left alone on both sides.
 */
bool mremap_several(struct rf_tracker *tracker, struct task *task)
{
	struct tracked_mm *mm = task->mm;
	const u64 *args = task->call.args;
	u64 end, to_end, part = args[0], part_end, shift = args[4] - args[0];

	if (task->call.moved)
		return true;
	if (!tracker->moves_several || !(args[3] & MREMAP_FIXED) ||
	    page_align(tracker, args[1]) != page_align(tracker, args[2]) ||
	    !call_range(tracker, args[0], args[1], &end) || !call_range(tracker, args[4], args[1], &to_end) ||
	    (args[4] < end && args[0] < to_end) || !next_part(tracker, mm, &part, &part_end, end) ||
	    part != args[0] || part_end == end || !succeeds(tracker, task))
		return false;
	call_moved(&task->call);
	settle_others(tracker, mm, task, tracker->time);
	for (; next_part(tracker, mm, &part, &part_end, end); part = part_end) {
		if (world_vma_overlaps(&mm->world, part + shift, part_end + shift))
			settle_unmap(tracker, mm, task, part + shift, part_end + shift, RF_WHY_MREMAP);
		move_range(tracker, mm, part, part_end, part + shift, part_end + shift, args[3] & MREMAP_DONTUNMAP);
	}
	return true;
}

/* ---- the return ------------------------------------------------------------------------------ */

void mremap_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	struct tracked_mm *mm = task->mm;
	u64 addr = task->call.args[0], flags = task->call.args[3];
	u64 old_len = page_align(tracker, task->call.args[1]), new_len = page_align(tracker, task->call.args[2]);
	u64 limit = tracker->address_limit, page = BIT_ULL(tracker->page_shift);

	if (addr >= limit || ret >= limit || old_len > limit - addr || new_len > limit - addr ||
	    new_len > limit - ret || (addr | ret) & (page - 1) || !new_len || mremap_several(tracker, task))
		return;
	settle_others(tracker, mm, task, tracker->time);
	if (new_len < old_len && task->call.stage != CALL_ZAPPED)
		settle_unmap(tracker, mm, task, addr + new_len, addr + old_len, RF_WHY_MREMAP);
	if (ret == addr) {
		if (new_len > old_len)
			expand_in_place(tracker, mm, addr + old_len, addr + new_len);
		return;
	}
	old_len = min_u64(old_len, new_len);
	if (ret < addr + old_len && addr < ret + new_len)
		return;		/* the kernel refuses to overlap */
	if (world_vma_overlaps(&mm->world, ret, ret + new_len))
		settle_unmap(tracker, mm, task, ret, ret + new_len, RF_WHY_MREMAP);
	if (!old_len)
		duplicate(tracker, mm, addr, ret, ret + new_len);
	else
		move_range(tracker, mm, addr, addr + old_len, ret, ret + new_len, flags & MREMAP_DONTUNMAP);
}

/* What locked memory has grown by is populated. */
void mremap_populates(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	u64 old_len = page_align(tracker, task->call.args[1]), new_len = page_align(tracker, task->call.args[2]), end;
	const struct world_vma *vma;

	if (new_len <= old_len || !call_range(tracker, ret, new_len, &end))
		return;
	vma = world_vma_find(&task->mm->world, end - 1);
	if (!vma || !(vma->flags & RF_VM_LOCKED))
		return;
	populate_begin(tracker, task, ret + old_len, end, true, true);
	populate_end(tracker, task, true);
}
