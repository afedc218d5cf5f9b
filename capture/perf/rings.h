/* SPDX-License-Identifier: MIT */
/* A perf event on one CPU, on the clock of the tracepoints, and the ring that it writes to. */
#ifndef REFOLD_CAPTURE_PERF_RINGS_H
#define REFOLD_CAPTURE_PERF_RINGS_H

#include <linux/perf_event.h>
#include <sys/types.h>

#include "base/error.h"

#define RF_PERF_RECORD_MAX 65536	/* perf_event_header.size has 16 bits */

struct rf_perf_ring {
	struct perf_event_mmap_page *page;
	const u8 *data;
	size_t bytes;			/* a power of two */
};

/* The fd, or a negative errno. task: whose event it is, -1: everybody's. ring_bytes: of the ring that it is for. */
int rf_perf_open(struct perf_event_attr *attr, pid_t task, int cpu, size_t ring_bytes);
int rf_perf_open_failed(int ret, struct rf_error *err);

int rf_perf_ring_map(struct rf_perf_ring *ring, int fd, size_t bytes, struct rf_error *err);
void rf_perf_ring_unmap(struct rf_perf_ring *ring);

typedef int rf_perf_take(void *context, const struct perf_event_header *header);

/* Where what is there now ends. */
u64 rf_perf_ring_head(const struct rf_perf_ring *ring);
/*
 * All records until head, which are gone then. whole: RF_PERF_RECORD_MAX bytes, for one that wraps around the
 * ring's end. Ends at the first that take() returns not 0 for, with that. *records, *bytes: how many there were.
 */
int rf_perf_ring_read(struct rf_perf_ring *ring, u64 head, u8 *whole, rf_perf_take *take, void *context, u64 *records,
		      u64 *bytes);

/* Records that an event lost, as far as it says itself (Linux 6.0). */
u64 rf_perf_lost(int fd);

#endif
