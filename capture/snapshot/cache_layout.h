/* SPDX-License-Identifier: MIT */
/* One file's pages in the page cache, as CACHE_FILE and CACHE_RUN records. */
#ifndef REFOLD_CAPTURE_SNAPSHOT_CACHE_LAYOUT_H
#define REFOLD_CAPTURE_SNAPSHOT_CACHE_LAYOUT_H

#include "capture/snapshot/page_cache.h"

struct rf_cache_layout;

/* limits and totals as in rf_page_cache_record(); totals->recorded, pages and skipped are kept up to date. */
struct rf_cache_layout *rf_cache_layout_open(struct rf_writer *writer, int stream,
					     const struct rf_page_cache_limits *limits,
					     struct rf_page_cache_totals *totals, struct rf_error *err);
/* 1: recorded; 0: the path does not lead to the file (dev, ino); a negative errno: cannot write. */
int rf_cache_layout_file(struct rf_cache_layout *layout, u64 dev, u64 ino, const char *path);
/* A limit is reached. */
bool rf_cache_layout_exhausted(const struct rf_cache_layout *layout);
/* Append what is left. Frees layout in any case. */
int rf_cache_layout_close(struct rf_cache_layout *layout);

#endif
