// SPDX-License-Identifier: MIT
/* Huge pages of hugetlb: faults, fork, mprotect, mremap, unmapping. mm/hugetlb.c; kernel-model.md section 6. */
#include "engine/hugetlb.h"

#include <string.h>

#include "engine/operations.h"
#include "engine/pgtable.h"
#include "engine/readers.h"

/* ---- sizes ----------------------------------------------------------------------- */

/* A huge page so small that the machine has none of its size is made of these. */
static const struct arch_huge_size base_pages[] = {
	{ .page_shift = 12, .size_shift = 12, .level = HUGE_LEVEL_PTE, .entries = 1, .getter_loads = 1 },
	{ .page_shift = 14, .size_shift = 14, .level = HUGE_LEVEL_PTE, .entries = 1, .getter_loads = 1 },
	{ .page_shift = 16, .size_shift = 16, .level = HUGE_LEVEL_PTE, .entries = 1, .getter_loads = 1 },
};

/* The largest size of the machine that is not larger than what the recorded kernel mapped. */
static const struct arch_huge_size *huge_size(const struct mm *mm, unsigned int shift)
{
	const struct arch_huge_size *size, *best = NULL;
	u8 page_shift = mm->arch.geometry->page_shift;
	size_t i;

	for (size = mm->arch.ops->huge_sizes; size && size->size_shift; size++)
		if (size->page_shift == page_shift && size->size_shift <= shift)
			best = size;
	for (i = 0; !best && i < ARRAY_SIZE(base_pages); i++)
		if (base_pages[i].page_shift == page_shift)
			best = &base_pages[i];
	return best;
}

/* ---- entries ---------------------------------------------------------------------------- */

static u64 huge_page_lines(const struct huge_page *page)
{
	return (page->size->entries + 7) / 8;
}

void huge_page_read(struct mm *mm, const struct huge_page *page, enum rf_site site)
{
	struct arch_counters *counters = mm->arch.counters;

	counters->ptep_get++;
	counters->pte_loads += page->size->getter_loads;
	counters->pte_lines += huge_page_lines(page);
	count_reads(mm, site, 1, page->size->getter_loads, huge_page_lines(page));
	if (page->size->entries > 1)
		count_block(mm, site);
}

/* get_clear_contig() */
static void huge_page_clear(struct mm *mm, struct huge_page *page)
{
	memset(page->entries, 0, page->size->entries * sizeof(pte_t));
	mm->arch.counters->pte_atomics += page->size->entries;
	mm->arch.counters->pte_lines += huge_page_lines(page);
}

/* clear_flush(), get_clear_contig_flush(): __flush_hugetlb_tlb_range() since 6.16. Of one entry: ptep_clear_flush(). */
static void huge_page_flush(struct mm *mm, const struct huge_page *page)
{
	const struct arch_flush flush = {
		.start = page->addr,
		.end = page->addr + huge_page_size(page),
		.stride = huge_entry_size(page),
		.last_level = true,
		.level = page->size->level == HUGE_LEVEL_PTE ? FLUSH_LEVEL_PTE : FLUSH_LEVEL_PMD,
		.mode = FLUSH_SYNC,
	};

	if (page->size->entries == 1)
		mm->arch.ops->flush_tlb_page(&mm->arch, page->addr, FLUSH_SYNC);
	else if (mm->arch.knobs->hugetlb_flush_stride)
		mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
	else
		flush_tlb_range(mm, page->addr, page->addr + huge_page_size(page));
}

/* set_huge_pte_at() of a contiguous page: break before make, since 6.16 only from valid to valid. */
static bool huge_page_breaks(struct mm *mm, const struct huge_page *page)
{
	if (!page->size->breaks || !mm->arch.knobs->hugetlb_break_valid)
		return page->size->breaks;
	mm->arch.counters->pte_loads++;
	return pte_valid(page->entries[0]);
}

