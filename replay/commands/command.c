// SPDX-License-Identifier: MIT
/*
 * What all subcommands share: errors as one line that names the file, the place and the reason, and output files whose
 * write errors are noticed (a full disk must not look like success).
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "replay/commands/commands.h"

int rf_command_error(const char *file, const struct rf_error *err)
{
	if (err->offset != RF_NO_OFFSET)
		fprintf(stderr, "refold: %s: byte %llu: %s\n", file, (unsigned long long)err->offset, err->message);
	else
		fprintf(stderr, "refold: %s: %s\n", file, err->message);
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

FILE *rf_output_open(const char *path)
{
	FILE *file;

	if (!strcmp(path, "-"))
		return stdout;
	file = fopen(path, "we");
	if (!file)
		rf_command_errno(path, "cannot create it; give another name with -o", errno);
	return file;
}

int rf_output_close(FILE *file, const char *path)
{
	bool failed = fflush(file) || ferror(file);
	int error = errno;

	if (file == stdout) {
		if (failed)
			rf_command_errno("standard output", "cannot write", error);
		clearerr(stdout); /* told once */
		return failed ? RF_EXIT_FAILED : RF_EXIT_DONE;
	}
	/* Network file systems and quotas may tell only here. */
	if (fclose(file) && !failed) {
		failed = true;
		error = errno;
	}
	if (failed)
		rf_command_errno(path, "cannot write; what is there is incomplete, make room or write elsewhere", error);
	return failed ? RF_EXIT_FAILED : RF_EXIT_DONE;
}
