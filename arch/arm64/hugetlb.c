// SPDX-License-Identifier: MIT
/*
 * Huge pages of hugetlb on arm64, by base page size: kernel-model.md 1.1. huge_ptep_get() reads the entry and, where it
 * has the contiguous hint, all entries of the block once more; set_huge_pte_at() breaks the block before it makes it.
 */
#include "arch/arm64/arm64.h"

#define LEAF(base, size, at) { .page_shift = base, .size_shift = size, .level = at, .entries = 1, .getter_loads = 1 }
#define CONT(base, size, at, n) \
	{ .page_shift = base, .size_shift = size, .level = at, .entries = n, .getter_loads = 1 + n, .breaks = true }

const struct arch_huge_size arm64_huge_sizes[] = {
	CONT(12, 16, HUGE_LEVEL_PTE, 16),
	LEAF(12, 21, HUGE_LEVEL_PMD),
	CONT(12, 25, HUGE_LEVEL_PMD, 16),
	LEAF(12, 30, HUGE_LEVEL_PUD),

	CONT(14, 21, HUGE_LEVEL_PTE, 128),
	LEAF(14, 25, HUGE_LEVEL_PMD),
	CONT(14, 30, HUGE_LEVEL_PMD, 32),

	CONT(16, 21, HUGE_LEVEL_PTE, 32),
	LEAF(16, 29, HUGE_LEVEL_PMD),
	CONT(16, 34, HUGE_LEVEL_PMD, 32),
	{ 0 },
};
