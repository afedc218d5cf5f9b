// SPDX-License-Identifier: MIT
/*
 * Hooks of loaded backends that end in a signal, or do not end. Whoever runs them here comes back: the signal is a
 * violation like any other. What it leaves behind in thread-local memory goes with the thread.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "arch/loaded/loaded.h"
#include "properties/property.h"

#define PATIENCE 2	/* seconds for a step: the slowest take some milliseconds */

static struct trial *volatile watched;

void crash_watch(struct trial *t)
{
	watched = t;
}

static const char *name_of(int number)
{
	switch (number) {
	case SIGABRT:
		return "aborts";
	case SIGBUS:
		return "ends in a bus error";
	case SIGFPE:
		return "ends in an arithmetic exception";
	case SIGILL:
		return "ends in an illegal instruction";
	case SIGALRM:
		return "does not return";
	default:
		return "ends in a segmentation fault";
	}
}

/*
 * Out of the hook by longjmp(), which is why these signals are not blocked meanwhile. SIGALRM is sent to the thread
 * whose step takes too long. A signal that comes of anything but a hook does what it always does.
 */
static void handle(int number, siginfo_t *info, void *context)
{
	const struct arch_loaded *loaded;
	struct trial *t = watched;
	const char *hook;
	s64 bytes;

	if (t && arch_loaded_in_hook(&loaded, &hook)) {
		if (number == SIGSEGV && arch_loaded_beside_table(info->si_addr, &bytes))
			violation(t, "table", "%s touches memory outside of its table, %llu bytes %s", hook,
				  (unsigned long long)(bytes < 0 ? -bytes : bytes),
				  bytes < 0 ? "before it" : "behind its end");
		t->failure.hangs = number == SIGALRM;
		violation(t, "crash", "%s %s", hook, name_of(number));
	}
	if (number == SIGALRM)
		return;
	signal(number, SIG_DFL);
	raise(number);
}

static const int numbers[] = { SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV };

struct call {
	void (*run)(void *context);
	void *context;
};

static void *run_call(void *argument)
{
	const struct call *call = argument;

	call->run(call->context);
	return NULL;
}

static size_t steps_taken(void)
{
	const struct trial *t = watched;

	return t ? __atomic_load_n(&t->step_number, __ATOMIC_RELAXED) : 0;
}

static void wait_for(pthread_t thread)
{
	size_t steps = 0;
	struct timespec until;

	for (;;) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENCE;
		if (!pthread_timedjoin_np(thread, NULL, &until))
			return;
		if (steps && steps == steps_taken())
			pthread_kill(thread, SIGALRM);
		steps = steps_taken();
	}
}

int crash_run(void (*run)(void *context), void *context)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction before[ARRAY_SIZE(numbers)];
	struct call call = { run, context };
	pthread_t thread;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, &before[i]);
	ret = pthread_create(&thread, NULL, run_call, &call);
	if (!ret)
		wait_for(thread);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &before[i], NULL);
	return ret ? -ENOMEM : 0;
}
