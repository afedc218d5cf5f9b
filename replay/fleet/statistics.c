// SPDX-License-Identifier: MIT
/* Quantiles, spreads, and the bootstrap. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/fleet/statistics.h"

/* Iglewicz and Hoaglin: beyond 3.5 median absolute deviations, each 0.6745 standard deviations of a normal spread. */
#define OUTLIER_DEVIATIONS (3.5 / 0.6745)
#define OUTLIER_VALUES 8	/* of fewer, any may be far from the others */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double rf_quantile(const double *sorted, size_t nr, double part)
{
	double place = part * (double)(nr - 1);
	size_t below = (size_t)place;

	if (below + 1 >= nr)
		return sorted[nr - 1];
	return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

void rf_spread_of(double *values, size_t nr, struct rf_spread *spread)
{
	double sum = 0, squares = 0, deviation, *deviations = rf_json_memory(nr + 1, sizeof(*deviations));

	qsort(values, nr, sizeof(*values), compare_doubles);
	for (size_t i = 0; i < nr; i++)
		sum += values[i];
	*spread = (struct rf_spread){
		.nr = nr, .mean = sum / (double)nr, .median = rf_quantile(values, nr, .5),
		.p95 = rf_quantile(values, nr, .95), .low = -HUGE_VAL, .high = HUGE_VAL,
	};
	for (size_t i = 0; i < nr; i++) {
		squares += (values[i] - spread->mean) * (values[i] - spread->mean);
		if (deviations)
			deviations[i] = fabs(values[i] - spread->median);
	}
	spread->sd = nr > 1 ? sqrt(squares / (double)(nr - 1)) : 0;
	if (!deviations)
		return;
	qsort(deviations, nr, sizeof(*deviations), compare_doubles);
	deviation = rf_quantile(deviations, nr, .5) * OUTLIER_DEVIATIONS;
	free(deviations);
	/* Where more than half are alike, nothing says how far is far. */
	if (deviation > 0 && nr >= OUTLIER_VALUES) {
		spread->low = spread->median - deviation;
		spread->high = spread->median + deviation;
	}
}

u32 rf_draw(u64 *state, u32 nr)
{
	u64 value = *state += 0x9e3779b97f4a7c15ull;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	value ^= value >> 31;
	return (u32)((value >> 32) * nr >> 32);
}

void rf_bootstrap_run(const struct rf_bootstrap *bootstrap)
{
	size_t nr_columns = bootstrap->nr_columns, nr_groups = bootstrap->nr_groups;
	u64 state = bootstrap->seed;

	memset(bootstrap->sums, 0, bootstrap->resamples * nr_columns * sizeof(*bootstrap->sums));
	memset(bootstrap->drawn, 0, bootstrap->resamples * nr_groups * sizeof(*bootstrap->drawn));
	for (u32 r = 0; r < bootstrap->resamples; r++) {
		double *sums = bootstrap->sums + r * nr_columns;
		u32 *drawn = bootstrap->drawn + r * nr_groups;

		for (u32 i = 0; i < bootstrap->nr_rows; i++) {
			size_t row = rf_draw(&state, bootstrap->nr_rows);
			const double *values = bootstrap->values + row * nr_columns;
			const unsigned char *present = bootstrap->present + row * nr_groups;

			for (size_t c = 0; c < nr_columns; c++)
				sums[c] += values[c];
			for (size_t g = 0; g < nr_groups; g++)
				drawn[g] += present[g];
		}
	}
}

void rf_interval(double *values, size_t nr, double *low, double *high)
{
	qsort(values, nr, sizeof(*values), compare_doubles);
	*low = rf_quantile(values, nr, .025);
	*high = rf_quantile(values, nr, .975);
}
