/* SPDX-License-Identifier: MIT */
/*
 * A file that is being written. WHOLE: it is made beside its place, without a name if the file system can, and put
 * there when it is done, so that nobody reads half of it and what was there before survives a failure. GROWING, a
 * recording: it is in its place from the start and can be read at any time, however its writer ends; what was there
 * becomes NAME.old.
 *
 * New files are their owner's alone (0600); one that replaces another has its mode. Devices and FIFOs are written to
 * as they are; the FIFO of a recording does not block, so that its reader cannot hold up the end. A symbolic link is
 * followed if it is ours or root's.
 */
#ifndef REFOLD_BASE_OUTPUT_H
#define REFOLD_BASE_OUTPUT_H

#include "base/error.h"

enum rf_output_how { RF_OUTPUT_WHOLE, RF_OUTPUT_GROWING };

struct rf_output {
	int fd;
	char *path;
	char *temporary;	/* WHOLE: its name until it is done; NULL: it has none */
	char *old;		/* GROWING: what was there, under this name; NULL: nothing was */
	bool whole, growing;	/* neither: in place, to a device or a FIFO */
};

/* 0 or a negative errno, with a message that does not name the file. -EBUSY: another writer has it. */
int rf_output_begin(struct rf_output *output, const char *path, enum rf_output_how how, struct rf_error *err);
/*
 * The output is our standard output, a pipe or a socket, as a recording's: it does not block. Whoever writes to
 * standard output from now on, also a child, writes to standard error. No file and no terminal.
 */
int rf_output_take_standard(struct rf_output *output, struct rf_error *err);
/*
 * Write all of it. Negative errno: only *done bytes of it. SIGPIPE and SIGXFSZ are for the program to ignore.
 * -ETIMEDOUT: a FIFO's reader takes nothing.
 */
int rf_output_write(struct rf_output *output, const void *data, size_t size, size_t *done);
/* All is written: on the disk and in its place when this returns 0. The output is closed in any case. */
int rf_output_finish(struct rf_output *output, struct rf_error *err);
/* It could not be written to its end. What is GROWING stays as it is, the rest goes. */
void rf_output_fail(struct rf_output *output);
/* What was written is of no use: gone, and what was there is back. For what never began, too, if it is all zero. */
void rf_output_abandon(struct rf_output *output);

/* Do two paths lead to one regular file? */
bool rf_same_file(const char *a, const char *b);

#endif
