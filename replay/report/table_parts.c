// SPDX-License-Identifier: MIT
/*
 * The windows or the processes of a recording as a table: a line for each of them and policy with the counters that the
 * policies are about. Everything else is in the report.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/report.h"

/* The last one only windows have. */
static const char *const shown[] = { "faults", "fold", "unfold", "born", "erased", "tlbi", "dsb", "live_blocks" };

struct layout {
	const char *head;
	void (*label)(const json_t *part, char *text, size_t size);
	size_t nr;		/* of the counters shown */
	int label_width, policy_width;
	int counter_widths[ARRAY_SIZE(shown)];
};

static const char *counter(const json_t *policy, size_t i, char *text)
{
	return rf_digits(rf_json_number(json_object_get(policy, "totals"), shown[i]), text);
}

/* The label; with its number where it is not the first of that label. */
static void window_label(const json_t *window, char *text, size_t size)
{
	long long occurrence = rf_json_number(window, "occurrence");

	if (occurrence > 1)
		snprintf(text, size, "%s (%lld)", rf_json_string(window, "label"), occurrence);
	else
		snprintf(text, size, "%s", rf_json_string(window, "label"));
}

static void process_label(const json_t *process, char *text, size_t size)
{
	snprintf(text, size, "%lld %s", (long long)rf_json_number(process, "pid"),
		 rf_json_string(process, "command"));
}

static void widen(int *width, const char *text)
{
	int length = strlen(text);

	if (length > *width)
		*width = length;
}

static void measure(struct layout *layout, const json_t *parts)
{
	const json_t *part, *policy;
	char text[256];
	size_t i, k, n;

	widen(&layout->label_width, layout->head);
	widen(&layout->policy_width, "policy");
	for (n = 0; n < layout->nr; n++)
		widen(&layout->counter_widths[n], shown[n]);
	json_array_foreach(parts, i, part) {
		layout->label(part, text, sizeof(text));
		widen(&layout->label_width, text);
		json_array_foreach(json_object_get(part, "policies"), k, policy) {
			widen(&layout->policy_width, rf_json_string(policy, "name"));
			for (n = 0; n < layout->nr; n++)
				widen(&layout->counter_widths[n], counter(policy, n, text));
		}
	}
}

/* Of a process: why it cannot be relied on. */
static void write_marks(FILE *out, const json_t *reasons)
{
	const json_t *reason;
	size_t i;

	json_array_foreach(reasons, i, reason)
		fprintf(out, "%s%s", i ? ", " : "  marked: ", json_string_value(reason));
}

static void write_part(FILE *out, const struct layout *layout, const json_t *part)
{
	const json_t *policy;
	char text[256];
	size_t k, n;

	layout->label(part, text, sizeof(text));
	json_array_foreach(json_object_get(part, "policies"), k, policy) {
		fprintf(out, "%-*s  %-*s", layout->label_width, k ? "" : text, layout->policy_width,
			rf_json_string(policy, "name"));
		for (n = 0; n < layout->nr; n++) {
			char digits[RF_DIGITS_MAX];

			fprintf(out, "  %*s", layout->counter_widths[n], counter(policy, n, digits));
		}
		if (!k)
			write_marks(out, json_object_get(part, "marked"));
		fputc('\n', out);
	}
}

static void write_parts(FILE *out, struct layout *layout, const json_t *parts)
{
	const json_t *part;
	size_t i, n;

	measure(layout, parts);
	fprintf(out, "\n%-*s  %-*s", layout->label_width, layout->head, layout->policy_width, "policy");
	for (n = 0; n < layout->nr; n++)
		fprintf(out, "  %*s", layout->counter_widths[n], shown[n]);
	fputc('\n', out);
	json_array_foreach(parts, i, part)
		write_part(out, layout, part);
}

void rf_table_write_windows(const json_t *report, FILE *out)
{
	struct layout layout = { .head = "window", .label = window_label, .nr = ARRAY_SIZE(shown) };
	const json_t *windows = json_object_get(report, "windows");

	if (json_array_size(windows))
		write_parts(out, &layout, windows);
	else
		fprintf(out, "\nno windows: no mark in the recording begins one\n");
}

void rf_table_write_processes(const json_t *report, FILE *out)
{
	struct layout layout = { .head = "process", .label = process_label, .nr = ARRAY_SIZE(shown) - 1 };

	write_parts(out, &layout, json_object_get(report, "processes"));
}
