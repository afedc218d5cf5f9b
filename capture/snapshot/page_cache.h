/* SPDX-License-Identifier: MIT */
/*
 * The page cache's layout: which folio holds which pages of the files seen in a recording. Page-cache folios
 * older than the recording have no event; their page frames come from here. Taken at the end, replay rolls it
 * back through the add and delete events to any moment before.
 */
#ifndef REFOLD_CAPTURE_SNAPSHOT_PAGE_CACHE_H
#define REFOLD_CAPTURE_SNAPSHOT_PAGE_CACHE_H

#include <sys/types.h>

#include "traces/trace.h"

/* The files seen. Noting is safe from any thread. */
struct rf_page_cache;

struct rf_page_cache_totals {
	u64 files;		/* noted */
	u64 recorded;		/* layouts written */
	u64 pages;		/* resident pages in them */
	u64 gone;		/* the path does not lead to that file any more */
	u64 skipped;		/* left out: time or page limit reached */
};

struct rf_page_cache_limits {
	u64 pages;		/* resident pages in all; 0: no limit */
	u64 nanoseconds;	/* time in all; 0: no limit */
};

struct rf_page_cache *rf_page_cache_create(void);	/* NULL: out of memory */
void rf_page_cache_destroy(struct rf_page_cache *cache);

/*
 * A file was mapped. dev: (major << 20) | minor, as MMAP2 and /proc/PID/maps show it. path: from our root or that of
 * the process; may be a /proc/PID/map_files link for what has no name. Anything that is not a path is ignored.
 */
void rf_page_cache_note(struct rf_page_cache *cache, u64 dev, u64 ino, pid_t pid, const char *path);

/*
 * Append CACHE_FILE and CACHE_RUN records of all files noted, in (dev, ino) order. Neither reads file data from
 * disk nor drops anything from the cache. -EPERM as rf_snapshotter_create().
 */
int rf_page_cache_record(struct rf_page_cache *cache, struct rf_writer *writer, int stream,
			 const struct rf_page_cache_limits *limits, struct rf_page_cache_totals *totals,
			 struct rf_error *err);

#endif
