// SPDX-License-Identifier: MIT
/*
 * refold-capture: record what a program, a process or the whole system does to
 * its page tables, from the live kernel into a trace file.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "capture/doctor.h"
#include "capture/parts.h"

#define DEFAULT_LEVEL 6
#define MOST_BYTES (1ull << 60)

struct command_line {
	struct rf_recording_options recording;
	u64 max_loss;
	bool limit_loss, quiet, exits_given;
	bool terminal, rotates;
	struct rf_rotation rotation;
};

static const char usage[] =
	"Usage: refold-capture [OPTION]... -o FILE -- COMMAND [ARGUMENT]...\n"
	"       refold-capture [OPTION]... -o FILE -p PID[,PID]...\n"
	"       refold-capture [OPTION]... -o FILE -a\n"
	"       refold-capture doctor [-j]\n"
	"Record what happens to page tables into FILE, for \"refold replay\".\n"
	"\n"
	"  -o, --output FILE    trace to write; NAME.mmt.zst by convention\n"
	"  -p, --pid PID,...    record running processes and what they start\n"
	"  -a, --all            record the whole system\n"
	"  -t, --time TIME      stop after so long: seconds, or with suffix s, m or h\n"
	"  -b, --buffer SIZE    kernel ring buffer per CPU, with suffix K, M or G (default 16M, less\n"
	"                       where that were more than 512M or 1/8 of the memory in all)\n"
	"      --buffer-total SIZE  kernel buffers of all CPUs together take no more\n"
	"      --max-size SIZE  stop before the trace is larger\n"
	"      --rotate TIME|SIZE  with -p and -a: begin a new trace, NAME.000001.mmt.zst and so on,\n"
	"                       after 60s, 10m, 100M, 1G...\n"
	"      --keep N         keep the last N of them\n"
	"      --min-free SIZE  stop while so much of its disk is free\n"
	"      --max-memory SIZE  stop before recorder and kernel buffers take more\n"
	"      --level N        zstd level of the trace, 1 to 19 (default 6)\n"
	"      --max-loss N     exit with 4 if more than N events were lost\n"
	"      --fault-source X learn page faults from: tracepoint, kprobe or perf (default: the\n"
	"                       first that there is)\n"
	"      --exit-snapshots X  compare page tables when processes end: all, sample:N (one of N\n"
	"                       exits) or none (default: all; with -a, none)\n"
	"  -q, --quiet          print errors only\n"
	"  -h, --help           print this text\n"
	"  -V, --version        print the version\n"
	"\n"
	"The recording ends with COMMAND or the last PID, on SIGINT or SIGTERM, or by -t and the\n"
	"other bounds; a COMMAND that still runs then gets SIGTERM. On SIGUSR1 it says how it\n"
	"goes. Exit status: 0 recorded, 1 failed (what was recorded is kept), 2 usage, 4 more\n"
	"events lost than --max-loss; that of COMMAND is printed, not returned.\n";

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "refold-capture: %s%s%s: see refold-capture --help\n", what, which ? ": " : "",
		which ? which : "");
	return RF_EXIT_USAGE;
}

/* A number and one of these letters, each so many times the unit; "" stands for none. */
struct suffix {
	char letter;
	u64 times;
};

static const struct suffix size_suffixes[] = { { 'k', 1ull << 10 }, { 'm', 1ull << 20 }, { 'g', 1ull << 30 },
					       { 't', 1ull << 40 }, { 0, 0 } };
static const struct suffix time_suffixes[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 0, 0 } };

/* What a suffix at the end of text stands for, 1 without any; 0: there is something else. */
static u64 suffix_times(const struct suffix *suffixes, const char *text)
{
	if (!*text)
		return 1;
	for (; suffixes->letter && !text[1]; suffixes++)
		if ((text[0] | 0x20) == suffixes->letter)
			return suffixes->times;
	return 0;
}

static bool parse_size(const char *text, u64 least, u64 most, u64 *size)
{
	unsigned long long value;
	u64 times;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	times = suffix_times(size_suffixes, end);
	if (errno || end == text || text[0] < '0' || text[0] > '9' || !times || value > most / times)
		return false;
	*size = value * times;
	return *size >= least;
}

