// SPDX-License-Identifier: MIT
/*
 * What a userfaultfd does to an address space: mappings that are registered with it, and pages that are put there.
 * What it moves, protects and poisons is not followed, but marked.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/call.h"

/* linux/userfaultfd.h: the number in the command. */
enum {
	UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE, UFFDIO_COPY, UFFDIO_ZEROPAGE, UFFDIO_MOVE,
	UFFDIO_WRITEPROTECT, UFFDIO_CONTINUE, UFFDIO_POISON,
};

#define REGISTER_MISSING	1
#define REGISTER_WP		2
#define REGISTER_MINOR		4

static u32 command_of(const struct task *task)
{
	return task->call.args[1] & 0xff;
}

/* userfaultfd_register(); the descriptor tells contexts apart. */
static void register_range(struct rf_tracker *tracker, struct task *task, const struct task_call_data *data)
{
	struct world_vma_change change = { .attributes_clear = RF_ATTRIBUTES_UFFD };
	u64 mode = data->words[2], end;

	if (!call_range(tracker, data->words[0], data->words[1], &end))
		return;
	if (command_of(task) == UFFDIO_REGISTER) {
		change.set = RF_VM_UFFD;
		change.attributes_set = (mode & REGISTER_MISSING ? RF_ATTRIBUTE_UFFD_MISSING : 0) |
					(mode & REGISTER_WP ? RF_ATTRIBUTE_UFFD_WP : 0) |
					(mode & REGISTER_MINOR ? RF_ATTRIBUTE_UFFD_MINOR : 0) |
					(task->call.args[0] % 15 + 1) << RF_ATTRIBUTE_CONTEXT_SHIFT;
	} else {
		change.clear = RF_VM_UFFD;
	}
	change_vmas(tracker, task->mm, data->words[0], end, &change, NULL);
}

/* The range that COPY, ZEROPAGE and CONTINUE fill, if it is registered here and not in another process. */
static bool filled_range(const struct rf_tracker *tracker, struct task *task, const struct task_call_data *data,
			 u64 *end)
{
	const struct world_vma *vma;

	if (command_of(task) != UFFDIO_COPY && command_of(task) != UFFDIO_ZEROPAGE &&
	    command_of(task) != UFFDIO_CONTINUE)
		return false;
	if (!call_range(tracker, data->words[0], data->words[command_of(task) == UFFDIO_COPY ? 2 : 1], end))
		return false;
	vma = world_vma_find(&task->mm->world, data->words[0]);
	return vma && vma->flags & RF_VM_UFFD;
}

/* mfill_atomic(): page by page upwards, each counted. */
void ioctl_entry(struct rf_tracker *tracker, struct task *task)
{
	const struct task_call_data *data = call_data(task);
	u64 end;

	if (data && filled_range(tracker, task, data, &end))
		populate_fill(tracker, task, data->words[0], end);
}

/* mfill_atomic_pte_zeropage(): the zero page is counted nowhere. */
static void fill_with_zero(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma *vma;
	u64 pfn = 0;
	struct rf_op *op;

	kernel_page(tracker, RF_KERNEL_PAGE_ZERO, 0, &pfn);
	for (u64 vpn = vpn_of(tracker, start); vpn < vpn_of(tracker, end); vpn++) {
		vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
		if (!vma)
			return;
		if (vma->flags & RF_VM_SHARED || world_get(&mm->world, vpn))
			continue;
		world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_ZERO, pfn, 0));
		op = emit(tracker, RF_OP_FAULT_ZERO, mm);
		op->addr = vpn << tracker->page_shift;
		op->pfn = pfn;
		op->nr = 1;
		op->flags = RF_OP_POPULATE;
	}
}

#define ZEROPAGES_MAX BIT_ULL(20)
#define COPY_MODE_WP 2

/* What it did is told by page counts, or by its success. */
static bool is_understood(struct rf_tracker *tracker, struct task *task, const struct task_call_data *data, s64 ret)
{
	u64 end;

	if (!filled_range(tracker, task, data, &end))
		return false;
	switch (command_of(task)) {
	case UFFDIO_COPY:
		return !(data->words[3] & COPY_MODE_WP);
	case UFFDIO_CONTINUE:
		return true;
	case UFFDIO_ZEROPAGE:
		/* Pages that were allocated instead have been counted; what is empty still is the zero page's. */
		if (ret || vpn_of(tracker, end - data->words[0]) > ZEROPAGES_MAX)
			return ret && world_get(&task->mm->world, vpn_of(tracker, data->words[0]));
		fill_with_zero(tracker, task->mm, data->words[0], end);
		return true;
	}
	return false;
}

void ioctl_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	const struct task_call_data *data = call_data(task);

	if (command_of(task) == UFFDIO_WAKE)
		return;
	if (data && command_of(task) <= UFFDIO_UNREGISTER) {
		if (!ret)
			register_range(tracker, task, data);
		return;
	}
	if (!data || !is_understood(tracker, task, data, ret))
		mark_mm(tracker, task->mm, RF_REASON_call_unknown);
}
