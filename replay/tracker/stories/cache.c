// SPDX-License-Identifier: MIT
/*
 * The page cache: what is in it at the start of the recording, from a layout that
 * may have been taken at its end, and how it changes.
 */
#include "replay/tracker/stories/cache.h"

#include <errno.h>

#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/readahead.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/handlers.h"
#include "traces/merge.h"

/* A window around the fault, the flag where its last quarter begins, which do_page_cache_ra() counts from the end. */
static bool is_window_mark(u64 fault, u64 index, u64 pages, u64 window)
{
	u64 start = fault > window / 2 ? fault - window / 2 : 0, end = start + window;

	if (pages && end > pages)
		end = pages;
	return index + window / 4 == end && index >= start;
}

/*
 * Whether the page at index gets PG_readahead when a fault at the task's FILEMAP_FAULT reads: by
 * do_sync_mmap_readahead() or, if it has hit such a page, page_cache_async_ra(), where the first page of the next
 * window gets it. How long windows are is most often a power of two, where the header does not tell.
 */
static bool is_readahead_mark(const struct rf_tracker *tracker, const struct task_fault *fault, u64 index)
{
	u64 pages = file_get(tracker->world, fault->file)->pages;
	u32 window = readahead_window(tracker, fault->file);

	if (fault->filemap == FILE_CACHED)
		return index > fault->index && !fault->reads;
	if (window)
		return is_window_mark(fault->index, index, pages, window);
	for (window = 32; window <= 1 << 20; window *= 2)
		if (is_window_mark(fault->index, index, pages, window))
			return true;
	return false;
}

/* page_cache_sync_ra(), of one page: get_init_ra_size() makes it four, and the flag is on the page behind that one. */
#define INITIAL_WINDOW 4

/*
 * Likewise for what is read outside of a fault: the first page of a file by those who look what it is, exec() and the
 * dynamic linker. Of longer reads it is not told how much was asked for.
 */
static bool is_read_mark(struct rf_tracker *tracker, struct task *task, u32 file, u64 index, u64 nr)
{
	struct task_read *read = &task->read;
	u64 pfn;

	if (file != read->file || index != read->next)
		*read = (struct task_read){ .file = file, .start = index };
	read->next = index + nr;
	if (read->next - read->start > INITIAL_WINDOW && index - read->start <= INITIAL_WINDOW &&
	    cache_find(tracker->world, file, read->start + 1, &pfn))
		readahead_sets(tracker, pfn, false);
	return index == read->start + 1;
}

void on_cache_add(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 file = record_file(tracker, &record), order = (u32)min_u64(record.f[4], WORLD_ORDER_MAX);
	u64 index = record.f[2], pfn = record.f[3];

	if (!file || pfn >= WORLD_INVENTED_PFN)
		return;
	drop_alloc(task, pfn);
	folio_set(tracker->world, pfn, order);
	if (fault_is_open(&task->fault) && task->fault.filemap != FILE_NOT_SEEN && task->fault.file == file)
		readahead_sets(tracker, pfn, is_readahead_mark(tracker, &task->fault, index));
	else
		readahead_sets(tracker, pfn, is_read_mark(tracker, task, file, index, BIT_ULL(order)));
	fault_reads_page(&task->fault);
	folio_set_cached(tracker->world, pfn, order, (u32)(tracker->time >> 16));
	for (u64 i = 0; i < BIT_ULL(order); i++)
		cache_set(tracker->world, file, index + i, pfn + i);
}

/*
 * Reclaim takes pages out of the page cache as it unmaps them, and flushes later for many. So does MADV_PAGEOUT, a task
 * that makes room in a fault, and a thread without memory of its own that has just unmapped something. Truncation
 * unmaps all that it will delete first, and has flushed it.
 */
static u16 when_unmapped(const struct task *task)
{
	if (!task)
		return RF_OP_INFERRED;
	return pages_out(task) || fault_is_open(&task->fault) || (!task->mm && task->unmapping) ? 0 : RF_OP_INFERRED;
}

void on_cache_delete(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 file = record_file(tracker, &record), order = (u32)min_u64(record.f[4], WORLD_ORDER_MAX);
	u64 index = record.f[2], pfn = record.f[3], cached;
	u16 op_flags = when_unmapped(task = task_find(tracker, record.tid));
	struct world_page *page;

	if (task)
		task->unmapping = false;
	if (!file || pfn >= WORLD_INVENTED_PFN)
		return;
	pageout_tells(tracker, record.tid, pfn, order);
	for (u64 i = 0; i < BIT_ULL(order); i++) {
		if (cache_find(tracker->world, file, index + i, &cached)) {
			/* An invented page at this place was this one. */
			if (!world_pfn_known(cached))
				unmap_cache_page(tracker, cached, op_flags);
			cache_clear(tracker->world, file, index + i);
		}
		unmap_cache_page(tracker, pfn + i, op_flags);
	}
	if (tracker->nr_flush_mms && tracker->flush_tid == record.tid && (page = world_page(tracker->world, pfn)))
		page->leaves = true;
}

/* ---- tmpfs ----------------------------------------------------------------------------------- */

/*
 * A folio of a file system without events: shmem_add_to_page_cache() has none. The layout tells that the file has it,
 * and the last time it was allocated before that tells since when.
 */
struct late_folio {
	u32 file, order;
	u64 index;		/* of its first page */
	u64 time;		/* 0: was there from the start */
};

/* tmpfs has no device, as other file systems that keep their pages somewhere else or have events as well. */
static bool has_device(const struct world_file *file)
{
	return file->dev >> 20;
}

