// SPDX-License-Identifier: MIT
/*
 * The numbers of a group of traces. All values are one matrix, a row for each trace, so that one bootstrap serves every
 * counter of every policy, and a difference between two policies is of the same draws.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/fleet/numbers.h"
#include "replay/fleet/statistics.h"

static const char *const rate_keys[RF_NR_RATES] = {
#define X(name) "per_" #name,
	RF_RATES(X)
#undef X
};

/* One group: rows are traces. Columns: by policy, by rate, by counter. */
struct matrix {
	const size_t *traces;
	size_t nr, nr_columns, nr_groups;
	double *values;
	unsigned char *present;
};

static size_t column_of(const struct rf_summing *sum, size_t policy, enum rf_rate rate, size_t counter)
{
	return (policy * RF_NR_RATES + rate) * sum->nr_counters + counter;
}

/* ---- values --------------------------------------------------------------------- */

static s64 raw_value(const struct rf_fleet_cell *cell, u32 counter)
{
	return counter < cell->nr ? cell->values[counter] : -1;
}

/* As rf_matter_value(); -1: not known. */
static s64 value_of(const struct rf_summing *sum, const struct rf_fleet_cell *cell, const char *counter)
{
	s64 ish, nsh, ipis;

	if (strcmp(counter, RF_WAITS))
		return raw_value(cell, rf_fleet_counter(sum->fleet, counter));
	ish = raw_value(cell, sum->waits_of[0]);
	nsh = raw_value(cell, sum->waits_of[1]);
	ipis = raw_value(cell, sum->waits_of[2]);
	return ish < 0 || nsh < 0 || ipis < 0 ? -1 : ish + nsh / 2 + ipis;
}

static const struct rf_fleet_cell *cell_of(const struct rf_fleet_trace *trace, u32 policy)
{
	for (size_t i = 0; i < trace->nr; i++)
		if (trace->cells[i].policy == policy)
			return &trace->cells[i];
	return NULL;
}

static double divisor(const json_t *facts, enum rf_rate rate)
{
	switch (rate) {
	case RF_RATE_second:
		return rf_json_number(facts, "duration_ns") / 1e9;
	case RF_RATE_fault:
		return rf_json_number(json_object_get(facts, "records_by_kind"), "fault");
	default:
		return rf_json_number(facts, "address_spaces");
	}
}

static void fill_row(const struct rf_summing *sum, struct matrix *matrix, size_t row)
{
	size_t trace = matrix->traces[row];

	for (size_t p = 0; p < sum->nr_policies; p++) {
		const struct rf_fleet_cell *cell = cell_of(&sum->fleet->traces[trace], sum->order[p]);

		for (size_t rate = 0; cell && rate < RF_NR_RATES; rate++) {
			double by = divisor(sum->facts[trace], rate);
			double *values = matrix->values + row * matrix->nr_columns + column_of(sum, p, rate, 0);

			matrix->present[row * matrix->nr_groups + p * RF_NR_RATES + rate] = by > 0;
			for (size_t c = 0; by > 0 && c < sum->nr_counters; c++) {
				s64 value = value_of(sum, cell, sum->counters[c]);

				values[c] = value > 0 ? value / by : 0;
			}
		}
	}
}

static int matrix_make(const struct rf_summing *sum, struct matrix *matrix, const size_t *traces, size_t nr)
{
	matrix->traces = traces;
	matrix->nr = nr;
	matrix->nr_groups = sum->nr_policies * RF_NR_RATES;
	matrix->nr_columns = matrix->nr_groups * sum->nr_counters;
	matrix->values = rf_json_memory(nr * matrix->nr_columns + 1, sizeof(*matrix->values));
	matrix->present = rf_json_memory(nr * matrix->nr_groups + 1, sizeof(*matrix->present));
	if (!matrix->values || !matrix->present)
		return -ENOMEM;
	for (size_t row = 0; row < nr; row++)
		fill_row(sum, matrix, row);
	return 0;
}

static void matrix_free(struct matrix *matrix)
{
	free(matrix->values);
	free(matrix->present);
}

/* ---- spreads --------------------------------------------------------------------- */

