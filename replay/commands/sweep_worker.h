/* SPDX-License-Identifier: MIT */
/*
 * One trace of a sweep, replayed by a process of its own in one thread: what ends that process, a bug, a hook of a
 * loaded backend or the kernel when memory is short, ends this trace and nothing else.
 */
#ifndef REFOLD_REPLAY_COMMANDS_SWEEP_WORKER_H
#define REFOLD_REPLAY_COMMANDS_SWEEP_WORKER_H

#include <sys/types.h>

#include <jansson.h>

#include "engine/policy/policy.h"
#include "replay/commands/limits.h"
#include "traces/digest.h"

struct rf_worker {
	const char *path;
	char digest[RF_DIGEST_SIZE];
	u64 bytes;
	struct rf_policy *policies;	/* those to replay; the worker's own */
	size_t nr_policies;
	pid_t pid;			/* 0: none runs */
	int fd;				/* what it says, to be read until its end */
	char *text;
	size_t size, room;
};

/* 0, or a negative errno. */
int rf_worker_start(struct rf_worker *worker, const struct rf_limits *limits);
/* Take what it has said so far. True: that was all, and rf_worker_end() is due. */
bool rf_worker_read(struct rf_worker *worker);
/*
 * {"row": of rf_store_row(), "error": a sentence}: one of them or, where the trace cannot be replayed under some of the
 * policies, both. To be released.
 */
json_t *rf_worker_end(struct rf_worker *worker);
/* It is not wanted any more. */
void rf_worker_kill(struct rf_worker *worker);

#endif
