// SPDX-License-Identifier: MIT
/*
 * The run loop: records in merged time order, each to the function that knows
 * its meaning. Look-ahead reads further records into the same buffer.
 */
#include "replay/tracker/tracking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"
#include "traces/capabilities.h"

/* ---- operations ----------------------------------------------------------- */

static void flush_ops(struct rf_tracker *tracker)
{
	int ret = 0;

	if (tracker->nr_ops && tracker->options.sink)
		ret = tracker->options.sink(tracker->options.context, tracker->ops, tracker->nr_ops);
	if (ret && !tracker->error)
		tracker->error = ret;
	tracker->nr_ops = 0;
}

struct rf_op *emit(struct rf_tracker *tracker, u8 kind, const struct world_mm *mm)
{
	struct rf_op *op;

	if (tracker->nr_ops == OPS_A_BLOCK)
		flush_ops(tracker);
	op = &tracker->ops[tracker->nr_ops++];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->mm = mm->id;
	op->time = tracker->time;
	op->remote_cpus = mm_runs_elsewhere(tracker, mm);
	return op;
}

void emit_entry(struct rf_tracker *tracker, u8 kind, const struct world_mm *mm, u64 vpn, u64 pfn, u32 order, u16 flags)
{
	u64 addr = vpn << tracker->page_shift;
	struct rf_op *op;

	if (tracker->nr_ops) {
		op = &tracker->ops[tracker->nr_ops - 1];
		if (op->kind == kind && op->mm == mm->id && op->flags == flags && op->order == order &&
		    op->nr < BIT_ULL(order) && op->addr + ((u64)op->nr << tracker->page_shift) == addr &&
		    op->pfn + op->nr == pfn) {
			op->nr++;
			return;
		}
	}
	op = emit(tracker, kind, mm);
	op->addr = addr;
	op->nr = 1;
	op->pfn = pfn;
	op->order = (u8)order;
	op->flags = flags;
}

/* ---- records ---------------------------------------------------------------- */

static size_t read_more(struct rf_tracker *tracker)
{
	size_t got;

	if (tracker->ended)
		return 0;
	if (tracker->nr + READ_AHEAD > tracker->size && tracker->at > READ_AHEAD) {
		memmove(tracker->records, tracker->records + tracker->at,
			(tracker->nr - tracker->at) * sizeof(*tracker->records));
		tracker->nr -= tracker->at;
		tracker->at = 0;
	}
	if (tracker->nr + READ_AHEAD > tracker->size) {
		size_t size = tracker->size * 2;
		struct rf_record *records = realloc(tracker->records, size * sizeof(*records));

		if (!records)
			return 0;	/* less look-ahead, no error */
		tracker->records = records;
		tracker->size = size;
	}
	got = rf_merge_read(tracker->merge, tracker->records + tracker->nr, READ_AHEAD);
	tracker->nr += got;
	if (!got)
		tracker->ended = true;
	return got;
}

const struct rf_record *look_ahead(struct rf_tracker *tracker, size_t i)
{
	if (i >= LOOK_AHEAD_MAX)
		return NULL;
	while (tracker->at + i >= tracker->nr)
		if (!read_more(tracker))
			return NULL;
	return &tracker->records[tracker->at + i];
}

/* Far enough for what a task says within a microsecond or so, on a machine of a hundred CPUs. */
#define PEEK_RECORDS 512

const struct rf_record *next_of(struct rf_tracker *tracker, u32 tid, size_t *i)
{
	const struct rf_record *record;

	while (*i < PEEK_RECORDS && (record = look_ahead(tracker, (*i)++)))
		if (record->tid == tid && record->kind != RF_CACHE_ADD)
			return record;
	return NULL;
}

bool next_is(struct rf_tracker *tracker, u32 tid, u8 kind)
{
	size_t i = 0;
	const struct rf_record *next = next_of(tracker, tid, &i);

	return next && next->kind == kind;
}

void mark_inexact(struct rf_tracker *tracker, struct world_mm *mm)
{
	if (!mm || mm->inexact || !mm->known)
		return;
	mm->inexact = true;
	tracker->fidelity.inexact_mms++;
}

