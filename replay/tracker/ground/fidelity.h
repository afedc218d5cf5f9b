/* SPDX-License-Identifier: MIT */
/*
 * How faithful the rebuilt world is, measured against what the trace itself proves: snapshots, fault error codes, RSS
 * counters. Each counter is a row: a key of the report's "fidelity" and its meaning, as the schema and refold-report(5)
 * give it; see Faithfulness in the README.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_FIDELITY_H
#define REFOLD_REPLAY_TRACKER_GROUND_FIDELITY_H

#include "base/types.h"

#define RF_FIDELITY(X) \
	/* --- the last snapshot of each process against the rebuilt page tables, in PTEs --- */ \
	X(ptes, "Entries in the last snapshots of processes that were compared.") \
	X(present, "Of them, present in the rebuilt page table.") \
	X(pfn, "Of them, with the right page frame.") \
	X(order, "Of them, with the right folio order.") \
	X(extra, "Entries of the rebuilt page tables that the snapshots do not have.") \
	X(swap_ptes, "Swap entries in the snapshots.") \
	X(swap_present, "Of them, swap entries in the rebuilt page table too.") \
	X(snapshots, "Snapshots in the trace.") \
	X(processes_compared, "Processes whose last snapshot was compared.") \
	/* --- each fault is an assertion on the entry it hit --- */ \
	X(fault_checks_ok, "Faults that hit an entry as their error code says.") \
	X(fault_checks_bad, "Faults that did not.") \
	/* --- each rss_stat is an assertion on a counter of its mm --- */ \
	X(rss_checks_ok, "RSS counters that agree with the rebuilt page table.") \
	X(rss_checks_bad, "RSS counters that do not.") \
	/* --- */ \
	X(inexact_mms, "Address spaces that the tracker marked; see trust for those that machines mark, too.") \
	X(mms, "Address spaces seen.") \
	X(tasks, "Tasks seen.")

/*
 * "inferred": facts that were inferred instead of recorded, by kind; and what each does to the trust in an address
 * space (trust.h): CERTAIN could not be otherwise.
 */
#define RF_INFERENCES(X) \
	X(vma_implicit, MARKS, "A fault where no VMA was known.") \
	X(file_pfn_unknown, MARKS, "A file page mapped whose page frame no record tells.") \
	X(fault_around_ambiguous, MARKS, "How many pages were mapped around a fault is known, which of the window is not.") \
	X(zero_page, CERTAIN, "An anonymous read fault without any event.") \
	X(reuse, CERTAIN, "A write fault on a present entry without allocation.") \
	X(gup, CERTAIN, "A user page allocated outside of any fault or populating call.") \
	X(mkclean, CERTAIN, "A write fault on an entry that was held writable.") \
	X(folio_split, CERTAIN, "A split that a later record shows.") \
	X(swap_in_from_cache, CERTAIN, "A swap-in without allocation.") \
	X(unmapped_unseen, MARKS, "An entry that was gone without a record that said so.") \
	X(order_from_rss, MARKS, "A folio's order taken from the change of the RSS.") \
	X(fork_point, MARKS, "A fork whose end of dup_mmap() was not in sight.")

/* "anomalies": what contradicts the model, by kind; each is a reason to look. */
#define RF_TRACKER_ANOMALIES(X) \
	X(rss_without_alloc, MARKS, "An RSS counter that grew where nothing was allocated.") \
	X(alloc_of_mapped, MARKS, "A page allocated that was mapped.") \
	X(free_of_mapped, MARKS, "A page freed that was mapped.") \
	X(unknown_task, DOUBTS, "A task with faults whose address space was never known.") \
	X(collapse_without_alloc, MARKS, "A collapse into a huge page that nobody had allocated.") \
	X(rss_order_mismatch, MARKS, "An RSS counter that grew by another number of pages than the folio has, in a fault.") \
	X(file_mismatch, MARKS, "A fault on another file than is mapped there.") \
	X(populate_out_of_range, MARKS, "A page populated outside of the range of the call.") \
	X(lost_events, CERTAIN, "Events that were lost.") \
	X(unordered_record, DOUBTS, "A record older than the one before it.")

/* "tlb_flushes_recorded": flushes that the recorded kernel reported (x86: tlb:tlb_flush), by what they were seen in. */
#define RF_RECORDED_FLUSHES(X) \
	X(cow, "A write fault that copied its page.") \
	X(munmap, "munmap().") \
	X(mprotect, "mprotect().") \
	X(brk, "brk().") \
	X(madvise, "madvise(), process_madvise(), with all that they reclaim, split and collapse.") \
	X(mremap, "mremap().") \
	X(fork, "fork(), clone().") \
	X(exec, "execve().") \
	X(mmap, "mmap() over what was mapped.") \
	X(userfaultfd, "ioctl() of a userfaultfd.") \
	X(other, "Anything else: reclaim and splits in faults, migration and khugepaged by the task itself, clear_refs.") \
	X(remote, "Whatever another CPU asked for.")

/* Plain counts throughout: run.c adds up traces member by member. */
struct rf_fidelity {
#define X(name, meaning) u64 name;
	RF_FIDELITY(X)
	struct {
		RF_RECORDED_FLUSHES(X)
	} tlb_flushes_recorded;
#undef X
#define X(name, effect, meaning) u64 name;
	struct {
		RF_INFERENCES(X)
	} inferred;
	struct {
		RF_TRACKER_ANOMALIES(X)
	} anomalies;
#undef X
};

#endif
