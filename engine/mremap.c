// SPDX-License-Identifier: MIT
/*
 * Moving page tables: mremap() and the stack of execve(). mm/mremap.c,
 * fs/exec.c; kernel-model.md 4.7.
 */
#include <errno.h>

#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/hugetlb.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/tlb.h"

/* mremap_folio_pte_batch(): only where a hint promises that looking is worth it. */
static u32 move_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr)
{
	struct pte_batch seen = { 0 };

	u32 nr = 1;

	if (!mm_knobs(mm)->batch_mremap)
		return 1;
	if (max_nr > 1 && mm->arch.ops->pte_batch_hint(&mm->arch, addr, pte) > 1 && pte_folio_order(pte))
		nr = folio_pte_batch(mm, addr, ptep, pte, max_nr, FPB_RESPECT_WRITE | FPB_NORECENCY, &seen);
	return count_run(mm, RF_RUN_batch_mremap, nr, nr > 1);
}

static void move_ptes(struct mm *mm, pte_t *old_ptep, u64 old_addr, u64 old_end, pte_t *new_ptep, u64 new_addr)
{
	const struct arch_ops *ops = mm->arch.ops;
	unsigned int shift = mm->arch.geometry->page_shift;
	u64 start = old_addr;
	bool force_flush = false;
	u32 nr;

	flush_tlb_batched_pending(mm);
	for (; old_addr < old_end; old_ptep += nr, new_ptep += nr, old_addr += (u64)nr << shift,
				   new_addr += (u64)nr << shift) {
		u32 max_nr = (old_end - old_addr) >> shift;
		struct exclusive_run exclusive;
		pte_t pte;

		nr = skip_none_ptes(mm, old_ptep, max_nr, RF_SITE_mremap);
		if (nr)
			continue;
		nr = 1;
		pte = read_pte(mm, old_addr, old_ptep, RF_SITE_mremap);
		if (pte_present(pte)) {
			nr = move_batch(mm, old_addr, old_ptep, pte, max_nr);
			force_flush = true;
		}
		exclusive_save(&exclusive, old_ptep, nr);
		if (nr == 1)
			pte = ops->ptep_get_and_clear(&mm->arch, old_addr, old_ptep);
		else
			pte = ops->get_and_clear_full_ptes(&mm->arch, old_addr, old_ptep, nr, false);
		ops->set_ptes(&mm->arch, new_addr, new_ptep, pte, nr);
		exclusive_restore(&exclusive, new_ptep, nr);
	}
	if (force_flush)
		flush_tlb_range(mm, start, old_end);
}

/* CONFIG_HAVE_MOVE_PUD; and do both sides come to the boundaries of directories together? */
static bool moves_puds(const struct mm *mm, u64 old_addr, u64 new_addr)
{
	return mm_knobs(mm)->move_pud && mm->arch.ops->moves_puds && mm->arch.geometry->levels > 2 &&
	       !((old_addr ^ new_addr) & (pud_size(mm) - 1));
}

/* move_normal_pud() */
static bool move_pud(struct mm *mm, u64 old_addr, u64 new_addr)
{
	if (!pud_move(mm, new_addr, old_addr))
		return false;
	flush_tlb_range(mm, old_addr, old_addr + pud_size(mm));
	return true;
}

/* move_normal_pmd(), move_huge_pmd() */
static bool move_pmd(struct mm *mm, pmd_t *old_pmd, u64 old_addr, pmd_t *new_pmd, u64 new_addr)
{
	bool leaf = pmd_leaf(*old_pmd), present = !leaf || pte_present(pmd_pte(*old_pmd));

	if (!pmd_none(*new_pmd))
		return false;
	pmd_move(mm, new_pmd, new_addr, old_pmd);
	if (leaf && present)
		flush_pmd_tlb_range(mm, old_addr, old_addr + pmd_size(mm));
	else if (present)
		flush_tlb_range(mm, old_addr, old_addr + pmd_size(mm));
	return true;
}

struct move {
	u64 old_addr, new_addr, len;
	bool for_stack;
};

static bool range_is_free(struct mm *mm, u64 start, u64 end)
{
	const struct vm_area *vma = vma_find(mm, start);

	return !vma || vma->start >= end;
}

