// SPDX-License-Identifier: MIT
/* TLB flushes that core mm asks for itself, without an mmu_gather; include/asm-generic/tlb.h has those with one. */
#include "engine/pgtable.h"
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

/* fold_sites=end-of-op: the blocks that the operation has left unfolded, in the order in which it came by. */
static void fold_touched(struct mm *mm)
{
	struct arch_touched *touched = &mm->arch.touched;
	size_t i;

	for (i = 0; i < touched->nr; i++) {
		pmd_t *pmd = pmd_offset(mm, touched->addrs[i]);

		if (pmd && pmd_table(*pmd) && mm->arch.ops->fold_block)
			mm->arch.ops->fold_block(&mm->arch, touched->addrs[i], pte_offset(mm, pmd, touched->addrs[i]));
	}
	touched->nr = 0;
}

void refold_at(struct mm *mm, u64 addr)
{
	pmd_t *pmd = pmd_offset(mm, addr);

	addr = ALIGN_DOWN(addr, page_size(mm));
	if (pmd && pmd_table(*pmd) && mm->arch.ops->fold_block)
		mm->arch.ops->fold_block(&mm->arch, addr, pte_offset(mm, pmd, addr));
}

void settle_blocks(struct mm *mm)
{
	fold_touched(mm);
	if (mm->arch.owed.end)
		flush_tlb_ptes(mm, mm->arch.owed.start, mm->arch.owed.end, FLUSH_SYNC);
	else if (mm->arch.owed.wait)
		mm->arch.ops->tlbbatch_flush(&mm->arch);
	mm->arch.owed = (struct arch_owed){ 0 };
}
