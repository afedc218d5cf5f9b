/* SPDX-License-Identifier: MIT */
/*
 * The handlers of records, a row each in dispatch.c. A record comes by value: looking ahead moves the buffer it was
 * read into. task: the record's, or NULL where the row says that its context does not matter.
 */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_HANDLERS_H
#define REFOLD_REPLAY_TRACKER_STORIES_HANDLERS_H

#include "traces/record.h"

struct rf_tracker;
struct task;

typedef void record_handler(struct rf_tracker *tracker, struct task *task, struct rf_record record);

record_handler on_fault;
record_handler on_rss_stat;
record_handler on_rss_change;
record_handler on_set_pte;
record_handler on_page_alloc;
record_handler on_page_free;
record_handler on_map_pages;
record_handler on_filemap_fault;
record_handler on_cache_add;
record_handler on_cache_delete;
record_handler on_call;
record_handler on_return;
record_handler on_newtask;
record_handler on_task_fork;
record_handler on_prepare_exec;
record_handler on_exec;
record_handler on_sched_exit;
record_handler on_migration_set;
record_handler on_migration_remove;
record_handler on_collapse;
record_handler on_swap_write;
record_handler on_ksm_merge;
record_handler on_tlb_flush;
record_handler on_mmap2;
record_handler on_comm;
record_handler on_side_band_exit;
record_handler on_process;
record_handler on_snapshot;
record_handler on_lost;
record_handler on_stop;
record_handler on_left_out;
record_handler on_mark;
record_handler on_gup;
record_handler on_call_data;
record_handler on_abi;

#endif
