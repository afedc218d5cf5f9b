// SPDX-License-Identifier: MIT
/*
 * The tables behind the answer (answer.c): all that the policies do differently. Policies are columns; only counters
 * that differ get a row, because what is the same needs no comparing.
 */
#include <string.h>

#include "arch/counters.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/stats.h"
#include "replay/report/answer.h"
#include "replay/report/exposure.h"
#include "replay/report/table.h"

#define LABEL_WIDTH 26
#define COUNTER_WIDTH 18

/* A run of policies that fits next to each other; wider reports get several tables. */
struct columns {
	const json_t *policies;
	size_t first, end;
	size_t page;			/* width of all */
	int width[RF_MAX_POLICIES];	/* indexed by policy */
};

/* Counters worth a row per operation; the totals show all. */
static const char *const main_counters[] = {
	"tlbi", "flush_calls", "fold", "unfold", "born", "erased", "pte_loads", "pte_stores", "pte_atomics",
};

static const char *const folded_counters[] = { "live_blocks", "peak_live_blocks", "live_block_time_ms",
					       "folded_page_ms", "coalesced_page_ms", "valid_page_ms" };

static void print_number(FILE *out, s64 value, int width)
{
	char text[RF_DIGITS_MAX];

	fprintf(out, "%*s", width, rf_digits(value, text));
}

/* ---- columns ------------------------------------------------------------------ */

/* Names with knobs are headed by one line per knob: "linux-6.12", "+tlbi=single". */
static int longest_part(const char *name)
{
	int longest = 0, length;

	while (*name) {
		length = 1 + strcspn(name + 1, "+");
		if (length > longest)
			longest = length;
		name += length;
	}
	return longest;
}

/* The counters of the totals in the order of arch/counters.h, then those of folded blocks; NULL past the end. */
static const char *total_counter(size_t index)
{
	if (index < ARCH_NR_COUNTERS)
		return arch_counter_names[index];
	index -= ARCH_NR_COUNTERS;
	return index < ARRAY_SIZE(folded_counters) ? folded_counters[index] : NULL;
}

static int column_width(const json_t *policy)
{
	const json_t *totals = json_object_get(policy, "totals");
	int width = longest_part(rf_json_string(policy, "name")), length;
	const char *counter;
	char text[RF_DIGITS_MAX];
	size_t i;

	for (i = 0; (counter = total_counter(i)); i++) {
		length = strlen(rf_digits(json_integer_value(json_object_get(totals, counter)), text));
		if (length > width)
			width = length;
	}
	return width + 2;
}

/* The next run of policies that fits; false when all were shown. */
static bool next_columns(struct columns *columns, int left)
{
	size_t nr = json_array_size(columns->policies);
	size_t used = left;

	columns->first = columns->end;
	while (columns->end < nr && columns->end < RF_MAX_POLICIES) {
		columns->width[columns->end] = column_width(json_array_get(columns->policies, columns->end));
		used += columns->width[columns->end];
		if (used > columns->page && columns->end > columns->first)
			break;
		columns->end++;
	}
	return columns->first < columns->end;
}

static void print_heads(FILE *out, const struct columns *columns, const char *left)
{
	const char *rest[RF_MAX_POLICIES];
	bool more = true;
	size_t i;

	for (i = columns->first; i < columns->end; i++)
		rest[i] = rf_json_string(json_array_get(columns->policies, i), "name");
	while (more) {
		more = false;
		fprintf(out, "%-*s", LABEL_WIDTH + COUNTER_WIDTH, left);
		for (i = columns->first; i < columns->end; i++) {
			int length = *rest[i] ? 1 + strcspn(rest[i] + 1, "+") : 0;

			fprintf(out, "%*s%.*s", columns->width[i] - length, "", length, rest[i]);
			rest[i] += length;
			more |= *rest[i] != '\0';
		}
		fputc('\n', out);
		left = "";
	}
}

