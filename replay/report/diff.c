// SPDX-License-Identifier: MIT
/*
 * What differs between two replays, counter by counter. Works on the JSON of reports, so that reports of other versions
 * and machines compare as well: a counter that only one side has counts as 0 on the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/counters.h"
#include "base/json.h"
#include "replay/report/exposure.h"
#include "replay/report/price.h"
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

/* If a backend of either was loaded: which knobs mean nothing on it, its report says; they are no difference. */
json_t *rf_diff_knobs(const json_t *of_a, const json_t *of_b)
{
	bool loaded = json_object_get(of_a, "backend") || json_object_get(of_b, "backend");
	json_t *a = json_object_get(of_a, "knobs"), *b = json_object_get(of_b, "knobs"), *changes = json_object();
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
	return changes;
}

json_t *rf_diff_policies(const json_t *a, const json_t *b)
{
	json_t *diff = json_object(), *knobs = rf_diff_knobs(a, b), *changes = json_array();

	rf_exposure_add(knobs, a, b);
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

/* ---- prices: their counters ---- */

/* Words for counters that are not what the report calls them. */
static const struct { const char *word, *key; } words[] = {
	{ "flush", "flush_calls" }, { "wait", "waits" }, { "load", "pte_loads" }, { "store", "pte_stores" },
	{ "atomic", "pte_atomics" }, { "fault", "faults" },
};

static bool find_counter(const char *name, struct rf_matter *matter)
{
	const struct rf_matter *known;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].word, name))
			name = words[i].key;
	for (i = 0; (known = rf_matter_at(i)); i++) {
		if (strcmp(known->key, name))
			continue;
		*matter = *known;
		return true;
	}
	for (i = 0; i < ARCH_NR_COUNTERS; i++) {
		if (strcmp(arch_counter_names[i], name))
			continue;
		*matter = (struct rf_matter){ arch_counter_names[i], arch_counter_names[i], 1, false };
		return true;
	}
	return false;
}

/* Flushes are made of invalidations and barriers, these of their kinds; reads of an entry of loads. */
static int family_of(const char *key)
{
	static const char *const families[] = { "flush_calls tlbi dsb waits ipis isb", "pte_loads ptep_get pte_lines",
						"pte_stores pte_lines", "pte_atomics pte_lines" };
	size_t i, length;
	const char *at;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		length = strlen(key);
		at = strstr(families[i], key);
		if (at && (at == families[i] || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return i + 1;
		if (!i && (!strncmp(key, "tlbi_", 5) || !strncmp(key, "dsb_", 4)))
			return 1;
		if (i == 1 && !strncmp(key, "ptep_get", 8))
			return 2;
	}
	return 0;
}

static bool overlap(const char *a, const char *b)
{
	return !strcmp(a, b) || (family_of(a) && family_of(a) == family_of(b)) ||
	       (!strcmp(a, "pte_lines") && family_of(b) > 1) || (!strcmp(b, "pte_lines") && family_of(a) > 1);
}

/* ---- prices: as text ---- */

/* "0.31us" in ns; *end: what follows. */
static bool parse_time(const char *text, const char **end, double *ns)
{
	static const struct { const char *unit; double ns; } units[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
	};
	char *rest;
	size_t i;

	*ns = strtod(text, &rest);
	for (i = 0; rest != text && i < ARRAY_SIZE(units); i++) {
		if (strncmp(rest, units[i].unit, strlen(units[i].unit)))
			continue;
		*ns *= units[i].ns;
		*end = rest + strlen(units[i].unit);
		return *ns >= 0 && *ns <= 1e12;
	}
	return false;
}

static int parse_price(struct rf_prices *prices, char *text, struct rf_error *err)
{
	char *equals = strchr(text, '=');
	struct rf_price price;
	const char *rest;
	size_t i;

	if (equals)
		*equals = '\0';
	if (!equals || !find_counter(text, &price.matter))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%.60s' is no counter of refold-report(5) with a price",
				    text);
	if (!parse_time(equals + 1, &rest, &price.low) || strncmp(rest, "..", 2) ||
	    !parse_time(rest + 2, &rest, &price.high) || *rest || price.low > price.high)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "the price of %s is a range, as 0.31us..0.42us (ns, us, ms, s), not '%.40s'", text,
				    equals + 1);
	for (i = 0; i < prices->nr; i++)
		if (overlap(prices->prices[i].matter.key, price.matter.key))
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s and %s: one is a part of the other",
					    prices->prices[i].matter.key, price.matter.key);
	if (prices->nr == RF_MAX_PRICES)
		return rf_error_set(err, -E2BIG, RF_NO_OFFSET, "more than %d prices", RF_MAX_PRICES);
	prices->prices[prices->nr++] = price;
	return 0;
}

