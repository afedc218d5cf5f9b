/* SPDX-License-Identifier: MIT */
/*
 * The drain: one thread per CPU empties the rings of both instances into the
 * trace, as records.
 */
#ifndef REFOLD_CAPTURE_TRACEFS_RING_H
#define REFOLD_CAPTURE_TRACEFS_RING_H

#include "capture/tracefs/session.h"
#include "traces/trace.h"

struct rf_rings;

struct rf_rings_totals {
	u64 records;
	u64 lost;		/* events lost in the kernel's rings, all told */
	u64 gap_bytes[RF_INSTANCES];	/* the most that a ring of the instance was short of at once */
};

/*
 * Declare the streams and start the threads. failed_fd: an eventfd written once when a thread cannot go on
 * (disk full); rf_rings_stop() then returns why.
 */
struct rf_rings *rf_rings_start(struct rf_session *session, const struct rf_decoder *decoder,
				struct rf_writer *writer, int failed_fd, struct rf_error *err);
/* Until now; from any thread. */
void rf_rings_so_far(const struct rf_rings *rings, struct rf_rings_totals *totals);
/* Of one kind; from any thread. */
u64 rf_rings_records(const struct rf_rings *rings, enum rf_instance instance, u8 kind);
/* After rf_session_stop(): drain to the last event, account for losses, end the threads. */
int rf_rings_stop(struct rf_rings *rings, struct rf_rings_totals *totals, struct rf_error *err);

/*
 * Decode one raw ring-buffer page, in place, into records; room for page size / 8 of them. *missed: events lost
 * just before the page, -1 if the kernel does not say how many.
 */
struct kbuffer;
size_t rf_decode_page(struct kbuffer *kbuffer, const struct rf_decoder *decoder, void *page,
		      struct rf_record *records, s64 *missed);

#endif
