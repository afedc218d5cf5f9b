// SPDX-License-Identifier: MIT
/* The processes of a trace, and whose each address space is. */
#include "replay/tracker/ground/process_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

int rf_processes_start(struct rf_processes *processes)
{
	*processes = (struct rf_processes){ 0 };
	rf_process_add(processes, 0, "", 0);
	rf_thread_add(processes, 0, "");
	return processes->nr && processes->nr_threads ? 0 : -ENOMEM;
}

void rf_processes_free(struct rf_processes *processes)
{
	free(processes->list);
	free(processes->of_mm);
	free(processes->threads);
	*processes = (struct rf_processes){ 0 };
}

u32 rf_process_add(struct rf_processes *processes, u32 pid, const char *command, u64 time)
{
	struct rf_process *process;

	if (array_grow(processes->list, processes->room, processes->nr + 1ul))
		return 0;
	process = &processes->list[processes->nr];
	*process = (struct rf_process){ .pid = pid, .begin = time };
	strncpy(process->command, command, sizeof(process->command) - 1);
	return processes->nr++;
}

u32 rf_thread_add(struct rf_processes *processes, u32 tid, const char *name)
{
	struct rf_thread *thread;

	if (array_grow(processes->threads, processes->threads_room, processes->nr_threads + 1ul))
		return 0;
	thread = &processes->threads[processes->nr_threads];
	*thread = (struct rf_thread){ .tid = tid };
	strncpy(thread->name, name, sizeof(thread->name) - 1);
	return processes->nr_threads++;
}

int rf_process_owns(struct rf_processes *processes, u32 process, u32 mm)
{
	if (array_grow_zeroed(processes->of_mm, processes->nr_mms, mm + 1ul))
		return -ENOMEM;
	processes->of_mm[mm] = process;
	return 0;
}
