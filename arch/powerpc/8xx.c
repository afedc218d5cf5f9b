// SPDX-License-Identifier: MIT
/*
 * powerpc 8xx: 32-bit, one CPU, no hardware walker that writes. The hardware knows entries ("cells") of 4K; larger
 * pages are as many equal cells as they have room for: 4 for a base page of 16K, 128 for a huge page of 512K, all
 * 1024 of two tables for one of 8M. Each cell is a store. Follows nohash/32/pte-8xx.h, nohash/tlbflush.h and
 * mm/nohash/tlb.c; kernel-model.md 1.3.
 *
 * One page is flushed by tlbie (tlbi_va), everything else by tlbia (tlbi_asid), each with a sync (dsb_nsh).
 */
#include "arch/plain.h"

static unsigned int cells(const struct arch_mm *mm)
{
	return 1u << (mm->geometry->page_shift - 12);
}

/* pte_update() of nr pages: a load, and a store to each cell. */
static void count_updates(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	arch_count_lines(mm, addr, nr);
	mm->counters->pte_loads += nr;
	mm->counters->pte_stores += nr * cells(mm);
}

/* ---- flushes ---- */

static void flush_call(struct arch_mm *mm, const struct arch_flush *flush)
{
	struct arch_counters *c = mm->counters;

	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, flush);
	c->flush_calls++;
	c->tlbi++;
	c->tlbi_local++;
	c->dsb++;
	c->dsb_nsh++;
	if (flush && flush->end - flush->start == 1ull << mm->geometry->page_shift) {
		c->tlbi_va++;
		c->tlbi_pages++;
	} else {
		c->tlbi_asid++;
	}
}

static void flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	flush_call(mm, flush);
}

static void flush_tlb_mm(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

/* Whatever was gathered. */
static void tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	mm->ops->flush_tlb_mm(mm);
}

static void flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr)
{
	mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
}

/* ---- helpers ---- */

static void set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	plain_set_ptes(mm, addr, ptep, pte, nr);
	mm->counters->pte_stores += nr * (cells(mm) - 1);
}

static void pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_pte_clear, 1);
	count_updates(mm, addr, 1);
	ptep->val = 0;
}

static pte_t get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, enum arch_helper helper)
{
	arch_count_batch(mm, helper, nr);
	count_updates(mm, addr, nr);
	return arch_take_ptes(ptep, nr);
}

static pte_t ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	return get_and_clear(mm, addr, ptep, 1, ARCH_HELPER_ptep_get_and_clear);
}

static void clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	get_and_clear(mm, addr, ptep, nr, ARCH_HELPER_clear_full_ptes);
}

static pte_t get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	return get_and_clear(mm, addr, ptep, nr, ARCH_HELPER_get_and_clear_full_ptes);
}

static void wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	count_updates(mm, addr, nr);
	for (i = 0; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
}

static bool ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	mm->counters->pte_loads++;
	if (!plain_widen(ptep, entry)) {
		mm->counters->pte_lines++;
		return false;
	}
	count_updates(mm, addr, 1);
	mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
	return true;
}

/* Of hugetlb, there are no others: __ptep_set_access_flags() flushes the page. */
static void flush_pmd_access(struct arch_mm *mm, u64 addr)
{
	mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
}

static bool clear_young(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool flush)
{
	bool any = false, young;
	unsigned int i;

	count_updates(mm, addr, nr);
	for (i = 0; i < nr; i++, addr += 1ull << mm->geometry->page_shift) {
		young = pte_young(ptep[i]);
		ptep[i] = pte_mkold(ptep[i]);
		if (young && flush)
			mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
		any |= young;
	}
	return any;
}

static bool test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_test_and_clear_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr, false);
}

static bool clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_clear_flush_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr, true);
}

static void clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_clear_young_dirty_ptes, nr);
	count_updates(mm, addr, nr);
	if (dirty)	/* taken out, and written again */
		mm->counters->pte_stores += nr * cells(mm);
	for (i = 0; i < nr; i++) {
		if (young)
			ptep[i] = pte_mkold(ptep[i]);
		if (dirty)
			ptep[i] = pte_mkclean(ptep[i]);
	}
}

