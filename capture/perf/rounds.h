/* SPDX-License-Identifier: MIT */
/*
 * From the rings of the side-band into the trace: in order of time, what concerns followed processes, and every loss.
 */
#ifndef REFOLD_CAPTURE_PERF_ROUNDS_H
#define REFOLD_CAPTURE_PERF_ROUNDS_H

#include "base/error.h"
#include "capture/perf/followed.h"
#include "capture/snapshot/page_cache.h"
#include "capture/stacks/stacks.h"
#include "traces/events/kernel.h"
#include "traces/trace.h"

struct perf_event_header;

/* What is known of a ring. */
struct rf_round_stream {
	int stream;		/* of the trace */
	u64 last_time;		/* of the last record */
	u64 lost;		/* records, as far as the ring has told */
};

struct rf_waiting;

/* A sample of a call, with its own copy of the stack. */
struct rf_kept_sample {
	struct rf_stack_sample sample;
	u8 bytes[RF_STACK_BYTES_MAX];
};

struct rf_rounds {
	struct rf_writer *writer;
	struct rf_page_cache *cache;	/* NULL, or where mapped files are noted */
	struct rf_stacks *stacks;	/* NULL, or where calls go */
	struct rf_kept_sample **spare;	/* that nothing is in */
	size_t nr_spare, spare_room;
	size_t nr_samples;		/* that wait */
	u32 page_shift;
	struct rf_followed followed;
	struct rf_waiting *waiting;
	size_t nr, room;
	u64 taken;			/* records that ever waited */
	bool births_lost;		/* maybe: something was */
};

/* Begin a round: what waits was read in an earlier one. */
void rf_round_begin(struct rf_rounds *rounds);
/* A record of a ring, which waits from now on. Negative errno: no memory. */
int rf_round_take(struct rf_rounds *rounds, struct rf_round_stream *ring, const struct perf_event_header *header,
		  struct rf_error *err);
/* A record of a ring of calls, likewise. */
int rf_round_take_call(struct rf_rounds *rounds, int stream, enum rf_isa isa, const struct perf_event_header *header,
		       struct rf_error *err);
/* All rings have been read: learn who is followed. */
void rf_round_learn(struct rf_rounds *rounds);
/* End a round: what was read in an earlier one goes into the trace. Negative errno: of the writer. */
int rf_round_write(struct rf_rounds *rounds, struct rf_error *err);
void rf_rounds_free(struct rf_rounds *rounds);

#endif
