// SPDX-License-Identifier: MIT
/*
 * Processes that a loss hid. NEWTASK tells of a birth; the side band tells of it as well, from another ring, so that
 * one loss does not hide both: what it tells and NEWTASK does not, was lost. Without a side band there is what clone()
 * returned, and who has faults and no address space; a process that lived inside a loss is then not seen at all.
 * What a hidden process bears is hidden as well: it began as a copy of what nobody knows. So is, where a recorder
 * attached, who ended before it was looked at; and who was born to run a program (vfork) whose exec may be lost.
 */
#include "replay/tracker/stories/hidden.h"

#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/handlers.h"

/* The kernel tells the side band just before NEWTASK. */
#define SAME_BIRTH_NS 1000000

/* Losses beyond this many are not compared with one another. */
#define LOSSES_COMPARED 4096

static const struct rf_stream_info *stream_of(const struct rf_tracker *tracker, const struct rf_loss *loss)
{
	return rf_reader_stream(tracker->reader, loss->stream);
}

/* A birth is told to both rings of the CPU that the parent runs on. */
static bool lost_together(const struct rf_tracker *tracker, const struct rf_loss *task, const struct rf_loss *side_band)
{
	const struct rf_stream_info *a = stream_of(tracker, task), *b = stream_of(tracker, side_band);

	return a && b && b->source == RF_SOURCE_PERF && a->cpu == b->cpu && task->begin <= side_band->end &&
	       side_band->begin <= task->end;
}

static bool birth_may_be_lost(const struct rf_tracker *tracker, const struct rf_loss *loss)
{
	const struct rf_stream_info *info = stream_of(tracker, loss);

	if (!info || info->source != RF_SOURCE_TASK)
		return false;
	if (!tracker->have_side_band || tracker->nr_losses > LOSSES_COMPARED)
		return true;
	for (size_t i = 0; i < tracker->nr_losses; i++)
		if (lost_together(tracker, loss, &tracker->losses[i]))
			return true;
	return false;
}

void hidden_start(struct rf_tracker *tracker)
{
	for (size_t i = 0; i < tracker->nr_losses; i++) {
		if (!birth_may_be_lost(tracker, &tracker->losses[i]))
			continue;
		mark_mm(tracker, NULL, RF_REASON_hidden_unknown);
		return;
	}
}

/*
 * Where the side band has lost births, it tells what is born to whom it does not know. Strangers may be among them,
 * whom nothing else tells of.
 */
static bool is_recorded(const struct task *parent)
{
	return parent && (parent->pid || parent->mm || parent->born_at || parent->forked_at);
}

void on_task_fork(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	/* Only what lost something hides anything. A new thread is its process's. */
	if (!tracker->nr_losses || !record.tid || record.f[0] != record.tid)
		return;
	if (!is_recorded(task_find(tracker, (u32)record.f[1])))
		return;
	task = task_get(tracker, record.tid);
	if (!task || (task->born_at && record.time - task->born_at < SAME_BIRTH_NS))
		return;
	hidden_ends(tracker, task);
	task->forked_at = record.time;
}

void birth_unseen(struct rf_tracker *tracker, const struct task *parent, u32 tid)
{
	bool entered = parent->call.kind == RF_SYS_CLONE || parent->call.was == RF_SYS_CLONE;
	u64 flags = entered ? parent->call.args[0] : RF_CLONE_UNKNOWN;
	struct task *task;

	if (!any_lost(tracker) || tracker->have_side_band || flags == RF_CLONE_UNKNOWN || flags & CLONE_THREAD)
		return;
	task = task_get(tracker, tid);
	if (!task || task->born_at)
		return;
	hidden_ends(tracker, task);
	task->forked_at = tracker->time;
}

/* Where nothing may have told that the task has got an address space of its own since then. */
static bool exec_may_be_lost(const struct rf_tracker *tracker, u64 since)
{
	bool told = tracker->have_side_band, traced = true;

	for (u32 i = 0; i < tracker->losses_begun && (told || traced); i++) {
		const struct rf_stream_info *info = stream_of(tracker, &tracker->losses[i]);

		if (!info || tracker->losses[i].end < since)
			continue;
		told &= info->source != RF_SOURCE_PERF;
		traced &= info->source != RF_SOURCE_TASK;
	}
	return !told && !traced;
}

void borrower_ends(struct rf_tracker *tracker, struct task *task)
{
	if (task->borrows && !task->forked_at && exec_may_be_lost(tracker, task->born_at))
		task->forked_at = task->born_at;
	task->borrows = false;
}

void copy_unseen(struct rf_tracker *tracker, struct task *child)
{
	if ((any_lost(tracker) || tracker->attached) && !(child->mm && child->mm->known))
		child->forked_at = child->born_at;
}

void orphan_ends(struct rf_tracker *tracker, struct task *task)
{
	bool leads;

	if (!any_lost(tracker) && !tracker->attached) {
		mark_mm(tracker, NULL, RF_REASON_unknown_task);
		return;
	}
	tracker->fidelity.anomalies.unknown_task++;
	/* A thread is its process's. The side band has told of every process that is younger than the recording. */
	leads = !task->pid || task->pid == task->tid;
	if (!task->forked_at && (!tracker->have_side_band || (tracker->attached && leads)))
		task->forked_at = tracker->time;
}

void hidden_ends(struct rf_tracker *tracker, struct task *task)
{
	borrower_ends(tracker, task);
	if (task->forked_at)
		process_is_hidden(tracker, task->tid, task->forked_at);
	task->forked_at = 0;
}

void tid_is_anew(struct rf_tracker *tracker, struct task *task)
{
	/* The side band's word is of this birth, unless it is old. */
	if (tracker->have_side_band && tracker->time - task->forked_at < SAME_BIRTH_NS)
		task->forked_at = 0;
	hidden_ends(tracker, task);
}

/*
 * All programs make calls, at the least exit_group(). Of one that had none, not even the return of its exec, they were
 * not told: it is a 32-bit one, or was killed at once. With the side band its vdso says so.
 */
void exec_made_no_call(struct rf_tracker *tracker, struct task *task)
{
	if (!task->exec.loading || tracker->have_side_band || !task->mm || !task->mm->known)
		return;
	task->calls_unknown = true;
	mark_mm(tracker, task->mm, RF_REASON_compat_calls);
}
