// SPDX-License-Identifier: MIT
/* RSS counters: the change is the commit point of whatever the task is doing. */
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/collapse.h"
#include "replay/tracker/stories/exec.h"
#include "replay/tracker/stories/exit.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/fork.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/rss.h"
#include "replay/tracker/stories/split.h"

static bool forks(const struct task *task)
{
	return task->call.kind == RF_SYS_CLONE &&
	       (task->call.args[0] == RF_CLONE_UNKNOWN || !(task->call.args[0] & CLONE_VM));
}

/* Whose counter is it? New address spaces are met here first: the child of a fork, the next one of an exec. */
static struct tracked_mm *rss_mm(struct rf_tracker *tracker, struct task *task, u32 mm_id, bool curr)
{
	struct tracked_mm *mm;

	if (task->exec_from && task->dead)
		exec_take_over(tracker, task);
	mm = mm_by_id(tracker, mm_id);
	/* exec_mmap() is done: the new one is current, or the old one is being unmapped. */
	if (mm && (curr ? mm == task->exec.mm : (task->exec.due || task->exec.building) && mm == task->mm))
		exec_switch(tracker, task);
	else if (task->exec.due && curr && mm != task->mm)
		return NULL;
	if (task->exec.loading && curr && !task->exec.stack_placed && task->mm->bound && mm != task->mm)
		return NULL;
	mm = mm_by_id(tracker, mm_id);

	if (curr) {
		/* The pointer behind the number may have been freed and used again: current->mm is a fact. */
		if (task->mm && mm != task->mm)
			mm_bind(tracker, task->mm, mm_id);
		return task->mm;
	}
	if (mm)
		return mm;
	if (task->exec.building && task->exec.mm && !task->exec.mm->bound) {
		mm_bind(tracker, task->exec.mm, mm_id);
		return task->exec.mm;
	}
	if (forks(task) && !task->child && !fork_failed(tracker, task)) {
		task->child = mm_new(tracker);
		if (task->child)
			mm_bind(tracker, task->child, mm_id);
		return task->child;
	}
	return NULL;
}

/* A change nobody is waiting for: reclaim takes pages away, process_vm_writev() and its like give some. */
static void stray_rss(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm, u8 member, s64 delta)
{
	struct task_alloc alloc;

	if (collapse_rss(tracker, task, mm, member, delta))
		return;
	if (delta < 0) {
		task->unmapping = true;
		/* Another thread's unmapping shows in everybody's counter. */
		if (!mm->callers)
			mm->unmapped[member] += (u32)-delta;
		return;
	}
	if (!delta)
		return;
	if (member == RF_RSS_SWAP) {
		mm->swapped += (u32)delta;
	} else if (member == RF_RSS_ANON) {
		/* Where it went is not told; the next fault or snapshot there finds it. */
		tracker->fidelity.inferred.gup++;
		mark_mm(tracker, mm, RF_REASON_gup_unplaced);
		take_alloc(task, (u64)delta, &alloc);
	} else {
		task->populate.delta = delta;
		task->populate.delta_seen = true;
		task->populate.member = member;
	}
}

static void exec_page(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	struct task_exec *exec = &task->exec;
	struct task_alloc alloc;

	if (member != RF_RSS_ANON || delta <= 0)
		return;
	if (!take_alloc(task, 1, &alloc)) {
		alloc.pfn = world_invent_pfn(tracker->world, 0);
		mark_mm(tracker, exec->mm, RF_REASON_page_unknown);
	}
	if (world_grow(tracker->world, (void **)&exec->pages, sizeof(*exec->pages), &exec->size, exec->nr + 1ull))
		exec->pages[exec->nr++] = alloc.pfn;
	task->nr_allocs = 0;
}

static s64 rss_delta(struct tracked_mm *mm, u8 member, s64 value)
{
	s64 before = mm->recorded[member];

	/* Attached: the counter's value before is not known, what is mapped is the best guess. */
	if (!(mm->rss_known & BIT(member)) && mm->settling)
		before = mm->world.counted[member];
	mm->recorded[member] = value;
	mm->rss_known |= (u8)BIT(member);
	mm->rss_fresh |= (u8)BIT(member);
	return value - before;
}

/* wp_page_copy() uncounts a file page before it counts the copy; known as one already if the allocation was told. */
static bool is_copied_page(const struct task *task, u8 member)
{
	const u8 access = RF_FAULT_PRESENT | RF_FAULT_WRITE;

	return fault_pending(&task->fault) && (task->fault.flags & access) == access &&
	       (member == RF_RSS_FILE || member == RF_RSS_SHMEM);
}

