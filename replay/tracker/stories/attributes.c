// SPDX-License-Identifier: MIT
/*
 * Calls that give mappings an attribute, and thereby split and merge them: mbind(), prctl(PR_SET_VMA). What they name
 * by a pointer is told before them, if the recorder could read it. If not, it is equal to what the same call named, and
 * to what the same pointer into memory names that nobody writes, such as a literal; of all else that is not known.
 */
#include <errno.h>

#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

/* A number that is not 0 for the two together, in the bits of mask. */
static u64 number_of(u64 a, u64 b, u64 mask)
{
	u64 x = (a ^ a >> 31) * 0xff51afd7ed558ccdull + b;

	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
	x = x >> 40 & mask;
	return x ? x : 1;
}

/* A number for what the pointer names, beside what is known: another each time, but for literals. */
static u64 number_unread(struct rf_tracker *tracker, struct task *task, u64 pointer, u64 known, u64 mask)
{
	const struct world_vma *vma = world_vma_find(&task->mm->world, pointer);

	if (vma && vma->file && !(vma->flags & (RF_VM_WRITE | RF_VM_SHARED)))
		return number_of(pointer, known, mask);
	return number_of(++tracker->last_unread, 1, mask);
}

#define MPOL_MODE_MASK 0xff
#define POLICY_NUMBERS (RF_ATTRIBUTE_POLICY >> RF_ATTRIBUTE_POLICY_SHIFT)
#define NAME_NUMBERS (RF_ATTRIBUTE_NAME >> RF_ATTRIBUTE_NAME_SHIFT)

/* do_mbind(): pages that lie on other nodes may stop it after its policy is in place (-EIO). */
void mbind_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	const struct task_call_data *data = call_data(task);
	const u64 *args = task->call.args;
	struct world_vma_change change = { .attributes_clear = RF_ATTRIBUTE_POLICY | RF_ATTRIBUTE_POLICY_UNREAD };
	u64 end;

	if ((ret && ret != -EIO) || !call_range(tracker, args[0], args[1], &end) || args[0] == end)
		return;
	/* get_nodes(): without a mask, or of one bit less one, there are none. */
	if (!data && args[3] && args[4] > 1)
		change.attributes_set = number_unread(tracker, task, args[3], args[2], POLICY_NUMBERS)
					<< RF_ATTRIBUTE_POLICY_SHIFT | RF_ATTRIBUTE_POLICY_UNREAD;
	else
		change.attributes_set = number_of(args[2], data ? data->words[0] : 0, POLICY_NUMBERS)
					<< RF_ATTRIBUTE_POLICY_SHIFT;
	if (!(args[2] & MPOL_MODE_MASK))	/* MPOL_DEFAULT */
		change.attributes_set = 0;
	change_vmas(tracker, task->mm, args[0], end, &change, NULL);
}

/* madvise_vma_anon_name(): anonymous memory only. */
static bool is_nameable(const struct world_vma *vma)
{
	return !vma->file || vma->flags & RF_VM_SHMEM;
}

void prctl_return(struct rf_tracker *tracker, struct task *task)
{
	const struct task_call_data *data = call_data(task);
	const u64 *args = task->call.args;
	struct world_vma_change change = { .attributes_clear = RF_ATTRIBUTE_NAME | RF_ATTRIBUTE_NAME_UNREAD };
	u64 end;

	if (args[0] != RF_PR_SET_VMA || args[1] != PR_SET_VMA_ANON_NAME ||
	    !call_range(tracker, args[2], args[3], &end))
		return;
	if (args[4] && data)
		change.attributes_set = number_of(data->words[0], 0, NAME_NUMBERS) << RF_ATTRIBUTE_NAME_SHIFT;
	else if (args[4])
		change.attributes_set = number_unread(tracker, task, args[4], 0, NAME_NUMBERS)
					<< RF_ATTRIBUTE_NAME_SHIFT | RF_ATTRIBUTE_NAME_UNREAD;
	change_vmas(tracker, task->mm, args[2], end, &change, is_nameable);
}
