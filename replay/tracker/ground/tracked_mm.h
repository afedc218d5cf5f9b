/* SPDX-License-Identifier: MIT */
/*
 * An address space as the tracker follows it: what the recorded world knows of one (VMAs, page table), and what only
 * the tracker asks: whose it is, what of it is still to come, what the kernel counted. World functions take its world.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_TRACKED_MM_H
#define REFOLD_REPLAY_TRACKER_GROUND_TRACKED_MM_H

#include "replay/world/world.h"

struct task;

struct tracked_mm {
	struct world_mm world;	/* first: the world allocates the whole */
	/* Who runs in it. */
	u32 users;		/* tasks, as mm_users */
	u32 cpus;		/* CPUs, as far as records tell */
	u64 ran_on;		/* mm_cpumask(): a bit for each CPU; the last one is that of all beyond */
	u32 pid;		/* of the process, for the page-table listing; 0: not known */
	struct task *tasks;	/* by mm_next */
	/* How far it is known. */
	bool known;		/* its page table is being rebuilt */
	bool dead;		/* exit_mmap() is done */
	bool uncounted;		/* its RSS counters are not known any more: events were lost, or its snapshot is torn */
	u32 marked;		/* mark_mm(): its place in the list of marked ones + 1, 0: it is not */
	bool found;		/* its VMAs, or its parent's, are those of an attach snapshot */
	u32 calls;		/* that have returned in it */
	bool settling;		/* its attach snapshot is still being taken: nothing can be checked */
	bool bound;		/* mm_id is known */
	u32 mm_id;		/* rss_stat's name of it */
	u64 pointer;		/* khugepaged's name of it, 0: not known */
	/* What calls go by. */
	u64 brk;		/* bytes, as mm->brk */
	bool brk_known;
	bool lock_future, lock_on_fault;	/* mm->def_flags, by mlockall(MCL_FUTURE, MCL_ONFAULT) */
	u64 uffd_features;		/* UFFDIO_API: what any of its userfaultfds was asked to do */
	/* RSS counters, in pages: what the kernel says, to be checked against world.counted. */
	s64 recorded[RF_RSS_MEMBERS];	/* by the last rss_stat, and rss_change */
	s64 batched[RF_RSS_MEMBERS];	/* of these, what its tasks have not told in an RSS_STAT yet */
	s64 arguments;			/* of these, anonymous: acct_arg_size() of an exec, no pages */
	s64 bias[RF_RSS_MEMBERS];	/* known difference: each divergence counts once */
	u8 rss_known;			/* members with a rss_stat */
	u8 rss_unbased;			/* attached: members whose first check only tells the bias */
	u8 rss_fresh;			/* members with a rss_stat not yet checked */
	u8 rss_doubts[RF_RSS_MEMBERS];	/* checks in a row that failed by the same difference */
	s64 rss_difference[RF_RSS_MEMBERS];	/* that difference */
	/* What happened to it, or will, without a record that tells where. */
	u32 callers;			/* tasks inside a system call that may unmap */
	u32 deferred;			/* tasks between an rss_stat and the record that places it */
	u32 unmapped[RF_RSS_MEMBERS];	/* reclaim took so many, of pages not told yet */
	u32 swapped;			/* so many of them went to swap */
	u32 doubts;			/* of world.doubtful so many are not there */
	bool flush_due;			/* reclaim or migration unmapped entries and owes a flush */
	bool flush_batched;		/* they did: who unmaps next flushes all, first: flush_tlb_batched_pending() */
	struct {
		u64 vpn, nr, time;
	} recent[8];			/* what faults set of late, to know the losers of a race */
	u8 recent_next;
};

/* NULL stays NULL, as world_mm() says it of an address space that is gone. */
static inline struct tracked_mm *tracked(struct world_mm *mm)
{
	_Static_assert(offsetof(struct tracked_mm, world) == 0, "one address for both");
	return (struct tracked_mm *)mm;
}

/* world_mm() and world_mm_new() of a world that was created with the size of a tracked_mm. */
static inline struct tracked_mm *tracked_mm(const struct world *world, u32 id)
{
	return tracked(world_mm(world, id));
}

static inline struct tracked_mm *tracked_mm_new(struct world *world)
{
	return tracked(world_mm_new(world));
}

#endif
