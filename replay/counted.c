// SPDX-License-Identifier: MIT
/* The numbers that grew between two moments. */
#include "replay/counted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS (sizeof(struct rf_stats) / sizeof(u64))
#define AT(member) (offsetof(struct rf_stats, member) / sizeof(u64))

_Static_assert(NUMBERS * sizeof(u64) == sizeof(struct rf_stats), "every member is a number");

static u64 difference(const struct rf_stats *begin, const struct rf_stats *end, size_t i)
{
	if (i == AT(peak_live_blocks) || i == AT(allocation.peak_unused_pages))
		return 0;
	return ((const u64 *)end)[i] - (i == AT(live_blocks) ? 0 : ((const u64 *)begin)[i]);
}

int rf_counted_between(struct rf_counted *counted, const struct rf_stats *begin, const struct rf_stats *end)
{
	u32 nr = 0;

	for (size_t i = 0; i < NUMBERS; i++)
		nr += difference(begin, end, i) != 0;
	counted->nr = 0;
	counted->numbers = malloc(nr ? nr * sizeof(*counted->numbers) : 1);
	if (!counted->numbers)
		return -ENOMEM;
	for (size_t i = 0; i < NUMBERS; i++) {
		u64 value = difference(begin, end, i);

		if (!value)
			continue;
		counted->numbers[counted->nr].at = (u32)i;
		counted->numbers[counted->nr++].value = value;
	}
	return 0;
}

void rf_counted_expand(const struct rf_counted *counted, struct rf_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	for (u32 i = 0; i < counted->nr; i++)
		((u64 *)stats)[counted->numbers[i].at] = counted->numbers[i].value;
}

void rf_window_counts_free(struct rf_window_counts *counts)
{
	free(counts->counted.numbers);
	rf_ledger_free(&counts->processes);
}
