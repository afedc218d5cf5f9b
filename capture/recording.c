// SPDX-License-Identifier: MIT
/*
 * One recording from start to end. The order matters: rings and side-band run
 * before the first event, events before snapshots (so that a snapshot's past is
 * never needed and its future is complete), and everything runs before COMMAND's
 * execve. The end is the same backwards.
 */
#include "capture/recording.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/prepare.h"
#include "capture/processes.h"
#include "capture/rights/rights.h"
#include "capture/tracefs/probes.h"

/* The layout of the page cache is bounded: a recording of a whole system may have seen every file there is. */
#define CACHE_PAGES (16ull << 20)
#define CACHE_NS (20 * 1000000000ull)

/* Most have been looked at while they were stopped; who could not be, now. A child of vfork() has its parent's. */
static int snapshot_all(struct recording *rec, const struct rf_pid_list *pids, enum rf_snap_why why,
			struct rf_error *err)
{
	int ret = 0;

	for (size_t i = 0; rec->snapshotter && i < pids->nr && !ret; i++) {
		pid_t pid = pids->pids[i];

		if (!rf_follow_has_seen(rec->follow, pid) && rf_process_of(pid) == pid && !rf_shares_memory(pid))
			ret = rf_snapshot_process(rec->snapshotter, pid, why, false, err);
	}
	return ret;
}

/* Every process the recording is about that lives now. */
static int living_processes(void *context, struct rf_pid_list *pids)
{
	struct recording *rec = context;

	if (rec->options.whole_system)
		return rf_all_processes(getpid(), pids) < 0 ? -ENOMEM : 0;
	if (rec->perf)
		return rf_perf_processes(rec->perf, pids);
	for (size_t i = 0; i < rec->pids.nr; i++)
		if (rf_process_of(rec->pids.pids[i]) > 0 && !rf_pid_list_add(pids, rec->pids.pids[i]))
			return -ENOMEM;
	return 0;
}

static int attach(struct recording *rec, const struct rf_follow_options *follow_options, struct rf_error *err)
{
	struct rf_pid_list pids = { 0 };
	int ret = 0;

	if (!rec->snapshotter)
		return 0;
	/* Who is born meanwhile is known by his birth. */
	living_processes(rec, &pids);
	ret = rf_follow_attach(rec->follow, follow_options, living_processes, rec, err);
	if (!ret)
		ret = snapshot_all(rec, &pids, RF_SNAP_ATTACH, err);
	rf_pid_list_free(&pids);
	return ret;
}

/* From here on events are recorded. */
static int begin_tracing(struct recording *rec, struct rf_error *err)
{
	struct rf_pid_list pids = { 0 };
	int ret;

	ret = rf_session_start(rec->session, err);
	if (ret)
		return ret;
	living_processes(rec, &pids);
	ret = rf_processes_record(rec->writer, rec->facts_stream, &pids, err);
	rf_pid_list_free(&pids);
	if (!ret)
		ret = rf_kernel_pages_record(rec->writer, rec->facts_stream, &rec->compat, err);
	return ret;
}

/* Who runs is looked at; COMMAND starts. A process has one tracer: the recording before this has to be done with it. */
static int begin_following(struct recording *rec, struct rf_error *err)
{
	const struct rf_follow_options follow_options = { rec->writer, rec->cache, rec->options.exit_snapshots };
	int ret = 0;

	if (!rec->options.command)
		ret = attach(rec, &follow_options, err);
	if (!ret)
		ret = rf_writer_flush(rec->writer, rec->facts_stream, err);
	if (!ret && rec->options.command)
		ret = rf_follow_start(rec->follow, &follow_options, err);
	return ret;
}

static int finish_follow(struct recording *rec, struct rf_error *err)
{
	struct rf_follow_totals totals = { 0 };
	int ret;

	rf_follow_stop(rec->follow);
	ret = rf_follow_wait(rec->follow, &rec->result->command_status, &totals, err);
	rec->result->snapshots += totals.snapshots;
	if (rec->options.command && rec->options.exit_snapshots && !totals.exit_snapshots)
		rf_recording_warn(rec, "no snapshots: %.200s", totals.why);
	if (totals.nested && !rec->options.iovecs)
		rf_recording_warn(rec, "%llu programs that trace others (debuggers, leak checkers) were let go, with "
				  "what they start: no exit snapshots of these%s", (unsigned long long)totals.nested,
				  rec->options.command ? " without --iovecs" : "");
	if (totals.lost)
		rf_recording_warn(rec, "%llu processes vanished before their snapshot", (unsigned long long)totals.lost);
	return ret;
}

