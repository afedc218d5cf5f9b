// SPDX-License-Identifier: MIT
/* The command line of a recording, from a table. */
#include "capture/options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "capture/values.h"
#include "traces/privacy.h"

#define HELP_COLUMN 23		/* where the words of an option begin in the help */

struct option_row {
	const char *name;
	char letter;			/* 0: it has a name only */
	const char *value;		/* as the help calls it; NULL: it takes none */
	/* False: text is no such value. to: where it goes, in struct rf_command_line (0: to several places). */
	bool (*read)(const struct option_row *row, const char *text, void *to);
	size_t to;
	u64 least, most;		/* of sizes and numbers */
	size_t given;			/* a bool beside it that becomes true; 0: there is none */
	const char *wrong;		/* what is said of what read() refuses */
	const char *help;		/* '\n' where a line ends */
};

#define TO(member) .to = offsetof(struct rf_command_line, member)
#define GIVEN(member) .given = offsetof(struct rf_command_line, member)

static bool take_flag(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	(void)text;
	return *(bool *)to = true;
}

static bool take_text(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	*(const char **)to = text;
	return true;
}

/* As an unset variable of a script leaves it: the control group without a name is everybody's. */
static bool take_name(const struct option_row *row, const char *text, void *to)
{
	return *text && take_text(row, text, to);
}

static bool take_number(const struct option_row *row, const char *text, void *to)
{
	return rf_parse_number(text, row->least, row->most, to);
}

static bool take_size(const struct option_row *row, const char *text, void *to)
{
	return rf_parse_size(text, row->least, row->most, to);
}

static bool take_time(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_parse_time(text, to);
}

static bool take_percent(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_read_percent(text, to);
}

static bool take_rotation(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_read_rotation(text, to);
}

static bool take_label(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_labels_add(to, text);
}

static bool take_pids(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_read_pids(text, to);
}

static bool take_fault_source(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_read_fault_source(text, to);
}

static bool take_exits(const struct option_row *row, const char *text, void *to)
{
	(void)row;
	return rf_read_exits(text, to);
}

/* A number of traces, or a list of what is private. */
static bool take_keep(const struct option_row *row, const char *text, void *to)
{
	struct rf_command_line *line = to;
	u32 items;

	if (!rf_privacy_parse(text, &items))
		return rf_parse_number(text, row->least, row->most, &line->rotation.keep);
	line->kept |= items;
	return true;
}

static bool take_private(const struct option_row *row, const char *text, void *to)
{
	u32 items;

	(void)row;
	if (!rf_privacy_parse(text, &items))
		return false;
	*(u32 *)to |= items;
	return true;
}

