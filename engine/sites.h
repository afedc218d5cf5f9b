/* SPDX-License-Identifier: MIT */
/*
 * Where core mm reads entries. Each call of ptep_get() or ptep_get_lockless()
 * in engine/ names its place (readers.h), so that the report can tell what
 * reading folded blocks costs whom.
 *
 * perf's page sizes, /proc's page walkers, DAMON and the like read entries,
 * too, but no recording says when they did: they have no row here.
 */
#ifndef REFOLD_ENGINE_SITES_H
#define REFOLD_ENGINE_SITES_H

#include "base/types.h"

/* What a place makes of A and D, and so whether it may read one entry of a folded block instead of gathering them. */
enum rf_recency {
	RECENCY_NEEDED,		/* it uses them: never */
	RECENCY_UNUSED,		/* it compares, or skips what it does not want: with locked=norecency */
	RECENCY_RFC,		/* the norecency RFC converted it: with lockless=norecency */
};

/* Symbol, recency, what is read. */
#define RF_SITES(X)                                                                                \
	/* --- faults --- */                                                                       \
	X(fault_entry, RFC, "handle_pte_fault(), without lock: what does the fault meet?")         \
	X(fault_recheck, UNUSED, "faults, under the lock: is the entry still what it was?")        \
	X(pte_range_none, RFC, "a large folio's fault: is the whole range still empty?")           \
	X(fault_around, UNUSED, "filemap_map_pages(): which entries are empty?")                   \
	X(do_wp_page, UNUSED, "a write fault: is userfaultfd to be asked?")                        \
	X(wp_page_copy, UNUSED, "a write fault that copied its page: is the entry still the same?") \
	X(swap_readahead, RFC, "swap_vma_readahead(), without lock: what else is swapped out around here? " \
				 "Only with the knob swap_readahead: recordings do not tell what the swap device is.") \
	X(do_swap_page, UNUSED, "a swap-in, under the lock: is the swap entry still there?")       \
	/* --- walks over a range --- */                                                           \
	X(fork, NEEDED, "copy_pte_range(): each entry, or the first of each run")                  \
	X(zap, UNUSED, "zap_pte_range(): each entry, or the first of each run")                    \
	X(mprotect, UNUSED, "change_pte_range(): each entry, or the first of each run")            \
	X(mremap, UNUSED, "move_ptes(): each entry, or the first of each run")                     \
	X(uffd_move, UNUSED, "move_pages_ptes(): each entry of either side")                       \
	X(madvise, NEEDED, "MADV_FREE, MADV_COLD, MADV_PAGEOUT: each entry, or the first of each run") \
	X(guard_install, UNUSED, "MADV_GUARD_INSTALL: is the entry empty?")                        \
	X(batch_compare, UNUSED, "folio_pte_batch() whose caller wants the length of the run")     \
	X(batch_merge, NEEDED, "folio_pte_batch() whose caller wants A and D of the run")          \
	X(swap_batch, UNUSED, "swap_pte_batch()")                                                  \
	/* --- through the reverse map --- */                                                      \
	X(rmap_unlocked, UNUSED, "page_vma_mapped_walk() before it takes the lock: by ptep_get() until 7.1, by " \
				 "ptep_get_lockless() since (knob rmap_unlocked)")                 \
	X(rmap_locked, UNUSED, "page_vma_mapped_walk() under the lock")                            \
	X(rmap_unmap, UNUSED, "try_to_unmap_one(), try_to_migrate_one(): which page is it?")       \
	X(remove_migration, NEEDED, "remove_migration_pte(): the migration entry")                 \
	X(mkclean, NEEDED, "page_vma_mkclean_one(): is the entry dirty?")                          \
	/* --- khugepaged, MADV_COLLAPSE --- */                                                    \
	X(khugepaged_scan, NEEDED, "collapse_scan_pmd(): is there enough to collapse, and is any of it young?") \
	X(khugepaged_swapin, RFC, "__collapse_huge_page_swapin(), without lock: which pages are swapped out?") \
	X(khugepaged_isolate, NEEDED, "__collapse_huge_page_isolate(): which pages, and are they young?") \
	X(khugepaged_copy, UNUSED, "__collapse_huge_page_copy(): which page is to be copied?")     \
	X(khugepaged_clear, UNUSED, "what was copied is cleared: each entry, or since 7.0 the first of each run") \
	/* --- GUP --- */                                                                          \
	X(gup_slow, NEEDED, "follow_page_pte(), under the lock")                                   \
	X(gup_fast, RFC, "gup_fast_pte_range(), without lock")                                     \
	X(gup_fast_recheck, RFC, "the same, once the page is pinned: has the entry changed? (By " \
				 "ptep_get() until 7.1: knob gup_recheck.)")                       \
	X(gup_hugetlb, NEEDED, "hugetlb_follow_page_mask(), until 6.9")

enum rf_site {
#define X(name, recency, sentence) RF_SITE_##name,
	RF_SITES(X)
#undef X
	RF_NR_SITES
};

_Static_assert(RF_NR_SITES <= 64, "a bit for each site");

/* One row of the report's "readers": counter and meaning. */
#define RF_READER_COUNTERS(X) \
	X(calls, "Calls of ptep_get() or ptep_get_lockless().") \
	X(blocks, "Calls that met an entry of a contiguous block.") \
	X(loads, "Entries they loaded; all that they cost is in pte_loads, too.") \
	X(lines, "64-byte lines of entries touched, per call.")

struct rf_reader_counters {
#define X(name, meaning) u64 name;
	RF_READER_COUNTERS(X)
#undef X
};

extern const char *const rf_site_names[RF_NR_SITES];
/* A bit for each place of that kind. */
u64 rf_sites_of(enum rf_recency recency);

#endif
