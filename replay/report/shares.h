/* SPDX-License-Identifier: MIT */
/*
 * What each of several changes has in what all of them do together, whatever the order: Shapley's value. Of few changes
 * it is exact, over all their sets; of more it is the mean over orders that a seed draws, each with its reverse.
 */
#ifndef REFOLD_REPLAY_REPORT_SHARES_H
#define REFOLD_REPLAY_REPORT_SHARES_H

#include "base/types.h"

#define RF_SHARES_MAX 64	/* changes */
#define RF_SHARES_EXACT 6	/* up to so many, all sets are asked for */

struct rf_shares {
	u64 players;		/* changes, as bits */
	u64 seed;
	size_t orders;		/* drawn; 0: exact */
	double share[RF_SHARES_MAX], error[RF_SHARES_MAX];	/* by bit; the standard error of the mean */
};

/* How many orders to draw so that about max sets are asked for; 0: exact. */
void rf_shares_plan(struct rf_shares *shares, u64 players, u64 seed, size_t max);
/* Ask for the value of each set that is needed; its answers are only of use to rf_shares_compute(). */
void rf_shares_compute(struct rf_shares *shares, s64 (*value)(void *context, u64 set), void *context);

#endif
