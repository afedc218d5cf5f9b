// SPDX-License-Identifier: MIT
/*
 * fork: dup_mmap() of kernel/fork.c and copy_page_range() of mm/memory.c;
 * kernel-model.md 4.4.
 */
#include "engine/allocation.h"
#include "engine/folio.h"
#include "engine/hugetlb.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/repeat.h"

struct copy_state {
	struct mm *parent, *child;
	const struct vm_area *vma;	/* the parent's */
	struct repeat repeat;
};

/* folio_try_dup_anon_rmap_ptes(): none of these pages is exclusive any more. */
static void clear_exclusive(pte_t *ptep, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		ptep[i].val &= ~PTE_EXCLUSIVE;
}

static u32 copy_batch(struct copy_state *copy, u64 addr, pte_t *src, pte_t *pte, u32 max_nr)
{
	struct mm *parent = copy->parent;
	enum rf_batch_rule rule = mm_knobs(parent)->batch_rule;
	unsigned int flags = copy->vma->flags & RF_VM_SHARED ? 0 : FPB_RESPECT_DIRTY;
	struct pte_batch seen = { 0 };
	u32 nr;

	if (!mm_knobs(parent)->batch_fork)
		return 1;
	/* copy_present_ptes() of v1-v3 reads the entry again. */
	if (rule == BATCH_RULE_V2 || rule == BATCH_RULE_V3)
		*pte = read_pte(parent, addr, src, RF_SITE_fork);
	if (!pte_folio_order(*pte) || max_nr == 1)
		return count_run(parent, RF_RUN_batch_fork, 1, rule == BATCH_RULE_V2 || rule == BATCH_RULE_V3);
	nr = folio_pte_batch(parent, addr, src, *pte, max_nr, flags, &seen);
	count_run(parent, RF_RUN_batch_fork, nr, true);
	if (seen.any_writable)
		*pte = pte_mkwrite(*pte);
	/* Entries that are dirty, or not, are one run for these. */
	if ((rule == BATCH_RULE_V2 || rule == BATCH_RULE_V3) && seen.any_dirty)
		*pte = pte_mkdirty(*pte);
	return nr;
}

/* copy_present_ptes() */
static u32 copy_present_ptes(struct copy_state *copy, u64 addr, pte_t *src, pte_t *dst, pte_t pte, u32 max_nr)
{
	struct mm *parent = copy->parent, *child = copy->child;
	u32 nr = pte_special(pte) ? 1 : copy_batch(copy, addr, src, &pte, max_nr);

	if (pte.val & PTE_ANON) {
		clear_exclusive(src, nr);
		pte.val &= ~PTE_EXCLUSIVE;
	}
	pte.val &= ~PTE_UFFD;	/* dup_userfaultfd(): the child's VMA is registered nowhere */
	parent->arch.copying = child->arch.copying = true;
	if (is_cow_mapping(copy->vma) && pte_write(pte)) {
		parent->arch.ops->wrprotect_ptes(&parent->arch, addr, src, nr);
		pte = pte_wrprotect(pte);
	}
	if (copy->vma->flags & RF_VM_SHARED)
		pte = pte_mkclean(pte);
	child->arch.ops->set_ptes(&child->arch, addr, dst, pte_mkold(pte), nr);
	parent->arch.copying = child->arch.copying = false;
	folio_add_rmap(child, pte, nr);
	return nr;
}

/* copy_nonpresent_pte() */
static void copy_nonpresent_pte(struct copy_state *copy, u64 addr, pte_t *src, pte_t *dst, pte_t pte)
{
	if (is_cow_mapping(copy->vma) && (pte.val & (PTE_EXCLUSIVE | PTE_WRITE))) {
		/* No longer exclusive, or no longer a writable migration entry: both are bits of the entry. */
		pte.val &= ~(PTE_EXCLUSIVE | PTE_WRITE);
		set_pte_at(copy->parent, addr, src, pte);
	}
	pte.val &= ~PTE_UFFD;
	if (is_migration_entry(pte))
		folio_add_rmap(copy->child, pte, 1);
	set_pte_at(copy->child, addr, dst, pte);
}

