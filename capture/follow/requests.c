// SPDX-License-Identifier: MIT
/* What the keeper of --iovecs asks for: to let go of whom another wants to trace, and to read what calls name. */
#include "capture/follow/requests.h"

#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "capture/follow/looks.h"

/* Another program wants to trace the subject: stop its threads one by one and let go of them. */
static void let_subject_go(struct rf_tracer *t, const struct rf_nested_request *request)
{
	struct rf_tracee *tracee, *next;

	tracee = rf_tracee_find_as(&t->tracees, (pid_t)request->caller, (pid_t)request->subject);
	/* A new process is ours before its first stop is reported; only its tracer may interrupt it. */
	if (!tracee && !ptrace(PTRACE_INTERRUPT, (pid_t)request->subject, NULL, NULL))
		tracee = rf_tracee_report(&t->tracees, (pid_t)request->subject);
	if (!tracee) {
		rf_keeper_answer(t);
		return;
	}
	t->asked = tracee->process;
	t->asked->let_go = true;
	/* A thread that has executed bears the leader's id, whatever became of the leader. */
	ptrace(PTRACE_INTERRUPT, t->asked->pid, NULL, NULL);
	for (tracee = t->asked->threads; tracee && t->asked; tracee = next) {
		next = tracee->next;
		if (tracee->held)
			rf_tracee_detach(t, tracee, tracee->signal);
		else if (!tracee->exited)
			ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
	}
}

/* process_vm_readv() or process_vm_writev() is about to begin: what memory of the subject it goes through GUP for. */
static void record_process_vm(struct rf_tracer *t, const struct rf_nested_request *request)
{
	struct rf_tracee *tracee = rf_tracee_find_as(&t->tracees, (pid_t)request->caller, (pid_t)request->subject);
	struct rf_record record = { .time = rf_monotonic(), .tid = request->caller, .kind = RF_GUP };

	record.f[0] = tracee ? (u64)tracee->process->pid : request->subject;
	record.f[3] = request->write ? RF_GUP_WRITE : 0;
	for (u32 i = 0; i < request->nr && t->snapshotter && !t->error.code; i++) {
		record.f[1] = request->iovecs[i].addr;
		record.f[2] = request->iovecs[i].len;
		rf_snapshotter_record(t->snapshotter, &record, &t->error);
	}
	rf_keeper_answer(t);
}

/* The call that request->caller is about to make names memory: what stands there. */
static void record_call_data(struct rf_tracer *t, const struct rf_nested_request *request)
{
	u32 step = request->call == RF_SYS_PROCESS_MADVISE ? 1 : 2;
	struct rf_record record = { .tid = request->caller, .kind = RF_CALL_DATA };

	for (u32 i = 0; i + step <= request->nr && t->snapshotter && !t->error.code; i += step) {
		record.time = rf_monotonic();
		record.f[0] = request->call;
		record.f[1] = request->subject;
		memcpy(&record.f[2], &request->iovecs[i], step * sizeof(request->iovecs[i]));
		rf_snapshotter_record(t->snapshotter, &record, &t->error);
	}
	rf_keeper_answer(t);
}

void rf_keeper_request(struct rf_tracer *t)
{
	struct rf_nested_request request;
	ssize_t bytes = recv(t->nested->socket, &request, sizeof(request), MSG_DONTWAIT);

	if (bytes < (ssize_t)rf_nested_request_size(0) || bytes != (ssize_t)rf_nested_request_size(request.nr)) {
		if (bytes == 0)
			rf_nested_leave(t->nested);	/* the keeper is gone */
		return;
	}
	t->asked_id = request.id;
	if (request.kind == RF_NESTED_PROCESS_VM)
		record_process_vm(t, &request);
	else if (request.kind == RF_NESTED_CALL_DATA)
		record_call_data(t, &request);
	else
		let_subject_go(t, &request);
}
