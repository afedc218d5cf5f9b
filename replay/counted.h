/* SPDX-License-Identifier: MIT */
/* What a machine counted between two moments, as in a window of the recording; what was not counted takes no memory. */
#ifndef REFOLD_REPLAY_COUNTED_H
#define REFOLD_REPLAY_COUNTED_H

#include "engine/stats.h"
#include "replay/ledger.h"

/* The numbers of a struct rf_stats that are not 0. */
struct rf_counted {
	u32 nr;
	struct {
		u32 at;
		u64 value;
	} *numbers;
};

/* What was counted between two moments, and the live blocks at the second; peaks are left out. -ENOMEM or 0. */
int rf_counted_between(struct rf_counted *counted, const struct rf_stats *begin, const struct rf_stats *end);
void rf_counted_expand(const struct rf_counted *counted, struct rf_stats *stats);

/* What one machine counted in a window; processes: only if they are counted. */
struct rf_window_counts {
	struct rf_counted counted;
	struct rf_ledger processes;
};

void rf_window_counts_free(struct rf_window_counts *counts);

#endif
