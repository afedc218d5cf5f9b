// SPDX-License-Identifier: MIT
/* Values of options, as people write them. */
#include "capture/values.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* A number and one of these letters, each so many times the unit; "" stands for none. */
struct suffix {
	char letter;
	u64 times;
};

static const struct suffix size_suffixes[] = { { 'k', 1ull << 10 }, { 'm', 1ull << 20 }, { 'g', 1ull << 30 },
					       { 't', 1ull << 40 }, { 0, 0 } };
static const struct suffix time_suffixes[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 0, 0 } };

/* What a suffix at the end of text stands for, 1 without any; 0: there is something else. */
static u64 suffix_times(const struct suffix *suffixes, const char *text)
{
	if (!*text)
		return 1;
	for (; suffixes->letter && !text[1]; suffixes++)
		if ((text[0] | 0x20) == suffixes->letter)
			return suffixes->times;
	return 0;
}

bool rf_read_size(const char *text, u64 least, u64 most, u64 *size)
{
	unsigned long long value;
	u64 times;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	times = suffix_times(size_suffixes, end);
	if (errno || end == text || text[0] < '0' || text[0] > '9' || !times || value > most / times)
		return false;
	*size = value * times;
	return *size >= least;
}

bool rf_read_time(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end == text || !(text[0] == '.' || (text[0] >= '0' && text[0] <= '9')))
		return false;
	*seconds *= (double)suffix_times(time_suffixes, end);
	return *seconds >= 0.001 && *seconds < 1e9;
}

bool rf_read_percent(const char *text, double *share)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || !(text[0] == '.' || (text[0] >= '0' && text[0] <= '9')) || (*end && strcmp(end, "%")))
		return false;
	*share = percent / 100;
	return percent >= 0.1 && percent <= 1e6;
}

bool rf_read_rotation(const char *text, struct rf_rotation *rotation)
{
	const char *last = text[0] ? text + strlen(text) - 1 : text;

	if (*last && strchr("smh", *last))
		return rf_read_time(text, &rotation->seconds) && rotation->seconds >= 1;
	return *last && strchr("KMGT", *last) && rf_read_size(text, RF_LEAST_FILE, RF_MOST_BYTES, &rotation->bytes);
}

bool rf_read_pids(const char *text, struct rf_pid_list *pids)
{
	while (*text) {
		char *end;
		long pid = strtol(text, &end, 10);

		if (end == text || pid <= 0 || pid > INT_MAX || (*end && *end != ','))
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
