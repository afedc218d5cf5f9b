/* SPDX-License-Identifier: MIT */
/* Numbers that say how many numbers spread. Everything is deterministic: the same values and seed, the same bits. */
#ifndef REFOLD_REPLAY_FLEET_STATISTICS_H
#define REFOLD_REPLAY_FLEET_STATISTICS_H

#include "base/types.h"

struct rf_spread {
	size_t nr;
	double mean, median, p95, sd;	/* sd: of the sample; 0 for one value */
	double low, high;		/* what is no outlier, by rf_outliers() */
};

/* Sorts the values. nr is 1 or more. */
void rf_spread_of(double *values, size_t nr, struct rf_spread *spread);
/* Between the two values next to it, as most programs have it; sorted values. */
double rf_quantile(const double *sorted, size_t nr, double part);

/* A pseudo-random number below nr (splitmix64). */
u32 rf_draw(u64 *state, u32 nr);

/*
 * The bootstrap of many columns at once, which share what is drawn, so that differences of two are of the same draws:
 * resamples times nr_rows rows are drawn with replacement; sums[resample * nr_columns + column] becomes the sum of what
 * was drawn, drawn[resample * nr_groups + group] how many of these rows are of the group (present[row * nr_groups]).
 */
struct rf_bootstrap {
	const double *values;		/* row by row; 0 where the row has none */
	const unsigned char *present;
	u32 nr_rows;
	size_t nr_columns, nr_groups;
	u32 resamples;
	u64 seed;
	double *sums;
	u32 *drawn;
};

void rf_bootstrap_run(const struct rf_bootstrap *bootstrap);
/* The middle 95 % of values, which are sorted. */
void rf_interval(double *values, size_t nr, double *low, double *high);

#endif
