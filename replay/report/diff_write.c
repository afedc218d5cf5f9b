// SPDX-License-Identifier: MIT
/*
 * Differences for people, and for spreadsheets: first the answer, then the counters that matter, of the operations that
 * make most of each difference.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/answer.h"
#include "replay/report/exposure.h"
#include "replay/report/grid.h"
#include "replay/report/price.h"
#include "replay/report/report.h"

/* Of the operations, unless more or less is asked for. */
#define TOP 10

/* ---- choosing ---- */

static bool is_in(const json_t *change, const char *section)
{
	return !strcmp(rf_json_string(change, "section"), section);
}

static u64 size_of(const json_t *change)
{
	return llabs(rf_json_number(change, "change"));
}

/* What all operations together changed of that counter, without signs. */
static u64 gross_change(const json_t *changes, const json_t *like)
{
	const json_t *change;
	u64 sum = 0;
	size_t i;

	json_array_foreach(changes, i, change)
		if (is_in(change, rf_json_string(like, "section")) &&
		    json_equal(json_object_get(change, "counter"), json_object_get(like, "counter")))
			sum += size_of(change);
	return sum;
}

/* Less than so many hundredths of a percent of what it was. */
static bool is_small(const json_t *change, u64 least)
{
	s64 a = rf_json_number(change, "a");

	return a && (unsigned __int128)size_of(change) * 10000 < (unsigned __int128)least * (a < 0 ? -a : a);
}

/* Of the operations' changes those that have the largest shares of their counters' changes. */
static void keep_top(json_t *changes, size_t top)
{
	size_t nr = json_array_size(changes), i, k, larger;
	double *shares = rf_json_memory(nr + 1, sizeof(*shares));
	const json_t *change;

	for (i = 0; shares && i < nr; i++) {
		change = json_array_get(changes, i);
		shares[i] = is_in(change, "operations") || is_in(change, "readers") ?
			    (double)size_of(change) / gross_change(changes, change) : 2;
	}
	for (i = nr; shares && i-- > 0;) {
		for (k = 0, larger = 0; k < nr; k++)
			larger += shares[k] <= 1 && (shares[k] > shares[i] || (shares[k] == shares[i] && k < i));
		if (shares[i] <= 1 && larger >= top)
			json_array_remove(changes, i);
	}
	free(shares);
}

static void choose_of(json_t *changes, const struct rf_diff_choice *choice)
{
	size_t i;

	for (i = json_array_size(changes); i-- > 0;) {
		const json_t *change = json_array_get(changes, i);

		if (is_small(change, choice->least) || (choice->matters && is_in(change, "readers")) ||
		    (choice->matters && !is_in(change, "anomalies") && !rf_matters(rf_json_string(change, "counter"))))
			json_array_remove(changes, i);
	}
	if (choice->top || choice->matters)
		keep_top(changes, choice->top ? choice->top : TOP);
}

void rf_diff_choose(json_t *diff, const struct rf_diff_choice *choice)
{
	json_t *one, *window, *changes;
	size_t i, k, left_out;

	json_array_foreach(json_object_get(diff, "comparisons"), i, one) {
		changes = json_object_get(one, "changes");
		left_out = json_array_size(changes);
		choose_of(changes, choice);
		left_out -= json_array_size(changes);
		json_array_foreach(json_object_get(one, "windows"), k, window) {
			changes = json_object_get(window, "changes");
			left_out += json_array_size(changes);
			choose_of(changes, choice);
			left_out -= json_array_size(changes);
		}
		if (left_out)
			rf_json_set_count(one, "left_out", left_out);
	}
}

/* ---- writing ---- */

/* What a change is in: an operation, a place that reads, or a section without either. */
static const char *place_of(const json_t *change)
{
	const char *place = json_string_value(json_object_get(change, "operation"));

	if (!place)
		place = json_string_value(json_object_get(change, "reader"));
	return place ? place : rf_json_string(change, "section");
}

