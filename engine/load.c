// SPDX-License-Identifier: MIT
/*
 * State found when a recording was attached (RF_OP_LOAD): entries are set as they were found, and counted apart, since
 * they were made before the recording began. How they had come about, folded or not, nothing tells: whole blocks are
 * born folded, as the faults that most likely made them would have left them. An entry that turns out never to have
 * been there is taken away in the same way.
 */
#include "engine/operations.h"
#include "engine/pgtable.h"

static u64 facts_of(const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_FAULT_FILE:
		return op->flags & RF_OP_SHMEM ? PTE_SHMEM : 0;
	case RF_OP_FAULT_ZERO:
		return PTE_SPECIAL;
	}
	return PTE_ANON | (op->flags & RF_OP_EXCLUSIVE ? PTE_EXCLUSIVE : 0);
}

static pte_t loaded_entry(const struct vm_area *vma, const struct rf_op *op)
{
	pte_t entry;

	if (op->kind == RF_OP_UNMAP_SWAP)
		return (pte_t){ PTE_SWAP | PTE_ANON | ((op->pfn << PTE_PFN_SHIFT) & PTE_PFN_MASK) };
	entry = mk_pte(vma, op->pfn, op->order, facts_of(op));
	return op->flags & RF_OP_WRITE ? maybe_mkwrite(pte_mkdirty(entry), vma) : entry;
}

/* A whole anonymous table that was one leaf: said by FAULT_ANON. */
static bool load_pmd(struct mm *mm, const struct vm_area *vma, const struct rf_op *op)
{
	pmd_t *pmd;

	if (op->kind != RF_OP_FAULT_ANON || op->nr != ptrs_per_pte(mm) || op->addr & (pmd_size(mm) - 1) ||
	    op->addr + pmd_size(mm) > vma->end)
		return false;
	pmd = pmd_alloc(mm, op->addr);
	if (!pmd || !pmd_none(*pmd))
		return false;
	set_pmd_leaf(pmd, loaded_entry(vma, op));
	return true;
}

/* nr entries of one table and, but for swap entries, one folio. */
static void load_ptes(struct mm *mm, const struct vm_area *vma, u64 addr, pte_t entry, u32 nr)
{
	pmd_t *pmd = pmd_alloc(mm, addr);
	pte_t *ptep;
	u32 i;

	if (!pmd || pmd_leaf(*pmd))
		return;
	ptep = pte_alloc(mm, pmd, addr);
	if (!ptep)
		return;
	for (i = 0; i < nr; i++)
		if (ptep[i].val)
			mm->arch.ops->pte_clear(&mm->arch, addr + i * page_size(mm), &ptep[i]);
	if (entry.val)
		mm->arch.ops->set_ptes(&mm->arch, addr, ptep, entry, nr);
}

void op_load(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_lookup(mm, op->addr);
	u64 addr = op->addr, end = op->addr + (u64)op->nr * page_size(mm), next;
	pte_t entry;

	if (!vma) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	if (op->kind == RF_OP_UNMAP_FILE) {
		load_ptes(mm, vma, addr, (pte_t){ 0 }, op->nr);
		return;
	}
	if (op->kind != RF_OP_FAULT_FILE && (op->kind != RF_OP_FAULT_ZERO || op->order))
		vma_anon_prepare(mm, vma);
	if (load_pmd(mm, vma, op))
		return;
	entry = loaded_entry(vma, op);
	for (end = min_u64(end, vma->end); addr < end; addr = next) {
		next = pmd_addr_end(mm, addr, end);
		load_ptes(mm, vma, addr, entry, (next - addr) / page_size(mm));
		entry = pte_advance_pfn(entry, (next - addr) / page_size(mm));
	}
}

/* What was loaded of one is found to be otherwise: nobody unmaps it, but its blocks are no more. */
void op_unload(struct mm *mm, const struct rf_op *op)
{
	u64 addr, end, next;
	pmd_t *pmd;

	for (const struct vm_area *vma = vma_tree_first(&mm->vmas); vma; vma = vma_next(vma)) {
		end = vma->end;
		for (addr = vma->start; (pmd = pmd_next(mm, &addr, end)); addr = next) {
			next = pmd_addr_end(mm, addr, end);
			if (pmd_leaf(*pmd))
				continue;
			load_ptes(mm, vma, addr, (pte_t){ 0 }, (u32)((next - addr) / page_size(mm)));
		}
	}
	machine_free_mm(mm->machine, mm);
}
