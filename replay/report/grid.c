// SPDX-License-Identifier: MIT
/*
 * Tables. Columns that do not fit become rows, and what still does not fit becomes several tables; libsmartcols, which
 * knows neither that nor markdown, would be half of this. Heads are broken before a '+': "linux-6.12", "+tlbi=single".
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/grid.h"

#define COLUMNS_MAX 400
#define LABEL_MAX 30	/* a longer label of a row has a line of its own */

void rf_grid_begin(struct rf_grid *grid, size_t labels, bool turns)
{
	*grid = (struct rf_grid){ .rows = json_array(), .labels = labels, .turns = turns };
}

void rf_grid_row(struct rf_grid *grid)
{
	json_array_append_new(grid->rows, json_array());
}

static void append(struct rf_grid *grid, json_t *cell)
{
	json_array_append_new(json_array_get(grid->rows, json_array_size(grid->rows) - 1), cell);
}

void rf_grid_text(struct rf_grid *grid, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(grid, json_vsprintf(format, args));
	va_end(args);
}

void rf_grid_number(struct rf_grid *grid, s64 value)
{
	append(grid, json_integer(value));
}

void rf_grid_toned(struct rf_grid *grid, int tone, const char *text)
{
	append(grid, json_pack("{s:s, s:i}", "text", text, "tone", tone));
}

/* ---- cells ---- */

static const json_t *cell_of(const json_t *rows, size_t row, size_t column)
{
	return json_array_get(json_array_get(rows, row), column);
}

/* digits: has room for RF_DIGITS_MAX. */
static const char *text_of(const json_t *cell, bool raw, char *digits)
{
	if (json_is_object(cell))
		return rf_json_string(cell, "text");
	if (!json_is_integer(cell))
		return cell ? json_string_value(cell) : "";
	if (!raw)
		return rf_digits(json_integer_value(cell), digits);
	snprintf(digits, RF_DIGITS_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(cell));
	return digits;
}

static json_t *turned(const json_t *rows)
{
	json_t *result = json_array(), *row, *first = json_array_get(rows, 0);
	size_t column, i;

	for (column = 0; column < json_array_size(first); column++) {
		row = json_array();
		for (i = 0; i < json_array_size(rows); i++)
			json_array_append(row, (json_t *)cell_of(rows, i, column));
		json_array_append_new(result, row);
	}
	return result;
}

/* ---- the table ---- */

/* The length of the first part of a head. */
static int part_length(const char *head)
{
	return *head ? 1 + strcspn(head + 1, "+") : 0;
}

static int longest_part(const char *head)
{
	int longest = 0, length;

	for (; *head; head += length) {
		length = part_length(head);
		longest = length > longest ? length : longest;
	}
	return longest;
}

static int column_width(const json_t *rows, size_t column, bool label)
{
	char digits[RF_DIGITS_MAX];
	int width = 0, length;
	size_t i;

	for (i = 0; i < json_array_size(rows); i++) {
		const char *text = text_of(cell_of(rows, i, column), false, digits);

		if (json_array_size(json_array_get(rows, i)) == 1)	/* a title */
			continue;
		length = i || label ? (int)strlen(text) : longest_part(text);
		if (length > width && !(label && length > LABEL_MAX))
			width = length;
	}
	return width;
}

struct layout {
	const json_t *rows;
	size_t labels, first, end;	/* columns of this run of them, beside the labels */
	int widths[COLUMNS_MAX];
};

static void print_cell(const struct layout *layout, size_t row, size_t column, const struct rf_view *view, FILE *out)
{
	const json_t *cell = cell_of(layout->rows, row, column);
	char digits[RF_DIGITS_MAX];
	const char *text = text_of(cell, false, digits);
	s64 tone = view->colour && json_is_object(cell) ? rf_json_number(cell, "tone") : 0;

	fprintf(out, "%*s%s%s%s", layout->widths[column] + 2 - (int)strlen(text), "",
		tone < 0 ? "\033[32m" : tone > 0 ? "\033[31m" : "", text, tone ? "\033[0m" : "");
}

static void print_labels(const struct layout *layout, size_t row, FILE *out)
{
	char digits[RF_DIGITS_MAX];
	size_t i;

	for (i = 0; i < layout->labels; i++) {
		const char *text = text_of(cell_of(layout->rows, row, i), false, digits);

		fprintf(out, "%s%-*s", i ? "  " : "", layout->widths[i], text);
		if ((int)strlen(text) > layout->widths[i])
			fprintf(out, "\n%-*s", layout->widths[i], "");
	}
}

static void print_heads(const struct layout *layout, FILE *out)
{
	const char *rest[COLUMNS_MAX];
	char digits[RF_DIGITS_MAX];
	bool more = true, again = false;
	size_t i;
	int length;

	for (i = layout->first; i < layout->end; i++)
		rest[i] = text_of(cell_of(layout->rows, 0, i), false, digits);
	for (; more; again = true) {
		more = false;
		if (again)
			for (i = 0; i < layout->labels; i++)
				fprintf(out, "%s%*s", i ? "  " : "", layout->widths[i], "");
		else
			print_labels(layout, 0, out);
		for (i = layout->first; i < layout->end; i++) {
			length = part_length(rest[i]);
			if (!length && i + 1 == layout->end)	/* no blanks at the end of a line */
				break;
			fprintf(out, "%*s%.*s", layout->widths[i] + 2 - length, "", length, rest[i]);
			rest[i] += length;
			more |= *rest[i] != '\0';
		}
		fputc('\n', out);
	}
}

