// SPDX-License-Identifier: MIT
/*
 * What faults and GUP put into anonymous entries: new folios, copies, the zero
 * page; the allocations they come from, and the VMAs they lie in.
 */
#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/tracking.h"

/* How long after another thread's effect a fault on the same entry may still be a loser of the same race. */
#define RACE_NS 100000
/* How far below the stack a fault may grow it. */
#define STACK_GROWTH_MAX BIT_ULL(30)

/* ---- allocations ------------------------------------------------------------ */

void push_alloc(struct task *task, u64 pfn, u32 order)
{
	if (task->nr_allocs == TASK_ALLOCS) {
		memmove(task->allocs, task->allocs + 1, (TASK_ALLOCS - 1) * sizeof(*task->allocs));
		task->nr_allocs--;
	}
	task->allocs[task->nr_allocs++] = (struct task_alloc){ pfn, order };
}

static void remove_alloc(struct task *task, u32 at)
{
	memmove(task->allocs + at, task->allocs + at + 1, (task->nr_allocs - at - 1) * sizeof(*task->allocs));
	task->nr_allocs--;
}

bool take_alloc(struct task *task, u64 pages, struct task_alloc *alloc)
{
	u32 at = task->nr_allocs;

	if (!at)
		return false;
	for (u32 i = task->nr_allocs; i-- > 0;) {
		if (BIT_ULL(task->allocs[i].order) == pages) {
			at = i + 1;
			break;
		}
	}
	*alloc = task->allocs[at - 1];
	remove_alloc(task, at - 1);
	return true;
}

bool drop_alloc(struct task *task, u64 pfn)
{
	for (u32 i = 0; i < task->nr_allocs; i++) {
		if (task->allocs[i].pfn == pfn) {
			remove_alloc(task, i);
			return true;
		}
	}
	return false;
}

/* ---- VMAs ------------------------------------------------------------------------ */

static struct world_vma *grow_stack(struct rf_tracker *tracker, struct world_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_next(mm, addr, NULL);
	u64 start = ALIGN_DOWN(addr, BIT_ULL(tracker->page_shift));
	struct rf_op *op;

	if (!vma || !(vma->flags & RF_VM_GROWSDOWN) || vma->end - addr > STACK_GROWTH_MAX)
		return NULL;
	op = emit(tracker, RF_OP_VMA_GROW, mm);
	op->addr = start;
	op->end = vma->start;
	vma->pgoff -= (vma->start - start) >> tracker->page_shift;
	vma->start = start;
	return vma;
}

struct world_vma *fault_vma(struct rf_tracker *tracker, struct world_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_find(mm, addr), guess;

	if (!vma)
		vma = grow_stack(tracker, mm, addr);
	if (vma)
		return vma;
	memset(&guess, 0, sizeof(guess));
	guess.start = ALIGN_DOWN(addr, BIT_ULL(tracker->page_shift));
	guess.end = guess.start + BIT_ULL(tracker->page_shift);
	guess.pgoff = vpn_of(tracker, addr);
	guess.flags = RF_VM_READ | RF_VM_WRITE;
	guess.implicit = true;
	tracker->fidelity.inferred.vma_implicit++;
	return map_vma(tracker, mm, &guess, RF_WHY_NONE);
}

struct world_vma *written_vma(struct rf_tracker *tracker, struct world_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_find(mm, addr);
	u64 start = ALIGN_DOWN(addr, BIT_ULL(tracker->page_shift));
	struct rf_op *op;

	if (!vma || !vma->implicit || vma->flags & RF_VM_WRITE)
		return vma;
	op = emit(tracker, RF_OP_VMA_FLAGS, mm);
	op->addr = start;
	op->end = start + BIT_ULL(tracker->page_shift);
	op->vm_flags = RF_VM_WRITE;
	world_vma_set_flags(tracker->world, mm, op->addr, op->end, RF_VM_WRITE, 0);
	return world_vma_find(mm, addr);
}

bool is_private_writable(const struct world_vma *vma)
{
	return (vma->flags & (RF_VM_WRITE | RF_VM_SHARED)) == RF_VM_WRITE;
}

/* ---- effects ---------------------------------------------------------------------- */

void note_recent(const struct rf_tracker *tracker, struct world_mm *mm, u64 vpn)
{
	if (mm->users < 2)
		return;
	mm->reused_vpn[mm->reused_next] = vpn;
	mm->reused_time[mm->reused_next] = tracker->time;
	mm->reused_next = (u8)((mm->reused_next + 1) % ARRAY_SIZE(mm->reused_vpn));
}

bool was_recent(const struct rf_tracker *tracker, const struct world_mm *mm, u64 vpn)
{
	for (size_t i = 0; i < ARRAY_SIZE(mm->reused_vpn); i++)
		if (mm->reused_vpn[i] == vpn && tracker->time - mm->reused_time[i] < RACE_NS)
			return true;
	return false;
}

