// SPDX-License-Identifier: MIT
/* Huge pages of hugetlb: faults, fork, mremap, unmapping. mm/hugetlb.c; kernel-model.md section 6. */
#include "engine/hugetlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
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

/* ---- the list ----------------------------------------------------------------------- */

/* Index of the first huge page that ends after addr. */
static u32 huge_page_index(const struct mm *mm, u64 addr)
{
	u32 low = 0, high = mm->nr_huge_pages;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		const struct huge_page *page = &mm->huge_pages[middle];

		if (page->addr + huge_page_size(page) > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct huge_page *huge_page_next(struct mm *mm, u64 addr)
{
	u32 index = huge_page_index(mm, addr);

	return index < mm->nr_huge_pages ? &mm->huge_pages[index] : NULL;
}

/* Entries of none. NULL: no memory, which is the machine's error. */
static struct huge_page *huge_page_insert(struct mm *mm, u64 addr, const struct arch_huge_size *size)
{
	pte_t *entries = calloc(size->entries, sizeof(*entries));
	u32 index = huge_page_index(mm, addr);
	struct huge_page *pages;

	if (!entries || array_grow(mm->huge_pages, mm->max_huge_pages, mm->nr_huge_pages + 1ul)) {
		free(entries);
		mm->machine->error = -ENOMEM;
		return NULL;
	}
	pages = mm->huge_pages;
	memmove(&pages[index + 1], &pages[index], (mm->nr_huge_pages - index) * sizeof(*pages));
	mm->nr_huge_pages++;
	pages[index] = (struct huge_page){ .addr = addr, .size = size, .entries = entries };
	return &pages[index];
}

static void huge_pages_remove(struct mm *mm, u32 first, u32 nr)
{
	u32 i;

	if (!nr)
		return;		/* there may be no list to move within */
	for (i = first; i < first + nr; i++)
		free(mm->huge_pages[i].entries);
	memmove(&mm->huge_pages[first], &mm->huge_pages[first + nr],
		(mm->nr_huge_pages - first - nr) * sizeof(*mm->huge_pages));
	mm->nr_huge_pages -= nr;
}

void huge_pages_destroy(struct mm *mm)
{
	huge_pages_remove(mm, 0, mm->nr_huge_pages);
	free(mm->huge_pages);
	mm->huge_pages = NULL;
	mm->max_huge_pages = 0;
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

/* clear_flush(), get_clear_contig_flush(): __flush_hugetlb_tlb_range() since 6.16. */
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

	if (page->size->entries > 1 && mm->arch.knobs->hugetlb_flush_stride)
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
	struct huge_page *page = huge_page_next(mm, addr);
	bool write = op->flags & RF_OP_WRITE, shared = vma->flags & RF_VM_SHARED;

	if (page && page->addr < addr + (1ull << size->size_shift)) {
		huge_page_read(mm, page, RF_SITE_fault_entry);
		huge_page_read(mm, page, RF_SITE_fault_recheck);
		if (write)
			huge_page_write(mm, page, vma, pfn);
		return;
	}
	page = huge_page_insert(mm, addr, size);
	if (!page)
		return;
	/* Two looks, without and with the lock, at an entry that is none; it is not contiguous. */
	read_none_ptes(mm, 1, RF_SITE_fault_entry);
	read_none_ptes(mm, 1, RF_SITE_fault_recheck);
	huge_page_set(mm, page, make_huge_pte(vma, pfn, shared));
	/* hugetlb_no_page(): a private page is mapped read-only, and a write then takes it over. */
	if (write && !shared)
		huge_page_write(mm, page, vma, pfn);
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

/* ---- ranges ---------------------------------------------------------------------------------- */

/* tlb_remove_huge_tlb_entry() */
static void gather_huge_page(struct mmu_gather *tlb, const struct huge_page *page)
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
	if (tlb_remove_folio_pages(tlb, 1))
		tlb_flush_mmu(tlb);
}

void unmap_huge_pages(struct mmu_gather *tlb, u64 start, u64 end)
{
	struct mm *mm = tlb->mm;
	u32 first = huge_page_index(mm, start), i;

	for (i = first; i < mm->nr_huge_pages && mm->huge_pages[i].addr < end; i++) {
		struct huge_page *page = &mm->huge_pages[i];

		huge_page_read(mm, page, RF_SITE_zap);
		huge_page_clear(mm, page);
		gather_huge_page(tlb, page);
	}
	huge_pages_remove(mm, first, i - first);
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
	u32 i;

	for (i = huge_page_index(parent, vma->start); i < parent->nr_huge_pages; i++) {
		struct huge_page *page = &parent->huge_pages[i], *copy;
		pte_t entry = pte_wrprotect(page->entries[0]);

		if (page->addr >= vma->end)
			return;
		copy = huge_page_insert(child, page->addr, page->size);
		if (!copy)
			return;
		huge_page_read(parent, page, RF_SITE_fork);
		entry.val &= ~(PTE_CONT | PTE_EXCLUSIVE);
		wrprotect_huge_page(parent, page, entry);
		huge_page_set(child, copy, entry);
	}
}

void move_huge_pages(struct mm *mm, u64 start, u64 end, u64 to)
{
	struct huge_page *page;

	while ((page = huge_page_next(mm, start)) && page->addr < end) {
		const struct arch_huge_size *size = page->size;
		u64 moved_to = page->addr - start + to;
		pte_t entry = page->entries[0];

		huge_page_read(mm, page, RF_SITE_mremap);
		huge_page_clear(mm, page);
		huge_pages_remove(mm, (u32)(page - mm->huge_pages), 1);
		page = huge_page_insert(mm, moved_to, size);
		if (!page)
			return;
		entry.val &= ~PTE_CONT;
		huge_page_set(mm, page, entry);
	}
}
