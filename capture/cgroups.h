/* SPDX-License-Identifier: MIT */
/*
 * The processes of a control group, v1 or v2, and of a container, which is known by the name of its control group.
 */
#ifndef REFOLD_CAPTURE_CGROUPS_H
#define REFOLD_CAPTURE_CGROUPS_H

#include "base/error.h"
#include "capture/follow/tasks.h"

/*
 * Add all processes in this group and in those below. path: a directory, or as /proc/PID/cgroup has it, of the first
 * hierarchy where there is one with processes, the unified one first. -ENOENT: there is no such group.
 */
int rf_cgroup_processes(const char *path, struct rf_pid_list *pids, struct rf_error *err);
/*
 * The same for the container of this id, or of a beginning of it that no other container has; a scheme before it, as
 * kubectl prints ("containerd://"), does not count. -EEXIST: several begin so.
 */
int rf_container_processes(const char *id, struct rf_pid_list *pids, struct rf_error *err);

#define RF_CONTAINER_ID_MAX 128

/*
 * The id of the container that a control group of this name belongs to: "docker-ID.scope", "cri-containerd-ID.scope",
 * "crio-ID.scope", "libpod-ID.scope", "ID", "...:cri-containerd:ID". False: none, or only its monitor (conmon).
 */
bool rf_container_of_name(const char *name, char id[RF_CONTAINER_ID_MAX]);

#endif
