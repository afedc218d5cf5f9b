/* SPDX-License-Identifier: MIT */
/*
 * Windows: the named phases of a recording, between marks that the recorded program or its user wrote to trace_marker.
 * Two patterns tell which marks begin and end one. A window tells which records it saw; what machines counted in it is
 * the driver's.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_WINDOWS_H
#define REFOLD_REPLAY_TRACKER_GROUND_WINDOWS_H

#include <regex.h>

#include "traces/trace.h"

/* Of one trace; those after them are counted and left out. */
#define RF_MAX_WINDOWS 4096

/* Which marks begin and end a window: POSIX extended regular expressions; their first group is the label. */
struct rf_window_patterns {
	regex_t begin, end;
	bool has_end;		/* without an end pattern a window ends where the next begins */
	bool chosen;		/* by the user: nothing else is tried where no mark matches */
};

/* NULL, NULL: "WL BEGIN (.*)" and "WL END (.*)". -EINVAL: no regular expression; err says why. */
int rf_window_patterns_compile(struct rf_window_patterns *patterns, const char *begin, const char *end,
			       struct rf_error *err);
void rf_window_patterns_free(struct rf_window_patterns *patterns);

enum rf_window_end { RF_WINDOW_END_RECORDING, RF_WINDOW_END_MARK, RF_WINDOW_END_NEXT };

struct rf_window {
	char label[RF_MARK_BYTES + 1];
	u32 occurrence;			/* the how manieth of this label in the trace, from 1 */
	u64 begin, end;			/* times */
	enum rf_window_end ended_by;
	u64 kinds[RF_RECORD_KIND_MAX];	/* records inside, by kind; no marks */
};

/* All windows of one trace, in order. One is open at most: the next begin ends it. */
struct rf_windows {
	const struct rf_window_patterns *patterns;
	bool every_mark;		/* begins a window: no mark matches, and none was asked to */
	bool open;			/* the last one */
	struct rf_window *windows;
	u32 nr;
	size_t room;
	u64 left_out;
};

/* reader: marks are read to learn whether any matches; NULL: taken as if one did. patterns: kept, not copied. */
int rf_windows_start(struct rf_windows *windows, const struct rf_window_patterns *patterns, struct rf_reader *reader,
		     struct rf_error *err);
void rf_windows_free(struct rf_windows *windows);

/* The text of a mark: records[0] is the MARKER, the nr - 1 others its MARKER_MOREs. NUL-terminated, printable. */
void rf_mark_text(const struct rf_record *records, size_t nr, char text[RF_MARK_BYTES + 1]);

/*
 * A mark was met. kinds: records by kind so far. *ended: the window it ends; *begun: the one it begins,
 * or -1. Returns -ENOMEM or 0.
 */
int rf_windows_mark(struct rf_windows *windows, const char *text, u64 time, const u64 *kinds, s64 *ended, s64 *begun);
/* The recording is over. Returns the window that was still open, or -1. */
s64 rf_windows_finish(struct rf_windows *windows, u64 time, const u64 *kinds);

#endif
