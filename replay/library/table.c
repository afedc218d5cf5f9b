// SPDX-License-Identifier: MIT
/*
 * librefold's tables: the numbers of a report, one a row, with what each is of. They are made of the JSON and nothing
 * else, so that a report that was loaded has the same as one that was just counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "replay/library/handles.h"

#define MAX_TEXTS 10		/* trace, policy and the keys of --by */
#define MAX_NUMBERS 3

/* What rows are of that have all but the counter in common. */
struct place {
	const char *texts[MAX_TEXTS];
	int64_t numbers[MAX_NUMBERS];
};

struct row {
	size_t place;
	const char *counter;
	int64_t value;
};

struct refold_table {
	const char *texts[MAX_TEXTS], *numbers[MAX_NUMBERS];	/* the names of the columns */
	size_t nr_texts, nr_numbers;
	struct place now;		/* what is being added to */
	struct place *places;
	struct row *rows;
	size_t nr_places, places_room, nr_rows, rows_room;
	size_t at;			/* the row after the one that is read */
	bool failed;			/* no memory */
};

/* ---- making one ------------------------------------------------------------------------------- */

static void add_row(struct refold_table *table, const char *counter, int64_t value)
{
	table->failed |= array_grow(table->rows, table->rows_room, table->nr_rows + 1) < 0;
	if (!table->failed)
		table->rows[table->nr_rows++] = (struct row){ table->nr_places - 1, counter, value };
}

/* What follows is of table->now. */
static void begin_place(struct refold_table *table)
{
	table->failed |= array_grow(table->places, table->places_room, table->nr_places + 1) < 0;
	if (!table->failed)
		table->places[table->nr_places++] = table->now;
}

