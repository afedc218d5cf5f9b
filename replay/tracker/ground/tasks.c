// SPDX-License-Identifier: MIT
/* Threads and the process each belongs to, and the numbers that rss_stat gives to address spaces. */
#include "replay/tracker/ground/tasks.h"

#include <stdlib.h>

#include "replay/tracker/ground/tracking.h"

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

/* ---- address spaces -------------------------------------------------------------------------- */

struct tracked_mm *mm_by_id(struct rf_tracker *tracker, u32 mm_id)
{
	u32 number = mm_id_table_find(&tracker->mm_ids, mm_id);
	struct tracked_mm *mm = number ? tracked_mm(tracker->world, number - 1) : NULL;

	return mm && !mm->dead && mm->bound && mm->mm_id == mm_id ? mm : NULL;
}

void mm_bind(struct rf_tracker *tracker, struct tracked_mm *mm, u32 mm_id)
{
	if (mm_id_table_set(&tracker->mm_ids, mm_id, mm->world.id + 1)) {
		world_set_out_of_memory(tracker->world);
		return;
	}
	mm->mm_id = mm_id;
	mm->bound = true;
}

struct tracked_mm *mm_of_process(struct rf_tracker *tracker, u32 pid)
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

const struct task_call_data *call_data(const struct task *task)
{
	return task->call.kind && task->data.call == task->call.kind ? &task->data : NULL;
}