/* can_align_down(): below the start of the VMA must be nothing down to the boundary. */
static bool can_align_down(struct mm *mm, const struct move *move, u64 addr)
{
	const struct vm_area *vma = vma_lookup(mm, addr);
	u64 aligned = ALIGN_DOWN(addr, pmd_size(mm));

	if (!vma)
		return false;
	if (move->for_stack)
		return aligned >= vma->start || range_is_free(mm, aligned, vma->start);
	return vma->start == addr && range_is_free(mm, aligned, vma->start);
}

/* try_realign_addr() of 6.7 */
static void try_realign(struct mm *mm, struct move *move)
{
	u64 mask = pmd_size(mm) - 1, down = move->old_addr & mask;

	if (!mm_knobs(mm)->mremap_realign || !down)
		return;
	if (move->len < pmd_size(mm) - down || down != (move->new_addr & mask))
		return;
	if (!can_align_down(mm, move, move->old_addr) || !can_align_down(mm, move, move->new_addr))
		return;
	move->old_addr -= down;
	move->new_addr -= down;
	move->len += down;
}

/* Below a directory: [old_addr, old_end) is in one, or it does not matter. */
static int move_pmds(struct mm *mm, u64 old_addr, u64 old_end, u64 new_addr)
{
	u64 size = pmd_size(mm), distance = new_addr - old_addr, extent;

	for (; old_addr < old_end; old_addr += extent) {
		pmd_t *old_pmd, *new_pmd;
		u64 at = old_addr;

		/* get_extent(): up to the next boundary of either side. Empty stretches are stepped over whole. */
		old_pmd = pmd_next(mm, &at, old_end);
		if (!old_pmd)
			return 0;
		old_addr = at;
		new_addr = old_addr + distance;
		extent = min_u64(pmd_addr_end(mm, old_addr, old_end) - old_addr,
				 ALIGN_DOWN(new_addr, size) + size - new_addr);
		new_pmd = pmd_alloc(mm, new_addr);
		if (!new_pmd)
			return -ENOMEM;
		if (extent == size && move_pmd(mm, old_pmd, old_addr, new_pmd, new_addr))
			continue;
		if (pmd_leaf(*old_pmd) && split_huge_pmd(mm, vma_lookup(mm, old_addr), old_pmd, old_addr))
			return -ENOMEM;
		if (pmd_leaf(*new_pmd) && split_huge_pmd(mm, vma_lookup(mm, new_addr), new_pmd, new_addr))
			return -ENOMEM;
		if (pmd_none(*old_pmd))
			continue;
		if (!pte_alloc(mm, new_pmd, new_addr))
			return -ENOMEM;
		move_ptes(mm, pte_offset(mm, old_pmd, old_addr), old_addr, old_addr + extent,
			  pte_offset(mm, new_pmd, new_addr), new_addr);
	}
	return 0;
}

static void move_page_tables(struct mm *mm, struct move move)
{
	u64 addr, end, next;
	bool puds;

	try_realign(mm, &move);
	puds = moves_puds(mm, move.old_addr, move.new_addr);
	for (addr = move.old_addr, end = addr + move.len; addr < end; addr = next) {
		u64 new_addr = move.new_addr + (addr - move.old_addr);

		next = puds ? min_u64(ALIGN_DOWN(addr, pud_size(mm)) + pud_size(mm), end) : end;
		if (puds && next - addr == pud_size(mm) && move_pud(mm, addr, new_addr))
			continue;
		if (move_pmds(mm, addr, next, new_addr))
			return;
	}
}

/* copy_vma() of the part from start on: anonymous memory never touched gets the page offsets of its new place. */
static int copy_vma(struct mm *mm, const struct vm_area *vma, u64 start, u64 new_start, u64 new_end)
{
	struct vm_area copy = *vma;

	copy.pgoff += (start - vma->start) >> mm->arch.geometry->page_shift;
	copy.start = new_start;
	copy.end = new_end;
	if (!copy.file && !copy.anon_vma)
		copy.pgoff = new_start >> mm->arch.geometry->page_shift;
	return vma_insert(mm, &copy) ? 0 : -ENOMEM;
}