static const struct option_row rows[] = {
	{ "output", 'o', "FILE", take_text, TO(recording.output),
	  .help = "trace to write; NAME.mmt.zst by convention; - is a pipe" },
	{ "pid", 'p', "PID,...", take_pids, TO(recording.targets.pids),
	  .wrong = "not a list of process ids",
	  .help = "record running processes and what they start" },
	{ "cgroup", 0, "PATH", take_name, TO(recording.targets.cgroup), .wrong = "an empty name",
	  .help = "record the processes of a control group and of those below it" },
	{ "container", 0, "ID", take_name, TO(recording.targets.container), .wrong = "an empty name",
	  .help = "record the processes of a container" },
	{ "all", 'a', NULL, take_flag, TO(recording.whole_system),
	  .help = "record the whole system" },
	{ "user", 0, "NAME", take_name, TO(recording.user), .wrong = "an empty name",
	  .help = "run COMMAND as this user" },
	{ "time", 't', "TIME", take_time, TO(recording.seconds), .wrong = "not a time, as 90, 1.5s, 10m or 2h",
	  .help = "stop after so long: seconds, or with suffix ms, s, m or h" },
	{ "buffer", 'b', "SIZE", take_size, TO(recording.buffer_bytes), RF_LEAST_BUFFER, 4ull << 30,
	  .wrong = "not a buffer size between 8K and 4G",
	  .help = "kernel ring buffer per CPU, with suffix K, M or G (default 16M, less\n"
		  "where that were more than 512M or 1/8 of the memory in all)" },
	{ "buffer-total", 0, "SIZE", take_size, TO(recording.bounds.buffer_total), RF_LEAST_BUFFER, RF_MOST_BYTES,
	  .wrong = "not a size of at least 8K",
	  .help = "kernel buffers of all CPUs together take no more" },
	{ "max-size", 0, "SIZE", take_size, TO(recording.bounds.file_bytes), RF_LEAST_FILE, RF_MOST_BYTES,
	  .wrong = "not a size of at least 64K",
	  .help = "stop before the trace is larger" },
	{ "rotate", 0, "TIME|SIZE", take_rotation, TO(rotation), GIVEN(rotates),
	  .wrong = "not a time of at least 1s or a size of at least 64K, as 10m or 100M",
	  .help = "begin a new trace, NAME.000001.mmt.zst and so on, after 60s, 10m, 100M,\n"
		  "1G..." },
	{ "keep", 0, "N|LIST", take_keep, .least = 1, .most = UINT32_MAX,
	  .wrong = "neither a number of traces to keep nor of pid,comm,addr,pfn,inode,marks,build,path",
	  .help = "N: keep the last N of them. LIST: with -p and -a, record as they are:\n"
		  "pid,comm,addr,pfn,inode,marks,build,path or all; otherwise they are\n"
		  "hidden, but for marks that name windows, and build ids with -g" },
	{ "flight", 0, "TIME", take_time, TO(flight), .wrong = "not a time, as 90, 1.5s, 10m or 2h",
	  .help = "as --rotate, but keep the last TIME only; what SIGUSR1 finds stays,\n"
		  "each time; --trigger ends the recording" },
	{ "trigger", 0, "COMMAND", take_name, TO(trigger), .wrong = "an empty name",
	  .help = "with --flight: end when this command of the shell has ended" },
	{ "hide", 0, "LIST", take_private, TO(recording.hidden), GIVEN(chooses_hidden),
	  .wrong = "not of pid,comm,addr,pfn,inode,marks,build,path",
	  .help = "hide these, and nothing else; also of a COMMAND" },
	{ "min-free", 0, "SIZE", take_size, TO(recording.bounds.free_bytes), 1, RF_MOST_BYTES,
	  .wrong = "not a size of at least 1",
	  .help = "stop before less of its disk is free" },
	{ "max-memory", 0, "SIZE", take_size, TO(recording.bounds.memory_bytes), RF_LEAST_MEMORY, RF_MOST_BYTES,
	  .wrong = "not a size of at least 16M",
	  .help = "stop before recorder and kernel buffers take more" },
	{ "max-cpu", 0, "PERCENT", take_percent, TO(recording.cpu), .wrong = "not a percentage of at least 0.1",
	  .help = "leave out the costliest events that can be done without, then stop,\n"
		  "before the recorder takes more of a CPU" },
	{ "level", 0, "N", take_number, TO(recording.level), 1, 19, .wrong = "not a zstd level between 1 and 19",
	  .help = "zstd level of the trace, 1 to 19 (default 3)" },
	{ "max-loss", 0, "N", take_number, TO(max_loss), 0, ~0ull, GIVEN(limits_loss), .wrong = "not a number",
	  .help = "exit with 4 if more than N events were lost" },
	{ "fault-source", 0, "X", take_fault_source, TO(recording.faults), .wrong = "not tracepoint, kprobe or perf",
	  .help = "learn page faults from: tracepoint, kprobe or perf (default: the\n"
		  "first that there is)" },
	{ "exit-snapshots", 0, "X", take_exits, TO(recording.exit_snapshots), GIVEN(chooses_exits),
	  .wrong = "not all, sample:N or none",
	  .help = "compare page tables when processes end: all, sample:N (one of N\n"
		  "exits) or none (default: all; with -a, none)" },
	{ "resnapshot", 0, NULL, take_flag, TO(recording.resnapshot),
	  .help = "after events were lost, read all page tables anew, so that what\n"
		  "follows is known again" },
	{ "iovecs", 0, NULL, take_flag, TO(recording.iovecs),
	  .help = "of COMMAND, read what calls name in buffers, and let debuggers in it\n"
		  "trace others, by a seccomp filter, which stays with it" },
	{ "label", 0, "KEY=VALUE", take_label, TO(recording.labels),
	  .wrong = "not a new KEY=VALUE, of letters, digits and _, with at most 16 of them",
	  .help = "keep this in the trace, for refold info and reports" },
	{ "metrics", 0, "FILE", take_name, TO(metrics), .wrong = "an empty name",
	  .help = "say how it goes in this file once a second, as OpenMetrics" },
	{ "stacks", 'g', NULL, take_flag, TO(recording.stacks),
	  .help = "record where calls that change mappings are made from: call stacks" },
	{ "quiet", 'q', NULL, take_flag, TO(quiet), .help = "print errors only" },
	/* These end it, see read_option(). */
	{ "help", 'h', .help = "print this text" },
	{ "version", 'V', .help = "print the version" },
};

