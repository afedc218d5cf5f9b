// SPDX-License-Identifier: MIT
/*
 * What all subcommands share: errors as one line that names the file, the place and the reason, and output files whose
 * write errors are noticed (a full disk must not look like success).
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "engine/policy/policy.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"

/* One line, whatever is in a name: it ends where we say, and moves no cursor. */
static __attribute__((format(printf, 1, 2))) void tell_line(const char *format, ...)
{
	va_list args;
	char *line;
	int length;

	va_start(args, format);
	length = vasprintf(&line, format, args);
	va_end(args);
	if (length < 0)
		return;
	for (char *at = line; *at; at++)
		if (iscntrl((unsigned char)*at))
			*at = '?';
	fprintf(stderr, "%s\n", line);
	free(line);
}

int rf_command_error(const char *file, const struct rf_error *err)
{
	if (err->offset != RF_NO_OFFSET)
		tell_line("refold: %s: byte %llu: %s", file, (unsigned long long)err->offset, err->message);
	else
		tell_line("refold: %s: %s%s", file, err->message, rf_limits_advice(err));
	return err->code == -EBADMSG ? RF_EXIT_DAMAGED : RF_EXIT_FAILED;
}

int rf_command_line_error(const char *file, const struct rf_error *err)
{
	if (err->offset == RF_NO_OFFSET)
		return rf_command_error(file, err);
	tell_line("refold: %s:%llu: %s", file, (unsigned long long)err->offset, err->message);
	return RF_EXIT_FAILED;
}

int rf_command_nothing(char *const *traces, int nr_traces, const char *why)
{
	tell_line("refold: %s: nothing was replayed: %s", nr_traces == 1 ? traces[0] : "all traces", why);
	return RF_EXIT_FAILED;
}

int rf_command_errno(const char *file, const char *what, int error)
{
	tell_line("refold: %s: %s: %s", file, what, strerror(error < 0 ? -error : error));
	return RF_EXIT_FAILED;
}

int rf_command_usage(const char *command, const char *format, ...)
{
	va_list args;
	char *what;
	int length;

	va_start(args, format);
	length = vasprintf(&what, format, args);
	va_end(args);
	if (length < 0)
		return RF_EXIT_USAGE;
	tell_line("refold %s: %s; see 'refold help %s'", command, what, command);
	free(what);
	return RF_EXIT_USAGE;
}

static int bad_option(const char *command, char **argv)
{
	return rf_command_usage(command, "%s: unknown option, or its value is missing", argv[optind - 1]);
}


int rf_command_option(const struct rf_command_line *line, int argc, char **argv, int *code)
{
	int option;

	opterr = 0;
	option = getopt_long(argc, argv, line->letters, line->options, NULL);
	if (option == -1)
		return 0;
	if (option != 'h' && option != '?')
		return option;
	*code = RF_EXIT_DONE;
	if (option == 'h')
		fputs(line->help, stdout);
	else
		*code = bad_option(line->command, argv);
	return -1;
}

const char *rf_command_trace_output(const char *path)
{
	return strcmp(path, "-") ? path : "/dev/stdout";
}

bool rf_command_output_open(struct rf_command_output *output, const char *path)
{
	struct rf_error err;

	output->path = path;
	output->file = stdout;
	if (!strcmp(path, "-"))
		return true;
	output->file = NULL;
	if (rf_output_begin(&output->output, path, RF_OUTPUT_WHOLE, &err)) {
		tell_line("refold: %s: %s; give another name", path, err.message);
		return false;
	}
	output->file = fdopen(output->output.fd, "w");
	if (!output->file) {
		rf_command_errno(path, "cannot create it", errno);
		rf_output_abandon(&output->output);
	}
	return output->file;
}

static int close_standard_output(void)
{
	bool failed = fflush(stdout) || ferror(stdout);

	if (failed)
		rf_command_errno("standard output", "cannot write", errno);
	clearerr(stdout); /* told once */
	return failed ? RF_EXIT_FAILED : RF_EXIT_DONE;
}

int rf_command_output_close(struct rf_command_output *output)
{
	struct rf_error err;

	if (output->file == stdout)
		return close_standard_output();
	if (fflush(output->file) || ferror(output->file)) {
		rf_command_errno(output->path, "cannot write; make room or write elsewhere", errno);
		rf_command_output_abandon(output);
		return RF_EXIT_FAILED;
	}
	/* What fclose() closes is a copy: the file is not done before it is in its place. */
	output->output.fd = dup(output->output.fd);
	fclose(output->file);
	output->file = NULL;
	return rf_output_finish(&output->output, &err) ? rf_command_error(output->path, &err) : RF_EXIT_DONE;
}

void rf_command_output_abandon(struct rf_command_output *output)
{
	if (!output->file || output->file == stdout)
		return;
	fclose(output->file);
	output->file = NULL;
	output->output.fd = -1;
	rf_output_abandon(&output->output);
}

