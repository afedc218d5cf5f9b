/* SPDX-License-Identifier: MIT */
/*
 * What a policy says to backends: kernel-model.md 9.1. A knob is a field of struct arch_knobs, a row in a table of
 * knobs, and the code that looks at the field: docs/adding-a-knob.md.
 */
#ifndef REFOLD_ARCH_KNOBS_H
#define REFOLD_ARCH_KNOBS_H

#include <stddef.h>

#include "base/types.h"

/* A row of a table of knobs. A table is in alphabetical order, and ended by a row without a name. */
struct knob {
	const char *name;
	const char *values;	/* "first|second": stored as 0, 1; NULL: a number */
	const char *help;
	u16 offset;
	u8 size;
	bool backend;		/* offset is in struct arch_knobs; else it is core mm's, in what policies are made of */
	/* The release whose code was the first with any value but "first"; 0: it is a CPU's, or no one release's. */
	u16 since;
	bool set;		/* several values at once, but for the first: bit 0 is the second */
	const char *needs;	/* "knob=value" without which it changes nothing; NULL: it always does */
};

#define KNOB_RELEASE(major, minor) ((major) * 100 + (minor))
#define KNOB_SINCE(major, minor) .since = KNOB_RELEASE(major, minor)
#define KNOB_NEEDS(text) .needs = text
#define KNOB_NO_KERNEL .since = UINT16_MAX	/* an idea */

#define KNOB_BOOL KNOB_EITHER("false", "true")
#define KNOB_EITHER(no, yes) no "|" yes		/* a bool, in words of its own */
#define KNOB_AT(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define ARCH_KNOB(field) .backend = true, KNOB_AT(struct arch_knobs, field)

/* Rows that several backends have. */
#define KNOB_DEFER_UNMAP_FLUSH \
	{ "defer_unmap_flush", KNOB_BOOL, "reclaim waits for its flushes once per batch", ARCH_KNOB(defer_unmap_flush) }
#define KNOB_FLUSH_CEILING \
	{ "flush_ceiling", NULL, "more pages than this are flushed as the whole address space", \
	  ARCH_KNOB(flush_ceiling) }
#define KNOB_KPTI \
	{ "kpti", KNOB_BOOL, "kernel page-table isolation: each TLB invalidation is issued twice", ARCH_KNOB(kpti) }

/* ---- values ---- */

/*
 * Knobs of several values: the enum and the words for its values come from one list of X(symbol, word), so that the two
 * cannot get out of step.
 */
#define KNOB_SYMBOL(symbol, word) symbol,
#define KNOB_WORD(symbol, word) "|" word
#define KNOB_WORDS(LIST) (&("" LIST(KNOB_WORD))[1])	/* "first|second|third" */

#define ARCH_FOLD_SITES(X)                                                                                     \
	X(FOLD_NONE, "none")	/* blocks are only born folded */                                              \
	X(FOLD_SET1, "set1")	/* set_ptes(nr == 1): 6.9 and later */                                         \
	X(FOLD_V3, "v3")	/* + wrprotect and access flags: v1-v4 */                                      \
	X(FOLD_ANY, "any")	/* no kernel: whatever was done to one entry, wherever in its block it is */   \
	X(FOLD_END, "end-of-op") /* no kernel: the same, but once for each block, when the operation ends */
enum arch_fold_sites { ARCH_FOLD_SITES(KNOB_SYMBOL) };

#define ARCH_GETTERS(X) X(GETTER_RAW, "raw") X(GETTER_GATHER, "gather") X(GETTER_EARLY, "early")
enum arch_getter { ARCH_GETTERS(KNOB_SYMBOL) };

#define ARCH_LOCKLESS(X)                                                                                       \
	X(LOCKLESS_FULL, "full")		/* all entries, each checked to be of the block: 6.9 */        \
	X(LOCKLESS_EARLY, "early")		/* until A and D are known: 6.16 */                            \
	X(LOCKLESS_NORECENCY, "norecency")	/* one entry, A and D as it has them: the norecency RFC */     \
	X(LOCKLESS_UNLOCKED_GET, "unlocked_get") /* ptep_get(), nothing checked: without the override */       \
	X(LOCKLESS_BOUNDED, "bounded")		/* no kernel: full, but after lockless_tries in vain, one */
