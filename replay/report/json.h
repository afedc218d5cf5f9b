/* SPDX-License-Identifier: MIT */
/* What the files that make the report share. */
#ifndef REFOLD_REPLAY_REPORT_JSON_H
#define REFOLD_REPLAY_REPORT_JSON_H

#include "base/json.h"
#include "replay/report/report.h"

/* report.c */

/* Of the kinds that occur; losses are no records, and have a key of their own. */
json_t *records_by_kind(const u64 *kinds);
const char *base_name(const char *path);

/* counts.c */

json_t *policy_object(const struct rf_policy *policy, const struct rf_stats *stats);

/* assumptions.c */

json_t *geometry_object(const struct rf_policy *policy);
/* traces: of rf_report_trace() */
json_t *assumptions_array(const struct rf_policy *policy, const struct rf_stats *stats, const json_t *traces);

#endif
