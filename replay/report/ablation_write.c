// SPDX-License-Identifier: MIT
/* The ranking of patches for people, cover letters and tickets. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/ablation.h"
#include "replay/report/grid.h"

static void add_signed(struct rf_grid *grid, s64 change, int cost, const struct rf_view *view)
{
	char text[1 + RF_DIGITS_MAX], digits[RF_DIGITS_MAX];

	if (rf_view_is_raw(view)) {
		rf_grid_number(grid, change);
		return;
	}
	snprintf(text, sizeof(text), "%s%s", change > 0 ? "+" : "", rf_digits(change, digits));
	rf_grid_toned(grid, !change ? 0 : change > 0 ? cost : -cost, text);
}

static s64 rounded(const json_t *real)
{
	double value = json_real_value(real);

	return value < 0 ? value - .5 : value + .5;
}

/* In a table the title is a line of its own: it fits nowhere else. */
static void add_patch(struct rf_grid *grid, const json_t *patch, const struct rf_view *view, bool errors)
{
	static const char *const changes[] = { "alone", "at_target", "in_order" };
	size_t i;

	rf_grid_row(grid);
	rf_grid_text(grid, "%s", rf_json_string(patch, "patch"));
	if (view->format != RF_FORMAT_table)
		rf_grid_text(grid, "%s", rf_json_string(patch, "title"));
	rf_grid_text(grid, "%s", rf_json_string(patch, "release"));
	add_signed(grid, rounded(json_object_get(patch, "share")), 1, view);
	if (errors)
		rf_grid_number(grid, rounded(json_object_get(patch, "error")));
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		add_signed(grid, rf_json_number(patch, changes[i]), 1, view);
	if (view->format != RF_FORMAT_table)
		return;
	rf_grid_row(grid);
	rf_grid_text(grid, "    %.*s", (int)view->width - 4, rf_json_string(patch, "title"));
}

static void write_ranking(const json_t *result, const struct rf_view *view, FILE *out)
{
	static const char *const heads[] = { "alone", "at target", "in order" };
	bool errors = rf_json_number(result, "orders");
	const json_t *patch;
	struct rf_grid grid;
	size_t i;

	rf_grid_begin(&grid, view->format == RF_FORMAT_table ? 1 : 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "%s by patch", rf_json_string(result, "by"));
	if (view->format != RF_FORMAT_table)
		rf_grid_text(&grid, "title");
	rf_grid_text(&grid, "release");
	rf_grid_text(&grid, "share");
	if (errors)
		rf_grid_text(&grid, "+-");
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		rf_grid_text(&grid, "%s", heads[i]);
	json_array_foreach(json_object_get(result, "patches"), i, patch)
		add_patch(&grid, patch, view, errors);
	rf_grid_end(&grid, view, out);
}

static void write_list(const char *label, const json_t *list, FILE *out)
{
	struct rf_paragraph paragraph;
	const json_t *entry;
	char text[300];
	size_t i;

	if (!json_array_size(list))
		return;
	rf_paragraph_begin(&paragraph, out, "", 0);
	paragraph.indent = 4;
	rf_paragraph_words(&paragraph, label);
	json_array_foreach(list, i, entry) {
		const char *comma = i + 1 < json_array_size(list) ? "," : "";

		if (json_is_string(entry))
			snprintf(text, sizeof(text), "%.250s%s", json_string_value(entry), comma);
		else
			snprintf(text, sizeof(text), "%.100s (%.150s)%s", rf_json_string(entry, "patch"),
				 rf_json_string(entry, "reason"), comma);
		rf_paragraph_words(&paragraph, text);
	}
	rf_paragraph_end(&paragraph);
}

static void write_interactions(const json_t *result, FILE *out)
{
	char change[RF_DIGITS_MAX], with[RF_DIGITS_MAX];
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(result, "interactions"), i, one)
		fprintf(out, "%s without %s: %s%s %s (with it: %s%s)\n", rf_json_string(one, "patch"),
			rf_json_string(one, "without"), rf_json_number(one, "change") > 0 ? "+" : "",
			rf_digits(rf_json_number(one, "change"), change), rf_json_string(result, "by"),
			rf_json_number(one, "change_with") > 0 ? "+" : "",
			rf_digits(rf_json_number(one, "change_with"), with));
}

void rf_ablation_write(const json_t *result, const struct rf_view *view, FILE *out)
{
	s64 orders = rf_json_number(result, "orders");

	if (view->format == RF_FORMAT_table)
		fputc('\n', out);
	if (json_array_size(json_object_get(result, "patches")))
		write_ranking(result, view, out);
	else if (view->format == RF_FORMAT_table)
		fprintf(out, "no patch changes %s on these traces\n", rf_json_string(result, "by"));
	if (rf_view_is_raw(view))
		return;
	if (orders)
		fprintf(out, "shares are means of %lld orders (seed %lld), +- is their standard error\n",
			(long long)orders, (long long)rf_json_number(result, "seed"));
	if (view->format == RF_FORMAT_markdown)
		fputc('\n', out);
	write_interactions(result, out);
	write_list("other counters only:", json_object_get(result, "other_counters_only"), out);
	write_list("cannot matter here:", json_object_get(result, "cannot_matter_here"), out);
	write_list("no trace can judge:", json_object_get(result, "cannot_be_judged"), out);
}
