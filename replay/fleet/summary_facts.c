// SPDX-License-Identifier: MIT
/* Of a summary: which traces there are, from where, how far they are to be trusted, and each warning once. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/fleet/summary.h"

const char *rf_summary_label(const json_t *facts, const char *label, char *scratch, size_t size)
{
	static const char *const own[] = { "kernel", "arch", "trust", "end" };
	const char *value = json_string_value(json_object_get(json_object_get(facts, "labels"), label));

	for (size_t i = 0; !value && i < ARRAY_SIZE(own); i++)
		if (!strcmp(label, own[i]))
			return rf_json_string(facts, label);
	if (!value && !strcmp(label, "cpus")) {
		snprintf(scratch, size, "%lld", (long long)rf_json_number(facts, "cpus"));
		return scratch;
	}
	return value;
}

static void count(json_t *counts, const char *key)
{
	rf_json_set_count(counts, key, rf_json_number(counts, key) + 1);
}

/* "3 of 12 address spaces" and "4 of 9" are one warning: numbers become N, the trace's own name TRACE. */
static char *warning_kind(const char *warning, const char *name)
{
	size_t length = strlen(name), used = 0;
	char *kind = rf_json_memory(2 * strlen(warning) + 8, 1);

	if (!kind)
		return NULL;
	if (length && !strncmp(warning, name, length)) {
		used = sprintf(kind, "TRACE");
		warning += length;
	}
	while (*warning) {
		if (!isdigit((unsigned char)*warning)) {
			kind[used++] = *warning++;
			continue;
		}
		kind[used++] = 'N';
		while (isdigit((unsigned char)*warning) ||
		       (strchr(",.", *warning) && isdigit((unsigned char)warning[1])))
			warning++;
	}
	kind[used] = '\0';
	return kind;
}

static void count_warnings(json_t *kinds, const json_t *facts)
{
	json_t *warning, *kind;
	size_t i;

	json_array_foreach(json_object_get(facts, "warnings"), i, warning) {
		char *text = warning_kind(json_string_value(warning), rf_json_string(facts, "name"));

		if (!text)
			continue;
		kind = json_object_get(kinds, text);
		if (!kind) {
			kind = json_pack("{s:i, s:O}", "traces", 0, "example", warning);
			json_object_set_new(kinds, text, kind);
		}
		count(kind, "traces");
		free(text);
	}
}

static int by_traces(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	s64 order = rf_json_number(y, "traces") - rf_json_number(x, "traces");

	return order ? (order > 0) - (order < 0) : strcmp(rf_json_string(x, "text"), rf_json_string(y, "text"));
}

/* What most traces have is first. */
static json_t *warnings_array(json_t *kinds)
{
	size_t nr = json_object_size(kinds), i = 0;
	json_t **list = rf_json_memory(nr + 1, sizeof(*list)), *kind, *array = json_array();
	const char *text;

	json_object_foreach(kinds, text, kind) {
		rf_json_set_string(kind, "text",
				   rf_json_number(kind, "traces") > 1 ? text : rf_json_string(kind, "example"));
		if (list)
			list[i++] = kind;
	}
	if (list)
		qsort(list, nr, sizeof(*list), by_traces);
	for (i = 0; list && i < nr; i++)
		json_array_append(array, list[i]);
	free(list);
	return array;
}

void rf_summary_set_facts(json_t *summary, const struct rf_fleet *fleet)
{
	json_t *kernels = json_object(), *trust = json_object(), *labels = json_object(), *kinds = json_object();
	u64 incomplete = 0, lost = 0, lossy = 0;

	for (size_t i = 0; i < fleet->nr; i++) {
		json_t *facts = json_loads(fleet->traces[i].facts, 0, NULL), *value;
		const char *key;

		count(kernels, rf_json_string(facts, "kernel"));
		count(trust, rf_json_string(facts, "trust"));
		json_object_foreach(json_object_get(facts, "labels"), key, value)
			count(labels, key);
		incomplete += !json_is_true(json_object_get(facts, "complete"));
		lost += rf_json_number(facts, "lost_events");
		lossy += rf_json_number(facts, "lost_events") > 0;
		count_warnings(kinds, facts);
		json_decref(facts);
	}
	rf_json_set_count(summary, "traces", fleet->nr);
	rf_json_set_count(summary, "incomplete", incomplete);
	rf_json_set_count(summary, "lost_events", lost);
	rf_json_set_count(summary, "lossy", lossy);
	json_object_set_new(summary, "kernels", kernels);
	json_object_set_new(summary, "trust", trust);
	json_object_set_new(summary, "labels", labels);
	json_object_set_new(summary, "warnings", warnings_array(kinds));
	json_object_set(summary, "failures", fleet->failures);
	json_object_set(summary, "notes", fleet->notes);
	json_decref(kinds);
}
