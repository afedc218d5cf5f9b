// SPDX-License-Identifier: MIT
/*
 * GUP records, and process_vm_readv(). GUP leaves no event of its own: it is known from the system calls that use it,
 * and where a recording has GUP records.
 */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/effects/gup.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"

/* How many pages the array of page pointers has that process_vm_rw() allocates at most: PVM_MAX_KMALLOC_PAGES. */
#define PROCESS_VM_ARRAY_PAGES 2

/* No more bytes does one call copy: MAX_RW_COUNT, and a little. */
#define PROCESS_VM_BYTES_MAX BIT_ULL(31)

static void add_iovec(struct rf_tracker *tracker, struct task *task, const struct task_gup *iovec)
{
	if (world_grow(tracker->world, (void **)&task->gups, sizeof(*task->gups), &task->gups_size,
		       task->nr_gups + 1ull))
		task->gups[task->nr_gups++] = *iovec;
}

void on_gup(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 addr = record.f[1], len = record.f[2];

	if (addr >= tracker->address_limit || len > tracker->address_limit - addr || !len)
		return;
	if (!record.f[0]) {
		if (task->mm && task->mm->known)
			emit_gup(tracker, task->mm, record.f[3] & RF_GUP_FAST ? RF_OP_GUP_FAST : RF_OP_GUP_SLOW,
				 addr, addr + len, record.f[3] & RF_GUP_WRITE, 0);
		return;
	}
	/*
	 * Before the call of process_vm_readv() that it belongs to, which may fail. The return of the one before is
	 * lost.
	 */
	if (task->call.kind == RF_SYS_PROCESS_VM) {
		call_abandon(tracker, task);
		task->nr_gups = 0;
	}
	add_iovec(tracker, task, &(struct task_gup){
		.addr = addr, .len = len, .pid = (u32)record.f[0], .write = record.f[3] & RF_GUP_WRITE });
}

void on_call_data(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	/* Before its call: the return of the one before, if it was still to come, is lost. */
	if (task->call.kind) {
		call_abandon(tracker, task);
		task->nr_gups = 0;
	}
	if (record.f[0] == RF_SYS_PROCESS_MADVISE && record.f[2] < tracker->address_limit &&
	    record.f[3] <= tracker->address_limit - record.f[2])
		add_iovec(tracker, task, &(struct task_gup){
			.addr = record.f[2], .len = record.f[3], .pid = (u32)record.f[1] });
	task->data.call = (u8)record.f[0];
	task->data.pid = (u32)record.f[1];
	for (size_t i = 0; i < ARRAY_SIZE(task->data.words); i++)
		task->data.words[i] = record.f[2 + i];
	uffd_begins(task);
}

/* process_vm_readv() and process_vm_writev() take one iovec after the other, as far as there are bytes to copy. */
void process_vm_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	u64 left = ret > 0 ? min_u64((u64)ret, PROCESS_VM_BYTES_MAX) : 0;

	/* Nobody has read the iovecs: its pages were faulted in, or copied, if only to be read. */
	if (!task->nr_gups && (left || ret == -EFAULT)) {
		struct tracked_mm *subject = mm_of_process(tracker, (u32)task->call.args[0]);

		mark_mm(tracker, subject ? subject : task->mm, RF_REASON_call_unknown);
	}
	populate_gups_end(tracker, task, left);
	for (u32 i = 0; i < task->nr_gups && left; i++) {
		const struct task_gup *gup = &task->gups[i];
		struct tracked_mm *mm = mm_of_process(tracker, gup->pid);
		u64 len = min_u64(gup->len, left);

		left -= len;
		if (!mm || !mm->known)
			continue;
		settle_others(tracker, mm, task, tracker->time);
		emit_gup(tracker, mm, RF_OP_GUP_SLOW, gup->addr, gup->addr + len, gup->write, PROCESS_VM_ARRAY_PAGES);
	}
}
