// SPDX-License-Identifier: MIT
/*
 * madvise(). Most advice is taken when it returns; what it unmapped was applied before, see call.c, and what it
 * reclaims on its way is in pageout.c.
 */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

static const struct {
	u16 advice, set, clear;
} flag_advice[] = {
	{ MADV_DONTFORK, RF_VM_DONTCOPY, 0 },	  { MADV_DOFORK, 0, RF_VM_DONTCOPY },
	{ MADV_WIPEONFORK, RF_VM_WIPEONFORK, 0 }, { MADV_KEEPONFORK, 0, RF_VM_WIPEONFORK },
	{ MADV_HUGEPAGE, RF_VM_HUGEPAGE, RF_VM_NOHUGEPAGE }, { MADV_NOHUGEPAGE, RF_VM_NOHUGEPAGE, RF_VM_HUGEPAGE },
};

struct advise {
	struct rf_tracker *tracker;
	struct tracked_mm *mm;
};

/* madvise_free_pte_range(): swap entries go at once, pages when memory is short. */
static void free_pte(void *context, u64 vpn, world_pte pte)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_SWAP)
		world_set(advise->tracker->world, &advise->mm->world, vpn, 0);
	else if (world_pte_kind(pte) == WORLD_ANON)
		world_set_flags(&advise->mm->world, vpn, WORLD_LAZYFREE, 0);
}

static void unguard_pte(void *context, u64 vpn, world_pte pte)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_GUARD)
		world_set(advise->tracker->world, &advise->mm->world, vpn, 0);
}

/* A marker in each entry; a terabyte of them is not worth modelling. */
#define GUARD_PAGES_MAX 65536

static void install_guards(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma;

	if (end - start > GUARD_PAGES_MAX)
		return;
	for (u64 vpn = start; vpn < end; vpn++) {
		vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
		if (!vma)
			continue;
		vma->anon_vma = true;
		world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_GUARD, 0, 0));
	}
}

/* From one call to the next a task has used its memory if it took this long, or left a record. */
#define ADVISED_AGAIN_NS 100000

/*
 * What was advised by the same task's last call, no other thread being there, is not young or dirty again. What it
 * advises call by call without anything else adds up, as far as it is one range.
 */
static void advised_again(const struct rf_tracker *tracker, struct task *task, struct rf_op *op)
{
	struct task_advised *advised = &task->advised;
	bool again = advised->end && task->mm->users == 1 && task->call.time - advised->time < ADVISED_AGAIN_NS;

	if (again && op->addr < advised->end && advised->start < op->end) {
		op->addr2 = max_u64(op->addr, advised->start);
		op->aux = min_u64(op->end, advised->end);
	}
	again = again && op->addr <= advised->end && advised->start <= op->end;
	advised->start = again ? min_u64(op->addr, advised->start) : op->addr;
	advised->end = again ? max_u64(op->end, advised->end) : op->end;
	advised->time = tracker->time;
}

static void advise_ptes(struct rf_tracker *tracker, struct task *task, u64 advice, u64 start, u64 end)
{
	struct tracked_mm *mm = task->mm;
	struct advise advise = { tracker, mm };
	u64 first = vpn_of(tracker, start), last = vpn_of(tracker, end);
	struct rf_op *op;

	switch (advice) {
	case MADV_FREE:
		world_walk(&mm->world, first, last, free_pte, &advise);
		op = emit(tracker, RF_OP_MADV_FREE, mm);
		break;
	case MADV_COLD:
		op = emit(tracker, RF_OP_MADV_COLD, mm);
		break;
	case MADV_GUARD_INSTALL:
		install_guards(tracker, mm, first, last);
		return;
	case MADV_GUARD_REMOVE:
		world_walk(&mm->world, first, last, unguard_pte, &advise);
		return;
	default:
		return;
	}
	op->addr = start;
	op->end = end;
	advised_again(tracker, task, op);
}

void madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct tracked_mm *mm = task->mm;
	u64 start = task->call.args[0], advice = task->call.args[2];
	u64 len = page_align(tracker, task->call.args[1]), limit = tracker->address_limit, end;
	struct rf_op *op;

	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		populate_end(tracker, task, !ret);
	if (advice == MADV_PAGEOUT)
		pageout_ends(tracker, task);
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
		world_vma_set_flags(tracker->world, &mm->world, start, end, flag_advice[i].set, flag_advice[i].clear);
	}
	advise_ptes(tracker, task, advice, start, end);
}
