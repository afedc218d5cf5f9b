/* SPDX-License-Identifier: MIT */
/* Which parts of an address space are populated: the PAGEMAP_SCAN ioctl of Linux 6.7, region by region. */
#ifndef REFOLD_CAPTURE_SNAPSHOT_SCAN_H
#define REFOLD_CAPTURE_SNAPSHOT_SCAN_H

#include "base/types.h"

struct rf_scan_region {
	u64 start, end;
	u64 huge;		/* not 0: mapped by PMDs */
};

#define RF_SCAN_REGIONS 1024

struct rf_scan {
	bool there, missing;	/* the kernel has it, or not; kept from one scan to the next */
	bool failed;		/* the address space went away meanwhile */
	int pagemap_fd;
	u64 from, to;		/* not yet scanned */
	size_t at, nr;
	struct rf_scan_region regions[RF_SCAN_REGIONS];
};

/* Start a scan of [from, to) of the process whose pagemap this is; false where the kernel lacks it. */
bool rf_scan_start(struct rf_scan *scan, int pagemap_fd, u64 from, u64 to);
/* The region at hand, present or swapped entries throughout; NULL: no more. */
const struct rf_scan_region *rf_scan_region(struct rf_scan *scan);
/* Where the last ends of the region at hand and those known to follow it with at most gap bytes between. */
u64 rf_scan_reach(const struct rf_scan *scan, u64 gap);
void rf_scan_next(struct rf_scan *scan);

#endif
