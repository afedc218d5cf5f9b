/* SPDX-License-Identifier: MIT */
/*
 * What a recording may take of the machine: kernel buffers, memory, the file, the
 * disk. Buffers are made to fit; when another bound is reached, the recording ends.
 */
#ifndef REFOLD_CAPTURE_BOUNDS_H
#define REFOLD_CAPTURE_BOUNDS_H

#include "traces/trace.h"

#define RF_LEAST_BUFFER (8ull << 10)		/* of a CPU */
#define RF_LEAST_FILE (64ull << 10)
#define RF_LEAST_MEMORY (16ull << 20)

/* 0: none. */
struct rf_bounds {
	u64 file_bytes;		/* the file never grows beyond it */
	u64 free_bytes;		/* left on the file's disk */
	u64 memory_bytes;	/* of the recorder, with the kernel's buffers */
	u64 buffer_total;	/* of the kernel's buffers, all CPUs together */
};

/* What the kernel's buffers of one CPU take, and how many CPUs have them. */
struct rf_buffers {
	u64 task, system, side;
	u64 calls;		/* those of stacks; 0: none are taken */
	u64 cpus;
};

/* Buffers for asked bytes per CPU, of the task instance; the others go with it. side_least: of the side-band. */
void rf_buffers_for(struct rf_buffers *buffers, u64 asked, u64 side_least);
u64 rf_buffers_total(const struct rf_buffers *buffers);
/* The largest up to asked that fit into total. False: not even the least do, which these are then. side_least: or 0. */
bool rf_buffers_fit(struct rf_buffers *buffers, u64 asked, u64 side_least, u64 total);
/*
 * Those of a recording on this machine. asked 0: nobody has said how much; then all CPUs together take no more than a
 * part of the memory, and 512 MiB. Negative errno: the bounds do not allow the least.
 */
int rf_buffers_choose(struct rf_buffers *buffers, u64 asked, u64 side_least, const struct rf_bounds *bounds,
		      struct rf_error *err);
/*
 * The asked that would have held what these buffers were short of at once: of each, the bytes that were lost between
 * two looks at it. 0: nothing was lost. In whole MiB, with something to spare.
 */
u64 rf_buffers_needed(const struct rf_buffers *had, const struct rf_buffers *gaps);

/* What a recording has taken so far. */
struct rf_taken {
	u64 file_bytes;		/* with what still has to be packed */
	u64 free_bytes;		/* ~0: the output is on no disk */
	u64 memory_bytes;
};

/* Which bound has been reached, if any: RF_END_NONE, or why the recording ends now. */
enum rf_end rf_bounds_reached(const struct rf_bounds *bounds, const struct rf_taken *taken);

#endif