static bool parse_time(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end == text || !(text[0] == '.' || (text[0] >= '0' && text[0] <= '9')))
		return false;
	*seconds *= (double)suffix_times(time_suffixes, end);
	return *seconds >= 0.001 && *seconds < 1e9;
}

/* "10m" is a time, "10M" a size: letters of times are small here, those of sizes large. */
static bool parse_rotation(const char *text, struct rf_rotation *rotation)
{
	const char *last = text[0] ? text + strlen(text) - 1 : text;

	if (*last && strchr("smh", *last))
		return parse_time(text, &rotation->seconds) && rotation->seconds >= 1;
	return *last && strchr("KMGT", *last) && parse_size(text, RF_LEAST_FILE, MOST_BYTES, &rotation->bytes);
}

static bool parse_pids(const char *text, struct rf_pid_list *pids)
{
	while (*text) {
		char *end;
		long pid = strtol(text, &end, 10);

		if (end == text || pid <= 0 || pid > INT_MAX || (*end && *end != ','))
			return false;
		if (!rf_pid_list_has(pids, (pid_t)pid) && !rf_pid_list_add(pids, (pid_t)pid))
			return false;
		text = *end ? end + 1 : end;
	}
	return pids->nr > 0;
}

static bool parse_fault_source(const char *text, enum rf_fault_source *faults)
{
	for (int i = RF_FAULTS_TRACEPOINT; i < RF_FAULT_SOURCES; i++)
		if (!strcmp(text, rf_fault_sources[i].name)) {
			*faults = (enum rf_fault_source)i;
			return true;
		}
	return false;
}

static bool parse_exits(const char *text, u64 *every)
{
	static const char sample[] = "sample:";

	*every = !strcmp(text, "all");
	return *every || !strcmp(text, "none") ||
	       (!strncmp(text, sample, strlen(sample)) && rf_parse_number(text + strlen(sample), 1, UINT32_MAX, every));
}