static void huge_page_store(struct mm *mm, struct huge_page *page, pte_t pte)
{
	u64 pages_an_entry = huge_entry_size(page) >> mm->arch.geometry->page_shift;
	u32 i;

	if (page->size->entries > 1)
		pte.val |= PTE_CONT;
	for (i = 0; i < page->size->entries; i++)
		page->entries[i] = pte_advance_pfn(pte, i * pages_an_entry);
	mm->arch.counters->pte_stores += page->size->entries;
	mm->arch.counters->pte_lines += huge_page_lines(page);
}

/* set_huge_pte_at() */
static void huge_page_set(struct mm *mm, struct huge_page *page, pte_t pte)
{
	if (huge_page_breaks(mm, page)) {
		huge_page_clear(mm, page);
		huge_page_flush(mm, page);
	}
	huge_page_store(mm, page, pte);
}

/* ---- faults -------------------------------------------------------------------------------- */

static pte_t make_huge_pte(const struct vm_area *vma, u64 pfn, bool writable)
{
	bool shared = vma->flags & RF_VM_SHARED;
	pte_t pte = pte_mkyoung(mk_pte(vma, pfn, 0, shared ? PTE_SHMEM : PTE_ANON | PTE_EXCLUSIVE));

	return writable && vma->flags & RF_VM_WRITE ? pte_mkwrite(pte_mkdirty(pte)) : pte_wrprotect(pte);
}

/* set_huge_ptep_writable(), of which huge_ptep_set_access_flags() breaks a contiguous page once and then stores. */
static void huge_page_mkwrite(struct mm *mm, struct huge_page *page)
{
	pte_t entry = pte_mkwrite(pte_mkdirty(page->entries[0]));
	u32 i;

	huge_page_read(mm, page, RF_SITE_fault_recheck);
	mm->arch.counters->pte_loads++;		/* what is there, once more */
	if (page->size->breaks) {
		huge_page_clear(mm, page);
		huge_page_flush(mm, page);
		huge_page_store(mm, page, entry);
	} else {
		for (i = 0; i < page->size->entries; i++)
			page->entries[i] = pte_mkwrite(pte_mkdirty(page->entries[i]));
		if (mm->arch.ops->access_flags_cmpxchg)
			mm->arch.counters->pte_atomics += page->size->entries;
		else
			mm->arch.counters->pte_stores += page->size->entries;
		mm->arch.counters->pte_lines += huge_page_lines(page);
		mm->arch.ops->flush_pmd_access(&mm->arch, page->addr);
	}
	update_mmu_cache(mm, page->addr, 1);
}

/* hugetlb_wp(): a page that is ours alone, or shared, becomes writable where it is, another is copied. */
static void huge_page_write(struct mm *mm, struct huge_page *page, const struct vm_area *vma, u64 pfn)
{
	pte_t old = page->entries[0];

	if (pte_write(old) || !(vma->flags & RF_VM_WRITE))
		return;
	huge_page_read(mm, page, RF_SITE_fault_recheck);
	if (old.val & PTE_EXCLUSIVE || vma->flags & RF_VM_SHARED) {
		huge_page_mkwrite(mm, page);
		return;
	}
	huge_page_read(mm, page, RF_SITE_fault_recheck);
	huge_page_clear(mm, page);
	huge_page_flush(mm, page);
	huge_page_set(mm, page, make_huge_pte(vma, pfn, true));
}

/* hugetlb_fault() of one huge page of the machine's. */
static void fault_huge_page(struct mm *mm, const struct vm_area *vma, const struct arch_huge_size *size, u64 addr,
			    const struct rf_op *op, u64 pfn)
{
	bool write = op->flags & RF_OP_WRITE, shared = vma->flags & RF_VM_SHARED;
	struct huge_page page;

	huge_pmd_share(mm, vma, addr, size);	/* huge_pte_alloc() */
	if (huge_page_next(mm, addr, &page) && page.addr < addr + (1ull << size->size_shift)) {
		huge_page_read(mm, &page, RF_SITE_fault_entry);
		huge_page_read(mm, &page, RF_SITE_fault_recheck);
		if (write)
			huge_page_write(mm, &page, vma, pfn);
		return;
	}
	if (!huge_page_insert(mm, addr, size, &page))
		return;
	/* Two looks, without and with the lock, at an entry that is none; it is not contiguous. */
	read_none_ptes(mm, 1, RF_SITE_fault_entry);
	read_none_ptes(mm, 1, RF_SITE_fault_recheck);
	huge_page_set(mm, &page, make_huge_pte(vma, pfn, shared));
	/* hugetlb_no_page(): a private page is mapped read-only, and a write then takes it over. */
	if (write && !shared)
		huge_page_write(mm, &page, vma, pfn);
}

