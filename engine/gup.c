// SPDX-License-Identifier: MIT
/*
 * get_user_pages(), slow and fast, as a reader of page tables: how many entries it visits, and what reading them costs.
 * mm/gup.c; kernel-model.md section 6. Pages and their reference counts are nobody's business here: what GUP faulted
 * in, operations before it have said.
 */
#include "engine/hugetlb.h"
#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"

/* ---- slow: one walk from the top for each step ------------------------------------------ */

static void count_lookup(struct mm *mm, bool locked)
{
	mm->arch.counters->gup_lookups++;
	mm->arch.counters->gup_locks += locked;
}

/* A PMD or PUD entry: one load, and nobody gathers. */
static void read_upper_entry(struct mm *mm, enum rf_site site)
{
	mm->arch.counters->ptep_get++;
	mm->arch.counters->pte_loads++;
	mm->arch.counters->pte_lines++;
	count_reads(mm, site, 1, 1, 1);
}

/* Where the next step begins, of one that found the entry of addr, which maps entry_size. */
static u64 step_over(const struct mm *mm, u64 addr, u64 entry_size, pte_t pte, u64 block_size)
{
	bool whole = mm_knobs(mm)->slow_gup == SLOW_GUP_CONT && pte.val & PTE_CONT;
	u64 size = whole ? block_size : entry_size;

	return ALIGN_DOWN(addr, size) + size;
}

/* One huge page of hugetlb, or the part of it that one step takes. */
static u64 follow_huge_page(struct mm *mm, const struct huge_page *page, u64 addr)
{
	u64 entry_size = huge_entry_size(page), index = (addr - page->addr) / entry_size;
	pte_t *entry = &page->entries[index];

	count_lookup(mm, true);
	if (mm_knobs(mm)->slow_gup == SLOW_GUP_HUGETLB) {
		huge_page_read(mm, page, RF_SITE_gup_hugetlb);
		return page->addr + huge_page_size(page);
	}
	if (page->size->level == HUGE_LEVEL_PTE)
		read_pte(mm, page->addr + index * entry_size, entry, RF_SITE_gup_slow);
	else
		read_upper_entry(mm, RF_SITE_gup_slow);
	return step_over(mm, addr, entry_size, *entry, huge_page_size(page));
}

/* Holes are where the operations have told of nothing: one look, then on to the next huge page. */
static u64 follow_hugetlb(struct mm *mm, u64 addr, u64 end)
{
	struct huge_page page;
	bool found = huge_page_next(mm, addr, &page);

	if (found && page.addr <= addr)
		return follow_huge_page(mm, &page, addr);
	count_lookup(mm, false);
	return found ? page.addr : end;
}

/* follow_page_mask(); returns where the next step begins. Of tables that are not there, one look is counted. */
static u64 follow_page(struct mm *mm, u64 addr, u64 end)
{
	pmd_t *pmd = pmd_offset(mm, addr);
	u64 block_size = page_size(mm) * mm->arch.geometry->cont_ptes;
	pte_t *ptep;

	if (!pmd || pmd_none(*pmd)) {
		count_lookup(mm, false);
		return pmd_next(mm, &addr, end) ? addr : end;
	}
	count_lookup(mm, true);
	if (pmd_leaf(*pmd)) {
		read_upper_entry(mm, RF_SITE_gup_slow);
		update_mmu_cache(mm, addr, 1);	/* touch_pmd() */
		return pmd_addr_end(mm, addr, ~0ull);
	}
	ptep = pte_offset(mm, pmd, addr);
	return step_over(mm, addr, page_size(mm), read_pte(mm, addr, ptep, RF_SITE_gup_slow), block_size);
}

/* __get_user_pages() of a range that one VMA contains */
static void get_pages(struct mm *mm, const struct vm_area *vma, u64 addr, u64 end)
{
	while (addr < end)
		addr = vma->flags & RF_VM_HUGETLB ? follow_hugetlb(mm, addr, end) : follow_page(mm, addr, end);
}

static void get_user_pages(struct mm *mm, u64 addr, u64 end)
{
	const struct vm_area *vma;

	for (vma = vma_find(mm, addr); vma && vma->start < end; vma = vma_next(vma))
		get_pages(mm, vma, max_u64(addr, vma->start), min_u64(end, vma->end));
}

void op_gup_slow(struct mm *mm, const struct rf_op *op)
{
	u64 addr = ALIGN_DOWN(op->addr, page_size(mm)), at_once = op->end - addr;

	/* A caller with an array of pages for so much memory calls again for the rest, and looks again. */
	if (op->nr)
		at_once = op->nr * page_size(mm) / sizeof(u64) * page_size(mm);
	while (addr < op->end) {
		const struct vm_area *vma = vma_find(mm, addr);

		if (!vma)
			return;
		if (vma->start > addr)
			addr += (vma->start - addr) / at_once * at_once;
		if (addr < op->end)
			get_user_pages(mm, addr, min_u64(addr + at_once, op->end));
		addr += at_once;
	}
}

