/* SPDX-License-Identifier: MIT */
/*
 * What a backend counts. The engine keeps one struct arch_counters per
 * operation kind and points the backend at the row of the operation in
 * progress; the names are those of the report.
 */
#ifndef REFOLD_ARCH_COUNTERS_H
#define REFOLD_ARCH_COUNTERS_H

#include "base/types.h"

/*
 * Each counter and its meaning, as the report's schema and refold-report(5) give it. A counter is a plain count of
 * events but for tlbi_pages (pages). Those up to isb loaded backends know by their place (backend_abi.h): a new one
 * comes after it.
 */
#define ARCH_COUNTERS(X) \
	X(pte_loads, "Plain loads of one entry.") \
	X(pte_stores, "Plain stores of one entry.") \
	X(pte_atomics, "Exchanges, and each attempt of a compare-and-exchange, on one entry.") \
	X(pte_lines, "64-byte lines of page table touched, per helper call.") \
	X(fold, "Blocks converted to contiguous (contpte_convert).") \
	X(unfold, "Blocks converted back.") \
	X(born, "Blocks that became contiguous by being written so.") \
	X(erased, "Contiguous blocks that vanished whole, without unfold.") \
	X(flush_calls, "Calls of flush_tlb_*() that reached the hardware.") \
	X(tlbi, "TLB invalidation instructions: tlbi_va + tlbi_range + tlbi_asid + tlbi_repeat.") \
	X(tlbi_va, "Of them, by address.") \
	X(tlbi_range, "Of them, by range.") \
	X(tlbi_asid, "Of them, of the whole address space (arm64: ASIDE1; x86: full flushes).") \
	X(tlbi_repeat, "Instructions that only the work-around of the repeat-TLBI erratum issues: tlbi less these " \
		       "is what the same kernel issues on other CPUs.") \
	X(tlbi_local, "The part of tlbi that was not broadcast.") \
	X(tlbi_walk, "The part of tlbi_va and tlbi_range that also drops cached walks of page tables (arm64: " \
		     "VAE1IS rather than VALE1IS).") \
	X(tlbi_pages, "Pages covered by invalidations by address and by range.") \
	X(dsb, "Barriers around them.") \
	X(dsb_ishst, "Of them, DSB ISHST.") \
	X(dsb_ish, "Of them, DSB ISH.") \
	X(dsb_nsh, "Of them, DSB NSHST and NSH.") \
	X(isb, "Instruction barriers.") \
	X(ptep_get, "Calls of ptep_get() by core mm, whatever they load.") \
	X(ptep_get_lockless, "Calls of ptep_get_lockless().") \
	X(ipis, "Broadcasts of an interrupt: one per flush call (x86, riscv), and those that wait for lockless walkers " \
		"of hugetlb tables that are no longer shared.") \
	X(gup_lookups, "Page-table entries that GUP visited; slow GUP walks down from the top for each.") \
	X(gup_locks, "Page-table locks that GUP took for them.") \
	X(gather_pages, "Pages allocated for mmu_gather batches.") \
	X(forced_flushes, "Flushes because the gather was full or a dirty page had to go.") \
	X(faults, "Page faults.") \
	X(tlbi_new, "The part of tlbi_va for entries that became valid: riscv without Svvptc.") \
	X(flush_shared, "Flush calls while other CPUs ran the address space, too (riscv, x86: had run it).") \
	X(flush_cpus, "CPUs that ran the address space at flush calls, those of all calls together.") \
	X(tables_allocated, "Page tables made, of entries and directories, with those kept for the split of a huge " \
			    "anonymous page; not the top one, and none of hugetlb.") \
	X(tables_freed, "Of them, those that went.") \
	X(pmd_splits, "Huge mappings that became a table of entries or, of a file, went.") \
	X(folios_allocated, "Anonymous folios that faults and khugepaged bring: new ones, copies, and what a swap-in " \
			    "does not find in the swap cache; none of hugetlb.") \
	X(folio_runs, "Runs of pages of one folio, and huge pages, that unmapping gives back to mmu_gather, each at once.") \
	X(pages_zeroed, "Pages of them that are cleared.") \
	X(pages_copied, "Pages of them that are copied from others; migration and files copy where no table shows it.")

struct arch_counters {
#define X(name, meaning) u64 name;
	ARCH_COUNTERS(X)
#undef X
};

#define ARCH_NR_COUNTERS (sizeof(struct arch_counters) / sizeof(u64))

/* Names in the order of the struct. */
extern const char *const arch_counter_names[ARCH_NR_COUNTERS];

/* Helper calls whose batch sizes are kept: calls[helper][nr], nr capped at ARCH_BATCH_MAX. */
#define ARCH_HELPERS(X)                                                                            \
	X(set_ptes) X(wrprotect_ptes) X(clear_full_ptes) X(get_and_clear_full_ptes)                \
	X(ptep_get_and_clear) X(pte_clear) X(ptep_set_access_flags) X(modify_prot_start_ptes)      \
	X(modify_prot_commit_ptes) X(test_and_clear_young_ptes) X(clear_flush_young_ptes)          \
	X(clear_young_dirty_ptes)

enum arch_helper {
#define X(name) ARCH_HELPER_##name,
	ARCH_HELPERS(X)
#undef X
	ARCH_NR_HELPERS
};

#define ARCH_BATCH_MAX 512

struct arch_batches {
	u64 calls[ARCH_NR_HELPERS][ARCH_BATCH_MAX + 1];
};

extern const char *const arch_helper_names[ARCH_NR_HELPERS];

#endif