static int tone_of(const json_t *change)
{
	const struct rf_matter *matter;
	s64 more = rf_json_number(change, "change");
	size_t i;

	for (i = 0; (matter = rf_matter_at(i)); i++)
		if (!strcmp(matter->key, rf_json_string(change, "counter")))
			return more > 0 ? matter->cost : -matter->cost;
	return 0;
}

/* b, the difference, and its percent. */
static void add_numbers(struct rf_grid *grid, s64 a, s64 b, int tone, const struct rf_view *view)
{
	char text[1 + RF_DIGITS_MAX], digits[RF_DIGITS_MAX];

	rf_grid_number(grid, a);
	rf_grid_number(grid, b);
	if (rf_view_is_raw(view)) {
		rf_grid_number(grid, b - a);
		if (a)
			rf_grid_text(grid, "%.4f", ((double)b - a) * 100 / a);
		else
			rf_grid_text(grid, "%s", "");
		return;
	}
	snprintf(text, sizeof(text), "%s%s", b > a ? "+" : "", rf_digits(b - a, digits));
	rf_grid_toned(grid, tone, text);
	rf_grid_text(grid, "%s", rf_change_percent(a, b, text, sizeof(text)));
}

/* For people a place is named once; readers' names are those of operations, in part. */
static void add_changes(struct rf_grid *grid, const json_t *changes, const char *window, const struct rf_view *view)
{
	const char *last = "", *place;
	json_t *change;
	bool readers = false;
	size_t i;

	json_array_foreach(changes, i, change) {
		if (!readers && json_object_get(change, "reader") && view->format == RF_FORMAT_table) {
			rf_grid_row(grid);
			rf_grid_text(grid, "readers");
			readers = true;
			last = "";
		}
		place = place_of(change);
		rf_grid_row(grid);
		if (rf_view_is_raw(view))
			rf_grid_text(grid, "%s", window);
		rf_grid_text(grid, "%s", view->format == RF_FORMAT_table && !strcmp(place, last) ? "" : place);
		rf_grid_text(grid, "%s", rf_json_string(change, "counter"));
		add_numbers(grid, rf_json_number(change, "a"), rf_json_number(change, "b"), tone_of(change), view);
		last = place;
	}
}

static void add_knobs(struct rf_grid *grid, json_t *knobs, const struct rf_view *view)
{
	static const char *const sides[] = { "a", "b" };
	const char *knob;
	json_t *change;
	size_t i;

	json_object_foreach(knobs, knob, change) {
		rf_grid_row(grid);
		if (rf_view_is_raw(view))
			rf_grid_text(grid, "%s", "");
		rf_grid_text(grid, "knob");
		rf_grid_text(grid, "%s", knob);
		for (i = 0; i < ARRAY_SIZE(sides); i++) {
			char *text = json_dumps(json_object_get(change, sides[i]), JSON_ENCODE_ANY);

			rf_grid_text(grid, "%s", text ? text : "?");
			free(text);
		}
	}
}

static void add_window(struct rf_grid *grid, const json_t *window, const struct rf_view *view)
{
	const char *only_in = json_string_value(json_object_get(window, "only_in"));
	long long occurrence = rf_json_number(window, "occurrence");
	char name[300];

	snprintf(name, sizeof(name), occurrence > 1 ? "%.200s (%lld)" : "%.200s", rf_json_string(window, "label"),
		 occurrence);
	if (!rf_view_is_raw(view)) {
		rf_grid_row(grid);
		rf_grid_text(grid, "window %s%s%s", name, only_in ? ": only in " : "", only_in ? only_in : "");
	}
	add_changes(grid, json_object_get(window, "changes"), name, view);
}