/* Every number of an object: a counter. */
static void add_counts(struct refold_table *table, json_t *counts)
{
	const char *counter;
	json_t *value;

	begin_place(table);
	json_object_foreach(counts, counter, value)
		if (json_is_integer(value))
			add_row(table, counter, json_integer_value(value));
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Of a report or a window: of each policy the totals, then each operation. texts[first]: policy and operation. */
static void add_policies(struct refold_table *table, const json_t *policies, size_t first)
{
	const json_t *policy;
	const char *operation;
	json_t *row;
	size_t i;

	json_array_foreach(policies, i, policy) {
		table->now.texts[first] = text_of(policy, "name");
		table->now.texts[first + 1] = NULL;
		add_counts(table, json_object_get(policy, "totals"));
		json_object_foreach(json_object_get(policy, "operations"), operation, row) {
			table->now.texts[first + 1] = operation;
			add_counts(table, row);
		}
	}
}

static void make_counters(struct refold_table *table, const json_t *report)
{
	add_policies(table, json_object_get(report, "policies"), 0);
}

static void make_windows(struct refold_table *table, const json_t *report)
{
	const json_t *window;
	size_t i;

	json_array_foreach(json_object_get(report, "windows"), i, window) {
		table->now.texts[0] = text_of(window, "trace");
		table->now.texts[1] = text_of(window, "label");
		table->now.numbers[0] = rf_json_number(window, "occurrence");
		table->now.numbers[1] = rf_json_number(window, "begin_ns");
		table->now.numbers[2] = rf_json_number(window, "end_ns");
		add_policies(table, json_object_get(window, "policies"), 2);
	}
}

/* row: of attribution; its keys are texts behind trace and policy. */
static void add_share(struct refold_table *table, const json_t *row)
{
	for (size_t i = 2; i < table->nr_texts; i++)
		table->now.texts[i] = text_of(row, table->texts[i]);
	add_counts(table, json_object_get(row, "totals"));
	add_row(table, "bytes", rf_json_number(row, "bytes"));
}

static void make_attribution(struct refold_table *table, const json_t *report)
{
	const json_t *trace, *policy, *row, *key;
	size_t t, p, i;

	json_array_foreach(json_object_get(report, "attribution"), t, trace) {
		table->now.texts[0] = text_of(trace, "trace");
		table->nr_texts = 2;
		json_array_foreach(json_object_get(trace, "by"), i, key)
			if (table->nr_texts < MAX_TEXTS)
				table->texts[table->nr_texts++] = json_string_value(key);
		json_array_foreach(json_object_get(trace, "policies"), p, policy) {
			table->now.texts[1] = text_of(policy, "name");
			json_array_foreach(json_object_get(policy, "rows"), i, row)
				add_share(table, row);
			add_share(table, json_object_get(policy, "rest"));
		}
	}
}

/* A series is an array for each counter: all counters of an interval, then the next one. */
static void add_series(struct refold_table *table, json_t *series, int64_t interval_ns)
{
	size_t nr = 0, i;
	const char *counter;
	json_t *values;

	json_object_foreach(series, counter, values)
		nr = nr > json_array_size(values) ? nr : json_array_size(values);
	for (i = 0; i < nr; i++) {
		table->now.numbers[0] = (int64_t)i * interval_ns;
		table->now.numbers[1] = (int64_t)(i + 1) * interval_ns;
		begin_place(table);
		json_object_foreach(series, counter, values)
			add_row(table, counter, json_integer_value(json_array_get(values, i)));
	}
}

static void make_intervals(struct refold_table *table, const json_t *report)
{
	const json_t *trace, *policy;
	size_t t, p;

	json_array_foreach(json_object_get(report, "intervals"), t, trace) {
		table->now.texts[0] = text_of(trace, "trace");
		json_array_foreach(json_object_get(trace, "policies"), p, policy) {
			table->now.texts[1] = text_of(policy, "name");
			add_series(table, json_object_get(policy, "series"), rf_json_number(trace, "interval_ns"));
		}
	}
}

static void make_processes(struct refold_table *table, const json_t *report)
{
	const json_t *process, *policy;
	size_t i, p;

	json_array_foreach(json_object_get(report, "processes"), i, process) {
		table->now.texts[0] = text_of(process, "trace");
		table->now.texts[1] = text_of(process, "command");
		table->now.numbers[0] = rf_json_number(process, "pid");
		table->now.numbers[1] = rf_json_number(process, "begin_ns");
		json_array_foreach(json_object_get(process, "policies"), p, policy) {
			table->now.texts[2] = text_of(policy, "name");
			add_counts(table, json_object_get(policy, "totals"));
		}
	}
}

static void make_traces(struct refold_table *table, const json_t *report)
{
	json_t *trace;
	size_t i;

	json_array_foreach(json_object_get(report, "traces"), i, trace) {
		table->now.texts[0] = text_of(trace, "name");
		for (size_t c = 1; c < table->nr_texts; c++)
			table->now.texts[c] = text_of(trace, table->texts[c]);
		add_counts(table, trace);
	}
}

static const struct {
	const char *name;
	void (*make)(struct refold_table *table, const json_t *report);
	const char *texts[6], *numbers[MAX_NUMBERS + 1];
} tables[] = {
	{ "counters", make_counters, { "policy", "operation" }, { NULL } },
	{ "windows", make_windows, { "trace", "window", "policy", "operation" },
	  { "occurrence", "begin_ns", "end_ns" } },
	{ "attribution", make_attribution, { "trace", "policy" }, { NULL } },
	{ "intervals", make_intervals, { "trace", "policy" }, { "begin_ns", "end_ns" } },
	{ "processes", make_processes, { "trace", "process", "policy" }, { "pid", "begin_ns" } },
	{ "traces", make_traces, { "trace", "digest", "kernel", "arch", "trust" }, { NULL } },
};

struct refold_table *refold_table_open(const struct refold_report *report, const char *name, struct refold_error *err)
{
	struct refold_table *table = calloc(1, sizeof(*table));
	size_t i = 0;

	if (err)
		*err = (struct refold_error){ .offset = REFOLD_NO_OFFSET };
	while (i < ARRAY_SIZE(tables) && strcmp(name, tables[i].name))
		i++;
	if (!table || i == ARRAY_SIZE(tables)) {
		free(table);
		if (i < ARRAY_SIZE(tables))
			library_no_memory(err);
		else
			library_error(err, -EINVAL, NULL, "there is no such table; there are counters, windows, "
				      "attribution, intervals, processes and traces");
		return NULL;
	}
	for (; tables[i].texts[table->nr_texts]; table->nr_texts++)
		table->texts[table->nr_texts] = tables[i].texts[table->nr_texts];
	for (; tables[i].numbers[table->nr_numbers]; table->nr_numbers++)
		table->numbers[table->nr_numbers] = tables[i].numbers[table->nr_numbers];
	tables[i].make(table, report->json);
	if (!table->failed)
		return table;
	refold_table_free(table);
	library_no_memory(err);
	return NULL;
}

void refold_table_free(struct refold_table *table)
{
	if (!table)
		return;
	free(table->places);
	free(table->rows);
	free(table);
}

/* ---- reading one ----------------------------------------------------------------------------------- */

const char *refold_table_column(const struct refold_table *table, size_t index)
{
	size_t of_place = table->nr_texts + table->nr_numbers;

	if (index < table->nr_texts)
		return table->texts[index];
	if (index < of_place)
		return table->numbers[index - table->nr_texts];
	return index == of_place ? "counter" : index == of_place + 1 ? "value" : NULL;
}

bool refold_table_is_number(const struct refold_table *table, const char *column)
{
	for (size_t i = 0; i < table->nr_numbers; i++)
		if (!strcmp(column, table->numbers[i]))
			return true;
	return !strcmp(column, "value");
}

bool refold_table_next(struct refold_table *table)
{
	if (table->at > table->nr_rows)
		return false;
	table->at++;
	return table->at <= table->nr_rows;
}

static const struct row *row_at(const struct refold_table *table)
{
	return table->at && table->at <= table->nr_rows ? &table->rows[table->at - 1] : NULL;
}

const char *refold_table_text(const struct refold_table *table, const char *column)
{
	const struct row *row = row_at(table);

	if (row && !strcmp(column, "counter"))
		return row->counter;
	for (size_t i = 0; row && i < table->nr_texts; i++)
		if (!strcmp(column, table->texts[i]))
			return table->places[row->place].texts[i];
	return NULL;
}

int64_t refold_table_number(const struct refold_table *table, const char *column)
{
	const struct row *row = row_at(table);

	if (row && !strcmp(column, "value"))
		return row->value;
	for (size_t i = 0; row && i < table->nr_numbers; i++)
		if (!strcmp(column, table->numbers[i]))
			return table->places[row->place].numbers[i];
	return 0;
}
