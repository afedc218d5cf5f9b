// SPDX-License-Identifier: MIT
/*
 * The other witness: runs a command under ptrace and writes each process's page
 * table as it is when the process exits, read from pagemap and kpageflags. It
 * shares no code with capture/ on purpose: the live tests compare what Refold
 * rebuilt from tracepoints against what this program saw.
 *
 *	truth OUT.tsv COMMAND [ARGUMENT...]
 *
 * Lines, tab separated; addresses, pfns and slots in hex, the rest decimal:
 *	W pid			this program, which is recorded as well and not written
 *	P pid time_ns comm	a process, CLOCK_MONOTONIC
 *	E addr nr pfn head order	a run of present entries inside one folio
 *	S addr nr		a run of swap entries
 *	L pid			what was written of this process is not whole: it was killed meanwhile
 * An address space is written when the last task that has it reaches its exit
 * stop, which comes before exit_mm(). Who has it the kernel says (kcmp), not
 * the order of ptrace's events: a new child may stop, run, exec and exit before
 * its parent's event tells of it. And a task that is killed in another stop may
 * never be seen in its exit stop: the PTRACE_CONT that was meant for the one
 * ends the other. So while all others are about to die, one is held in its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "truth_entries.h"

#define MAX_TASKS 65536
#define PF_EXITING 0x4ul
#define PF_SIGNALED 0x400ul

static FILE *out;

static void die(const char *what)
{
	fprintf(stderr, "truth: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ---- which tasks there are --------------------------------------------------- */

static struct {
	pid_t tid;
	bool held;	/* in its exit stop, until it is known who is the last */
} tasks[MAX_TASKS];
static size_t nr_tasks;

static size_t task_find(pid_t tid)
{
	size_t i = 0;

	while (i < nr_tasks && tasks[i].tid != tid)
		i++;
	return i;
}

static void task_add(pid_t tid)
{
	/* Signal 0 finds who was not waited for: a parent's event may be about a child that has come and gone. */
	if (task_find(tid) < nr_tasks || syscall(SYS_tkill, tid, 0))
		return;
	if (nr_tasks == MAX_TASKS) {
		errno = E2BIG;
		die("tasks");
	}
	tasks[nr_tasks].held = false;
	tasks[nr_tasks++].tid = tid;
}

static void task_remove(pid_t tid)
{
	size_t i = task_find(tid);

	if (i < nr_tasks)
		tasks[i] = tasks[--nr_tasks];
}

static bool same_mm(pid_t one, pid_t other)
{
	return syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0;
}

/* A field of /proc/TID/status; otherwise if it is not there. */
static unsigned long status_field(pid_t tid, const char *name, int base, unsigned long otherwise)
{
	char path[64], line[256];
	size_t length = strlen(name);
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, length)) {
			otherwise = strtoul(line + length, NULL, base);
			break;
		}
	}
	if (file)
		fclose(file);
	return otherwise;
}

/* SIGKILL is on its way or has arrived, also that of a group that exits or execs. */
static bool is_doomed(pid_t tid)
{
	char path[64], stat[512] = "", *after_name;
	unsigned long flags = 0;
	FILE *file;

	if (status_field(tid, "SigPnd:", 16, 0) & 1ul << (SIGKILL - 1))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return true;
	if (!fgets(stat, sizeof(stat), file))
		stat[0] = 0;
	fclose(file);
	after_name = strrchr(stat, ')');
	return !after_name || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1 ||
	       flags & (PF_EXITING | PF_SIGNALED);
}

/* Who else has its address space: another thread, the parent of a vfork child, who was cloned with CLONE_VM. */
enum others { NONE, DOOMED, LIVING };

static enum others others_with_its_mm(pid_t tid)
{
	enum others others = NONE;

	for (size_t i = nr_tasks; i-- > 0;) {
		if (tasks[i].tid == tid || tasks[i].held || !same_mm(tid, tasks[i].tid))
			continue;
		if (!is_doomed(tasks[i].tid))
			return LIVING;
		others = DOOMED;
	}
	return others;
}

/* SIGKILL ends a stop, and the address space with it. */
static bool is_stopped(pid_t tid)
{
	unsigned long message;

	return !ptrace(PTRACE_GETEVENTMSG, tid, NULL, &message);
}