/* op->order: log2 of the huge page's size in bytes. */
void op_fault_hugetlb(struct mm *mm, const struct rf_op *op)
{
	const struct arch_huge_size *size = huge_size(mm, op->order);
	struct vm_area *vma = vma_lookup(mm, op->addr);
	u64 addr, end, pfn = op->pfn;

	if (!vma || !(vma->flags & RF_VM_HUGETLB)) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	if (!(vma->flags & RF_VM_SHARED))
		vma_anon_prepare(mm, vma);
	addr = max_u64(ALIGN_DOWN(op->addr, 1ull << op->order), ALIGN_UP(vma->start, 1ull << size->size_shift));
	end = min_u64(ALIGN_DOWN(op->addr, 1ull << op->order) + (1ull << op->order), vma->end);
	for (; addr + (1ull << size->size_shift) <= end; addr += 1ull << size->size_shift) {
		fault_huge_page(mm, vma, size, addr, op, pfn);
		pfn += 1ull << (size->size_shift - mm->arch.geometry->page_shift);
	}
}

/* ---- tables that are shared -------------------------------------------------------------------- */

/* tlb_remove_table_sync_one(): every CPU is interrupted, which waits for lockless walkers. */
static void sync_walkers(struct mm *mm)
{
	mm->arch.counters->ipis++;
}

/*
 * huge_pmd_unshare(): if others have the table of addr, too, it goes from here, with all that it maps. The caller
 * flushes: huge_pmd_unshare_flush().
 */
static bool huge_pmd_unshare(struct mmu_gather *tlb, u64 addr)
{
	struct mm *mm = tlb->mm;
	u32 left;

	if (huge_pmd_users(mm, addr) < 2)
		return false;
	left = huge_pmd_drop(mm, addr);
	tlb_unshare_pmd(tlb, ALIGN_DOWN(addr, pud_size(mm)), pud_size(mm));
	if (mm_knobs(mm)->unshare_flush == UNSHARE_FLUSH_EACH)
		sync_walkers(mm);
	else if (mm_knobs(mm)->unshare_flush == UNSHARE_FLUSH_GATHER && left == 1)
		tlb->fully_unshared_tables = true;
	return true;
}

static void huge_pmd_unshare_flush(struct mmu_gather *tlb)
{
	if (tlb->unshared_tables)
		tlb_flush_mmu_tlbonly(tlb);
	if (tlb->fully_unshared_tables)
		sync_walkers(tlb->mm);
	tlb->fully_unshared_tables = false;
}

/*
 * What moved, or was protected, is flushed: what was gathered, or before there was a gather (unshare_flush) all of
 * [start, end), in steps of a huge page of this size: flush_hugetlb_tlb_range(). The gather is of hugetlb's own, and
 * finds that of mprotect() open beside it: then everything is flushed once more.
 */
static void flush_changed(struct mmu_gather *tlb, u64 start, u64 end, const struct arch_huge_size *size)
{
	bool one_entry = size && size->level > HUGE_LEVEL_PTE && size->entries == 1;
	struct mm *mm = tlb->mm;
	const struct arch_flush flush = {
		.start = start,
		.end = end,
		.stride = one_entry ? 1ull << size->size_shift : page_size(mm),
		.level = FLUSH_LEVEL_UNKNOWN,
		.mode = FLUSH_SYNC,
	};

	if (mm_knobs(mm)->unshare_flush != UNSHARE_FLUSH_GATHER) {
		mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
		return;
	}
	tlb_flush_mmu_tlbonly(tlb);
	huge_pmd_unshare_flush(tlb);
	tlb_finish_mmu(tlb);
}

