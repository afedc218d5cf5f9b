// SPDX-License-Identifier: MIT
/* Page frames that are the kernel's own: the zero pages, the vdso and its data. They are constants of a boot. */
#include "replay/tracker/ground/kernel_pages.h"

#include <errno.h>

#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "traces/merge.h"

static void learn(struct rf_tracker *tracker, const struct rf_record *record)
{
	u64 what = record->f[0], index = record->f[1];

	if (what >= ARRAY_SIZE(tracker->kernel_pages) || index > 4096)
		return;
	if (world_grow(tracker->world, (void **)&tracker->kernel_pages[what], sizeof(u64),
		       &tracker->kernel_pages_size[what], index + 1))
		tracker->kernel_pages[what][index] = (record->f[2] & WORLD_PFN_MASK) + 1;
}

bool kernel_page(const struct rf_tracker *tracker, u32 what, u64 index, u64 *pfn)
{
	if (index >= tracker->kernel_pages_size[what] || !tracker->kernel_pages[what][index])
		return false;
	*pfn = tracker->kernel_pages[what][index] - 1;
	return true;
}

/* Constants of a boot come with the snapshots, often at the end; they are wanted from the start. */
int read_kernel_pages(struct rf_tracker *tracker, struct rf_error *err)
{
	const u64 kinds[2] = { 0, BIT_ULL(RF_KERNEL_PAGE - 64) };
	struct rf_merge *merge = rf_merge_open(tracker->reader, kinds, err);
	size_t nr;

	if (!merge)
		return -ENOMEM;
	while ((nr = rf_merge_read(merge, tracker->records, tracker->size)))
		for (size_t i = 0; i < nr; i++)
			if (tracker->records[i].kind == RF_KERNEL_PAGE)
				learn(tracker, &tracker->records[i]);
	rf_merge_close(merge);
	return 0;
}
