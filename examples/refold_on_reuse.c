/* SPDX-License-Identifier: MIT */
/*
 * A what-if: after fork() write faults reuse the pages of a block one by one, and the first has unfolded it.
 * Here the one that makes its last page writable sets that entry once more, which folds the block again if all of it
 * agrees.
 *
 *     cc -shared -fPIC -I/usr/include/refold -o refold_on_reuse.so refold_on_reuse.c
 *     refold replay T -p linux-7.3,./refold_on_reuse.so
 */
#include "backend_abi.h"

static bool is_last_of_block(const struct refold_mm *mm, uint64_t addr)
{
	return (addr >> mm->page_shift) % mm->cont_ptes == mm->cont_ptes - 1;
}

static bool ptep_set_access_flags(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte entry, bool dirty)
{
	bool changed = mm->own->ptep_set_access_flags(mm, addr, ptep, entry, dirty);

	if (changed && dirty && is_last_of_block(mm, addr)) {
		mm->counters[REFOLD_pte_loads]++;
		if (!(*ptep & REFOLD_PTE_CONT))
			mm->own->set_ptes(mm, addr, ptep, *ptep, 1);
	}
	return changed;
}

static const struct refold_backend backend = {
	.abi = REFOLD_BACKEND_ABI, .size = sizeof(backend),
	.arch = "arm64", .base = "linux-7.3", .release = "folds after reuse of the last page",
	.ptep_set_access_flags = ptep_set_access_flags,
};

const struct refold_backend *refold_backend(void)
{
	return &backend;
}
