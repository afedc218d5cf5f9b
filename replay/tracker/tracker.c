// SPDX-License-Identifier: MIT
/* The life of a tracker, and its run loop: records in merged time order, each to its handler. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "replay/tracker/dispatch.h"
#include "replay/tracker/ground/cpus.h"
#include "replay/tracker/ground/decoding.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/readahead.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/cache.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/hidden.h"
#include "replay/tracker/stories/marks.h"
#include "replay/tracker/stories/snapshot.h"
#include "replay/tracker/tracker.h"
#include "traces/capabilities.h"

static bool kinds_have(const u64 kinds[2], u32 kind)
{
	return kinds[kind / 64] >> kind % 64 & 1;
}

/* thp_vma_allowable_orders(): from 6.8 on the PMD's size has its own setting, which may be to inherit the old one. */
static void learn_thp(struct rf_tracker *tracker)
{
	const json_t *settings = rf_reader_header_value(tracker->reader, RF_HEADER_THP);
	const char *enabled, *zero = json_string_value(json_object_get(settings, "use_zero_page"));
	char key[32];

	snprintf(key, sizeof(key), "hugepages-%llukB", BIT_ULL(tracker->page_shift + tracker->pmd_order) / 1024);
	enabled = json_string_value(json_object_get(settings, key));
	if (!enabled || !strcmp(enabled, "inherit"))
		enabled = json_string_value(json_object_get(settings, "enabled"));
	if (!enabled || (zero && !strcmp(zero, "0")))
		return;
	tracker->thp_always = !strcmp(enabled, "always");
	tracker->thp_madvise = !strcmp(enabled, "madvise");
}

static void learn_header(struct rf_tracker *tracker)
{
	struct rf_reader *reader = tracker->reader;
	const char *mode = rf_reader_header_string(reader, RF_HEADER_MODE, "");
	struct rf_capabilities capabilities = rf_reader_capabilities(reader);
	u64 page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096), kinds[2] = { 0, 0 };

	tracker->attached = !strcmp(mode, "pid") || !strcmp(mode, "system");
	tracker->reuses_large = capabilities.has[RF_REUSES_LARGE_FOLIOS];
	tracker->keeps_read_only = capabilities.has[RF_KEEPS_READ_ONLY];
	tracker->moves_several = capabilities.has[RF_MOVES_SEVERAL_VMAS];
	tracker->maps_whole = capabilities.has[RF_MAPS_WHOLE_FOLIOS];
	tracker->small_stacks = capabilities.has[RF_STACKS_NOHUGEPAGE];
	tracker->no_zero_page = capabilities.has[RF_NO_ZERO_PAGE];
	tracker->one_cpu = rf_reader_header_u64(reader, RF_HEADER_CPUS, 2) == 1;
	tracker->page_shift = 12;
	for (u32 shift = 12; shift <= 16; shift++)
		if (page_size == BIT_ULL(shift))
			tracker->page_shift = shift;
	tracker->pmd_order = tracker->page_shift - 3;
	/* Kernel addresses have the top bit set on every 64-bit architecture. */
	tracker->address_limit = BIT_ULL(57);
	tracker->stack_top_max = rf_header_stack_top(rf_reader_header(reader));
	for (size_t i = 0; i < rf_reader_nr_frames(reader); i++) {
		const struct rf_frame_info *frame = rf_reader_frame(reader, i);

		kinds[0] |= frame->kinds[0];
		kinds[1] |= frame->kinds[1];
	}
	tracker->have_allocs = kinds_have(kinds, RF_PAGE_ALLOC);
	tracker->have_flushes = kinds_have(kinds, RF_TLB_FLUSH);
	for (u32 kind = RF_MODULE; kind <= RF_NO_STACKS; kind++)
		tracker->have_stacks |= kinds_have(kinds, kind);
	tracker->have_side_band = kinds_have(kinds, RF_MMAP2);
	tracker->exits_late = capabilities.has[RF_EXIT_AFTER_MM] && kinds_have(kinds, RF_TASK_EXIT);
	tracker->batches_rss = capabilities.has[RF_BATCHES_RSS] && kinds_have(kinds, RF_RSS_CHANGE);
	tracker->rss_untold = capabilities.has[RF_BATCHES_RSS] && !tracker->batches_rss;
	tracker->fault_around = max_u64(rf_reader_header_u64(reader, RF_HEADER_FAULT_AROUND_BYTES, 65536) /
					page_size, 1);
	learn_thp(tracker);
}

static int tracker_init(struct rf_tracker *tracker, struct rf_error *err)
{
	int ret;

	learn_header(tracker);
	tracker->nr_streams = rf_reader_nr_streams(tracker->reader);
	tracker->world = world_create(tracker->page_shift, sizeof(struct tracked_mm));
	tracker->size = 4 * DECODED_AT_ONCE;
	tracker->records = malloc(tracker->size * sizeof(*tracker->records));
	tracker->ops = malloc(OPS_A_BLOCK * sizeof(*tracker->ops));
	tracker->snapshots = calloc(tracker->nr_streams + 1, sizeof(*tracker->snapshots));
	if (tracker->options.explain)
		tracker->causes = malloc(OPS_A_BLOCK * sizeof(*tracker->causes));
	if (!tracker->world || !tracker->records || !tracker->ops || !tracker->snapshots ||
	    (tracker->options.explain && !tracker->causes))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (compat_start(&tracker->compat, tracker->reader) || cpus_start(tracker) || readahead_start(tracker))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	ret = losses_start(tracker, err);
	if (!ret)
		ret = read_kernel_pages(tracker, err);
	if (!ret)
		ret = page_cache_start(tracker, err);
	if (ret)
		return ret;
	kernel_page(tracker, RF_KERNEL_PAGE_ZERO, 0, &tracker->world->zero_pfn);
	kernel_page(tracker, RF_KERNEL_PAGE_HUGE_ZERO, 0, &tracker->world->huge_zero_pfn);
	hidden_start(tracker);
	tracker->decoding = decoding_start(tracker->reader, &tracker->compat, tracker->options.one_thread, err);
	return tracker->decoding ? 0 : -ENOMEM;
}

