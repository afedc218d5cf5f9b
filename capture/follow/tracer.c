// SPDX-License-Identifier: MIT
/*
 * The tracing thread. It stops nothing on its own account: it is told of new threads (they are traced from
 * birth), hands every signal on, and looks at a process as its last thread passes do_exit() with the address
 * space still whole (PTRACE_EVENT_EXIT). From there the thread is let go, so its end needs no further stop.
 *
 * No PTRACE_O_EXITKILL: if the recorder is killed, the kernel detaches everything and it goes on running.
 * PTRACE_O_TRACEEXEC only to let go of programs that trace others, where no filter tells of their calls; that a thread
 * took over its leader's id shows at its next stop, whatever that is.
 */
#include "capture/follow/tracer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/follow/looks.h"
#include "capture/follow/requests.h"
#include "capture/snapshot/pagemap.h"

#define TRACE_OPTIONS	(PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
#define EVENTS_A_TURN	64
#define STOPPED_AT_ONCE	8		/* so that none waits long for its turn */
#define STOP_LIMIT	15000000000ull	/* ns for all; who is traced then is let go as this thread ends */

/* With a filter there is no need to guess who traces others: each call is told. */
static intptr_t trace_options(const struct rf_tracer *t)
{
	return t->nested->keeper ? TRACE_OPTIONS : TRACE_OPTIONS | PTRACE_O_TRACEEXEC;
}

static void on_exit_stop(struct rf_tracer *t, struct rf_tracee *tracee)
{
	struct rf_traced_process *process = tracee->process;
	unsigned long code;

	if (process->live > 1 || process->let_go) {
		rf_tracee_detach(t, tracee, 0);
		return;
	}
	/* A vfork child that ends without having executed a program leaves its parent's address space behind, whole. */
	if (rf_shares_memory(process->pid)) {
		t->totals.shared++;
	} else if (!t->error.code && t->every && t->exits++ % t->every == 0) {
		rf_snapshot_read(t->snapshotter, process->pid, tracee->tid, RF_SNAP_EXIT);
		/* SIGKILL ends even this stop. If it still lasts, it lasted all the time. */
		rf_tracer_append_snapshot(t, !ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &code));
	}
	rf_tracee_detach(t, tracee, 0);
}

static void on_new_task(struct rf_tracer *t, struct rf_tracee *tracee)
{
	unsigned long child;

	if (ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &child))
		return;
	/*
	 * Its parent may be looked at before it reports: it is not in that picture. After the look it is known by its
	 * birth, and not waited for: others may be born all the time.
	 */
	if (t->tracees.attaching && !rf_pid_list_has(&t->seen, tracee->process->pid))
		rf_tracee_report(&t->tracees, (pid_t)child);
	rf_tracee_announce(&t->tracees, tracee->process, (pid_t)child);
}

/* A program begins. Who is looked at just now goes on being traced; else one that traces others is let go. */
static void on_exec(struct rf_tracer *t, struct rf_tracee *tracee)
{
	struct rf_traced_process *process = tracee->process;

	if (process->live == 1 && !process->due && rf_may_trace(&t->programs, process->pid))
		process->let_go = true;
}

static void hold(struct rf_tracer *t, struct rf_tracee *tracee, enum __ptrace_request how, int signal)
{
	tracee->held = true;
	tracee->signal = signal;
	tracee->job_control = how == PTRACE_LISTEN;
	if (rf_traced_process_is_held(tracee->process))
		rf_traced_process_look(t, tracee->process, true);
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
	case PTRACE_EVENT_EXEC:
		on_exec(t, tracee);
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
		rf_tracee_detach(t, tracee, signal);
	else if (tracee->process->due)
		hold(t, tracee, how, signal);
	else if (!t->every && !t->command)
		rf_tracee_detach(t, tracee, signal);
	else
		rf_tracee_resume(tracee, how, signal);
}

