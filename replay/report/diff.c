// SPDX-License-Identifier: MIT
/*
 * What differs between two replays, counter by counter. Works on the JSON of reports, so that reports of other versions
 * and machines compare as well: a counter that only one side has counts as 0 on the other.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/report/report.h"

/* ---- comparing ------------------------------------------------------------------ */

/* Parts per million of b against a; -1 where a is 0. */
static s64 ratio_ppm(s64 a, s64 b)
{
	return a ? (s64)((__int128)b * 1000000 / a) : -1;
}

static void add_change(json_t *changes, const char *section, const char *row, const char *counter, s64 a, s64 b)
{
	json_t *change = json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "section", section, "counter", counter, "a",
				   (json_int_t)a, "b", (json_int_t)b, "change", (json_int_t)(b - a), "ratio_ppm",
				   a ? json_integer(ratio_ppm(a, b)) : json_null());

	if (row)
		json_object_set_new(change, strcmp(section, "readers") ? "operation" : "reader", json_string(row));
	json_array_append_new(changes, change);
}

/* Both objects' integers, in the order of a and then what only b has. */
static void compare_counters(json_t *changes, const char *section, const char *row, json_t *a, json_t *b)
{
	const char *key;
	json_t *value;

	json_object_foreach(a, key, value)
		if (json_is_integer(value) && rf_json_number(a, key) != rf_json_number(b, key))
			add_change(changes, section, row, key, rf_json_number(a, key), rf_json_number(b, key));
	json_object_foreach(b, key, value)
		if (json_is_integer(value) && !json_object_get(a, key) && rf_json_number(b, key))
			add_change(changes, section, row, key, 0, rf_json_number(b, key));
}

/* section: "operations" or "readers", of objects of rows. */
static void compare_rows(json_t *changes, const char *section, const json_t *in_a, const json_t *in_b)
{
	json_t *a = json_object_get(in_a, section), *b = json_object_get(in_b, section), *counters;
	const char *row;

	json_object_foreach(a, row, counters)
		compare_counters(changes, section, row, counters, json_object_get(b, row));
	json_object_foreach(b, row, counters)
		if (!json_object_get(a, row))
			compare_counters(changes, section, row, NULL, counters);
}

/* loaded: a backend of either was loaded. Which knobs mean nothing on it, its report says; they are no difference. */
static void compare_knobs(json_t *changes, json_t *a, json_t *b, bool loaded)
{
	const char *knob;
	json_t *value;

	json_object_foreach(a, knob, value) {
		json_t *other = json_object_get(b, knob);

		if (other ? !json_equal(value, other) : !loaded)
			json_object_set_new(changes, knob, json_pack("{s:O, s:o}", "a", value, "b",
								     other ? json_incref(other) : json_null()));
	}
	json_object_foreach(b, knob, value)
		if (!json_object_get(a, knob) && !loaded)
			json_object_set_new(changes, knob, json_pack("{s:n, s:O}", "a", "b", value));
}

json_t *rf_diff_policies(const json_t *a, const json_t *b)
{
	json_t *diff = json_object(), *knobs = json_object(), *changes = json_array();

	compare_knobs(knobs, json_object_get(a, "knobs"), json_object_get(b, "knobs"),
		      json_object_get(a, "backend") || json_object_get(b, "backend"));
	compare_counters(changes, "totals", NULL, json_object_get(a, "totals"), json_object_get(b, "totals"));
	compare_counters(changes, "anomalies", NULL, json_object_get(a, "anomalies"), json_object_get(b, "anomalies"));
	compare_rows(changes, "operations", a, b);
	compare_rows(changes, "readers", a, b);
	json_object_set_new(diff, "a", json_pack("{s:s}", "policy", rf_json_string(a, "name")));
	json_object_set_new(diff, "b", json_pack("{s:s}", "policy", rf_json_string(b, "name")));
	json_object_set_new(diff, "knobs", knobs);
	json_object_set_new(diff, "changes", changes);
	return diff;
}

json_t *rf_diff_worlds(const json_t *a, const json_t *b)
{
	json_t *changes = json_array();

	compare_counters(changes, "trace", NULL, json_object_get(a, "trace"), json_object_get(b, "trace"));
	compare_counters(changes, "fidelity", NULL, json_object_get(a, "fidelity"), json_object_get(b, "fidelity"));
	return changes;
}

/* ---- windows ---------------------------------------------------------------------- */

static bool same_window(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "label"), json_object_get(b, "label")) &&
	       json_equal(json_object_get(a, "occurrence"), json_object_get(b, "occurrence"));
}

/* The nth window like this one; several traces may have one each. */
static json_t *find_window(const json_t *windows, const json_t *like, size_t nth)
{
	json_t *window;
	size_t i;

	json_array_foreach(windows, i, window)
		if (same_window(window, like) && !nth--)
			return window;
	return NULL;
}

/* How many windows like the one at index come before it. */
static size_t windows_before(const json_t *windows, size_t index)
{
	const json_t *like = json_array_get(windows, index);
	size_t nr = 0, i;

	for (i = 0; i < index; i++)
		nr += same_window(json_array_get(windows, i), like);
	return nr;
}

static json_t *window_policy(const json_t *window, const char *name)
{
	json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(window, "policies"), i, policy)
		if (!strcmp(rf_json_string(policy, "name"), name))
			return policy;
	return NULL;
}

/* only_in: "a", "b" or NULL. */
static void add_window(json_t *list, const json_t *window, const char *only_in, json_t *changes)
{
	json_t *entry = json_object();

	json_object_set(entry, "label", json_object_get(window, "label"));
	json_object_set(entry, "occurrence", json_object_get(window, "occurrence"));
	if (only_in)
		json_object_set_new(entry, "only_in", json_string(only_in));
	json_object_set_new(entry, "changes", changes);
	json_array_append_new(list, entry);
}

json_t *rf_diff_windows(const json_t *a, const char *policy_a, const json_t *b, const char *policy_b)
{
	const json_t *in_a = json_object_get(a, "windows"), *in_b = json_object_get(b, "windows"), *window;
	json_t *list = json_array();
	size_t i;

	json_array_foreach(in_a, i, window) {
		json_t *other = find_window(in_b, window, windows_before(in_a, i)), *changes = json_array();
		json_t *of_a = window_policy(window, policy_a), *of_b = window_policy(other, policy_b);

		if (other) {
			compare_counters(changes, "totals", NULL, json_object_get(of_a, "totals"),
					 json_object_get(of_b, "totals"));
			compare_rows(changes, "operations", of_a, of_b);
			compare_rows(changes, "readers", of_a, of_b);
		}
		if (!other || json_array_size(changes))
			add_window(list, window, other ? NULL : "a", changes);
		else
			json_decref(changes);
	}
	json_array_foreach(in_b, i, window)
		if (!find_window(in_a, window, windows_before(in_b, i)))
			add_window(list, window, "b", json_array());
	return list;
}
