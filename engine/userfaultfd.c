// SPDX-License-Identifier: MIT
/* What a userfaultfd does to entries that are there: mm/userfaultfd.c; kernel-model.md 4.11. */
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/mprotect.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/tlb.h"

/* ---- UFFDIO_MOVE ------------------------------------------------------------------- */

/* A move within one table on either side. */
struct table_move {
	struct mm *mm;
	const struct vm_area *vma;	/* at the new place */
	pte_t *src, *dst;
	u64 src_addr, dst_addr;
	u32 nr;
};

/* Exclusive, and dirty from now on. */
static pte_t moved_pte(const struct vm_area *vma, pte_t pte)
{
	if (pte_special(pte))
		return mk_pte(vma, pte_pfn(pte), 0, PTE_SPECIAL);
	return pte_mkwrite(pte_mkdirty(mk_pte(vma, pte_pfn(pte), pte_folio_order(pte), PTE_ANON | PTE_EXCLUSIVE)));
}

/* move_present_ptes(), move_zeropage_pte(), move_swap_pte(): one entry. True: its flush is the batch's. */
static bool move_pte(const struct table_move *move, u32 i)
{
	const struct arch_ops *ops = move->mm->arch.ops;
	struct mm *mm = move->mm;
	u64 offset = (u64)i << mm->arch.geometry->page_shift;
	pte_t old = move->src[i];
	bool batched = pte_present(old) && !pte_special(old) && mm_knobs(mm)->batch_uffd_move;

	if (!pte_present(old) || batched)
		old = ops->ptep_get_and_clear(&mm->arch, move->src_addr + offset, &move->src[i]);
	else
		old = ops->ptep_clear_flush(&mm->arch, move->src_addr + offset, &move->src[i]);
	set_pte_at(mm, move->dst_addr + offset, &move->dst[i], pte_present(old) ? moved_pte(move->vma, old) : old);
	return batched;
}

static void flush_moved(const struct table_move *move, u32 first, u32 end)
{
	unsigned int shift = move->mm->arch.geometry->page_shift;

	if (first < end)
		flush_tlb_range(move->mm, move->src_addr + ((u64)first << shift), move->src_addr + ((u64)end << shift));
}

/* move_pages_ptes(), which is called for each entry, or each batch of them. */
static void move_pages_ptes(const struct table_move *move)
{
	unsigned int shift = move->mm->arch.geometry->page_shift;
	u32 first = 0, i;

	for (i = 0; i < move->nr; i++) {
		u64 offset = (u64)i << shift;

		read_pte(move->mm, move->dst_addr + offset, &move->dst[i], RF_SITE_uffd_move);
		read_pte(move->mm, move->src_addr + offset, &move->src[i], RF_SITE_uffd_move);
		if (move->dst[i].val && move->src[i].val)
			count_anomaly(move->mm->machine, RF_ANOMALY_mapped_twice);
		if (!move->dst[i].val && move->src[i].val && move_pte(move, i))
			continue;
		flush_moved(move, first, i);
		first = i + 1;
	}
	flush_moved(move, first, i);
}

/* move_pages_huge_pmd() */
static void move_pages_huge_pmd(struct mm *mm, const struct vm_area *vma, pmd_t *src, pmd_t *dst, u64 src_addr,
				u64 dst_addr)
{
	pte_t old = pmd_pte(*src);

	pmd_move(mm, dst, dst_addr, src);
	if (!pte_present(old))
		return;
	set_pmd_leaf(dst, moved_pte(vma, old));
	flush_pmd_tlb_range(mm, src_addr, src_addr + pmd_size(mm));
}

/* What is mapped in [addr, end) goes to addr2, where nothing is; its VMAs stay. */
void op_uffd_move(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_of_fault(mm, op->addr2, false);
	u64 size = pmd_size(mm), addr = op->addr, next;
	pmd_t *src, *dst;

	if (!vma)
		return;
	vma_anon_prepare(mm, vma);
	for (; (src = pmd_next(mm, &addr, op->end)); addr = next) {
		u64 to = op->addr2 + (addr - op->addr);

		next = min_u64(pmd_addr_end(mm, addr, op->end), addr + (ALIGN_DOWN(to, size) + size - to));
		dst = pmd_alloc(mm, to);
		if (!dst)
			return;
		if (pmd_leaf(*dst)) {
			count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
			continue;
		}
		if (pmd_leaf(*src) && next - addr == size && pmd_none(*dst)) {
			move_pages_huge_pmd(mm, vma, src, dst, addr, to);
			continue;
		}
		if (pmd_leaf(*src) && split_huge_pmd(mm, vma_lookup(mm, addr), src, addr))
			return;
		if (pmd_none(*src))
			continue;
		if (!pte_alloc(mm, dst, to))
			return;
		move_pages_ptes(&(struct table_move){
			.mm = mm, .vma = vma, .src = pte_offset(mm, src, addr), .dst = pte_offset(mm, dst, to),
			.src_addr = addr, .dst_addr = to, .nr = (next - addr) >> mm->arch.geometry->page_shift });
	}
}

/* ---- UFFDIO_WRITEPROTECT ----------------------------------------------------------- */

/* mwriteprotect_range(): a gather for each VMA. */
void op_uffd_wp(struct mm *mm, const struct rf_op *op)
{
	enum change_protection how = op->flags & RF_OP_WRITE ? CHANGE_UFFD_WP_RESOLVE : CHANGE_UFFD_WP;
	const struct vm_area *vma;
	struct mmu_gather tlb;

	for (vma = vma_find(mm, op->addr); vma && vma->start < op->end; vma = vma_next(vma)) {
		tlb_gather_mmu(&tlb, mm);
		change_protection(&tlb, vma, max_u64(vma->start, op->addr), min_u64(vma->end, op->end), how);
		finish_protection(&tlb);
	}
}