struct rf_tracker *rf_tracker_create(struct rf_reader *reader, const struct rf_tracker_options *options,
				     struct rf_error *err)
{
	struct rf_tracker *tracker = calloc(1, sizeof(*tracker));

	if (!tracker) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	tracker->reader = reader;
	if (options)
		tracker->options = *options;
	if (tracker_init(tracker, err)) {
		rf_tracker_destroy(tracker);
		return NULL;
	}
	return tracker;
}

/* What is only known once nothing more can come. */
static void finish(struct rf_tracker *tracker)
{
	tracker->cause = (struct rf_cause){ 0 };
	for (u32 i = 0; i < tracker->tasks.size; i++) {
		struct task *task = tracker->tasks.slots[i].value;

		if (!task)
			continue;
		fault_ends(tracker, task);
		if (task->orphans)
			orphan_ends(tracker, task);
		task->orphans = 0;
		hidden_ends(tracker, task);
	}
	end_windows(tracker);
}

/*
 * Page frames are used in no order: the processor would wait for most of those that are allocated and freed, if it were
 * not told some records before.
 */
#define PREFETCH_AHEAD 12

static void prefetch_page(const struct rf_tracker *tracker)
{
	const struct rf_record *record = &tracker->records[tracker->at + PREFETCH_AHEAD];

	if (tracker->at + PREFETCH_AHEAD >= tracker->nr)
		return;
	if (record->kind == RF_PAGE_ALLOC || record->kind == RF_PAGE_FREE)
		world_page_prefetch(tracker->world, record->f[0]);
}

/* Four records may move a mapping of any size. */
#define RECORDS_A_LOOK 256

static void look_at_clock(struct rf_tracker *tracker)
{
	if (tracker->options.stop_at && !tracker->error && rf_monotonic() >= tracker->options.stop_at)
		tracker->error = -ETIME;
}

s64 rf_tracker_run(struct rf_tracker *tracker, size_t max, struct rf_error *err)
{
	const struct rf_record *record;
	size_t done = 0;

	while (done < max && !tracker->error && !world_out_of_memory(tracker->world) &&
	       (record = take_record(tracker))) {
		count_record(tracker);
		tracker->kinds[record->kind % RF_RECORD_KIND_MAX]++;
		prefetch_page(tracker);
		dispatch(tracker, record);
		if (!(++done % RECORDS_A_LOOK))
			look_at_clock(tracker);
	}
	if (!done && !tracker->error && !world_out_of_memory(tracker->world))
		finish(tracker);
	flush_ops(tracker);
	if (world_out_of_memory(tracker->world))
		tracker->error = -ENOMEM;
	if (tracker->error)
		return rf_error_set(err, tracker->error, RF_NO_OFFSET, "%s",
				    tracker->error == -ENOMEM ? "out of memory" : "the replay was stopped");
	return (s64)done;
}

const struct rf_fidelity *rf_tracker_fidelity(const struct rf_tracker *tracker)
{
	return &tracker->fidelity;
}

const u64 *rf_tracker_kinds(const struct rf_tracker *tracker)
{
	return tracker->kinds;
}

void rf_tracker_take_trust(struct rf_tracker *tracker, struct rf_trust *trust)
{
	*trust = tracker->trust;
	tracker->trust = (struct rf_trust){ 0 };
}

void rf_tracker_file(const struct rf_tracker *tracker, u32 number, u64 *dev, u64 *ino)
{
	const struct world_file *file = file_get(tracker->world, number);
	bool known;

	if (file && file->told)
		file = file_get(tracker->world, file->told);
	known = file && !file->provisional;

	*dev = known ? file->dev : 0;
	*ino = known ? file->ino : 0;
}

void rf_tracker_destroy(struct rf_tracker *tracker)
{
	if (!tracker)
		return;
	decoding_stop(tracker->decoding);
	tasks_destroy(tracker);
	world_destroy(tracker->world);
	for (size_t i = 0; i < ARRAY_SIZE(tracker->kernel_pages); i++)
		free(tracker->kernel_pages[i]);
	free(tracker->late_folios);
	late_folio_table_free(&tracker->late_by_pfn);
	free(tracker->readahead_marks);
	readahead_table_free(&tracker->readahead_by_pfn);
	device_table_free(&tracker->readahead_windows);
	compat_free(&tracker->compat);
	free(tracker->migrations);
	free(tracker->flush_mms);
	for (size_t i = 0; tracker->snapshots && i <= tracker->nr_streams; i++)
		free(tracker->snapshots[i].differences);
	free(tracker->snapshots);
	free(tracker->cpus);
	free(tracker->cpu_of_stream);
	free(tracker->records);
	free(tracker->passed_over);
	free(tracker->stack_copies);
	free(tracker->ops);
	free(tracker->causes);
	rf_trust_free(&tracker->trust);
	free(tracker->losses);
	free(tracker->untouched);
	free(tracker);
}