/* row NULL: the totals. */
static s64 value_of(const json_t *policy, const char *row, const char *counter)
{
	if (!row)
		return rf_json_number(json_object_get(policy, "totals"), counter);
	return rf_json_number(json_object_get(json_object_get(policy, "operations"), row), counter);
}

/* Over all policies, not only the visible ones. With one policy there is nothing to compare: what is not 0 counts. */
static bool worth_a_row(const json_t *policies, const char *row, const char *counter)
{
	s64 first = value_of(json_array_get(policies, 0), row, counter);
	size_t i;

	for (i = 1; i < json_array_size(policies); i++)
		if (value_of(json_array_get(policies, i), row, counter) != first)
			return true;
	return json_array_size(policies) == 1 && first;
}

static void print_row(FILE *out, const struct columns *columns, const char *label, const char *row, const char *counter)
{
	size_t i;

	fprintf(out, "%-*s%-*s", LABEL_WIDTH, label, COUNTER_WIDTH, counter);
	for (i = columns->first; i < columns->end; i++)
		print_number(out, value_of(json_array_get(columns->policies, i), row, counter), columns->width[i]);
	fputc('\n', out);
}

/* ---- totals ------------------------------------------------------------------- */

static void print_same(FILE *out, const json_t *policies)
{
	char text[PARAGRAPH_MAX], digits[RF_DIGITS_MAX];
	struct rf_line line;
	const char *counter;
	size_t i;
	s64 value;

	rf_line_begin(&line, text, sizeof(text));
	for (i = 0; (counter = total_counter(i)); i++) {
		value = value_of(json_array_get(policies, 0), NULL, counter);
		if (!value || worth_a_row(policies, NULL, counter))
			continue;
		rf_line_add(&line, "%s%s\v%s", line.used ? ", " : "", counter,
			    rf_digits(value, digits));
	}
	if (line.used)
		table_paragraph(out, "all alike", text);
}

static void print_totals(FILE *out, const json_t *policies)
{
	struct columns columns = { .policies = policies, .page = rf_text_width(out) };
	const char *counter;
	size_t i;

	while (next_columns(&columns, LABEL_WIDTH + COUNTER_WIDTH)) {
		const char *label = "total";

		fputc('\n', out);
		print_heads(out, &columns, "");
		for (i = 0; (counter = total_counter(i)); i++) {
			if (!worth_a_row(policies, NULL, counter))
				continue;
			print_row(out, &columns, label, NULL, counter);
			label = "";
		}
	}
	if (json_array_size(policies) > 1)
		print_same(out, policies);
}

/* ---- operations ----------------------------------------------------------------- */

static bool operation_differs(const json_t *policies, const char *row)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(main_counters); i++)
		if (worth_a_row(policies, row, main_counters[i]))
			return true;
	return false;
}

/* The number of operations is the same under every policy; it stands beside the name. */
static void print_operation(FILE *out, const struct columns *columns, const char *row)
{
	char label[64], digits[RF_DIGITS_MAX];
	size_t i;

	rf_digits(value_of(json_array_get(columns->policies, 0), row, "operations"), digits);
	snprintf(label, sizeof(label), "%-14s %9s", row, digits);
	for (i = 0; i < ARRAY_SIZE(main_counters); i++) {
		if (!worth_a_row(columns->policies, row, main_counters[i]))
			continue;
		print_row(out, columns, label, row, main_counters[i]);
		label[0] = '\0';
	}
}

static void print_operations(FILE *out, const json_t *policies)
{
	struct columns columns = { .policies = policies, .page = rf_text_width(out) };
	char text[PARAGRAPH_MAX];
	struct rf_line line;
	size_t row;

	rf_line_begin(&line, text, sizeof(text));
	for (row = 0; row < RF_NR_ROWS; row++)
		if (!operation_differs(policies, rf_row_names[row]) &&
		    value_of(json_array_get(policies, 0), rf_row_names[row], "operations"))
			rf_line_add(&line, "%s%s", line.used ? ", " : "", rf_row_names[row]);
	while (next_columns(&columns, LABEL_WIDTH + COUNTER_WIDTH)) {
		fputc('\n', out);
		print_heads(out, &columns, "operation          times");
		for (row = 0; row < RF_NR_ROWS; row++)
			if (operation_differs(policies, rf_row_names[row]))
				print_operation(out, &columns, rf_row_names[row]);
	}
	if (line.used)
		table_paragraph(out, json_array_size(policies) > 1 ? "all alike" : "no work", text);
}

