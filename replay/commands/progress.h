/* SPDX-License-Identifier: MIT */
/* One rewriting line on standard error, for a person who waits; nothing where nobody looks. */
#ifndef REFOLD_REPLAY_COMMANDS_PROGRESS_H
#define REFOLD_REPLAY_COMMANDS_PROGRESS_H

#include "base/types.h"

struct rf_progress {
	bool shown;		/* standard error is a terminal, and progress is wanted */
	bool drawn;		/* a line stands there now */
	u64 total, done;	/* records */
	u64 start_ns, last_ns;	/* of CLOCK_MONOTONIC */
};

void rf_progress_begin(struct rf_progress *progress, bool wanted, u64 total_records);
void rf_progress_add(struct rf_progress *progress, u64 records);
/* Take the line away. */
void rf_progress_end(struct rf_progress *progress);

/* The text of the line after elapsed_ns: "  12,345,678 records, 5.1 M/s, 43 %, 12 s left"; as snprintf. */
int rf_progress_text(const struct rf_progress *progress, u64 elapsed_ns, char *text, int size);

#endif
