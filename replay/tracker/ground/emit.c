// SPDX-License-Identifier: MIT
/* Operations out: gathered in a block, and handed to the sink when it is full or the tracker pauses. */
#include "replay/tracker/ground/emit.h"

#include <errno.h>

#include "replay/tracker/ground/cpus.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"

void flush_ops(struct rf_tracker *tracker)
{
	int ret = 0;

	if (tracker->causes)
		tracker->options.explain(tracker->options.explain_context, tracker->ops, tracker->causes,
					 tracker->nr_ops);
	if (tracker->nr_ops && tracker->options.sink)
		ret = tracker->options.sink(tracker->options.context, tracker->ops, tracker->nr_ops);
	if (ret && !tracker->error)
		tracker->error = ret;
	tracker->nr_ops = 0;
}

u32 thread_of(struct rf_tracker *tracker, struct task *task)
{
	if (!task->thread && tracker->causes && tracker->options.processes) {
		task->thread = rf_thread_add(tracker->options.processes, task->tid, "");
		if (!task->thread)
			tracker->error = -ENOMEM;
	}
	return task->thread;
}

void cause_begins(struct rf_tracker *tracker, const struct rf_record *record)
{
	struct task *task = task_find(tracker, record->tid);
	struct rf_cause *cause = &tracker->cause;

	cause->told.number = tracker->record;
	cause->told.record = *record;
	cause->told.thread = 0;
	cause->last = 0;
	if (cause->began.number)
		cause->began = (struct rf_told){ 0 };
	if (!task)
		return;
	cause->told.thread = thread_of(tracker, task);
	if (fault_is_open(&task->fault) &&
	    (fault_pending(&task->fault) || task->fault.swapped_in || !task->call.kind))
		cause->began = task->fault_told;
	else if (task->call.kind)
		cause->began = task->call_told;
}

struct rf_op *emit(struct rf_tracker *tracker, u8 kind, const struct tracked_mm *mm)
{
	struct rf_op *op;

	if (tracker->nr_ops == OPS_A_BLOCK)
		flush_ops(tracker);
	if (tracker->causes)
		tracker->causes[tracker->nr_ops] = tracker->cause;
	op = &tracker->ops[tracker->nr_ops++];
	*op = (struct rf_op){
		.kind = kind, .mm = mm->world.id, .time = tracker->time,
		.remote_cpus = mm_runs_elsewhere(tracker, mm), .other_cpus = mm_ran_elsewhere(tracker, mm),
		.cpus = mm->cpus < 63 ? mm->cpus : 63,
	};
	return op;
}

void emit_entry(struct rf_tracker *tracker, u8 kind, const struct tracked_mm *mm, u64 vpn, u64 pfn, u32 order,
		u16 flags)
{
	u64 addr = vpn << tracker->page_shift;
	struct rf_op *op;

	if (tracker->nr_ops) {
		op = &tracker->ops[tracker->nr_ops - 1];
		if (op->kind == kind && op->mm == mm->world.id && op->flags == flags && op->order == order &&
		    op->nr < BIT_ULL(order) && op->addr + ((u64)op->nr << tracker->page_shift) == addr &&
		    op->pfn + op->nr == pfn) {
			op->nr++;
			if (tracker->causes)
				tracker->causes[tracker->nr_ops - 1].last = tracker->record;
			return;
		}
	}
	op = emit(tracker, kind, mm);
	op->addr = addr;
	op->nr = 1;
	op->pfn = pfn;
	op->order = (u8)order;
	op->flags = flags;
}
