// SPDX-License-Identifier: MIT
/* A summary for people: the answer, what it rests on, tables; or every number, one a row, for programs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/fleet/summary.h"
#include "replay/report/grid.h"

#define SENTENCES 3
#define SHOWN 10	/* outliers, warnings, failures */

static char rate_key[32];

static const char *key_of(enum rf_rate rate)
{
	snprintf(rate_key, sizeof(rate_key), "per_%s", rf_rate_names[rate]);
	return rate_key;
}

static double real(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Three digits and more, as many as say something. */
static const char *short_number(double value, char *text)
{
	double size = fabs(value);

	if (isnan(value))
		return "-";
	if (size >= 1000)
		return rf_digits(llround(value), text);
	snprintf(text, RF_DIGITS_MAX, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 1 ? "%.2f" :
		 size > 0 ? "%.3g" : "0", value);
	return text;
}

static const char *signed_number(double value, char *text)
{
	char digits[RF_DIGITS_MAX];

	snprintf(text, RF_DIGITS_MAX + 1, "%s%s", value > 0 ? "+" : "", short_number(value, digits));
	return text;
}

/* The name, with what tells it from another policy of this name. */
static const char *column_name(const json_t *policies, size_t index, char *text, size_t size)
{
	const json_t *policy = json_array_get(policies, index), *other;
	const char *name = rf_json_string(policy, "name");
	bool twice = false;
	size_t i;

	json_array_foreach(policies, i, other)
		twice |= i != index && !strcmp(rf_json_string(other, "name"), name);
	snprintf(text, size, twice ? "%s (%.8s)" : "%s", name, rf_json_string(policy, "definition"));
	return text;
}

/* ---- the answer ------------------------------------------------------------------ */

static void add_change(struct rf_line *line, const struct rf_matter *matter, const json_t *change, enum rf_rate rate,
		       bool first)
{
	char at[RF_DIGITS_MAX + 1], low[RF_DIGITS_MAX + 1], high[RF_DIGITS_MAX + 1];
	bool percent = json_is_number(json_object_get(change, "percent"));

	rf_line_add(line, "%s%s %s%s", first ? "" : ", ", matter->word,
		    signed_number(real(change, percent ? "percent" : "difference"), at), percent ? " %" : "");
	if (!percent)
		rf_line_add(line, " a %s", rf_rate_names[rate]);
	rf_line_add(line, " (%s to %s%s)", signed_number(real(change, percent ? "percent_low" : "difference_low"), low),
		    signed_number(real(change, percent ? "percent_high" : "difference_high"), high),
		    json_is_true(json_object_get(change, "sure")) ? "" : ", not sure");
}

json_t *rf_summary_answers(const json_t *group, enum rf_rate rate)
{
	const json_t *policies = json_object_get(group, "policies"), *policy, *against, *change;
	json_t *answers = json_array();
	char text[RF_ANSWER_MAX * 2], name[300];
	const struct rf_matter *matter;
	size_t i, m;

	json_array_foreach(policies, i, policy) {
		struct rf_line line;
		bool first = true;

		against = json_object_get(policy, "against");
		if (!against)
			continue;
		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%s against %s on %lld traces: ", column_name(policies, i, name, sizeof(name)),
			    rf_json_string(against, "baseline"), (long long)rf_json_number(against, "traces"));
		for (m = 0; (matter = rf_matter_at(m)); m++) {
			change = json_object_get(json_object_get(against, key_of(rate)), matter->key);
			if (!change || rf_json_number(change, "alike") == rf_json_number(against, "traces"))
				continue;
			add_change(&line, matter, change, rate, first);
			first = false;
		}
		if (first)
			rf_line_add(&line, "alike in what matters");
		json_array_append_new(answers, json_string(text));
	}
	return answers;
}

static void write_answers(const json_t *group, enum rf_rate rate, const struct rf_view *view, FILE *out)
{
	json_t *answers = rf_summary_answers(group, rate), *answer;
	size_t i;

	json_array_foreach(answers, i, answer)
		rf_answer_print(json_string_value(answer), view, out);
	json_decref(answers);
}