static void print_run(const struct layout *layout, const struct rf_view *view, FILE *out)
{
	size_t row, i;

	print_heads(layout, out);
	for (row = 1; row < json_array_size(layout->rows); row++) {
		size_t nr = json_array_size(json_array_get(layout->rows, row));

		if (nr == 1)
			fputs(json_string_value(cell_of(layout->rows, row, 0)), out);
		else
			print_labels(layout, row, out);
		for (i = layout->first; i < layout->end && i < nr; i++)
			print_cell(layout, row, i, view, out);
		fputc('\n', out);
	}
}

/* Widths of all columns; their sum. */
static size_t measure(struct layout *layout, size_t nr)
{
	size_t sum = 0, i;

	for (i = 0; i < nr; i++) {
		layout->widths[i] = column_width(layout->rows, i, i < layout->labels);
		sum += layout->widths[i] + (i ? 2 : 0);
	}
	return sum;
}

static void write_runs(struct layout *layout, size_t nr, const struct rf_view *view, FILE *out)
{
	size_t left = 0, used, i;

	for (i = 0; i < layout->labels; i++)
		left += layout->widths[i] + (i ? 2 : 0);
	for (layout->end = layout->labels; layout->end < nr;) {
		if (layout->end > layout->labels)
			fputc('\n', out);
		layout->first = layout->end;
		used = left;
		while (layout->end < nr) {
			used += layout->widths[layout->end] + 2;
			if (used > view->width && layout->end > layout->first)
				break;
			layout->end++;
		}
		print_run(layout, view, out);
	}
}

static void write_table(const struct rf_grid *grid, const struct rf_view *view, FILE *out)
{
	struct layout layout = { .rows = grid->rows, .labels = grid->labels };
	size_t nr = json_array_size(json_array_get(grid->rows, 0));
	json_t *rows = NULL;

	if (nr > COLUMNS_MAX || (measure(&layout, nr) > view->width && grid->turns)) {
		layout.rows = rows = turned(grid->rows);
		nr = json_array_size(json_array_get(rows, 0));
		measure(&layout, nr);
	}
	write_runs(&layout, nr, view, out);
	json_decref(rows);
}

/* ---- others ---- */

static void write_markdown(const struct rf_grid *grid, FILE *out)
{
	char digits[RF_DIGITS_MAX];
	json_t *row, *cell;
	size_t i, k;

	json_array_foreach(grid->rows, i, row) {
		json_array_foreach(row, k, cell)
			fprintf(out, "| %s ", text_of(cell, false, digits));
		fprintf(out, "|\n");
		for (k = 0; !i && k < json_array_size(row); k++)
			fprintf(out, "%s|", k < grid->labels ? k ? "---" : "|---" : "---:");
		if (!i)
			fputc('\n', out);
	}
}

/* RFC 4180; in TSV a tab within a cell becomes a space. */
static void write_separated(const struct rf_grid *grid, char separator, FILE *out)
{
	char digits[RF_DIGITS_MAX];
	const char *text;
	json_t *row, *cell;
	size_t i, k;

	json_array_foreach(grid->rows, i, row) {
		json_array_foreach(row, k, cell) {
			bool quoted;

			text = text_of(cell, true, digits);
			quoted = separator == ',' && strpbrk(text, ",\"\n");
			if (k)
				fputc(separator, out);
			if (quoted)
				fputc('"', out);
			for (; *text; text++) {
				if (quoted && *text == '"')
					fputc('"', out);
				fputc(separator == '\t' && *text == '\t' ? ' ' : *text, out);
			}
			if (quoted)
				fputc('"', out);
		}
		fputc('\n', out);
	}
}

void rf_grid_end(struct rf_grid *grid, const struct rf_view *view, FILE *out)
{
	if (view->format == RF_FORMAT_markdown)
		write_markdown(grid, out);
	else if (rf_view_is_raw(view))
		write_separated(grid, view->format == RF_FORMAT_csv ? ',' : '\t', out);
	else
		write_table(grid, view, out);
	json_decref(grid->rows);
	grid->rows = NULL;
}

/* ---- changes ---- */

const char *rf_change_percent(s64 a, s64 b, char *text, size_t size)
{
	double percent = a ? ((double)b - a) * 100 / a : 0;

	if (a == b)
		snprintf(text, size, "=");
	else if (!a)
		snprintf(text, size, "new");
	else if (percent >= 900)
		snprintf(text, size, "x %.0f", (double)b / a);
	else if (b && percent < -99.9)
		snprintf(text, size, "-99.9 %%");	/* all of it would be -100 % */
	else if (percent > -0.005 && percent < 0.005)
		snprintf(text, size, "%c<0.01 %%", b > a ? '+' : '-');
	else if (percent > -0.05 && percent < 0.05)
		snprintf(text, size, "%+.2f %%", percent);	/* what differs is not 0.0 % */
	else if ((percent > -10 && percent < 10) || (b && percent < -99))
		snprintf(text, size, "%+.1f %%", percent);
	else
		snprintf(text, size, "%+.0f %%", percent);
	return text;
}

const char *rf_change_text(s64 a, s64 b, char *text, size_t size)
{
	char digits[RF_DIGITS_MAX], percent[24];

	if (a == b)
		snprintf(text, size, "=");
	else
		snprintf(text, size, "%s%s (%s)", b > a ? "+" : "", rf_digits(b - a, digits),
			 rf_change_percent(a, b, percent, sizeof(percent)));
	return text;
}