/* What was drawn: the mean of each column, resample by resample. */
struct draws {
	struct rf_bootstrap bootstrap;
	double *scratch;
};

static int draw(const struct rf_summing *sum, const struct matrix *matrix, struct draws *draws)
{
	draws->bootstrap = (struct rf_bootstrap){
		.values = matrix->values, .present = matrix->present, .nr_rows = matrix->nr,
		.nr_columns = matrix->nr_columns, .nr_groups = matrix->nr_groups,
		.resamples = RF_SUMMARY_RESAMPLES, .seed = sum->options->seed,
		.sums = rf_json_memory(RF_SUMMARY_RESAMPLES * matrix->nr_columns, sizeof(double)),
		.drawn = rf_json_memory(RF_SUMMARY_RESAMPLES * matrix->nr_groups, sizeof(u32)),
	};
	draws->scratch = rf_json_memory(RF_SUMMARY_RESAMPLES, sizeof(double));
	if (!draws->bootstrap.sums || !draws->bootstrap.drawn || !draws->scratch)
		return -ENOMEM;
	rf_bootstrap_run(&draws->bootstrap);
	return 0;
}

static void draws_free(struct draws *draws)
{
	free(draws->bootstrap.sums);
	free(draws->bootstrap.drawn);
	free(draws->scratch);
}

static double drawn_mean(const struct rf_summing *sum, const struct draws *draws, size_t resample, size_t column)
{
	const struct rf_bootstrap *bootstrap = &draws->bootstrap;
	u32 drawn = bootstrap->drawn[resample * bootstrap->nr_groups + column / sum->nr_counters];

	return drawn ? bootstrap->sums[resample * bootstrap->nr_columns + column] / drawn : 0;
}

static void set_real(json_t *object, const char *key, double value)
{
	json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

/* The present values of a column; how many. */
static size_t column_values(const struct rf_summing *sum, const struct matrix *matrix, size_t column, double *values)
{
	size_t nr = 0;

	for (size_t row = 0; row < matrix->nr; row++)
		if (matrix->present[row * matrix->nr_groups + column / sum->nr_counters])
			values[nr++] = matrix->values[row * matrix->nr_columns + column];
	return nr;
}

static void add_outliers(const struct rf_summing *sum, const struct matrix *matrix, size_t column,
			 const struct rf_spread *spread, json_t *outliers)
{
	size_t group = column / sum->nr_counters, row;

	for (row = 0; outliers && row < matrix->nr; row++) {
		double value = matrix->values[row * matrix->nr_columns + column];
		const json_t *facts = sum->facts[matrix->traces[row]];

		if (!matrix->present[row * matrix->nr_groups + group] ||
		    (value >= spread->low && value <= spread->high))
			continue;
		json_array_append_new(outliers, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "name",
				rf_json_string(facts, "name"), "digest", rf_json_string(facts, "digest"), "policy",
				sum->fleet->policies[sum->order[group / RF_NR_RATES]].name, "counter",
				sum->counters[column % sum->nr_counters], "value", value, "median", spread->median));
	}
}

static json_t *spread_object(const struct rf_summing *sum, const struct matrix *matrix, const struct draws *draws,
			     size_t column, double *values, json_t *outliers)
{
	size_t nr = column_values(sum, matrix, column, values), r;
	struct rf_spread spread;
	json_t *object = json_object();
	double low, high;

	rf_json_set_count(object, "traces", nr);
	if (!nr)
		return object;
	rf_spread_of(values, nr, &spread);
	for (r = 0; r < RF_SUMMARY_RESAMPLES; r++)
		draws->scratch[r] = drawn_mean(sum, draws, r, column);
	rf_interval(draws->scratch, RF_SUMMARY_RESAMPLES, &low, &high);
	set_real(object, "mean", spread.mean);
	set_real(object, "mean_low", low);
	set_real(object, "mean_high", high);
	set_real(object, "median", spread.median);
	set_real(object, "p95", spread.p95);
	set_real(object, "sd", spread.sd);
	add_outliers(sum, matrix, column, &spread, outliers);
	return object;
}

/* ---- against another policy -------------------------------------------------------- */

