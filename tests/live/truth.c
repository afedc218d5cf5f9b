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
 *	P pid time_ns comm		a process, CLOCK_MONOTONIC
 *	E addr nr pfn head order	a run of present entries inside one folio
 *	S addr nr			a run of swap entries
 * A process is written when its last thread reaches the exit stop, which comes
 * before exit_mm(); one that still shares its parent's address space (vfork)
 * is not written.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGEMAP_PFN ((1ull << 55) - 1)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_PRESENT (1ull << 63)
#define KPF_COMPOUND_HEAD (1ull << 15)
#define KPF_COMPOUND_TAIL (1ull << 16)
#define TASK_END (1ull << 47)		/* the vsyscall page lies above and is in no page table of the process */

#define FOLIO_PAGES 1024		/* more than any folio that a page-table page can map */
#define MAX_TASKS 65536

static FILE *out;
static int kpageflags;
static size_t page_size;

static void die(const char *what)
{
	fprintf(stderr, "truth: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ---- which threads there are ------------------------------------------------ */

static struct task {
	pid_t tid, tgid;
	bool borrowed_mm;	/* vfork child that has not called execve */
} *tasks;
static size_t nr_tasks;

static struct task *task_find(pid_t tid)
{
	for (size_t i = 0; i < nr_tasks; i++) {
		if (tasks[i].tid == tid)
			return &tasks[i];
	}
	return NULL;
}

static pid_t read_tgid(pid_t tid)
{
	char path[64], line[256];
	int tgid = tid;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "r");
	if (!file)
		return tid;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	}
	fclose(file);
	return tgid;
}

/* A new thread may stop before or after the event of its parent that announces it. */
static struct task *task_add(pid_t tid)
{
	struct task *task = task_find(tid);

	if (task)
		return task;
	if (nr_tasks == MAX_TASKS) {
		errno = E2BIG;
		die("tasks");
	}
	task = &tasks[nr_tasks++];
	*task = (struct task){ .tid = tid, .tgid = read_tgid(tid) };
	return task;
}

static void task_remove(pid_t tid)
{
	struct task *task = task_find(tid);

	if (task)
		*task = tasks[--nr_tasks];
}

static bool group_alive(pid_t tgid)
{
	for (size_t i = 0; i < nr_tasks; i++) {
		if (tasks[i].tgid == tgid)
			return true;
	}
	return false;
}

/* ---- one page table ---------------------------------------------------------- */

static struct {
	uint64_t addr, nr, pfn, head;
	int order;
	bool swap;
} run;

static void run_flush(void)
{
	if (run.nr && run.swap)
		fprintf(out, "S\t%" PRIx64 "\t%" PRIu64 "\n", run.addr, run.nr);
	else if (run.nr)
		fprintf(out, "E\t%" PRIx64 "\t%" PRIu64 "\t%" PRIx64 "\t%" PRIx64 "\t%d\n",
			run.addr, run.nr, run.pfn, run.head, run.order);
	run.nr = 0;
}

/* The last window of kpageflags that was read; valid for one process, the others run on meanwhile. */
static uint64_t flags_window = UINT64_MAX, flags[2 * FOLIO_PAGES];

/* Head and order of the folio of pfn. Folios are naturally aligned powers of two. */
static void read_folio(uint64_t pfn, uint64_t *head, int *order)
{
	uint64_t window = pfn & ~(uint64_t)(FOLIO_PAGES - 1), pages;
	size_t at = pfn - window, begin, end;

	if (flags_window != window) {
		ssize_t got = pread(kpageflags, flags, sizeof(flags), window * sizeof(*flags));

		if (got < 0)
			got = 0;
		memset((char *)flags + got, 0, sizeof(flags) - got);
		flags_window = window;
	}
	*head = pfn;
	*order = 0;
	if (!(flags[at] & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)))
		return;
	for (begin = at; begin && !(flags[begin] & KPF_COMPOUND_HEAD); begin--)
		;
	for (end = begin + 1; end < 2 * FOLIO_PAGES; end++) {
		if ((flags[end] & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)) != KPF_COMPOUND_TAIL)
			break;
	}
	*head = window + begin;
	for (pages = end - begin; pages > 1; pages /= 2)
		++*order;
}

