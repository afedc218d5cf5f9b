/* SPDX-License-Identifier: MIT */
/* The part of a summary that is of one group of traces. */
#ifndef REFOLD_REPLAY_FLEET_NUMBERS_H
#define REFOLD_REPLAY_FLEET_NUMBERS_H

#include "replay/fleet/summary.h"

/* The counter that is a sum of others: rf_matter_value(). */
#define RF_WAITS "waits"

/* What does not depend on the group. */
struct rf_summing {
	const struct rf_fleet *fleet;
	const struct rf_summary_options *options;
	const char **counters;	/* names */
	size_t nr_counters;
	u32 *order;		/* policies as they are shown */
	size_t nr_policies, baseline, ranked;	/* ranked: the policy of the worst */
	size_t counter;		/* that ranks */
	json_t **facts;		/* of traces */
	u32 waits_of[3];
};

/* Of these traces, one at least: "traces", "policies", "outliers", "worst". NULL: out of memory. */
json_t *rf_fleet_group(const struct rf_summing *sum, const size_t *traces, size_t nr);

#endif
