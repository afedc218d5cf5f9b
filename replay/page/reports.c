// SPDX-License-Identifier: MIT
/*
 * What a page shows of reports: all that a person looks at, with a number for each policy side by side and without
 * what is 0 under all of them. What would make a page too large goes by one measure: how many windows, processes,
 * moments and rows there are at most.
 */
#include <string.h>

#include "base/json.h"
#include "replay/page/page.h"
#include "replay/report/answer.h"

/* What there is room for. */
struct room {
	bool matters;	/* only counters that matter, but of the totals and operations */
	size_t most;	/* so many of each list */
};

static json_t *copied(const json_t *object, const char *key)
{
	return json_incref(json_object_get(object, key));
}

/* ---- counters of all policies side by side ---- */

static bool take_counter(json_t *columns, const json_t *all, const char *name)
{
	json_t *column = json_array();
	const json_t *counters;
	bool any = false;
	size_t i;

	json_array_foreach(all, i, counters) {
		any |= rf_json_number(counters, name) != 0;
		json_array_append_new(column, json_integer(rf_json_number(counters, name)));
	}
	if (any)
		json_object_set(columns, name, column);
	json_decref(column);
	return any;
}

/* What is a sum of others is a column like them. */
static void take_derived(json_t *columns, const json_t *all)
{
	const struct rf_matter *matter;
	const json_t *counters;
	size_t i;

	for (size_t k = 0; (matter = rf_matter_at(k)); k++) {
		json_t *column = json_array();
		bool any = false;

		json_array_foreach(all, i, counters) {
			any |= rf_matter_value(counters, matter) != 0;
			json_array_append_new(column, json_integer(rf_matter_value(counters, matter)));
		}
		if (any)
			json_object_set(columns, matter->key, column);
		json_decref(column);
	}
}

/* {"tlbi": [of each policy]...}. all: the counters of each policy, taken over. */
static json_t *columns_of(json_t *all, bool matters)
{
	json_t *columns = json_object(), *unused;
	const char *name;

	json_object_foreach(json_array_get(all, 0), name, unused)
		if (!matters || rf_matters(name))
			take_counter(columns, all, name);
	take_derived(columns, all);
	json_decref(all);
	return columns;
}

/* The member of each policy; of one of its members, if operation is given. */
static json_t *of_policies(const json_t *policies, const char *member, const char *operation)
{
	json_t *list = json_array(), *counters;
	const json_t *policy;
	size_t i;

	json_array_foreach(policies, i, policy) {
		counters = json_object_get(policy, member);
		if (operation)
			counters = json_object_get(counters, operation);
		json_array_append_new(list, counters ? json_incref(counters) : json_object());
	}
	return list;
}

static json_t *operations_of(const json_t *policies)
{
	json_t *operations = json_object(), *columns, *unused;
	const json_t *policy;
	const char *name;
	size_t i;

	json_array_foreach(policies, i, policy) {
		json_object_foreach(json_object_get(policy, "operations"), name, unused) {
			if (json_object_get(operations, name))
				continue;
			columns = columns_of(of_policies(policies, "operations", name), false);
			if (json_object_size(columns))
				json_object_set(operations, name, columns);
			json_decref(columns);
		}
	}
	return operations;
}

/* Windows or processes: their facts, and what they counted. */
static json_t *parts_of(const json_t *parts, const char *const *facts, const struct room *room)
{
	json_t *list = json_array(), *shown;
	const json_t *part;
	size_t i;

	json_array_foreach(parts, i, part) {
		if (i == room->most)
			break;
		shown = json_object();
		for (const char *const *fact = facts; *fact; fact++)
			if (json_object_get(part, *fact))
				json_object_set(shown, *fact, json_object_get(part, *fact));
		json_object_set_new(shown, "counts",
				    columns_of(of_policies(json_object_get(part, "policies"), "totals", NULL),
					       room->matters));
		json_array_append_new(list, shown);
	}
	return list;
}

/* ---- series ---- */

