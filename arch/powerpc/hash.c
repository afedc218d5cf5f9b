// SPDX-License-Identifier: MIT
/*
 * powerpc 64 with a hashed page table and base pages of 4K: what Linux calls page table is where the hash table is
 * filled from, so each entry that is taken away or restricted is invalidated there at once, in batches of up to 192,
 * and the flushes of core mm find nothing left to do. Follows book3s/64/hash.h, tlbflush-hash.h and
 * mm/book3s64/hash_tlb.c; kernel-model.md 1.3.
 *
 * Counted is a tlbie (tlbi_va) for each such page, as if all of them had got into the hash table, and for each batch
 * the ptesync before and the tlbsync with ptesync after (dsb_ishst, dsb_ish). Where no other CPU runs the mm it is
 * tlbiel.
 */
#include "arch/plain.h"

#define BATCH_PAGES 192

/* The pages of a run that hash entries may have been made of: those from the first valid one to the last. */
struct hashed {
	u64 addr;
	unsigned int nr;
};

static struct hashed find_hashed(const struct arch_mm *mm, u64 addr, const pte_t *ptep, unsigned int nr)
{
	unsigned int first = 0;

	while (nr && !pte_valid(ptep[nr - 1]))
		nr--;
	while (first < nr && !pte_valid(ptep[first]))
		first++;
	return (struct hashed){ addr + ((u64)first << mm->geometry->page_shift), nr - first };
}

/* hpte_need_flush() of each, and __flush_tlb_pending() */
static void invalidate(struct arch_mm *mm, struct hashed run)
{
	const struct arch_flush flush = {
		.start = run.addr,
		.end = run.addr + ((u64)run.nr << mm->geometry->page_shift),
		.stride = 1ull << mm->geometry->page_shift,
		.last_level = true,
		.level = FLUSH_LEVEL_PTE,
		.mode = FLUSH_SYNC,
	};
	unsigned int batches = (run.nr + BATCH_PAGES - 1) / BATCH_PAGES;
	struct arch_counters *c = mm->counters;

	if (!run.nr)
		return;
	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, &flush);
	c->flush_calls += batches;
	c->tlbi += run.nr;
	c->tlbi_va += run.nr;
	c->tlbi_local += mm->remote_cpus ? 0 : run.nr;
	c->tlbi_pages += run.nr;
	c->dsb += 2 * batches;
	c->dsb_ishst += batches;
	c->dsb_ish += batches;
}

/* ---- flushes of core mm: entries are invalidated where they change ---- */

static void flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
}

static void flush_tlb_page(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode)
{
}

static void flush_tlb_mm(struct arch_mm *mm)
{
}

static void tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
}

static void tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr)
{
}

/* The fault itself has corrected the hash entry. */
static void flush_at(struct arch_mm *mm, u64 addr)
{
}

/* ---- helpers ---- */

static void pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, 1);

	plain_pte_clear(mm, addr, ptep);
	invalidate(mm, hashed);
}

static pte_t ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, 1);
	pte_t pte = plain_ptep_get_and_clear(mm, addr, ptep);

	invalidate(mm, hashed);
	return pte;
}

static void clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);

	plain_clear_full_ptes(mm, addr, ptep, nr, full);
	invalidate(mm, hashed);
}

static pte_t get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);
	pte_t pte = plain_get_and_clear_full_ptes(mm, addr, ptep, nr, full);

	invalidate(mm, hashed);
	return pte;
}

static void wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	arch_count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += nr;
	invalidate(mm, hashed);
}

/* The hash entry is corrected by the fault that asked for it. */
static bool ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_loads++;
	if (!plain_widen(ptep, entry))
		return false;
	mm->counters->pte_atomics++;
	return true;
}

/* Clearing A invalidates, or the next access would set nothing. */
static bool test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);
	bool young = plain_test_and_clear_young_ptes(mm, addr, ptep, nr);

	if (young)
		invalidate(mm, hashed);
	return young;
}

static bool clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);
	bool young = plain_clear_flush_young_ptes(mm, addr, ptep, nr);

	if (young)
		invalidate(mm, hashed);
	return young;
}

static void clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);

	plain_clear_young_dirty_ptes(mm, addr, ptep, nr, young, dirty);
	invalidate(mm, hashed);
}

static pte_t modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct hashed hashed = find_hashed(mm, addr, ptep, nr);
	pte_t pte = plain_modify_prot_start_ptes(mm, addr, ptep, nr);

	invalidate(mm, hashed);
	return pte;
}

/* Until 6.11 both were directory entries that stand for the whole page: hugepd. */
static const struct arch_huge_size huge_sizes[] = {
	{ .page_shift = 12, .size_shift = 24, .level = HUGE_LEVEL_PMD, .entries = 1, .getter_loads = 1 },
	{ .page_shift = 12, .size_shift = 34, .level = HUGE_LEVEL_PUD, .entries = 1, .getter_loads = 1 },
	{ 0 },
};

static const char *const machines[] = { "ppc64", "ppc64le", NULL };

static const struct arch_geometry geometries[] = {
	{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 1 },
	{ 0 },
};

static const struct knob *const knob_tables[] = { NULL };

static const struct arch_assumption assumptions[] = {
	{ NULL, "hashed", "every valid entry has got into the hash table" },
	{ NULL, "no_huge_leaves",
	  "huge pages are mapped as recorded, which kernels with a hashed table and 4K pages do not do; their flushes are "
	  "not counted" },
	{ 0 },
};

const struct arch_ops powerpc_hash_ops = {
	.name = "powerpc-hash",
	.machines = machines,
	.geometries = geometries,
	.knobs = knob_tables,
	.assumptions = assumptions,
	.ptep_get = plain_ptep_get,
	.ptep_get_lockless = plain_ptep_get_lockless,
	.pte_batch_hint = plain_pte_batch_hint,
	.set_ptes = plain_set_ptes,
	.pte_clear = pte_clear,
	.ptep_get_and_clear = ptep_get_and_clear,
	.clear_full_ptes = clear_full_ptes,
	.get_and_clear_full_ptes = get_and_clear_full_ptes,
	.wrprotect_ptes = wrprotect_ptes,
	.ptep_set_access_flags = ptep_set_access_flags,
	.flush_pmd_access = flush_at,
	.test_and_clear_young_ptes = test_and_clear_young_ptes,
	.clear_flush_young_ptes = clear_flush_young_ptes,
	.clear_young_dirty_ptes = clear_young_dirty_ptes,
	.modify_prot_start_ptes = modify_prot_start_ptes,
	.modify_prot_commit_ptes = plain_modify_prot_commit_ptes,
	.ptep_clear_flush = plain_ptep_clear_flush,
	.pte_needs_flush = plain_pte_needs_flush,
	.flush_tlb_range = flush_tlb_range,
	.flush_tlb_page = flush_tlb_page,
	.flush_tlb_mm = flush_tlb_mm,
	.tlb_flush = tlb_flush,
	.tlbbatch_add_pending = tlbbatch_add_pending,
	.tlbbatch_flush = flush_tlb_mm,
	.flush_tlb_batched_pending = flush_tlb_mm,
	.flush_tlb_fix_spurious_fault = flush_at,
	.huge_sizes = huge_sizes,
	.merges_vmas = true,
	.access_flags_cmpxchg = true,
};
