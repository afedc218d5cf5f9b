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

const char *rf_report_nothing(const json_t *report)
{
	const json_t *trace = json_object_get(report, "trace"), *kinds = json_object_get(trace, "records_by_kind");

	if (!nothing_was_done(report))
		return NULL;
	if (!rf_json_number(trace, "records"))
		return "there is no record in it";
	if (!rf_json_number(kinds, "fault"))
		return "it holds no page faults: record them (refold-capture does, refold-import(1) says how else)";
	if (!rf_json_number(kinds, "rss_stat"))
		return "it holds no rss_stat, which tells when pages come and go: record it (refold-capture does, "
		       "refold-import(1) says how else)";
	return "none of its records changes an address space that is known";
}
