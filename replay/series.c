// SPDX-License-Identifier: MIT
/* Intervals that end as time goes by, most of them empty. */
#include "replay/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

const char *const rf_serial_names[RF_NR_SERIALS] = {
#define X(name) #name,
	RF_SERIES(X)
#undef X
};

void rf_serials_of(const struct arch_counters *counters, u64 values[RF_NR_SERIALS])
{
#define X(name) values[RF_SERIAL_##name] = counters->name;
	RF_SERIES(X)
#undef X
}

static int end_interval(struct rf_series *series, const u64 *now, u64 live_blocks, struct rf_ledger *processes)
{
	struct rf_interval *interval;

	if (array_grow(series->list, series->room, series->nr + 1ul))
		return -ENOMEM;
	interval = &series->list[series->nr++];
	*interval = (struct rf_interval){ .live_blocks = live_blocks, .processes = *processes };
	*processes = (struct rf_ledger){ 0 };
	for (u32 i = 0; i < RF_NR_SERIALS; i++)
		interval->counted[i] = now[i] - series->before[i];
	memcpy(series->before, now, sizeof(series->before));
	return 0;
}

int rf_series_until(struct rf_series *series, u64 time, const struct rf_stats *stats, struct rf_ledger *processes)
{
	struct arch_counters totals;
	u64 now[RF_NR_SERIALS];

	rf_stats_totals(stats, &totals);
	rf_serials_of(&totals, now);
	while (time >= rf_series_next(series))
		if (end_interval(series, now, (u64)stats->live_blocks, processes))
			return -ENOMEM;
	return 0;
}

int rf_series_end(struct rf_series *series, u64 time, const struct rf_stats *stats, struct rf_ledger *processes)
{
	struct arch_counters totals;
	u64 now[RF_NR_SERIALS];

	if (rf_series_until(series, time, stats, processes))
		return -ENOMEM;
	rf_stats_totals(stats, &totals);
	rf_serials_of(&totals, now);
	return end_interval(series, now, (u64)stats->live_blocks, processes);
}

void rf_series_free(struct rf_series *series)
{
	while (series->nr)
		rf_ledger_free(&series->list[--series->nr].processes);
	free(series->list);
	*series = (struct rf_series){ 0 };
}