/* The size of the pages from addr on: PMDs where there are none. */
static const struct arch_huge_size *size_at(struct mm *mm, u64 addr, u64 end)
{
	struct huge_page page;

	return huge_page_next(mm, addr, &page) && page.addr < end ? page.size : huge_size(mm, pmd_shift(mm));
}

/* hugetlb_unshare_pmds(), of whole PUDs */
static void unshare_pmds(struct mm *mm, u64 start, u64 end)
{
	const struct arch_huge_size *size = size_at(mm, start, end);
	struct mmu_gather tlb;
	u64 addr;

	tlb_gather_mmu(&tlb, mm);
	for (addr = start; addr < end; addr += pud_size(mm))
		huge_pmd_unshare(&tlb, addr);
	flush_changed(&tlb, start, end, size);
}

static bool may_share(const struct mm *mm, const struct vm_area *vma)
{
	return mm->arch.ops->shares_huge_pmds && mm->arch.geometry->levels > 2 &&
	       (vma->flags & (RF_VM_HUGETLB | RF_VM_SHARED)) == (RF_VM_HUGETLB | RF_VM_SHARED);
}

void hugetlb_unshare_all_pmds(struct mm *mm, const struct vm_area *vma)
{
	u64 start, end;

	if (!may_share(mm, vma))
		return;
	start = ALIGN_UP(vma->start, pud_size(mm));
	end = ALIGN_DOWN(vma->end, pud_size(mm));
	if (start < end)
		unshare_pmds(mm, start, end);
}