/* Events of this stream are missing: what its tasks were doing is unknown, and so is what they changed. */
void on_lost(struct rf_tracker *tracker, const struct rf_record *record)
{
	const struct rf_stream_info *info = rf_reader_stream(tracker->reader, record->stream);
	bool everywhere = info && info->source == RF_SOURCE_SYSTEM;

	tracker->fidelity.anomalies.lost_events += record->f[0];
	for (u32 i = 0; i < tracker->tasks_size; i++) {
		struct task *task = tracker->tasks[i];

		if (!task || !task->mm)
			continue;
		/* Any task may have run on that CPU meanwhile, without a record left to tell. */
		mark_inexact(tracker, task->mm);
		if (everywhere || task->stream != record->stream)
			continue;
		fault_close(tracker, task);
		call_abandon(tracker, task);
		task->nr_allocs = 0;
	}
}

static void on_kernel_page(struct rf_tracker *tracker, const struct rf_record *record)
{
	u64 what = record->f[0], index = record->f[1];

	if (what >= ARRAY_SIZE(tracker->kernel_pages) || index > 4096)
		return;
	if (world_grow(tracker->world, (void **)&tracker->kernel_pages[what], sizeof(u64),
		       &tracker->kernel_pages_size[what], index + 1))
		tracker->kernel_pages[what][index] = (record->f[2] & WORLD_PFN_MASK) + 1;
}

bool kernel_page(const struct rf_tracker *tracker, u32 what, u64 index, u64 *pfn)
{
	if (index >= tracker->kernel_pages_size[what] || !tracker->kernel_pages[what][index])
		return false;
	*pfn = tracker->kernel_pages[what][index] - 1;
	return true;
}

static void on_process(struct rf_tracker *tracker, struct task *task, const struct rf_record *record)
{
	struct world_mm *mm = mm_of_process(tracker, (u32)record->f[0]);

	task->pid = (u32)record->f[0];
	if (!task->mm && mm && mm->known)
		task_set_mm(tracker, task, mm);
}

/* What every task does: its context is the record's. */
static void on_task_record(struct rf_tracker *tracker, const struct rf_record *record)
{
	struct task *task = task_get(tracker, record->tid);

	if (!task)
		return;
	task->stream = record->stream;
	cpu_seen(tracker, task, record);
	switch (record->kind) {
	case RF_FAULT:
		on_fault(tracker, task, record);
		break;
	case RF_RSS_STAT:
		on_rss_stat(tracker, task, record);
		break;
	case RF_PAGE_ALLOC:
		on_page_alloc(tracker, task, record);
		break;
	case RF_PAGE_FREE:
		on_page_free(tracker, task, record);
		break;
	case RF_MAP_PAGES:
		on_map_pages(tracker, task, record);
		break;
	case RF_FILEMAP_FAULT:
		on_filemap_fault(tracker, task, record);
		break;
	case RF_CACHE_ADD:
		on_cache_add(tracker, task, record);
		break;
	case RF_SYS_RET:
		on_return(tracker, task, record);
		break;
	case RF_NEWTASK:
		on_newtask(tracker, task, record);
		break;
	case RF_PREPARE_EXEC:
		on_prepare_exec(tracker, task);
		break;
	case RF_EXEC:
		on_exec(tracker, task, record);
		break;
	case RF_TASK_EXIT:
		if (tracker->exits_late)
			on_exit_task(tracker, task, record);
		break;
	case RF_EXIT:
		if (!tracker->exits_late)
			on_exit_task(tracker, task, record);
		break;
	case RF_COLLAPSE_SCAN:
	case RF_COLLAPSE_ISOLATE:
	case RF_COLLAPSE:
		on_collapse(tracker, task, record);
		break;
	case RF_TLB_FLUSH:
		on_tlb_flush(tracker, task, record);
		break;
	case RF_MMAP2:
		on_mmap2(tracker, task, record);
		break;
	case RF_GUP:
		on_gup(tracker, task, record);
		break;
	case RF_PROCESS:
		on_process(tracker, task, record);
		break;
	default:
		if (record->kind >= RF_SYS_MMAP && record->kind < RF_SYS_RET && rf_kind_table()[record->kind].name)
			on_call(tracker, task, record);
	}
}

