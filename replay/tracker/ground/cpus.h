/* SPDX-License-Identifier: MIT */
/* Which CPUs run an address space. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_CPUS_H
#define REFOLD_REPLAY_TRACKER_GROUND_CPUS_H

#include "base/types.h"

struct rf_record;
struct rf_tracker;
struct task;
struct tracked_mm;

/* A record of this task was made on its CPU. */
void cpu_seen(struct rf_tracker *tracker, struct task *task, const struct rf_record *record);
/* Do CPUs other than that of the record in progress run it? */
/* mm_cpumask(), which since 6.14 forgets a CPU no more than once a second, has others than the one we are on. */
bool mm_ran_elsewhere(const struct rf_tracker *tracker, const struct tracked_mm *mm);
bool mm_runs_elsewhere(const struct rf_tracker *tracker, const struct tracked_mm *mm);

#endif
