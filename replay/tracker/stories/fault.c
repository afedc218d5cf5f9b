// SPDX-License-Identifier: MIT
/*
 * Page faults. A FAULT record opens a window; what the kernel then says in the task's context tells what the fault did
 * (inside_fault.c). Entries are set at the record that commits them (the RSS change; for a copy the allocation), not at
 * the fault: that keeps threads of one address space in order.
 */
#include "replay/tracker/stories/fault.h"

#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/exec.h"
#include "replay/tracker/stories/handlers.h"

/*
 * Without an error code the model tells whether the entry was present, and then only a write can have faulted. A known
 * write to a page-cache page that the model holds writable comes after writeback has cleaned it.
 */
static u16 flags_from_model(struct rf_tracker *tracker, struct task *task, u64 vpn, u16 flags)
{
	world_pte pte;

	settle_others(tracker, task->mm, task, tracker->time);
	pte = world_get(&task->mm->world, vpn);
	if (flags & RF_FAULT_WRITE && world_pte_kind(pte) == WORLD_FILE && pte & WORLD_WRITE)
		check_write_protected(tracker, task->mm, vpn, pte);
	flags &= ~RF_FAULT_PRESENT;
	if (!(flags & RF_FAULT_WRITE_KNOWN))
		flags &= ~RF_FAULT_WRITE;
	if (!world_pte_present(pte))
		return flags;
	flags |= RF_FAULT_PRESENT;
	if (!(flags & RF_FAULT_WRITE_KNOWN) && !(pte & WORLD_WRITE))
		flags |= RF_FAULT_WRITE;
	return flags;
}

/*
 * The open fault has changed nothing and begins again: taken with faults disabled, or retried because its lock had to
 * be dropped.
 */
static bool is_repeated(const struct task_fault *fault, u64 vpn, u16 flags)
{
	const u16 access = RF_FAULT_WRITE | (flags & RF_FAULT_UNKNOWN ? 0 : RF_FAULT_PRESENT);

	if (fault->stage != FAULT_OPEN || fault_waits(fault) || fault->vpn != vpn)
		return false;
	if (flags & RF_FAULT_UNKNOWN && !(flags & RF_FAULT_WRITE_KNOWN))
		return false;
	return flags & RF_FAULT_RETRY || (fault->flags & access) == (flags & access);
}

/*
 * An exception in the kernel while it had faults disabled (rseq, copies from atomic context): the handler goes back at
 * once, and what is tried again with faults enabled comes here for the same page. A kprobe would not have told of it.
 */
static bool was_refused(const struct task_fault *fault, u16 flags)
{
	return fault->flags & flags & RF_FAULT_KERNEL && !(flags & RF_FAULT_UNKNOWN);
}

void on_fault(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 addr = record.f[0], vpn = vpn_of(tracker, addr);
	u16 flags = (u16)record.f[1];
	struct task_fault *fault = &task->fault;

	if (tracker->record == task->exec_at)
		exec_arrives(tracker, task);
	if (task->mm && is_repeated(fault, vpn, flags)) {
		fault_applied(fault);
		if (!was_refused(fault, flags))
			fault_none(tracker, task);
	}
	fault_close(tracker, task);
	populate_pauses(tracker, task);
	task->nr_allocs = 0;
	task->advised.end = 0;
	/* Back in user mode: a call whose return no record told is over. */
	if (task->call.kind && !(flags & (RF_FAULT_KERNEL | RF_FAULT_UNKNOWN)))
		call_abandon(tracker, task);
	/* Remote: not this address space; what it does is seen otherwise, if at all. */
	if (addr >= tracker->address_limit || flags & RF_FAULT_REMOTE)
		return;
	/* The last of an address space looks for robust futexes once it has begun to exit (exit_mm_release()). */
	if (!task->mm) {
		task->orphans += !task->dead;
		return;
	}
	if (!task->mm->known)
		return;
	if (flags & RF_FAULT_UNKNOWN)
		flags = flags_from_model(tracker, task, vpn, flags);
	else
		check_fault(tracker, task, vpn, flags);
	fault_begins(task, addr, vpn, flags, record.time);
	if (tracker->causes)
		task->fault_told = tracker->cause.told;
	fault_contends(fault, is_contended(tracker, task));
}
