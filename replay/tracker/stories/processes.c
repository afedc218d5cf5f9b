// SPDX-License-Identifier: MIT
/*
 * Which process an address space belongs to, and what the process is called: for reports that count per process. A
 * process keeps its number over execs, and begins with a clone that is no thread or with its first address space.
 */
#include "replay/tracker/stories/processes.h"

#include <errno.h>
#include <string.h>

#include "replay/tracker/effects/address_space.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/handlers.h"

void begin_process(struct rf_tracker *tracker, const struct task *parent, struct task *child)
{
	struct rf_processes *processes = tracker->options.processes;
	const struct task *leader = parent->pid ? task_find(tracker, parent->pid) : parent;
	char command[sizeof(processes->list->command)];

	if (!processes)
		return;
	/* A copy: the list may move as it grows. */
	strcpy(command, leader ? processes->list[leader->process].command : "");
	child->process = rf_process_add(processes, child->pid, command, tracker->time);
	if (!child->process)
		tracker->error = -ENOMEM;
}

void mm_set_pid(struct rf_tracker *tracker, struct tracked_mm *mm, u32 pid)
{
	struct rf_processes *processes = tracker->options.processes;
	struct task *leader;
	u32 process;

	mm->pid = pid;
	if (!processes)
		return;
	leader = task_find(tracker, pid);
	process = leader ? leader->process : 0;
	if (!process)
		process = rf_process_add(processes, pid, "", tracker->time);
	if (leader)
		leader->process = process;
	if (!process || rf_process_owns(processes, process, mm->world.id))
		tracker->error = -ENOMEM;
}

/* A thread that was there when the recording attached. */
void on_process(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	struct tracked_mm *mm = mm_of_process(tracker, (u32)record.f[0]);

	task_set_pid(tracker, task, (u32)record.f[0]);
	if (!task->mm && mm && mm->known)
		task_set_mm(tracker, task, mm);
}

static void put_name(char text[17], const u64 name[2])
{
	for (u32 i = 0; i < 16; i++) {
		char c = (char)(name[i / 8] >> 8 * (i % 8));

		text[i] = !c || (c >= ' ' && c <= '~') ? c : '?';
	}
}

void begin_thread(struct rf_tracker *tracker, struct task *parent, struct task *child)
{
	u32 from = thread_of(tracker, parent), thread = thread_of(tracker, child);
	struct rf_processes *processes = tracker->options.processes;

	if (from && thread)
		strcpy(processes->threads[thread].name, processes->threads[from].name);
}

void name_process(struct rf_tracker *tracker, struct task *task, const u64 name[2])
{
	struct rf_processes *processes = tracker->options.processes;

	if (thread_of(tracker, task))
		put_name(processes->threads[task->thread].name, name);
	/* Names of threads are their own. */
	if (!processes || (task->pid && task->pid != task->tid))
		return;
	if (!task->process)
		task->process = rf_process_add(processes, task->tid, "", tracker->time);
	if (!task->process) {
		tracker->error = -ENOMEM;
		return;
	}
	put_name(processes->list[task->process].command, name);
}
