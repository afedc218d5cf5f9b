/* SPDX-License-Identifier: MIT */
/*
 * What the recorder may do: which capabilities it needs, what each is needed for, and how it gives up the rest once its
 * files are open. Capabilities are a thread's; what is kept is chosen once for the process, before threads start, and
 * each thread limits itself.
 */
#ifndef REFOLD_CAPTURE_RIGHTS_RIGHTS_H
#define REFOLD_CAPTURE_RIGHTS_RIGHTS_H

#include "base/error.h"
#include "base/types.h"

/* What a recording does that needs a right of its own. */
struct rf_rights_use {
	bool others;		/* looks at processes that are not its children: -p, -a */
	bool user;		/* COMMAND runs as somebody else */
	bool command;
	bool writes_later;	/* makes files while it runs */
	bool begins_again;	/* --rotate */
	const char *tracing;	/* a directory of tracefs that must be writable; NULL: there is none */
};

/* 0, or -EPERM with all that is missing in one line, each with what it is needed for. */
int rf_rights_check(const struct rf_rights_use *use, struct rf_error *err);
/* What is missing and can be done without, one at a time, from *next = 0 on; false: that was all. */
bool rf_rights_missed(const struct rf_rights_use *use, size_t *next, char *text, size_t size);

/*
 * For who asks before anything is recorded: each capability that this process lacks and some recording would use, one
 * at a time, from *next = 0 on; tracing as above. *text: what of, and what becomes of it without; *all: nothing can be
 * recorded. NULL: that was all.
 */
const char *rf_rights_lacking(const char *tracing, size_t *next, char *text, size_t size, bool *all);

/* From here on threads can be limited to what such a recording needs once it has begun. */
void rf_rights_choose(const struct rf_rights_use *use);
/* This thread keeps what was chosen, and gains nothing by any exec. Does nothing before rf_rights_choose(). */
void rf_rights_limit(void);
/*
 * This thread only reads rings and writes the trace: no capabilities, and a seccomp filter that refuses other system
 * calls (ENOSYS). Does nothing before rf_rights_choose().
 */
void rf_rights_confine(void);
/* For a process that serves others: reads memory of its children's children, and nothing else. */
void rf_rights_keep_to_reading(void);
/* Why not everything could be given up; NULL: it could. */
const char *rf_rights_trouble(void);

#endif