enum arch_lockless { ARCH_LOCKLESS(KNOB_SYMBOL) };

/* How ptep_set_access_flags() sees that a folded block needs no change. */
#define ARCH_ACCESS_COMPARE(X)                                                                                 \
	X(ACCESS_NEVER, "never")	/* v3: the gathered entry has CONT, the wanted one has not */          \
	X(ACCESS_GATHERED, "gathered")	/* 6.9 */                                                              \
	X(ACCESS_RAW, "raw")		/* every entry by itself: 6.12.107, 7.3 */
enum arch_access_compare { ARCH_ACCESS_COMPARE(KNOB_SYMBOL) };

/* What set_ptes(nr > 1) makes of whole blocks of PROT_NONE. */
#define ARCH_PROTNONE_CONT(X)                                                                                  \
	X(PROTNONE_CONT_NONE, "none")	/* nothing: 7.3 */                                                     \
	X(PROTNONE_CONT_STRAY, "stray")	/* entries with CONT that are not valid: 6.13-7.2 */                   \
	X(PROTNONE_CONT_VALID, "valid")	/* valid contiguous entries, as pte_mkcont() made them until 6.12 */
enum arch_protnone_cont { ARCH_PROTNONE_CONT(KNOB_SYMBOL) };

/* How exit clears entries of folded blocks one by one without unfolding: v1 and v2 of the series. */
#define ARCH_ZAP_FULL_TRICK(X)                                                                                 \
	X(ZAP_FULL_TRICK_NONE, "none")                                                                         \
	X(ZAP_FULL_TRICK_V1, "v1")	/* spreads A/D over the block first, or means to */                    \
	X(ZAP_FULL_TRICK_V2, "v2")	/* just clears */
enum arch_zap_full_trick { ARCH_ZAP_FULL_TRICK(KNOB_SYMBOL) };

/* No kernel: what is not to be folded any more is cleared, without a flush; what brings the rest of it back. */
#define ARCH_UNFOLD_FREE_SPLIT(X)                                                                              \
	X(SPLIT_UNFOLDS, "off")		/* nothing is cleared: every kernel */                                 \
	X(SPLIT_REFAULTS_BLOCK, "block")	/* one fault, all entries */                                   \
	X(SPLIT_REFAULTS_ENTRY, "entry")	/* a fault each */
enum arch_unfold_free_split { ARCH_UNFOLD_FREE_SPLIT(KNOB_SYMBOL) };

/* From how many pages on range TLBI is not used. */
#define ARCH_TLBI_RANGE_LIMIT(X)                                                                               \
	X(TLBI_RANGE_LIMIT_ABOVE, "above")	/* more than 2^21, 6.12 */                                     \
	X(TLBI_RANGE_LIMIT_AT, "at")		/* 2^21 or more, 6.9 */                                        \
	X(TLBI_RANGE_LIMIT_RANGE, "range")	/* more than 2^21, and only on CPUs that have it: 7.1 */
enum arch_tlbi_range_limit { ARCH_TLBI_RANGE_LIMIT(KNOB_SYMBOL) };

#define ARCH_REPEAT_TLBI(X) X(REPEAT_TLBI_OFF, "off") X(REPEAT_TLBI_OLD, "old") X(REPEAT_TLBI_NEW, "new")
enum arch_repeat_tlbi { ARCH_REPEAT_TLBI(KNOB_SYMBOL) };

/* Cortex-A715 (erratum 2645198): what was executable is flushed before it changes. */
#define ARCH_EXEC_PROT_FLUSH(X)                                                                                \
	X(EXEC_PROT_FLUSH_OFF, "off")                                                                          \
	X(EXEC_PROT_FLUSH_ENTRY, "entry")	/* ptep_modify_prot_start(): 6.2 */                            \
	X(EXEC_PROT_FLUSH_RUN, "run")		/* modify_prot_start_ptes(): 6.17 */
enum arch_exec_prot_flush { ARCH_EXEC_PROT_FLUSH(KNOB_SYMBOL) };

/* ---- fields ---- */

