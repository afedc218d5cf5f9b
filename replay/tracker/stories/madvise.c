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
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

/* ksm_madvise() */
static bool is_ksm_candidate(const struct world_vma *vma)
{
	return !(vma->flags & (RF_VM_SHARED | RF_VM_PFNMAP | RF_VM_SPECIAL | RF_VM_HUGETLB));
}

#define READS (RF_ATTRIBUTE_RAND_READ | RF_ATTRIBUTE_SEQ_READ)

/* madvise_vma_behavior() */
static const struct {
	u16 advice;
	struct world_vma_change change;
	bool (*takes)(const struct world_vma *vma);
} flag_advice[] = {
	{ MADV_NORMAL, { .attributes_clear = READS }, NULL },
	{ MADV_RANDOM, { .attributes_set = RF_ATTRIBUTE_RAND_READ, .attributes_clear = READS }, NULL },
	{ MADV_SEQUENTIAL, { .attributes_set = RF_ATTRIBUTE_SEQ_READ, .attributes_clear = READS }, NULL },
	{ MADV_DONTFORK, { .set = RF_VM_DONTCOPY }, NULL },
	{ MADV_DOFORK, { .clear = RF_VM_DONTCOPY }, NULL },
	{ MADV_WIPEONFORK, { .set = RF_VM_WIPEONFORK }, NULL },
	{ MADV_KEEPONFORK, { .clear = RF_VM_WIPEONFORK }, NULL },
	{ MADV_DONTDUMP, { .attributes_set = RF_ATTRIBUTE_DONTDUMP }, NULL },
	{ MADV_DODUMP, { .attributes_clear = RF_ATTRIBUTE_DONTDUMP }, NULL },
	{ MADV_MERGEABLE, { .attributes_set = RF_ATTRIBUTE_MERGEABLE }, is_ksm_candidate },
	{ MADV_UNMERGEABLE, { .attributes_clear = RF_ATTRIBUTE_MERGEABLE }, is_ksm_candidate },
	{ MADV_HUGEPAGE, { .set = RF_VM_HUGEPAGE, .clear = RF_VM_NOHUGEPAGE }, NULL },
	{ MADV_NOHUGEPAGE, { .set = RF_VM_NOHUGEPAGE, .clear = RF_VM_HUGEPAGE }, NULL },
};

struct advise {
	struct rf_tracker *tracker;
	struct tracked_mm *mm;
};

/* madvise_free_pte_range(): swap entries go at once, pages when memory is short. */
static void free_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct advise *advise = context;

	if (world_pte_kind(pte) == WORLD_SWAP)
		world_set(advise->tracker->world, &advise->mm->world, vpn, 0);
	else if (world_pte_kind(pte) == WORLD_ANON)
		world_set_flags(advise->tracker->world, &advise->mm->world, vpn, nr, WORLD_LAZYFREE, 0);
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
		world_vma_anon_prepare(tracker->world, &mm->world, vma);
		world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_GUARD, 0, 0));
	}
}

/* From one call to the next a task has used its memory if it took this long, or left a record. */
#define ADVISED_AGAIN_NS 100000

/*
 * What was advised by the same task's last call, no other thread being there, is not young or dirty again. What it
 * advises call by call without anything else adds up, as far as it is one range.
 */
static void advised_again(const struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm,
			  struct rf_op *op)
{
	struct task_advised *advised = &task->advised;
	bool again = advised->end && task->mm->users == 1 && task->call.time - advised->time < ADVISED_AGAIN_NS;

	if (mm != task->mm) {
		advised->end = 0;
		return;
	}
	if (again && op->addr < advised->end && advised->start < op->end) {
		op->addr2 = max_u64(op->addr, advised->start);
		op->aux = min_u64(op->end, advised->end);
	}
	again = again && op->addr <= advised->end && advised->start <= op->end;
	advised->start = again ? min_u64(op->addr, advised->start) : op->addr;
	advised->end = again ? max_u64(op->end, advised->end) : op->end;
	advised->time = tracker->time;
}

