// SPDX-License-Identifier: MIT
/* What faults and GUP put into anonymous entries: new folios, copies, the zero page, pages from swap. */
#include "replay/tracker/effects/anon.h"

#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/tracking.h"

/* How long after another thread's effect a fault on the same entry may still be a loser of the same race. */
#define RACE_NS 100000

void note_recent(const struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u64 nr)
{
	if (mm->users < 2)
		return;
	mm->recent[mm->recent_next].vpn = vpn;
	mm->recent[mm->recent_next].nr = nr;
	mm->recent[mm->recent_next].time = tracker->time;
	mm->recent_next = (u8)((mm->recent_next + 1) % ARRAY_SIZE(mm->recent));
}

bool was_recent(const struct rf_tracker *tracker, const struct tracked_mm *mm, u64 vpn)
{
	for (size_t i = 0; i < ARRAY_SIZE(mm->recent); i++)
		if (vpn - mm->recent[i].vpn < mm->recent[i].nr && tracker->time - mm->recent[i].time < RACE_NS)
			return true;
	return false;
}

/* A folio is mapped whole only where its VMA holds all of it: more of a VMA that no record told. */
static struct world_vma *widen_implicit(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma,
					u64 vpn, u64 base, u64 nr)
{
	struct world_vma piece = *vma;

	for (u64 at = base; at < base + nr; at++) {
		piece.start = at << tracker->page_shift;
		piece.end = (at + 1) << tracker->page_shift;
		piece.pgoff = at;
		if (!world_vma_overlaps(&mm->world, piece.start, piece.end))
			map_vma(tracker, mm, &piece);
	}
	return world_vma_find(&mm->world, vpn << tracker->page_shift);
}

void set_anon(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	      u16 op_flags)
{
	u64 nr = BIT_ULL(order), base = ALIGN_DOWN(vpn, nr), flags = WORLD_EXCLUSIVE;
	bool replaces = world_pte_present(world_get(&mm->world, vpn));
	struct rf_op *op;

	if (order && vma->implicit && !vma->file)
		vma = widen_implicit(tracker, mm, vma, vpn, base, nr);
	if (!vma)
		return;
	if (vma->flags & RF_VM_WRITE)
		flags |= WORLD_WRITE;
	folio_set(tracker->world, pfn, order);
	if (order < tracker->pmd_order)
		world_split_huge_zero(tracker->world, &mm->world, vpn);
	world_set_pages(tracker->world, &mm->world, base, world_mkpte(WORLD_ANON, pfn, flags), nr);
	world_vma_anon_prepare(tracker->world, &mm->world, vma);
	note_recent(tracker, mm, base, nr);
	/* do_cow_fault(), do_huge_zero_wp_pmd(); else do_anonymous_page(). */
	op = emit(tracker, vma->file || replaces ? RF_OP_FAULT_COW : RF_OP_FAULT_ANON, mm);
	op->addr = (op->kind == RF_OP_FAULT_COW && !order ? vpn : base) << tracker->page_shift;
	op->pfn = pfn;
	op->order = (u8)order;
	op->nr = (u32)nr;
	op->flags = op_flags | RF_OP_WRITE;
}

void copy_page(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u16 op_flags)
{
	u64 flags = WORLD_EXCLUSIVE | (vma->flags & RF_VM_WRITE ? WORLD_WRITE : 0);
	struct rf_op *op;

	folio_set(tracker->world, pfn, 0);
	world_split_huge_zero(tracker->world, &mm->world, vpn);
	world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_ANON, pfn, flags));
	world_vma_anon_prepare(tracker->world, &mm->world, vma);
	note_recent(tracker, mm, vpn, 1);
	op = emit(tracker, RF_OP_FAULT_COW, mm);
	op->addr = vpn << tracker->page_shift;
	op->pfn = pfn;
	op->nr = 1;
	op->flags = op_flags | RF_OP_WRITE;
}

