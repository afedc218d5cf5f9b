// SPDX-License-Identifier: MIT
/*
 * Other people's code in this program: what was built of it is told, and if it ends the program, whose hook it was in.
 * A signal that comes of anything else does what it always does.
 */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "arch/loaded/loaded.h"
#include "engine/policy/policy.h"
#include "replay/commands/commands.h"

static void say(const char *text)
{
	ssize_t done = write(STDERR_FILENO, text, strlen(text));

	(void)done;
}

static void say_number(u64 number)
{
	char text[24], *at = text + sizeof(text) - 1;

	*at = '\0';
	do
		*--at = '0' + number % 10;
	while (number /= 10);
	say(at);
}

/* Of who isolates this process: isolate.c. */
static int isolated_by = -1;

void rf_command_loaded_report(int fd)
{
	isolated_by = fd;
}

/* Nobody needs to know if nobody reads it. */
static void report(const struct arch_loaded *loaded)
{
	ssize_t done = write(isolated_by, &loaded, sizeof(loaded));

	(void)done;
}

static const char *name_of(int number)
{
	switch (number) {
	case SIGABRT:
		return "abort, a BUG() in a kernel";
	case SIGBUS:
		return "bus error";
	case SIGFPE:
		return "arithmetic exception, as by a division by 0";
	case SIGILL:
		return "illegal instruction";
	default:
		return "segmentation fault";
	}
}

/* Two threads may crash at once. The second is not told of, nor ends anything: the first does. */
static bool is_first(void)
{
	static atomic_flag crashed = ATOMIC_FLAG_INIT;
	static _Thread_local bool first;

	if (!atomic_flag_test_and_set(&crashed))
		first = true;
	return first;
}

static void handle(int number, siginfo_t *info, void *context)
{
	const struct arch_loaded *loaded;
	const char *hook;
	s64 bytes;

	while (!is_first())
		pause();
	if (arch_loaded_in_hook(&loaded, &hook)) {
		say("refold: backend ");
		say(loaded->kernel ? loaded->backend.tree : loaded->path);
		say(": ");
		say(hook);
		if (number == SIGSEGV && arch_loaded_beside_table(info->si_addr, &bytes)) {
			say(" touches memory outside of its table, ");
			say_number(bytes < 0 ? -bytes : bytes);
			say(bytes < 0 ? " bytes before it\n" : " bytes behind its end\n");
		} else {
			say("() crashed: ");
			say(name_of(number));
			say("\n");
		}
		if (isolated_by >= 0)
			report(loaded);
		if (loaded->guarded || isolated_by >= 0)
			_exit(RF_EXIT_FAILED);
	}
	signal(number, SIG_DFL);
	raise(number);
}

static void watch(void)
{
	static const int numbers[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

static void tell(const struct arch_loaded *loaded)
{
	const struct refold_backend *backend = &loaded->backend;

	fprintf(stderr, "refold: %s Linux %s of %s%s%s for pages of %uK, core mm of %s: %s",
		loaded->built_now ? "built" : "built before:", backend->release, backend->tree,
		backend->revision ? ", " : "", backend->revision ? backend->revision : "",
		1u << (backend->page_shift - 10), backend->base, backend->compiler);
	if (loaded->built_now)
		fprintf(stderr, ", %.1f s", loaded->build_ms / 1000.0);
	fputs("\n", stderr);
}

void rf_command_loaded(const struct rf_policy *policies, size_t nr, bool quiet, bool check)
{
	bool any = false;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!policies[i].arch->loaded)
			continue;
		any = true;
		if (check)
			arch_loaded_guard(policies[i].arch->loaded);
		if (!quiet && policies[i].arch->loaded->kernel)
			tell(policies[i].arch->loaded);
	}
	if (any)
		watch();
}
