// SPDX-License-Identifier: MIT
/*
 * mprotect: mm/mprotect.c; kernel-model.md 4.6. A permission that a fault would
 * have to grant anyway is granted here where the kernel can tell
 * (can_change_pte_writable()), which decides later write faults.
 */
#include "engine/folio.h"
#include "engine/huge_mm.h"
#include "engine/hugetlb.h"
#include "engine/mprotect.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/repeat.h"
#include "engine/tlb.h"

/*
 * can_change_pte_writable(), and before 6.0 what dirty_accountable stood for; soft-dirty tracking is not modelled.
 */
static bool can_change_pte_writable(const struct mm *mm, const struct vm_area *vma, pte_t pte)
{
	enum rf_write_upgrade upgrade = mm_knobs(mm)->write_upgrade;

	if (pte_protnone(pte) || (pte.val & PTE_UFFD))
		return false;
	if ((vma->flags & RF_VM_SHARED) || upgrade == WRITE_UPGRADE_DIRTY)
		if (!pte_dirty(pte))
			return false;
	if (vma->flags & RF_VM_SHARED)
		return true;
	return upgrade != WRITE_UPGRADE_NONE && (pte.val & (PTE_ANON | PTE_EXCLUSIVE)) == (PTE_ANON | PTE_EXCLUSIVE);
}

/* MM_CP_TRY_CHANGE_WRITABLE: vma_wants_manual_pte_write_upgrade() */
static bool wants_write_upgrade(const struct vm_area *vma)
{
	return (vma->flags & RF_VM_WRITE) && !(vm_page_prot(vma) & PTE_WRITE);
}

/* change_protection_range() before 5.19: that something changed is enough for a flush of the VMA's whole range. */
static bool flushes_range(const struct mm *mm)
{
	return !mm_knobs(mm)->mprotect_gather;
}

/* prot_commit_flush_ptes() */
static void commit_ptes(struct mmu_gather *tlb, u64 addr, pte_t *ptep, pte_t old, pte_t pte, u32 nr)
{
	struct mm *mm = tlb->mm;

	mm->arch.ops->modify_prot_commit_ptes(&mm->arch, addr, ptep, old, pte, nr);
	if (flushes_range(mm) || mm->arch.ops->pte_needs_flush(&mm->arch, old, pte))
		tlb_flush_pte_range(tlb, addr, (u64)nr << mm->arch.geometry->page_shift);
}

/* commit_anon_folio_batch(): each stretch of equally exclusive pages gets its own commit. */
static void commit_by_exclusive(struct mmu_gather *tlb, u64 addr, pte_t *ptep, pte_t old, pte_t pte, u32 nr,
				const u64 *bits)
{
	unsigned int shift = tlb->mm->arch.geometry->page_shift;
	u32 i = 0, len;

	for (; i < nr; i += len) {
		bool exclusive = bits[i / 64] & BIT_ULL(i % 64);
		pte_t sub_old = pte_advance_pfn(old, i), sub = pte_advance_pfn(pte, i);

		for (len = 1; i + len < nr; len++)
			if (!(bits[(i + len) / 64] & BIT_ULL((i + len) % 64)) == exclusive)
				break;
		if (exclusive)
			sub = pte_mkwrite(sub);
		commit_ptes(tlb, addr + ((u64)i << shift), ptep + i, sub_old, sub, len);
	}
}

/* pte_mkuffd_wp(), pte_clear_uffd_wp(), of an entry that is there or of a swap entry. */
static pte_t change_uffd_wp(pte_t pte, enum change_protection how)
{
	if (how == CHANGE_UFFD_WP) {
		pte.val |= PTE_UFFD;
		return pte_present(pte) ? pte_wrprotect(pte) : pte;
	}
	if (how == CHANGE_UFFD_WP_RESOLVE)
		pte.val &= ~PTE_UFFD;
	return pte;
}

static void change_present_ptes(struct mmu_gather *tlb, const struct vm_area *vma, u64 addr, pte_t *ptep, u32 nr,
				enum change_protection how)
{
	struct mm *mm = tlb->mm;
	struct exclusive_run exclusive;
	pte_t old, pte;

	exclusive_save(&exclusive, ptep, nr);
	old = mm->arch.ops->modify_prot_start_ptes(&mm->arch, addr, ptep, nr);
	pte = change_uffd_wp(pte_modify_to(old, vma), how);
	if (wants_write_upgrade(vma) && !pte_write(pte)) {
		pte_t one = pte;

		one.val |= PTE_EXCLUSIVE;
		if (exclusive.mixed && !(vma->flags & RF_VM_SHARED) && can_change_pte_writable(mm, vma, one)) {
			commit_by_exclusive(tlb, addr, ptep, old, pte, nr, exclusive.bits);
			exclusive_restore(&exclusive, ptep, nr);
			return;
		}
		if (can_change_pte_writable(mm, vma, pte))
			pte = pte_mkwrite(pte);
	}
	commit_ptes(tlb, addr, ptep, old, pte, nr);
	exclusive_restore(&exclusive, ptep, nr);
}

/* A writable migration entry becomes a readable one. */
static void change_nonpresent_pte(struct mmu_gather *tlb, u64 addr, pte_t *ptep, pte_t pte, enum change_protection how)
{
	struct mm *mm = tlb->mm;
	pte_t changed = is_guard_marker(pte) ? pte : change_uffd_wp(pte, how);

	if (is_migration_entry(pte))
		changed.val &= ~PTE_WRITE;
	if (changed.val == pte.val)
		return;
	set_pte_at(mm, addr, ptep, changed);
	if (flushes_range(mm))
		tlb_flush_pte_range(tlb, addr, page_size(mm));
}

