// SPDX-License-Identifier: MIT
/*
 * Write faults that keep their page: wp_page_reuse() of mm/memory.c; kernel-model.md 4.3. And an idea that no kernel
 * has, reuse_around: what is found to be ours alone becomes writable beside the page that was written to.
 */
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/reuse.h"
#include "engine/tlb.h"

/* Entries that map a folio in line, as far as the knob, the VMA and the table let a fault reach. */
struct reach {
	u64 start, end;
};

static struct reach reach_of(const struct mm *mm, const struct vm_area *vma, u64 addr, pte_t pte)
{
	enum rf_reuse_around scope = mm_knobs(mm)->reuse_around;
	u64 size = scope == REUSE_AROUND_BLOCK ? mm->arch.geometry->cont_ptes : 1ull << pte_folio_order(pte);
	u64 start = addr - (pte_pfn(pte) & (size - 1)) * page_size(mm), table = ALIGN_DOWN(addr, pmd_size(mm));

	if (scope == REUSE_AROUND_BLOCK && size > 1ull << pte_folio_order(pte))
		return (struct reach){ addr, addr };
	return (struct reach){
		max_u64(max_u64(start, vma->start), table),
		min_u64(min_u64(start + size * page_size(mm), vma->end), table + pmd_size(mm)),
	};
}

/* The run of entries alike that the one at addr is in: found from the start of its reach, as walks find it. */
static struct reach run_of(struct mm *mm, struct reach reach, u64 addr, pte_t *ptep)
{
	unsigned int shift = mm->arch.geometry->page_shift;
	struct pte_batch seen = { 0 };
	u64 at = reach.start;
	u32 nr;

	for (; at < reach.end; at += (u64)nr << shift) {
		pte_t *first = ptep - ((addr - at) >> shift), pte = read_pte(mm, at, first, RF_SITE_do_wp_page);

		nr = 1;
		if (pte_present(pte))
			nr = folio_pte_batch(mm, at, first, pte, (reach.end - at) >> shift, FPB_NORECENCY, &seen);
		if (addr < at + ((u64)nr << shift))
			return (struct reach){ at, at + ((u64)nr << shift) };
	}
	return (struct reach){ addr, addr };
}

/*
 * The entry that faults, and its neighbours, are cleared and set as mprotect() would: a block that is covered whole is
 * neither unfolded nor folded. alone: the fault has found that nobody else maps the folio, so that its other pages need
 * not be exclusive already. They stay as exclusive as they were until a write to them would have made them so
 * (reuse_happened()). False: there is nothing around.
 */
static bool reuse_around(struct mm *mm, const struct vm_area *vma, u64 addr, pte_t *ptep, bool alone)
{
	const struct arch_ops *ops = mm->arch.ops;
	unsigned int shift = mm->arch.geometry->page_shift;
	struct exclusive_run exclusive;
	u32 before = 0, nr;
	struct reach run;
	pte_t old, entry;

	if (!mm_knobs(mm)->reuse_around || !pte_folio_order(*ptep) || (ptep->val & PTE_UFFD) || !(ptep->val & PTE_ANON))
		return false;
	run = run_of(mm, reach_of(mm, vma, addr, *ptep), addr, ptep);
	while (addr - ((u64)before << shift) > run.start && (alone || ptep[-(s64)before - 1].val & PTE_EXCLUSIVE))
		before++;
	for (nr = before + 1; addr + ((u64)(nr - before) << shift) < run.end; nr++)
		if (!alone && !(ptep[nr - before].val & PTE_EXCLUSIVE))
			break;
	if (count_run(mm, RF_RUN_reuse_around, nr, true) == 1)
		return false;
	addr -= (u64)before << shift;
	ptep -= before;
	exclusive_save(&exclusive, ptep, nr);
	old = ops->modify_prot_start_ptes(&mm->arch, addr, ptep, nr);
	entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(old)), vma);
	ops->modify_prot_commit_ptes(&mm->arch, addr, ptep, old, entry, nr);
	exclusive_restore(&exclusive, ptep, nr);
	if (ops->pte_needs_flush(&mm->arch, old, entry))
		flush_tlb_ptes(mm, addr, addr + ((u64)nr << shift),
			       mm->arch.knobs->reuse_flush_local ? FLUSH_LOCAL : FLUSH_SYNC);
	update_mmu_cache(mm, addr, nr);
	return true;
}

/* The write went through here: an earlier fault has made the page writable. */
bool reuse_happened(struct rf_machine *machine, const struct rf_op *op)
{
	struct mm *mm = machine_mm(machine, op->mm);
	pmd_t *pmd = mm ? pmd_offset(mm, op->addr) : NULL;
	pte_t *ptep;

	if (!pmd || !pmd_table(*pmd))
		return false;
	ptep = pte_offset(mm, pmd, op->addr);
	if (!pte_valid(*ptep) || !pte_hw_dirty(*ptep) || !pte_folio_order(*ptep) || !(ptep->val & PTE_ANON))
		return false;
	ptep->val |= PTE_EXCLUSIVE;
	return true;
}

/* do_wp_page() on a page that is ours alone, or shared: wp_page_reuse(). */
void op_fault_reuse(struct mm *mm, const struct rf_op *op)
{
	const struct arch_ops *ops = mm->arch.ops;
	u64 addr = ALIGN_DOWN(op->addr, page_size(mm));
	struct vm_area *vma = vma_of_fault(mm, addr, false);
	pmd_t *pmd = pmd_offset(mm, addr);
	pte_t *ptep, entry;
	bool alone;

	if (!vma)
		return;
	if (!pmd || pmd_none(*pmd)) {
		count_anomaly(mm->machine, RF_ANOMALY_missing_pte);
		return;
	}
	if (pmd_leaf(*pmd)) {
		/* do_huge_pmd_wp_page() */
		entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(pmd_pte(*pmd))), vma);
		if (entry.val & PTE_ANON)
			entry.val |= PTE_EXCLUSIVE;
		if (entry.val != pmd_pte(*pmd).val)
			ops->flush_pmd_access(&mm->arch, addr);
		set_pmd_leaf(pmd, entry);
		update_mmu_cache(mm, addr, 1);
		return;
	}
	ptep = pte_offset(mm, pmd, addr);
	read_pte_lockless(mm, addr, ptep, RF_SITE_fault_entry);
	entry = read_pte(mm, addr, ptep, RF_SITE_fault_recheck);
	if (!pte_present(entry)) {
		count_anomaly(mm->machine, RF_ANOMALY_missing_pte);
		return;
	}
	read_pte(mm, addr, ptep, RF_SITE_do_wp_page);
	alone = !(ptep->val & PTE_EXCLUSIVE);
	if (ptep->val & PTE_ANON)
		ptep->val |= PTE_EXCLUSIVE;
	if (entry.val & PTE_UFFD) {
		/* userfaultfd_wp_async(): the fault resolves it itself. */
		entry.val &= ~PTE_UFFD;
		set_pte_at(mm, addr, ptep, entry);
	}
	entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(entry)), vma);
	if (reuse_around(mm, vma, addr, ptep, alone))
		return;
	if (ops->ptep_set_access_flags(&mm->arch, addr, ptep, entry, true))
		update_mmu_cache(mm, addr, 1);
}
