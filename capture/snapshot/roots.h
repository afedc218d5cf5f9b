/* SPDX-License-Identifier: MIT */
/*
 * Root directories of recorded processes other than ours (chroot, containers): MMAP2 names a file from its process's
 * root. Names only, and no descriptors: those would keep a file system from being unmounted while we record.
 */
#ifndef REFOLD_CAPTURE_SNAPSHOT_ROOTS_H
#define REFOLD_CAPTURE_SNAPSHOT_ROOTS_H

#include <sys/types.h>

#include "base/types.h"

#define RF_ROOT_PATH	4096

/* One more than this is not remembered. */
#define RF_MAX_ROOTS	256

struct rf_roots {
	struct rf_root {
		u64 dev, ino, mount_namespace;
		char *path;	/* from our own root; ends in no slash */
	} known[RF_MAX_ROOTS];
	size_t nr;
	struct rf_root ours;	/* which stays while we record */
	bool knows_ours;
};

/* Remember the root of a process that lives; of one that is gone nothing is learnt. */
void rf_roots_note(struct rf_roots *roots, pid_t pid);

void rf_roots_free(struct rf_roots *roots);

#endif
