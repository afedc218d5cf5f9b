/* SPDX-License-Identifier: MIT */
/*
 * Tracers inside the recorded tree, and what else of it has to be asked before it happens. A task has one tracer; while
 * that is us, a debugger's ptrace(2) fails. So COMMAND runs under a seccomp filter that reports the three requests by
 * which a task gets a tracer (TRACEME, ATTACH, SEIZE) before they happen; we let the task in question go, then the
 * request proceeds and succeeds.
 *
 * A filter cannot be taken back: it outlives the recorder, and without anybody listening to it all that it reports
 * fails (ENOSYS). The kernel has no answer of its own for that case, and no process is safe from SIGKILL, so the filter
 * is there only where the user asks for it (--iovecs). The listener is the keeper: a process of its own with nothing
 * but two descriptors, that asks the recorder as long as there is one and says yes afterwards, until the last process
 * under the filter is gone.
 *
 * The same filter reports calls that name memory of some process, or what tells mappings apart, behind a pointer that
 * no event follows: process_vm_readv() and process_vm_writev(), process_madvise(), ioctl(UFFDIO_*), mbind(),
 * prctl(PR_SET_VMA). The caller waits, so it can be read.
 *
 * Why not SECCOMP_RET_TRACE, which needs no listener: it fails with ENOSYS in every task that is not ours (what
 * we let go, LeakSanitizer's CLONE_UNTRACED tracer, all of them once we are killed).
 */
#ifndef REFOLD_CAPTURE_FOLLOW_NESTED_H
#define REFOLD_CAPTURE_FOLLOW_NESTED_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct rf_nested {
	pid_t keeper;
	int socket;		/* to the keeper */
};

enum rf_nested_kind {
	RF_NESTED_TRACER,	/* subject is about to get another tracer */
	RF_NESTED_PROCESS_VM,	/* caller is about to read or write subject's memory */
	RF_NESTED_CALL_DATA,	/* caller is about to make call; an iovec each, or two of words: RF_CALL_DATA */
};

#define RF_NESTED_IOVECS 1024	/* UIO_MAXIOV */

struct rf_nested_iovec {
	u64 addr, len;
};

/* The keeper's question. It waits for the id in answer, for a second at most. */
struct rf_nested_request {
	u64 id;
	u32 kind;		/* enum rf_nested_kind */
	u32 caller;		/* thread that makes the call */
	u32 subject;		/* thread or process, as the caller's PID namespace counts; CALL_DATA: as ours does */
	u32 write;		/* PROCESS_VM: process_vm_writev() */
	u32 nr;			/* of iovecs; no more than these are sent */
	u32 call;		/* CALL_DATA: kind of the call's entry record */
	struct rf_nested_iovec iovecs[RF_NESTED_IOVECS];
};

/* Bytes of a request with so many iovecs. */
static inline size_t rf_nested_request_size(u32 nr)
{
	return offsetof(struct rf_nested_request, iovecs) + nr * sizeof(struct rf_nested_iovec);
}

/* Fork the keeper. Call it early: it keeps a copy of this process's memory. */
int rf_nested_start(struct rf_nested *nested, struct rf_error *err);
/* Hand over the listener, which is closed here. */
int rf_nested_listen(struct rf_nested *nested, int listener);
/* Part with the keeper; it goes on as long as it is needed. */
void rf_nested_leave(struct rf_nested *nested);

/* In the child, just before exec: install the filter. Returns the listener or a negative errno. */
int rf_nested_install_filter(void);

/* Send and receive one descriptor along with one int. Negative errno; *fd is -1 where none came. */
int rf_send_fd(int socket, int value, int fd);
int rf_receive_fd(int socket, int *value, int *fd);

#endif