static void on_death(struct rf_tracer *t, pid_t tid, int status)
{
	struct rf_tracee *tracee = rf_tracee_find(&t->tracees, tid);

	if (tid == t->child)
		t->status = status;
	if (tid == t->command) {
		u64 one = 1;

		t->command_ended = true;
		t->status = status;
		(void)!write(t->command_fd, &one, sizeof(one));
	}
	if (!tracee || tracee->exited)
		return;
	if (tracee->process->live == 1 && !tracee->process->let_go)
		t->totals.lost++;	/* killed so hard that it did not stop at its exit */
	rf_tracee_forget(t, tracee);
}

/* Whoever is stopped waits for this thread, which shall not wait for who is not. Returns what to go back to. */
static int hurry(void)
{
	int nice = getpriority(PRIO_PROCESS, 0);

	setpriority(PRIO_PROCESS, 0, -20);
	return nice;
}

/* Who is born from now on is let go at once: in a storm of forks there is always one more. */
static void begin_stop(struct rf_tracer *t)
{
	t->stopping = t->tracees.ending = true;
	t->stop_by = rf_monotonic() + STOP_LIMIT;
	t->seen.nr = 0;
	hurry();
}

static void stop_process(struct rf_tracer *t, struct rf_traced_process *process)
{
	rf_traced_process_due(&t->tracees, process);
	for (struct rf_tracee *tracee = process->threads; tracee; tracee = tracee->next)
		if (!tracee->exited || tracee->tid == process->pid)
			ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* Processes that are traced are stopped, a few at a time. */
static void stop_some(struct rf_tracer *t)
{
	struct rf_traced_process *process;

	for (process = t->tracees.all; process && t->tracees.nr_due < STOPPED_AT_ONCE; process = process->next)
		if (!process->due && !process->newborn)
			stop_process(t, process);
}

/* Who is in the kernel and not to be interrupted is looked at as he runs. */
static void look_at_late(struct rf_tracer *t)
{
	struct rf_traced_process *next;
	u64 now = rf_monotonic();

	for (struct rf_traced_process *process = t->tracees.all; process; process = next) {
		next = process->next;
		if (process->due && now >= process->deadline)
			rf_traced_process_look(t, process, false);
	}
}

/* Returns whether everything is done. */
static bool finished(struct rf_tracer *t)
{
	if (!t->command_ended && !t->stopping)
		return false;
	/* What COMMAND has left behind goes on being traced, until the recording stops. */
	if (t->tracees.all && t->stopping) {
		stop_some(t);
		look_at_late(t);
	}
	return !t->tracees.all || (t->stopping && rf_monotonic() >= t->stop_by);
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
	if (ptrace(PTRACE_SEIZE, t->command, NULL, (void *)trace_options(t)))
		return -errno;
	return rf_tracee_report(&t->tracees, t->command) ? 0 : -ENOMEM;
}

/* New threads of those that are seized are ours already; of the others, the next listing tells. */
static size_t seize_threads(struct rf_tracer *t, const struct rf_pid_list *tids)
{
	size_t seized = 0;

	for (size_t i = 0; i < tids->nr; i++) {
		struct rf_tracee *tracee;

		if (ptrace(PTRACE_SEIZE, tids->pids[i], NULL, (void *)trace_options(t)))
			continue;
		tracee = rf_tracee_report(&t->tracees, tids->pids[i]);
		if (!tracee)
			continue;	/* gone, or let go when it reports */
		tracee->announced = true;
		ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
		seized++;
	}
	return seized;
}

static size_t seize_process(struct rf_tracer *t, pid_t pid)
{
	struct rf_pid_list tids = { 0 };
	size_t all = 0, seized;

	do {
		tids.nr = 0;
		seized = rf_threads_of(pid, &tids) > 0 ? seize_threads(t, &tids) : 0;
		all += seized;
	} while (seized);
	rf_pid_list_free(&tids);
	return all;
}

static void wait_until_due(struct rf_tracer *t, size_t nr)
{
	while (t->tracees.nr_due > nr) {
		struct pollfd reports = { .fd = t->child_fd, .events = POLLIN };
		bool idle = take_reports(t);

		look_at_late(t);
		if (idle && t->tracees.nr_due > nr)
			poll(&reports, 1, 10);
	}
}

size_t rf_tracer_look(struct rf_tracer *t, const struct rf_pid_list *pids)
{
	int nice = hurry();
	size_t seized = 0;

	t->tracees.attaching = true;
	t->tracees.ending = false;
	for (size_t i = 0; i < pids->nr && !t->error.code; i++) {
		if (rf_pid_list_has(&t->seen, pids->pids[i]) || rf_may_trace_us(pids->pids[i]))
			continue;
		wait_until_due(t, STOPPED_AT_ONCE - 1);
		seized += !!seize_process(t, pids->pids[i]);
	}
	wait_until_due(t, 0);
	t->tracees.attaching = false;
	setpriority(PRIO_PROCESS, 0, nice);
	return seized;
}

/* Processes that are traced already, and what they start meanwhile. */
static void look_at_traced(struct rf_tracer *t)
{
	struct rf_traced_process *process;
	struct rf_pid_list pids = { 0 };
	int nice = hurry();

	for (process = t->tracees.all; process; process = process->next)
		rf_pid_list_add(&pids, process->pid);
	t->tracees.attaching = true;
	for (size_t i = 0; i < pids.nr && !t->error.code; i++) {
		wait_until_due(t, STOPPED_AT_ONCE - 1);
		process = rf_traced_process_find(&t->tracees, pids.pids[i]);
		if (process && !process->due && !process->let_go)
			stop_process(t, process);
	}
	wait_until_due(t, 0);
	t->tracees.attaching = false;
	setpriority(PRIO_PROCESS, 0, nice);
	rf_pid_list_free(&pids);
}

/* Events were lost. Of whom they were is not known. */
static void look_again(struct rf_tracer *t)
{
	struct rf_pid_list pids = { 0 };
	u64 began = rf_monotonic();

	t->again = true;
	t->seen.nr = 0;
	if (t->snapshotter && t->every)
		look_at_traced(t);
	else if (t->snapshotter && t->list && !t->list(t->context, &pids))
		rf_tracer_look(t, &pids);
	t->again = false;
	rf_pid_list_free(&pids);
	if (t->snapshotter && !t->error.code)
		rf_snapshotter_flush(t->snapshotter, &t->error);
	__atomic_store_n(&t->looked_ns, rf_monotonic() - began, __ATOMIC_RELEASE);
}

int rf_tracer_open(struct rf_tracer *t)
{
	sigset_t child;

	t->status = -1;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	t->child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->child_fd < 0 ? -errno : 0;
}

void rf_tracer_run(struct rf_tracer *t)
{
	u64 count;
	bool idle;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = t->child_fd, .events = POLLIN },
			{ .fd = t->nested->socket, .events = POLLIN },
			{ .fd = t->stopping ? -1 : t->stop_fd, .events = POLLIN },
			{ .fd = t->stopping ? -1 : t->again_fd, .events = POLLIN },
		};

		idle = take_reports(t);
		if (finished(t))
			break;
		/* The signal may be taken before the last report is: ask again now and then while ending. */
		poll(fds, ARRAY_SIZE(fds), !idle ? 0 : t->stopping ? 10 : -1);
		if (fds[1].revents)
			rf_keeper_request(t);
		if (fds[2].revents && read(t->stop_fd, &count, sizeof(count)) > 0)
			begin_stop(t);
		else if (fds[3].revents && read(t->again_fd, &count, sizeof(count)) > 0)
			look_again(t);
	}
}

void rf_tracer_close(struct rf_tracer *t)
{
	close(t->child_fd);
	t->totals.processes = t->tracees.seen;
}
