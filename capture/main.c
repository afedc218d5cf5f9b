// SPDX-License-Identifier: MIT
/*
 * refold-capture: record what a program, a process or the whole system does to
 * its page tables, from the live kernel into a trace file.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "capture/doctor.h"
#include "capture/metrics.h"
#include "capture/options.h"
#include "capture/tracefs/session.h"
#include "capture/trigger.h"

struct run {
	struct rf_command_line line;
	bool terminal;		/* messages go to one */
	struct rf_trigger trigger;
	bool no_metrics;	/* they cannot be written; it was said */
	struct rf_progress last;
};

static void print_command_status(const char *command, int status)
{
	if (status == -1)
		fprintf(stderr, "refold-capture: %s still ran and was sent SIGTERM\n", command);
	else if (WIFSIGNALED(status))
		fprintf(stderr, "refold-capture: %s was ended by signal %d (%s)\n", command, WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "refold-capture: %s exited with status %d\n", command, WEXITSTATUS(status));
}

/* Why it ended, where that is not as the user would think. */
static const char *const endings[RF_NR_ENDS] = {
	[RF_END_PROCESSES] = "all that was recorded has ended",
	[RF_END_TIME] = "the time given by --time is over",
	[RF_END_SIZE] = "stopped: the trace has the size given by --max-size",
	[RF_END_DISK] = "stopped: the disk has no more left than --min-free asks for",
	[RF_END_MEMORY] = "stopped: --max-memory is reached",
	[RF_END_CPU] = "stopped: more CPU time than --max-cpu, and nothing is left to leave out",
};

static const char *megabytes(u64 bytes, char text[RF_DIGITS_MAX])
{
	snprintf(text, RF_DIGITS_MAX, "%.1f MB", (double)bytes / 1e6);
	return text;
}

/* A monitor that gets nothing more is a pity, and no reason to end. */
static void write_metrics(struct run *run, bool running)
{
	const char *path = run->line.metrics;
	int ret = 0;

	if (path && !run->no_metrics)
		ret = rf_metrics_write(path, &run->line.recording.labels, &run->last, running);
	if (!ret)
		return;
	run->no_metrics = true;
	fprintf(stderr, "refold-capture: %s: no metrics any more: %s\n", path, strerror(-ret));
}

/* Once a second on a terminal, always in the same line; elsewhere only when asked. */
static void print_progress(void *context, const struct rf_progress *progress, bool asked)
{
	struct run *run = context;
	char records[RF_DIGITS_MAX], lost[RF_DIGITS_MAX], bytes[RF_DIGITS_MAX];
	bool terminal = run->terminal && !run->line.quiet;

	run->last = *progress;
	write_metrics(run, true);
	if (!terminal && !asked)
		return;
	fprintf(stderr, "%s%s: %.0f s, %s events, %s, %s lost, %.1f %% of a CPU%s", terminal ? "\r" : "",
		run->line.recording.output, (double)progress->elapsed_ns / 1e9,
		rf_digits_unsigned(progress->records, records), megabytes(progress->bytes, bytes),
		rf_digits_unsigned(progress->lost, lost),
		progress->elapsed_ns ? 100.0 * (double)progress->cpu_ns / (double)progress->elapsed_ns : 0.0,
		terminal ? "\033[K" : "\n");
	fflush(stderr);
}

static void clear_progress(const struct run *run)
{
	if (run->terminal && !run->line.quiet)
		fputs("\r\033[K", stderr);
}

static void print_left_behind(void *context, size_t processes)
{
	const struct run *run = context;

	clear_progress(run);
	if (!run->line.quiet)
		fprintf(stderr, "refold-capture: %s has ended, %zu of the processes it started live on and are recorded: "
			"interrupt to stop\n", run->line.recording.command[0], processes);
}

static void print_losses(const char *output, const struct rf_recording_result *result, const char *more)
{
	char buffer[64] = "";

	if (result->needed_buffer)
		snprintf(buffer, sizeof(buffer), ": --buffer %lluM would have held them",
			 (unsigned long long)(result->needed_buffer >> 20));
	fprintf(stderr, "refold-capture: %s: %llu events were lost%s%s\n", output, (unsigned long long)result->lost,
		more, buffer);
}

static void print_result(const struct rf_command_line *line, const char *output,
			 const struct rf_recording_result *result)
{
	char bytes[40] = "";

	for (size_t i = 0; i < result->nr_warnings; i++)
		fprintf(stderr, "refold-capture: warning: %s\n", result->warnings[i]);
	if (result->lost)
		print_losses(output, result, "");
	if (result->bytes)
		snprintf(bytes, sizeof(bytes), ", %llu bytes", (unsigned long long)result->bytes);
	fprintf(stderr, "%s: %llu events%s, %llu lost, %llu snapshots\n", output,
		(unsigned long long)result->records, bytes, (unsigned long long)result->lost,
		(unsigned long long)result->snapshots);
}

