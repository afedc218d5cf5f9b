/* SPDX-License-Identifier: MIT */
/* What the driver does to the results that it fills. */
#ifndef REFOLD_REPLAY_RESULTS_H
#define REFOLD_REPLAY_RESULTS_H

#include "replay/run.h"

void add_stats(struct rf_stats *sum, const struct rf_stats *stats);
void add_fidelity(struct rf_fidelity *sum, const struct rf_fidelity *fidelity);
/* What is of the trace before. */
void forget_parts(struct rf_results *results);

#endif
