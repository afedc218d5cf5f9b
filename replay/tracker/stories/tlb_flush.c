// SPDX-License-Identifier: MIT
/* The TLB flushes that the kernel reported, by cause. */
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/handlers.h"

static u64 *flush_cause(struct rf_tracker *tracker, const struct task *task)
{
	if (task->exec.due || task->exec.loading)
		return &tracker->fidelity.tlb_flushes_recorded.exec;
	switch (task->call.kind) {
	case RF_SYS_MUNMAP:
		return &tracker->fidelity.tlb_flushes_recorded.munmap;
	case RF_SYS_MPROTECT:
		return &tracker->fidelity.tlb_flushes_recorded.mprotect;
	case RF_SYS_BRK:
		return &tracker->fidelity.tlb_flushes_recorded.brk;
	case RF_SYS_MADVISE:
	case RF_SYS_PROCESS_MADVISE:
		return &tracker->fidelity.tlb_flushes_recorded.madvise;
	case RF_SYS_IOCTL:
		return &tracker->fidelity.tlb_flushes_recorded.userfaultfd;
	case RF_SYS_MREMAP:
		return &tracker->fidelity.tlb_flushes_recorded.mremap;
	case RF_SYS_CLONE:
		return &tracker->fidelity.tlb_flushes_recorded.fork;
	case RF_SYS_MMAP:
		return &tracker->fidelity.tlb_flushes_recorded.mmap;
	default:
		return &tracker->fidelity.tlb_flushes_recorded.other;
	}
}

void on_tlb_flush(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 reason = record.f[0];

	bool execs = task->exec.due || task->exec.loading;

	if (!tracker->have_flushes || !(execs || (task->mm && task->mm->known)) || reason == RF_TLB_ON_SWITCH)
		return;
	if (reason != RF_TLB_LOCAL && reason != RF_TLB_LOCAL_MM) {
		tracker->fidelity.tlb_flushes_recorded.remote++;
	} else if (task->flush_due) {
		task->flush_due = false;
		tracker->fidelity.tlb_flushes_recorded.cow++;
	} else {
		++*flush_cause(tracker, task);
	}
}
