// SPDX-License-Identifier: MIT
/*
 * A report in which nothing was counted: an empty table says less than nothing, so it says why. Most often the
 * recording lacks what every operation begins with.
 */
#include <string.h>

#include "base/json.h"
#include "replay/report/report.h"

static bool nothing_was_done(const json_t *report)
{
	const json_t *policy = json_array_get(json_object_get(report, "policies"), 0), *row;
	const char *name;

	json_object_foreach(json_object_get(policy, "operations"), name, row)
		if (rf_json_number(row, "operations"))
			return false;
	return true;
}

/* A recorder that came to its end, watched somebody, and could record page faults. */
bool rf_report_idle(const json_t *report)
{
	static const char *const unknown[] = { "none", "error", "assembled", "imported" };
	const json_t *trace = json_object_get(report, "trace"), *missing = json_object_get(trace, "missing_events");
	const char *end = rf_json_string(trace, "end");
	const json_t *event;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++)
		if (!strcmp(end, unknown[i]))
			return false;
	json_array_foreach(missing, i, event)
		if (strstr(json_string_value(event), "fault"))
			return false;
	return rf_json_number(json_object_get(trace, "records_by_kind"), "snap_begin") && nothing_was_done(report);
}

const char *rf_report_nothing(const json_t *report)
{
	const json_t *trace = json_object_get(report, "trace"), *kinds = json_object_get(trace, "records_by_kind");

	if (!nothing_was_done(report))
		return NULL;
	if (rf_report_idle(report))
		return "nobody who was recorded did anything meanwhile";
	if (!rf_json_number(trace, "records"))
		return "there is no record in it";
	if (!rf_json_number(kinds, "fault"))
		return "it holds no page faults: record them (refold-capture does, refold-import(1) says how else)";
	if (!rf_json_number(kinds, "rss_stat"))
		return "it holds no rss_stat, which tells when pages come and go: record it (refold-capture does, "
		       "refold-import(1) says how else)";
	return "none of its records changes an address space that is known";
}
