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
 * Symbol and meaning. Every counter is a plain event count but for tlbi_pages (pages).
 * tlbi = tlbi_va + tlbi_range + tlbi_asid + tlbi_repeat; tlbi_local is the part of it that was not broadcast. tlbi less
 * tlbi_repeat is what the same kernel issues on a CPU without the erratum.
 */
#define ARCH_COUNTERS(X)                                                                           \
	X(pte_loads)       /* plain loads of one entry */                                          \
	X(pte_stores)      /* plain stores of one entry */                                         \
	X(pte_atomics)     /* xchg, and each attempt of a cmpxchg */                               \
	X(pte_lines)       /* 64-byte lines of entries touched, per helper call */                 \
	X(fold)            /* block converted to contiguous (contpte_convert) */                   \
	X(unfold)                                                                                  \
	X(born)            /* block that became contiguous by being written so */                  \
	X(erased)          /* contiguous block that vanished whole, without unfold */              \
	X(flush_calls)     /* flush_tlb_*() calls that reached the hardware */                     \
	X(tlbi)            /* TLB invalidation instructions */                                     \
	X(tlbi_va)                                                                                 \
	X(tlbi_range)                                                                              \
	X(tlbi_asid)       /* the whole address space (arm64 ASIDE1; x86: full flush) */           \
	X(tlbi_repeat)     /* repeated, or for show, on CPUs with the repeat-TLBI erratum */       \
	X(tlbi_local)      /* not broadcast to other CPUs */                                       \
	X(tlbi_walk)       /* va and range instructions that drop cached walks, too: not leaf only */ \
	X(tlbi_pages)      /* pages covered by va and range instructions */                        \
	X(dsb)             /* barriers around them */                                              \
	X(dsb_ishst)                                                                               \
	X(dsb_ish)                                                                                 \
	X(dsb_nsh)         /* nshst and nsh */                                                     \
	X(isb)                                                                                     \
	X(ptep_get)        /* calls by core mm, not loads */                                       \
	X(ptep_get_lockless)                                                                       \
	X(ipis)            /* x86, riscv: broadcasts of an IPI, one per flush call */              \
	X(gup_lookups)     /* entries visited by GUP; the slow one walks down from the top for each */ \
	X(gup_locks)       /* page-table locks that GUP took for them */                           \
	X(gather_pages)    /* pages allocated for mmu_gather batches */                            \
	X(forced_flushes)  /* flushes because the gather was full or a dirty page had to go */     \
	X(faults)

struct arch_counters {
#define X(name) u64 name;
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
