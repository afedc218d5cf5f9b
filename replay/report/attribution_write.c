// SPDX-License-Identifier: MIT
/* Attributed counts as text: counts first, because what they are of may be long. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/grid.h"
#include "replay/report/report.h"

static const struct {
	const char *counter, *head;
} shown[] = {
	{ "tlbi", "TLBI" }, { "unfold", "unfolds" }, { "dsb", "DSB" }, { "faults", "faults" }, { NULL, "bytes" },
};

#define NR_SHOWN ARRAY_SIZE(shown)

static s64 count_of(const json_t *share, size_t i)
{
	return shown[i].counter ? rf_json_number(json_object_get(share, "totals"), shown[i].counter) :
				  rf_json_number(share, "bytes");
}

/* ---- for people ---- */

static void total_of(const json_t *policy, s64 sums[NR_SHOWN])
{
	const json_t *share;
	size_t i, k;

	for (i = 0; i < NR_SHOWN; i++) {
		sums[i] = count_of(json_object_get(policy, "rest"), i);
		json_array_foreach(json_object_get(policy, "rows"), k, share)
			sums[i] += count_of(share, i);
	}
}

static void write_line(FILE *out, const int widths[NR_SHOWN], const json_t *share, const s64 *sums)
{
	char digits[RF_DIGITS_MAX];

	for (size_t i = 0; i < NR_SHOWN; i++)
		fprintf(out, "%*s  ", widths[i], rf_digits(sums ? sums[i] : count_of(share, i), digits));
}

static void write_keys(FILE *out, const json_t *keys, const json_t *share)
{
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
		fprintf(out, "%s%s", i ? ", " : "", share ? rf_json_string(share, json_string_value(key)) :
							    json_string_value(key));
	fputc('\n', out);
}

static void write_policy(FILE *out, const json_t *keys, const json_t *policy)
{
	const json_t *share, *rest = json_object_get(policy, "rest");
	long long more = rf_json_number(rest, "rows");
	char digits[RF_DIGITS_MAX];
	s64 sums[NR_SHOWN];
	int widths[NR_SHOWN];
	size_t i;

	total_of(policy, sums);
	fprintf(out, "\n%s by ", rf_json_string(policy, "name"));
	write_keys(out, keys, NULL);
	for (i = 0; i < NR_SHOWN; i++) {
		int head = (int)strlen(shown[i].head), most = (int)strlen(rf_digits(sums[i], digits));

		widths[i] = head > most ? head : most;
		fprintf(out, "%*s%s", widths[i], shown[i].head, i + 1 < NR_SHOWN ? "  " : "\n");
	}
	json_array_foreach(json_object_get(policy, "rows"), i, share) {
		write_line(out, widths, share, NULL);
		write_keys(out, keys, share);
	}
	if (more) {
		write_line(out, widths, rest, NULL);
		fprintf(out, "%lld more\n", more);
	}
	write_line(out, widths, NULL, sums);
	fprintf(out, "all\n");
}

/* ---- for programs, and for markdown ---- */

static void add_rows(struct rf_grid *grid, const json_t *attribution, const json_t *policy)
{
	const json_t *keys = json_object_get(attribution, "by"), *key, *share;
	size_t i, k;

	json_array_foreach(json_object_get(policy, "rows"), i, share) {
		rf_grid_row(grid);
		rf_grid_text(grid, "%s", rf_json_string(attribution, "trace"));
		rf_grid_text(grid, "%s", rf_json_string(policy, "name"));
		json_array_foreach(keys, k, key)
			rf_grid_text(grid, "%s", rf_json_string(share, json_string_value(key)));
		for (k = 0; k < NR_SHOWN; k++)
			rf_grid_number(grid, count_of(share, k));
	}
	/* The rest has no key. */
	rf_grid_row(grid);
	rf_grid_text(grid, "%s", rf_json_string(attribution, "trace"));
	rf_grid_text(grid, "%s", rf_json_string(policy, "name"));
	json_array_foreach(keys, k, key)
		rf_grid_text(grid, "%s", "");
	for (k = 0; k < NR_SHOWN; k++)
		rf_grid_number(grid, count_of(json_object_get(policy, "rest"), k));
}

static void write_grid(const json_t *attributions, const struct rf_view *view, FILE *out)
{
	const json_t *keys = json_object_get(json_array_get(attributions, 0), "by"), *key, *attribution, *policy;
	struct rf_grid grid;
	size_t i, k;

	rf_grid_begin(&grid, 2 + json_array_size(keys), false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "trace");
	rf_grid_text(&grid, "policy");
	json_array_foreach(keys, i, key)
		rf_grid_text(&grid, "%s", json_string_value(key));
	for (i = 0; i < NR_SHOWN; i++)
		rf_grid_text(&grid, "%s", rf_view_is_raw(view) && shown[i].counter ? shown[i].counter : shown[i].head);
	json_array_foreach(attributions, i, attribution)
		json_array_foreach(json_object_get(attribution, "policies"), k, policy)
			add_rows(&grid, attribution, policy);
	rf_grid_end(&grid, view, out);
}

void rf_table_write_attribution(const json_t *report, const struct rf_view *view, FILE *out)
{
	const json_t *attributions = json_object_get(report, "attribution"), *attribution, *policy;
	size_t i, k;

	if (view->format != RF_FORMAT_table) {
		if (!rf_view_is_raw(view))
			fputc('\n', out);
		write_grid(attributions, view, out);
		return;
	}
	json_array_foreach(attributions, i, attribution)
		json_array_foreach(json_object_get(attribution, "policies"), k, policy)
			write_policy(out, json_object_get(attribution, "by"), policy);
}
