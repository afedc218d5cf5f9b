/* SPDX-License-Identifier: MIT */
/*
 * memory TRACE POLICIES: with more and more memory, from none on, a replay says -ENOMEM and then, from some amount on,
 * gives the report that it gives otherwise; never half of one, and it neither prints nor ends the program.
 */
#include <errno.h>
#include <refold.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP (256 << 10)
#define MOST (256 << 20)

static struct refold_report *replay(char **argv, struct refold_error *err)
{
	struct refold_replay *replay = refold_replay_new();
	struct refold_report *report = NULL;

	if (!replay)
		err->code = -ENOMEM;
	else if (!refold_replay_add_trace(replay, argv[1], err) && !refold_replay_add_policies(replay, argv[2], err))
		report = refold_replay_run(replay, err);
	refold_replay_free(replay);
	return report;
}

static long data_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (file && fscanf(file, "%*u %*u %*u %*u %*u %ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages;
}

/* In a process of its own: 0: the report is whole, 1: no memory, 2: something else. */
static int with_memory(char **argv, size_t bytes, const char *whole)
{
	struct rlimit limit = { 0 };
	struct refold_report *report;
	struct refold_error err;
	int status;
	pid_t child = fork();

	if (!child) {
		limit.rlim_cur = limit.rlim_max = (rlim_t)data_pages() * sysconf(_SC_PAGESIZE) + bytes;
		setrlimit(RLIMIT_DATA, &limit);
		report = replay(argv, &err);
		if (!report)
			_exit(err.code == -ENOMEM ? 1 : 2);
		if (!refold_report_json(report))
			_exit(1);
		_exit(strcmp(refold_report_json(report), whole) ? 2 : 0);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

int main(int argc, char **argv)
{
	struct refold_error err;
	struct refold_report *report = argc == 3 ? replay(argv, &err) : NULL;
	size_t bytes, none = 0, wrong = 0;
	int result = 1;

	for (bytes = 0; report && bytes < MOST && result; bytes += STEP) {
		result = with_memory(argv, bytes, refold_report_json(report));
		none += result == 1;
		if (result > 1 && !wrong++)
			fprintf(stderr, "with %zu KiB: %d\n", bytes >> 10, result);
	}
	refold_report_free(report);
	return !report || result || !none || wrong;
}