/* What mremap() unmaps on the way counts apart from the move. */
static int unmap_for_mremap(struct mm *mm, u64 start, u64 end)
{
	enum rf_row row;
	int err;

	if (start >= end || range_is_free(mm, start, end))
		return 0;
	row = machine_set_row(mm->machine, mm, RF_ROW_zap_mremap);
	mm->machine->stats.operations[RF_ROW_zap_mremap]++;
	err = do_munmap(mm, start, end);
	machine_set_row(mm->machine, mm, row);
	return err;
}

/* move_vma() for each VMA of [start, end); the last one gets what the area grows by. */
static int move_vmas(struct mm *mm, u64 start, u64 end, u64 new_start, u64 new_end)
{
	u64 at = start, stop;
	int err;

	while (at < end && !range_is_free(mm, at, end)) {
		struct vm_area part = *vma_find(mm, at);

		at = max_u64(at, part.start);
		stop = min_u64(part.end, end);
		err = copy_vma(mm, &part, at, new_start + (at - start),
			       stop == end ? new_end : new_start + (stop - start));
		if (err)
			return err;
		if (part.flags & RF_VM_HUGETLB)
			move_huge_pages(mm, at, stop, new_start + (at - start));
		move_page_tables(mm, (struct move){ .old_addr = at, .new_addr = new_start + (at - start),
						    .len = stop - at });
		at = stop;
	}
	return 0;
}

/* dontunmap_complete(): what was left behind is not locked, and a VMA that was moved whole as if never touched. */
static void dontunmap_complete(struct mm *mm, u64 start, u64 end)
{
	for (struct vm_area *vma = vma_find(mm, start); vma && vma->start < end; vma = vma_next(vma)) {
		vma->flags &= ~(u32)RF_VM_LOCKED;
		vma->attributes &= ~RF_ATTRIBUTE_LOCKONFAULT;
		if (vma->start >= start && vma->end <= end) {
			vma->anon_vma = 0;
			vma->anon_chain_shared = false;
		}
	}
}

/*
 * mremap() that moves: what follows the kept length is unmapped, and what is in the way (mremap_to()), then the VMAs
 * are copied, entries moved, old VMAs unmapped.
 */
static int do_mremap(struct mm *mm, const struct rf_op *op)
{
	u64 start = op->addr, end = op->end;
	u64 new_len = op->nr ? (u64)op->nr << mm->arch.geometry->page_shift : end - start;
	u64 new_start = op->addr2, new_end = new_start + new_len;
	int err;

	if (new_len < end - start) {
		err = unmap_for_mremap(mm, start + new_len, end);
		if (err)
			return err;
		end = start + new_len;
	}
	if (new_start < end && start < new_end) {
		count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
		return 0;
	}
	err = unmap_for_mremap(mm, new_start, new_end);
	if (err)
		return err;
	if (range_is_free(mm, start, end))
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
	err = move_vmas(mm, start, end, new_start, new_end);
	if (err)
		return err;
	if (op->flags & RF_OP_DONTUNMAP) {
		dontunmap_complete(mm, start, end);
		return 0;
	}
	return do_munmap(mm, start, end);
}

void op_mremap(struct mm *mm, const struct rf_op *op)
{
	mm_error(mm, do_mremap(mm, op));
}

/*
 * shift_arg_pages(): the stack VMA made at exec covers both places while the entries move down, then the tables of
 * the old place go.
 */
void op_exec_stack(struct mm *mm, const struct rf_op *op)
{
	u64 shift, new_start, ceiling;
	struct vm_area *vma = vma_lookup(mm, op->addr);
	struct mmu_gather tlb;

	if (!vma || op->addr2 > op->end) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	shift = op->end - op->addr2;
	if (!shift || shift > vma->start)
		return;
	new_start = vma->start - shift;
	if (vma_prev(vma) && vma_prev(vma)->end > new_start) {
		count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
		return;
	}
	vma->start = new_start;
	move_page_tables(mm, (struct move){ .old_addr = new_start + shift, .new_addr = new_start,
					    .len = vma->end - new_start - shift, .for_stack = true });
	ceiling = vma_next(vma) ? vma_next(vma)->start : 0;
	tlb_gather_mmu(&tlb, mm);
	free_pgd_range(&tlb, max_u64(vma->end - shift, new_start + shift), vma->end, vma->end - shift, ceiling);
	tlb_finish_mmu(&tlb);
	vma->end -= shift;
}
