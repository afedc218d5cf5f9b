// SPDX-License-Identifier: MIT
/*
 * Threads, the process each belongs to, and the address space it runs in; and
 * the numbers rss_stat gives to address spaces.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/tracker/tracking.h"

static struct task **task_place(const struct rf_tracker *tracker, u32 tid)
{
	u32 mask = tracker->tasks_size - 1;
	u32 i = (u32)world_hash(tid) & mask;

	while (tracker->tasks[i] && tracker->tasks[i]->tid != tid)
		i = (i + 1) & mask;
	return &tracker->tasks[i];
}

static bool grow_tasks(struct rf_tracker *tracker)
{
	struct task **old = tracker->tasks;
	u32 old_size = tracker->tasks_size;

	tracker->tasks_size = old_size ? old_size * 2 : 256;
	tracker->tasks = world_calloc(tracker->world, tracker->tasks_size, sizeof(*tracker->tasks));
	if (!tracker->tasks) {
		tracker->tasks = old;
		tracker->tasks_size = old_size;
		return false;
	}
	for (u32 i = 0; i < old_size; i++)
		if (old[i])
			*task_place(tracker, old[i]->tid) = old[i];
	free(old);
	return true;
}

struct task *task_find(struct rf_tracker *tracker, u32 tid)
{
	return tracker->tasks_size ? *task_place(tracker, tid) : NULL;
}

struct task *task_get(struct rf_tracker *tracker, u32 tid)
{
	struct task *task = task_find(tracker, tid);

	if (task)
		return task;
	if (tracker->nr_tasks * 2 >= tracker->tasks_size && !grow_tasks(tracker))
		return NULL;
	task = world_calloc(tracker->world, 1, sizeof(*task));
	if (!task)
		return NULL;
	task->tid = tid;
	*task_place(tracker, tid) = task;
	tracker->nr_tasks++;
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
	for (u32 i = 0; i < tracker->tasks_size; i++) {
		struct task *task = tracker->tasks[i];

		if (!task)
			continue;
		free(task->populate.queue);
		free(task->gups);
		free(task->exec.pages);
		free(task);
	}
	free(tracker->tasks);
	free(tracker->mm_ids);
}

/* ---- mm_id ------------------------------------------------------------------- */

static u64 *mm_id_place(const struct rf_tracker *tracker, u32 mm_id)
{
	u32 mask = tracker->mm_ids_size - 1;
	u32 i = (u32)world_hash(mm_id) & mask;

	while (tracker->mm_ids[i] && tracker->mm_ids[i] >> 32 != mm_id)
		i = (i + 1) & mask;
	return &tracker->mm_ids[i];
}

struct world_mm *mm_by_id(struct rf_tracker *tracker, u32 mm_id)
{
	struct world_mm *mm;
	u64 entry;

	if (!tracker->mm_ids_size)
		return NULL;
	entry = *mm_id_place(tracker, mm_id);
	if (!entry)
		return NULL;
	mm = world_mm(tracker->world, (u32)entry - 1);
	return mm && !mm->dead && mm->bound && mm->mm_id == mm_id ? mm : NULL;
}

void mm_bind(struct rf_tracker *tracker, struct world_mm *mm, u32 mm_id)
{
	u64 *place;

	if (tracker->nr_mm_ids * 2 >= tracker->mm_ids_size) {
		u64 *old = tracker->mm_ids;
		u32 old_size = tracker->mm_ids_size;

		tracker->mm_ids_size = old_size ? old_size * 2 : 256;
		tracker->mm_ids = world_calloc(tracker->world, tracker->mm_ids_size, sizeof(u64));
		if (!tracker->mm_ids) {
			tracker->mm_ids = old;
			tracker->mm_ids_size = old_size;
			return;
		}
		for (u32 i = 0; i < old_size; i++)
			if (old[i])
				*mm_id_place(tracker, (u32)(old[i] >> 32)) = old[i];
		free(old);
	}
	place = mm_id_place(tracker, mm_id);
	if (!*place)
		tracker->nr_mm_ids++;
	*place = (u64)mm_id << 32 | (mm->id + 1);
	mm->mm_id = mm_id;
	mm->bound = true;
}

struct world_mm *mm_of_process(struct rf_tracker *tracker, u32 pid)
{
	struct task *leader = task_find(tracker, pid);

	if (leader && leader->mm)
		return leader->mm;
	/* The leader is dead, its threads are not: rare enough for a walk. */
	for (u32 i = 0; i < tracker->tasks_size; i++)
		if (tracker->tasks[i] && tracker->tasks[i]->pid == pid && tracker->tasks[i]->mm)
			return tracker->tasks[i]->mm;
	return NULL;
}

void mark_inexact(struct rf_tracker *tracker, struct world_mm *mm)
{
	if (!mm || mm->inexact || !mm->known)
		return;
	mm->inexact = true;
	tracker->fidelity.inexact_mms++;
}