/* The last facts, while events still flow: snapshots of who lives on, the page cache's layout. */
static int last_facts(struct recording *rec, struct rf_error *err)
{
	const struct rf_page_cache_limits limits = { .pages = CACHE_PAGES, .nanoseconds = CACHE_NS };
	struct rf_page_cache_totals totals = { 0 };
	struct rf_pid_list pids = { 0 };
	struct rf_error why = { 0 };
	int ret;

	/* Processes forked in the last moment are known only from there; and, below, files mapped. */
	if (rec->perf)
		rf_perf_sync(rec->perf);
	if (rec->snapshotter)
		living_processes(rec, &pids);
	ret = finish_follow(rec, err);
	if (rec->perf)
		rf_perf_sync(rec->perf);
	if (rec->snapshotter) {
		if (!ret)
			ret = snapshot_all(rec, &pids, RF_SNAP_STOP, err);
		rec->result->snapshots += rf_snapshotter_totals(rec->snapshotter)->taken;
	}
	rf_pid_list_free(&pids);
	if (ret || !rec->cache)
		return ret;
	if (rf_page_cache_record(rec->cache, rec->writer, rec->facts_stream, &limits, &totals, &why))
		rf_recording_warn(rec, "no page-cache layout: %.150s", why.message);
	if (totals.skipped)
		rf_recording_warn(rec, "the page cache of %llu files was left out: too much of it",
		     (unsigned long long)totals.skipped);
	return 0;
}

/* Instances are switched off one after the other, and the side band last: from here on they tell halves. */
static int stop_facts(struct recording *rec, struct rf_error *err)
{
	const struct rf_record stop = { .time = rf_monotonic(), .kind = RF_STOP };

	return rf_writer_append(rec->writer, rec->facts_stream, &stop, 1, err);
}

/* The first error wins, but what a thread says beats "a thread failed" (-ECANCELED). */
static int keep_error(int ret, int later_ret, const struct rf_error *later, struct rf_error *err)
{
	if (!later_ret || (ret && ret != -ECANCELED))
		return ret;
	*err = *later;
	return later_ret;
}

/* What the recording itself took, in its last record. Who cannot write it cannot write the rest, which says why. */
static void tell_cost(struct recording *rec, const struct rf_rings_totals *rings, const struct rf_perf_losses *side)
{
	const struct rf_buffers gaps = { .task = rings->gap_bytes[RF_INSTANCE_TASK],
					 .system = rings->gap_bytes[RF_INSTANCE_SYSTEM],
					 .side = side->gap_bytes };
	struct rf_record record = { .time = rf_monotonic(), .tid = (u32)getpid(), .kind = RF_RECORDER };

	rec->result->needed_buffer = rf_buffers_needed(&rec->buffers, &gaps);
	record.f[0] = rf_own_cpu_ns();
	record.f[1] = rf_own_peak_bytes();
	record.f[2] = rf_buffers_total(&rec->buffers);
	record.f[3] = rec->result->needed_buffer;
	rf_writer_append(rec->writer, rec->facts_stream, &record, 1, NULL);
}

/*
 * Stop what runs, in the order that keeps everything already recorded; a recording that never began leaves nothing
 * behind. Returns the first error.
 */
