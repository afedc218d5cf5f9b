// SPDX-License-Identifier: MIT
/*
 * The windows of a recording as a table: a line for each window and policy with the counters that the policies are
 * about. Everything else of a window is in the report.
 */
#include <string.h>

#include "replay/report.h"

static const char *const shown[] = { "faults", "fold", "unfold", "born", "erased", "live_blocks", "tlbi", "dsb" };

struct layout {
	int label, policy;
	int counters[ARRAY_SIZE(shown)];
};

static const char *string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static const char *counter(const json_t *policy, size_t i, char *text, size_t size)
{
	return rf_group_digits(json_integer_value(json_object_get(json_object_get(policy, "totals"), shown[i])), text,
			       size);
}

/* The label; with its number where it is not the first of that label. */
static const char *label(const json_t *window, char *text, size_t size)
{
	long long occurrence = json_integer_value(json_object_get(window, "occurrence"));

	if (occurrence > 1)
		snprintf(text, size, "%s (%lld)", string(window, "label"), occurrence);
	else
		snprintf(text, size, "%s", string(window, "label"));
	return text;
}

static void widen(int *width, const char *text)
{
	int length = strlen(text);

	if (length > *width)
		*width = length;
}

static void measure(struct layout *layout, const json_t *windows)
{
	const json_t *window, *policy;
	char text[256];
	size_t i, k, n;

	*layout = (struct layout){ .label = strlen("window"), .policy = strlen("policy") };
	for (n = 0; n < ARRAY_SIZE(shown); n++)
		widen(&layout->counters[n], shown[n]);
	json_array_foreach(windows, i, window) {
		widen(&layout->label, label(window, text, sizeof(text)));
		json_array_foreach(json_object_get(window, "policies"), k, policy) {
			widen(&layout->policy, string(policy, "name"));
			for (n = 0; n < ARRAY_SIZE(shown); n++)
				widen(&layout->counters[n], counter(policy, n, text, sizeof(text)));
		}
	}
}

void rf_table_write_windows(const json_t *report, FILE *out)
{
	const json_t *windows = json_object_get(report, "windows"), *window, *policy;
	struct layout layout;
	char text[256];
	size_t i, k, n;

	if (!json_array_size(windows)) {
		fprintf(out, "\nno windows: no mark in the recording begins one\n");
		return;
	}
	measure(&layout, windows);
	fprintf(out, "\n%-*s  %-*s", layout.label, "window", layout.policy, "policy");
	for (n = 0; n < ARRAY_SIZE(shown); n++)
		fprintf(out, "  %*s", layout.counters[n], shown[n]);
	fputc('\n', out);
	json_array_foreach(windows, i, window) {
		json_array_foreach(json_object_get(window, "policies"), k, policy) {
			fprintf(out, "%-*s  %-*s", layout.label, k ? "" : label(window, text, sizeof(text)),
				layout.policy, string(policy, "name"));
			for (n = 0; n < ARRAY_SIZE(shown); n++)
				fprintf(out, "  %*s", layout.counters[n], counter(policy, n, text, sizeof(text)));
			fputc('\n', out);
		}
	}
}
