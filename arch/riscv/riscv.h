/* SPDX-License-Identifier: MIT */
/* Inside of the riscv backend: riscv.c has the helpers, tlbflush.c what flushes cost. */
#ifndef REFOLD_ARCH_RISCV_RISCV_H
#define REFOLD_ARCH_RISCV_RISCV_H

#include "arch/entry.h"

void riscv_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush);
/* Without Svvptc: this CPU's fences for entries that became valid. */
void riscv_update_mmu_cache(struct arch_mm *mm, u64 addr, unsigned int nr);
void riscv_flush_tlb_mm(struct arch_mm *mm);
void riscv_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables);
void riscv_tlbbatch_flush(struct arch_mm *mm);
void riscv_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr);

#endif
