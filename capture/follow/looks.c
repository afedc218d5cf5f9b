// SPDX-License-Identifier: MIT
/* What the tracing thread does to one process: it is held, looked at, and let go. */
#include "capture/follow/looks.h"

#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

#include "capture/snapshot/pagemap.h"

void rf_tracee_resume(struct rf_tracee *tracee, enum __ptrace_request how, int signal)
{
	/* ESRCH: killed meanwhile; its exit will be reported. */
	ptrace(how, tracee->tid, NULL, (void *)(intptr_t)signal);
}

void rf_keeper_answer(struct rf_tracer *t)
{
	(void)!send(t->nested->socket, &t->asked_id, sizeof(t->asked_id), MSG_NOSIGNAL | MSG_DONTWAIT);
	t->asked = NULL;
}

void rf_tracer_append_snapshot(struct rf_tracer *t, bool stopped)
{
	u64 before = rf_snapshotter_totals(t->snapshotter)->taken;

	if (!t->error.code)
		rf_snapshot_append(t->snapshotter, stopped, &t->error);
	if (rf_snapshotter_totals(t->snapshotter)->taken > before)
		t->totals.snapshots++;
	else
		t->totals.lost++;
}

static void read_process(struct rf_tracer *t, struct rf_traced_process *process, bool stopped)
{
	struct rf_tracee *living = process->threads;

	while (living->exited)
		living = living->next;
	if (t->error.code || rf_pid_list_has(&t->seen, process->pid) || rf_shares_memory(process->pid))
		return;
	rf_snapshot_read(t->snapshotter, process->pid, living->tid,
			 t->stopping ? RF_SNAP_STOP : t->again ? RF_SNAP_LOSS : RF_SNAP_ATTACH);
	rf_tracer_append_snapshot(t, stopped);
	rf_pid_list_add(&t->seen, process->pid);	/* without memory, it is looked at again */
}

void rf_traced_process_look(struct rf_tracer *t, struct rf_traced_process *process, bool stopped)
{
	bool let_go = t->stopping || !t->every;

	process->due = false;
	t->tracees.nr_due--;
	read_process(t, process, stopped);
	for (struct rf_tracee *tracee = process->threads; tracee; tracee = tracee->next) {
		if (!tracee->held)
			continue;
		tracee->held = false;
		rf_tracee_resume(tracee, let_go ? PTRACE_DETACH : tracee->job_control ? PTRACE_LISTEN : PTRACE_CONT,
		       tracee->signal);
	}
	if (!let_go)
		return;
	if (process == t->asked)
		rf_keeper_answer(t);
	rf_traced_process_free(&t->tracees, process);
}

bool rf_traced_process_is_held(const struct rf_traced_process *process)
{
	size_t held = 0;

	for (const struct rf_tracee *tracee = process->threads; tracee; tracee = tracee->next)
		held += tracee->held && !tracee->exited;
	return held == process->live;
}

void rf_tracee_forget(struct rf_tracer *t, struct rf_tracee *tracee)
{
	struct rf_traced_process *process = tracee->process;
	bool asked = process == t->asked, nested = process->let_go && !process->newborn;

	if (!rf_tracee_exit(&t->tracees, tracee)) {
		/* The others may be waiting for this one to stop. */
		if (process->due && rf_traced_process_is_held(process))
			rf_traced_process_look(t, process, true);
		return;
	}
	if (nested)
		t->totals.nested++;
	if (asked)
		rf_keeper_answer(t);
}

void rf_tracee_detach(struct rf_tracer *t, struct rf_tracee *tracee, int signal)
{
	rf_tracee_resume(tracee, PTRACE_DETACH, signal);
	rf_tracee_forget(t, tracee);
}
