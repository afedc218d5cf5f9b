/* SPDX-License-Identifier: MIT */
/*
 * What many traces say together: of each counter by second, by fault and by process how it spreads, how sure its mean
 * is, how each policy compares with another on the same traces; the worst, the outliers, and what warnings there are.
 */
#ifndef REFOLD_REPLAY_FLEET_SUMMARY_H
#define REFOLD_REPLAY_FLEET_SUMMARY_H

#include "replay/fleet/fleet.h"
#include "replay/report/answer.h"
#include "replay/report/view.h"

#define RF_SUMMARY_SCHEMA "refold-summary/1"
#define RF_SUMMARY_RESAMPLES 1000
#define RF_SUMMARY_WORST 10

/* Name in JSON, word in tables; what a counter is divided by. */
#define RF_RATES(X) X(second) X(fault) X(process)

enum rf_rate {
#define X(name) RF_RATE_##name,
	RF_RATES(X)
#undef X
	RF_NR_RATES
};

extern const char *const rf_rate_names[RF_NR_RATES];

struct rf_summary_options {
	const char *by;		/* label whose values are groups; NULL: none */
	const char *baseline;	/* policy that the others are held against; NULL: the first by name */
	const char *counter;	/* that ranks the worst */
	enum rf_rate per;	/* what of the table, and of worst and outliers */
	u64 seed;
	bool all;		/* every counter, not only those that matter */
};

/* As JSON, of a sorted fleet; NULL with err, -EINVAL: an option names what is not there. */
json_t *rf_summary_of(const struct rf_fleet *fleet, const struct rf_summary_options *options, struct rf_error *err);
/* How each policy compares, of a summary's "all" or one of its groups: an array of sentences. */
json_t *rf_summary_answers(const json_t *group, enum rf_rate rate);
void rf_summary_write(const json_t *summary, const struct rf_summary_options *options, const struct rf_view *view,
		      FILE *out);

/* summary_facts.c: what is no number of a policy. "traces", "kernels", "trust", "warnings"... into the summary. */
void rf_summary_set_facts(json_t *summary, const struct rf_fleet *fleet);
/* The value of a label, or of "kernel", "arch", "cpus", "trust"; facts: of a trace. NULL: it has none. */
const char *rf_summary_label(const json_t *facts, const char *label, char *scratch, size_t size);

#endif
