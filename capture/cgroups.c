// SPDX-License-Identifier: MIT
/* Control groups and containers: who is in them. */
#include "capture/cgroups.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEEPEST 32		/* groups below groups */
#define MOST_HIERARCHIES 32
#define ID_DIGITS 64		/* of docker, containerd, CRI-O and podman: SHA-256 */

/* Mount points of hierarchies, the unified one first. */
struct hierarchies {
	char *paths[MOST_HIERARCHIES];
	size_t nr;
};

static void find_hierarchies(struct hierarchies *found, const char *kind)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;

	while (mounts && (mount = getmntent(mounts)) && found->nr < MOST_HIERARCHIES)
		if (!strcmp(mount->mnt_type, kind) && (found->paths[found->nr] = strdup(mount->mnt_dir)))
			found->nr++;
	if (mounts)
		endmntent(mounts);
}

static void free_hierarchies(struct hierarchies *found)
{
	while (found->nr)
		free(found->paths[--found->nr]);
}

/* cgroup.procs, or, of a threaded group (v2), whose processes are told further up only, those of its threads. */
static int add_members(const char *group, struct rf_pid_list *pids)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.threads" };
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[PATH_MAX + 32];
		bool threaded;
		FILE *file;
		int id;

		snprintf(path, sizeof(path), "%s/%s", group, files[i]);
		file = fopen(path, "re");
		if (!file)
			return i ? 0 : -errno;
		errno = 0;
		while (!ret && fscanf(file, "%d", &id) == 1) {
			pid_t pid = i ? rf_process_of(id) : id;

			/* 0: it is in another PID namespace. */
			if (pid > 0 && !rf_pid_list_has(pids, pid) && !rf_pid_list_add(pids, pid))
				ret = -ENOMEM;
		}
		threaded = ferror(file) && errno == EOPNOTSUPP;
		fclose(file);
		if (ret || !threaded)
			break;
	}
	return ret;
}

/* Calls visit for each group below this one; if it returns 0, for those below that, too. */
static int walk(const char *group, int depth, int (*visit)(void *context, const char *path, const char *name),
		void *context)
{
	DIR *dir = depth < DEEPEST ? opendir(group) : NULL;
	struct dirent *entry;
	int ret = 0;

	while (dir && ret >= 0 && (entry = readdir(dir))) {
		char path[PATH_MAX];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s", group, entry->d_name) >= (int)sizeof(path))
			continue;
		ret = visit(context, path, entry->d_name);
		if (!ret)
			ret = walk(path, depth + 1, visit, context);
	}
	if (dir)
		closedir(dir);
	return ret < 0 ? ret : 0;
}

static int visit_members(void *pids, const char *path, const char *name)
{
	int ret = add_members(path, pids);

	return ret == -ENOMEM ? ret : 0;	/* a group may go away meanwhile */
}

static int add_tree(const char *group, struct rf_pid_list *pids)
{
	int ret = add_members(group, pids);

	return ret ? ret : walk(group, 0, visit_members, pids);
}

int rf_cgroup_processes(const char *path, struct rf_pid_list *pids, struct rf_error *err)
{
	struct hierarchies found = { 0 };
	char group[PATH_MAX];
	size_t before = pids->nr;
	struct stat file;
	int ret;

	snprintf(group, sizeof(group), "%s/cgroup.procs", path);
	if (!stat(group, &file)) {
		ret = add_tree(path, pids);
	} else {
		ret = -ENOENT;
		find_hierarchies(&found, "cgroup2");
		find_hierarchies(&found, "cgroup");
		for (size_t i = 0; i < found.nr && ret != -ENOMEM && pids->nr == before; i++) {
			int added;

			snprintf(group, sizeof(group), "%s/%s", found.paths[i], path);
			added = add_tree(group, pids);
			ret = added == -ENOENT ? ret : added;
		}
		free_hierarchies(&found);
	}
	return ret ? rf_error_set(err, ret, RF_NO_OFFSET, "control group %.150s: %s", path,
				  ret == -ENOENT ? "there is no such" : strerror(-ret)) : 0;
}

bool rf_container_of_name(const char *name, char id[RF_CONTAINER_ID_MAX])
{
	const char *dot = strrchr(name, '.'), *end = dot && !strcmp(dot, ".scope") ? dot : name + strlen(name);
	const char *at = end;

	while (at > name && isxdigit((unsigned char)at[-1]))
		at--;
	if (end - at != ID_DIGITS || (at > name && at[-1] != '-' && at[-1] != ':') || strstr(name, "conmon"))
		return false;
	memcpy(id, at, ID_DIGITS);
	id[ID_DIGITS] = '\0';
	return true;
}

struct container {
	const char *id;
	char whole[RF_CONTAINER_ID_MAX];
	bool several;
	struct rf_pid_list *pids;
};

static int visit_container(void *context, const char *path, const char *name)
{
	struct container *container = context;
	char id[RF_CONTAINER_ID_MAX];

	if (!rf_container_of_name(name, id) || strncmp(id, container->id, strlen(container->id)))
		return 0;
	container->several |= container->whole[0] && strcmp(container->whole, id);
	memcpy(container->whole, id, sizeof(id));
	return add_tree(path, container->pids) == -ENOMEM ? -ENOMEM : 1;
}

int rf_container_processes(const char *id, struct rf_pid_list *pids, struct rf_error *err)
{
	const char *scheme = strstr(id, "://");
	struct container container = { .id = scheme ? scheme + 3 : id, .pids = pids };
	struct hierarchies found = { 0 };
	int ret = 0;

	find_hierarchies(&found, "cgroup2");
	find_hierarchies(&found, "cgroup");
	for (size_t i = 0; i < found.nr && !ret && container.id[0]; i++)
		ret = walk(found.paths[i], 0, visit_container, &container);
	free_hierarchies(&found);
	if (ret)
		return rf_error_set(err, ret, RF_NO_OFFSET, "out of memory");
	if (container.several)
		return rf_error_set(err, -EEXIST, RF_NO_OFFSET, "container %.100s: several begin so", id);
	if (!container.whole[0])
		return rf_error_set(err, -ENOENT, RF_NO_OFFSET, "container %.100s: no control group has its name", id);
	return 0;
}
