// SPDX-License-Identifier: MIT
/* What a userfaultfd does to an address space: mappings that are registered with it. */
#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
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

void ioctl_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	const struct task_call_data *data = call_data(task);

	if (command_of(task) == UFFDIO_WAKE)
		return;
	if (!data) {
		mark_mm(tracker, task->mm, RF_REASON_call_unknown);
		return;
	}
	if (!ret && command_of(task) <= UFFDIO_UNREGISTER)
		register_range(tracker, task, data);
}
