// SPDX-License-Identifier: MIT
/*
 * Which CPUs run an address space: flushes of x86 and riscv interrupt the others. Switches between tasks are not
 * recorded, so a CPU runs the thread that its last record came from, until it is seen with a thread of another address
 * space or the thread is seen elsewhere. A CPU that sleeps since is not told from one that computes.
 */
#include "replay/tracker/ground/cpus.h"

#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"

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

void cpu_seen(struct rf_tracker *tracker, struct task *task, const struct rf_record *record)
{
	const struct rf_stream_info *info = rf_reader_stream(tracker->reader, record->stream);
	struct tracker_cpu *cpu;

	/* Snapshots are the recorder's, and of a birth the side band tells on the parent's CPU. */
	if (!info || info->source == RF_SOURCE_SNAPSHOT || info->source == RF_SOURCE_PERF)
		return;
	if (info->cpu >= tracker->nr_cpus &&
	    !world_grow(tracker->world, (void **)&tracker->cpus, sizeof(*tracker->cpus), &tracker->nr_cpus,
			info->cpu + 1ull))
		return;
	cpu = &tracker->cpus[info->cpu];
	tracker->cpu_now = info->cpu;
	if (task->cpu != info->cpu && tracker->cpus[task->cpu].tid == task->tid)
		leave_cpu(tracker, &tracker->cpus[task->cpu]);
	task->cpu = info->cpu;
	if (!task->mm || (cpu->tid == task->tid && cpu->mm == task->mm->world.id))
		return;
	leave_cpu(tracker, cpu);
	cpu->tid = task->tid;
	cpu->mm = task->mm->world.id;
	task->mm->cpus++;
	task->mm->ran_on |= cpu_bit(info->cpu);
}

bool mm_runs_elsewhere(const struct rf_tracker *tracker, const struct tracked_mm *mm)
{
	const struct tracker_cpu *now;

	if (!mm->cpus)
		return false;
	now = &tracker->cpus[tracker->cpu_now];
	return mm->cpus > (now->tid && now->mm == mm->world.id);
}
