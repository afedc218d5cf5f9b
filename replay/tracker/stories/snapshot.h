/* SPDX-License-Identifier: MIT */
/* Snapshots: loaded, compared with, listed. */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_SNAPSHOT_H
#define REFOLD_REPLAY_TRACKER_STORIES_SNAPSHOT_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_record;
struct rf_tracker;

/* An entry that differs from a snapshot. It does not count if it changed while the snapshot was taken. */
struct difference {
	u64 vpn;
	world_pte pte;		/* as the snapshot began */
	u8 what;		/* enum in compare.c */
};

/* A snapshot being read, one per snapshot stream. */
struct snapshot {
	bool open, loading, comparing;
	u32 pid;
	u32 mm;			/* number; it may end meanwhile */
	u64 at;			/* next vpn not looked at */
	struct difference *differences;
	u32 nr_differences, differences_size;
};

void compare_run(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record);
void compare_swap(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record);
/* mm: NULL if it ended meanwhile. */
void compare_end(struct rf_tracker *tracker, struct snapshot *snapshot, struct tracked_mm *mm);
/* pid: of the last process in it. */
void write_page_table(struct rf_tracker *tracker, struct tracked_mm *mm, u32 pid);

#endif
