// SPDX-License-Identifier: MIT
/*
 * Threads, the process each belongs to, and the address space it runs in; and
 * the numbers rss_stat gives to address spaces.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/tracker/tracking.h"

struct task *task_find(struct rf_tracker *tracker, u32 tid)
{
	return task_table_find(&tracker->tasks, tid);
}

struct task *task_get(struct rf_tracker *tracker, u32 tid)
{
	struct task *task = task_find(tracker, tid);

	if (task)
		return task;
	task = calloc(1, sizeof(*task));
	/* What walks all tasks does so in the order of a table of at least this size. */
	if (!task || task_table_reserve(&tracker->tasks, 128) || task_table_add(&tracker->tasks, tid, task)) {
		free(task);
		world_set_out_of_memory(tracker->world);
		return NULL;
	}
	task->tid = tid;
	tracker->fidelity.tasks++;
	return task;
}

void task_set_mm(struct rf_tracker *tracker, struct task *task, struct world_mm *mm)
{
	struct world_mm *left;

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
}

struct world_mm *task_leave_mm(struct task *task)
{
	struct world_mm *mm = task->mm;

	if (!mm)
		return NULL;
	task_state_leaves_mm(task);
	*task->mm_link = task->mm_next;
	if (task->mm_next)
		task->mm_next->mm_link = task->mm_link;
	task->mm_next = NULL;
	task->mm_link = NULL;
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

void tasks_destroy(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->tasks.size; i++) {
		struct task *task = tracker->tasks.slots[i].value;

		if (!task)
			continue;
		free(task->populate.queue);
		free(task->gups);
		free(task->exec.pages);
		free(task);
	}
	task_table_free(&tracker->tasks);
	mm_id_table_free(&tracker->mm_ids);
}

/* ---- mm_id ------------------------------------------------------------------- */

struct world_mm *mm_by_id(struct rf_tracker *tracker, u32 mm_id)
{
	u32 number = mm_id_table_find(&tracker->mm_ids, mm_id);
	struct world_mm *mm = number ? world_mm(tracker->world, number - 1) : NULL;

	return mm && !mm->dead && mm->bound && mm->mm_id == mm_id ? mm : NULL;
}

void mm_bind(struct rf_tracker *tracker, struct world_mm *mm, u32 mm_id)
{
	if (mm_id_table_set(&tracker->mm_ids, mm_id, mm->id + 1)) {
		world_set_out_of_memory(tracker->world);
		return;
	}
	mm->mm_id = mm_id;
	mm->bound = true;
}

struct world_mm *mm_of_process(struct rf_tracker *tracker, u32 pid)
{
	struct task *leader = task_find(tracker, pid);

	if (leader && leader->mm)
		return leader->mm;
	/* The leader is dead, its threads are not: rare enough for a walk. */
	for (u32 i = 0; i < tracker->tasks.size; i++) {
		const struct task *task = tracker->tasks.slots[i].value;

		if (task && task->pid == pid && task->mm)
			return task->mm;
	}
	return NULL;
}

void mark_inexact(struct rf_tracker *tracker, struct world_mm *mm)
{
	if (!mm || mm->inexact || !mm->known)
		return;
	mm->inexact = true;
	tracker->fidelity.inexact_mms++;
}