enum {
	OPTION_LEVEL = 256, OPTION_MAX_LOSS, OPTION_EXIT_SNAPSHOTS, OPTION_FAULT_SOURCE,
	/* in the order of take_bound() */
	OPTION_BUFFER_TOTAL, OPTION_MAX_SIZE, OPTION_MIN_FREE, OPTION_MAX_MEMORY,
	OPTION_ROTATE, OPTION_KEEP,
};

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "pid", required_argument, NULL, 'p' },
	{ "all", no_argument, NULL, 'a' },
	{ "time", required_argument, NULL, 't' },
	{ "buffer", required_argument, NULL, 'b' },
	{ "buffer-total", required_argument, NULL, OPTION_BUFFER_TOTAL },
	{ "max-size", required_argument, NULL, OPTION_MAX_SIZE },
	{ "min-free", required_argument, NULL, OPTION_MIN_FREE },
	{ "max-memory", required_argument, NULL, OPTION_MAX_MEMORY },
	{ "rotate", required_argument, NULL, OPTION_ROTATE },
	{ "keep", required_argument, NULL, OPTION_KEEP },
	{ "level", required_argument, NULL, OPTION_LEVEL },
	{ "max-loss", required_argument, NULL, OPTION_MAX_LOSS },
	{ "fault-source", required_argument, NULL, OPTION_FAULT_SOURCE },
	{ "exit-snapshots", required_argument, NULL, OPTION_EXIT_SNAPSHOTS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* One of the bounds; as take_option(). */
static int take_bound(struct rf_bounds *bounds, int option)
{
	const struct {
		u64 *bytes, least;
		const char *wrong;
	} bound[] = {
		{ &bounds->buffer_total, RF_LEAST_BUFFER, "not a size of at least 8K" },
		{ &bounds->file_bytes, RF_LEAST_FILE, "not a size of at least 64K" },
		{ &bounds->free_bytes, 1, "not a size of at least 1" },
		{ &bounds->memory_bytes, RF_LEAST_MEMORY, "not a size of at least 16M" },
	}, *which = &bound[option - OPTION_BUFFER_TOTAL];

	return parse_size(optarg, which->least, MOST_BYTES, which->bytes) ? -1 : usage_error(which->wrong, optarg);
}

/* One option. Returns -1 to go on, -2 where getopt_long() knows none such, else the exit code. */
static int take_option(struct command_line *line, int option)
{
	struct rf_recording_options *recording = &line->recording;
	u64 number;

	switch (option) {
	case 'o':
		recording->output = optarg;
		return -1;
	case 'p':
		return parse_pids(optarg, &recording->pids) ? -1 : usage_error("not a list of process ids", optarg);
	case 'a':
		recording->whole_system = true;
		return -1;
	case 't':
		return parse_time(optarg, &recording->seconds) ?
			       -1 : usage_error("not a time, as 90, 1.5s, 10m or 2h", optarg);
	case 'b':
		return parse_size(optarg, RF_LEAST_BUFFER, 4ull << 30, &recording->buffer_bytes) ?
			       -1 : usage_error("not a buffer size between 8K and 4G", optarg);
	case OPTION_BUFFER_TOTAL: case OPTION_MAX_SIZE: case OPTION_MIN_FREE: case OPTION_MAX_MEMORY:
		return take_bound(&recording->bounds, option);
	case OPTION_ROTATE:
		line->rotates = true;
		return parse_rotation(optarg, &line->rotation) ?
			       -1 : usage_error("not a time of at least 1s or a size of at least 64K, as 10m or 100M", optarg);
	case OPTION_KEEP:
		return rf_parse_number(optarg, 1, UINT32_MAX, &line->rotation.keep) ?
			       -1 : usage_error("not a number of traces to keep", optarg);
	case OPTION_LEVEL:
		if (!rf_parse_number(optarg, 1, 19, &number))
			return usage_error("not a zstd level between 1 and 19", optarg);
		recording->level = (int)number;
		return -1;
	case OPTION_MAX_LOSS:
		line->limit_loss = true;
		return rf_parse_number(optarg, 0, ~0ull, &line->max_loss) ? -1 : usage_error("not a number", optarg);
	case OPTION_FAULT_SOURCE:
		return parse_fault_source(optarg, &recording->faults) ?
			       -1 : usage_error("not tracepoint, kprobe or perf", optarg);
	case OPTION_EXIT_SNAPSHOTS:
		line->exits_given = true;
		return parse_exits(optarg, &recording->exit_snapshots) ?
			       -1 : usage_error("not all, sample:N or none", optarg);
	case 'q':
		line->quiet = true;
		return -1;
	case 'h':
		fputs(usage, stdout);
		return RF_EXIT_DONE;
	case 'V':
		puts("refold-capture " REFOLD_VERSION);
		return RF_EXIT_DONE;
	default:
		return -2;
	}
}

/* Fill line; -1, or the exit code. */
static int parse_command_line(struct command_line *line, int argc, char **argv)
{
	struct rf_recording_options *recording = &line->recording;
	int option, code, targets;

	opterr = 0;	/* one line, and ours */
	/* "+": options end at COMMAND, with or without "--". */
	while ((option = getopt_long(argc, argv, "+o:p:at:b:qhV", long_options, NULL)) != -1) {
		code = take_option(line, option);
		if (code == -2)
			return usage_error("unknown option, or its value is missing", argv[optind - 1]);
		if (code >= 0)
			return code;
	}
	if (optind < argc)
		recording->command = argv + optind;
	targets = !!recording->command + !!recording->pids.nr + recording->whole_system;
	if (targets != 1)
		return usage_error(targets ? "give one of COMMAND, -p and -a" :
					     "nothing to record: give COMMAND, -p or -a", NULL);
	if (line->rotates && recording->command)
		return usage_error("--rotate is for -p and -a", NULL);
	if (line->rotates && line->rotation.bytes && recording->bounds.file_bytes)
		return usage_error("give --rotate by size or --max-size, not both", NULL);
	if (line->rotation.keep && !line->rotates)
		return usage_error("--keep goes with --rotate", NULL);
	/* To trace everybody is for the user to ask for. */
	if (!line->exits_given)
		recording->exit_snapshots = !recording->whole_system;
	if (!recording->output)
		return usage_error("where to? Give -o FILE", NULL);
	if (!strcmp(recording->output, "-"))
		return usage_error("a trace is written to a file, which must be one when the disk is full too", "-o -");
	return -1;
}

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
};

