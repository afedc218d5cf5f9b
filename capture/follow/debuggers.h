/* SPDX-License-Identifier: MIT */
/*
 * Programs that trace others. While we trace a task nobody else can, and nothing tells of a ptrace(2) before it fails
 * but a seccomp filter, which stays with the recorded programs when the recorder has gone (nested.h). Without one,
 * programs that are made to trace are let go as they begin, with all that they start.
 */
#ifndef REFOLD_CAPTURE_FOLLOW_DEBUGGERS_H
#define REFOLD_CAPTURE_FOLLOW_DEBUGGERS_H

#include <sys/types.h>

#include "base/types.h"

/* Files that were looked at: the same ones are executed over and over. All 0 to begin with. */
#define RF_PROGRAMS_KNOWN 64

struct rf_programs {
	struct rf_program {
		u64 dev, ino, size;	/* ino 0: none */
		s64 changed_s, changed_ns;
		bool traces;
	} known[RF_PROGRAMS_KNOWN];	/* by inode number */
};

/*
 * Whether the program that pid runs names ptrace() among what it imports (strace, gdb), or a leak checker, which
 * attaches to its own process at the end; of a static program, whether it has a function or a word of that name. Who
 * makes the call by number, or by a library loaded later, is not recognised.
 */
bool rf_may_trace(struct rf_programs *programs, pid_t pid);

#endif
