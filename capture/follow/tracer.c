// SPDX-License-Identifier: MIT
/*
 * The tracing thread. It stops nothing on its own account: it is told of new threads (they are traced from
 * birth), hands every signal on, and looks at a process as its last thread passes do_exit() with the address
 * space still whole (PTRACE_EVENT_EXIT). From there the thread is let go, so its end needs no further stop.
 *
 * No PTRACE_O_EXITKILL: if the recorder is killed, the kernel detaches everything and it goes on running.
 * No PTRACE_O_TRACEEXEC: an exec needs no stop; that a thread took over its leader's id shows at its next stop.
 */
#include "capture/follow/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/snapshot/pagemap.h"

#define TRACE_OPTIONS	(PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
#define EVENTS_A_TURN	64
#define STOP_WAIT	1000000000ull	/* ns until a process that cannot be stopped is looked at as it runs */

static void resume(struct rf_tracee *tracee, enum __ptrace_request how, int signal)
{
	/* ESRCH: killed meanwhile; its exit will be reported. */
	ptrace(how, tracee->tid, NULL, (void *)(intptr_t)signal);
}

static void answer_keeper(struct rf_tracer *t)
{
	(void)!send(t->nested->socket, &t->asked_id, sizeof(t->asked_id), MSG_NOSIGNAL | MSG_DONTWAIT);
	t->asked = NULL;
}

/* The thread is not traced any more. process may be freed by this. */
static void forget(struct rf_tracer *t, struct rf_tracee *tracee)
{
	struct rf_traced_process *process = tracee->process;
	bool asked = process == t->asked, let_go = process->let_go;

	if (!rf_tracee_exit(&t->tracees, tracee))
		return;
	if (let_go)
		t->totals.nested++;
	if (asked)
		answer_keeper(t);
}

static void detach(struct rf_tracer *t, struct rf_tracee *tracee, int signal)
{
	resume(tracee, PTRACE_DETACH, signal);
	forget(t, tracee);
}

/* Append what was read; once writing has failed there is no point in looking at more processes. */
static void append_snapshot(struct rf_tracer *t, bool stopped)
{
	u64 before = rf_snapshotter_totals(t->snapshotter)->taken;

	if (!t->error.code)
		rf_snapshot_append(t->snapshotter, stopped, &t->error);
	if (rf_snapshotter_totals(t->snapshotter)->taken > before)
		t->totals.snapshots++;
	else
		t->totals.lost++;
}

static pid_t parent_of(pid_t pid)
{
	char path[32], text[512], *after;
	ssize_t bytes;
	int fd, parent = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[bytes > 0 ? bytes : 0] = '\0';
	after = strrchr(text, ')');	/* "pid (name) state ppid": a name may hold anything */
	if (after)
		sscanf(after, ") %*c %d", &parent);
	return parent;
}

/* A vfork child that ends without having executed a program leaves its parent's address space behind, whole. */
static bool shares_memory(pid_t pid)
{
	pid_t parent = parent_of(pid);

	return parent > 0 && syscall(SYS_kcmp, parent, pid, KCMP_VM, 0, 0) == 0;
}

static void on_exit_stop(struct rf_tracer *t, struct rf_tracee *tracee)
{
	struct rf_traced_process *process = tracee->process;
	unsigned long code;

	if (process->live > 1 || process->let_go) {
		detach(t, tracee, 0);
		return;
	}
	if (shares_memory(process->pid)) {
		t->totals.shared++;
	} else if (!t->error.code) {
		rf_snapshot_read(t->snapshotter, process->pid, tracee->tid, RF_SNAP_EXIT);
		/* SIGKILL ends even this stop. If it still lasts, it lasted all the time. */
		append_snapshot(t, !ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &code));
	}
	detach(t, tracee, 0);
}

static void on_new_task(struct rf_tracer *t, struct rf_tracee *tracee)
{
	unsigned long child;

	if (!ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &child))
		rf_tracee_announce(&t->tracees, tracee->process, (pid_t)child);
}

/* Every thread of the process is held: it cannot run. Look at it, then let it go on. */
static void stop_snapshot(struct rf_tracer *t, struct rf_traced_process *process, bool stopped)
{
	struct rf_tracee *living = process->threads, *next;

	while (living->exited)
		living = living->next;
	if (!t->error.code) {
		rf_snapshot_read(t->snapshotter, process->pid, living->tid, RF_SNAP_STOP);
		append_snapshot(t, stopped);
	}
	for (struct rf_tracee *tracee = process->threads; tracee; tracee = next) {
		next = tracee->next;
		if (tracee->held)
			resume(tracee, PTRACE_DETACH, tracee->signal);
	}
	if (process == t->asked)
		answer_keeper(t);
	rf_traced_process_free(&t->tracees, process);
}

static void hold(struct rf_tracer *t, struct rf_tracee *tracee, int signal)
{
	struct rf_traced_process *process = tracee->process;
	size_t held = 0;

	tracee->held = true;
	tracee->signal = signal;
	for (tracee = process->threads; tracee; tracee = tracee->next)
		held += tracee->held && !tracee->exited;
	if (held == process->live)
		stop_snapshot(t, process, true);
}

