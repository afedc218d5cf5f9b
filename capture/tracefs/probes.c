// SPDX-License-Identifier: MIT
/*
 * The kprobes of the event table. Arguments are named by position ($argN), which
 * every architecture with kprobes understands at the entry of a function.
 */
#include "capture/tracefs/probes.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tracefs.h>
#include <unistd.h>

#include "capture/follow/tasks.h"

#define GROUP_PREFIX "refold_"

/* Not tracefs_tracing_dir_is_mounted(), which leaks the path it finds (libtracefs 1.6.4). */
bool rf_tracefs_is_mounted(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	bool found = false;
	struct mntent *entry;

	while (mounts && !found && (entry = getmntent(mounts)))
		found = !strcmp(entry->mnt_type, "tracefs");
	if (mounts)
		endmntent(mounts);
	return found;
}

bool rf_tracefs_has(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tracefs_tracing_dir(), file);
	return !faccessat(AT_FDCWD, path, F_OK, AT_EACCESS);
}

const char *rf_event_group(const struct rf_event *event)
{
	static _Thread_local char group[32];

	if (!event->probe)
		return event->system;
	snprintf(group, sizeof(group), GROUP_PREFIX "%d", (int)getpid());
	return group;
}

int rf_probe_create(const struct rf_event *event, struct rf_error *err)
{
	struct tracefs_dynevent *probe;
	int ret;

	/* Without CONFIG_KPROBE_EVENTS there is no such file, and the library would try dynamic_events in vain. */
	if (!rf_tracefs_has("kprobe_events"))
		return rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET, "this kernel has no kprobe events");
	probe = tracefs_kprobe_alloc(rf_event_group(event), event->name, event->name, event->probe);
	if (!probe)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	errno = 0;
	ret = tracefs_dynevent_create(probe) ? (errno ? -errno : -EIO) : 0;
	tracefs_dynevent_free(probe);
	/* The same was made by an earlier part of this recording (append_trace_kprobe(), since 5.4). */
	if (ret == -EEXIST)
		return 0;
	if (ret)
		return rf_error_set(err, ret, RF_NO_OFFSET, "the kernel refuses a kprobe on %s(): %s", event->name,
				    strerror(-ret));
	return 0;
}

/* The recorder's pid of one of our groups, or 0. */
static pid_t recorder_of(const char *group)
{
	size_t length = strlen(GROUP_PREFIX);

	return strncmp(group, GROUP_PREFIX, length) ? 0 : (pid_t)strtol(group + length, NULL, 10);
}

/* 0, or the errno by which it stays. */
static int remove_probe(struct tracefs_dynevent *probe)
{
	errno = 0;
	return tracefs_dynevent_destroy(probe, false) ? (errno ? errno : EIO) : 0;
}

/* Remove the probes of our own process, or of dead recorders. Returns how many. */
static int remove_probes(bool own, rf_removal_told *told, void *context)
{
	struct tracefs_dynevent **probes;
	int removed = 0;

	if (!rf_tracefs_is_mounted() || !rf_tracefs_has("kprobe_events"))
		return 0;
	probes = tracefs_dynevent_get_all(TRACEFS_DYNEVENT_KPROBE, NULL);
	for (int i = 0; probes && probes[i]; i++) {
		char *group = NULL, *event = NULL;
		pid_t pid;
		int error;

		tracefs_dynevent_info(probes[i], &group, &event, NULL, NULL, NULL);
		pid = group ? recorder_of(group) : 0;
		/* A live recorder keeps its probes; a reused pid has another name. */
		if (pid > 0 && (pid == getpid()) == own && (own || !rf_process_is(pid, RF_RECORDER_COMM))) {
			error = remove_probe(probes[i]);
			removed += !error;
			if (told)
				told(context, "kprobe", event ? event : group, error);
		}
		free(group);
		free(event);
	}
	tracefs_dynevent_list_free(probes);
	return removed;
}

void rf_probes_remove(void)
{
	remove_probes(true, NULL, NULL);
}

int rf_probes_remove_stale(rf_removal_told *told, void *context)
{
	return remove_probes(false, told, context);
}