/* What the record's change did, now that the counter of mm is known to have changed. */
static void rss_changes(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm, u8 member, s64 delta)
{
	/* With threads, the percpu counters of several changes add up: the allocation tells this one. */
	if (mm == task->mm && mm->users > 1 && member == RF_RSS_ANON && fault_pending(&task->fault) &&
	    task->nr_allocs && !(task->fault.flags & RF_FAULT_PRESENT)) {
		fault_rss(tracker, task, member, delta > 0 ? delta : 0);
		return;
	}
	if (mm == task->mm && fault_is_open(&task->fault) &&
	    (fault_pending(&task->fault) || !task->call.kind || task->fault.swapped_in)) {
		if (delta > 0 && member == RF_RSS_SWAP)
			stray_rss(tracker, task, mm, member, delta);
		else if (delta == -(s64)BIT_ULL(tracker->pmd_order) && fault_splits_pmd(tracker, task, member))
			return;
		else if (delta < 0 && is_copied_page(task, member))
			return;
		else if (delta < 0 && task->fault.stage != FAULT_COPIED &&
			 !(task->fault.swapped_in && member == RF_RSS_SWAP))
			stray_rss(tracker, task, mm, member, delta);
		else if (!fault_pending(&task->fault) && !task->fault.swapped_in &&
			 task->fault.stage != FAULT_COPIED && delta > 0)
			stray_rss(tracker, task, mm, member, delta);
		else
			fault_rss(tracker, task, member, delta);
		return;
	}
	if (mm != task->mm && populates_remotely(task, mm)) {
		if (delta > 0 || (!delta && (member == RF_RSS_FILE || member == RF_RSS_SHMEM)))
			populate_event(tracker, task, &(struct populate_event){
				.what = POPULATE_RSS, .member = member, .delta = delta,
				.around = member == RF_RSS_FILE && next_is(tracker, task->tid, RF_MAP_PAGES) });
		return;
	}
	if (mm != task->mm)
		pageout_rss(task, mm, member, delta);
	if (mm == task->mm && task->call.kind == RF_SYS_EXIT && delta < 0 && mm->users == 1) {
		exit_begins(tracker, task);
		return;
	}
	if (mm == task->mm && task->call.kind == RF_SYS_EXECVE && member == RF_RSS_ANON)
		mm->arguments += delta;
	else if (mm == task->mm && task->call.kind)
		call_rss(tracker, task, member, delta);
	else
		stray_rss(tracker, task, mm, member, delta);
}

/*
 * SPLIT_RSS_COUNTING: sync_mm_rss() adds to the counter what the task has kept to itself, of which RSS_CHANGE has told.
 */
static bool tells_kept(struct task *task, const struct tracked_mm *mm, u8 member, s64 value)
{
	s64 told = value - (mm->recorded[member] - mm->batched[member]);

	if (mm != task->mm || !told || told != task->batched[member])
		return false;
	task_keeps_count(task, member, -told);
	return true;
}

void on_rss_stat(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	bool curr = record.f[1];
	u8 member = (u8)record.f[2];
	struct tracked_mm *mm;
	s64 delta;

	if (record.f[2] >= RF_RSS_MEMBERS)
		return;
	if (tracker->record == task->exec_at)
		exec_arrives(tracker, task);
	mm = rss_mm(tracker, task, (u32)record.f[0], curr);
	if (!mm)
		return;
	if (tells_kept(task, mm, member, (s64)record.f[3]))
		return;
	delta = rss_delta(mm, member, (s64)record.f[3] + mm->batched[member]);
	if (mm == task->child) {
		if (tracker->record == task->fork_at)
			fork_mm(tracker, task);
		else if (fork_failed(tracker, task))
			drop_child(tracker, task);
		return;
	}
	if (mm == task->exec.mm && !curr) {
		exec_page(tracker, task, member, delta);
		return;
	}
	if (!mm->known || split_rss(tracker, task, mm, member, delta))
		return;
	rss_changes(tracker, task, mm, member, delta);
}

void rss_kept(struct task *task, u8 member, s64 pages)
{
	struct tracked_mm *mm = task->mm;

	if (!(mm->rss_known & BIT(member)) && mm->settling)
		mm->recorded[member] = mm->world.counted[member];
	task_keeps_count(task, member, pages);
	rss_delta(mm, member, mm->recorded[member] + pages);
}

void rss_kept_changes(struct rf_tracker *tracker, struct task *task, u8 member, s64 pages)
{
	rss_kept(task, member, pages);
	if (task->mm->known)
		rss_changes(tracker, task, task->mm, member, pages);
}

/* add_mm_counter_fast() of another's counter: add_mm_counter() tells. */
static bool is_anothers(struct rf_tracker *tracker, const struct task *task, u8 member)
{
	size_t i = 0;
	const struct rf_record *next = next_but_free(tracker, task->tid, &i);

	return next && next->kind == RF_RSS_STAT && !next->f[1] && next->f[2] == member;
}

/* Fault-around counts page by page: the changes of the same counter that follow are of the same fault. */
static s64 count_ahead(struct rf_tracker *tracker, struct task *task, u8 member)
{
	const struct rf_record *next;
	s64 pages = 0;
	size_t i = 0;

	while ((next = next_but_free(tracker, task->tid, &i)) && next->kind == RF_RSS_CHANGE && next->f[0] == member &&
	       (s64)next->f[1] > 0) {
		pages += (s64)next->f[1];
		task->counted_ahead++;
	}
	return pages;
}

void on_rss_change(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u8 member = (u8)record.f[0];
	s64 pages = (s64)record.f[1];

	if (task->counted_ahead) {
		task->counted_ahead--;
		return;
	}
	if (record.f[0] >= RF_RSS_MEMBERS || !tracker->batches_rss || !task->mm || is_anothers(tracker, task, member))
		return;
	if ((member == RF_RSS_FILE || member == RF_RSS_SHMEM) && pages > 0 && fault_is_open(&task->fault))
		pages += count_ahead(tracker, task, member);
	rss_kept_changes(tracker, task, member, pages);
}
