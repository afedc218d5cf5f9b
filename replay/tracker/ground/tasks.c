// SPDX-License-Identifier: MIT
/* Threads and the process each belongs to, and the numbers that rss_stat gives to address spaces. */
#include "replay/tracker/ground/tasks.h"

#include <stdlib.h>

#include "replay/tracker/ground/tracking.h"

/* A thread runs for many records: most often it is the one that was asked for last. */
struct task *task_find(struct rf_tracker *tracker, u32 tid)
{
	struct task *task = tracker->last_task;

	if (task && task->tid == tid)
		return task;
	task = task_table_find(&tracker->tasks, tid);
	if (task)
		tracker->last_task = task;
	return task;
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

/* ---- thread groups --------------------------------------------------------------------------- */

/* The tasks of a pid. It stays when the last has left: pids come again. */
struct task_group {
	struct task *tasks;
};

struct task *task_group(const struct rf_tracker *tracker, u32 pid)
{
	const struct task_group *group = task_group_table_find(&tracker->task_groups, pid);

	return group ? group->tasks : NULL;
}

static struct task_group *task_group_get(struct rf_tracker *tracker, u32 pid)
{
	struct task_group *group = task_group_table_find(&tracker->task_groups, pid);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group || task_group_table_add(&tracker->task_groups, pid, group)) {
		free(group);
		world_set_out_of_memory(tracker->world);
		return NULL;
	}
	return group;
}

static void task_group_leave(struct task *task)
{
	if (!task->group_link)
		return;
	*task->group_link = task->group_next;
	if (task->group_next)
		task->group_next->group_link = task->group_link;
	task->group_next = NULL;
	task->group_link = NULL;
}

void task_set_pid(struct rf_tracker *tracker, struct task *task, u32 pid)
{
	struct task_group *group;

	if (task->pid == pid)
		return;
	task_group_leave(task);
	task->pid = pid;
	group = pid ? task_group_get(tracker, pid) : NULL;
	if (!group)
		return;
	task->group_next = group->tasks;
	task->group_link = &group->tasks;
	if (group->tasks)
		group->tasks->group_link = &task->group_next;
	group->tasks = task;
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
	for (u32 i = 0; i < tracker->task_groups.size; i++)
		free(tracker->task_groups.slots[i].value);
	task_group_table_free(&tracker->task_groups);
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
	/* The leader is dead, its threads are not. */
	for (const struct task *task = task_group(tracker, pid); task; task = task->group_next)
		if (task->mm)
			return task->mm;
	return NULL;
}

const struct task_call_data *call_data(const struct task *task)
{
	return task->call.kind && task->data.call == task->call.kind ? &task->data : NULL;
}
