// SPDX-License-Identifier: MIT
/* Which file a VMA maps: known from the side band, or learned from the first record about the file. */
#include "engine/ops.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"

void learn_file(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u32 file)
{
	const struct world_file *known = file_get(tracker->world, vma->file);
	u32 old = vma->file;

	if (old == file)
		return;
	if (known && known->provisional)
		cache_merge(tracker->world, old, file);
	else if (old || !vma->implicit)
		mark_mm(tracker, mm, RF_REASON_file_mismatch);
	if (!old) {
		vma->file = file;
		return;
	}
	/* Every piece of that mapping, and whatever else was made from the same descriptor. */
	for (u32 i = 0; i < mm->world.nr_vmas; i++)
		if (mm->world.vmas[i]->file == old)
			mm->world.vmas[i]->file = file;
}

#define FAULT_AROUND 16

/*
 * The page a fault-around window begins with: an aligned one, unless the VMA begins later. Then it is the one that
 * goes with the file's page, as linkers align segments (to 64 KiB for arm64, whatever the size of a page).
 */
static u64 window_base(u64 vpn, u64 first, u64 last)
{
	u64 base = ALIGN_DOWN(vpn, FAULT_AROUND);

	if (vpn - base > last - first)
		base += first % FAULT_AROUND;
	return base <= vpn && vpn - base <= last - first ? base : vpn;
}

/* A page whose VMA was made up turns out to map a file: make up the neighbours the window tells of. */
void adopt_file(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u32 file, u64 first, u64 last)
{
	struct world_vma piece = { .file = file, .flags = RF_VM_READ | RF_VM_EXEC, .implicit = true };
	u64 around = FAULT_AROUND, base = window_base(vpn, first, last);
	struct rf_op *op;

	world_zap(tracker->world, &mm->world, vpn, vpn + 1);
	world_vma_remove(tracker->world, &mm->world, vpn << tracker->page_shift, (vpn + 1) << tracker->page_shift);
	for (u64 index = first; index <= last && index - first < around; index++) {
		u64 at = base + index - first;

		piece.start = at << tracker->page_shift;
		piece.end = piece.start + BIT_ULL(tracker->page_shift);
		piece.pgoff = index;
		if (world_vma_overlaps(&mm->world, piece.start, piece.end))
			continue;
		if (at != vpn) {
			map_vma(tracker, mm, &piece);
			continue;
		}
		op = emit(tracker, RF_OP_VMA_FLAGS, mm);
		op->addr = piece.start;
		op->end = piece.end;
		op->vm_flags = piece.flags;
		op->aux = RF_VM_WRITE;
		world_vma_insert(tracker->world, &mm->world, &piece);
	}
}

/* The only VMA that maps this index of the file, or NULL. */
struct world_vma *vma_by_file(const struct rf_tracker *tracker, struct tracked_mm *mm, u32 file, u64 index)
{
	struct world_vma *found = NULL;

	for (u32 i = 0; i < mm->world.nr_vmas; i++) {
		struct world_vma *vma = mm->world.vmas[i];
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
