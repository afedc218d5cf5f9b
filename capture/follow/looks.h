/* SPDX-License-Identifier: MIT */
/*
 * What the tracing thread does to one process, or a thread of it: hold it, look at it, let it go. Only from that
 * thread.
 */
#ifndef REFOLD_CAPTURE_FOLLOW_LOOKS_H
#define REFOLD_CAPTURE_FOLLOW_LOOKS_H

#include <sys/ptrace.h>

#include "capture/follow/tracer.h"

/* It goes on, as how says, and gets the signal. */
void rf_tracee_resume(struct rf_tracee *tracee, enum __ptrace_request how, int signal);
/* What the keeper has asked for is done. */
void rf_keeper_answer(struct rf_tracer *t);
/* Append what was read; once writing has failed there is no point in looking at more processes. */
void rf_tracer_append_snapshot(struct rf_tracer *t, bool stopped);
/*
 * Every thread of the process is held: it cannot run, but where it could not be stopped. Look at it, then let it go on,
 * with us if its exit is waited for.
 */
void rf_traced_process_look(struct rf_tracer *t, struct rf_traced_process *process, bool stopped);
/* Every thread that has not exited. */
bool rf_traced_process_is_held(const struct rf_traced_process *process);
/* The thread is not traced any more. Its process may be freed by this. */
void rf_tracee_forget(struct rf_tracer *t, struct rf_tracee *tracee);
void rf_tracee_detach(struct rf_tracer *t, struct rf_tracee *tracee, int signal);

#endif
