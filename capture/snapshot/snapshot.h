/* SPDX-License-Identifier: MIT */
/*
 * What a process's page tables hold, asked from the kernel: VMAs (/proc/PID/maps or smaps), PTEs
 * (PAGEMAP_SCAN, pagemap), folios (kpageflags), resident set sizes. A snapshot is the starting point of a
 * late attach and the truth a replay is measured against at the end.
 */
#ifndef REFOLD_CAPTURE_SNAPSHOT_SNAPSHOT_H
#define REFOLD_CAPTURE_SNAPSHOT_SNAPSHOT_H

#include <sys/types.h>

#include "capture/snapshot/compat.h"
#include "capture/snapshot/page_cache.h"
#include "traces/trace.h"

/* One per thread that takes snapshots: it has a stream of the trace of its own, file descriptors and buffers. */
struct rf_snapshotter;

struct rf_snapshot_totals {
	u64 taken;		/* whole snapshots */
	u64 incomplete;		/* the process vanished meanwhile: SNAP_END complete=0 */
	u64 ptes;		/* SNAP_PTE and SNAP_SWAP entries, in base pages */
	u64 nanoseconds;	/* spent reading, all snapshots */
};

/*
 * Declares a stream RF_SOURCE_SNAPSHOT. cache may be NULL; where given, the files of every snapshot's VMAs are
 * noted there. -EPERM: this process may not see page frames (needs CAP_SYS_ADMIN); -ENOENT: the kernel has no
 * /proc/kpageflags. Both mean "no snapshots here".
 */
struct rf_snapshotter *rf_snapshotter_create(struct rf_writer *writer, struct rf_page_cache *cache,
					     struct rf_error *err);
void rf_snapshotter_destroy(struct rf_snapshotter *snapshotter);
const struct rf_snapshot_totals *rf_snapshotter_totals(const struct rf_snapshotter *snapshotter);

/*
 * Read and append one snapshot. All its records bear the time before the first read and tid = pid; SNAP_END
 * the time after the last read. At RF_SNAP_ATTACH and RF_SNAP_LOSS VmFlags are read too (smaps: slower). stopped: the
 * caller holds the process stopped. 0 also where the process vanished (complete=0); a negative errno only
 * if the trace cannot be written.
 */
int rf_snapshot_process(struct rf_snapshotter *snapshotter, pid_t pid, enum rf_snap_why why, bool stopped,
			struct rf_error *err);

/*
 * The same in two halves, for a caller that learns only afterwards whether the process was held stopped
 * all the time: read, then append the end. tid: a thread of the process that still has its address space;
 * the leader's is gone once it has ended, even if others live.
 */
void rf_snapshot_read(struct rf_snapshotter *snapshotter, pid_t pid, pid_t tid, enum rf_snap_why why);
int rf_snapshot_append(struct rf_snapshotter *snapshotter, bool stopped, struct rf_error *err);

/* What was appended goes into the file now: it may be long before there is more, and a recorder may be killed. */
int rf_snapshotter_flush(struct rf_snapshotter *snapshotter, struct rf_error *err);

/* One record of another kind, of what the same thread learns at this moment: it goes into the snapshots' stream. */
int rf_snapshotter_record(struct rf_snapshotter *snapshotter, const struct rf_record *record, struct rf_error *err);

/* KERNEL_PAGE records: the zero page, the huge zero page where there is one, the vdsos. Constants of a boot. */
int rf_kernel_pages_record(struct rf_writer *writer, int stream, const struct rf_compat *compat, struct rf_error *err);

#endif
