// SPDX-License-Identifier: MIT
/*
 * Other people's code in a process of its own: if it crashes, the one that asked goes on. A crash in a hook is told by
 * loaded.c in that process, which then says here whose hook it was.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay/commands/commands.h"

/* What standard output has is written by the process that has it. */
static void run_and_exit(int (*run)(void *context), void *context, int report)
{
	int code;

	rf_command_loaded_report(report);
	code = run(context);
	if (fflush(stdout))
		code = RF_EXIT_FAILED;
	_exit(code);
}

int rf_command_isolated(int (*run)(void *context), void *context, const struct arch_loaded **crashed)
{
	int pipes[2], status;
	ssize_t told;
	pid_t child;

	*crashed = NULL;
	fflush(stdout);
	fflush(stderr);
	if (pipe(pipes))
		return rf_command_errno("replay", "cannot isolate", errno);
	child = fork();
	if (!child) {
		close(pipes[0]);
		run_and_exit(run, context, pipes[1]);
	}
	close(pipes[1]);
	if (child < 0) {
		close(pipes[0]);
		return rf_command_errno("replay", "cannot isolate", errno);
	}
	do
		told = read(pipes[0], crashed, sizeof(*crashed));
	while (told < 0 && errno == EINTR);
	close(pipes[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (told != sizeof(*crashed))
		*crashed = NULL;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "refold: replay: ended by signal %d, in no hook of a backend\n", WTERMSIG(status));
	return RF_EXIT_FAILED;
}
