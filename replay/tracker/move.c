// SPDX-License-Identifier: MIT
/*
 * mremap() and madvise(): what they did, applied when they return. What they
 * unmapped was applied before, see syscall.c.
 */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/abi.h"
#include "replay/tracker/tracking.h"

/* ---- mremap ------------------------------------------------------------------------ */

static void expand_in_place(struct rf_tracker *tracker, struct world_mm *mm, u64 old_end, u64 new_end)
{
	struct world_vma *vma = world_vma_find(mm, old_end - 1), wider;
	struct rf_op *op;

	if (!vma || vma->end != old_end || world_vma_overlaps(mm, old_end, new_end))
		return;
	op = emit(tracker, RF_OP_VMA_EXPAND, mm);
	op->addr = old_end;
	op->end = new_end;
	wider = *vma;
	wider.end = new_end;
	world_vma_remove(tracker->world, mm, vma->start, old_end);
	world_vma_insert(tracker->world, mm, &wider);
}

/* old_len 0: a second mapping of shared memory, nothing moves. */
static void duplicate(struct rf_tracker *tracker, struct world_mm *mm, u64 addr, u64 to, u64 to_end)
{
	struct world_vma *vma = world_vma_find(mm, addr), copy;

	if (!vma)
		return;
	copy = *vma;
	copy.pgoff = world_vma_file_index(tracker->world, vma, vpn_of(tracker, addr));
	copy.start = to;
	copy.end = to_end;
	map_vma(tracker, mm, &copy, RF_WHY_MREMAP);
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

static void move_range(struct rf_tracker *tracker, struct world_mm *mm, u64 addr, u64 end, u64 to, u64 to_end,
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
	while (at < end && (vma = world_vma_next(mm, at, NULL)) && vma->start < end) {
		at = max_u64(at, vma->start);
		next = min_u64(vma->end, end);
		piece = moved_piece(tracker, vma, at, end, shift);
		/* Growing: the last piece takes what is more. */
		if (next == end)
			piece.end = to_end;
		if (!keep)
			world_vma_remove(tracker->world, mm, at, next);
		else if (vma->start == at && vma->end == next)
			vma->anon_vma = false;	/* dontunmap_complete() */
		world_vma_insert(tracker->world, mm, &piece);
		at = next;
	}
	world_move(tracker->world, mm, vpn_of(tracker, addr), vpn_of(tracker, end), vpn_of(tracker, to));
}

void mremap_return(struct rf_tracker *tracker, struct task *task, u64 ret)
{
	struct world_mm *mm = task->mm;
	u64 addr = task->call.args[0], flags = task->call.args[3];
	u64 old_len = page_align(tracker, task->call.args[1]), new_len = page_align(tracker, task->call.args[2]);
	u64 limit = tracker->address_limit, page = BIT_ULL(tracker->page_shift);

	if (addr >= limit || ret >= limit || old_len > limit - addr || new_len > limit - addr ||
	    new_len > limit - ret || (addr | ret) & (page - 1) || !new_len)
		return;
	settle_others(tracker, mm, task, tracker->time);
	if (new_len < old_len && task->call.stage != CALL_ZAPPED)
		unmap_range(tracker, mm, task, addr + new_len, addr + old_len, RF_WHY_MREMAP);
	if (ret == addr) {
		if (new_len > old_len)
			expand_in_place(tracker, mm, addr + old_len, addr + new_len);
		return;
	}
	old_len = min_u64(old_len, new_len);
	if (ret < addr + old_len && addr < ret + new_len)
		return;		/* the kernel refuses to overlap */
	if (world_vma_overlaps(mm, ret, ret + new_len))
		unmap_range(tracker, mm, task, ret, ret + new_len, RF_WHY_MREMAP);
	if (!old_len)
		duplicate(tracker, mm, addr, ret, ret + new_len);
	else
		move_range(tracker, mm, addr, addr + old_len, ret, ret + new_len, flags & MREMAP_DONTUNMAP);
}

/* ---- madvise ------------------------------------------------------------------------- */

static const struct {
	u16 advice, set, clear;
} flag_advice[] = {
	{ MADV_DONTFORK, RF_VM_DONTCOPY, 0 },	  { MADV_DOFORK, 0, RF_VM_DONTCOPY },
	{ MADV_WIPEONFORK, RF_VM_WIPEONFORK, 0 }, { MADV_KEEPONFORK, 0, RF_VM_WIPEONFORK },
	{ MADV_HUGEPAGE, RF_VM_HUGEPAGE, RF_VM_NOHUGEPAGE }, { MADV_NOHUGEPAGE, RF_VM_NOHUGEPAGE, RF_VM_HUGEPAGE },
};

struct advise {
	struct rf_tracker *tracker;
	struct world_mm *mm;
};

/* madvise_free_pte_range(): swap entries go at once, pages when memory is short. */
static void free_pte(void *context, u64 vpn, world_pte pte)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_SWAP)
		world_set(advise->tracker->world, advise->mm, vpn, 0);
	else if (world_pte_kind(pte) == WORLD_ANON)
		world_set_flags(advise->mm, vpn, WORLD_LAZYFREE, 0);
}

