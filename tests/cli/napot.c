/* SPDX-License-Identifier: MIT */
/*
 * A backend of the shape that a list series gives riscv's transparent blocks ("add Svnapot-based contiguous PTE
 * support"): all entries of a block are alike in hardware, so that whoever clears a run unfolds each block of it first,
 * whole ones, too; and the hint to batches looks at the rest of the block. For loaded.py.
 */
#include "backend_abi.h"

/* The first entry unfolds the block, the others find it done. */
static void clear_full_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool full)
{
	for (; nr; nr--, ptep++, addr += 1ull << mm->page_shift)
		mm->own->clear_full_ptes(mm, addr, ptep, 1, full);
}

static refold_pte get_and_clear_full_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool full)
{
	const refold_pte recency = REFOLD_PTE_AF | REFOLD_PTE_DIRTY;
	refold_pte pte = mm->own->get_and_clear_full_ptes(mm, addr, ptep, 1, full);

	while (--nr) {
		ptep++;
		addr += 1ull << mm->page_shift;
		pte |= mm->own->get_and_clear_full_ptes(mm, addr, ptep, 1, full) & recency;
	}
	return pte;
}

static uint32_t pte_batch_hint(struct refold_mm *mm, uint64_t addr, refold_pte pte)
{
	uint32_t hint = mm->own->pte_batch_hint(mm, addr, pte);

	mm->counters[REFOLD_pte_loads] += hint;
	return hint;
}

static const struct refold_backend backend = {
	.abi = REFOLD_BACKEND_ABI, .size = sizeof(backend),
	.arch = "riscv", .base = "svnapot-user", .release = "blocks of riscv as a list series has them", .page_shift = 12,
	.clear_full_ptes = clear_full_ptes,
	.get_and_clear_full_ptes = get_and_clear_full_ptes,
	.pte_batch_hint = pte_batch_hint,
};

const struct refold_backend *refold_backend(void)
{
	return &backend;
}
