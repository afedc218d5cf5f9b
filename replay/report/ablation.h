/* SPDX-License-Identifier: MIT */
/*
 * Which of the steps between two policies does how much: each alone, each taken away, in order, and its share whatever
 * the order. The caller counts policies; this says which sets of steps, and what their counts mean.
 */
#ifndef REFOLD_REPLAY_REPORT_ABLATION_H
#define REFOLD_REPLAY_REPORT_ABLATION_H

#include <stdio.h>

#include "engine/policy/steps.h"
#include "replay/report/answer.h"
#include "replay/report/shares.h"

#define RF_ABLATION_SCHEMA "refold-ablation/1"

/* A set of steps, and what a replay under it counted. */
struct rf_column {
	u64 set;
	json_t *policy;		/* of the report, NULL: not yet counted */
	s64 by;
};

struct rf_ablation {
	struct rf_steps steps;
	struct rf_matter by;		/* the counter that ranks */
	struct rf_column *columns;
	size_t nr, room;
	u64 players;			/* steps that change what is counted, as bits */
	u64 others, inert;		/* those that change other counters only; those that change none */
	struct rf_shares shares;
	bool failed;			/* out of memory */
};

/* Ask for the columns with which a ranking begins. */
void rf_ablation_begin(struct rf_ablation *ablation);
/* They are counted: sort the steps, ask for what shares and interactions need. max: about so many columns. */
void rf_ablation_shares(struct rf_ablation *ablation, u64 seed, size_t max);
/* All columns are counted: the result, schema RF_ABLATION_SCHEMA. */
json_t *rf_ablation_result(struct rf_ablation *ablation);
void rf_ablation_free(struct rf_ablation *ablation);

/* The ranking as view says, below the answer. */
void rf_ablation_write(const json_t *result, const struct rf_view *view, FILE *out);

#endif