static void count_signs(const struct matrix *matrix, size_t column, size_t base, json_t *object)
{
	u64 fewer = 0, more = 0, alike = 0;

	for (size_t row = 0; row < matrix->nr; row++) {
		double a = matrix->values[row * matrix->nr_columns + base];
		double b = matrix->values[row * matrix->nr_columns + column];

		fewer += b < a;
		more += b > a;
		alike += b == a;
	}
	rf_json_set_count(object, "fewer", fewer);
	rf_json_set_count(object, "more", more);
	rf_json_set_count(object, "alike", alike);
}

static double mean_of(const struct matrix *matrix, size_t column)
{
	double mean = 0;

	for (size_t row = 0; row < matrix->nr; row++)
		mean += matrix->values[row * matrix->nr_columns + column];
	return mean / (double)matrix->nr;
}

/* Of the traces that have all policies. */
static json_t *change_object(const struct rf_summing *sum, const struct matrix *matrix, const struct draws *draws,
			     size_t column, size_t base)
{
	double a = mean_of(matrix, base), b = mean_of(matrix, column), low, high;
	json_t *object = json_object();
	bool ratios = a > 0;
	size_t r;

	for (r = 0; r < RF_SUMMARY_RESAMPLES; r++) {
		draws->scratch[r] = drawn_mean(sum, draws, r, column) - drawn_mean(sum, draws, r, base);
		ratios &= drawn_mean(sum, draws, r, base) > 0;
	}
	rf_interval(draws->scratch, RF_SUMMARY_RESAMPLES, &low, &high);
	set_real(object, "difference", b - a);
	set_real(object, "difference_low", low);
	set_real(object, "difference_high", high);
	json_object_set_new(object, "sure", json_boolean(matrix->nr > 1 && (low > 0 || high < 0)));
	for (r = 0; ratios && r < RF_SUMMARY_RESAMPLES; r++)
		draws->scratch[r] = 100 * (drawn_mean(sum, draws, r, column) / drawn_mean(sum, draws, r, base) - 1);
	rf_interval(draws->scratch, RF_SUMMARY_RESAMPLES, &low, &high);
	set_real(object, "percent", ratios ? 100 * (b / a - 1) : NAN);
	set_real(object, "percent_low", ratios ? low : NAN);
	set_real(object, "percent_high", ratios ? high : NAN);
	count_signs(matrix, column, base, object);
	return object;
}

static json_t *changes_object(const struct rf_summing *sum, const struct matrix *matrix, const struct draws *draws,
			      size_t policy)
{
	json_t *object = json_object(), *counters;

	rf_json_set_count(object, "traces", matrix->nr);
	rf_json_set_string(object, "baseline", sum->fleet->policies[sum->order[sum->baseline]].name);
	for (size_t rate = 0; rate < RF_NR_RATES; rate++) {
		counters = json_object();
		for (size_t c = 0; c < sum->nr_counters; c++)
			json_object_set_new(counters, sum->counters[c],
					    change_object(sum, matrix, draws, column_of(sum, policy, rate, c),
							  column_of(sum, sum->baseline, rate, c)));
		json_object_set_new(object, rate_keys[rate], counters);
	}
	return object;
}

/* ---- the worst ------------------------------------------------------------------------ */

struct ranked {
	double by;
	size_t row;
};

static int worst_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->by != y->by ? (x->by < y->by) - (x->by > y->by) : (x->row > y->row) - (x->row < y->row);
}

/* Where the policy costs most more than the baseline; of one policy, where it costs most. */
static json_t *worst_array(const struct rf_summing *sum, const struct matrix *matrix)
{
	size_t column = column_of(sum, sum->ranked, sum->options->per, sum->counter), nr = 0, i;
	size_t base = column_of(sum, sum->baseline, sum->options->per, sum->counter);
	struct ranked *ranked = rf_json_memory(matrix->nr + 1, sizeof(*ranked));
	json_t *worst = json_array();

	for (i = 0; ranked && i < matrix->nr; i++) {
		const double *values = matrix->values + i * matrix->nr_columns;

		if (matrix->present[i * matrix->nr_groups + column / sum->nr_counters])
			ranked[nr++] = (struct ranked){ values[column] - (base != column ? values[base] : 0), i };
	}
	if (ranked)
		qsort(ranked, nr, sizeof(*ranked), worst_first);
	for (i = 0; i < nr && i < RF_SUMMARY_WORST; i++) {
		const json_t *facts = sum->facts[matrix->traces[ranked[i].row]];
		const double *values = matrix->values + ranked[i].row * matrix->nr_columns;

		json_array_append_new(worst, json_pack("{s:s, s:s, s:s, s:O*, s:s, s:f, s:f}", "name",
				rf_json_string(facts, "name"), "digest", rf_json_string(facts, "digest"), "kernel",
				rf_json_string(facts, "kernel"), "labels", json_object_get(facts, "labels"), "trust",
				rf_json_string(facts, "trust"), "value", values[column], "baseline", values[base]));
	}
	free(ranked);
	return worst;
}

