/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of refold and what they share: one-line errors, exit codes, output files. A command is one
 * NAME.c with one entry point; main.c has the table.
 */
#ifndef REFOLD_REPLAY_COMMANDS_COMMANDS_H
#define REFOLD_REPLAY_COMMANDS_COMMANDS_H

#include <getopt.h>
#include <stdio.h>

#include "base/error.h"
#include "base/output.h"

/*
 * A command gets its own argv (argv[0] is its name), takes its options by rf_command_option(), and returns an exit code
 * (enum rf_exit). main() flushes standard output and tells what fails there.
 */
int rf_cmd_ablate(int argc, char **argv);
int rf_cmd_anonymize(int argc, char **argv);
int rf_cmd_assemble(int argc, char **argv);
int rf_cmd_cpus(int argc, char **argv);
int rf_cmd_backend(int argc, char **argv);
int rf_cmd_diff(int argc, char **argv);
int rf_cmd_dump(int argc, char **argv);
int rf_cmd_export(int argc, char **argv);
/* What of refold export has --perfetto. */
int rf_export_perfetto(int argc, char **argv);
int rf_cmd_html(int argc, char **argv);
int rf_cmd_import(int argc, char **argv);
int rf_cmd_info(int argc, char **argv);
int rf_cmd_merge(int argc, char **argv);
int rf_cmd_patches(int argc, char **argv);
int rf_cmd_policies(int argc, char **argv);
int rf_cmd_pte(int argc, char **argv);
/* What of refold backend begins with "check". */
int rf_backend_check(int argc, char **argv);
int rf_cmd_race(int argc, char **argv);
int rf_cmd_replay(int argc, char **argv);
int rf_cmd_summary(int argc, char **argv);
int rf_cmd_sweep(int argc, char **argv);

/* "refold: FILE: byte 123: reason" on standard error; returns the exit code that the error calls for. */
int rf_command_error(const char *file, const struct rf_error *err);
/* The same for text input, where the offset is a line: "refold: FILE:12: reason". */
int rf_command_line_error(const char *file, const struct rf_error *err);
/* The same for an errno of a system call; what: what could not be done, e.g. "cannot write". */
int rf_command_errno(const char *file, const char *what, int error);
/* That nothing was replayed of these traces, and why: rf_report_nothing(). Returns RF_EXIT_FAILED. */
int rf_command_nothing(char *const *traces, int nr_traces, const char *why);
/* "refold COMMAND: reason; see 'refold help COMMAND'"; returns RF_EXIT_USAGE. */
int rf_command_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What a policy has to say of itself ("patch X pulls in Y"), line by line on standard error. */
struct rf_policy;
void rf_command_policy_notes(const char *command, const struct rf_policy *policy);
/* The value of --interval, of rf_parse_time(). */
#define RF_INTERVAL_WRONG "--interval needs a time of a millisecond or more, as 100ms, 2s or 1m, not '%s'"
/* The value of --format, of rf_view_format(). */
#define RF_FORMAT_WRONG "--format is table, markdown, csv, tsv or json, not '%s'"

/* The options of a command. Its table has a row of help, and letters an h. */
struct rf_command_line {
	const char *command, *help;	/* its name, and what -h prints */
	const char *letters;		/* as of getopt() */
	const struct option *options;	/* as of getopt_long() */
};

/*
 * The next option, its value being optarg. 0: there are no more; what else there is begins at optind. -1: that is all,
 * with this exit code: help was asked for and given, or an option is wrong and that was told.
 */
int rf_command_option(const struct rf_command_line *line, int argc, char **argv, int *code);

/*
 * Policies whose backends were loaded: tell what was built of a kernel tree, unless quiet, and name backend and hook if
 * a signal ends the program in one. check: what touches memory outside of its table is such a signal.
 */
struct rf_policy;
void rf_command_loaded(const struct rf_policy *policies, size_t nr, bool quiet, bool check);

/*
 * Copy what was built of kernel trees to the working directory and tell the names. An exit code; RF_EXIT_USAGE if no
 * policy is of a tree.
 */
int rf_command_keep_backends(const struct rf_policy *policies, size_t nr);

/*
 * Call run(context) in a child and return its exit code. *crashed: it ended in a hook of this backend, which has been
 * told; NULL: it did not.
 */
struct arch_loaded;
int rf_command_isolated(int (*run)(void *context), void *context, const struct arch_loaded **crashed);
/* In such a child: a crash in a hook is reported there, too. */
void rf_command_loaded_report(int fd);

/* Where a trace goes that is written to path, "-" being standard output: what writes traces opens it itself. */
const char *rf_command_trace_output(const char *path);

/* A text file that a command writes; file is NULL if it writes none. */
struct rf_command_output {
	FILE *file;
	const char *path;
	struct rf_output output;	/* unless it is standard output */
};

/* Begin path, "-" being standard output. False after the error has been printed. */
bool rf_command_output_open(struct rf_command_output *output, const char *path);
/* Put it in its place; prints what went wrong. RF_EXIT_DONE or RF_EXIT_FAILED. */
int rf_command_output_close(struct rf_command_output *output);
/* The command has failed: no half of a result is left. */
void rf_command_output_abandon(struct rf_command_output *output);
/* An output that is the input would destroy it, one without a name is none; prints. RF_EXIT_DONE or RF_EXIT_USAGE. */
int rf_command_not_input(const char *command, const char *output, const char *input);

#endif
