// SPDX-License-Identifier: MIT
/*
 * refold: the desk tool. Finds the subcommand and runs it; every command lives in a file of its own and is one row of
 * the table here.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

static int run_help(int argc, char **argv);

/* In the order of a first session with a trace. */
static const struct command commands[] = {
	{ "replay", rf_cmd_replay, "replay traces under one or more policies and report what it costs" },
	{ "diff", rf_cmd_diff, "name what differs between two reports or two policies" },
	{ "ablate", rf_cmd_ablate, "rank the patches between two kernels by what they save on traces" },
	{ "sweep", rf_cmd_sweep, "replay many traces under many policies into a store" },
	{ "summary", rf_cmd_summary, "tell what the reports of many traces say together" },
	{ "merge", rf_cmd_merge, "join reports and stores of many traces" },
	{ "html", rf_cmd_html, "make a page for a browser of reports, or of many traces" },
	{ "export", rf_cmd_export, "write what reports and stores say for other programs" },
	{ "cpus", rf_cmd_cpus, "list the CPUs that policies can be of" },
	{ "patches", rf_cmd_patches, "list the patches that policies can be made with" },
	{ "policies", rf_cmd_policies, "list the policies and their knobs" },
	{ "info", rf_cmd_info, "tell what a trace holds" },
	{ "dump", rf_cmd_dump, "write a trace as text" },
	{ "assemble", rf_cmd_assemble, "make a trace of text" },
	{ "anonymize", rf_cmd_anonymize, "hide what is private in a trace" },
	{ "import", rf_cmd_import, "make a trace of a trace.dat of trace-cmd" },
	{ "pte", rf_cmd_pte, "run a script of page-table helper calls" },
	{ "backend", rf_cmd_backend, "build and check page-table backends, of kernel trees too" },
	{ "race", rf_cmd_race, "explore what lockless readers may see while entries change" },
	{ "help", run_help, "tell about a command" },
};

static void print_overview(FILE *out)
{
	size_t i;

	fprintf(out, "usage: refold COMMAND [ARGUMENTS]\n"
		     "       refold help COMMAND\n\n"
		     "Replays recorded memory-management activity on simulated Linux page tables.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\n  -h, --help     this text\n  -V, --version  the version\n");
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const struct command *nearest = NULL;
	unsigned int least = 3, distance;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		distance = rf_distance(name, commands[i].name);
		if (distance < least) {
			least = distance;
			nearest = &commands[i];
		}
	}
	if (nearest)
		fprintf(stderr, "refold: there is no command '%s'; did you mean '%s'?\n", name, nearest->name);
	else
		fprintf(stderr, "refold: there is no command '%s'; 'refold help' lists them\n", name);
	return RF_EXIT_USAGE;
}

static int run_help(int argc, char **argv)
{
	char help_option[] = "-h";
	const struct command *command;

	if (argc < 2 || !strcmp(argv[1], "help") || argv[1][0] == '-') {
		print_overview(stdout);
		return RF_EXIT_DONE;
	}
	command = find_command(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return command->run(2, (char *[]){ argv[1], help_option, NULL });
}

/* For jansson, which would leave out of a report what it has no memory for. */
static void *memory_for_json(size_t size)
{
	void *memory = malloc(size);

	if (memory)
		return memory;
	fprintf(stderr, "refold: out of memory for a report%s\n",
		rf_limits_advice(&(struct rf_error){ .code = -ENOMEM }));
	_exit(RF_EXIT_FAILED);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int code, written;

	json_set_alloc_funcs(memory_for_json, free);
	/* A limit of file sizes is an error of write(), told as one. */
	signal(SIGXFSZ, SIG_IGN);

	if (argc < 2) {
		print_overview(stderr);
		return RF_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
		print_overview(stdout);
		code = RF_EXIT_DONE;
	} else if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		printf("refold %s\n", REFOLD_VERSION);
		code = RF_EXIT_DONE;
	} else {
		command = find_command(argv[1]);
		if (!command)
			return unknown_command(argv[1]);
		code = command->run(argc - 1, argv + 1);
	}
	/* A result that could not be written is a failure, whatever the command thinks. */
	written = rf_command_output_close(&(struct rf_command_output){ .file = stdout });
	return code == RF_EXIT_DONE ? written : code;
}
