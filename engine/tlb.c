// SPDX-License-Identifier: MIT
/* TLB flushes that core mm asks for itself, without an mmu_gather; include/asm-generic/tlb.h has those with one. */
#include "engine/tlb.h"

void flush_tlb_range(struct mm *mm, u64 start, u64 end)
{
	const struct arch_flush flush = {
		.start = start,
		.end = end,
		.stride = page_size(mm),
		.level = FLUSH_LEVEL_UNKNOWN,
		.mode = FLUSH_SYNC,
	};

	mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
}

/* include/linux/pgtable.h has flush_tlb_range() for those without one. */
void flush_pmd_tlb_range(struct mm *mm, u64 start, u64 end)
{
	const struct arch_flush flush = {
		.start = start,
		.end = end,
		.stride = pmd_size(mm),
		.level = FLUSH_LEVEL_PMD,
		.mode = FLUSH_SYNC,
	};

	if (mm->arch.ops->no_pmd_flush)
		flush_tlb_range(mm, start, end);
	else
		mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
}

void flush_tlb_ptes(struct mm *mm, u64 start, u64 end, enum arch_flush_mode mode)
{
	const struct arch_flush flush = {
		.start = start,
		.end = end,
		.stride = page_size(mm),
		.last_level = true,
		.level = FLUSH_LEVEL_PTE,
		.mode = mode,
	};

	mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
}