static int finish(struct recording *rec, int ret, struct rf_error *err)
{
	struct rf_recording_result *result = rec->result;
	struct rf_rings_totals rings = { 0 };
	struct rf_perf_losses side = { 0 };
	struct rf_error later = { 0 };
	int left;

	if (rec->session)
		rf_session_stop(rec->session);
	if (rec->rings)
		ret = keep_error(ret, rf_rings_stop(rec->rings, &rings, &later), &later, err);
	if (rec->perf)
		ret = keep_error(ret, rf_perf_stop(rec->perf, &side, &later), &later, err);
	if (side.without_stack)
		rf_recording_warn(rec, "%llu calls have no stack: \"refold info\" says why",
				  (unsigned long long)side.without_stack);
	/* As perf record does: who ends the recording ends what it started. But a full disk shall not end a service. */
	if (rec->options.command && rec->follow && !ret && result->command_status == -1 && !rec->options.begins_again)
		kill(rf_follow_pid(rec->follow), SIGTERM);
	if (rec->options.command && rec->follow)
		result->command = rf_follow_pid(rec->follow);
	result->records = rings.records;
	if (rec->began)
		tell_cost(rec, &rings, &side);
	if (rec->snapshotter)
		rf_snapshotter_destroy(rec->snapshotter);
	if (rec->follow)
		rf_follow_destroy(rec->follow);
	if (rec->writer && rec->began)
		ret = keep_error(ret, rf_writer_close(rec->writer, ret ? RF_END_ERROR : rec->end, &later), &later,
				 err);
	else if (rec->writer)
		rf_writer_abandon(rec->writer);
	if (rf_rights_trouble())
		rf_recording_warn(rec, "%s", rf_rights_trouble());
	result->lost = rings.lost + side.records + rec->dropped;
	rf_output_abandon(&rec->output);
	left = rf_session_destroy(rec->session);
	if (left)
		rf_recording_warn(rec, "a tracing instance could not be removed: %s: \"refold-capture cleanup\" will",
				  strerror(-left));
	/* The next one uses them, too. */
	if (!rec->options.begins_again)
		rf_probes_remove();
	return ret;
}

/* Errors of the writer do not know the file's name. */
static void name_output(const char *output, struct rf_error *err)
{
	struct rf_error why = *err;

	if (!strstr(why.message, output))
		rf_error_set(err, why.code, why.offset, "%.100s: %.130s", output, why.message);
}

static void free_recording(struct recording *rec)
{
	rf_ending_close(&rec->ending);
	rf_call_events_close(rec->calls);
	if (rec->cache)
		rf_page_cache_destroy(rec->cache);
	rf_decoder_destroy(rec->decoder);
	rf_privacy_destroy(rec->privacy);
	rf_pid_list_free(&rec->pids);
	rf_user_free(&rec->user);
	free(rec->status);
	free(rec);
}

/* Of these it ends with the last process that somebody of them started; of a list of processes, with these. */
static bool has_tree(const struct rf_recording_options *options)
{
	return options->command || options->child || options->targets.cgroup || options->targets.container;
}

/*
 * Whether something that COMMAND has started lives on, as daemons do; that is waited for now. The kernel's own list of
 * who is followed tells.
 */
static bool goes_on(struct recording *rec)
{
	struct rf_pid_list pids = { 0 };
	size_t living;

	rf_recording_living(rec, &pids);
	living = pids.nr ? rf_ending_watch_others(&rec->ending, &pids) : 0;
	if (living && rec->options.left_behind && rec->end == RF_END_COMMAND)
		rec->options.left_behind(rec->options.context, living);
	rf_pid_list_free(&pids);
	return living > 0;
}

static void tell_left_out(struct recording *rec)
{
	const struct rf_kind_info *table = rf_kind_table();

	for (size_t i = 0; i < RF_NR_OPTIONAL; i++)
		if (rec->budget.left_out & BIT(i))
			rf_recording_warn(rec, "events like %s were left out after %.1f s, by --max-cpu: a replay is marked "
					  "from there on", table[rf_optional[i].kinds[0]].name,
					  (double)rec->budget.left_out_at[i] / 1e9);
}

pid_t rf_recording_command(const struct recording *rec)
{
	return rec->options.command ? rf_follow_pid(rec->follow) : 0;
}

int rf_recording_living(struct recording *rec, struct rf_pid_list *pids)
{
	struct rf_pid_list tids = { 0 }, living = { 0 };
	int ret = rec->options.whole_system ? 0 : rf_session_followed(rec->session, &tids);

	for (size_t i = 0; i < tids.nr && !ret; i++) {
		pid_t pid = rf_process_of(tids.pids[i]);

		if (pid > 0 && rf_has_memory(pid) && !rf_pid_list_has(&living, pid) && !rf_pid_list_add(&living, pid))
			ret = -ENOMEM;
	}
	for (size_t i = 0; i < living.nr && !ret; i++)
		if (!rf_pid_list_has(pids, living.pids[i]) && !rf_pid_list_add(pids, living.pids[i]))
			ret = -ENOMEM;
	rf_pid_list_free(&tids);
	rf_pid_list_free(&living);
	return ret;
}

