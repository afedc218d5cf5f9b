/* SPDX-License-Identifier: MIT */
/* What a machine counted from interval to interval of a trace: the counters that the policies are about. */
#ifndef REFOLD_REPLAY_SERIES_H
#define REFOLD_REPLAY_SERIES_H

#include "engine/stats.h"
#include "replay/ledger.h"

/* Of a trace; whoever asks for shorter ones gets too many to look at. */
#define RF_MAX_INTERVALS 65536

/* Counters of arch/counters.h. */
#define RF_SERIES(X) \
	X(faults) X(fold) X(unfold) X(born) X(erased) X(flush_calls) X(tlbi) X(dsb) X(pte_loads) X(pte_stores) \
	X(pte_atomics)

enum rf_serial {
#define X(name) RF_SERIAL_##name,
	RF_SERIES(X)
#undef X
	RF_NR_SERIALS
};

extern const char *const rf_serial_names[RF_NR_SERIALS];

struct rf_interval {
	u64 counted[RF_NR_SERIALS];
	u64 live_blocks;		/* at its end */
	struct rf_ledger processes;	/* only if they are counted */
};

struct rf_series {
	u64 begin, length;		/* times, in ns; length 0: nobody asks */
	struct rf_interval *list;	/* those that are over */
	u32 nr;
	size_t room;
	u64 before[RF_NR_SERIALS];	/* counted when the open one began */
};

/* When the open interval ends. */
static inline u64 rf_series_next(const struct rf_series *series)
{
	return series->nr + 1 < RF_MAX_INTERVALS ? series->begin + (series->nr + 1ull) * series->length : UINT64_MAX;
}

/* Time has come to this; processes: of the open interval, taken over. -ENOMEM or 0. */
int rf_series_until(struct rf_series *series, u64 time, const struct rf_stats *stats, struct rf_ledger *processes);
/* The recording ended then, and with it the open interval. */
int rf_series_end(struct rf_series *series, u64 time, const struct rf_stats *stats, struct rf_ledger *processes);
void rf_series_free(struct rf_series *series);

void rf_serials_of(const struct arch_counters *counters, u64 values[RF_NR_SERIALS]);

#endif
