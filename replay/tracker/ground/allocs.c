// SPDX-License-Identifier: MIT
/* Folios that a task allocated and that were not seen mapped yet. */
#include "replay/tracker/ground/allocs.h"

#include <string.h>

#include "replay/tracker/ground/tasks.h"

void push_alloc(struct task *task, u64 pfn, u32 order)
{
	if (task->nr_allocs == TASK_ALLOCS) {
		memmove(task->allocs, task->allocs + 1, (TASK_ALLOCS - 1) * sizeof(*task->allocs));
		task->nr_allocs--;
	}
	task->allocs[task->nr_allocs++] = (struct task_alloc){ pfn, order };
}

static void remove_alloc(struct task *task, u32 at)
{
	memmove(task->allocs + at, task->allocs + at + 1, (task->nr_allocs - at - 1) * sizeof(*task->allocs));
	task->nr_allocs--;
}

bool take_alloc(struct task *task, u64 pages, struct task_alloc *alloc)
{
	u32 at = task->nr_allocs;

	if (!at)
		return false;
	for (u32 i = task->nr_allocs; i-- > 0;) {
		if (BIT_ULL(task->allocs[i].order) == pages) {
			at = i + 1;
			break;
		}
	}
	*alloc = task->allocs[at - 1];
	remove_alloc(task, at - 1);
	return true;
}

bool has_alloc(const struct task *task, u32 order)
{
	for (u32 i = 0; i < task->nr_allocs; i++)
		if (task->allocs[i].order == order)
			return true;
	return false;
}

bool drop_alloc(struct task *task, u64 pfn)
{
	for (u32 i = 0; i < task->nr_allocs; i++) {
		if (task->allocs[i].pfn == pfn) {
			remove_alloc(task, i);
			return true;
		}
	}
	return false;
}
