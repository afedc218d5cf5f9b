// SPDX-License-Identifier: MIT
/* Which running processes a recording is about. */
#include "capture/targets.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "capture/cgroups.h"

/* Whether the process cannot be recorded; then why says so. */
static bool is_left_out(pid_t pid, char *why, size_t size)
{
	pid_t process = rf_process_of(pid);

	if (process < 0)
		snprintf(why, size, "process %d: no such process", (int)pid);
	else if (process != pid)
		snprintf(why, size, "%d is a thread of process %d: give that", (int)pid, (int)process);
	else if (!rf_has_memory(pid))
		snprintf(why, size, "process %d: it has no memory: a kernel thread, or it has ended", (int)pid);
	else
		return false;
	return true;
}

static int add_group(const struct rf_targets *targets, struct rf_pid_list *pids, struct rf_error *err)
{
	struct rf_pid_list members = { 0 };
	int ret = 0;

	if (targets->cgroup)
		ret = rf_cgroup_processes(targets->cgroup, &members, err);
	if (!ret && targets->container)
		ret = rf_container_processes(targets->container, &members, err);
	for (size_t i = 0; i < members.nr && !ret; i++) {
		pid_t pid = members.pids[i];

		if (pid != getpid() && rf_has_memory(pid) && !rf_pid_list_has(pids, pid) && !rf_pid_list_add(pids, pid))
			ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	rf_pid_list_free(&members);
	return ret;
}

int rf_targets_find(const struct rf_targets *targets, struct rf_pid_list *pids, rf_target_left_out *left_out,
		    void *context, struct rf_error *err)
{
	const char *group = targets->cgroup ? targets->cgroup : targets->container;
	char why[128] = "";
	int ret;

	for (size_t i = 0; i < targets->pids.nr; i++) {
		pid_t pid = targets->pids.pids[i];

		if (is_left_out(pid, why, sizeof(why)))
			left_out(context, why);
		else if (!rf_pid_list_has(pids, pid) && !rf_pid_list_add(pids, pid))
			return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	ret = add_group(targets, pids, err);
	/* Between two parts of a recording the group may have gone, but not all who were in it. */
	if (ret == -ENOENT && pids->nr)
		ret = 0;
	if (!ret && !pids->nr && (group || why[0]))
		ret = group ? rf_error_set(err, -ESRCH, RF_NO_OFFSET, "%.150s: no process in it", group) :
			      rf_error_set(err, -ESRCH, RF_NO_OFFSET, "%s", why);
	return ret;
}

int rf_targets_find_more(const struct rf_targets *targets, struct rf_pid_list *pids)
{
	struct rf_error ignored;	/* the group may have gone */

	return add_group(targets, pids, &ignored) == -ENOMEM ? -ENOMEM : 0;
}
