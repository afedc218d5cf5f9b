/* SPDX-License-Identifier: MIT */
/*
 * Which threads and processes exist, from /proc.
 */
#ifndef REFOLD_CAPTURE_FOLLOW_TASKS_H
#define REFOLD_CAPTURE_FOLLOW_TASKS_H

#include <sys/types.h>

#include "base/types.h"

/* A growing list of pids or tids. Zero-initialise; free with rf_pid_list_free(). */
struct rf_pid_list {
	pid_t *pids;
	size_t nr, room;
};

bool rf_pid_list_add(struct rf_pid_list *list, pid_t pid);	/* false: out of memory */
bool rf_pid_list_has(const struct rf_pid_list *list, pid_t pid);
void rf_pid_list_remove(struct rf_pid_list *list, pid_t pid);
void rf_pid_list_free(struct rf_pid_list *list);

/* Add the threads of a process that are not in the list. Returns how many, or a negative errno: -ESRCH, it is gone. */
int rf_threads_of(pid_t pid, struct rf_pid_list *list);
/* Add every process that has memory of its own (no kernel threads), but not "except". */
int rf_all_processes(pid_t except, struct rf_pid_list *list);
/* What /proc/TID/status says of a key such as "Tgid:"; false: the thread is gone, or has none. */
bool rf_task_status(pid_t tid, const char *key, char *value, size_t size);
/* The process a thread belongs to, or -1. */
pid_t rf_process_of(pid_t tid);
/* Whether the process still runs in its parent's address space, as after vfork(). */
bool rf_shares_memory(pid_t pid);
/* Kernel threads and what has ended have none. */
bool rf_has_memory(pid_t pid);
/* The name (comm) of pid; false: it is gone. */
bool rf_process_name(pid_t pid, char *name, size_t size);
/* What this program is called. */
#define RF_RECORDER_COMM "refold-capture"
/* Whether pid runs a program whose name (comm) is this; one that nobody has waited for yet runs none. */
bool rf_process_is(pid_t pid, const char *comm);
/*
 * Whether pid is our tracer, or a recorder, which may be about to: who traces us is not to be stopped by us, as neither
 * would let the other go.
 */
bool rf_may_trace_us(pid_t pid);

#endif
