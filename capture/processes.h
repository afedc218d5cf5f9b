/* SPDX-License-Identifier: MIT */
/* Which processes a recording began with. */
#ifndef REFOLD_CAPTURE_PROCESSES_H
#define REFOLD_CAPTURE_PROCESSES_H

#include "capture/follow/tasks.h"
#include "traces/trace.h"

/* PROCESS, ABI and COMM: which threads these processes have, what they are, what they are called. */
int rf_processes_record(struct rf_writer *writer, int stream, const struct rf_pid_list *pids, struct rf_error *err);

/* The program will be found, as execvp() looks for it. 0 or a negative errno: before anything is written or started. */
int rf_find_command(const char *name, struct rf_error *err);

#endif
