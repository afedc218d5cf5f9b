// SPDX-License-Identifier: MIT
/* The results of a replay: begun, added up over traces, and freed. */
#include "replay/results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Plain sums, but for the peak; live blocks are those left at the end of each trace. */
void add_stats(struct rf_stats *sum, const struct rf_stats *stats)
{
	size_t row, i;

	for (row = 0; row < RF_NR_ROWS; row++) {
		const u64 *from = (const u64 *)&stats->rows[row];
		u64 *to = (u64 *)&sum->rows[row];

		for (i = 0; i < ARCH_NR_COUNTERS; i++)
			to[i] += from[i];
		sum->operations[row] += stats->operations[row];
	}
	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		((u64 *)&sum->loaded)[i] += ((const u64 *)&stats->loaded)[i];
	for (i = 0; i < RF_NR_SITES; i++) {
#define X(name, meaning) sum->readers[i].name += stats->readers[i].name;
		RF_READER_COUNTERS(X)
#undef X
	}
	for (i = 0; i < RF_NR_RUNS; i++) {
#define X(name, meaning) sum->runs[i].name += stats->runs[i].name;
		RF_RUN_COUNTERS(X)
#undef X
	}
	for (row = 0; row < ARCH_NR_HELPERS; row++)
		for (i = 0; i <= ARCH_BATCH_MAX; i++)
			sum->batches.calls[row][i] += stats->batches.calls[row][i];
	for (i = 0; i < RF_NR_ANOMALIES; i++)
		sum->anomalies[i] += stats->anomalies[i];
	for (i = 0; i < RF_NR_INEXACTS; i++)
		sum->inexact[i] += stats->inexact[i];
	for (i = 0; i < ARRAY_SIZE(sum->allocation.folios); i++)
		sum->allocation.folios[i] += stats->allocation.folios[i];
#define X(name, meaning) sum->allocation.name += stats->allocation.name;
	RF_ALLOCATIONS(X)
#undef X
	sum->allocation.unused_time += stats->allocation.unused_time;
	sum->allocation.peak_unused_pages =
		max_u64(sum->allocation.peak_unused_pages, stats->allocation.peak_unused_pages);
	sum->live_blocks += stats->live_blocks;
	sum->live_block_time += stats->live_block_time;
	sum->valid_time += stats->valid_time;
	sum->coalesced_time += stats->coalesced_time;
	sum->peak_live_blocks = max_u64(sum->peak_live_blocks, stats->peak_live_blocks);
}

/* Every member of struct rf_fidelity is a count, in itself and in its nested structs. */
void add_fidelity(struct rf_fidelity *sum, const struct rf_fidelity *fidelity)
{
	const u64 *from = (const u64 *)fidelity;
	u64 *to = (u64 *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
		to[i] += from[i];
}

/* Of the trace before. */
void forget_parts(struct rf_results *results)
{
	size_t k;

	for (k = 0; results->window_counts && k < results->windows.nr * results->nr_policies; k++)
		rf_window_counts_free(&results->window_counts[k]);
	free(results->window_counts);
	results->window_counts = NULL;
	rf_windows_free(&results->windows);
	rf_processes_free(&results->processes);
	rf_trust_free(&results->trust);
	rf_attribution_free(&results->attribution);
	for (k = 0; k < results->nr_policies; k++) {
		rf_ledger_free(&results->ledgers[k]);
		rf_series_free(&results->series[k]);
		rf_ledger_free(&results->shares[k]);
	}
}

int rf_results_init(struct rf_results *results, const struct rf_policy *policies, size_t nr_policies)
{
	memset(results, 0, sizeof(*results));
	results->stats = calloc(nr_policies, sizeof(*results->stats));
	results->ledgers = calloc(nr_policies, sizeof(*results->ledgers));
	results->shares = calloc(nr_policies, sizeof(*results->shares));
	results->series = calloc(nr_policies, sizeof(*results->series));
	results->marked = calloc(nr_policies, sizeof(*results->marked));
	results->last_stats = calloc(nr_policies, sizeof(*results->last_stats));
	if (!results->stats || !results->ledgers || !results->shares || !results->series || !results->marked ||
	    !results->last_stats) {
		rf_results_free(results);
		memset(results, 0, sizeof(*results));
		return -ENOMEM;
	}
	results->policies = policies;
	results->nr_policies = nr_policies;
	return 0;
}

void rf_results_free(struct rf_results *results)
{
	forget_parts(results);
	free(results->ledgers);
	free(results->shares);
	free(results->series);
	free(results->stats);
	free(results->marked);
	free(results->last_stats);
	results->marked = NULL;
	results->last_stats = NULL;
	results->ledgers = NULL;
	results->shares = NULL;
	results->series = NULL;
	results->stats = NULL;
}
