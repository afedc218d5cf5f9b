// SPDX-License-Identifier: MIT
/*
 * PTE helpers of riscv. Kernels up to 7.3 use Svnapot, one PTE_CONT block of 64K, for hugetlb only, and the helpers
 * that core mm calls know nothing of it: they are the generic ones. Follows arch/riscv/include/asm/pgtable.h and
 * arch/riscv/mm/pgtable.c of 6.12 and 7.2; kernel-model.md 1.2, 3.7.
 *
 * With the knob cont, which no kernel has, base pages get transparent blocks as well. As in the list series that
 * moves contpte to generic mm, that is arm64's code (arch/contpte/), word for word, with riscv's flushes: blocks are
 * cleared and flushed before they are written the other way. The privileged specification does not demand that; the
 * knob bbml3 leaves the flush out.
 */
#include "arch/contpte/contpte.h"
#include "arch/plain.h"
#include "arch/riscv/riscv.h"

/* Which helpers: those of contiguous blocks, or the bare ones. */
#define helpers(mm) ((mm)->knobs->cont ? &folding_helpers : &bare)

static void bare_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	arch_count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
	mm->counters->pte_loads += nr;
	mm->counters->pte_stores += nr;
}

/*
 * A change is flushed even if it only widens. Without Svvptc everything counts as a change, and its fence is
 * update_mmu_cache()'s.
 */
static bool bare_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_loads++;
	if (!plain_widen(ptep, entry))
		return !mm->knobs->svvptc;
	mm->counters->pte_stores++;
	if (mm->knobs->svvptc)
		mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
	return true;
}

static const struct arch_ops bare = {
	.ptep_get = plain_ptep_get,
	.ptep_get_lockless = plain_ptep_get_lockless,
	.pte_batch_hint = plain_pte_batch_hint,
	.set_ptes = plain_set_ptes,
	.pte_clear = plain_pte_clear,
	.ptep_get_and_clear = plain_ptep_get_and_clear,
	.clear_full_ptes = plain_clear_full_ptes,
	.get_and_clear_full_ptes = plain_get_and_clear_full_ptes,
	.wrprotect_ptes = bare_wrprotect_ptes,
	.ptep_set_access_flags = bare_ptep_set_access_flags,
	.test_and_clear_young_ptes = plain_test_and_clear_young_ptes,
	.clear_flush_young_ptes = plain_clear_flush_young_ptes,
	.clear_young_dirty_ptes = plain_clear_young_dirty_ptes,
	.modify_prot_start_ptes = plain_modify_prot_start_ptes,
	.modify_prot_commit_ptes = plain_modify_prot_commit_ptes,
};

static pte_t riscv_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	return helpers(mm)->ptep_get(mm, addr, ptep);
}

static pte_t riscv_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	return helpers(mm)->ptep_get_lockless(mm, addr, ptep);
}

static unsigned int riscv_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte)
{
	return helpers(mm)->pte_batch_hint(mm, addr, pte);
}

static void riscv_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	helpers(mm)->set_ptes(mm, addr, ptep, pte, nr);
}

static void riscv_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	helpers(mm)->pte_clear(mm, addr, ptep);
}

static pte_t riscv_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	return helpers(mm)->ptep_get_and_clear(mm, addr, ptep);
}

static void riscv_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	helpers(mm)->clear_full_ptes(mm, addr, ptep, nr, full);
}

static pte_t riscv_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	return helpers(mm)->get_and_clear_full_ptes(mm, addr, ptep, nr, full);
}

static void riscv_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	helpers(mm)->wrprotect_ptes(mm, addr, ptep, nr);
}

static bool riscv_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	return helpers(mm)->ptep_set_access_flags(mm, addr, ptep, entry, dirty);
}

static void riscv_flush_pmd_access(struct arch_mm *mm, u64 addr)
{
	if (mm->knobs->svvptc)
		mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
}

static bool riscv_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	return helpers(mm)->test_and_clear_young_ptes(mm, addr, ptep, nr);
}

/* riscv does not flush here, with blocks or without. */
static bool riscv_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	return riscv_test_and_clear_young_ptes(mm, addr, ptep, nr);
}

static void riscv_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young,
					 bool dirty)
{
	helpers(mm)->clear_young_dirty_ptes(mm, addr, ptep, nr, young, dirty);
}

static pte_t riscv_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	return helpers(mm)->modify_prot_start_ptes(mm, addr, ptep, nr);
}

static void riscv_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte,
					  unsigned int nr)
{
	helpers(mm)->modify_prot_commit_ptes(mm, addr, ptep, old, pte, nr);
}

