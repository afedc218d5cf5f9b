// SPDX-License-Identifier: MIT
/* The threads and processes a tracer holds. */
#include "capture/follow/tracees.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/follow/tasks.h"

static size_t bucket(pid_t id)
{
	return (size_t)id % RF_TRACEES_BUCKETS;
}

struct rf_tracee *rf_tracee_find(struct rf_tracees *tracees, pid_t tid)
{
	struct rf_tracee *tracee = tracees->threads[bucket(tid)];

	while (tracee && tracee->tid != tid)
		tracee = tracee->next_hash;
	return tracee;
}

struct rf_traced_process *rf_traced_process_find(struct rf_tracees *tracees, pid_t pid)
{
	struct rf_traced_process *process = tracees->processes[bucket(pid)];

	while (process && process->pid != pid)
		process = process->next_hash;
	return process;
}

#define MAX_NAMESPACES 33	/* MAX_PID_NS_LEVEL, and the one of birth */

/* A thread's numbers in the PID namespaces it is in, ours first. Returns how many. */
static size_t namespace_ids(pid_t tid, pid_t ids[MAX_NAMESPACES])
{
	char value[512], *at = value, *end;
	size_t nr = 0;

	if (!rf_task_status(tid, "NSpid:", value, sizeof(value)))
		return 0;
	for (; nr < MAX_NAMESPACES; at = end) {
		ids[nr] = (pid_t)strtol(at, &end, 10);
		if (end == at)
			break;
		nr++;
	}
	return nr;
}

struct rf_tracee *rf_tracee_find_as(struct rf_tracees *tracees, pid_t caller, pid_t tid)
{
	pid_t ids[MAX_NAMESPACES];
	size_t level = namespace_ids(caller, ids);

	if (level <= 1 || tid == caller)
		return rf_tracee_find(tracees, tid);
	/* Threads of a sibling namespace may match too; letting one of them go costs its snapshot, no more. */
	for (struct rf_traced_process *process = tracees->all; process; process = process->next)
		for (struct rf_tracee *tracee = process->threads; tracee; tracee = tracee->next)
			if (namespace_ids(tracee->tid, ids) >= level && ids[level - 1] == tid)
				return tracee;
	return NULL;
}

/* Signal 0 asks only whether the thread exists in that group: cheaper than /proc. */
static bool is_thread_of(pid_t pid, pid_t tid)
{
	return !syscall(SYS_tgkill, pid, tid, 0);
}

void rf_traced_process_due(struct rf_tracees *tracees, struct rf_traced_process *process)
{
	process->due = true;
	process->deadline = rf_monotonic() + RF_STOP_WAIT;
	tracees->nr_due++;
}

static struct rf_traced_process *add_process(struct rf_tracees *tracees, pid_t pid)
{
	struct rf_traced_process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->pid = pid;
	process->let_go = process->newborn = tracees->ending;
	process->next_hash = tracees->processes[bucket(pid)];
	tracees->processes[bucket(pid)] = process;
	process->next = tracees->all;
	process->link = &tracees->all;
	if (process->next)
		process->next->link = &process->next;
	tracees->all = process;
	tracees->seen++;
	if (tracees->attaching)
		rf_traced_process_due(tracees, process);
	return process;
}

static struct rf_tracee *add_thread(struct rf_tracees *tracees, struct rf_traced_process *process, pid_t tid)
{
	struct rf_tracee *tracee = calloc(1, sizeof(*tracee));

	if (!tracee)
		return NULL;
	tracee->tid = tid;
	tracee->process = process;
	tracee->next_hash = tracees->threads[bucket(tid)];
	tracees->threads[bucket(tid)] = tracee;
	tracee->next = process->threads;
	process->threads = tracee;
	process->live++;
	return tracee;
}

static void free_thread(struct rf_tracees *tracees, struct rf_tracee *tracee)
{
	struct rf_tracee **at = &tracees->threads[bucket(tracee->tid)];

	while (*at != tracee)
		at = &(*at)->next_hash;
	*at = tracee->next_hash;
	at = &tracee->process->threads;
	while (*at != tracee)
		at = &(*at)->next;
	*at = tracee->next;
	if (!tracee->exited)
		tracee->process->live--;
	free(tracee);
}

void rf_traced_process_free(struct rf_tracees *tracees, struct rf_traced_process *process)
{
	struct rf_traced_process **at = &tracees->processes[bucket(process->pid)];

	while (process->threads)
		free_thread(tracees, process->threads);
	tracees->nr_due -= process->due;
	while (*at != process)
		at = &(*at)->next_hash;
	*at = process->next_hash;
	*process->link = process->next;
	if (process->next)
		process->next->link = process->link;
	free(process);
}

/* de_thread(): the thread that executes has got the leader's id, all others are gone. */
static struct rf_tracee *take_over(struct rf_tracees *tracees, struct rf_traced_process *process)
{
	while (process->threads)
		free_thread(tracees, process->threads);
	return add_thread(tracees, process, process->pid);
}

struct rf_tracee *rf_tracee_report(struct rf_tracees *tracees, pid_t tid)
{
	struct rf_tracee *tracee = rf_tracee_find(tracees, tid);
	struct rf_traced_process *process;
	pid_t pid;

	if (tracee && !tracee->exited)
		return tracee;
	process = rf_traced_process_find(tracees, tid);
	if (process)
		return take_over(tracees, process);
	if (tracee)		/* the id of a thread that is gone, used again */
		free_thread(tracees, tracee);
	pid = is_thread_of(tid, tid) ? tid : rf_process_of(tid);
	if (pid < 0)
		return NULL;
	process = rf_traced_process_find(tracees, pid);
	if (!process)
		process = add_process(tracees, pid);
	return process ? add_thread(tracees, process, tid) : NULL;
}

void rf_tracee_announce(struct rf_tracees *tracees, struct rf_traced_process *process, pid_t tid)
{
	struct rf_tracee *tracee = rf_tracee_find(tracees, tid);

	/* Count a new thread before it reports: its process must not look ended meanwhile. */
	if (!tracee && is_thread_of(process->pid, tid))
		tracee = add_thread(tracees, process, tid);
	if (!tracee || tracee->process != process)
		return;
	tracee->announced = true;
	if (tracee->exited)
		free_thread(tracees, tracee);
}

bool rf_tracee_exit(struct rf_tracees *tracees, struct rf_tracee *tracee)
{
	struct rf_traced_process *process = tracee->process;

	process->live--;
	tracee->exited = true;
	/* The leader's id belongs to the process until it ends. */
	if (tracee->announced && tracee->tid != process->pid)
		free_thread(tracees, tracee);
	if (process->live)
		return false;
	rf_traced_process_free(tracees, process);
	return true;
}