/* ---- groups --------------------------------------------------------------------------- */

static json_t *policy_summary(const struct rf_summing *sum, const struct matrix *matrix, const struct draws *draws,
			      size_t policy, double *values, json_t *outliers)
{
	const struct rf_fleet_policy *named = &sum->fleet->policies[sum->order[policy]];
	json_t *object = json_pack("{s:s, s:s}", "name", named->name, "definition", named->definition), *counters;

	for (size_t rate = 0; rate < RF_NR_RATES; rate++) {
		counters = json_object();
		for (size_t c = 0; c < sum->nr_counters; c++)
			json_object_set_new(counters, sum->counters[c],
					    spread_object(sum, matrix, draws, column_of(sum, policy, rate, c), values,
							  rate == sum->options->per ? outliers : NULL));
		json_object_set_new(object, rate_keys[rate], counters);
	}
	return object;
}

/* The traces that have every policy; only they compare. */
static size_t common_traces(const struct rf_summing *sum, const size_t *traces, size_t nr, size_t *common)
{
	size_t nr_common = 0, p;

	for (size_t i = 0; i < nr; i++) {
		for (p = 0; p < sum->nr_policies; p++)
			if (!cell_of(&sum->fleet->traces[traces[i]], sum->order[p]))
				break;
		if (p == sum->nr_policies)
			common[nr_common++] = traces[i];
	}
	return nr_common;
}

static int compare_policies(const struct rf_summing *sum, const size_t *traces, size_t nr, json_t *group)
{
	size_t *common = rf_json_memory(nr + 1, sizeof(*common)), nr_common, p;
	json_t *policies = json_object_get(group, "policies");
	struct matrix matrix = { 0 };
	struct draws draws = { 0 };
	int ret;

	nr_common = common ? common_traces(sum, traces, nr, common) : 0;
	ret = !common || matrix_make(sum, &matrix, common, nr_common) || (nr_common && draw(sum, &matrix, &draws));
	for (p = 0; !ret && nr_common && p < sum->nr_policies; p++)
		if (p != sum->baseline)
			json_object_set_new(json_array_get(policies, p), "against",
					    changes_object(sum, &matrix, &draws, p));
	if (!ret)
		json_object_set_new(group, "worst", worst_array(sum, &matrix));
	draws_free(&draws);
	matrix_free(&matrix);
	free(common);
	return ret ? -ENOMEM : 0;
}

json_t *rf_fleet_group(const struct rf_summing *sum, const size_t *traces, size_t nr)
{
	json_t *group = json_object(), *policies = json_array(), *outliers = json_array();
	double *values = rf_json_memory(nr + 1, sizeof(*values));
	struct matrix matrix = { 0 };
	struct draws draws = { 0 };
	int ret = !values || matrix_make(sum, &matrix, traces, nr) || draw(sum, &matrix, &draws);

	rf_json_set_count(group, "traces", nr);
	json_object_set_new(group, "policies", policies);
	json_object_set_new(group, "outliers", outliers);
	for (size_t p = 0; !ret && p < sum->nr_policies; p++)
		json_array_append_new(policies, policy_summary(sum, &matrix, &draws, p, values, outliers));
	draws_free(&draws);
	matrix_free(&matrix);
	free(values);
	if (ret || compare_policies(sum, traces, nr, group)) {
		json_decref(group);
		return NULL;
	}
	return group;
}