struct recording *rf_recording_begin(const struct rf_recording_options *options, struct rf_recording_result *result,
				     struct rf_error *err)
{
	struct recording *rec = calloc(1, sizeof(*rec));
	u64 begin = rf_monotonic();
	int ret;

	memset(result, 0, sizeof(*result));
	memset(err, 0, sizeof(*err));
	result->command_status = -1;
	if (!rec) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	rec->options = *options;
	rec->result = result;
	rec->end = RF_END_NONE;
	rec->ending = RF_ENDING_NONE;
	ret = rf_recording_prepare(rec, err);
	if (!ret)
		ret = begin_tracing(rec, err);
	if (!ret && !options->previous)
		ret = begin_following(rec, err);
	rec->began = !ret && !options->previous;
	rec->setting_up_ns = rf_monotonic() - begin;
	rec->usual_rate = options->previous ? rf_watch_rate(&options->previous->watch) : 0;
	if (!ret)
		return rec;
	err->code = finish(rec, ret, err);
	result->wrote = false;
	free_recording(rec);
	return NULL;
}

void rf_recording_wait(struct recording *rec)
{
	const struct rf_recording_options *options = &rec->options;

	rec->budget = (struct rf_budget){ .cpu = options->cpu, .session = rec->session, .status = rec->status,
					  .rings = rec->rings, .writer = rec->writer, .stream = rec->facts_stream };
	rec->watch = (struct rf_watch){ .bounds = &options->bounds, .disk = rec->on_disk ? options->output : NULL,
					.writer = rec->writer, .rings = rec->rings, .perf = rec->perf,
					.budget = &rec->budget,
					.follow = options->resnapshot ? rec->follow : NULL,
					.buffer_bytes = rf_buffers_total(&rec->buffers),
					.asked_ends = options->asked_ends, .trigger_fd = options->trigger_fd,
					.lead_ns = options->begins_again ? rec->setting_up_ns : 0,
					.usual_rate = rec->usual_rate,
					.told = options->progress, .context = options->context };
	rf_watch_begin(&rec->watch, &rec->ending);
	rec->end = rf_ending_wait(&rec->ending, options->command ? rf_follow_fd(rec->follow) : -1);
	while (has_tree(options) && (rec->end == RF_END_COMMAND || rec->end == RF_END_PROCESSES) && goes_on(rec))
		rec->end = rf_ending_wait(&rec->ending, -1);
	tell_left_out(rec);
	rec->result->end = rec->end;
	rec->result->asked = rec->watch.asked;
	/* A thread has failed: the why comes from stopping it. */
	if (rec->end == RF_END_ERROR)
		rec->ret = -ECANCELED;
}

int rf_recording_end(struct recording *rec, struct recording *next, struct rf_error *err)
{
	struct rf_recording_result *result = rec->result;
	u64 begin = rf_monotonic();
	struct stat output;
	int ret = rec->ret;

	*err = rec->error;
	if (rec->end == RF_END_NONE)
		rec->end = RF_END_ERROR;	/* it was not waited for */
	if (!ret)
		ret = last_facts(rec, err);
	if (next) {
		next->ret = begin_following(next, &next->error);
		next->began = !next->ret;
	}
	if (!ret)
		ret = stop_facts(rec, err);
	if (next)
		next->setting_up_ns += rf_monotonic() - begin;
	ret = finish(rec, ret, err);
	if (ret && rec->began)
		name_output(rec->options.output, err);
	result->wrote &= rec->began;
	if (result->wrote && rec->on_disk && !stat(rec->options.output, &output))
		result->bytes = (u64)output.st_size;
	free_recording(rec);
	return ret;
}

int rf_record(const struct rf_recording_options *options, struct rf_recording_result *result, struct rf_error *err)
{
	struct recording *rec = rf_recording_begin(options, result, err);

	if (!rec)
		return err->code;
	rf_recording_wait(rec);
	return rf_recording_end(rec, NULL, err);
}
