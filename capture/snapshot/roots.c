// SPDX-License-Identifier: MIT
/*
 * A root in our own mount namespace has a path. Into another namespace only a process that lives in it leads, by
 * /proc/PID/root: the one seen last is the likeliest to live at the end.
 */
#include "capture/snapshot/roots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool identify(const char *process, struct rf_root *root)
{
	char path[64];
	struct stat directory, space;

	snprintf(path, sizeof(path), "/proc/%s/root/.", process);
	if (stat(path, &directory))
		return false;
	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", process);
	if (stat(path, &space))
		return false;
	*root = (struct rf_root){ .dev = directory.st_dev, .ino = directory.st_ino, .mount_namespace = space.st_ino };
	return true;
}

static bool same_root(const struct rf_root *a, const struct rf_root *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->mount_namespace == b->mount_namespace;
}

static struct rf_root *find(struct rf_roots *roots, const struct rf_root *wanted)
{
	for (size_t i = 0; i < roots->nr; i++)
		if (same_root(&roots->known[i], wanted))
			return &roots->known[i];
	return NULL;
}

static char *path_of(const char *process, bool in_our_namespace)
{
	char link[64], target[RF_ROOT_PATH];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%s/root", process);
	if (!in_our_namespace)
		return strdup(link);
	length = readlink(link, target, sizeof(target) - 1);
	if (length <= 0 || length == sizeof(target) - 1)
		return NULL;
	target[length] = '\0';
	return strdup(target);
}

void rf_roots_note(struct rf_roots *roots, pid_t pid)
{
	struct rf_root *ours = &roots->ours, root, *known;
	bool in_our_namespace;
	char process[16];
	char *path;

	snprintf(process, sizeof(process), "%d", (int)pid);
	roots->knows_ours = roots->knows_ours || identify("self", ours);
	if (!roots->knows_ours || !identify(process, &root) || same_root(ours, &root))
		return;
	in_our_namespace = root.mount_namespace == ours->mount_namespace;
	known = find(roots, &root);
	if ((known && in_our_namespace) || (!known && roots->nr == RF_MAX_ROOTS))
		return;
	path = path_of(process, in_our_namespace);
	if (!path)
		return;
	if (!known) {
		known = &roots->known[roots->nr++];
		*known = root;
	}
	free(known->path);
	known->path = path;
}

void rf_roots_free(struct rf_roots *roots)
{
	for (size_t i = 0; i < roots->nr; i++)
		free(roots->known[i].path);
	roots->nr = 0;
}
