/* SPDX-License-Identifier: MIT */
/*
 * The command line of a recording. One table has all options: it is what getopt_long() is given, what --help prints,
 * how a value is read and where it goes.
 */
#ifndef REFOLD_CAPTURE_OPTIONS_H
#define REFOLD_CAPTURE_OPTIONS_H

#include <stdio.h>

#include "capture/parts.h"

struct rf_command_line {
	struct rf_recording_options recording;
	struct rf_rotation rotation;
	double flight;			/* keep the last so many seconds, in parts; 0: no */
	const char *trigger;		/* NULL, or a command whose end ends the flight */
	u64 max_loss;
	const char *metrics;	/* NULL, or the file */
	u32 kept;		/* of what is private: bits of enum rf_private */
	/* what is given */
	bool rotates, limits_loss, chooses_exits, chooses_hidden, quiet;
};

/* Fill line. -1, or the exit code: help or version are printed, or what is wrong. To be freed. */
int rf_command_line_read(struct rf_command_line *line, int argc, char **argv);
void rf_command_line_free(struct rf_command_line *line);
void rf_command_line_help(FILE *out);
/* What is wrong, in one line, which: NULL or the word. The exit code. */
int rf_usage_error(const char *what, const char *which);

#endif