void gup_looks(struct mm *mm, u64 addr, bool faulted_in)
{
	enum rf_row row = machine_set_row(mm->machine, mm, RF_ROW_gup_slow);
	struct vm_area *vma = vma_lookup(mm, addr);
	struct huge_page page;

	if (!vma || !(vma->flags & RF_VM_HUGETLB))
		follow_page(mm, addr, addr + page_size(mm));
	else if (faulted_in || !huge_page_next(mm, addr, &page) || page.addr > addr)
		follow_hugetlb(mm, addr, vma->end);
	machine_set_row(mm->machine, mm, row);
}

/* ---- fast: one walk, without lock, every entry read twice ------------------------------------- */

static bool pte_access_permitted(pte_t pte, bool write)
{
	return pte_valid(pte) && !pte_special(pte) && (!write || pte_write(pte));
}

/*
 * gup_fast_pte_range() on one entry: where the next begins, or addr itself if GUP has to be slow from here. One that
 * knows contiguous blocks reads all of one, pins its pages, and looks whether all of it is still the same.
 */
static u64 gup_fast_pte(struct mm *mm, u64 addr, u64 entry_size, pte_t *ptep, u64 block_size, bool write)
{
	pte_t pte = read_pte_lockless(mm, addr, ptep, RF_SITE_gup_fast);

	mm->arch.counters->gup_lookups++;
	if (!pte_access_permitted(pte, write))
		return addr;
	if (mm_knobs(mm)->fast_gup_cont && pte_cont(pte)) {
		read_pte_lockless(mm, addr, ptep, RF_SITE_gup_fast_recheck);
		return ALIGN_DOWN(addr, block_size) + block_size;
	}
	read_pte_gup_recheck(mm, addr, ptep);
	return ALIGN_DOWN(addr, entry_size) + entry_size;
}

/* gup_fast_pmd_leaf(), gup_fast_pud_leaf() */
static u64 gup_fast_upper(struct mm *mm, u64 addr, u64 entry_size, pte_t pte, u64 block_size, bool write)
{
	bool whole = mm_knobs(mm)->fast_gup_cont && pte_cont(pte);
	u64 size = whole ? block_size : entry_size;

	mm->arch.counters->gup_lookups++;
	read_upper_entry(mm, RF_SITE_gup_fast);
	if (!pte_access_permitted(pte, write))
		return addr;
	read_upper_entry(mm, RF_SITE_gup_fast_recheck);
	return ALIGN_DOWN(addr, size) + size;
}

static u64 gup_fast_hugetlb(struct mm *mm, u64 addr, bool write)
{
	struct huge_page page;
	u64 entry_size, index;

	if (!huge_page_next(mm, addr, &page) || page.addr > addr)
		return addr;
	entry_size = huge_entry_size(&page);
	index = (addr - page.addr) / entry_size;
	if (page.size->level == HUGE_LEVEL_PTE)
		return gup_fast_pte(mm, addr, entry_size, &page.entries[index], huge_page_size(&page), write);
	return gup_fast_upper(mm, addr, entry_size, page.entries[index], huge_page_size(&page), write);
}

static u64 gup_fast_step(struct mm *mm, u64 addr, bool write)
{
	struct vm_area *vma = vma_lookup(mm, addr);
	u64 block_size = page_size(mm) * mm->arch.geometry->cont_ptes;
	pmd_t *pmd;

	if (vma && vma->flags & RF_VM_HUGETLB)
		return gup_fast_hugetlb(mm, addr, write);
	pmd = pmd_offset(mm, addr);
	if (!pmd || pmd_none(*pmd))
		return addr;
	if (pmd_leaf(*pmd))
		return gup_fast_upper(mm, addr, pmd_size(mm), pmd_pte(*pmd), pmd_size(mm), write);
	return gup_fast_pte(mm, addr, page_size(mm), pte_offset(mm, pmd, addr), block_size, write);
}

void op_gup_fast(struct mm *mm, const struct rf_op *op)
{
	u64 addr = ALIGN_DOWN(op->addr, page_size(mm)), next;
	enum rf_row row;

	for (; addr < op->end; addr = next) {
		next = gup_fast_step(mm, addr, op->flags & RF_OP_WRITE);
		if (next == addr)
			break;
	}
	if (addr >= op->end)
		return;
	row = machine_set_row(mm->machine, mm, RF_ROW_gup_slow);
	mm->machine->stats.operations[RF_ROW_gup_slow]++;
	get_user_pages(mm, addr, op->end);
	machine_set_row(mm->machine, mm, row);
}