static void write_one(const json_t *one, const struct rf_view *view, FILE *out)
{
	static const char *const sides[] = { "a", "b" };
	const json_t *window;
	struct rf_grid grid;
	size_t i;

	rf_grid_begin(&grid, rf_view_is_raw(view) ? 3 : 2, false);
	rf_grid_row(&grid);
	if (rf_view_is_raw(view))
		rf_grid_text(&grid, "window");
	rf_grid_text(&grid, "%s", rf_view_is_raw(view) ? "operation" : "");
	rf_grid_text(&grid, "%s", rf_view_is_raw(view) ? "counter" : "");
	for (i = 0; i < ARRAY_SIZE(sides); i++)
		rf_grid_text(&grid, "%s", rf_json_string(json_object_get(one, sides[i]), "policy"));
	rf_grid_text(&grid, "change");
	rf_grid_text(&grid, "%s", rf_view_is_raw(view) ? "percent" : "");
	if (view->all)
		add_knobs(&grid, json_object_get(one, "knobs"), view);
	add_changes(&grid, json_object_get(one, "changes"), "", view);
	json_array_foreach(json_object_get(one, "windows"), i, window)
		if (view->all || rf_view_is_raw(view))
			add_window(&grid, window, view);
	rf_grid_end(&grid, view, out);
}

static void write_world(const json_t *world, const struct rf_view *view, FILE *out)
{
	struct rf_grid grid;

	fprintf(out, "the recordings or their reconstruction differ:\n");
	rf_grid_begin(&grid, 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "%s", "");
	rf_grid_text(&grid, "%s", "");
	rf_grid_text(&grid, "a");
	rf_grid_text(&grid, "b");
	rf_grid_text(&grid, "change");
	rf_grid_text(&grid, "%s", "");
	add_changes(&grid, world, "", view);
	rf_grid_end(&grid, view, out);
	fputc('\n', out);
}

/* ---- prices ---- */

/* "+10.2 us" */
static const char *time_text(double ns, bool sign, char *text, size_t size)
{
	static const struct { double ns; const char *unit; } units[] = {
		{ 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" },
	};
	double least = ns < 0 ? -ns : ns;
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && least < units[i].ns)
		i++;
	least /= units[i].ns;
	snprintf(text, size, "%s%.*f %s", ns < 0 ? "-" : sign ? "+" : "", least < 10 ? 2 : least < 100 ? 1 : 0, least,
		 units[i].unit);
	return text;
}

static void add_price(struct rf_grid *grid, const char *cause, const char *counter, const json_t *row,
		    const struct rf_view *view)
{
	double low = json_real_value(json_object_get(row, "low_ns"));
	double high = json_real_value(json_object_get(row, "high_ns"));
	s64 change = rf_json_number(row, "change");
	char text[64], digits[RF_DIGITS_MAX];

	rf_grid_row(grid);
	rf_grid_text(grid, "%s", cause);
	rf_grid_text(grid, "%s", counter);
	if (rf_view_is_raw(view)) {
		rf_grid_number(grid, change);
		rf_grid_text(grid, "%.3f", low);
		rf_grid_text(grid, "%.3f", high);
		return;
	}
	snprintf(text, sizeof(text), "%s%s", change > 0 ? "+" : "", rf_digits(change, digits));
	rf_grid_text(grid, "%s", json_object_get(row, "change") ? text : "");
	rf_grid_text(grid, "%s", time_text(low, true, text, sizeof(text)));
	rf_grid_text(grid, "%s", time_text(high, true, text, sizeof(text)));
}

static void write_prices(const json_t *priced, const struct rf_view *view, FILE *out)
{
	static const char *const heads[] = { "counter", "change", "low", "high" };
	static const char *const raw_heads[] = { "counter", "change", "low_ns", "high_ns" };
	const json_t *row;
	struct rf_grid grid;
	size_t i;

	rf_grid_begin(&grid, 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "%s", rf_view_is_raw(view) ? "operation" : "priced, by cause");
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		rf_grid_text(&grid, "%s", rf_view_is_raw(view) ? raw_heads[i] : heads[i]);
	json_array_foreach(json_object_get(priced, "rows"), i, row)
		add_price(&grid, rf_json_string(row, "operation"), rf_json_string(row, "counter"), row, view);
	json_array_foreach(json_object_get(priced, "totals"), i, row)
		add_price(&grid, "total", rf_json_string(row, "counter"), row, view);
	if (!rf_view_is_raw(view) && json_array_size(json_object_get(priced, "totals")) > 1)
		add_price(&grid, "together", "", priced, view);
	rf_grid_end(&grid, view, out);
}

