/* SPDX-License-Identifier: MIT */
/* Which running processes a recording is about: those given, those of a control group, those of a container. */
#ifndef REFOLD_CAPTURE_TARGETS_H
#define REFOLD_CAPTURE_TARGETS_H

#include "base/error.h"
#include "capture/follow/tasks.h"

struct rf_targets {
	struct rf_pid_list pids;
	const char *cgroup, *container;		/* NULL: none */
};

/* Why a process that was given is left out: one line. */
typedef void rf_target_left_out(void *context, const char *why);

/*
 * Add those that can be recorded and are not in the list. It fails if none of them can, with the reason of the last,
 * and if there is no such group or container. What is in a group but has no memory, and this process, are left out
 * silently.
 */
int rf_targets_find(const struct rf_targets *targets, struct rf_pid_list *pids, rf_target_left_out *left_out,
		    void *context, struct rf_error *err);
/* Add those that have come to the group or container since. 0, or -ENOMEM. */
int rf_targets_find_more(const struct rf_targets *targets, struct rf_pid_list *pids);

#endif
