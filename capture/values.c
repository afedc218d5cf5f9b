// SPDX-License-Identifier: MIT
/* Values of options, as people write them. */
#include "capture/values.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

bool rf_read_percent(const char *text, double *share)
{
	const char *end;
	double percent;

	if (!rf_parse_decimal(text, &percent, &end) || (*end && strcmp(end, "%")))
		return false;
	*share = percent / 100;
	return percent >= 0.1 && percent <= 1e6;
}

bool rf_read_rotation(const char *text, struct rf_rotation *rotation)
{
	const char *last = text[0] ? text + strlen(text) - 1 : text;

	if (*last && strchr("smh", *last))
		return rf_parse_time(text, &rotation->seconds) && rotation->seconds >= 1;
	return *last && strchr("KMGT", *last) && rf_parse_size(text, RF_LEAST_FILE, RF_MOST_BYTES, &rotation->bytes);
}

bool rf_read_pids(const char *text, struct rf_pid_list *pids)
{
	while (*text) {
		char *end;
		long pid = strtol(text, &end, 10);

		if (end == text || pid <= 0 || pid > INT_MAX || (*end && (*end != ',' || !end[1])))
			return false;
		if (!rf_pid_list_has(pids, (pid_t)pid) && !rf_pid_list_add(pids, (pid_t)pid))
			return false;
		text = *end ? end + 1 : end;
	}
	return pids->nr > 0;
}

bool rf_read_fault_source(const char *text, enum rf_fault_source *faults)
{
	for (int i = RF_FAULTS_TRACEPOINT; i < RF_FAULT_SOURCES; i++)
		if (!strcmp(text, rf_fault_sources[i].name)) {
			*faults = (enum rf_fault_source)i;
			return true;
		}
	return false;
}

bool rf_read_exits(const char *text, u64 *every)
{
	static const char sample[] = "sample:";

	*every = !strcmp(text, "all");
	return *every || !strcmp(text, "none") ||
	       (!strncmp(text, sample, strlen(sample)) && rf_parse_number(text + strlen(sample), 1, UINT32_MAX, every));
}