/* Of more policies than sentences are read of: the changes alone. */
static void write_changes(const json_t *group, enum rf_rate rate, const struct rf_view *view, FILE *out)
{
	const json_t *policies = json_object_get(group, "policies"), *policy, *change;
	const struct rf_matter *matter;
	char name[300], text[RF_DIGITS_MAX + 1];
	struct rf_grid grid;
	size_t i, m;

	rf_grid_begin(&grid, 1, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "against %s, %%", column_name(policies, 0, name, sizeof(name)));
	for (m = 0; (matter = rf_matter_at(m)); m++)
		rf_grid_text(&grid, "%s", matter->word);
	json_array_foreach(policies, i, policy) {
		if (!json_object_get(policy, "against"))
			continue;
		rf_grid_row(&grid);
		rf_grid_text(&grid, "%s", column_name(policies, i, name, sizeof(name)));
		for (m = 0; (matter = rf_matter_at(m)); m++) {
			change = json_object_get(json_object_get(json_object_get(policy, "against"), key_of(rate)),
						 matter->key);
			rf_grid_text(&grid, "%s%s", signed_number(real(change, "percent"), text),
				     json_is_true(json_object_get(change, "sure")) ||
				     !json_number_value(json_object_get(change, "difference")) ? "" : " ?");
		}
	}
	rf_grid_end(&grid, view, out);
	fputs("?: not sure; -: of nothing\n\n", out);
}

/* "6.12.1 (300), 6.18.0 (200)" */
static void add_counts(struct rf_line *line, const json_t *counts)
{
	const char *key;
	json_t *value;
	size_t nr = 0;

	json_object_foreach((json_t *)counts, key, value)
		rf_line_add(line, "%s%.80s (%lld)", nr++ ? ", " : "", key, (long long)json_integer_value(value));
}

static void write_traces(const json_t *summary, FILE *out)
{
	const json_t *kernels = json_object_get(summary, "kernels");
	struct rf_paragraph paragraph;
	char text[1000];
	struct rf_line line;

	rf_line_begin(&line, text, sizeof(text));
	rf_line_add(&line, "%lld; kernels: ", (long long)rf_json_number(summary, "traces"));
	add_counts(&line, kernels);
	if (json_object_size(kernels) > 1)
		rf_line_add(&line, ", which --by kernel tells apart");
	rf_line_add(&line, "; trust: ");
	add_counts(&line, json_object_get(summary, "trust"));
	if (rf_json_number(summary, "incomplete"))
		rf_line_add(&line, "; damaged or cut: %lld", (long long)rf_json_number(summary, "incomplete"));
	if (rf_json_number(summary, "lost_events"))
		rf_line_add(&line, "; events lost: %lld, of %lld traces",
			    (long long)rf_json_number(summary, "lost_events"),
			    (long long)rf_json_number(summary, "lossy"));
	if (json_array_size(json_object_get(summary, "failures")))
		rf_line_add(&line, "; not replayed: %zu", json_array_size(json_object_get(summary, "failures")));
	rf_paragraph_begin(&paragraph, out, "traces", 11);
	rf_paragraph_words(&paragraph, text);
	rf_paragraph_end(&paragraph);
}

/* ---- tables ------------------------------------------------------------------------ */

static void cell(struct rf_grid *grid, double value)
{
	char text[RF_DIGITS_MAX];

	rf_grid_text(grid, "%s", short_number(value, text));
}

static void spread_cells(struct rf_grid *grid, const json_t *spread)
{
	char low[RF_DIGITS_MAX], high[RF_DIGITS_MAX];

	cell(grid, real(spread, "mean"));
	rf_grid_text(grid, "%s to %s", short_number(real(spread, "mean_low"), low),
		     short_number(real(spread, "mean_high"), high));
	cell(grid, real(spread, "median"));
	cell(grid, real(spread, "p95"));
	cell(grid, real(spread, "sd"));
}

/* In how many traces the policy has fewer, and more, than the baseline. */
static void sign_cells(struct rf_grid *grid, const json_t *policy, const char *rate, const char *counter)
{
	const json_t *change = json_object_get(json_object_get(json_object_get(policy, "against"), rate), counter);

	if (!change) {
		rf_grid_text(grid, "%s", "");
		rf_grid_text(grid, "%s", "");
		return;
	}
	rf_grid_number(grid, rf_json_number(change, "fewer"));
	rf_grid_number(grid, rf_json_number(change, "more"));
}

static const char *word_of(const char *counter)
{
	const struct rf_matter *matter;

	for (size_t i = 0; (matter = rf_matter_at(i)); i++)
		if (!strcmp(matter->key, counter))
			return matter->word;
	return counter;
}

static bool is_nothing(const json_t *policies, const char *rate, const char *counter)
{
	const json_t *policy;
	size_t i;

	json_array_foreach(policies, i, policy) {
		const json_t *spread = json_object_get(json_object_get(json_object_get(policy, rate), counter), "p95");

		if (json_number_value(spread) > 0)
			return false;
	}
	return true;
}