/* ---- readers ---------------------------------------------------------------------- */

static s64 read_of(const json_t *policy, const char *site, const char *counter)
{
	return rf_json_number(json_object_get(json_object_get(policy, "readers"), site), counter);
}

static bool reads_differ(const json_t *policies, const char *site, const char *counter)
{
	size_t i;

	for (i = 1; i < json_array_size(policies); i++)
		if (read_of(json_array_get(policies, i), site, counter) !=
		    read_of(json_array_get(policies, 0), site, counter))
			return true;
	return false;
}

static void print_reads(FILE *out, const struct columns *columns, const char *label, const char *site,
			const char *counter)
{
	size_t i;

	fprintf(out, "%-*s%-*s", LABEL_WIDTH, label, COUNTER_WIDTH, counter);
	for (i = columns->first; i < columns->end; i++)
		print_number(out, read_of(json_array_get(columns->policies, i), site, counter), columns->width[i]);
	fputc('\n', out);
}

static bool any_read(const json_t *policies, const char *site, const char *counter)
{
	return read_of(json_array_get(policies, 0), site, counter) || reads_differ(policies, site, counter);
}

/* Where policies batch differently, even the number of calls is a policy's own. */
static void print_site(FILE *out, const struct columns *columns, const char *site)
{
	char label[64], digits[RF_DIGITS_MAX];

	rf_digits(read_of(json_array_get(columns->policies, 0), site, "calls"), digits);
	snprintf(label, sizeof(label), "%-18s %6s ", site, digits);
	if (reads_differ(columns->policies, site, "calls")) {
		print_reads(out, columns, site, site, "calls");
		label[0] = '\0';
	}
	if (any_read(columns->policies, site, "blocks")) {
		print_reads(out, columns, label, site, "blocks");
		label[0] = '\0';
	}
	print_reads(out, columns, label, site, "loads");
	if (reads_differ(columns->policies, site, "lines"))
		print_reads(out, columns, "", site, "lines");
}

void rf_table_write_readers(const json_t *report, FILE *out)
{
	struct columns columns = {
		.policies = json_object_get(report, "policies"), .page = rf_text_width(out),
	};
	size_t site;

	while (next_columns(&columns, LABEL_WIDTH + COUNTER_WIDTH)) {
		fputc('\n', out);
		print_heads(out, &columns, "reader              calls");
		for (site = 0; site < RF_NR_SITES; site++)
			if (any_read(columns.policies, rf_site_names[site], "calls"))
				print_site(out, &columns, rf_site_names[site]);
	}
}

void rf_table_write(const json_t *report, FILE *out)
{
	const json_t *policies = json_object_get(report, "policies");

	table_head(report, out);
	if (!json_array_size(policies) || rf_report_nothing(report))
		return;
	print_totals(out, policies);
	print_operations(out, policies);
}

void rf_report_write(const json_t *report, const struct rf_view *view, FILE *out)
{
	bool counted = json_array_size(json_object_get(report, "policies")) && !rf_report_nothing(report);

	if (view->format != RF_FORMAT_table) {
		rf_answer_table(report, view, out);
		return;
	}
	if (counted) {
		rf_answer_write(report, view, out);
		rf_exposure_write(json_object_get(report, "exposure"), view->all, out);
	}
	if (view->all && !view->baseline) {
		rf_table_write(report, out);
		return;
	}
	(view->all ? table_head : table_short_head)(report, out);
	if (counted)
		rf_answer_table(report, view, out);
}
