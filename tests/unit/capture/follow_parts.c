// SPDX-License-Identifier: MIT
/*
 * What test_follow.c runs under rf_follow_*(): programs that do what is hard to follow. Each exits with 0 if all went
 * as it does when nobody follows.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "follow_parts.h"

const char *self_path;

static void nap(long milliseconds)
{
	struct timespec ts = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void *nap_thread(void *argument)
{
	nap((long)(intptr_t)argument);
	return NULL;
}

/* Short threads, then the leader ends before the last one. */
static int part_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 50; i++) {
		if (pthread_create(&thread, NULL, nap_thread, (void *)(intptr_t)(i % 3)))
			return 1;
		if (i % 2)
			pthread_join(thread, NULL);
		else
			pthread_detach(thread);
	}
	if (pthread_create(&thread, NULL, nap_thread, (void *)100))
		return 1;
	pthread_exit(NULL);
}

static void *exec_thread(void *part)
{
	execl(self_path, self_path, part, NULL);
	return NULL;
}

static int exec_by_thread(const char *part)
{
	pthread_t threads[4];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, nap_thread, (void *)10000);
	pthread_create(&threads[3], NULL, exec_thread, (void *)part);
	nap(10000);
	return 1;
}

static int part_exec_by_thread(void)
{
	return exec_by_thread("child");
}

static int part_exec_attached(void)
{
	return exec_by_thread("attached");
}

/* A child that executes, and one that ends in its parent's memory. */
static int part_vfork(void)
{
	volatile int touched = 0;
	int status, ok = 0;
	pid_t pid = vfork();

	if (!pid) {
		execl(self_path, self_path, "child", NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	ok += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	pid = vfork();
	if (!pid) {
		touched = 1;
		_exit(7);
	}
	waitpid(pid, &status, 0);
	ok += WIFEXITED(status) && WEXITSTATUS(status) == 7 && touched;
	return ok == 2 ? 0 : 1;
}

static volatile sig_atomic_t caught;

static void catch(int signal)
{
	caught += signal == SIGUSR1;
}

/* Handlers run, job control works as seen by the parent, fatal signals are told as such. */
static int part_signals(void)
{
	int status, ok = 0, seen[2];
	char byte = 0;
	pid_t pid;

	if (pipe(seen))
		return 1;
	signal(SIGUSR1, catch);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR1);
	ok += caught == 100;
	pid = fork();
	if (!pid) {
		setpgid(0, 0);		/* in an orphaned group SIGTSTP would do nothing */
		raise(SIGSTOP);
		/* A stop takes back that it was continued, if nobody has seen that yet. */
		if (read(seen[0], &byte, 1) == 1)
			raise(SIGTSTP);
		abort();
	}
	for (int i = 0; i < 2; i++) {
		ok += waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
		nap(30);
		kill(pid, SIGCONT);
		if (i == 0) {
			ok += waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status);
			ok += write(seen[1], &byte, 1) == 1;
		}
	}
	waitpid(pid, &status, 0);
	ok += WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	pid = fork();
	if (!pid) {
		for (;;)
			pause();
	}
	nap(20);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ok += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return ok == 7 ? 0 : 1;
}

/* TRACEME, then an exec and a system call seen by the nested tracer. */
static int nested_traceme(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(50);
		execl(self_path, self_path, "child", NULL);
		_exit(51);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		return 1;
	if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 2;
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
		return 3;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 4;
}

static int nested_attach(enum __ptrace_request how)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	nap(10);
	if (ptrace(how, pid, NULL, NULL))
		return 11;
	if (how == PTRACE_SEIZE && ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		return 12;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 13;
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return 14;
	kill(pid, SIGTERM);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : 15;
}

