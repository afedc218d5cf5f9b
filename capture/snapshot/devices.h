/* SPDX-License-Identifier: MIT */
/*
 * Device numbers below stacked file systems. A mapping of a file on overlayfs (any
 * container) shows the overlay's device, but page cache and faults are those of
 * the file system below. Traces name files as faults do.
 */
#ifndef REFOLD_CAPTURE_SNAPSHOT_DEVICES_H
#define REFOLD_CAPTURE_SNAPSHOT_DEVICES_H

#include "base/types.h"

/*
 * The device, (major << 20) | minor, that tracepoints show for a file whose mapping shows dev: dev itself but for
 * overlayfs. Inode numbers are the same where all layers of the overlay lie on one file system. Any thread.
 */
u64 rf_device_below(u64 dev);

#endif