/* Svnapot: all 16 entries are written and read; the generic getter takes one, huge_ptep_get() all of them. */
static const struct arch_huge_size riscv_huge_sizes[] = {
	{ .page_shift = 12, .size_shift = 16, .level = HUGE_LEVEL_PTE, .breaks = true, .entries = 16,
	  .getter_loads = 17 },
	{ .page_shift = 12, .size_shift = 21, .level = HUGE_LEVEL_PMD, .entries = 1, .getter_loads = 1 },
	{ .page_shift = 12, .size_shift = 30, .level = HUGE_LEVEL_PUD, .entries = 1, .getter_loads = 1 },
	{ 0 },
};

static const char *const machines[] = { "riscv64", NULL };

static const struct arch_geometry geometries[] = {
	{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 16 },
	{ 0 },
};

static const struct knob own_knobs[] = {
	KNOB_DEFER_UNMAP_FLUSH,
	KNOB_FLUSH_CEILING,
	{ "gather_flush", KNOB_EITHER("mm", "range"),
	  "munmap and its like flush the address space, or what they have unmapped (range: 6.7)", ARCH_KNOB(gather_range),
	  KNOB_SINCE(6, 7) },
	{ "rfence", KNOB_EITHER("ipi", "sbi"),
	  "who flushes where other CPUs ran the process: each after an IPI, or firmware, which is asked for one page or all",
	  ARCH_KNOB(rfence_sbi) },
	{ "svinval", KNOB_BOOL, "the CPU has Svinval: a range is invalidated page by page between two fences",
	  ARCH_KNOB(svinval) },
	{ "svvptc", KNOB_BOOL, "the CPU has Svvptc, and the kernel knows: entries that become valid need no fence (6.12)",
	  ARCH_KNOB(svvptc), KNOB_SINCE(6, 12) },
	{ 0 },
};

static const struct knob *const knob_tables[] = { own_knobs, contpte_knobs, NULL };

static bool folds(const struct arch_knobs *knobs)
{
	return knobs->cont;
}

static bool has_svvptc(const struct arch_knobs *knobs)
{
	return knobs->svvptc;
}

static bool no_firmware(const struct arch_knobs *knobs)
{
	return !knobs->rfence_sbi;
}

static const struct arch_assumption assumptions[] = {
	{ NULL, "other_cpus", ARCH_OTHER_CPUS_TEXT },
	{ has_svvptc, "svvptc", "the CPU has Svvptc: an entry that becomes valid needs no fence (svvptc=false: it does)" },
	{ no_firmware, "rfence", "other CPUs are flushed by IPI, as where they have IMSIC; else firmware does it (rfence=sbi)" },
	CONTPTE_ASSUMPTION,
	{ folds, "svnapot_user",
	  "no kernel has this: blocks fold and unfold as in arm64's contpte, cleared and flushed in between, which the "
	  "architecture does not demand (bbml3=true: without)" },
	{ 0 },
};

const struct arch_ops riscv_ops = {
	.name = "riscv",
	.machines = machines,
	.geometries = geometries,
	.knobs = knob_tables,
	.assumptions = assumptions,
	.ptep_get = riscv_ptep_get,
	.ptep_get_lockless = riscv_ptep_get_lockless,
	.pte_batch_hint = riscv_pte_batch_hint,
	.set_ptes = riscv_set_ptes,
	.pte_clear = riscv_pte_clear,
	.ptep_get_and_clear = riscv_ptep_get_and_clear,
	.clear_full_ptes = riscv_clear_full_ptes,
	.get_and_clear_full_ptes = riscv_get_and_clear_full_ptes,
	.wrprotect_ptes = riscv_wrprotect_ptes,
	.ptep_set_access_flags = riscv_ptep_set_access_flags,
	.update_mmu_cache = riscv_update_mmu_cache,
	.flush_pmd_access = riscv_flush_pmd_access,
	.test_and_clear_young_ptes = riscv_test_and_clear_young_ptes,
	.clear_flush_young_ptes = riscv_clear_flush_young_ptes,
	.clear_young_dirty_ptes = riscv_clear_young_dirty_ptes,
	.modify_prot_start_ptes = riscv_modify_prot_start_ptes,
	.modify_prot_commit_ptes = riscv_modify_prot_commit_ptes,
	.fold_block = contpte_fold_block,
	.ptep_clear_flush = plain_ptep_clear_flush,
	.pte_needs_flush = plain_pte_needs_flush,
	.flush_tlb_range = riscv_flush_tlb_range,
	.flush_tlb_page = plain_flush_tlb_page,
	.flush_tlb_mm = riscv_flush_tlb_mm,
	.tlb_flush = riscv_tlb_flush,
	.tlbbatch_add_pending = plain_tlbbatch_add_pending,
	.tlbbatch_flush = riscv_tlbbatch_flush,
	.flush_tlb_batched_pending = plain_flush_tlb_batched_pending,
	.flush_tlb_fix_spurious_fault = riscv_flush_tlb_fix_spurious_fault,
	.huge_sizes = riscv_huge_sizes,
	.keeps_cpus = true,
	.invalidate_ad_flushes = true,
	.shares_huge_pmds = true,
	.moves_puds = true,
};