/* Rows for each counter and policy. */
static void write_spreads(const json_t *group, enum rf_rate rate, const struct rf_view *view, FILE *out)
{
	const json_t *policies = json_object_get(group, "policies"), *policy;
	bool signs = json_array_size(policies) > 1;
	const char *const heads[] = { "mean", "95 % of it", "median", "p95", "sd" }, *counter;
	struct rf_grid grid;
	char name[300];
	json_t *unused;
	size_t i;

	rf_grid_begin(&grid, 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "a %s", rf_rate_names[rate]);
	rf_grid_text(&grid, "policy");
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		rf_grid_text(&grid, "%s", heads[i]);
	if (signs) {
		rf_grid_text(&grid, "fewer in");
		rf_grid_text(&grid, "more in");
	}
	json_object_foreach(json_object_get(json_array_get(policies, 0), key_of(rate)), counter, unused) {
		if (is_nothing(policies, key_of(rate), counter))
			continue;
		json_array_foreach(policies, i, policy) {
			rf_grid_row(&grid);
			rf_grid_text(&grid, "%s", i ? "" : word_of(counter));
			rf_grid_text(&grid, "%s", column_name(policies, i, name, sizeof(name)));
			spread_cells(&grid, json_object_get(json_object_get(policy, key_of(rate)), counter));
			if (signs)
				sign_cells(&grid, policy, key_of(rate), counter);
		}
	}
	rf_grid_end(&grid, view, out);
}

static void write_groups(const json_t *summary, const struct rf_summary_options *options, const struct rf_view *view,
			 FILE *out)
{
	const json_t *groups = json_object_get(summary, "groups"), *group, *policy;
	struct rf_grid grid;
	char name[300], text[RF_DIGITS_MAX + 1];
	size_t i, p;

	rf_grid_begin(&grid, 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "%s", rf_json_string(summary, "by"));
	rf_grid_text(&grid, "%s a %s", word_of(options->counter), rf_rate_names[options->per]);
	rf_grid_text(&grid, "traces");
	rf_grid_text(&grid, "mean");
	rf_grid_text(&grid, "95 %% of it");
	rf_grid_text(&grid, "median");
	rf_grid_text(&grid, "p95");
	rf_grid_text(&grid, "sd");
	rf_grid_text(&grid, "change, %%");
	json_array_foreach(groups, i, group) {
		const json_t *policies = json_object_get(group, "policies"), *value = json_object_get(group, "value");

		json_array_foreach(policies, p, policy) {
			const char *key = key_of(options->per);
			const json_t *spread = json_object_get(json_object_get(policy, key), options->counter);
			const json_t *change = json_object_get(json_object_get(json_object_get(policy, "against"),
									       key), options->counter);

			rf_grid_row(&grid);
			rf_grid_text(&grid, "%s", p ? "" : json_is_string(value) ? json_string_value(value) :
				     "(none)");
			rf_grid_text(&grid, "%s", column_name(policies, p, name, sizeof(name)));
			rf_grid_number(&grid, rf_json_number(spread, "traces"));
			spread_cells(&grid, spread);
			rf_grid_text(&grid, "%s", change ? signed_number(real(change, "percent"), text) : "");
		}
	}
	rf_grid_end(&grid, view, out);
}

/* "host=web-1 role=db" */
static void labels_text(const json_t *labels, char *text, size_t size)
{
	struct rf_line line;
	const char *key;
	json_t *value;

	rf_line_begin(&line, text, size);
	json_object_foreach((json_t *)labels, key, value)
		rf_line_add(&line, "%s%s=%s", line.used ? " " : "", key, json_string_value(value));
}

static void write_worst(const json_t *group, const struct rf_summary_options *options, const struct rf_view *view,
			FILE *out)
{
	const json_t *policies = json_object_get(group, "policies"), *one;
	size_t nr = json_array_size(policies), i;
	struct rf_grid grid;
	char text[200], name[300];

	rf_grid_begin(&grid, 1, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "worst, %s a %s", word_of(options->counter), rf_rate_names[options->per]);
	if (nr > 1)
		rf_grid_text(&grid, "%s", column_name(policies, 0, name, sizeof(name)));
	rf_grid_text(&grid, "%s", column_name(policies, nr - 1, name, sizeof(name)));
	rf_grid_text(&grid, "trust");
	rf_grid_text(&grid, "kernel");
	rf_grid_text(&grid, "labels");
	json_array_foreach(json_object_get(group, "worst"), i, one) {
		rf_grid_row(&grid);
		rf_grid_text(&grid, "%s", rf_json_string(one, "name"));
		if (nr > 1)
			cell(&grid, real(one, "baseline"));
		cell(&grid, real(one, "value"));
		rf_grid_text(&grid, "%s", rf_json_string(one, "trust"));
		rf_grid_text(&grid, "%s", rf_json_string(one, "kernel"));
		labels_text(json_object_get(one, "labels"), text, sizeof(text));
		rf_grid_text(&grid, "%s", text);
	}
	rf_grid_end(&grid, view, out);
}

