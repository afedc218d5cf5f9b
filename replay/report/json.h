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
/* rf_report_build(); all: as of policy_object(), as the schema has it. */
json_t *report_of(const struct rf_report_parts *parts, const struct rf_results *results, bool all);

/* counts.c */

/* all: operations and places that did nothing, too. */
json_t *policy_object(const struct rf_policy *policy, const struct rf_stats *stats, bool all);

/* What is in its report's "totals". */
json_t *policy_totals(const struct rf_policy *policy, const struct rf_stats *stats);
json_t *knobs_object(const struct rf_policy *policy);

/* The counters of a row, and how many operations it counted. */
json_t *row_object(const struct arch_counters *row, u64 operations);

/* trust.c */

json_t *trust_of_trace(const char *name, const struct rf_results *results, u64 first_time);
/* trusts: of trust_of_trace(), one a trace. */
json_t *trust_section(const json_t *trusts, const struct rf_results *results, bool complete);
/* "exact", "marked" or "doubtful": by the marks, the hidden processes and the doubts of one. compared: processes. */
const char *trust_word(const json_t *trust, bool complete, u64 compared);

/* attribution.c */

/* What the trace's groups counted; so many rows a policy, and the rest as one. */
/* NULL on lack of memory. */
json_t *attribution_of_trace(const char *name, const struct rf_results *results, u64 top);

/* rows.c */

/* trace: of rf_report_trace(); trust: of trust_of_trace() */
void rf_report_add_row(json_t *trace, const json_t *trust, const struct rf_results *results);

/* intervals.c */

/* The series of a trace; processes: of each process, too. */
json_t *intervals_of_trace(const char *name, const struct rf_results *results, bool processes);

/* loaded.c: of policies whose backend was loaded */

json_t *backend_object(const struct rf_policy *policy);
/* Of it, what tells one code from another. */
json_t *backend_identity(const struct rf_policy *policy);
u64 backend_warnings(const struct rf_policy *policy);
/* policy: of the report. What its column was counted by. */
void backend_sentence(const json_t *policy, char *text, size_t size);

/* assumptions.c */

json_t *geometry_object(const struct rf_policy *policy);
json_t *allocation_object(const struct rf_policy *policy, const struct rf_stats *stats);
/* traces: of rf_report_trace() */
json_t *assumptions_array(const struct rf_policy *policy, const struct rf_stats *stats, const json_t *traces);

#endif
