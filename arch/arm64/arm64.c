// SPDX-License-Identifier: MIT
/* arm64: entries that fold, which is the work of arch/contpte/, and the flushes of tlbflush.c. */
#include "arch/arm64/arm64.h"
#include "arch/contpte/contpte.h"
#include "arch/plain.h"

/* Until 6.18 it is the flush of a page; then a local one of the whole range. */
static void arm64_flush_pmd_access(struct arch_mm *mm, u64 addr)
{
	u64 size = 1ull << (mm->geometry->page_shift + mm->geometry->table_shift);
	const struct arch_flush flush = {
		.start = ALIGN_DOWN(addr, size),
		.end = ALIGN_DOWN(addr, size) + size,
		.stride = size,
		.last_level = true,
		.level = FLUSH_LEVEL_PMD,
		.mode = FLUSH_LOCAL,
	};

	if (mm->knobs->reuse_flush_local)
		mm->ops->flush_tlb_range(mm, &flush);
	else
		mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
}

/*
 * Erratum 2645198: before permissions of an executable entry change it is cleared and flushed. Since 6.17 that is one
 * flush of the run, of last-level entries, by modify_prot_start_ptes(); before, ptep_clear_flush() of each.
 */
static pte_t arm64_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	enum arch_exec_prot_flush how = mm->knobs->exec_prot_flush;
	bool flush = false;
	pte_t pte;

	if (how == EXEC_PROT_FLUSH_ENTRY)
		flush = folding_ptep_get(mm, addr, ptep).val & PTE_EXEC;
	pte = folding_modify_prot_start_ptes(mm, addr, ptep, nr);
	if (how == EXEC_PROT_FLUSH_RUN)
		flush = pte.val & PTE_EXEC;
	if (flush && pte_valid(pte))
		arch_flush_ptes(mm, addr, nr, FLUSH_SYNC);
	return pte;
}

static const char *const machines[] = { "aarch64", NULL };

/* kernel-model.md 1.1 */
static const struct arch_geometry geometries[] = {
	{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 16 },
	{ .page_shift = 14, .table_shift = 11, .levels = 4, .cont_ptes = 128 },
	{ .page_shift = 16, .table_shift = 13, .levels = 3, .cont_ptes = 32 },
	{ 0 },
};

static const struct knob *const knob_tables[] = { arm64_knobs, contpte_knobs, NULL };

static const struct arch_assumption assumptions[] = { CONTPTE_ASSUMPTION, { 0 } };

const struct arch_ops arm64_ops = {
	.name = "arm64",
	.machines = machines,
	.geometries = geometries,
	.knobs = knob_tables,
	.assumptions = assumptions,
	.ptep_get = folding_ptep_get,
	.ptep_get_lockless = folding_ptep_get_lockless,
	.pte_batch_hint = folding_pte_batch_hint,
	.set_ptes = folding_set_ptes,
	.pte_clear = folding_pte_clear,
	.ptep_get_and_clear = folding_ptep_get_and_clear,
	.clear_full_ptes = folding_clear_full_ptes,
	.get_and_clear_full_ptes = folding_get_and_clear_full_ptes,
	.wrprotect_ptes = folding_wrprotect_ptes,
	.ptep_set_access_flags = folding_ptep_set_access_flags,
	.flush_pmd_access = arm64_flush_pmd_access,
	.test_and_clear_young_ptes = folding_test_and_clear_young_ptes,
	.clear_flush_young_ptes = folding_clear_flush_young_ptes,
	.clear_young_dirty_ptes = folding_clear_young_dirty_ptes,
	.modify_prot_start_ptes = arm64_modify_prot_start_ptes,
	.modify_prot_commit_ptes = folding_modify_prot_commit_ptes,
	.fold_block = contpte_fold_block,
	.ptep_clear_flush = plain_ptep_clear_flush,
	.pte_needs_flush = arm64_pte_needs_flush,
	.flush_tlb_range = arm64_flush_tlb_range,
	.flush_tlb_page = plain_flush_tlb_page,
	.flush_tlb_mm = arm64_flush_tlb_mm,
	.tlb_flush = arm64_tlb_flush,
	.tlbbatch_add_pending = arm64_tlbbatch_add_pending,
	.tlbbatch_flush = arm64_tlbbatch_flush,
	.flush_tlb_batched_pending = arm64_flush_tlb_batched_pending,
	.flush_tlb_fix_spurious_fault = arm64_flush_tlb_fix_spurious_fault,
	.huge_sizes = arm64_huge_sizes,
	.merges_vmas = false,
	.invalidate_ad_flushes = true,
	.access_flags_cmpxchg = true,
	.shares_huge_pmds = true,
	.walks_unshared = true,
	.moves_puds = true,
	.old_prefaulted_ptes = true,
};