static const char before[] =
	"Usage: refold-capture [OPTION]... -o FILE -- COMMAND [ARGUMENT]...\n"
	"       refold-capture [OPTION]... -o FILE -p PID[,PID]...\n"
	"       refold-capture [OPTION]... -o FILE --cgroup PATH | --container ID\n"
	"       refold-capture [OPTION]... -o FILE -a\n"
	"       refold-capture doctor [-j]\n"
	"       refold-capture cleanup [METRICS]...\n"
	"Record what happens to page tables into FILE, for \"refold replay\".\n"
	"\n";

static const char after[] =
	"\n"
	"The recording ends with COMMAND and all that it started, with the last PID, on SIGINT or\n"
	"SIGTERM, or by -t and the other bounds; a COMMAND that still runs then gets SIGTERM. On\n"
	"SIGUSR1 it says how it goes. Exit status: 0 recorded, 1 failed (what was recorded is kept), 2 usage, 4 more\n"
	"events lost than --max-loss; that of COMMAND is printed, not returned.\n";

static void print_row(FILE *out, const struct option_row *row)
{
	const char *line = row->help;
	int column = 0;

	column += row->letter ? fprintf(out, "  -%c, ", row->letter) : fprintf(out, "      ");
	column += fprintf(out, "--%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
	while (*line) {
		int length = (int)strcspn(line, "\n");

		fprintf(out, "%*s%.*s\n", column < HELP_COLUMN ? HELP_COLUMN - column : 2, "", length, line);
		line += length;
		line += *line == '\n';
		column = 0;
	}
}

void rf_command_line_help(FILE *out)
{
	fputs(before, out);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		print_row(out, &rows[i]);
	fputs(after, out);
}

int rf_usage_error(const char *what, const char *which)
{
	fprintf(stderr, "refold-capture: %s%s%s: see refold-capture --help\n", what, which ? ": " : "",
		which ? which : "");
	return RF_EXIT_USAGE;
}

/* -1 to go on, or the exit code. */
static int read_option(struct rf_command_line *line, const struct option_row *row, const char *text)
{
	if (row->letter == 'h') {
		rf_command_line_help(stdout);
		return RF_EXIT_DONE;
	}
	if (row->letter == 'V') {
		puts("refold-capture " REFOLD_VERSION);
		return RF_EXIT_DONE;
	}
	if (row->given)
		*(bool *)((char *)line + row->given) = true;
	if (row->read(row, text, (char *)line + row->to))
		return -1;
	fprintf(stderr, "refold-capture: --%s %s: %s: see refold-capture --help\n", row->name, *text ? text : "''",
		row->wrong);
	return RF_EXIT_USAGE;
}

/* As getopt_long() counts: what it returns is the number of the row, above all letters. */
static int read_options(struct rf_command_line *line, int argc, char **argv)
{
	enum { FIRST = 256 };
	struct option options[ARRAY_SIZE(rows) + 1] = { 0 };
	char letters[2 * ARRAY_SIZE(rows) + 2] = "+";	/* options end at COMMAND, with or without "--" */
	size_t used = strlen(letters);
	int option, code = -1;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		options[i] = (struct option){ rows[i].name, rows[i].value ? required_argument : no_argument, NULL,
					      FIRST + (int)i };
		if (rows[i].letter)
			letters[used++] = rows[i].letter;
		if (rows[i].letter && rows[i].value)
			letters[used++] = ':';
	}
	opterr = 0;	/* one line, and ours */
	while (code < 0 && (option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		size_t i = option < FIRST ? 0 : (size_t)(option - FIRST);

		while (option < FIRST && i < ARRAY_SIZE(rows) && rows[i].letter != option)
			i++;
		if (i == ARRAY_SIZE(rows))
			return rf_usage_error("unknown option, or its value is missing", argv[optind - 1]);
		code = read_option(line, &rows[i], optarg);
	}
	return code;
}

/* Which options do not go together. NULL: all do. */
static const char *contradiction(const struct rf_command_line *line)
{
	const struct rf_recording_options *recording = &line->recording;
	const struct rf_targets *running = &recording->targets;
	int targets = !!recording->command + !!running->pids.nr + !!running->cgroup + !!running->container +
		      recording->whole_system;

	if (targets != 1)
		return targets ? "give one of COMMAND, -p, --cgroup, --container and -a" :
				 "nothing to record: give COMMAND, -p, --cgroup, --container or -a";
	if (recording->user && !recording->command)
		return "--user is for COMMAND";
	if ((line->rotates || line->flight) && recording->iovecs)
		return "--iovecs is for a recording in one piece";
	if (line->flight && (line->rotates || line->rotation.keep))
		return "--flight is a way to --rotate and --keep by itself";
	if (line->flight && line->flight < 1)
		return "--flight keeps a second at least";
	if (line->trigger && !line->flight)
		return "--trigger goes with --flight";
	if (line->rotates && line->rotation.bytes && recording->bounds.file_bytes)
		return "give --rotate by size or --max-size, not both";
	if ((line->rotates || line->flight) && recording->output && !strcmp(recording->output, "-"))
		return "--rotate and --flight need files, not -o -";
	if (line->rotation.keep && !line->rotates)
		return "--keep goes with --rotate";
	if (recording->iovecs && (!recording->command || (line->chooses_exits && !recording->exit_snapshots)))
		return "--iovecs is for a COMMAND with exit snapshots";
	if (recording->resnapshot && recording->command && line->chooses_exits && !recording->exit_snapshots)
		return "--resnapshot needs COMMAND to be traced: not with --exit-snapshots none";
	return recording->output && *recording->output ? NULL : "where to? Give -o FILE";
}

int rf_command_line_read(struct rf_command_line *line, int argc, char **argv)
{
	struct rf_recording_options *recording = &line->recording;
	const char *wrong;
	int code;

	*line = (struct rf_command_line){ .recording = { .level = RF_WRITER_LEVEL } };
	code = read_options(line, argc, argv);
	if (code >= 0)
		return code;
	if (optind < argc)
		recording->command = argv + optind;
	wrong = contradiction(line);
	if (wrong)
		return rf_usage_error(wrong, NULL);
	recording->to_standard_output = !strcmp(recording->output, "-");
	if (recording->to_standard_output)
		recording->output = "standard output";
	recording->writes_later = line->metrics;
	/* A command is the user's own; what runs already may be others'. */
	recording->no_marks = recording->hidden & BIT(RF_PRIVATE_MARKS);
	if (!line->chooses_hidden && !recording->command)
		recording->hidden = RF_PRIVATE_ALL & ~(recording->stacks ? BIT(RF_PRIVATE_BUILD) : 0u);
	recording->hidden &= ~line->kept;
	/* The last part that is whole, and the one in the making: together they have it at any moment. */
	if (line->flight) {
		line->rotates = true;
		line->rotation = (struct rf_rotation){ .seconds = line->flight, .keep = 2 };
		recording->asked_ends = true;
	}
	/* To trace everybody is for the user to ask for. */
	if (!line->chooses_exits)
		recording->exit_snapshots = !recording->whole_system;
	return -1;
}

void rf_command_line_free(struct rf_command_line *line)
{
	rf_pid_list_free(&line->recording.targets.pids);
}
