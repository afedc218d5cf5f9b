// SPDX-License-Identifier: MIT
/*
 * Calls that give mappings an attribute, and thereby split and merge them: mbind(), prctl(PR_SET_VMA). What they name
 * by a pointer is told before them, if the recorder could read it; else the pointer stands for what it points at.
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

#define MPOL_MODE_MASK 0xff

/* do_mbind(): pages that lie on other nodes may stop it after its policy is in place (-EIO). */
void mbind_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	const struct task_call_data *data = call_data(task);
	const u64 *args = task->call.args;
	struct world_vma_change change = { .attributes_clear = RF_ATTRIBUTE_POLICY };
	u64 nodes = data ? data->words[0] : args[3], end;

	if ((ret && ret != -EIO) || !call_range(tracker, args[0], args[1], &end) || args[0] == end)
		return;
	if (args[2] & MPOL_MODE_MASK)	/* not MPOL_DEFAULT */
		change.attributes_set = number_of(args[2], nodes, RF_ATTRIBUTE_POLICY >> RF_ATTRIBUTE_POLICY_SHIFT)
					<< RF_ATTRIBUTE_POLICY_SHIFT;
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
	struct world_vma_change change = { .attributes_clear = RF_ATTRIBUTE_NAME };
	u64 name = data ? data->words[0] : args[4], end;

	if (args[0] != RF_PR_SET_VMA || args[1] != PR_SET_VMA_ANON_NAME ||
	    !call_range(tracker, args[2], args[3], &end))
		return;
	if (args[4])
		change.attributes_set = number_of(name, 0, RF_ATTRIBUTE_NAME >> RF_ATTRIBUTE_NAME_SHIFT)
					<< RF_ATTRIBUTE_NAME_SHIFT;
	change_vmas(tracker, task->mm, args[2], end, &change, is_nameable);
}