/* Sums of so many neighbours; of what is there at a moment the last. */
static json_t *coarser(const json_t *series, size_t factor, bool level)
{
	json_t *list = json_array();
	size_t nr = json_array_size(series);

	for (size_t i = 0; i < nr; i += factor) {
		json_int_t sum = 0;

		for (size_t k = i; k < nr && k < i + factor; k++)
			sum = (level ? 0 : sum) + json_integer_value(json_array_get(series, k));
		json_array_append_new(list, json_integer(sum));
	}
	return list;
}

static bool all_zero(const json_t *series)
{
	const json_t *value;
	size_t i;

	json_array_foreach(series, i, value)
		if (json_integer_value(value))
			return false;
	return true;
}

static json_t *series_of(const json_t *policies, size_t factor)
{
	json_t *counters = json_object(), *list;
	const json_t *policy;
	json_t *series;
	const char *name;
	bool any;
	size_t i;

	json_object_foreach(json_object_get(json_array_get(policies, 0), "series"), name, series) {
		any = false;
		list = json_array();
		json_array_foreach(policies, i, policy) {
			const json_t *one = json_object_get(json_object_get(policy, "series"), name);

			any |= !all_zero(one);
			json_array_append_new(list, coarser(one, factor, !strcmp(name, "live_blocks")));
		}
		if (any)
			json_object_set(counters, name, list);
		json_decref(list);
	}
	return counters;
}

static size_t length_of(const json_t *policies)
{
	return json_array_size(json_object_get(json_object_get(json_array_get(policies, 0), "series"), "tlbi"));
}

static json_t *intervals_of(const json_t *report, const struct room *room)
{
	json_t *list = json_array(), *policies;
	const json_t *intervals;
	size_t i;

	json_array_foreach(json_object_get(report, "intervals"), i, intervals) {
		size_t factor = 1;

		policies = json_object_get(intervals, "policies");
		while (length_of(policies) / factor > room->most)
			factor *= 2;
		json_array_append_new(list, json_pack("{s:O*, s:I, s:i, s:o}", "trace",
						      json_object_get(intervals, "trace"), "interval_ns",
						      rf_json_number(intervals, "interval_ns") * (json_int_t)factor,
						      "merged", (int)factor, "series", series_of(policies, factor)));
	}
	return list;
}

/* ---- whose counts they are ---- */

static json_t *shown_counters(const json_t *totals)
{
	json_t *shown = json_object(), *value;
	const struct rf_matter *matter;
	const char *name;

	json_object_foreach((json_t *)totals, name, value)
		if (json_integer_value(value) && rf_matters(name))
			json_object_set(shown, name, value);
	for (size_t i = 0; (matter = rf_matter_at(i)); i++)
		if (rf_matter_value(totals, matter))
			json_object_set_new(shown, matter->key, json_integer(rf_matter_value(totals, matter)));
	return shown;
}

/* Rows have keys beside what was counted: strings, and the frames of a stack. */
static json_t *shown_row(const json_t *row)
{
	json_t *shown = json_copy((json_t *)row);

	json_object_set_new(shown, "totals", shown_counters(json_object_get(row, "totals")));
	return shown;
}

static json_t *shown_rows(const json_t *policy, const struct room *room)
{
	json_t *rows = json_array(), *left = json_array();
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(policy, "rows"), i, row)
		json_array_append_new(i < room->most ? rows : left, shown_row(row));
	row = json_object_get(policy, "rest");
	row = row ? shown_row(row) : json_object();
	rows = json_pack("{s:O*, s:o, s:o, s:I}", "name", json_object_get(policy, "name"), "rows", rows, "rest", row,
			 "left_out", (json_int_t)json_array_size(left));
	json_decref(left);
	return rows;
}

static json_t *attribution_of(const json_t *report, const struct room *room)
{
	json_t *list = json_array(), *policies;
	const json_t *attribution, *policy;
	size_t i, k;

	json_array_foreach(json_object_get(report, "attribution"), i, attribution) {
		policies = json_array();
		json_array_foreach(json_object_get(attribution, "policies"), k, policy)
			json_array_append_new(policies, shown_rows(policy, room));
		json_array_append_new(list, json_pack("{s:O*, s:O*, s:o}", "trace",
						      json_object_get(attribution, "trace"), "by",
						      json_object_get(attribution, "by"), "policies", policies));
	}
	return list;
}

