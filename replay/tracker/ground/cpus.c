// SPDX-License-Identifier: MIT
/*
 * Which CPUs run an address space: flushes of x86 and riscv interrupt the others. Switches between tasks are not
 * recorded, so a CPU runs the thread that its last record came from, until it is seen with a thread of another address
 * space or the thread is seen elsewhere. A CPU that sleeps since is not told from one that computes.
 */
#include "replay/tracker/ground/cpus.h"

#include <errno.h>
#include <stdlib.h>

#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"

#define NO_CPU UINT32_MAX

/* Who runs on a CPU, as far as records tell: tid 0, nobody known. */
struct tracker_cpu {
	u32 tid, mm;
};

static void leave_cpu(struct rf_tracker *tracker, struct tracker_cpu *cpu)
{
	struct tracked_mm *mm = cpu->tid ? tracked_mm(tracker->world, cpu->mm) : NULL;

	if (mm)
		mm->cpus--;
	cpu->tid = 0;
}

int cpus_start(struct rf_tracker *tracker)
{
	u32 nr_cpus = 1;

	tracker->cpu_of_stream = malloc((tracker->nr_streams + 1) * sizeof(*tracker->cpu_of_stream));
	if (!tracker->cpu_of_stream)
		return -ENOMEM;
	for (size_t i = 0; i < tracker->nr_streams; i++) {
		const struct rf_stream_info *info = rf_reader_stream(tracker->reader, i);
		/* Snapshots are the recorder's, and of a birth the side band tells on the parent's CPU. */
		bool tells = info->source != RF_SOURCE_SNAPSHOT && info->source != RF_SOURCE_PERF;

		tracker->cpu_of_stream[i] = tells ? info->cpu : NO_CPU;
		if (tells && info->cpu >= nr_cpus)
			nr_cpus = info->cpu + 1u;
	}
	tracker->cpus = calloc(nr_cpus, sizeof(*tracker->cpus));
	return tracker->cpus ? 0 : -ENOMEM;
}

void cpu_seen(struct rf_tracker *tracker, struct task *task, const struct rf_record *record)
{
	u32 number = tracker->cpu_of_stream[record->stream];
	struct tracker_cpu *cpu;

	if (number == NO_CPU)
		return;
	cpu = &tracker->cpus[number];
	tracker->cpu_now = (u16)number;
	if (task->cpu != number && tracker->cpus[task->cpu].tid == task->tid)
		leave_cpu(tracker, &tracker->cpus[task->cpu]);
	task->cpu = (u16)number;
	if (!task->mm || (cpu->tid == task->tid && cpu->mm == task->mm->world.id))
		return;
	leave_cpu(tracker, cpu);
	cpu->tid = task->tid;
	cpu->mm = task->mm->world.id;
	task->mm->cpus++;
	task->mm->ran_on |= cpu_bit(number);
}

void cpus_flushed(const struct rf_tracker *tracker, struct tracked_mm *mm, bool others)
{
	u64 here = cpu_bit(tracker->cpu_now);

	if (!others)
		mm->ran_on = here;
	else if (!(mm->ran_on & ~here))
		mm->ran_on = ~0ull;	/* which ones it does not tell */
}

bool mm_runs_elsewhere(const struct rf_tracker *tracker, const struct tracked_mm *mm)
{
	const struct tracker_cpu *now;

	if (!mm->cpus)
		return false;
	now = &tracker->cpus[tracker->cpu_now];
	return mm->cpus > (now->tid && now->mm == mm->world.id);
}