/* hugetlb_split(): what is not mapped whole any more cannot be shared. */
int split_vma(struct mm *mm, u64 addr, bool gathers)
{
	const struct vm_area *vma = vma_lookup(mm, addr);
	bool nested = mm->tlb_flush_nested;
	u64 floor;

	if (!vma || vma->start == addr || !may_share(mm, vma))
		return vma_split(mm, addr);
	floor = ALIGN_DOWN(addr, pud_size(mm));
	mm->tlb_flush_nested |= gathers;
	if (floor != addr && floor >= vma->start && floor + pud_size(mm) <= vma->end)
		unshare_pmds(mm, floor, floor + pud_size(mm));
	mm->tlb_flush_nested = nested;
	return vma_split(mm, addr);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* tlb_remove_huge_tlb_entry() */
static void tlb_flush_huge_page(struct mmu_gather *tlb, const struct huge_page *page)
{
	switch (page->size->level) {
	case HUGE_LEVEL_PTE:
		tlb_flush_pte_range(tlb, page->addr, huge_page_size(page));
		break;
	case HUGE_LEVEL_PMD:
		tlb_flush_pmd_range(tlb, page->addr, huge_page_size(page));
		break;
	default:
		tlb_flush_pud_range(tlb, page->addr, huge_page_size(page));
	}
}

static void gather_huge_page(struct mmu_gather *tlb, const struct huge_page *page)
{
	tlb_flush_huge_page(tlb, page);
	if (tlb_remove_folio_pages(tlb, 1))
		tlb_flush_mmu(tlb);
}

/* Where the walk goes on behind a page, or behind a table that was shared and is not here any more. */
static u64 after_huge_page(struct mmu_gather *tlb, const struct huge_page *page, bool *unshared)
{
	*unshared = huge_pmd_unshare(tlb, page->addr);
	return *unshared ? ALIGN_DOWN(page->addr, pud_size(tlb->mm)) + pud_size(tlb->mm) :
			   page->addr + huge_page_size(page);
}

void unmap_huge_pages(struct mmu_gather *tlb, u64 start, u64 end)
{
	struct mm *mm = tlb->mm;
	struct huge_page page;
	u64 addr = start;
	bool unshared;

	while (huge_page_next(mm, addr, &page) && page.addr < end) {
		addr = after_huge_page(tlb, &page, &unshared);
		if (unshared)
			continue;
		huge_page_read(mm, &page, RF_SITE_zap);
		huge_page_clear(mm, &page);
		gather_huge_page(tlb, &page);
	}
	huge_pages_remove(mm, start, end);
	huge_pmd_unshare_flush(tlb);
}

/* huge_ptep_modify_prot_start(), huge_pte_modify() and huge_ptep_modify_prot_commit() of one page. */
static void protect_huge_page(struct mmu_gather *tlb, const struct vm_area *vma, struct huge_page *page)
{
	const u32 access = RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC;
	bool write = (vma->flags & (RF_VM_SHARED | RF_VM_WRITE)) == (RF_VM_SHARED | RF_VM_WRITE);
	pte_t entry = page->entries[0];
	struct mm *mm = tlb->mm;

	huge_page_read(mm, page, RF_SITE_mprotect);
	entry = pte_modify(entry, write, vma->flags & RF_VM_EXEC, !(vma->flags & access));
	entry.val &= ~PTE_CONT;
	huge_page_clear(mm, page);
	huge_page_set(mm, page, entry);
	tlb_flush_huge_page(tlb, page);
}

void change_huge_pages(struct mm *mm, const struct vm_area *vma)
{
	const struct arch_huge_size *size = size_at(mm, vma->start, vma->end);
	struct mmu_gather tlb;
	bool unshared, nested = mm->tlb_flush_nested;
	struct huge_page page;
	u64 addr = vma->start;

	tlb_gather_mmu(&tlb, mm);
	while (huge_page_next(mm, addr, &page) && page.addr < vma->end) {
		addr = after_huge_page(&tlb, &page, &unshared);
		if (!unshared)
			protect_huge_page(&tlb, vma, &page);
	}
	mm->tlb_flush_nested |= mm_knobs(mm)->mprotect_gather;
	flush_changed(&tlb, vma->start, vma->end, size);
	mm->tlb_flush_nested = nested;
}

/* huge_ptep_set_wrprotect(), and no page is exclusive any more. */
static void wrprotect_huge_page(struct mm *mm, struct huge_page *page, pte_t entry)
{
	u32 i;

	if (page->size->breaks) {
		huge_page_clear(mm, page);
		huge_page_flush(mm, page);
		huge_page_store(mm, page, entry);
		return;
	}
	for (i = 0; i < page->size->entries; i++) {
		page->entries[i] = pte_wrprotect(page->entries[i]);
		page->entries[i].val &= ~PTE_EXCLUSIVE;
	}
	mm->arch.counters->pte_atomics++;
}

void copy_huge_pages(struct mm *parent, struct mm *child, const struct vm_area *vma)
{
	struct huge_page page, copy;
	u64 addr;

	for (addr = vma->start; huge_page_next(parent, addr, &page) && page.addr < vma->end;
	     addr = page.addr + huge_page_size(&page)) {
		pte_t entry = pte_wrprotect(page.entries[0]);

		if (!huge_page_insert(child, page.addr, page.size, &copy))
			return;
		huge_page_read(parent, &page, RF_SITE_fork);
		entry.val &= ~(PTE_CONT | PTE_EXCLUSIVE);
		wrprotect_huge_page(parent, &page, entry);
		huge_page_set(child, &copy, entry);
	}
}

void move_huge_pages(struct mm *mm, u64 start, u64 end, u64 to)
{
	const struct arch_huge_size *size = size_at(mm, start, end);
	const struct vm_area *vma = vma_lookup(mm, to);
	struct mmu_gather tlb;
	struct huge_page page;
	u64 addr = start;
	bool unshared;

	tlb_gather_mmu(&tlb, mm);
	while (huge_page_next(mm, addr, &page) && page.addr < end) {
		u64 from = page.addr;
		pte_t entry = page.entries[0];

		huge_page_read(mm, &page, RF_SITE_mremap);
		addr = after_huge_page(&tlb, &page, &unshared);
		if (unshared)
			continue;
		huge_page_clear(mm, &page);
		tlb_flush_huge_page(&tlb, &page);
		huge_pages_remove(mm, from, addr);
		if (vma)
			huge_pmd_share(mm, vma, from - start + to, page.size);
		if (!huge_page_insert(mm, from - start + to, page.size, &page))
			return;
		entry.val &= ~PTE_CONT;
		huge_page_set(mm, &page, entry);
	}
	flush_changed(&tlb, start, end, size);
}
