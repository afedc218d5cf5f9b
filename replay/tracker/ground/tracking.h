/* SPDX-License-Identifier: MIT */
/*
 * The tracker's own state. What happens in the world is told by records to the stories (stories/), which change it by
 * effects (effects/); both stand on this ground: tasks, records in, operations out.
 */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_TRACKING_H
#define REFOLD_REPLAY_TRACKER_GROUND_TRACKING_H

#include "replay/tracker/ground/compat.h"
#include "replay/tracker/ground/fidelity.h"
#include "replay/tracker/ground/options.h"
#include "replay/tracker/ground/trust.h"
#include "replay/world/world.h"
#include "traces/trace.h"

struct decoding;
struct migration;
struct readahead_mark;
struct rf_loss;
struct snapshot;
struct task;
struct task_group;
struct tracker_cpu;

DEFINE_TABLE(task_table, u32, struct task *);	/* by tid */
DEFINE_TABLE(task_group_table, u32, struct task_group *);	/* by pid */
DEFINE_TABLE(late_folio_table, u64, u32);	/* by first page frame: index + 1 */
DEFINE_TABLE(readahead_table, u64, u32);	/* by first page frame: index + 1 */
DEFINE_TABLE(device_table, u64, u32);		/* by device: pages */
DEFINE_TABLE(mm_id_table, u32, u32);		/* rss_stat's name of an address space: its number + 1 */

struct rf_tracker {
	struct rf_tracker_options options;
	struct rf_reader *reader;
	struct world *world;
	struct rf_fidelity fidelity;
	struct rf_trust trust;
	u32 page_shift;
	u64 address_limit;	/* user addresses are below */
	u64 stack_top_max;
	bool have_allocs, have_flushes, have_side_band, have_stacks;
	bool attached;		/* processes ran already: some may have ended before they were looked at */
	bool exits_late;	/* RF_EXIT_AFTER_MM, and TASK_EXIT is recorded, which is the moment */
	bool reuses_large;	/* RF_REUSES_LARGE_FOLIOS */
	bool keeps_read_only;	/* RF_KEEPS_READ_ONLY */
	bool moves_several;	/* RF_MOVES_SEVERAL_VMAS */
	bool maps_whole;	/* RF_MAPS_WHOLE_FOLIOS */
	bool small_stacks;	/* RF_STACKS_NOHUGEPAGE */
	bool no_zero_page;	/* RF_NO_ZERO_PAGE */
	bool batches_rss;	/* RF_BATCHES_RSS, and RSS_CHANGE tells what a batch is made of */
	bool rss_untold;	/* RF_BATCHES_RSS, and nothing does */
	u64 fault_around;	/* fault_around_bytes, in pages */
	bool maps_beyond;	/* a fault-around was seen to map a folio whole, beyond its window */
	bool thp_always, thp_madvise;	/* the huge zero page at a fault that reads */
	u32 pmd_order;
	bool one_cpu;		/* the machine has no more */
	u64 time;
	u64 record;		/* number of the record in progress, from 1 */
	u64 kinds[RF_RECORD_KIND_MAX];	/* records so far, by kind */
	u64 last_unread;	/* policies and names of mappings that nobody has read, so far: attributes.c */
	int error;
	/* Records. */
	struct decoding *decoding;
	struct rf_record *records;
	size_t at, nr, size;
	u64 nr_merged;		/* records read, if there are stacks */
	u64 *passed_over;	/* numbers of those that were passed over, from at_passed on */
	size_t at_passed, nr_passed, passed_room;
	struct rf_record *stack_copies;	/* CALL_STACK: stacks that are being copied, whose calls have not come yet */
	size_t nr_stack_copies, stack_copies_room;
	bool ended;
	bool stopped;		/* by RF_STOP */
	bool left_out;		/* by RF_LEFT_OUT: events are missing from now on */
	struct compat_tasks compat;
	/* Operations. */
	struct rf_op *ops;
	size_t nr_ops;
	struct rf_cause *causes;	/* of each; NULL: nobody asks */
	struct rf_cause cause;		/* of those that the record in progress leads to */
	struct task_table tasks;
	struct task *last_task;		/* where the last look-up ended; NULL: none has */
	struct task *running;		/* those with an address space, by running_next */
	struct task_group_table task_groups;
	struct {
		const struct task *by;	/* who copied a page last */
		u64 at, others_at;	/* when, and when the last one was that somebody else copied */
	} copies;
	struct mm_id_table mm_ids;
	struct migration *migrations;
	u32 nr_migrations, migrations_size;
	u64 moved_pfn;			/* the folio that the last migration_remove of a first page told of */
	u32 moved_order;
	u64 *kernel_pages[8];	/* by enum rf_kernel_page, pfn + 1 by index */
	u32 kernel_pages_size[8];
	struct snapshot *snapshots;	/* by stream */
	size_t nr_streams;
	struct tracker_cpu *cpus;	/* by number; cpus.c */
	u32 *cpu_of_stream;	/* whose records tell who runs there; or NO_CPU */
	u16 cpu_now;		/* of the record in progress */
	u32 tid_now;
	struct late_folio *late_folios;		/* cache.c */
	struct late_folio_table late_by_pfn;
	u32 nr_late_folios, late_folios_size;
	struct readahead_mark *readahead_marks;	/* readahead.c */
	struct readahead_table readahead_by_pfn;
	struct device_table readahead_windows;
	u32 nr_readahead_marks, readahead_marks_size;
	u32 *flush_mms;		/* numbers of those with flush_due */
	u32 nr_flush_mms, flush_mms_size;
	u32 flush_tid;		/* who owes the flushes: unmapped last */
	bool freeing;		/* pages are being freed whose flush is still owed */
	/* Losses: losses.c. */
	struct rf_loss *losses;		/* by time */
	size_t nr_losses, losses_room, losses_begun;
	u64 next_loss;			/* when it begins, ~0: none does */
	u64 lost_until;			/* the end of those that have begun */
	u64 cache_lost;			/* until then the page cache may have changed unseen, 0: it has not */
	u32 *untouched;			/* numbers of address spaces that no loss has met; some are gone */
	u32 nr_untouched;
	size_t untouched_room;
};

static inline u64 vpn_of(const struct rf_tracker *tracker, u64 addr)
{
	return addr >> tracker->page_shift;
}
static inline u64 page_align(const struct rf_tracker *tracker, u64 bytes)
{
	return ALIGN_UP(bytes, BIT_ULL(tracker->page_shift));
}

#endif