static void on_stop(struct rf_tracer *t, pid_t tid, int status)
{
	struct rf_tracee *tracee = rf_tracee_report(&t->tracees, tid);
	enum __ptrace_request how = PTRACE_CONT;
	int signal = WSTOPSIG(status);

	if (!tracee) {
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return;
	}
	tracee->held = false;
	switch (status >> 16) {
	case PTRACE_EVENT_EXIT:
		on_exit_stop(t, tracee);
		return;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		on_new_task(t, tracee);
		signal = 0;
		break;
	case PTRACE_EVENT_STOP:
		/* SIGTRAP: its first stop, or our interrupt. Anything else: job control, it must stay stopped. */
		if (signal != SIGTRAP)
			how = PTRACE_LISTEN;
		signal = 0;
		break;
	default:
		break;		/* a signal on its way to the thread */
	}
	if (tracee->process->let_go)
		detach(t, tracee, signal);
	else if (t->stopping)
		hold(t, tracee, signal);
	else
		resume(tracee, how, signal);
}

static void on_death(struct rf_tracer *t, pid_t tid, int status)
{
	struct rf_tracee *tracee = rf_tracee_find(&t->tracees, tid);

	if (tid == t->command) {
		t->command_ended = true;
		t->status = status;
	}
	if (!tracee || tracee->exited)
		return;
	if (tracee->process->live == 1 && !tracee->process->let_go)
		t->totals.lost++;	/* killed so hard that it did not stop at its exit */
	forget(t, tracee);
}

/* Another program wants to trace the subject: stop its threads one by one and let go of them. */
static void let_subject_go(struct rf_tracer *t, const struct rf_nested_request *request)
{
	struct rf_tracee *tracee, *next;

	tracee = rf_tracee_find_as(&t->tracees, (pid_t)request->caller, (pid_t)request->subject);
	/* A new process is ours before its first stop is reported; only its tracer may interrupt it. */
	if (!tracee && !ptrace(PTRACE_INTERRUPT, (pid_t)request->subject, NULL, NULL))
		tracee = rf_tracee_report(&t->tracees, (pid_t)request->subject);
	if (!tracee) {
		answer_keeper(t);
		return;
	}
	t->asked = tracee->process;
	t->asked->let_go = true;
	/* A thread that has executed bears the leader's id, whatever became of the leader. */
	ptrace(PTRACE_INTERRUPT, t->asked->pid, NULL, NULL);
	for (tracee = t->asked->threads; tracee && t->asked; tracee = next) {
		next = tracee->next;
		if (tracee->held)
			detach(t, tracee, tracee->signal);
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
	answer_keeper(t);
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
	answer_keeper(t);
}

static void on_request(struct rf_tracer *t)
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

static void begin_stop(struct rf_tracer *t)
{
	t->stopping = true;
	t->stop_deadline = rf_monotonic() + STOP_WAIT;
	for (struct rf_traced_process *process = t->tracees.all; process; process = process->next)
		for (struct rf_tracee *tracee = process->threads; tracee; tracee = tracee->next)
			if (!tracee->exited || tracee->tid == process->pid)
				ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* Returns whether everything is done. */
static bool finished(struct rf_tracer *t)
{
	if (!t->command_ended && !t->stopping)
		return false;
	if (t->tracees.all && !t->stopping)
		begin_stop(t);
	if (t->tracees.all && rf_monotonic() >= t->stop_deadline)
		while (t->tracees.all)	/* in the kernel and not to be interrupted */
			stop_snapshot(t, t->tracees.all, false);
	return !t->tracees.all;
}

/* A bounded number of reports, so that requests are heard in a storm of forks. False: that bound was reached. */
static bool take_reports(struct rf_tracer *t)
{
	struct signalfd_siginfo info[8];
	int status;
	pid_t tid;

	(void)!read(t->child_fd, info, sizeof(info));
	for (int i = 0; i < EVENTS_A_TURN; i++) {
		tid = waitpid(-1, &status, __WALL | WNOHANG);
		if (tid <= 0)
			return true;
		if (WIFSTOPPED(status))
			on_stop(t, tid, status);
		else
			on_death(t, tid, status);
	}
	return false;
}

int rf_tracer_seize(struct rf_tracer *t)
{
	if (ptrace(PTRACE_SEIZE, t->command, NULL, (void *)(intptr_t)TRACE_OPTIONS))
		return -errno;
	return rf_tracee_report(&t->tracees, t->command) ? 0 : -ENOMEM;
}

void rf_tracer_run(struct rf_tracer *t)
{
	sigset_t child;
	u64 count;
	bool idle;

	t->status = -1;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	t->child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = t->child_fd, .events = POLLIN },
			{ .fd = t->nested->socket, .events = POLLIN },
			{ .fd = t->stopping ? -1 : t->stop_fd, .events = POLLIN },
		};

		idle = take_reports(t);
		if (finished(t))
			break;
		/* The signal may be taken before the last report is: ask again now and then while ending. */
		poll(fds, ARRAY_SIZE(fds), !idle ? 0 : t->stopping ? 10 : -1);
		if (fds[1].revents)
			on_request(t);
		if (fds[2].revents && read(t->stop_fd, &count, sizeof(count)) > 0)
			begin_stop(t);
	}
	close(t->child_fd);
	t->totals.processes = t->tracees.seen;
}
