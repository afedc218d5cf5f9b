// SPDX-License-Identifier: MIT
/*
 * Processes by every way there is to make one, and to end it: posix_spawn, vfork with and without exec, clone with its
 * memory; fork and be killed, crash, exec from a thread that is not the leader, have the leader leave first.
 *
 *	spawn_storm ROUNDS
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK (64ul << 10)

extern char **environ;
static char *const arguments[] = { "true", NULL };
static const char program[] = "/bin/true";

static void wait_for(pid_t pid)
{
	if (pid < 0 || waitpid(pid, NULL, __WALL) != pid) {
		perror("child");
		exit(1);
	}
}

static void *sleep_on(void *unused)
{
	pause();
	return NULL;
}

static void *exec_now(void *unused)
{
	execv(program, arguments);
	return NULL;
}

/* Goes on after its leader has left. */
static void *outlive(void *unused)
{
	char *area = malloc(STACK);

	usleep(2000);
	memset(area, 1, STACK);
	_exit(0);
}

static int exec_or_touch(void *exec)
{
	static int touched[4096];

	if (exec)
		execv(program, arguments);
	memset(touched, 1, sizeof(touched));
	return 0;
}

static void start_threads(int nr, void *(*last)(void *))
{
	pthread_t thread;

	for (int i = 0; i < nr; i++)
		pthread_create(&thread, NULL, sleep_on, NULL);
	pthread_create(&thread, NULL, last, NULL);
}

static void spawn(void)
{
	pid_t pid;

	if (posix_spawn(&pid, program, NULL, NULL, arguments, environ))
		exit(1);
	wait_for(pid);
}

static void vforked(int exec)
{
	pid_t pid = vfork();

	if (!pid) {
		if (exec)
			execv(program, arguments);
		_exit(1);
	}
	wait_for(pid);
}

/* Shares memory with a parent that runs on meanwhile. */
static void cloned(void *exec)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid = clone(exec_or_touch, stack + STACK, CLONE_VM | SIGCHLD, exec);

	wait_for(pid);
	munmap(stack, STACK);
}

static void forked(int way)
{
	pid_t pid = fork();

	if (pid) {
		wait_for(pid);
		return;
	}
	prctl(PR_SET_DUMPABLE, 0);	/* no core */
	switch (way) {
	case 0:
		start_threads(3, sleep_on);
		raise(SIGKILL);
		break;
	case 1:
		*(volatile int *)NULL = 1;
		break;
	case 2:
		start_threads(2, exec_now);
		pause();
		break;
	case 3:
		start_threads(0, outlive);
		syscall(SYS_exit, 0);	/* the leader alone */
		break;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	for (int rounds = atoi(argv[1]); rounds > 0; rounds--) {
		spawn();
		vforked(1);
		vforked(0);
		cloned(NULL);
		cloned((void *)1);
		for (int way = 0; way < 5; way++)
			forked(way);
	}
	return 0;
}
