// SPDX-License-Identifier: MIT
/*
 * Device numbers below stacked file systems, from mountinfo. Overlays are found by
 * their device when it is first seen, as containers come and go.
 */
#include "capture/snapshot/devices.h"

#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define MAX_KNOWN 512		/* anonymous devices seen; beyond that, each is asked for anew */

static struct {
	u64 dev, below;
} known[MAX_KNOWN];
static size_t nr_known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The layer that new files go to. An overlay without one (read-only) is left as it is. */
static u64 upper_device(char *options)
{
	static const char key[] = "upperdir=";
	char *path = strstr(options, key);
	struct statfs fs;
	struct stat upper;

	if (!path)
		return 0;
	path += strlen(key);
	path[strcspn(path, ",\n")] = '\0';
	/* On btrfs, stat(2) does not tell the device that the kernel uses. */
	if (stat(path, &upper) || statfs(path, &fs) || fs.f_type == BTRFS_SUPER_MAGIC)
		return 0;
	return (u64)major(upper.st_dev) << 20 | minor(upper.st_dev);
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE SUPEROPTIONS" */
static u64 find_below(u64 dev)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	u64 below = 0;

	while (mounts && !below && getline(&line, &size, mounts) > 0) {
		unsigned int maj, min;
		char *type = strstr(line, " - ");

		if (!type || strncmp(type, " - overlay ", 11) || sscanf(line, "%*d %*d %u:%u", &maj, &min) != 2)
			continue;
		if (((u64)maj << 20 | min) == dev)
			below = upper_device(type);
	}
	free(line);
	if (mounts)
		fclose(mounts);
	return below ? below : dev;
}

u64 rf_device_below(u64 dev)
{
	u64 below = 0;

	/* Stacked file systems have no device of their own: major 0. 0:0 is no file at all. */
	if (dev >> 20 || !dev)
		return dev;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < nr_known && !below; i++)
		if (known[i].dev == dev)
			below = known[i].below;
	if (!below) {
		below = find_below(dev);
		if (nr_known < MAX_KNOWN) {
			known[nr_known].dev = dev;
			known[nr_known++].below = below;
		}
	}
	pthread_mutex_unlock(&lock);
	return below;
}