/* ---- the whole ---- */

static json_t *policies_of(const json_t *report)
{
	static const char *const facts[] = { "name", "base", "arch", "geometry", "assumptions", "batches", "anomalies",
					     "allocation", "backend" };
	json_t *list = json_array(), *shown;
	const json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(report, "policies"), i, policy) {
		shown = json_object();
		for (size_t k = 0; k < ARRAY_SIZE(facts); k++)
			if (json_object_get(policy, facts[k]))
				json_object_set(shown, facts[k], json_object_get(policy, facts[k]));
		json_array_append_new(list, shown);
	}
	return list;
}

/* Each trace without what it cost, which is in the totals. */
static json_t *traces_of(const json_t *report)
{
	json_t *list = json_array(), *shown;
	const json_t *trace;
	size_t i;

	json_array_foreach(json_object_get(report, "traces"), i, trace) {
		shown = json_copy((json_t *)trace);
		json_object_del(shown, "policies");
		json_object_del(shown, "records_by_kind");
		json_array_append_new(list, shown);
	}
	return list;
}

static void set_left_out(json_t *page, const json_t *report, const struct room *room)
{
	static const char *const lists[] = { "windows", "processes" };
	json_t *left = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		size_t nr = json_array_size(json_object_get(report, lists[i]));

		if (nr > room->most)
			rf_json_set_count(left, lists[i], nr - room->most);
	}
	json_object_set_new(left, "counters", json_boolean(room->matters));
	json_object_set_new(page, "left_out", left);
}

static json_t *page_of(const json_t *report, const char *name, const struct room *room)
{
	static const char *const of_windows[] = { "trace", "label", "occurrence", "begin_ns", "end_ns", NULL };
	static const char *const of_processes[] = { "trace", "pid", "command", "begin_ns", "marked", NULL };
	static const char *const as_they_are[] = { "complete", "tool", "trace", "fidelity", "trust", "warnings",
						   "exposure" };
	const json_t *policies = json_object_get(report, "policies");
	struct rf_view view = { 0 };
	json_t *page = json_object();
	char trust[100];

	rf_answer_trust(report, trust, sizeof(trust));
	rf_json_set_string(page, "name", name);
	rf_json_set_string(page, "trust_text", trust);
	for (size_t i = 0; i < ARRAY_SIZE(as_they_are); i++)
		if (json_object_get(report, as_they_are[i]))
			json_object_set_new(page, as_they_are[i], copied(report, as_they_are[i]));
	json_object_set_new(page, "answers", rf_answer_sentences(report, &view));
	json_object_set_new(page, "traces", traces_of(report));
	json_object_set_new(page, "policies", policies_of(report));
	json_object_set_new(page, "totals", columns_of(of_policies(policies, "totals", NULL), false));
	json_object_set_new(page, "operations", operations_of(policies));
	json_object_set_new(page, "windows", parts_of(json_object_get(report, "windows"), of_windows, room));
	json_object_set_new(page, "processes", parts_of(json_object_get(report, "processes"), of_processes, room));
	json_object_set_new(page, "intervals", intervals_of(report, room));
	json_object_set_new(page, "attribution", attribution_of(report, room));
	set_left_out(page, report, room);
	return page;
}

static json_t *pages_of(json_t *const *reports, const char *const *names, size_t nr, const struct room *room)
{
	json_t *page = rf_page_begin("reports"), *list = json_array();

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(list, page_of(reports[i], names[i], room));
	json_object_set_new(page, "reports", list);
	return page;
}

json_t *rf_page_of_reports(json_t *const *reports, const char *const *names, size_t nr)
{
	size_t most = RF_PAGE_MAX - rf_page_template.before_size - rf_page_template.behind_size;
	struct room room = { false, 1 << 16 };
	json_t *page = pages_of(reports, names, nr, &room);

	while (rf_page_size(page) > most && room.most > 4) {
		if (room.matters)
			room.most /= 2;
		room.matters = true;
		/* From here on it is a matter of thousands. */
		if (room.most > 1 << 13)
			room.most = 1 << 13;
		json_decref(page);
		page = pages_of(reports, names, nr, &room);
	}
	return page;
}
