/* SPDX-License-Identifier: MIT */
/* What the two files that make the report share. */
#ifndef REFOLD_REPLAY_REPORT_JSON_H
#define REFOLD_REPLAY_REPORT_JSON_H

#include "replay/report/report.h"

/* Set an integer; JSON's lack of unsigned 64-bit values bounds counters at 2^63, far above any count of events. */
static inline void set_count(json_t *object, const char *key, u64 value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static inline void set_string(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_string(value));
}

/* report.c */

/* Of the kinds that occur; losses are no records, and have a key of their own. */
json_t *records_by_kind(const u64 *kinds);
const char *base_name(const char *path);

/* report_counts.c */

json_t *policy_object(const struct rf_policy *policy, const struct rf_stats *stats);

/* report_assumptions.c */

json_t *geometry_object(const struct rf_policy *policy);
/* traces: of rf_report_trace() */
json_t *assumptions_array(const struct rf_policy *policy, const struct rf_stats *stats, const json_t *traces);

#endif
