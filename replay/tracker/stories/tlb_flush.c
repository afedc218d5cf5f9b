// SPDX-License-Identifier: MIT
/* The TLB flushes that the kernel reported, by cause. */
#include "replay/tracker/ground/cpus.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/handlers.h"

/* wp_huge_pmd(): a huge page that others map is split before a page of it is copied. */
static bool splits_to_copy(const struct rf_tracker *tracker, const struct task *task)
{
	const u8 access = RF_FAULT_PRESENT | RF_FAULT_WRITE;
	world_pte pte;

	if (!fault_is_open(&task->fault) || (task->fault.flags & access) != access)
		return false;
	pte = world_get(&task->mm->world, task->fault.vpn);
	return world_is_huge_zero(tracker->world, &task->mm->world, task->fault.vpn) ||
	       (world_pte_present(pte) && folio_order(tracker->world, world_pte_pfn(pte)) == tracker->pmd_order);
}

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
	case RF_SYS_REMAP_FILE_PAGES:
		return &tracker->fidelity.tlb_flushes_recorded.mmap;
	default:
		return splits_to_copy(tracker, task) ? &tracker->fidelity.tlb_flushes_recorded.cow :
					      &tracker->fidelity.tlb_flushes_recorded.other;
	}
}

void on_tlb_flush(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	bool execs = task->exec.due || task->exec.loading;

	if (!tracker->have_flushes || !(execs || (task->mm && task->mm->known)) || record.f[0] == RF_TLB_ON_SWITCH)
		return;
	if (!is_own_flush(&record)) {
		tracker->fidelity.tlb_flushes_recorded.remote++;
		task->flush_sent |= record.f[0] == RF_TLB_REMOTE_SEND;
		return;
	}
	if (record.f[0] == RF_TLB_LOCAL_MM && task->mm)
		cpus_flushed(tracker, task->mm, task->flush_sent);
	task->flush_sent = false;
	call_flushes(&task->call, flush_extent(&record));
	if (task->flush_due) {
		task->flush_due = false;
		tracker->fidelity.tlb_flushes_recorded.cow++;
	} else {
		++*flush_cause(tracker, task);
	}
}
