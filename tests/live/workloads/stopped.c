// SPDX-License-Identifier: MIT
/*
 * Who does not stop when a tracer asks, because it is stopped already or waits for somebody who is.
 *
 *	stopped KIND
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void rest(void)
{
	for (;;)
		pause();
}

static void *rest_in_thread(void *argument)
{
	rest();
	return NULL;
}

static void start_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, rest_in_thread, NULL);
}

/* Job control stops it. */
static void one(void)
{
	raise(SIGSTOP);
	rest();
}

static void threads(void)
{
	start_threads();
	one();
}

/* It sleeps, not to be interrupted, until its child ends, which is stopped. */
static void child(void)
{
	if (!vfork()) {
		raise(SIGSTOP);
		_exit(0);
	}
	rest();
}

static void *child_of_thread(void *argument)
{
	child();
	return NULL;
}

static void thread_of_child(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, child_of_thread, NULL);
	usleep(100000);
	one();
}

/* The leader is a zombie, the others are stopped. */
static void leader_gone(void)
{
	pid_t self = getpid();

	start_threads();
	if (!fork()) {
		usleep(200000);
		kill(self, SIGSTOP);
		rest();
	}
	pthread_exit(NULL);
}

/* It is stopped, its child by it as a tracer. */
static void traced(void)
{
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		one();
	}
	waitpid(pid, NULL, 0);
	one();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} kinds[] = {
		{ "one", one }, { "threads", threads }, { "child", child }, { "thread_of_child", thread_of_child },
		{ "leader_gone", leader_gone }, { "traced", traced },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(argv[1], kinds[i].name))
			kinds[i].run();
	fprintf(stderr, "usage: stopped KIND\n");
	return 2;
}
