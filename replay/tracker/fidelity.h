/* SPDX-License-Identifier: MIT */
/*
 * How faithful the rebuilt world is, measured against what the trace itself
 * proves: snapshots, fault error codes, RSS counters. Every name is a key of the
 * report's "fidelity" section; see Faithfulness in the README.
 */
#ifndef REFOLD_REPLAY_TRACKER_FIDELITY_H
#define REFOLD_REPLAY_TRACKER_FIDELITY_H

#include "base/types.h"

/* Facts that were inferred instead of recorded, by kind. */
#define RF_INFERENCES(X)                                                                           \
	X(vma_implicit)          /* a fault where no VMA was known */                              \
	X(file_pfn_unknown)      /* a file page mapped whose page frame no record tells */         \
	X(fault_around_ambiguous)/* count known, which pages of the window not */                  \
	X(zero_page)             /* anonymous read fault without any event */                      \
	X(reuse)                 /* write fault on a present entry without allocation */           \
	X(gup)                   /* user page allocated outside any fault or populating call */    \
	X(mkclean)               /* write fault on an entry the model held writable */             \
	X(folio_split)           /* learned from a later record */                                 \
	X(swap_in_from_cache)    /* swap-in without allocation */                                  \
	X(unmapped_unseen)       /* an entry was gone without a record that said so */             \
	X(order_from_rss)        /* folio order taken from the RSS delta */                        \
	X(fork_point)            /* the end of dup_mmap was not in sight */

/* What contradicts the model; each is a reason to look. */
#define RF_TRACKER_ANOMALIES(X)                                                                    \
	X(rss_without_alloc) X(alloc_of_mapped) X(free_of_mapped) X(unknown_mm) X(unknown_task)    \
	X(migration_unknown) X(collapse_without_alloc) X(rss_order_mismatch) X(file_mismatch)      \
	X(populate_out_of_range) X(lost_events) X(unordered_record)

struct rf_fidelity {
	/* Last snapshot of each process against the rebuilt page tables, in PTEs. */
	u64 ptes, present, pfn, order, extra;
	u64 swap_ptes, swap_present;
	u64 snapshots, processes_compared;
	/* Each fault is an assertion on the entry it hit. */
	u64 fault_checks_ok, fault_checks_bad;
	/* Each rss_stat is an assertion on a counter of its mm. */
	u64 rss_checks_ok, rss_checks_bad;
	u64 inexact_mms;	/* touched by lost events, torn snapshots, pages pinned at unknown addresses */
	u64 mms, tasks;
	struct {
#define X(name) u64 name;
		RF_INFERENCES(X)
#undef X
	} inferred;
	struct {
#define X(name) u64 name;
		RF_TRACKER_ANOMALIES(X)
#undef X
	} anomalies;
	/* x86: local flushes the kernel reported (tlb:tlb_flush), by the cause the tracker saw them in. */
	struct {
		u64 cow, munmap, mprotect, brk, madvise, mremap, fork, exec, mmap, other, remote;
	} tlb_flushes_recorded;
};

extern const char *const rf_inference_names[];	/* ended by NULL, in the order of struct */
extern const char *const rf_tracker_anomaly_names[];

#endif