static void dispatch(struct rf_tracker *tracker, const struct rf_record *record)
{
	if (record->time < tracker->time)
		tracker->fidelity.anomalies.unordered_record++;
	else
		tracker->time = record->time;
	if (tracker->freeing && record->kind != RF_PAGE_FREE) {
		tracker->freeing = false;
		reclaim_flush(tracker);
	}
	switch (record->kind) {
	case RF_CACHE_DELETE:
		on_cache_delete(tracker, record);
		break;
	case RF_SWAP_WRITE:
		on_swap_write(tracker, record);
		break;
	case RF_MIGRATION_SET:
		on_migration_set(tracker, record, 1);
		break;
	case RF_MIGRATION_REMOVE:
		on_migration_remove(tracker, record, 1);
		break;
	case RF_MIGRATION_PMD_SET:
		on_migration_set(tracker, record, BIT_ULL(tracker->pmd_order));
		break;
	case RF_MIGRATION_PMD_REMOVE:
		on_migration_remove(tracker, record, BIT_ULL(tracker->pmd_order));
		break;
	case RF_KSM_MERGE:
		on_ksm_merge(tracker, record);
		break;
	case RF_SNAP_BEGIN:
	case RF_SNAP_VMA:
	case RF_SNAP_PTE:
	case RF_SNAP_SWAP:
	case RF_SNAP_RSS:
	case RF_SNAP_END:
		on_snapshot(tracker, record);
		break;
	case RF_KERNEL_PAGE:
		on_kernel_page(tracker, record);
		break;
	case RF_LOST:
		on_lost(tracker, record);
		break;
	case RF_MARKER:
		on_mark(tracker, record);
		break;
	case RF_COMM:
		on_comm(tracker, record);
		break;
	case RF_MARKER_MORE:
	case RF_CACHE_FILE:
	case RF_CACHE_RUN:
	case RF_TASK_FORK:
	case RF_COLLAPSE_FILE:
		break;
	default:
		on_task_record(tracker, record);
	}
}

/* ---- life ---------------------------------------------------------------------- */

static bool kinds_have(const u64 kinds[2], u32 kind)
{
	return kinds[kind / 64] >> kind % 64 & 1;
}

static void learn_header(struct rf_tracker *tracker)
{
	struct rf_reader *reader = tracker->reader;
	const char *arch = rf_reader_header_string(reader, "arch", "x86_64");
	const char *json = rf_reader_summary(reader)->header_json;
	struct rf_capabilities capabilities = rf_reader_capabilities(reader);
	u64 page_size = rf_reader_header_u64(reader, "page_size", 4096), kinds[2] = { 0, 0 };
	const char *thp;

	tracker->reuses_large = capabilities.has[RF_REUSES_LARGE_FOLIOS];
	tracker->page_shift = 12;
	for (u32 shift = 12; shift <= 16; shift++)
		if (page_size == BIT_ULL(shift))
			tracker->page_shift = shift;
	tracker->pmd_order = tracker->page_shift - 3;
	/* Kernel addresses have the top bit set on every 64-bit architecture. */
	tracker->address_limit = BIT_ULL(57);
	tracker->stack_top_max = BIT_ULL(48);
	if (!strcmp(arch, "x86_64"))
		tracker->stack_top_max = BIT_ULL(47) - page_size;
	for (size_t i = 0; i < rf_reader_nr_frames(reader); i++) {
		const struct rf_frame_info *frame = rf_reader_frame(reader, i);

		kinds[0] |= frame->kinds[0];
		kinds[1] |= frame->kinds[1];
	}
	tracker->have_allocs = kinds_have(kinds, RF_PAGE_ALLOC);
	tracker->have_flushes = kinds_have(kinds, RF_TLB_FLUSH);
	tracker->have_side_band = kinds_have(kinds, RF_MMAP2);
	tracker->exits_late = capabilities.has[RF_EXIT_AFTER_MM] && kinds_have(kinds, RF_TASK_EXIT);
	/* "thp": {"enabled": "always", ...}; the only nested value of interest, so no parser. */
	thp = json ? strstr(json, "\"thp\":{") : NULL;
	if (thp) {
		tracker->thp_always = strstr(thp, "\"enabled\":\"always\"") != NULL;
		tracker->thp_madvise = strstr(thp, "\"enabled\":\"madvise\"") != NULL;
	}
}

