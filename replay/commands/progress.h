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
/* context: a struct rf_progress. As struct rf_run_options wants it. */
void rf_progress_add(void *context, u64 records);
/* Take the line away. */
void rf_progress_end(struct rf_progress *progress);

/* The text of the line after elapsed_ns: "12.3 M records, 5.10 M/s, 43 %, 12 s left". */
void rf_progress_text(const struct rf_progress *progress, u64 elapsed_ns, char *text, size_t size);

#endif
