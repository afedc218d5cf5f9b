// SPDX-License-Identifier: MIT
/* Who runs in an address space, and its end with the last of them. */
#include "replay/tracker/effects/address_space.h"

#include "engine/ops.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"

void task_set_mm(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm)
{
	struct tracked_mm *left;

	if (task->mm == mm && !task->lingers)
		return;
	left = task_leave_mm(task);
	if (left)
		end_mm(tracker, left, RF_WHY_NONE);
	if (!mm)
		return;
	task->mm = mm;
	task->mm_next = mm->tasks;
	task->mm_link = &mm->tasks;
	if (mm->tasks)
		mm->tasks->mm_link = &task->mm_next;
	mm->tasks = task;
	mm->users++;
	task->running_next = tracker->running;
	task->running_link = &tracker->running;
	if (tracker->running)
		tracker->running->running_link = &task->running_next;
	tracker->running = task;
}

struct tracked_mm *task_leave_mm(struct task *task)
{
	struct tracked_mm *mm = task->mm;

	if (!mm)
		return NULL;
	task_state_leaves_mm(task);
	*task->mm_link = task->mm_next;
	if (task->mm_next)
		task->mm_next->mm_link = task->mm_link;
	task->mm_next = NULL;
	task->mm_link = NULL;
	*task->running_link = task->running_next;
	if (task->running_next)
		task->running_next->running_link = task->running_link;
	task->running_next = NULL;
	task->running_link = NULL;
	task->mm = NULL;
	if (task->lingers) {
		task->lingers = false;
		return NULL;
	}
	return --mm->users ? NULL : mm;
}

bool task_linger(struct task *task)
{
	if (!task->mm || task->lingers || task->mm->users == 1)
		return task->mm && !task->lingers;
	task->mm->users--;
	task->lingers = true;
	return false;
}

static void gone(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	while (mm->tasks)
		task_leave_mm(mm->tasks);
	mm->dead = true;
	world_mm_free(tracker->world, &mm->world);
}

void replace_mm(struct rf_tracker *tracker, struct tracked_mm *mm)
{
	if (mm->known)
		emit(tracker, RF_OP_MM_EXIT, mm)->flags = RF_OP_LOAD;
	gone(tracker, mm);
}

void end_mm(struct rf_tracker *tracker, struct tracked_mm *mm, u8 why)
{
	struct rf_op *op;

	if (mm->known) {
		op = emit(tracker, RF_OP_MM_EXIT, mm);
		op->why = why ? why : RF_WHY_PROCESS_EXIT;
	}
	gone(tracker, mm);
}
