/* SPDX-License-Identifier: MIT */
/* The text of /proc/PID/maps and smaps as VMAs. */
#ifndef REFOLD_CAPTURE_SNAPSHOT_MAPS_H
#define REFOLD_CAPTURE_SNAPSHOT_MAPS_H

#include "base/types.h"

struct rf_maps_vma {
	u64 start, end;
	u64 pgoff;		/* in pages */
	u64 dev, ino;		/* dev: (major << 20) | minor */
	u64 flags;		/* RF_VM_*, RF_VMA_* */
	const char *path;	/* into the text; NULL: nothing that can be opened by name */
};

struct rf_maps {
	struct rf_maps_vma *vmas;
	size_t nr, room;
};

/*
 * Parse the whole text into maps, in address order. text is cut into lines and paths point into it, so it
 * must outlive them. [vsyscall] is left out: it belongs to no process. -ENOMEM.
 */
int rf_maps_parse(struct rf_maps *maps, char *text, u64 page_size);
void rf_maps_free(struct rf_maps *maps);

#endif