int rf_prices_parse(struct rf_prices *prices, const char *text, struct rf_error *err)
{
	char *copy = strdup(text), *rest = copy, *one;
	int ret = copy ? 0 : rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");

	*prices = (struct rf_prices){ 0 };
	while (!ret && (one = strsep(&rest, ",")))
		ret = parse_price(prices, one, err);
	free(copy);
	return ret;
}

/* ---- prices: on differences ---- */

static json_t *row_of(const struct rf_price *price, const char *operation, s64 change)
{
	double a = change * price->low, b = change * price->high;

	return json_pack("{s:s, s:s, s:I, s:f, s:f}", "counter", price->matter.key, "operation", operation, "change",
			 (json_int_t)change, "low_ns", a < b ? a : b, "high_ns", a < b ? b : a);
}

static s64 change_of(const struct rf_price *price, const json_t *a, const json_t *b)
{
	return rf_matter_value(b, &price->matter) - rf_matter_value(a, &price->matter);
}

/* By operation, in the order of the report; of operations that only one side has, too. */
static void add_rows(json_t *rows, const struct rf_price *price, const json_t *in_a, const json_t *in_b)
{
	json_t *a = json_object_get(in_a, "operations"), *b = json_object_get(in_b, "operations"), *counters;
	const char *operation;
	s64 change;

	json_object_foreach(a, operation, counters) {
		change = change_of(price, counters, json_object_get(b, operation));
		if (change)
			json_array_append_new(rows, row_of(price, operation, change));
	}
	json_object_foreach(b, operation, counters) {
		change = json_object_get(a, operation) ? 0 : change_of(price, NULL, counters);
		if (change)
			json_array_append_new(rows, row_of(price, operation, change));
	}
}

static bool is_priced(const struct rf_prices *prices, const char *key)
{
	size_t i;

	for (i = 0; i < prices->nr; i++)
		if (overlap(prices->prices[i].matter.key, key))
			return true;
	return false;
}

/* Counters of work; how many blocks there were, and how long, is none. */
static json_t *unpriced(const struct rf_prices *prices, const json_t *a, const json_t *b)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < ARCH_NR_COUNTERS; i++) {
		const char *key = arch_counter_names[i];
		s64 change = rf_json_number(b, key) - rf_json_number(a, key);

		if (change && !is_priced(prices, key))
			json_array_append_new(list, json_pack("{s:s, s:I}", "counter", key, "change",
							      (json_int_t)change));
	}
	return list;
}

/* "flush" of flush_calls */
static const char *one_of(const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].key, key))
			return words[i].word;
	return key;
}

json_t *rf_price_difference(const struct rf_prices *prices, const json_t *a, const json_t *b, u64 recorded)
{
	const json_t *in_a = json_object_get(a, "totals"), *in_b = json_object_get(b, "totals");
	json_t *rows = json_array(), *sums = json_array(), *even = json_array(), *sum;
	double low = 0, high = 0;
	size_t i;

	for (i = 0; i < prices->nr; i++) {
		s64 change = change_of(&prices->prices[i], in_a, in_b);

		add_rows(rows, &prices->prices[i], a, b);
		sum = row_of(&prices->prices[i], "total", change);
		low += json_real_value(json_object_get(sum, "low_ns"));
		high += json_real_value(json_object_get(sum, "high_ns"));
		json_array_append_new(sums, sum);
		if (change && recorded)
			json_array_append_new(even, json_pack("{s:s, s:s, s:b, s:f}", "counter",
							      prices->prices[i].matter.key, "one",
							      one_of(prices->prices[i].matter.key), "saves", change < 0,
							      "price_ns", recorded / 100. / llabs(change)));
	}
	return json_pack("{s:o, s:o, s:f, s:f, s:o, s:o, s:I}", "rows", rows, "totals", sums, "low_ns", low, "high_ns",
			 high, "unpriced", unpriced(prices, in_a, in_b), "break_even", even, "recorded_ns",
			 (json_int_t)recorded);
}
