/* SPDX-License-Identifier: MIT */
/* Inside of the x86 backend: x86.c has the helpers, tlbflush.c what flushes cost. */
#ifndef REFOLD_ARCH_X86_X86_H
#define REFOLD_ARCH_X86_X86_H

#include "arch/entry.h"

void x86_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush);
void x86_flush_tlb_mm(struct arch_mm *mm);
void x86_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables);
void x86_tlbbatch_flush(struct arch_mm *mm);
void x86_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr);
bool x86_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new);

#endif