/* A child attaches to its parent, as crash handlers do. */
static int part_attached(void)
{
	pid_t parent = getpid(), pid = fork();
	int status;

	if (!pid) {
		if (ptrace(PTRACE_ATTACH, parent, NULL, NULL))
			_exit(41);
		if (waitpid(parent, &status, 0) != parent || !WIFSTOPPED(status))
			_exit(42);
		_exit(ptrace(PTRACE_DETACH, parent, NULL, NULL) ? 43 : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 44;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 45;
}

static int part_ptrace(void)
{
	int code = nested_traceme();

	if (!code)
		code = nested_attach(PTRACE_ATTACH);
	if (!code)
		code = nested_attach(PTRACE_SEIZE);
	return code;
}

/* A debugger and what it attaches to in a PID namespace of their own: it calls its target by another number. */
static int part_namespace(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return 31;
	pid = fork();
	if (!pid)
		_exit(getpid() == 1 ? nested_attach(PTRACE_ATTACH) : 32);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 33;
}

/* As LeakSanitizer does: a CLONE_UNTRACED helper that shares the memory attaches to its parent's threads. */
static int leak_checker(void *argument)
{
	pid_t parent = (pid_t)(intptr_t)argument;
	int status;

	if (ptrace(PTRACE_ATTACH, parent, NULL, NULL))
		_exit(errno == ENOSYS ? 21 : 22);
	if (waitpid(parent, &status, __WALL) != parent || !WIFSTOPPED(status))
		_exit(23);
	if (ptrace(PTRACE_DETACH, parent, NULL, NULL))
		_exit(24);
	_exit(0);
}

static int part_untraced(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid = clone(leak_checker, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED,
			  (void *)(intptr_t)getpid());

	if (pid < 0)
		return 25;
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return 26;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 27;
}

static int part_many(void)
{
	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(i & 63);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != (i & 63))
			return 1;
	}
	return 0;
}

/* A parent that ends while its child goes on; nobody waits for it. */
static int part_orphan(void)
{
	if (!fork()) {
		nap(20000);
		_exit(0);
	}
	nap(20);
	return 0;
}

/* Argument 2: a descriptor to tell "still alive and able to ptrace" on, after the recorder's death. */
static int part_outlive(int fd)
{
	char ready = 'r', verdict;

	if (write(fd, &ready, 1) != 1)
		return 1;
	while (getppid() != 1 && prctl(PR_GET_CHILD_SUBREAPER, &(int){ 0 }) == 0 && kill(getppid(), 0) == 0) {
		char path[64], line[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
		file = fopen(path, "re");
		if (file) {
			(void)!fgets(line, sizeof(line), file);
			fclose(file);
		}
		if (strncmp(line, "recorder", 8))
			break;
		nap(5);
	}
	nap(20);
	verdict = (char)('0' + part_ptrace());
	return write(fd, &verdict, 1) == 1 ? 0 : 1;
}

/* Two iovecs of the parent, one write to ourselves, one call without iovecs and one with a bad pointer. */
static int part_process_vm(void)
{
	static char here[3000], there[3000];
	struct iovec local = { here, sizeof(here) };
	struct iovec remote[] = { { there, 1000 }, { there + 1500, 1500 } };
	int status = 1;
	pid_t child = fork();

	if (!child)
		_exit(process_vm_readv(getppid(), &local, 1, remote, 2, 0) != 2500);
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		return 1;
	if (process_vm_writev(getpid(), &local, 1, remote, 1, 0) != 1000)
		return 2;
	if (process_vm_readv(getpid(), &local, 1, remote, 0, 0) ||
	    process_vm_readv(getpid(), &local, 1, NULL, 1, 0) >= 0)
		return 3;
	return process_vm_readv(getpid(), &local, 1, remote, 5000, 0) >= 0;
}

int run_part(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} parts[] = {
		{ "threads", part_threads }, { "exec-by-thread", part_exec_by_thread }, { "vfork", part_vfork },
		{ "signals", part_signals }, { "ptrace", part_ptrace }, { "untraced", part_untraced },
		{ "namespace", part_namespace }, { "attached", part_attached },
		{ "exec-attached", part_exec_attached },
		{ "many", part_many }, { "orphan", part_orphan }, { "process-vm", part_process_vm },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(argv[1], parts[i].name))
			return parts[i].run();
	if (!strcmp(argv[1], "outlive") && argc > 2)
		return part_outlive(atoi(argv[2]));
	return strcmp(argv[1], "child") ? 98 : 0;
}