static pte_t modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	return get_and_clear(mm, addr, ptep, nr, ARCH_HELPER_modify_prot_start_ptes);
}

static void modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte, unsigned int nr)
{
	plain_modify_prot_commit_ptes(mm, addr, ptep, old, pte, nr);
	mm->counters->pte_stores += nr * (cells(mm) - 1);
}

/*
 * With base pages of 16K the 512K page is 32 entries of 4 cells. A page of 8M is two slots of the directory, each with
 * its table; GUP visits the slots.
 */
static const struct arch_huge_size huge_sizes[] = {
	{ .page_shift = 12, .size_shift = 19, .level = HUGE_LEVEL_PTE, .entries = 128, .getter_loads = 1 },
	{ .page_shift = 12, .size_shift = 23, .level = HUGE_LEVEL_PMD, .entries = 2, .getter_loads = 1 },
	{ .page_shift = 14, .size_shift = 19, .level = HUGE_LEVEL_PTE, .entries = 32, .getter_loads = 1 },
	{ .page_shift = 14, .size_shift = 23, .level = HUGE_LEVEL_PMD, .entries = 2, .getter_loads = 1 },
	{ 0 },
};

static const char *const machines[] = { "ppc", NULL };

/* 32-bit, two levels; those above them are for what was recorded elsewhere. */
static const struct arch_geometry geometries[] = {
	{ .page_shift = 12, .table_shift = 10, .levels = 4, .cont_ptes = 1 },
	{ .page_shift = 14, .table_shift = 8, .levels = 5, .cont_ptes = 1 },
	{ 0 },
};

static const struct knob *const knob_tables[] = { NULL };

static const struct arch_assumption assumptions[] = {
	{ NULL, "address_space", "addresses are those of the recording, which a 32-bit process could not have" },
	{ NULL, "one_cpu", "there is one CPU" },
	{ 0 },
};

const struct arch_ops powerpc_8xx_ops = {
	.name = "powerpc-8xx",
	.machines = machines,
	.geometries = geometries,
	.knobs = knob_tables,
	.assumptions = assumptions,
	.ptep_get = plain_ptep_get,
	.ptep_get_lockless = plain_ptep_get_lockless,
	.pte_batch_hint = plain_pte_batch_hint,
	.set_ptes = set_ptes,
	.pte_clear = pte_clear,
	.ptep_get_and_clear = ptep_get_and_clear,
	.clear_full_ptes = clear_full_ptes,
	.get_and_clear_full_ptes = get_and_clear_full_ptes,
	.wrprotect_ptes = wrprotect_ptes,
	.ptep_set_access_flags = ptep_set_access_flags,
	.flush_pmd_access = flush_pmd_access,
	.test_and_clear_young_ptes = test_and_clear_young_ptes,
	.clear_flush_young_ptes = clear_flush_young_ptes,
	.clear_young_dirty_ptes = clear_young_dirty_ptes,
	.modify_prot_start_ptes = modify_prot_start_ptes,
	.modify_prot_commit_ptes = modify_prot_commit_ptes,
	.ptep_clear_flush = plain_ptep_clear_flush,
	.pte_needs_flush = plain_pte_needs_flush,
	.flush_tlb_range = flush_tlb_range,
	.flush_tlb_page = plain_flush_tlb_page,
	.flush_tlb_mm = flush_tlb_mm,
	.tlb_flush = tlb_flush,
	.tlbbatch_add_pending = plain_tlbbatch_add_pending,
	.tlbbatch_flush = flush_tlb_mm,
	.flush_tlb_batched_pending = plain_flush_tlb_batched_pending,
	.flush_tlb_fix_spurious_fault = flush_tlb_fix_spurious_fault,
	.huge_sizes = huge_sizes,
	.merges_vmas = true,
};
