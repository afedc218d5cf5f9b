// SPDX-License-Identifier: MIT
/* Names of rows and anomalies, and sums. */
#include "engine/stats.h"

const char *const rf_row_names[RF_NR_ROWS] = {
#define X(name) #name,
	RF_ROWS(X)
#undef X
};

const char *const rf_run_names[RF_NR_RUNS] = {
#define X(name) #name,
	RF_RUNS(X)
#undef X
};

const char *const rf_anomaly_names[RF_NR_ANOMALIES] = {
#define X(name, meaning) #name,
	RF_ANOMALIES(X)
#undef X
};

const char *const rf_inexact_names[RF_NR_INEXACTS] = {
#define X(name, text) #name,
	RF_INEXACTS(X)
#undef X
};

const char *const rf_inexact_texts[RF_NR_INEXACTS] = {
#define X(name, text) text,
	RF_INEXACTS(X)
#undef X
};

void rf_stats_totals(const struct rf_stats *stats, struct arch_counters *totals)
{
	size_t row;

	*totals = (struct arch_counters){ 0 };
	for (row = 0; row < RF_NR_ROWS; row++) {
#define X(name, meaning) totals->name += stats->rows[row].name;
		ARCH_COUNTERS(X)
#undef X
	}
}