static void advise_ptes(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm, u64 advice, u64 start,
			u64 end)
{
	struct advise advise = { tracker, mm };
	u64 first = vpn_of(tracker, start), last = vpn_of(tracker, end);
	struct rf_op *op;

	switch (advice) {
	case MADV_FREE:
		world_walk_runs(&mm->world, first, last, free_run, &advise);
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
	advised_again(tracker, task, mm, op);
}

void madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	struct tracked_mm *mm = task->mm;
	u64 start = task->call.args[0], advice = task->call.args[2];
	u64 len = page_align(tracker, task->call.args[1]), limit = tracker->address_limit, end;

	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		populate_end(tracker, task, !ret);
	if (advice == MADV_PAGEOUT)
		pageout_ends(tracker, task);
	/* -ENOMEM: there were holes, what is mapped was advised. */
	if ((ret && ret != -ENOMEM) || start >= limit || len > limit - start || !len ||
	    start & (BIT_ULL(tracker->page_shift) - 1))
		return;
	end = start + len;
	for (size_t i = 0; i < ARRAY_SIZE(flag_advice); i++)
		if (flag_advice[i].advice == advice)
			change_vmas(tracker, mm, start, end, &flag_advice[i].change, flag_advice[i].takes);
	advise_ptes(tracker, task, mm, advice, start, end);
}

/* ---- process_madvise() ----------------------------------------------------------------------- */

/* Whose memory it is about, if that is followed: all of its iovecs have one pidfd. */
static struct tracked_mm *subject_of(struct rf_tracker *tracker, const struct task *task)
{
	struct tracked_mm *mm = task->nr_gups ? mm_of_process(tracker, task->gups[0].pid) : NULL;

	return mm && mm->known ? mm : NULL;
}

void process_madvise_entry(struct rf_tracker *tracker, struct task *task)
{
	struct tracked_mm *mm = subject_of(tracker, task);
	u64 end;

	if (mm && task->call.args[3] == MADV_PAGEOUT &&
	    call_range(tracker, task->gups[0].addr, task->gups[0].len, &end))
		pageout_begins(tracker, task, mm, task->gups[0].addr, end);
}

/* How many of the iovecs were done: whole ones, all but one that failed. */
static u32 iovecs_done(const struct task *task, u64 bytes)
{
	u32 nr = 0;

	while (nr < task->nr_gups && task->gups[nr].len <= bytes)
		bytes -= task->gups[nr++].len;
	return nr;
}

static void advise_iovec(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm,
			 const struct task_gup *iovec, u64 advice)
{
	const struct task_call call = task->call;
	u64 end;

	if (mm != task->mm) {
		if (call_range(tracker, iovec->addr, iovec->len, &end) && iovec->addr < end)
			advise_ptes(tracker, task, mm, advice, iovec->addr, end);
		return;
	}
	task->call.kind = RF_SYS_MADVISE;
	task->call.args[0] = iovec->addr;
	task->call.args[1] = iovec->len;
	task->call.args[2] = advice;
	madvise_return(tracker, task, 0);
	task->call = call;
}

/* include/uapi/linux/pidfd.h: PIDFD_SELF_THREAD, PIDFD_SELF_THREAD_GROUP and what may follow. */
#define PIDFD_SELF_FIRST (-10000)

/*
 * Nobody has read the iovecs: pages came or went, or got older. Of another process, COLD and PAGEOUT only, and which it
 * is nobody knows.
 */
static void unread_iovecs(struct rf_tracker *tracker, struct task *task, u64 advice)
{
	if (advice == MADV_WILLNEED || advice == MADV_COLLAPSE)
		return;
	mark_mm(tracker, task->mm, RF_REASON_call_unknown);
	if ((advice != MADV_COLD && advice != MADV_PAGEOUT) || (s32)task->call.args[0] <= PIDFD_SELF_FIRST)
		return;
	for (u32 id = 0; id < tracker->world->nr_mms; id++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, id);

		if (mm && mm != task->mm && !mm->dead && mm->known)
			mark_mm(tracker, mm, RF_REASON_call_unknown);
	}
}

/*
 * Iovec by iovec. What unmaps was applied before, to all of them; of another process only recency may be changed, or
 * pages reclaimed.
 */
void process_madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	u64 advice = task->call.args[3];
	struct tracked_mm *mm = subject_of(tracker, task);
	u32 done = iovecs_done(task, ret > 0 ? (u64)ret : 0);

	if (ret > 0 && advice_zaps(advice))
		call_zap(tracker, task);
	if (!task->nr_gups) {
		if (ret > 0)
			unread_iovecs(tracker, task, advice);
		return;
	}
	if (!mm)
		return;
	if (advice == MADV_PAGEOUT)
		pageout_ends(tracker, task);
	else
		for (u32 i = 0; i < done; i++)
			advise_iovec(tracker, task, mm, &task->gups[i], advice);
	/* It ended early: of the iovec that failed some may be done, and we have unmapped all. */
	if (done < task->nr_gups &&
	    (advice == MADV_PAGEOUT || (advice_zaps(advice) && task->call.stage == CALL_ZAPPED)))
		mark_mm(tracker, mm, RF_REASON_call_unknown);
}