static void unguard_pte(void *context, u64 vpn, world_pte pte)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_GUARD)
		world_set(advise->tracker->world, advise->mm, vpn, 0);
}

/* A marker in each entry; a terabyte of them is not worth modelling. */
#define GUARD_PAGES_MAX 65536

static void install_guards(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma;

	if (end - start > GUARD_PAGES_MAX)
		return;
	for (u64 vpn = start; vpn < end; vpn++) {
		vma = world_vma_find(mm, vpn << tracker->page_shift);
		if (!vma)
			continue;
		vma->anon_vma = true;
		world_set(tracker->world, mm, vpn, world_mkpte(WORLD_GUARD, 0, 0));
	}
}

static void advise_ptes(struct rf_tracker *tracker, struct world_mm *mm, u64 advice, u64 start, u64 end)
{
	struct advise advise = { tracker, mm };
	u64 first = vpn_of(tracker, start), last = vpn_of(tracker, end);
	struct rf_op *op;

	switch (advice) {
	case MADV_FREE:
		world_walk(mm, first, last, free_pte, &advise);
		op = emit(tracker, RF_OP_MADV_FREE, mm);
		break;
	case MADV_COLD:
		op = emit(tracker, RF_OP_MADV_COLD, mm);
		break;
	case MADV_GUARD_INSTALL:
		install_guards(tracker, mm, first, last);
		return;
	case MADV_GUARD_REMOVE:
		world_walk(mm, first, last, unguard_pte, &advise);
		return;
	default:
		return;
	}
	op->addr = start;
	op->end = end;
}

void madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct world_mm *mm = task->mm;
	u64 start = task->call.args[0], advice = task->call.args[2];
	u64 len = page_align(tracker, task->call.args[1]), limit = tracker->address_limit, end;
	struct rf_op *op;

	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		populate_end(tracker, task, !ret);
	if (advice == MADV_PAGEOUT) {
		pageout_ends(tracker, task);
		reclaim_flush(tracker);
	}
	/* -ENOMEM: there were holes, what is mapped was advised. */
	if ((ret && ret != -ENOMEM) || start >= limit || len > limit - start || !len ||
	    start & (BIT_ULL(tracker->page_shift) - 1))
		return;
	end = start + len;
	for (size_t i = 0; i < ARRAY_SIZE(flag_advice); i++) {
		if (flag_advice[i].advice != advice)
			continue;
		op = emit(tracker, RF_OP_VMA_FLAGS, mm);
		op->addr = start;
		op->end = end;
		op->vm_flags = flag_advice[i].set;
		op->aux = flag_advice[i].clear;
		world_vma_set_flags(tracker->world, mm, start, end, flag_advice[i].set, flag_advice[i].clear);
	}
	advise_ptes(tracker, mm, advice, start, end);
}
