/* SPDX-License-Identifier: MIT */
/*
 * A recording while it runs: what it has taken so far, for its user to see and for
 * its bounds.
 */
#ifndef REFOLD_CAPTURE_WATCH_H
#define REFOLD_CAPTURE_WATCH_H

#include "capture/bounds.h"
#include "capture/budget.h"
#include "capture/follow/ending.h"
#include "capture/follow/follow.h"
#include "capture/perf/perf.h"
#include "capture/tracefs/ring.h"

struct rf_progress {
	u64 elapsed_ns, cpu_ns;		/* since it began; of the recorder, all threads */
	u64 records, lost, bytes;	/* bytes: of the file, about */
	u64 buffer_bytes;		/* of the kernel, in all */
};

/* asked: SIGUSR1 came. */
typedef void rf_progress_told(void *context, const struct rf_progress *progress, bool asked);

struct rf_watch {
	const struct rf_bounds *bounds;
	const char *disk;		/* a path on it; NULL: the output is on none */
	struct rf_writer *writer;
	const struct rf_rings *rings;
	const struct rf_perf *perf;	/* NULL: none */
	struct rf_budget *budget;	/* of CPU time */
	struct rf_follow *follow;	/* NULL, or who reads page tables anew after a loss */
	u64 buffer_bytes;		/* of the kernel, in all */
	rf_progress_told *told;		/* NULL, or called once a second and when asked */
	void *context;
	bool asked_ends;		/* SIGUSR1 ends the recording */
	bool asked;			/* it has */
	int trigger_fd;			/* 0, or readable when it shall end */
	u64 lead_ns;			/* what follows takes so long to begin: a file's bound allows for that */
	double usual_rate;		/* bytes a ns, as the part before grew; 0: not known */
	u64 began_ns, began_cpu_ns, last_told_ns;
	/* After a loss. */
	u64 lost, lost_at_ns;		/* so far, and when there were fewer */
	bool due, reading;		/* it has not been read anew since; it is being */
	u64 read_after_ns;		/* not again before */
	u64 began_bytes;
};

/* Begin: from now on ending has it looked after. */
void rf_watch_begin(struct rf_watch *watch, struct rf_ending *ending);
/* How the file grows: bytes a ns. */
double rf_watch_rate(const struct rf_watch *watch);
/* CPU time of this process so far, and its largest resident set. */
u64 rf_own_cpu_ns(void);
u64 rf_own_peak_bytes(void);
/* Bytes a user may still write on this disk; ~0: not known. */
u64 rf_disk_free(const char *path);

#endif