/* The part of a policy that backends look at. Set through rf_policy_set(); a backend must not need any other input. */
struct arch_knobs {
	bool cont;			/* transparent contpte in use */
	u32 cont_pages;			/* no kernel: blocks of 2 << this pages; 0: as the granule has them */
	enum arch_fold_sites fold_sites;
	enum arch_getter getter;
	enum arch_lockless lockless;
	u32 lockless_tries;		/* of LOCKLESS_BOUNDED; 0: no end of them */
	enum arch_access_compare access_compare;
	bool hint;			/* pte_batch_hint() skips folded blocks */
	bool bbml3;			/* convert without flush */
	bool fold_span;			/* no kernel: several adjacent folios may make up a block */
	bool fold_present;		/* v1: folds what is present, not only what is valid: PROT_NONE, too */
	bool fork_full;			/* v4: what fork copies singly (arch_mm.copying) is not probed, nor folded */
	bool set_ptes_checks_old;	/* v1-v4: set_ptes(nr > 1) accepts present targets */
	enum arch_protnone_cont protnone_cont;
	bool wrprotect_reload;		/* v1-v3: probe and L+X; later, for nr == 1, the probe's value is used */
	bool wrprotect_chunks;		/* v1-v4: a run goes block by block, the last entry of a part may fold */
	bool access_flush_never;	/* v1, a bug: no flush after access flags of a folded block */
	enum arch_zap_full_trick zap_full_trick;
	bool exit_spread_stored;	/* false in v1, a bug: what its exit spreads over a block is stored */
	bool batch_helpers;		/* wrprotect and clear take nr entries at once; else nr times one */
	bool batch_young;		/* 7.0: test/clear_flush_young_ptes(nr) */
	bool tlbi_range;		/* FEAT_TLBIRANGE */
	enum arch_tlbi_range_limit tlbi_range_limit;
	bool tlbi_limit_waits_twice;	/* before 7.2: after flush_tlb_mm() for a range too long, one more DSB */
	bool lpa2, kpti;
	enum arch_repeat_tlbi repeat_tlbi;
	bool reuse_flush_local;		/* write-fault reuse flushes locally (6.19) */
	bool needs_flush_precise;	/* pte_needs_flush() looks at the bits */
	bool tlbbatch_range;		/* deferred flush issues one range, not per page (6.15) */
	bool hugetlb_break_valid;	/* set_huge_pte_at() clears and flushes only what was valid (6.16) */
	bool hugetlb_flush_stride;	/* flushes of contiguous huge pages: last level, in steps of an entry (6.16) */
	enum arch_exec_prot_flush exec_prot_flush;
	bool batched_pending_mm;	/* flush_tlb_batched_pending() flushes the mm (6.16); before: a DSB */
	bool fullmm_skip;		/* exit: no TLBI during the zap */
	bool defer_unmap_flush;		/* ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH: core mm asks for it */
	u32 max_dvm_ops;		/* 0: PTRS_PER_PTE */
	u32 asid_threshold;		/* no kernel: a flush of more TLBIs than this is one of the ASID; 0: none is */
	bool gather_sets;		/* no kernel: mmu_gather flushes the ranges it saw, not their hull */
	bool refold_lazy;		/* no kernel: a fault on a block that is not folded folds it if it can be */
	bool unfold_nosync;		/* no kernel: a conversion does not wait for its flush, the operation does */
	bool unfold_merged;		/* no kernel: adjacent conversions of an operation share a flush */
	enum arch_unfold_free_split unfold_free_split; /* no kernel: a block is cleared, and comes back by faults */
	u32 flush_ceiling;		/* x86, riscv: flushes of more pages than this become full */
	bool invlpgb;			/* x86: flushes are broadcast to CPUs, without IPI */
	u32 invlpgb_count_max;		/* pages of one such instruction */
	u32 invlpgb_min_cpus;		/* x86: CPUs that run an mm before it gets a global ASID; 0: at once */
	bool svinval;			/* riscv: pages of a range are invalidated between two fences */
	bool gather_range;		/* riscv: an mmu_gather flushes what it has seen, not the mm (6.7) */
	bool svvptc;			/* riscv: an entry that became valid needs no fence */
	bool rfence_sbi;		/* riscv: flushes that reach other CPUs are left to firmware, not done by IPI */
};

#endif
