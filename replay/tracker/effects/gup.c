// SPDX-License-Identifier: MIT
/*
 * get_user_pages(), and the huge pages of hugetlb that it walks. Huge pages come from a pool and are in no RSS counter,
 * so that their faults have no other event: the machines find out which of them map anything.
 */
#include "replay/tracker/effects/gup.h"

#include "engine/ops.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"

/* No machine has more huge pages; what a damaged trace claims is cut. */
#define GUP_HUGE_PAGES_MAX BIT_ULL(22)

u32 huge_shift_of(const struct rf_tracker *tracker, u64 told)
{
	/*
	 * Without a word about it: the default size, which is what a PMD maps unless the command line says otherwise.
	 */
	return told >= tracker->page_shift && told < 57 ? (u32)told : tracker->page_shift + tracker->pmd_order;
}

void fault_hugetlb(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 addr, u16 op_flags)
{
	struct rf_op *op = emit(tracker, RF_OP_FAULT_HUGETLB, mm);

	op->addr = ALIGN_DOWN(addr, BIT_ULL(vma->huge_shift));
	op->order = vma->huge_shift;
	op->flags = op_flags;
	if (!(vma->flags & RF_VM_SHARED))
		world_vma_anon_prepare(tracker->world, &mm->world, vma);
}

/* What GUP finds missing, it faults in. */
static void gup_faults_hugetlb(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 start,
			       u64 end, bool write)
{
	u64 size = BIT_ULL(vma->huge_shift), left = GUP_HUGE_PAGES_MAX, addr;

	for (addr = ALIGN_DOWN(start, size); addr < end && left; addr += size, left--)
		fault_hugetlb(tracker, mm, vma, addr, RF_OP_POPULATE | (write ? RF_OP_WRITE : 0));
}

/* GUP may look at this, and would find something there. */
static bool is_gettable(const struct world_vma *vma)
{
	return vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC) && !(vma->flags & (RF_VM_PFNMAP | RF_VM_SPECIAL));
}

void emit_gup(struct rf_tracker *tracker, struct tracked_mm *mm, u8 kind, u64 start, u64 end, bool write,
		     u32 array_pages)
{
	struct rf_op *op;

	for (u64 at = start; at < end;) {
		struct world_vma *vma = world_vma_next(&mm->world, at);

		if (!vma || vma->start >= end)
			break;
		if (vma->flags & RF_VM_HUGETLB && is_gettable(vma))
			gup_faults_hugetlb(tracker, mm, vma, max_u64(at, vma->start), min_u64(end, vma->end), write);
		at = vma->end;
	}
	op = emit(tracker, kind, mm);
	op->addr = start;
	op->end = end;
	op->nr = array_pages;
	op->flags = write ? RF_OP_WRITE : 0;
}

/* populate_vma_page_range(): each mapping by its own rules. */
void gup_populates(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, bool write, bool onfault)
{
	for (u64 at = start; at < end;) {
		struct world_vma *vma = world_vma_next(&mm->world, at);
		bool writes;

		if (!vma || vma->start >= end)
			return;
		writes = write && (vma->flags & (RF_VM_WRITE | RF_VM_SHARED)) == RF_VM_WRITE;
		if (is_gettable(vma) && (onfault || !(vma->attributes & RF_ATTRIBUTE_LOCKONFAULT)))
			emit_gup(tracker, mm, RF_OP_GUP_SLOW, max_u64(at, vma->start), min_u64(end, vma->end), writes,
				 0);
		at = vma->end;
	}
}