static void write_outliers(const json_t *group, const struct rf_view *view, FILE *out)
{
	const json_t *outliers = json_object_get(group, "outliers"), *one;
	struct rf_grid grid;
	size_t i;

	if (!json_array_size(outliers))
		return;
	rf_grid_begin(&grid, 1, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "outlier");
	rf_grid_text(&grid, "counter");
	rf_grid_text(&grid, "policy");
	rf_grid_text(&grid, "has");
	rf_grid_text(&grid, "median");
	json_array_foreach(outliers, i, one) {
		if (i == SHOWN && !view->all)
			break;
		rf_grid_row(&grid);
		rf_grid_text(&grid, "%s", rf_json_string(one, "name"));
		rf_grid_text(&grid, "%s", word_of(rf_json_string(one, "counter")));
		rf_grid_text(&grid, "%s", rf_json_string(one, "policy"));
		cell(&grid, real(one, "value"));
		cell(&grid, real(one, "median"));
	}
	fputc('\n', out);
	rf_grid_end(&grid, view, out);
	if (i < json_array_size(outliers))
		fprintf(out, "%zu more: --all\n", json_array_size(outliers) - i);
}

/* ---- sentences ------------------------------------------------------------------------ */

static void write_sentences(const json_t *summary, const struct rf_view *view, FILE *out)
{
	static const char *const arrays[] = { "failures", "notes", "warnings" };
	static const char *const labels[] = { "failed", "note", "warning" };
	struct rf_paragraph paragraph;
	const json_t *one;
	char text[600];
	size_t a, i;

	for (a = 0; a < ARRAY_SIZE(arrays); a++) {
		const json_t *array = json_object_get(summary, arrays[a]);

		json_array_foreach(array, i, one) {
			if (i == SHOWN && !view->all)
				break;
			if (json_is_string(one))
				snprintf(text, sizeof(text), "%s", json_string_value(one));
			else if (a)
				snprintf(text, sizeof(text), "%lld traces: %s",
					 (long long)rf_json_number(one, "traces"), rf_json_string(one, "text"));
			else
				snprintf(text, sizeof(text), "%s: %s", rf_json_string(one, "name"),
					 rf_json_string(one, "error"));
			rf_paragraph_begin(&paragraph, out, labels[a], 11);
			rf_paragraph_words(&paragraph, text);
			rf_paragraph_end(&paragraph);
		}
		if (i < json_array_size(array))
			fprintf(out, "%zu more: --all\n", json_array_size(array) - i);
	}
}

/* ---- for programs ----------------------------------------------------------------------- */

static void write_rows(const json_t *summary, const struct rf_view *view, FILE *out)
{
	static const char *const heads[] = { "policy", "per", "counter", "traces", "mean", "mean_low", "mean_high",
					     "median", "p95", "sd" };
	const json_t *policies = json_object_get(json_object_get(summary, "all"), "policies"), *policy;
	struct rf_grid grid;
	json_t *spread;
	const char *counter;
	size_t i, h;

	rf_grid_begin(&grid, 3, false);
	rf_grid_row(&grid);
	for (h = 0; h < ARRAY_SIZE(heads); h++)
		rf_grid_text(&grid, "%s", heads[h]);
	json_array_foreach(policies, i, policy) {
		for (size_t rate = 0; rate < RF_NR_RATES; rate++) {
			json_object_foreach(json_object_get(policy, key_of(rate)), counter, spread) {
				rf_grid_row(&grid);
				rf_grid_text(&grid, "%s", rf_json_string(policy, "name"));
				rf_grid_text(&grid, "%s", rf_rate_names[rate]);
				rf_grid_text(&grid, "%s", counter);
				rf_grid_number(&grid, rf_json_number(spread, "traces"));
				for (h = 4; h < ARRAY_SIZE(heads); h++)
					rf_grid_text(&grid, "%.9g", real(spread, heads[h]));
			}
		}
	}
	rf_grid_end(&grid, view, out);
}

void rf_summary_write(const json_t *summary, const struct rf_summary_options *options, const struct rf_view *view,
		      FILE *out)
{
	const json_t *all = json_object_get(summary, "all");

	if (rf_view_is_raw(view)) {
		write_rows(summary, view, out);
		return;
	}
	if (json_array_size(json_object_get(all, "policies")) > SENTENCES + 1)
		write_changes(all, options->per, view, out);
	else if (all)
		write_answers(all, options->per, view, out);
	write_traces(summary, out);
	if (all) {
		fputc('\n', out);
		write_spreads(all, options->per, view, out);
		fputc('\n', out);
		if (options->by) {
			write_groups(summary, options, view, out);
			fputc('\n', out);
		}
		write_worst(all, options, view, out);
		write_outliers(all, view, out);
	}
	fputc('\n', out);
	write_sentences(summary, view, out);
}
