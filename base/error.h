/* SPDX-License-Identifier: MIT */
/*
 * How a library tells its caller what went wrong. Libraries never print and
 * never exit: they return a negative errno and, where the caller passed one,
 * fill a struct rf_error. Programs turn it into one line and an exit code.
 */
#ifndef REFOLD_BASE_ERROR_H
#define REFOLD_BASE_ERROR_H

#include "base/types.h"

/* The programs' exit codes; see EXIT STATUS in the man pages. */
enum rf_exit {
	RF_EXIT_DONE = 0,
	RF_EXIT_FAILED = 1,
	RF_EXIT_USAGE = 2,
	RF_EXIT_DAMAGED = 3,	/* damaged or incomplete input: results written, marked */
	RF_EXIT_LOSSY = 4,	/* more events lost than --max-loss allows */
};

#define RF_NO_OFFSET ((u64)-1)

struct rf_error {
	int code;		/* negative errno; -EBADMSG: damaged input, -EPROTO: newer or foreign format */
	u64 offset;		/* byte offset (binary input) or line (text input), or RF_NO_OFFSET */
	char message[400];	/* what is wrong and what to do; no trailing newline, no file name */
};

/* Fill *err (which may be NULL) and return code, so that callers can write "return rf_error_set(...)". */
int rf_error_set(struct rf_error *err, int code, u64 offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
