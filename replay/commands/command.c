// SPDX-License-Identifier: MIT
/*
 * What all subcommands share: errors as one line that names the file, the place and the reason, and output files whose
 * write errors are noticed (a full disk must not look like success).
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "engine/policy/policy.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"

int rf_command_error(const char *file, const struct rf_error *err)
{
	if (err->offset != RF_NO_OFFSET)
		fprintf(stderr, "refold: %s: byte %llu: %s\n", file, (unsigned long long)err->offset, err->message);
	else
		fprintf(stderr, "refold: %s: %s%s\n", file, err->message, rf_limits_advice(err));
	return err->code == -EBADMSG ? RF_EXIT_DAMAGED : RF_EXIT_FAILED;
}

int rf_command_line_error(const char *file, const struct rf_error *err)
{
	if (err->offset == RF_NO_OFFSET)
		return rf_command_error(file, err);
	fprintf(stderr, "refold: %s:%llu: %s\n", file, (unsigned long long)err->offset, err->message);
	return RF_EXIT_FAILED;
}

int rf_command_errno(const char *file, const char *what, int error)
{
	fprintf(stderr, "refold: %s: %s: %s\n", file, what, strerror(error < 0 ? -error : error));
	return RF_EXIT_FAILED;
}

int rf_command_usage(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "refold %s: ", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see 'refold help %s'\n", command);
	return RF_EXIT_USAGE;
}

int rf_command_bad_option(const char *command, char **argv)
{
	return rf_command_usage(command, "%s: unknown option, or its value is missing", argv[optind - 1]);
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
		fprintf(stderr, "refold: %s: %s; give another name\n", path, err.message);
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
