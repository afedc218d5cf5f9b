/* SPDX-License-Identifier: MIT */
/*
 * What TLBs may still hold, page by page (I9), and what the flushes seen so
 * far should have cost (I8).
 */
#ifndef REFOLD_PROPERTIES_TLB_H
#define REFOLD_PROPERTIES_TLB_H

#include "properties/property.h"

struct tlb *tlb_create(const struct trial *t);
void tlb_destroy(struct tlb *tlb);

/* The step begins: remember which tables and leaves there are. */
void tlb_begin_step(struct trial *t);
/* Nothing that the step took away may be left in a TLB. */
void tlb_end_step(struct trial *t);
void tlb_forget_mm(struct trial *t, u32 mm);

/* An entry changed: the hardware may have cached what it was. widened: permission was gained, for a write. */
void tlb_entry_changed(struct trial *t, u32 mm, u32 page, pte_t old, pte_t new, bool widened);
/* A flush of the address space: NULL is all of it. */
void tlb_flushed(struct trial *t, u32 mm, const struct arch_flush *flush);
/* Flushes of this run will be waited for later; on x86, issued later. */
void tlb_deferred(struct trial *t, u32 mm, u64 addr, u32 nr);
/* They have been. mm: REFERENCE_MMS for all. */
void tlb_waited(struct trial *t, u32 mm);
u32 tlb_nr_widened(const struct trial *t, u32 mm);

/* mmu_gather: entries whose flush it owes, and its flush. */
void tlb_gathered(struct trial *t, u32 mm, u64 addr, u32 nr);
void tlb_gather_flushes(struct trial *t, u32 mm, const struct arch_flush *flush, bool fullmm, bool freed_tables);

/* ---- flush_cost.c ---- */

/* By the names of the counters that they should equal. */
struct flush_totals {
	u64 flush_calls, tlbi, tlbi_va, tlbi_range, tlbi_asid, tlbi_repeat, tlbi_local, tlbi_walk, tlbi_pages;
	u64 dsb_ishst, dsb_ish, dsb_nsh;
};

/* A flush that was asked for. */
void flush_cost_add(const struct trial *t, struct flush_totals *totals, const struct arch_flush *flush);
/* The wait for deferred flushes. */
void flush_cost_wait(struct flush_totals *totals, const struct rf_policy *policy);
void flush_cost_broadcast(struct flush_totals *totals);
void flush_cost_check(struct trial *t);

#endif