static void copy_pte_range(struct copy_state *copy, pmd_t *src_pmd, pmd_t *dst_pmd, u64 addr, u64 end)
{
	struct mm *parent = copy->parent;
	unsigned int shift = parent->arch.geometry->page_shift;
	pte_t *src = pte_offset(parent, src_pmd, addr);
	pte_t *dst = pte_alloc(copy->child, dst_pmd, addr);
	u32 nr;

	if (!dst)
		return;
	for (; addr < end; src += nr, dst += nr, addr += (u64)nr << shift) {
		u32 max_nr = (end - addr) >> shift;
		pte_t pte;

		nr = repeat_folios(&copy->repeat, addr, src, dst, max_nr);
		if (nr)
			continue;
		nr = skip_none_ptes(parent, src, max_nr, RF_SITE_fork);
		if (nr)
			continue;
		pte = read_pte(parent, addr, src, RF_SITE_fork);
		if (pte_present(pte)) {
			nr = copy_present_ptes(copy, addr, src, dst, pte, max_nr);
		} else {
			copy_nonpresent_pte(copy, addr, src, dst, pte);
			nr = 1;
		}
	}
}

/* copy_huge_pmd(): file PMDs are left to faults. */
static void copy_huge_pmd(struct copy_state *copy, pmd_t *src_pmd, pmd_t *dst_pmd)
{
	pte_t pte = pmd_pte(*src_pmd);

	if (!(pte.val & PTE_ANON) && !pte_special(pte))
		return;
	pte.val &= ~PTE_EXCLUSIVE;
	if (pte_present(pte))
		pte = pte_wrprotect(pte);
	else
		pte.val &= ~PTE_WRITE;
	set_pmd_leaf(src_pmd, pte);
	pte.val &= ~PTE_UFFD;
	copy->child->arch.counters->tables_allocated++;		/* pgtable_trans_huge_deposit() */
	set_pmd_leaf(dst_pmd, pte_present(pte) ? pte_mkold(pte) : pte);
	folio_add_rmap(copy->child, pte, ptrs_per_pte(copy->child));
}

/* vma_needs_copy(): faults will fill in the rest. */
static bool vma_needs_copy(const struct vm_area *vma)
{
	return (vma->flags & RF_VM_PFNMAP) || vma->anon_vma;
}

static void copy_page_range(struct copy_state *copy)
{
	u64 addr = copy->vma->start, end = copy->vma->end;
	pmd_t *src_pmd, *dst_pmd;

	repeat_begin(&copy->repeat, copy->parent, copy->child, NULL);
	while ((src_pmd = pmd_next(copy->parent, &addr, end))) {
		u64 next = pmd_addr_end(copy->parent, addr, end);

		dst_pmd = pmd_alloc(copy->child, addr);
		if (!dst_pmd)
			return;
		if (!pmd_leaf(*src_pmd)) {
			copy_pte_range(copy, src_pmd, dst_pmd, addr, next);
		} else if (pmd_none(*dst_pmd)) {
			copy_huge_pmd(copy, src_pmd, dst_pmd);
		}
		addr = next;
	}
}

void op_fork(struct mm *child, const struct rf_op *op)
{
	struct mm *parent = machine_mm(child->machine, op->mm);
	struct copy_state copy;
	int err = parent ? vmas_duplicate(child, parent) : 0;

	mm_error(child, err);
	if (err || !parent)
		return;
	copy.parent = parent;
	copy.child = child;
	for (copy.vma = vma_tree_first(&parent->vmas); copy.vma; copy.vma = vma_next(copy.vma)) {
		if ((copy.vma->flags & (RF_VM_DONTCOPY | RF_VM_WIPEONFORK)) || !vma_needs_copy(copy.vma))
			continue;
		if (copy.vma->flags & RF_VM_HUGETLB)
			copy_huge_pages(parent, child, copy.vma);
		else
			copy_page_range(&copy);
	}
	parent->arch.ops->flush_tlb_mm(&parent->arch);
}
