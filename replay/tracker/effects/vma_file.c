// SPDX-License-Identifier: MIT
/* Which file a VMA maps: known from the side band, or learned from the first record about the file. */
#include "engine/ops.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"

void learn_file(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u32 file)
{
	struct world_file *known = file_get(tracker->world, vma->file);
	u32 old = vma->file;

	if (old == file)
		return;
	if (known && known->provisional) {
		known->told = file;
		cache_merge(tracker->world, old, file);
	} else if (old || !vma->implicit) {
		mark_mm(tracker, mm, RF_REASON_file_mismatch);
	}
	vma->file = file;
	if (!old || (known && known->alone))
		return;
	/* Every piece of that mapping, and whatever else was made from the same descriptor. */
	for (vma = world_vma_first(&mm->world); vma; vma = world_vma_above(vma))
		if (vma->file == old)
			vma->file = file;
}

/* Of a shared mapping machines are told: its entries may be written, also those of pages that were only read. */
void learn_shmem(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma)
{
	struct rf_op *op;

	if (vma->flags & RF_VM_SHMEM)
		return;
	vma->flags |= RF_VM_SHMEM;
	if (!(vma->flags & RF_VM_SHARED))
		return;
	op = emit(tracker, RF_OP_VMA_FLAGS, mm);
	op->addr = vma->start;
	op->end = vma->end;
	op->vm_flags = RF_VM_SHMEM;
}

/* The only VMA that maps this index of the file, or NULL. */
struct world_vma *vma_by_file(const struct rf_tracker *tracker, struct tracked_mm *mm, u32 file, u64 index)
{
	struct world_vma *found = NULL;

	for (struct world_vma *vma = world_vma_first(&mm->world); vma; vma = world_vma_above(vma)) {
		u64 pages = (vma->end - vma->start) >> tracker->page_shift;

		if (vma->file != file || index < vma->pgoff || index - vma->pgoff >= pages)
			continue;
		if (found)
			return NULL;
		found = vma;
	}
	return found;
}

u32 record_file(struct rf_tracker *tracker, const struct rf_record *record)
{
	u32 file = file_by_inode(tracker->world, record->f[0], record->f[1]);

	if (file)
		file_get(tracker->world, file)->cached = true;
	return file;
}