/* A folio is mapped whole only where its VMA holds all of it: more of a VMA that no record told. */
static struct world_vma *widen_implicit(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn,
					u64 base, u64 nr)
{
	struct world_vma piece = *vma;

	for (u64 at = base; at < base + nr; at++) {
		piece.start = at << tracker->page_shift;
		piece.end = (at + 1) << tracker->page_shift;
		piece.pgoff = at;
		if (!world_vma_overlaps(mm, piece.start, piece.end))
			map_vma(tracker, mm, &piece, RF_WHY_NONE);
	}
	return world_vma_find(mm, vpn << tracker->page_shift);
}

void set_anon(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	      u16 op_flags)
{
	u64 nr = BIT_ULL(order), base = ALIGN_DOWN(vpn, nr), flags = WORLD_EXCLUSIVE;
	bool replaces = world_pte_present(world_get(mm, vpn));
	struct rf_op *op;

	if (order && vma->implicit && !vma->file)
		vma = widen_implicit(tracker, mm, vma, vpn, base, nr);
	if (!vma)
		return;
	if (vma->flags & RF_VM_WRITE)
		flags |= WORLD_WRITE;
	folio_set(tracker->world, pfn, order);
	for (u64 i = 0; i < nr; i++)
		world_set(tracker->world, mm, base + i, world_mkpte(WORLD_ANON, pfn + i, flags));
	vma->anon_vma = true;
	note_recent(tracker, mm, vpn);
	/* do_cow_fault(), do_huge_zero_wp_pmd(); else do_anonymous_page(). */
	op = emit(tracker, vma->file || replaces ? RF_OP_FAULT_COW : RF_OP_FAULT_ANON, mm);
	op->addr = (op->kind == RF_OP_FAULT_COW && !order ? vpn : base) << tracker->page_shift;
	op->pfn = pfn;
	op->order = (u8)order;
	op->nr = (u32)nr;
	op->flags = op_flags | RF_OP_WRITE;
}

void copy_page(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u16 op_flags)
{
	u64 flags = WORLD_EXCLUSIVE | (vma->flags & RF_VM_WRITE ? WORLD_WRITE : 0);
	struct rf_op *op;

	folio_set(tracker->world, pfn, 0);
	world_set(tracker->world, mm, vpn, world_mkpte(WORLD_ANON, pfn, flags));
	vma->anon_vma = true;
	note_recent(tracker, mm, vpn);
	op = emit(tracker, RF_OP_FAULT_COW, mm);
	op->addr = vpn << tracker->page_shift;
	op->pfn = pfn;
	op->nr = 1;
	op->flags = op_flags | RF_OP_WRITE;
}

/* do_huge_pmd_anonymous_page() for a read: the huge zero page, where the table is empty and the VMA may be huge. */
static bool may_be_huge_zero(struct rf_tracker *tracker, struct world_mm *mm, const struct world_vma *vma, u64 vpn)
{
	u64 nr = BIT_ULL(tracker->pmd_order), base = ALIGN_DOWN(vpn, nr), pfn;
	bool wanted = tracker->thp_always ? !(vma->flags & RF_VM_NOHUGEPAGE)
					  : tracker->thp_madvise && (vma->flags & RF_VM_HUGEPAGE);

	return wanted && !vma->file && base >= vpn_of(tracker, vma->start) &&
	       base + nr <= vpn_of(tracker, vma->end) && world_range_none(mm, base, nr) &&
	       kernel_page(tracker, RF_KERNEL_PAGE_HUGE_ZERO, 0, &pfn);
}

void set_zero(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u16 op_flags)
{
	u64 pfn = 0, nr = 1, base = vpn;
	struct rf_op *op;

	kernel_page(tracker, RF_KERNEL_PAGE_ZERO, 0, &pfn);
	if (may_be_huge_zero(tracker, mm, vma, vpn)) {
		nr = BIT_ULL(tracker->pmd_order);
		base = ALIGN_DOWN(vpn, nr);
		kernel_page(tracker, RF_KERNEL_PAGE_HUGE_ZERO, 0, &pfn);
	}
	for (u64 i = 0; i < nr; i++)
		world_set(tracker->world, mm, base + i, world_mkpte(WORLD_ZERO, nr > 1 ? pfn + i : pfn, 0));
	tracker->fidelity.inferred.zero_page++;
	op = emit(tracker, RF_OP_FAULT_ZERO, mm);
	op->addr = base << tracker->page_shift;
	op->pfn = pfn;
	op->nr = (u32)nr;
	op->order = nr > 1 ? (u8)tracker->pmd_order : 0;
	op->flags = op_flags | RF_OP_INFERRED;
}