static const char *megabytes(u64 bytes, char text[RF_DIGITS_MAX])
{
	snprintf(text, RF_DIGITS_MAX, "%.1f MB", (double)bytes / 1e6);
	return text;
}

/* Once a second on a terminal, always in the same line; elsewhere only when asked. */
static void print_progress(void *context, const struct rf_progress *progress, bool asked)
{
	const struct command_line *line = context;
	char records[RF_DIGITS_MAX], lost[RF_DIGITS_MAX], bytes[RF_DIGITS_MAX];
	bool terminal = line->terminal && !line->quiet;

	if (!terminal && !asked)
		return;
	fprintf(stderr, "%s%s: %.0f s, %s events, %s, %s lost, %.1f %% of a CPU%s", terminal ? "\r" : "",
		line->recording.output, (double)progress->elapsed_ns / 1e9,
		rf_digits_unsigned(progress->records, records), megabytes(progress->bytes, bytes),
		rf_digits_unsigned(progress->lost, lost),
		progress->elapsed_ns ? 100.0 * (double)progress->cpu_ns / (double)progress->elapsed_ns : 0.0,
		terminal ? "\033[K" : "\n");
	fflush(stderr);
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

static void print_result(const struct command_line *line, const char *output, const struct rf_recording_result *result)
{
	for (size_t i = 0; i < result->nr_warnings; i++)
		fprintf(stderr, "refold-capture: warning: %s\n", result->warnings[i]);
	if (line->recording.command)
		print_command_status(line->recording.command[0], result->command_status);
	if (result->lost)
		print_losses(output, result, "");
	fprintf(stderr, "%s: %llu events, %llu bytes, %llu lost, %llu snapshots\n", output,
		(unsigned long long)result->records, (unsigned long long)result->bytes,
		(unsigned long long)result->lost, (unsigned long long)result->snapshots);
}

static void clear_progress(const struct command_line *line)
{
	if (line->terminal && !line->quiet)
		fputs("\r\033[K", stderr);
}

static void print_part(void *context, const char *output, const struct rf_recording_result *result)
{
	const struct command_line *line = context;

	clear_progress(line);
	if (!line->quiet)
		print_result(line, output, result);
}

static int record(struct command_line *line)
{
	struct rf_recording_result result = { 0 };
	struct rf_error err;
	int ret;

	line->terminal = isatty(STDERR_FILENO);
	line->recording.progress = print_progress;
	line->recording.context = line;
	if (line->rotates) {
		ret = rf_record_parts(&line->recording, &line->rotation, print_part, &result, &err);
	} else {
		ret = rf_record(&line->recording, &result, &err);
		clear_progress(line);
	}
	if (ret) {
		fprintf(stderr, "refold-capture: %s%s\n", err.message,
			result.wrote ? "; what was recorded until then is kept" : "");
		return RF_EXIT_FAILED;
	}
	if (!line->quiet && !line->rotates)
		print_result(line, line->recording.output, &result);
	if (!line->quiet && endings[result.end])
		fprintf(stderr, "refold-capture: %s\n", endings[result.end]);
	if (line->limit_loss && result.lost > line->max_loss) {
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

	while ((option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return RF_EXIT_DONE;
		}
		if (option != 'j')
			return RF_EXIT_USAGE;
		json = true;
	}
	if (optind < argc)
		return usage_error("doctor takes no argument", argv[optind]);
	return rf_doctor(stdout, json);
}

int main(int argc, char **argv)
{
	struct command_line line = { .recording = { .level = DEFAULT_LEVEL } };
	int code;

	if (argc > 1 && !strcmp(argv[1], "doctor"))
		return doctor(argc - 1, argv + 1);
	code = parse_command_line(&line, argc, argv);
	if (code < 0)
		code = record(&line);
	rf_pid_list_free(&line.recording.pids);
	return code;
}
