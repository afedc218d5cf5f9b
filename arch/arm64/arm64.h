/* SPDX-License-Identifier: MIT */
/* Inside of the arm64 backend: arm64.c has the table, hugetlb.c the huge pages, tlbflush.c what flushes cost. */
#ifndef REFOLD_ARCH_ARM64_ARM64_H
#define REFOLD_ARCH_ARM64_ARM64_H

#include "arch/entry.h"

/* ---- knobs.c ---- */

extern const struct knob arm64_knobs[];

/* ---- hugetlb.c ---- */

extern const struct arch_huge_size arm64_huge_sizes[];

/* ---- tlbflush.c ---- */

void arm64_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush);
void arm64_flush_tlb_mm(struct arch_mm *mm);
void arm64_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables);
void arm64_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr);
void arm64_tlbbatch_flush(struct arch_mm *mm);
void arm64_flush_tlb_batched_pending(struct arch_mm *mm);
void arm64_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr);
bool arm64_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new);

#endif