/* Constants of a boot come with the snapshots, often at the end; they are wanted from the start. */
static int read_kernel_pages(struct rf_tracker *tracker, struct rf_error *err)
{
	const u64 kinds[2] = { 0, BIT_ULL(RF_KERNEL_PAGE - 64) };
	struct rf_merge *merge = rf_merge_open(tracker->reader, kinds, err);
	size_t nr;

	if (!merge)
		return -ENOMEM;
	while ((nr = rf_merge_read(merge, tracker->records, READ_AHEAD)))
		for (size_t i = 0; i < nr; i++)
			if (tracker->records[i].kind == RF_KERNEL_PAGE)
				on_kernel_page(tracker, &tracker->records[i]);
	rf_merge_close(merge);
	return 0;
}

static int tracker_init(struct rf_tracker *tracker, struct rf_error *err)
{
	int ret;

	learn_header(tracker);
	tracker->nr_streams = rf_reader_nr_streams(tracker->reader);
	tracker->world = world_create(tracker->page_shift);
	tracker->size = 4 * READ_AHEAD;
	tracker->records = malloc(tracker->size * sizeof(*tracker->records));
	tracker->ops = malloc(OPS_A_BLOCK * sizeof(*tracker->ops));
	tracker->snapshots = calloc(tracker->nr_streams + 1, sizeof(*tracker->snapshots));
	if (!tracker->world || !tracker->records || !tracker->ops || !tracker->snapshots)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	ret = read_kernel_pages(tracker, err);
	if (!ret)
		ret = page_cache_start(tracker, err);
	if (ret)
		return ret;
	tracker->merge = rf_merge_open(tracker->reader, NULL, err);
	return tracker->merge ? 0 : -ENOMEM;
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
	for (u32 i = 0; i < tracker->tasks_size; i++) {
		struct task *task = tracker->tasks[i];

		if (!task)
			continue;
		fault_close(tracker, task);
		if (task->orphans)
			tracker->fidelity.anomalies.unknown_task++;
		task->orphans = 0;
	}
	end_windows(tracker);
}

s64 rf_tracker_run(struct rf_tracker *tracker, size_t max, struct rf_error *err)
{
	size_t done = 0;

	while (done < max && !tracker->error) {
		if (tracker->at == tracker->nr) {
			tracker->at = tracker->nr = 0;
			if (!read_more(tracker))
				break;
		}
		tracker->record++;
		tracker->kinds[tracker->records[tracker->at].kind % RF_RECORD_KIND_MAX]++;
		dispatch(tracker, &tracker->records[tracker->at++]);
		done++;
	}
	if (!done && !tracker->error)
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

u64 rf_tracker_time(const struct rf_tracker *tracker)
{
	return tracker->time;
}

const u64 *rf_tracker_kinds(const struct rf_tracker *tracker)
{
	return tracker->kinds;
}

void rf_tracker_destroy(struct rf_tracker *tracker)
{
	if (!tracker)
		return;
	rf_merge_close(tracker->merge);
	tasks_destroy(tracker);
	world_destroy(tracker->world);
	for (size_t i = 0; i < ARRAY_SIZE(tracker->kernel_pages); i++)
		free(tracker->kernel_pages[i]);
	free(tracker->migrations);
	free(tracker->flush_mms);
	for (size_t i = 0; tracker->snapshots && i <= tracker->nr_streams; i++)
		free(tracker->snapshots[i].differences);
	free(tracker->snapshots);
	free(tracker->cpus);
	free(tracker->records);
	free(tracker->ops);
	free(tracker);
}
