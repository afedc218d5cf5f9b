// SPDX-License-Identifier: MIT
/* Threads that exit, and address spaces with the last of theirs. */
#include "replay/tracker/stories/exit.h"

#include "engine/ops.h"
#include "replay/tracker/effects/address_space.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/fork.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/hidden.h"
#include "replay/tracker/stories/processes.h"
#include "replay/tracker/stories/snapshot.h"

static void exit_mm(struct rf_tracker *tracker, struct task *task)
{
	struct tracked_mm *mm = task_leave_mm(task);
	u32 pid = task->pid ? task->pid : task->tid;

	if (!mm->pid)
		mm_set_pid(tracker, mm, pid);
	/* Of clone(CLONE_VM) it is not the process that began it which ends it. */
	write_page_table(tracker, mm, pid);
	end_mm(tracker, mm, RF_WHY_PROCESS_EXIT);
}

/* The thread's part in its address space ends, and that of what it was doing. */
static void leave(struct rf_tracker *tracker, struct task *task)
{
	fault_close(tracker, task);
	call_abandon(tracker, task);
	exec_made_no_call(tracker, task);
	drop_child(tracker, task);
	if (task->exec.mm) {
		world_mm_free(tracker->world, &task->exec.mm->world);
		task->exec.mm = NULL;
	}
	task->exec.building = task->exec.due = task->exec.loading = false;
	if (task_linger(task))
		exit_mm(tracker, task);
}

/*
 * Until 6.15 sched_process_exit comes after exit_mm(). The side band's exit stands in (exits_late); without one, as in
 * an imported trace, the first pages that go tell of it.
 */
void exit_begins(struct rf_tracker *tracker, struct task *task)
{
	task->mm->rss_fresh = 0;	/* counts what is gone already */
	leave(tracker, task);
}

static void exit_task(struct rf_tracker *tracker, struct task *task)
{
	leave(tracker, task);
	task->dead = true;
	borrower_ends(tracker, task);
	if (task->orphans)
		orphan_ends(tracker, task);
	task->orphans = 0;
}

void on_sched_exit(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	if (!tracker->exits_late)
		exit_task(tracker, task);
}

/* The later of the two: who is not dead yet is of a kernel that tells late, was unseen, or what told of it was lost. */
void on_side_band_exit(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	if (!task->dead)
		exit_task(tracker, task);
}
