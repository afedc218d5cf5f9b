/* SPDX-License-Identifier: MIT */
/*
 * The CPU time that a recording may take, and what it leaves out to keep to it: events without which a replay is still
 * a replay, but a marked one. The costliest go first; each says so in the trace (RF_LEFT_OUT) and stays out.
 */
#ifndef REFOLD_CAPTURE_BUDGET_H
#define REFOLD_CAPTURE_BUDGET_H

#include "capture/tracefs/ring.h"

/* Kinds of records of one instance that go together, as what adds and what removes. */
struct rf_optional {
	u8 kinds[2];		/* 0: none */
	u8 instance;
};

#define RF_NR_OPTIONAL 4
extern const struct rf_optional rf_optional[RF_NR_OPTIONAL];

struct rf_budget {
	double cpu;		/* of one CPU; 0: as much as it takes */
	struct rf_session *session;
	struct rf_event_status *status;
	const struct rf_rings *rings;
	struct rf_writer *writer;
	int stream;		/* to say it in */
	u32 left_out;		/* bits of rf_optional[] */
	u64 left_out_at[RF_NR_OPTIONAL];	/* ns since the recording began */
	u64 began_ns;
	/* Until the last look, a period ago. */
	u64 looked_ns, cpu_ns, records, by_kind[RF_NR_OPTIONAL];
};

/* A period begins. */
void rf_budget_begin(struct rf_budget *budget);
/* At any time: if a period has gone by, leave out what must be. False: and there is nothing left to leave out. */
bool rf_budget_holds(struct rf_budget *budget, u64 now);
/*
 * What of candidates (bits) to leave out, if each record costs the same: the most numerous first, and no more of them
 * than bring share, of all records, down to bound. What is one in a hundred is not worth it.
 */
u32 rf_budget_choose(const u64 records[RF_NR_OPTIONAL], u32 candidates, u64 all, double share, double bound);

#endif
