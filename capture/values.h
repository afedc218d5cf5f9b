/* SPDX-License-Identifier: MIT */
/*
 * Values of options, as people write them: rotations, lists of processes. Each reader takes a whole word, and
 * says false where that is none or out of bounds.
 */
#ifndef REFOLD_CAPTURE_VALUES_H
#define REFOLD_CAPTURE_VALUES_H

#include "capture/parts.h"

#define RF_MOST_BYTES (1ull << 60)

/* A share, 1 for "100" or "100%"; 0.1 % at least. */
bool rf_read_percent(const char *text, double *share);
/* "10m" is a time, "10M" a size: letters of times are small here, those of sizes large. */
bool rf_read_rotation(const char *text, struct rf_rotation *rotation);
/* "1,2,3", added to pids. */
bool rf_read_pids(const char *text, struct rf_pid_list *pids);
bool rf_read_fault_source(const char *text, enum rf_fault_source *faults);
/* all, none or sample:N, as one of how many exits. */
bool rf_read_exits(const char *text, u64 *every);

#endif
