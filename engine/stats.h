/* SPDX-License-Identifier: MIT */
/*
 * What a machine counted: one row of arch_counters per kind of work, the batch
 * sizes of helper calls, folded blocks, anomalies. Rows add up to the totals.
 */
#ifndef REFOLD_ENGINE_STATS_H
#define REFOLD_ENGINE_STATS_H

#include "arch/counters.h"
#include "engine/sites.h"

/*
 * The rows of the report's "operations". Reads by page_vma_mapped_walk() on behalf of unmap_*, migrate, folio_split
 * and mkclean are in rmap_walk, so that those rows show the unmapping alone.
 */
#define RF_ROWS(X)                                                                                 \
	X(fault_anon) X(fault_zero) X(fault_file) X(cow) X(reuse) X(fault_swap) X(fault_none)      \
	X(fault_hugetlb) X(populate) X(gup_slow) X(gup_fast) X(fork) X(exec)                       \
	X(zap_munmap) X(zap_brk) X(zap_mmap_fixed) X(zap_mremap) X(zap_shmdt)                      \
	X(zap_dontneed) X(zap_guard) X(zap_remove) X(zap_truncate) X(zap_other)                    \
	X(zap_exit) X(zap_exec)                                                                    \
	X(mprotect) X(mremap) X(uffd_move) X(uffd_wp) X(madv_free) X(madv_cold) X(madv_pageout)    \
	X(unmap_swap) X(unmap_file) X(migrate) X(reclaim_flush) X(collapse) X(folio_split) X(mkclean) \
	X(rmap_walk) X(vma)

enum rf_row {
#define X(name) RF_ROW_##name,
	RF_ROWS(X)
#undef X
	RF_NR_ROWS
};

extern const char *const rf_row_names[RF_NR_ROWS];

/* What must not happen, or contradicts the trace; counted, and fatal in tests. */
#define RF_ANOMALIES(X) \
	X(unknown_mm, "Address spaces that began twice, or were used and had not begun.") \
	X(mapped_twice, "Pages mapped where one is mapped.") \
	X(missing_pte, "Entries that an operation changes and that are not there.") \
	X(no_vma, "Operations at addresses outside of every mapping.") \
	X(block_balance, "Moments when born + fold - unfold - erased was not the number of contiguous blocks.") \
	X(kernel_warning, "Times that the code of a loaded backend said that something is wrong: WARN_ON() of a kernel.")

enum rf_anomaly {
#define X(name, meaning) RF_ANOMALY_##name,
	RF_ANOMALIES(X)
#undef X
	RF_NR_ANOMALIES
};

extern const char *const rf_anomaly_names[RF_NR_ANOMALIES];

/*
 * A recording with smaller pages than the machine's: what was left out, or said differently, because it was not
 * recorded for pages of this size (rescale.h). Name and a sentence for the report.
 */
#define RF_INEXACTS(X)                                                                             \
	X(faults_merged, "faults on a part of a page that was mapped already do not happen")       \
	X(faults_changed, "faults on a part of a mapped page write to it or fetch it: a reuse, a copy or a swap-in instead") \
	X(ranges_rounded, "ranges did not begin and end at pages of this size")                    \
	X(ranges_left_out, "operations on parts of a page only are left out")                      \
	X(granules_shared, "pages belong to two mappings: the first has them, with the permissions of both") \
	X(small_folios, "folios smaller than a page became a page each")                           \
	X(huge_pages, "huge pages of the recording are smaller than a huge page here: large folios, and pages of zeroes") \
	X(folios_broken, "folios did not fit next to what was mapped: single pages")               \
	X(misaligned_runs, "runs of large folios were not aligned to pages of this size: single pages") \
	X(pages_left, "unmappings, migrations and splits did not touch the first part of a page, which decides: left out") \
	X(pages_missing, "pages that the recording changes were never mapped here, or not any more") \
	X(collapses_left_out, "collapses into a huge page are left out: it would not be one here")