static void write_process(pid_t tid, pid_t tgid)
{
	char path[64], comm[64] = "";
	struct timespec now;
	FILE *maps, *file;
	int pagemap;

	/* The leader may be a zombie already: read through the thread that is stopped. */
	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	file = fopen(path, "r");
	if (file) {
		if (fgets(comm, sizeof(comm), file))
			comm[strcspn(comm, "\n")] = 0;
		fclose(file);
	}
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	maps = fopen(path, "r");
	snprintf(path, sizeof(path), "/proc/%d/pagemap", tid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(out, "P\t%d\t%" PRIu64 "\t%s\n", tgid, (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec, comm);
	if (maps && pagemap >= 0)
		truth_entries_write(out, maps, pagemap);
	if (!maps || pagemap < 0 || !is_stopped(tid))
		fprintf(out, "L\t%d\n", tgid);
	if (pagemap >= 0)
		close(pagemap);
	if (maps)
		fclose(maps);
	fflush(out);
}

/* ---- ptrace ------------------------------------------------------------------- */

/* It has been written, or has nothing to be written any more. */
static void release(pid_t tid)
{
	task_remove(tid);
	ptrace(PTRACE_CONT, tid, NULL, NULL);
}

static bool any_held(void)
{
	for (size_t i = 0; i < nr_tasks; i++) {
		if (tasks[i].held)
			return true;
	}
	return false;
}

/* Write what only held tasks have. */
static void settle_held(void)
{
	for (size_t i = 0; i < nr_tasks; i++) {
		pid_t tid = tasks[i].tid;

		enum others others = tasks[i].held && is_stopped(tid) ? others_with_its_mm(tid) : DOOMED;

		if (others == DOOMED)
			continue;
		if (others == NONE)
			write_process(tid, status_field(tid, "Tgid:", 10, tid));
		for (size_t k = nr_tasks; k-- > 0;) {
			if (tasks[k].held && tasks[k].tid != tid && same_mm(tid, tasks[k].tid))
				release(tasks[k].tid);
		}
		release(tid);
		i = -1;
	}
}

/* A thread whose exit stop was ended by another's exit_group() is nobody's last. */
static bool has_siblings(pid_t tid, pid_t tgid)
{
	for (size_t i = 0; i < nr_tasks; i++) {
		if (tasks[i].tid != tid && status_field(tasks[i].tid, "Tgid:", 10, 0) == (unsigned long)tgid)
			return true;
	}
	return false;
}

static void handle_exit(pid_t tid)
{
	pid_t tgid = status_field(tid, "Tgid:", 10, tid);

	if (!is_stopped(tid)) {
		if (!has_siblings(tid, tgid))
			write_process(tid, tgid);
		task_remove(tid);
		return;
	}
	tasks[task_find(tid)].held = true;
}

static void handle_event(pid_t tid, int event)
{
	unsigned long message = 0;

	task_add(tid);
	ptrace(PTRACE_GETEVENTMSG, tid, NULL, &message);
	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_VFORK:
		task_add((pid_t)message);
		break;
	case PTRACE_EVENT_EXEC:
		/* The thread that called execve goes on under the leader's number. */
		if ((pid_t)message != tid)
			task_remove((pid_t)message);
		break;
	}
}

/* Let a stopped thread go on: with its signal, or, in a group stop, still stopped. */
static void resume(pid_t tid, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_STOP) {
		bool group_stop = signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;

		task_add(tid);
		ptrace(group_stop ? PTRACE_LISTEN : PTRACE_CONT, tid, NULL, NULL);
		return;
	}
	if (event == PTRACE_EVENT_EXIT) {
		task_add(tid);
		handle_exit(tid);
		return;
	}
	if (event) {
		handle_event(tid, event);
		signal = 0;
	}
	ptrace(PTRACE_CONT, tid, NULL, (void *)(long)signal);
}

static pid_t start_command(char **argv)
{
	const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
			     PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
	int gate[2];
	pid_t child;
	char go = 0;

	if (pipe2(gate, O_CLOEXEC))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(125);
		execvp(argv[0], argv);
		fprintf(stderr, "truth: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(gate[0]);
	if (ptrace(PTRACE_SEIZE, child, NULL, (void *)options))
		die("ptrace");
	task_add(child);
	if (write(gate[1], &go, 1) != 1)
		die("pipe");
	close(gate[1]);
	return child;
}

/* The next task that stops or ends. A leader that is killed in its exit stop ends untold: so it is looked after. */
static pid_t wait_for_task(int *status)
{
	pid_t tid;

	for (;;) {
		settle_held();
		tid = waitpid(-1, status, __WALL | (any_held() ? WNOHANG : 0));
		if (tid > 0 || (tid < 0 && errno != EINTR))
			return tid;
		if (!tid)
			usleep(500);
	}
}

int main(int argc, char **argv)
{
	int status, exit_code = 125;
	pid_t command, tid;

	if (argc < 3) {
		fprintf(stderr, "usage: truth OUT.tsv COMMAND [ARGUMENT...]\n");
		return 125;
	}
	out = fopen(argv[1], "we");
	if (!out)
		die(argv[1]);
	fprintf(out, "W\t%d\n", getpid());
	fflush(out);
	if (truth_entries_open())
		die("/proc/kpageflags");
	command = start_command(argv + 2);
	while ((tid = wait_for_task(&status)) > 0) {
		if (WIFSTOPPED(status)) {
			resume(tid, status);
			continue;
		}
		task_remove(tid);
		if (tid == command)
			exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	if (fclose(out))
		die(argv[1]);
	return exit_code;
}