static void note_late_folio(struct rf_tracker *tracker, u32 file, u64 index, u64 pfn, u32 order)
{
	u64 head = folio_head(pfn, order);
	struct late_folio *late;

	if (has_device(file_get(tracker->world, file)) || index < pfn - head ||
	    late_folio_table_find(&tracker->late_by_pfn, head) ||
	    !world_grow(tracker->world, (void **)&tracker->late_folios, sizeof(*late), &tracker->late_folios_size,
			tracker->nr_late_folios + 1ull))
		return;
	late = &tracker->late_folios[tracker->nr_late_folios++];
	*late = (struct late_folio){ file, order, index - (pfn - head), 0 };
	if (late_folio_table_set(&tracker->late_by_pfn, head, tracker->nr_late_folios))
		world_set_out_of_memory(tracker->world);
}

static struct late_folio *late_folio(const struct rf_tracker *tracker, u64 pfn)
{
	u32 number = late_folio_table_find(&tracker->late_by_pfn, pfn);

	return number ? &tracker->late_folios[number - 1] : NULL;
}

static void start_alloc(struct rf_tracker *tracker, const struct rf_record *record)
{
	struct late_folio *late = late_folio(tracker, record->f[0]);

	if (late && record->f[1] == late->order && record->time < file_get(tracker->world, late->file)->layout_time)
		late->time = record->time;
}

static void forget_late_folios(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->nr_late_folios; i++) {
		const struct late_folio *late = &tracker->late_folios[i];

		for (u64 page = 0; late->time && page < BIT_ULL(late->order); page++)
			cache_clear(tracker->world, late->file, late->index + page);
	}
}

void page_cache_alloc(struct rf_tracker *tracker, u64 pfn)
{
	const struct late_folio *late = late_folio(tracker, pfn);

	if (!late || late->time != tracker->time)
		return;
	folio_set(tracker->world, pfn, late->order);
	for (u64 page = 0; page < BIT_ULL(late->order); page++)
		cache_set(tracker->world, late->file, late->index + page, pfn + page);
}

/* ---- the state at the start ------------------------------------------------------------------ */

static void start_layout(struct rf_tracker *tracker, const struct rf_record *record)
{
	u32 file = record_file(tracker, record), order = (u32)min_u64(record->f[5], WORLD_ORDER_MAX);
	u64 index = record->f[2], nr = record->f[3], pfn = record->f[4];

	if (!file)
		return;
	if (record->kind == RF_CACHE_FILE) {
		file_get(tracker->world, file)->layout_time = record->time;
		file_get(tracker->world, file)->pages = index;
		return;
	}
	if (record->kind == RF_CACHE_READAHEAD) {
		readahead_seen(tracker, file, index, record->f[3]);
		return;
	}
	if (pfn >= WORLD_INVENTED_PFN || nr > BIT_ULL(order))
		return;
	folio_set(tracker->world, folio_head(pfn, order), order);
	for (u64 i = 0; i < nr; i++)
		cache_set(tracker->world, file, index + i, pfn + i);
	note_late_folio(tracker, file, index, pfn, order);
}

/* The first event of an index tells what it held before, if the layout was taken later. */
static void start_event(struct rf_tracker *tracker, const struct rf_record *record)
{
	u32 file = record_file(tracker, record), order = (u32)min_u64(record->f[4], WORLD_ORDER_MAX);
	u64 index = record->f[2], pfn = record->f[3];
	bool first = false;

	if (!file || pfn >= WORLD_INVENTED_PFN || record->time >= file_get(tracker->world, file)->layout_time)
		return;
	for (u64 i = 0; i < BIT_ULL(order); i++) {
		if (!cache_first_event(tracker->world, file, index + i))
			continue;
		if (record->kind == RF_CACHE_ADD) {
			cache_clear(tracker->world, file, index + i);
			continue;
		}
		cache_set(tracker->world, file, index + i, pfn + i);
		first = true;
	}
	if (first)
		folio_set(tracker->world, folio_head(pfn, order), order);
}

static int start_pass(struct rf_tracker *tracker, const u64 kinds[2],
		      void (*visit)(struct rf_tracker *tracker, const struct rf_record *record), struct rf_error *err)
{
	struct rf_merge *merge = rf_merge_open(tracker->reader, kinds, err);
	size_t nr;

	if (!merge)
		return -ENOMEM;
	while ((nr = rf_merge_read(merge, tracker->records, tracker->size)) && !world_out_of_memory(tracker->world)) {
		for (size_t i = 0; i < nr && !world_out_of_memory(tracker->world); i++) {
			u8 kind = tracker->records[i].kind;

			/* A cursor picks frames, not records. */
			if (kinds[kind / 64] >> kind % 64 & 1)
				visit(tracker, &tracker->records[i]);
		}
	}
	rf_merge_close(merge);
	return world_out_of_memory(tracker->world) ? rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory") : 0;
}

int page_cache_start(struct rf_tracker *tracker, struct rf_error *err)
{
	static const u64 layouts[2] = { 0, BIT_ULL(RF_CACHE_FILE - 64) | BIT_ULL(RF_CACHE_RUN - 64) |
					BIT_ULL(RF_CACHE_READAHEAD - 64) };
	static const u64 allocs[2] = { BIT_ULL(RF_PAGE_ALLOC), 0 };
	static const u64 events[2] = { BIT_ULL(RF_CACHE_ADD) | BIT_ULL(RF_CACHE_DELETE), 0 };
	int ret = start_pass(tracker, layouts, start_layout, err);

	if (!ret)
		ret = start_pass(tracker, events, start_event, err);
	if (!ret && tracker->nr_late_folios && tracker->have_allocs)
		ret = start_pass(tracker, allocs, start_alloc, err);
	forget_late_folios(tracker);
	cache_forget_events(tracker->world);
	return ret;
}