static void write_break_even(const json_t *priced, FILE *out)
{
	char price[32], whole[32];
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(priced, "break_even"), i, one)
		fprintf(out, "%s 1 %% of the %s recorded if each %s costs %s or more\n",
			json_is_true(json_object_get(one, "saves")) ? "saves" : "costs",
			time_text(rf_json_number(priced, "recorded_ns"), false, whole, sizeof(whole)),
			rf_json_string(one, "one"),
			time_text(json_real_value(json_object_get(one, "price_ns")), false, price, sizeof(price)));
}

static void write_unpriced(const json_t *priced, FILE *out)
{
	const json_t *list = json_object_get(priced, "unpriced"), *one;
	struct rf_paragraph paragraph;
	char text[120], digits[RF_DIGITS_MAX];
	size_t i;

	rf_paragraph_begin(&paragraph, out, "", 0);
	paragraph.indent = 4;
	rf_paragraph_words(&paragraph, "without a price:");
	json_array_foreach(list, i, one) {
		s64 change = rf_json_number(one, "change");

		snprintf(text, sizeof(text), "%.60s\v%s%s,", rf_json_string(one, "counter"), change > 0 ? "+" : "",
			 rf_digits(change, digits));
		rf_paragraph_words(&paragraph, text);
	}
	rf_paragraph_words(&paragraph, "misses of caches and TLBs, locks, and all else that is no count");
	rf_paragraph_end(&paragraph);
}

void rf_price_write(const json_t *priced, const struct rf_view *view, FILE *out)
{
	if (json_array_size(json_object_get(priced, "rows")) || rf_view_is_raw(view))
		write_prices(priced, view, out);
	else
		fprintf(out, "nothing that has a price differs\n");
	if (rf_view_is_raw(view))
		return;
	if (view->format == RF_FORMAT_markdown)
		fputc('\n', out);
	write_break_even(priced, out);
	write_unpriced(priced, out);
}

void rf_diff_write(const json_t *diff, const struct rf_view *view, FILE *out)
{
	const json_t *comparisons = json_object_get(diff, "comparisons"), *one;
	bool table = view->format == RF_FORMAT_table;
	char digits[RF_DIGITS_MAX];
	size_t i;

	json_array_foreach(comparisons, i, one)
		if (table && json_object_get(one, "answer"))
			rf_answer_print(rf_json_string(one, "answer"), view, out);
	if (table && json_array_size(comparisons))
		fputc('\n', out);
	if (table && json_array_size(json_object_get(diff, "world")))
		write_world(json_object_get(diff, "world"), view, out);
	json_array_foreach(comparisons, i, one) {
		s64 left_out = rf_json_number(one, "left_out");
		size_t windows = view->all ? 0 : json_array_size(json_object_get(one, "windows"));

		if (i && !rf_view_is_raw(view))
			fputc('\n', out);
		if (json_object_get(one, "priced")) {
			rf_price_write(json_object_get(one, "priced"), view, out);
			continue;
		}
		write_one(one, view, out);
		if (table)
			rf_exposure_write_pair(one, view->all, out);
		if (table && left_out)
			fprintf(out, "%s smaller differences, or of other counters: --all\n",
				rf_digits(left_out, digits));
		else if (table && !json_array_size(json_object_get(one, "changes")))
			fprintf(out, "no counter differs\n");
		if (table && windows)
			fprintf(out, "%zu window%s: --all\n", windows, windows == 1 ? " differs" : "s differ");
	}
}