static void write_entry(uint64_t addr, uint64_t entry)
{
	uint64_t pfn = entry & PAGEMAP_PFN, head;
	bool follows = run.nr && addr == run.addr + run.nr * page_size;
	int order;

	if (!(entry & PAGEMAP_PRESENT)) {
		if (follows && run.swap) {
			run.nr++;
			return;
		}
		run_flush();
		run.addr = addr;
		run.nr = 1;
		run.swap = true;
		return;
	}
	read_folio(pfn, &head, &order);
	if (follows && !run.swap && pfn == run.pfn + run.nr && head == run.head && order == run.order) {
		run.nr++;
		return;
	}
	run_flush();
	run.addr = addr;
	run.nr = 1;
	run.pfn = pfn;
	run.head = head;
	run.order = order;
	run.swap = false;
}

static void write_range(int pagemap, uint64_t start, uint64_t end)
{
	static uint64_t entries[16384];

	while (start < end) {
		uint64_t want = (end - start) / page_size;
		ssize_t got;

		if (want > sizeof(entries) / sizeof(*entries))
			want = sizeof(entries) / sizeof(*entries);
		got = pread(pagemap, entries, want * sizeof(*entries), start / page_size * sizeof(*entries));
		if (got <= 0)
			return;
		for (size_t i = 0; i < got / sizeof(*entries); i++, start += page_size) {
			if (entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
				write_entry(start, entries[i]);
		}
	}
}

static void write_process(pid_t tid, pid_t tgid)
{
	char path[64], line[4608], comm[64] = "";
	uint64_t start, end;
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
	if (!maps || pagemap < 0)
		die(path);
	flags_window = UINT64_MAX;
	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(out, "P\t%d\t%" PRIu64 "\t%s\n", tgid, (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec, comm);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && start < TASK_END)
			write_range(pagemap, start, end);
	}
	run_flush();
	close(pagemap);
	fclose(maps);
	fflush(out);
}

/* ---- ptrace ------------------------------------------------------------------- */

static void handle_event(pid_t tid, int event)
{
	struct task *task = task_add(tid);
	unsigned long message = 0;
	bool borrowed;
	pid_t tgid;

	ptrace(PTRACE_GETEVENTMSG, tid, NULL, &message);
	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_CLONE:
		task_add((pid_t)message);
		break;
	case PTRACE_EVENT_VFORK:
		task_add((pid_t)message)->borrowed_mm = true;
		break;
	case PTRACE_EVENT_EXEC:
		/* The thread that called execve goes on under the leader's number. */
		if ((pid_t)message != tid)
			task_remove((pid_t)message);
		task_find(tid)->borrowed_mm = false;
		break;
	case PTRACE_EVENT_EXIT:
		tgid = task->tgid;
		borrowed = task->borrowed_mm;
		task_remove(tid);
		if (!borrowed && !group_alive(tgid))
			write_process(tid, tgid);
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

int main(int argc, char **argv)
{
	int status, exit_code = 125;
	pid_t command, tid;

	if (argc < 3) {
		fprintf(stderr, "usage: truth OUT.tsv COMMAND [ARGUMENT...]\n");
		return 125;
	}
	page_size = sysconf(_SC_PAGESIZE);
	tasks = calloc(MAX_TASKS, sizeof(*tasks));
	out = fopen(argv[1], "we");
	if (!tasks || !out)
		die(argv[1]);
	kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (kpageflags < 0)
		die("/proc/kpageflags");
	command = start_command(argv + 2);
	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid < 0)
			continue;
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