int rf_command_not_input(const char *command, const char *output, const char *input)
{
	/* As an unset variable of a script leaves it: told before anything is done for it. */
	if (output && !*output)
		return rf_command_usage(command, "an output without a name");
	if (!output || !rf_same_file(output, input))
		return RF_EXIT_DONE;
	return rf_command_usage(command, "%s: is the input, %s, too: give another name", output, input);
}

void rf_command_policy_notes(const char *command, const struct rf_policy *policy)
{
	const char *line = policy->notes, *end;

	for (; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		fprintf(stderr, "refold %s: %s: %.*s\n", command, policy->name, (int)(end - line), line);
	}
}

/* ---- limits ---- */

/*
 * The kernel enforces the limit on memory: what a process has of its own beyond it cannot be had (RLIMIT_DATA), so that
 * every place which asks for memory is charged before it has it, and says so as where there is none.
 */

/* What any trace may take, and what a byte of it: entries of page tables, in the world and in each machine. */
#define MEMORY_AT_LEAST		(512ull << 20)
#define MEMORY_A_POLICY		(64ull << 20)
#define MEMORY_A_BYTE		(128ull << 10)
#define MEMORY_A_BYTE_A_POLICY	(64ull << 10)
#define MOST_POLICIES		16
#define SECONDS_AT_LEAST	120.0
#define SECONDS_A_BYTE		1e-3

static char memory_advice[128], time_advice[128];

int rf_limits_take_memory(struct rf_limits *limits, const char *command, const char *text)
{
	if (rf_parse_size(text, 1 << 20, 1ull << 60, &limits->memory))
		return RF_EXIT_DONE;
	return rf_command_usage(command, "--max-memory needs a size of 1M or more, not '%s'", text);
}

int rf_limits_take_time(struct rf_limits *limits, const char *command, const char *text)
{
	if (rf_parse_time(text, &limits->seconds))
		return RF_EXIT_DONE;
	return rf_command_usage(command, "--max-time needs a time as 90, 10m or 2h, not '%s'", text);
}

/* The number in the line of this file that begins with name; most: there is none. */
static u64 read_number(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	unsigned long long number;
	u64 found = UINT64_MAX;
	char line[128], format[32];

	snprintf(format, sizeof(format), "%s%%llu", name);
	while (file && found == UINT64_MAX && fgets(line, sizeof(line), file))
		if (sscanf(line, format, &number) == 1)
			found = number;
	if (file)
		fclose(file);
	return found;
}

/* Of the machine, or of the container: what its control group may still take, seen as the root of all. */
static u64 free_memory(void)
{
	u64 available = read_number("/proc/meminfo", "MemAvailable: ");
	u64 most = read_number("/sys/fs/cgroup/memory.max", "");
	u64 taken = read_number("/sys/fs/cgroup/memory.current", "");

	available = available < UINT64_MAX >> 10 ? available << 10 : UINT64_MAX;
	if (most != UINT64_MAX && taken != UINT64_MAX)
		available = min_u64(available, most > taken ? most - taken : 0);
	return available;
}

/* What counts for RLIMIT_DATA already: much, where the sanitizers have their shadows. */
static u64 data_so_far(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (file && fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (u64)sysconf(_SC_PAGESIZE);
}

static void limit_memory(u64 bytes)
{
	struct rlimit limit;
	u64 wanted = data_so_far() + bytes;

	if (getrlimit(RLIMIT_DATA, &limit) || limit.rlim_cur <= wanted)
		return;
	limit.rlim_cur = wanted;
	setrlimit(RLIMIT_DATA, &limit);
}

u64 rf_limits_begin(struct rf_limits *limits, u64 trace_bytes, size_t nr_policies)
{
	u64 nr = min_u64(nr_policies, MOST_POLICIES);
	u64 a_byte = MEMORY_A_BYTE + MEMORY_A_BYTE_A_POLICY * nr, most = UINT64_MAX / a_byte / 2;

	if (!limits->memory)
		limits->memory = min_u64(free_memory() / 4 * 3, MEMORY_AT_LEAST + MEMORY_A_POLICY * nr +
							       min_u64(trace_bytes, most) * a_byte);
	if (limits->seconds <= 0)
		limits->seconds = SECONDS_AT_LEAST + SECONDS_A_BYTE * (double)trace_bytes;
	limit_memory(limits->memory);
	snprintf(memory_advice, sizeof(memory_advice), "; it may take %llu MiB: --max-memory allows more",
		 (unsigned long long)(limits->memory >> 20));
	snprintf(time_advice, sizeof(time_advice), ", %.3g s; --max-time allows more", limits->seconds);
	return rf_monotonic() + (u64)(limits->seconds * (double)RF_NS_PER_SECOND);
}

const char *rf_limits_advice(const struct rf_error *err)
{
	return err->code == -ENOMEM ? memory_advice : err->code == -ETIME ? time_advice : "";
}
