/* SPDX-License-Identifier: MIT */
/*
 * For each knob in which two policies differ: how often the replay came to where it is looked at, and how often it
 * could have made a difference. From counts of the report alone, so that it can be asked of any two columns; an
 * upper bound: 0 is certain, as tests/cli/exposure.py holds, more than 0 is not.
 */
#ifndef REFOLD_REPLAY_REPORT_EXPOSURE_H
#define REFOLD_REPLAY_REPORT_EXPOSURE_H

#include <stdio.h>

#include <jansson.h>

#include "base/types.h"

/*
 * Add to each of knobs ({"batch_fork": {"a": false, "b": true}}) of two "policies" of reports: "reached",
 * "could_matter" and the sentence "exposure". Knobs of which nothing is known get "reached": null.
 */
void rf_exposure_add(json_t *knobs, const json_t *a, const json_t *b);
/* Every knob among them is known, and can have made no difference; false if there are none. */
bool rf_exposure_none(const json_t *knobs);
/* All counters of all operations are equal. */
bool rf_counts_alike(const json_t *a, const json_t *b);

/*
 * The report's "exposure": each policy against the first one before it that has the same base; else against the first
 * of the same architecture.
 */
json_t *rf_exposure_array(const json_t *policies);
/* A line for each pair in which nothing can matter; all: a line for each knob of each pair. */
void rf_exposure_write(const json_t *exposure, bool all, FILE *out);
/* The same of one member of it, or of rf_diff_policies(). */
void rf_exposure_write_pair(const json_t *pair, bool all, FILE *out);

#endif
