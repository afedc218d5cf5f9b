// SPDX-License-Identifier: MIT
/*
 * PTE helpers of x86-64: no contiguous bit, hardware sets A and D. Most are the generic ones of
 * include/linux/pgtable.h. Follows arch/x86/include/asm/pgtable.h and arch/x86/mm/pgtable.c; kernel-model.md 1.4 and
 * 3.6.
 */
#include "arch/plain.h"
#include "arch/x86/x86.h"

/* ptep_get_and_clear_full(): nobody else walks a dying mm, so a load and a store do. */
static pte_t clear_dying(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_lines(mm, addr, nr);
	mm->counters->pte_loads += nr;
	mm->counters->pte_stores += nr;
	return arch_take_ptes(ptep, nr);
}

static void x86_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	if (!full) {
		plain_clear_full_ptes(mm, addr, ptep, nr, full);
		return;
	}
	arch_count_batch(mm, ARCH_HELPER_clear_full_ptes, nr);
	clear_dying(mm, addr, ptep, nr);
}

static pte_t x86_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	if (!full)
		return plain_get_and_clear_full_ptes(mm, addr, ptep, nr, full);
	arch_count_batch(mm, ARCH_HELPER_get_and_clear_full_ptes, nr);
	return clear_dying(mm, addr, ptep, nr);
}

static void x86_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	arch_count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += nr;
}

/* The entry is stored only for a write fault, and nothing is flushed: permission was gained. */
static bool x86_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	bool changed = (ptep->val ^ entry.val) & PTE_HW_MASK;

	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_loads++;
	if (changed && dirty) {
		ptep->val = (entry.val & PTE_HW_MASK) | (ptep->val & ~PTE_HW_MASK);
		mm->counters->pte_stores++;
	}
	return changed;
}

/* A remote CPU that still has the old entry takes a spurious fault. */
static void x86_flush_pmd_access(struct arch_mm *mm, u64 addr)
{
}

static const struct arch_huge_size x86_huge_sizes[] = {
	{ .page_shift = 12, .size_shift = 21, .level = HUGE_LEVEL_PMD, .entries = 1, .getter_loads = 1 },
	{ .page_shift = 12, .size_shift = 30, .level = HUGE_LEVEL_PUD, .entries = 1, .getter_loads = 1 },
	{ 0 },
};

static const char *const machines[] = { "x86_64", NULL };

static const struct arch_geometry geometries[] = {
	{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 1 },
	{ 0 },
};

static const struct knob own_knobs[] = {
	KNOB_DEFER_UNMAP_FLUSH,
	KNOB_FLUSH_CEILING,
	{ "invlpgb", KNOB_BOOL,
	  "flushes of processes that run on several CPUs are broadcast, without IPI (6.15, on AMD)", ARCH_KNOB(invlpgb) },
	{ "invlpgb_count_max", NULL, "pages that one broadcast invalidates at most", ARCH_KNOB(invlpgb_count_max),
	  KNOB_NEEDS("invlpgb=true") },
	{ "invlpgb_min_cpus", NULL,
	  "CPUs that must run a process at once before its flushes are broadcast; 0: as soon as another one does",
	  ARCH_KNOB(invlpgb_min_cpus), KNOB_NEEDS("invlpgb=true") },
	KNOB_KPTI,
	{ 0 },
};

static const struct knob *const knob_tables[] = { own_knobs, NULL };

static bool interrupts(const struct arch_knobs *knobs)
{
	return !knobs->invlpgb || knobs->invlpgb_min_cpus;
}

static bool broadcasts(const struct arch_knobs *knobs)
{
	return knobs->invlpgb && !knobs->invlpgb_min_cpus;
}

static bool broadcasts_later(const struct arch_knobs *knobs)
{
	return knobs->invlpgb && knobs->invlpgb_min_cpus;
}

static const struct arch_assumption assumptions[] = {
	{ interrupts, "other_cpus", ARCH_OTHER_CPUS_TEXT },
	{ broadcasts, "global_asid",
	  "every process that other CPUs run has a global ASID; kernels give one out once four CPUs run it" },
	{ broadcasts_later, "global_asid_given",
	  "a process gets a global ASID at its first flush that finds enough CPUs running it; kernels look at some of them" },
	{ 0 },
};

const struct arch_ops x86_ops = {
	.name = "x86",
	.machines = machines,
	.geometries = geometries,
	.knobs = knob_tables,
	.assumptions = assumptions,
	.ptep_get = plain_ptep_get,
	.ptep_get_lockless = plain_ptep_get_lockless,
	.pte_batch_hint = plain_pte_batch_hint,
	.set_ptes = plain_set_ptes,
	.pte_clear = plain_pte_clear,
	.ptep_get_and_clear = plain_ptep_get_and_clear,
	.clear_full_ptes = x86_clear_full_ptes,
	.get_and_clear_full_ptes = x86_get_and_clear_full_ptes,
	.wrprotect_ptes = x86_wrprotect_ptes,
	.ptep_set_access_flags = x86_ptep_set_access_flags,
	.flush_pmd_access = x86_flush_pmd_access,
	.test_and_clear_young_ptes = plain_test_and_clear_young_ptes,
	.clear_flush_young_ptes = plain_clear_flush_young_ptes,
	.clear_young_dirty_ptes = plain_clear_young_dirty_ptes,
	.modify_prot_start_ptes = plain_modify_prot_start_ptes,
	.modify_prot_commit_ptes = plain_modify_prot_commit_ptes,
	.ptep_clear_flush = plain_ptep_clear_flush,
	.pte_needs_flush = x86_pte_needs_flush,
	.flush_tlb_range = x86_flush_tlb_range,
	.flush_tlb_page = plain_flush_tlb_page,
	.flush_tlb_mm = x86_flush_tlb_mm,
	.tlb_flush = x86_tlb_flush,
	.tlbbatch_add_pending = plain_tlbbatch_add_pending,
	.tlbbatch_flush = x86_tlbbatch_flush,
	.defers_for_others = true,
	.no_pmd_flush = true,
	.flush_tlb_batched_pending = plain_flush_tlb_batched_pending,
	.flush_tlb_fix_spurious_fault = x86_flush_tlb_fix_spurious_fault,
	.huge_sizes = x86_huge_sizes,
	.merges_vmas = true,
	.shares_huge_pmds = true,
	.moves_puds = true,
	.one_dirty_bit = true,
};