static void print_part(void *context, const char *output, const struct rf_recording_result *result)
{
	const struct run *run = context;

	clear_progress(run);
	if (run->line.quiet)
		return;
	print_result(&run->line, output, result);
	if (result->asked)
		fprintf(stderr, "%s: kept, with the one before it: the recording goes on\n", output);
}

static int record(struct run *run)
{
	struct rf_command_line *line = &run->line;
	struct rf_recording_result result = { 0 };
	struct rf_error err;
	int ret = 0;

	run->terminal = isatty(STDERR_FILENO);
	line->recording.progress = print_progress;
	line->recording.left_behind = print_left_behind;
	line->recording.context = run;
	if (line->trigger)
		ret = rf_trigger_start(&run->trigger, line->trigger, &err);
	line->recording.trigger_fd = run->trigger.fd;
	if (!ret && line->rotates) {
		ret = rf_record_parts(&line->recording, &line->rotation, print_part, &result, &err);
	} else if (!ret) {
		ret = rf_record(&line->recording, &result, &err);
		clear_progress(run);
	}
	rf_trigger_end(&run->trigger);
	if (!ret && !line->rotates) {
		run->last.records = result.records;
		run->last.lost = result.lost;
		if (result.bytes)
			run->last.bytes = result.bytes;
	}
	write_metrics(run, false);
	if (ret) {
		fprintf(stderr, "refold-capture: %s%s\n", err.message,
			result.wrote ? "; what was recorded until then is kept" : "");
		return RF_EXIT_FAILED;
	}
	if (!line->quiet && line->recording.command)
		print_command_status(line->recording.command[0], result.command_status);
	if (!line->quiet && !line->rotates)
		print_result(line, line->recording.output, &result);
	if (!line->quiet && endings[result.end])
		fprintf(stderr, "refold-capture: %s\n", endings[result.end]);
	if (line->limits_loss && result.lost > line->max_loss) {
		char allowed[64];

		snprintf(allowed, sizeof(allowed), ", %llu allowed", (unsigned long long)line->max_loss);
		print_losses(line->recording.output, &result, allowed);
		return RF_EXIT_LOSSY;
	}
	return RF_EXIT_DONE;
}

static int doctor(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	bool json = false;
	int option;

	opterr = 0;	/* one line, and ours */
	while ((option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (option == 'h') {
			rf_command_line_help(stdout);
			return RF_EXIT_DONE;
		}
		if (option != 'j')
			return rf_usage_error("doctor takes no such option", argv[optind - 1]);
		json = true;
	}
	if (optind < argc)
		return rf_usage_error("doctor takes no argument", argv[optind]);
	return rf_doctor(stdout, json);
}

static void print_removal(void *context, const char *kind, const char *name, int error)
{
	size_t *counts = context;	/* removed, left */

	counts[!!error]++;
	if (error)
		fprintf(stderr, "refold-capture: %s %s cannot be removed: %s\n", kind, name, strerror(error));
	else
		printf("removed %s %s\n", kind, name);
}

/* What recorders that were killed have left; the next recording would do so as well. */
static int cleanup(int argc, char **argv)
{
	size_t counts[2] = { 0, 0 };
	struct rf_error err;

	if (argc > 1 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))) {
		rf_command_line_help(stdout);
		return RF_EXIT_DONE;
	}
	if (argc > 1 && argv[1][0] == '-')
		return rf_usage_error("cleanup takes no option but names of files of --metrics", argv[1]);
	if (rf_tracefs_check(&err)) {
		fprintf(stderr, "refold-capture: %s\n", err.message);
		return RF_EXIT_FAILED;
	}
	rf_remove_stale_instances(print_removal, counts);
	for (int i = 1; i < argc; i++)
		rf_metrics_remove_stale(argv[i], print_removal, counts);
	if (!counts[0] && !counts[1])
		puts("nothing was left behind");
	return counts[1] ? RF_EXIT_FAILED : RF_EXIT_DONE;
}

/* Help or a list that could not be written is a failure. */
static int close_standard_output(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	fprintf(stderr, "refold-capture: standard output: cannot write: %s\n", strerror(errno));
	return code == RF_EXIT_DONE ? RF_EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
	struct run run = { 0 };
	int code;

	if (argc > 1 && !strcmp(argv[1], "doctor"))
		return close_standard_output(doctor(argc - 1, argv + 1));
	if (argc > 1 && !strcmp(argv[1], "cleanup"))
		return close_standard_output(cleanup(argc - 1, argv + 1));
	code = rf_command_line_read(&run.line, argc, argv);
	/* COMMAND's standard output is its own. */
	if (code >= 0)
		code = close_standard_output(code);
	else
		code = record(&run);
	rf_command_line_free(&run.line);
	return code;
}
