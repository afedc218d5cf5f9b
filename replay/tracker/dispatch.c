// SPDX-License-Identifier: MIT
/* Each record to the function that knows its meaning. A new kind of record is a row here. */
#include "replay/tracker/dispatch.h"

#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/cpus.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/handlers.h"

#define IN_TASK(handler) { .handle = handler }
#define ALONE(handler) { .handle = handler, .alone = true }
#define UNUSED { .alone = true }

/*
 * IN_TASK: the record's thread said it on its CPU, and is known from then on. ALONE: whose context it was does
 * not matter; the handler gets no task. UNUSED: it tells nothing that changes the world when it comes.
 */
static const struct {
	record_handler *handle;
	bool alone;
} handlers[RF_RECORD_KIND_MAX] = {
	[RF_FAULT] = IN_TASK(on_fault),
	[RF_RSS_STAT] = IN_TASK(on_rss_stat),
	[RF_RSS_CHANGE] = IN_TASK(on_rss_change),
	[RF_SET_PTE] = IN_TASK(on_set_pte),
	[RF_PAGE_ALLOC] = IN_TASK(on_page_alloc),
	[RF_PAGE_FREE] = IN_TASK(on_page_free),
	[RF_MAP_PAGES] = IN_TASK(on_map_pages),
	[RF_FILEMAP_FAULT] = IN_TASK(on_filemap_fault),
	[RF_CACHE_ADD] = IN_TASK(on_cache_add),
	[RF_CACHE_DELETE] = ALONE(on_cache_delete),
	[RF_SYS_MMAP] = IN_TASK(on_call),
	[RF_SYS_MUNMAP] = IN_TASK(on_call),
	[RF_SYS_MPROTECT] = IN_TASK(on_call),
	[RF_SYS_MREMAP] = IN_TASK(on_call),
	[RF_SYS_MADVISE] = IN_TASK(on_call),
	[RF_SYS_BRK] = IN_TASK(on_call),
	[RF_SYS_MLOCK] = IN_TASK(on_call),
	[RF_SYS_MUNLOCK] = IN_TASK(on_call),
	[RF_SYS_MLOCKALL] = IN_TASK(on_call),
	[RF_SYS_MUNLOCKALL] = IN_TASK(on_call),
	[RF_SYS_CLONE] = IN_TASK(on_call),
	[RF_SYS_EXECVE] = IN_TASK(on_call),
	[RF_SYS_PROCESS_MADVISE] = IN_TASK(on_call),
	[RF_SYS_SHMAT] = IN_TASK(on_call),
	[RF_SYS_SHMDT] = IN_TASK(on_call),
	[RF_SYS_REMAP_FILE_PAGES] = IN_TASK(on_call),
	[RF_SYS_MSYNC] = IN_TASK(on_call),
	[RF_SYS_FUTEX] = IN_TASK(on_call),
	[RF_SYS_PROCESS_VM] = IN_TASK(on_call),
	[RF_SYS_EXIT] = IN_TASK(on_call),
	[RF_SYS_USERFAULTFD] = IN_TASK(on_call),
	[RF_SYS_MBIND] = IN_TASK(on_call),
	[RF_SYS_PRCTL] = IN_TASK(on_call),
	[RF_SYS_IOCTL] = IN_TASK(on_call),
	[RF_SYS_RET] = IN_TASK(on_return),
	[RF_NEWTASK] = IN_TASK(on_newtask),
	[RF_PREPARE_EXEC] = IN_TASK(on_prepare_exec),
	[RF_EXEC] = IN_TASK(on_exec),
	[RF_EXIT] = IN_TASK(on_sched_exit),
	[RF_MIGRATION_SET] = ALONE(on_migration_set),
	[RF_MIGRATION_REMOVE] = ALONE(on_migration_remove),
	[RF_MIGRATION_PMD_SET] = ALONE(on_migration_set),
	[RF_MIGRATION_PMD_REMOVE] = ALONE(on_migration_remove),
	[RF_COLLAPSE_SCAN] = IN_TASK(on_collapse),
	[RF_COLLAPSE_ISOLATE] = IN_TASK(on_collapse),
	[RF_COLLAPSE] = IN_TASK(on_collapse),
	[RF_COLLAPSE_FILE] = UNUSED,	/* what it did, RSS_STAT and CACHE_* tell */
	[RF_SWAP_WRITE] = ALONE(on_swap_write),
	[RF_KSM_MERGE] = ALONE(on_ksm_merge),
	[RF_TLB_FLUSH] = IN_TASK(on_tlb_flush),
	[RF_MMAP2] = IN_TASK(on_mmap2),
	[RF_COMM] = ALONE(on_comm),
	[RF_TASK_FORK] = ALONE(on_task_fork),
	[RF_TASK_EXIT] = IN_TASK(on_side_band_exit),
	[RF_PROCESS] = IN_TASK(on_process),
	[RF_MODULE] = UNUSED,		/* of stacks, which the tracker never sees: ground/stream.c */
	[RF_MODULE_PATH] = UNUSED,	/* likewise */
	[RF_STACK] = UNUSED,		/* likewise */
	[RF_CALL_STACK] = UNUSED,	/* likewise */
	[RF_NO_STACKS] = UNUSED,	/* likewise */
	[RF_SNAP_BEGIN] = ALONE(on_snapshot),
	[RF_SNAP_VMA] = ALONE(on_snapshot),
	[RF_SNAP_PTE] = ALONE(on_snapshot),
	[RF_SNAP_SWAP] = ALONE(on_snapshot),
	[RF_SNAP_RSS] = ALONE(on_snapshot),
	[RF_SNAP_END] = ALONE(on_snapshot),
	[RF_CACHE_FILE] = UNUSED,	/* read before the first record: stories/cache.c */
	[RF_CACHE_RUN] = UNUSED,	/* likewise */
	[RF_CACHE_READAHEAD] = UNUSED,	/* likewise */
	[RF_KERNEL_PAGE] = UNUSED,	/* likewise: kernel_pages.c */
	[RF_LOST] = ALONE(on_lost),
	[RF_MARKER] = ALONE(on_mark),
	[RF_MARKER_MORE] = UNUSED,	/* read with its MARKER */
	[RF_GUP] = IN_TASK(on_gup),
	[RF_CALL_DATA] = IN_TASK(on_call_data),
	[RF_ABI] = IN_TASK(on_abi),
	[RF_RECORDER] = UNUSED,		/* of the recording, not of what was recorded */
	[RF_STOP] = ALONE(on_stop),
	[RF_LEFT_OUT] = ALONE(on_left_out),
};

void dispatch(struct rf_tracker *tracker, const struct rf_record *record)
{
	u8 kind = record->kind % RF_RECORD_KIND_MAX;
	struct task *task = NULL;

	if (tracker->stopped && kind != RF_LOST)
		return;
	if (record->time < tracker->time)
		mark_mm(tracker, NULL, RF_REASON_unordered_record);
	else
		tracker->time = record->time;
	if (tracker->time >= tracker->next_loss)
		losses_begin(tracker);
	tracker->tid_now = record->tid;
	if (!handlers[kind].alone) {
		task = task_get(tracker, record->tid);
		if (!task)
			return;
	}
	if (tracker->causes)
		cause_begins(tracker, record);
	if (tracker->freeing && kind != RF_PAGE_FREE) {
		tracker->freeing = false;
		reclaim_flush(tracker);
	}
	if (task) {
		task->stream = record->stream;
		cpu_seen(tracker, task, record);
	}
	if (handlers[kind].handle)
		handlers[kind].handle(tracker, task, *record);
}