static void change_pte_range(struct repeat *repeat, const struct vm_area *vma, pmd_t *pmd, u64 addr, u64 end,
			     enum change_protection how)
{
	struct mmu_gather *tlb = repeat->tlb;
	struct mm *mm = tlb->mm;
	unsigned int shift = mm->arch.geometry->page_shift;
	pte_t *ptep = pte_offset(mm, pmd, addr);
	u32 nr;

	flush_tlb_batched_pending(mm);
	for (; addr < end; ptep += nr, addr += (u64)nr << shift) {
		u32 max_nr = (end - addr) >> shift;
		struct pte_batch seen = { 0 };
		pte_t pte;

		nr = repeat_folios(repeat, addr, ptep, NULL, max_nr);
		if (nr)
			continue;
		nr = skip_none_ptes(mm, ptep, max_nr, RF_SITE_mprotect);
		if (nr)
			continue;
		nr = 1;
		pte = read_pte(mm, addr, ptep, RF_SITE_mprotect);
		if (!pte_present(pte)) {
			change_nonpresent_pte(tlb, addr, ptep, pte, how);
			continue;
		}
		if (mm_knobs(mm)->batch_mprotect && pte_folio_order(pte) && max_nr > 1 && !pte_special(pte))
			nr = folio_pte_batch(mm, addr, ptep, pte, max_nr, FPB_RESPECT_WRITE | FPB_NORECENCY, &seen);
		if (mm_knobs(mm)->batch_mprotect)
			count_run(mm, RF_RUN_batch_mprotect, nr, pte_folio_order(pte));
		change_present_ptes(tlb, vma, addr, ptep, nr, how);
	}
}

/* change_huge_pmd() */
static void change_huge_pmd(struct mmu_gather *tlb, const struct vm_area *vma, pmd_t *pmd, u64 addr,
			    enum change_protection how)
{
	struct mm *mm = tlb->mm;
	pte_t old = pmd_pte(*pmd), pte;

	if (!pte_present(old)) {
		pmd->val &= ~PTE_WRITE;
		return;
	}
	pte = change_uffd_wp(pte_modify_to(old, vma), how);
	/* can_change_pmd_writable() is as old as the last rule for entries; pmdp_invalidate_ad() as the gather. */
	if (wants_write_upgrade(vma) && !pte_write(pte) && mm_knobs(mm)->write_upgrade == WRITE_UPGRADE_EXCLUSIVE &&
	    can_change_pte_writable(mm, vma, pte))
		pte = pte_mkwrite(pte);
	if (mm->arch.ops->invalidate_ad_flushes || flushes_range(mm))
		flush_pmd_tlb_range(mm, addr, addr + pmd_size(mm));
	set_pmd_leaf(pmd, pte);
	if (flushes_range(mm) || mm->arch.ops->pte_needs_flush(&mm->arch, old, pte))
		tlb_flush_pmd_range(tlb, addr, pmd_size(mm));
}

void change_protection(struct mmu_gather *tlb, const struct vm_area *vma, u64 addr, u64 end, enum change_protection how)
{
	struct mm *mm = tlb->mm;
	struct repeat repeat;
	u64 start = addr;
	pmd_t *pmd;

	repeat_begin(&repeat, mm, NULL, tlb);
	while ((pmd = pmd_next(mm, &addr, end))) {
		u64 next = pmd_addr_end(mm, addr, end);

		if (pmd_leaf(*pmd)) {
			if (next - addr == pmd_size(mm)) {
				change_huge_pmd(tlb, vma, pmd, addr, how);
				addr = next;
				continue;
			}
			if (split_huge_pmd(mm, vma, pmd, addr))
				return;
		}
		if (pmd_table(*pmd))
			change_pte_range(&repeat, vma, pmd, addr, next, how);
		addr = next;
	}
	if (!flushes_range(mm)) {
		tlb_end_vma(tlb, vma);
		return;
	}
	/* Nothing is gathered; what is noted says that something changed. */
	if (tlb->cleared_ptes || tlb->cleared_pmds)
		flush_tlb_range(mm, start, end);
	tlb_gather_mmu(tlb, mm);
}

void finish_protection(struct mmu_gather *tlb)
{
	if (!flushes_range(tlb->mm))
		tlb_finish_mmu(tlb);
}

void op_mprotect(struct mm *mm, const struct rf_op *op)
{
	const u32 access = RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC;
	bool gathers = mm_knobs(mm)->mprotect_gather;
	struct mmu_gather tlb;
	int err = split_vma(mm, op->addr, gathers);
	struct vm_area *vma;

	if (!err)
		err = split_vma(mm, op->end, gathers);
	mm_error(mm, err);
	if (err)
		return;
	tlb_gather_mmu(&tlb, mm);
	for (vma = vma_find(mm, op->addr); vma && vma->start < op->end; vma = vma_next(vma)) {
		u32 flags = (vma->flags & ~access) | (op->vm_flags & access);

		u64 attributes = (vma->attributes & ~op->attributes_clear) | op->attributes;

		if (flags == vma->flags && attributes == vma->attributes) /* mprotect_fixup() has nothing to do */
			continue;
		/* A private mapping that becomes writable is charged, and stays so. */
		if ((flags & (RF_VM_WRITE | RF_VM_SHARED | RF_VM_HUGETLB)) == RF_VM_WRITE &&
		    !(attributes & RF_ATTRIBUTE_NORESERVE))
			flags |= VM_ACCOUNT;
		vma->flags = flags;
		vma->attributes = attributes;
		if (vma->flags & RF_VM_HUGETLB)
			change_huge_pages(mm, vma);
		else
			change_protection(&tlb, vma, vma->start, vma->end, CHANGE_PROTECTION);
	}
	finish_protection(&tlb);
	vma_merge_range(mm, op->addr, op->end);
}
