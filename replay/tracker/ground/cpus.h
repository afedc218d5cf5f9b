/* SPDX-License-Identifier: MIT */
/* Which CPUs run an address space. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_CPUS_H
#define REFOLD_REPLAY_TRACKER_GROUND_CPUS_H

#include "replay/tracker/ground/tracked_mm.h"
#include "replay/tracker/ground/tracking.h"

struct rf_record;

int cpus_start(struct rf_tracker *tracker);	/* 0 or -ENOMEM */
/* A record of this task was made on its CPU. */
void cpu_seen(struct rf_tracker *tracker, struct task *task, const struct rf_record *record);
/*
 * The address space was flushed on this CPU, and if others were in mm_cpumask(), they were interrupted: that tells of
 * those where it ran unseen, and of those that the kernel has forgotten.
 */
void cpus_flushed(const struct rf_tracker *tracker, struct tracked_mm *mm, bool others);
/* Do CPUs other than that of the record in progress run it? */
bool mm_runs_elsewhere(const struct rf_tracker *tracker, const struct tracked_mm *mm);

/* In tracked_mm.ran_on; those from 63 on share one. */
static inline u64 cpu_bit(u32 cpu)
{
	return BIT_ULL(cpu < 63 ? cpu : 63);
}

/*
 * mm_cpumask(), which since 6.14 forgets a CPU no more than once a second, has others than the one we are on: it was
 * seen there, or has a thread more, which need not have made a record yet.
 */
static inline bool mm_ran_elsewhere(const struct rf_tracker *tracker, const struct tracked_mm *mm)
{
	return mm->ran_on & ~cpu_bit(tracker->cpu_now) || (mm->users > 1 && !tracker->one_cpu);
}

#endif