enum rf_inexact {
#define X(name, text) RF_INEXACT_##name,
	RF_INEXACTS(X)
#undef X
	RF_NR_INEXACTS
};

extern const char *const rf_inexact_names[RF_NR_INEXACTS];
extern const char *const rf_inexact_texts[RF_NR_INEXACTS];

/*
 * Knobs by which core mm takes runs of entries at once, each with what it then looked for runs of. Where it is off,
 * nobody looks.
 */
#define RF_RUNS(X)                                                                                 \
	X(batch_fork) X(batch_zap) X(batch_mprotect) X(batch_mremap) X(batch_lazyfree)             \
	X(batch_file_unmap) X(batch_anon_unmap) X(batch_migrate) X(batch_mkclean) X(batch_collapse) \
	X(batch_swap) X(faultaround_set) X(reuse_around)

enum rf_run {
#define X(name) RF_RUN_##name,
	RF_RUNS(X)
#undef X
	RF_NR_RUNS
};

extern const char *const rf_run_names[RF_NR_RUNS];

#define RF_RUN_COUNTERS(X) \
	X(looked, "Times that core mm looked how many entries it may take at once.") \
	X(compared, "Times that it compared entries for that: not where a page is of a small folio.") \
	X(several, "Times that it took more than one.")

struct rf_run_counters {
#define X(name, meaning) u64 name;
	RF_RUN_COUNTERS(X)
#undef X
};

/* Of a policy that allocates anonymous folios itself (allocation.h). */
#define RF_ALLOCATIONS(X)                                                                          	X(faults_saved, "Recorded faults that do not happen: a folio has mapped the page already.") \
	X(faults_changed, "Recorded faults that become a copy or a reuse of a page that a folio has mapped.") \
	X(folios_kept, "Folios of the recording that are larger than all that the policy may allocate.") \
	X(unused_pages, "Pages of the policy's own folios that the recorded program never used.") \
	X(folios_split, "Folios of the policy's own that were split.") \
	X(partly_unmapped, "Folios of the policy's own that an operation left partly unmapped: what nothing maps of them " \
			   "stays taken until they are split, or all of them goes.") \
	X(refaults, "Pages that faults brought back from swap into folios of the policy's own.") \
	X(failed, "Folios that were wanted and not got, so that a smaller one was taken: alloc_fail, fragmentation.")

struct rf_allocation_stats {
	u64 folios[16];			/* by order */
#define X(name, meaning) u64 name;
	RF_ALLOCATIONS(X)
#undef X
	u64 peak_unused_pages;			/* that memory was taken for at one time */
	u64 unused_time;			/* integral of these over time, in 2^10 page-nanoseconds */
};

struct rf_stats {
	struct arch_counters rows[RF_NR_ROWS];
	u64 operations[RF_NR_ROWS];		/* how many operations were counted in the row */
	struct arch_batches batches;
	struct rf_run_counters runs[RF_NR_RUNS];
	struct rf_reader_counters readers[RF_NR_SITES];	/* who read entries; loaded ones were read by nobody */
	struct arch_counters loaded;		/* setting up what an attach snapshot found; in no row */
	s64 live_blocks;			/* folded blocks now */
	u64 peak_live_blocks;
	u64 live_block_time;			/* integral of live blocks over time, in 2^20 block-nanoseconds */
	u64 valid_time;				/* with coalesce: pages with valid entries, integral in 2^20 page-ns */
	u64 coalesced_time;			/* and of those of them that hardware could take together */
	u64 anomalies[RF_NR_ANOMALIES];
	struct rf_allocation_stats allocation;
	u64 inexact[RF_NR_INEXACTS];		/* recorded with smaller pages: not what a kernel with these would do */
};

/* Sum of the rows. */
void rf_stats_totals(const struct rf_stats *stats, struct arch_counters *totals);

#endif
