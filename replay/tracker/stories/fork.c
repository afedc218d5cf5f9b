// SPDX-License-Identifier: MIT
/* New threads and processes. */
#include "replay/tracker/stories/fork.h"

#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/effects/address_space.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/hidden.h"
#include "replay/tracker/stories/processes.h"
#include "replay/tracker/stories/rss.h"

/*
 * dup_mmap() ends with the last RSS change of the child inside the parent's clone: what other threads of the parent do
 * after it is not copied. NEWTASK comes later, so look ahead. A fork can fail behind dup_mmap(), too (a limit on
 * processes, a signal): then the copy is unmapped again, but the parent's entries stay write-protected, and it ends
 * with the last change that adds. Those that do not may be of reclaim, which the task does itself to have memory.
 */
void find_fork_point(struct rf_tracker *tracker, struct task *task)
{
	u64 flags = task->call.args[0], last = 0, last_rise = 0, at;
	s64 counts[RF_RSS_MEMBERS] = { 0 };
	const struct rf_record *record;

	task->fork_at = 0;
	task->fork_fails = false;
	if (!task->mm || !task->mm->known || (flags != RF_CLONE_UNKNOWN && flags & CLONE_VM))
		return;
	for (at = tracker->record + 1; (record = look_ahead(tracker, at - tracker->record - 1)); at++) {
		if (record->tid != task->tid)
			continue;
		if (record->kind == RF_RSS_STAT && record->f[2] < RF_RSS_MEMBERS && !record->f[1] &&
		    !mm_by_id(tracker, (u32)record->f[0])) {
			last = at;
			if ((s64)record->f[3] > counts[record->f[2]])
				last_rise = at;
			counts[record->f[2]] = (s64)record->f[3];
		}
		if (record->kind == RF_NEWTASK && !(record->f[1] & CLONE_VM))
			task->fork_at = last;
		task->fork_fails = record->kind == RF_SYS_RET && last_rise < last && failed((s64)record->f[1]);
		if (task->fork_fails)
			task->fork_at = last_rise;
		if (record->kind == RF_NEWTASK || record->kind == RF_SYS_RET)
			break;
	}
}

bool fork_failed(const struct rf_tracker *tracker, const struct task *task)
{
	return task->fork_fails && tracker->record > task->fork_at;
}

/*
 * The copy is whole, and will be unmapped. If it is not what the parent has, dup_mmap() itself has failed: which
 * entries it came to is not told.
 */
static void fork_in_vain(struct rf_tracker *tracker, struct task *task)
{
	check_rss(tracker, task->child);
	if (task->child->marked && !task->mm->marked)
		mark_mm(tracker, task->mm, RF_REASON_fork_point);
}

void fork_mm(struct rf_tracker *tracker, struct task *task)
{
	struct tracked_mm *parent = task->mm, *child = task->child;
	struct rf_op *op;

	if (child->known || !parent || !parent->known)
		return;
	settle_before_fork(tracker, parent, task);
	op = emit(tracker, RF_OP_FORK, parent);
	op->mm2 = child->world.id;
	world_fork(tracker->world, &parent->world, &child->world);
	mm_becomes_known(tracker, child);
	child->brk = parent->brk;
	child->brk_known = parent->brk_known;
	child->uncounted = parent->uncounted;
	child->found = parent->found;
	if (parent->marked)
		mark_mm(tracker, child, RF_REASON_forked);
	if (task->fork_fails)
		fork_in_vain(tracker, task);
}

void drop_child(struct rf_tracker *tracker, struct task *task)
{
	if (!task->child)
		return;
	if (task->child->known)
		end_mm(tracker, task->child, RF_WHY_PROCESS_EXIT);
	else
		world_mm_free(tracker->world, &task->child->world);
	task->child = NULL;
}

/* A tid that was used before: its structure starts anew, its buffers stay. */
static void reset_task(struct rf_tracker *tracker, struct task *task)
{
	struct populate_event *queue = task->populate.queue;
	u32 queue_size = task->populate.size, pages_size = task->exec.size, gups_size = task->gups_size;
	u32 tid = task->tid;
	u64 *pages = task->exec.pages;
	struct task_gup *gups = task->gups;

	drop_child(tracker, task);
	task_set_mm(tracker, task, NULL);
	task_set_pid(tracker, task, 0);
	if (task->exec.mm)
		world_mm_free(tracker->world, &task->exec.mm->world);
	memset(task, 0, sizeof(*task));
	task->tid = tid;
	task->populate.queue = queue;
	task->populate.size = queue_size;
	task->exec.pages = pages;
	task->exec.size = pages_size;
	task->gups = gups;
	task->gups_size = gups_size;
}

void on_newtask(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 flags = record.f[1];
	u32 tid = (u32)record.f[0];
	struct task *child;

	fault_close(tracker, task);
	if (tid == task->tid || !tid)
		return;
	child = task_get(tracker, tid);
	if (!child)
		return;
	tid_is_anew(tracker, child);
	reset_task(tracker, child);
	child->born_at = record.time;
	begin_thread(tracker, task, child);
	exec_made_no_call(tracker, task);
	task->call.bore = true;
	child->stream = record.stream;
	task_set_pid(tracker, child, flags & CLONE_THREAD ? task->pid : tid);
	if (!(flags & CLONE_THREAD))
		begin_process(tracker, task, child);
	if (flags & CLONE_VM) {
		task_set_mm(tracker, child, task->mm);
		/* A kernel thread's would be another: it has none to lend. */
		child->borrows = !(flags & CLONE_THREAD) && (task->mm || task->forked_at);
		/* create_io_thread(), vhost_task_create(): no sched_process_fork, so event-fork does not follow. */
		child->unseen = flags & CLONE_UNTRACED && task->call.kind != RF_SYS_CLONE;
		if (child->unseen && task->mm)
			mark_mm(tracker, task->mm, RF_REASON_unseen_thread);
		return;
	}
	if (task->mm && task->mm->known && !(task->child && task->child->known)) {
		if (!task->child)
			task->child = mm_new(tracker);
		if (!task->child)
			return;
		fork_mm(tracker, task);
		/* A single thread does nothing between dup_mmap() and here. */
		if (task->mm->users > 1)
			mark_mm(tracker, task->child, RF_REASON_fork_point);
		else
			tracker->fidelity.inferred.fork_point++;
	}
	if (task->child) {
		mm_set_pid(tracker, task->child, child->pid);
		task_set_mm(tracker, child, task->child);
		check_rss(tracker, task->child);
		task->child = NULL;
	}
	copy_unseen(tracker, child);
}