/* do_huge_pmd_anonymous_page() for a read: the huge zero page, where the table is empty and the VMA may be huge. */
static bool may_be_huge_zero(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 vpn)
{
	u64 nr = BIT_ULL(tracker->pmd_order), base = ALIGN_DOWN(vpn, nr), pfn;
	bool wanted = tracker->thp_always ? !(vma->flags & RF_VM_NOHUGEPAGE)
					  : tracker->thp_madvise && (vma->flags & RF_VM_HUGEPAGE);

	return wanted && !vma->file && base >= vpn_of(tracker, vma->start) &&
	       base + nr <= vpn_of(tracker, vma->end) && world_range_none(&mm->world, base, nr) &&
	       kernel_page(tracker, RF_KERNEL_PAGE_HUGE_ZERO, 0, &pfn);
}

void set_zero(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u16 op_flags)
{
	u64 pfn = 0, nr = 1, base = vpn;
	struct rf_op *op;

	kernel_page(tracker, RF_KERNEL_PAGE_ZERO, 0, &pfn);
	if (may_be_huge_zero(tracker, mm, vma, vpn)) {
		nr = BIT_ULL(tracker->pmd_order);
		base = ALIGN_DOWN(vpn, nr);
		kernel_page(tracker, RF_KERNEL_PAGE_HUGE_ZERO, 0, &pfn);
		world_vma_anon_prepare(tracker->world, &mm->world, vma);	/* so fork copies it; a small one not */
	}
	for (u64 i = 0; i < nr; i++)
		world_set(tracker->world, &mm->world, base + i, world_mkpte(WORLD_ZERO, nr > 1 ? pfn + i : pfn, 0));
	note_recent(tracker, mm, base, nr);
	tracker->fidelity.inferred.zero_page++;
	op = emit(tracker, RF_OP_FAULT_ZERO, mm);
	op->addr = base << tracker->page_shift;
	op->pfn = pfn;
	op->nr = (u32)nr;
	op->order = nr > 1 ? (u8)tracker->pmd_order : 0;
	op->flags = op_flags | RF_OP_INFERRED;
}

void swap_in(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	     u64 nr, u16 op_flags)
{
	u64 base = nr > 1 ? vpn - (pfn & (nr - 1)) : vpn, first = nr > 1 ? ALIGN_DOWN(pfn, nr) : pfn;
	world_pte old = world_get(&mm->world, vpn);
	u64 flags = 0;
	struct rf_op *op;

	/* do_swap_page(): nobody else's entry, nobody else's page: ours alone, and writable at once. */
	if (world_pte_kind(old) == WORLD_SWAP && slot_entries(tracker->world, (u32)world_pte_pfn(old)) == 1) {
		flags = WORLD_EXCLUSIVE | (vma->flags & RF_VM_WRITE ? WORLD_WRITE : 0);
		op_flags |= RF_OP_EXCLUSIVE;
	} else {
		op_flags &= ~RF_OP_WRITE;	/* stays read-only; a copy may follow */
	}
	if (old & WORLD_UFFD_WP)
		flags = (flags & ~WORLD_WRITE) | WORLD_UFFD_WP;
	for (u64 i = 0; i < nr; i++) {
		old = world_get(&mm->world, base + i);
		if (world_pte_kind(old) == WORLD_SWAP)
			slot_set_cached(tracker->world, (u32)world_pte_pfn(old), first + i);
		world_set(tracker->world, &mm->world, base + i, world_mkpte(WORLD_ANON, first + i, flags));
	}
	world_vma_anon_prepare(tracker->world, &mm->world, vma);
	note_recent(tracker, mm, base, nr);
	op = emit(tracker, RF_OP_FAULT_SWAP, mm);
	op->addr = base << tracker->page_shift;
	op->pfn = first;
	op->order = (u8)order;
	op->nr = (u32)nr;
	op->flags = op_flags;
}
