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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/follow/ending.h"
#include "capture/follow/follow.h"
#include "capture/header.h"
#include "capture/kernel.h"
#include "capture/perf/perf.h"
#include "capture/processes.h"
#include "capture/rights/rights.h"
#include "capture/snapshot/compat.h"
#include "capture/tracefs/probes.h"
#include "capture/tracefs/ring.h"

/* The layout of the page cache is bounded: a recording of a whole system may have seen every file there is. */
#define CACHE_PAGES (16ull << 20)
#define CACHE_NS (20 * 1000000000ull)

struct recording {
	const struct rf_recording_options *options;
	struct rf_recording_result *result;
	struct rf_kernel kernel;
	struct rf_compat compat;
	struct rf_decoder *decoder;
	struct rf_event_status *status;
	enum rf_fault_source faults;
	struct rf_session *session;
	struct rf_writer *writer;
	struct rf_privacy *privacy;	/* NULL: nothing is hidden */
	struct rf_page_cache *cache;
	struct rf_user user;
	struct rf_follow *follow;
	struct rf_rings *rings;
	struct rf_perf *perf;
	struct rf_snapshotter *snapshotter;
	struct rf_pid_list pids;	/* the roots: given, or the command's */
	int facts_stream;		/* of this thread: PROCESS, kernel pages, page cache */
	struct rf_ending ending;
	struct rf_output output;	/* until the writer has it */
	bool on_disk;
	struct rf_buffers buffers;	/* of a CPU */
	struct rf_watch watch;
	u64 dropped;			/* records that had no room in the file */
	enum rf_end end;
};

__attribute__((format(printf, 2, 3))) static void warn(struct recording *rec, const char *format, ...)
{
	struct rf_recording_result *result = rec->result;
	va_list args;

	if (result->nr_warnings == ARRAY_SIZE(result->warnings))
		return;
	va_start(args, format);
	vsnprintf(result->warnings[result->nr_warnings++], sizeof(result->warnings[0]), format, args);
	va_end(args);
}

/* Make sure early that the output can be written, and learn its inode. */
static int begin_output(struct recording *rec, struct stat *output, struct rf_error *err)
{
	struct rf_error why;
	int ret = rf_output_begin(&rec->output, rec->options->output, RF_OUTPUT_GROWING, &why);

	if (!ret && fstat(rec->output.fd, output))
		ret = rf_error_set(&why, -errno, RF_NO_OFFSET, "cannot look at it: %s", strerror(errno));
	rec->on_disk = !ret && S_ISREG(output->st_mode);
	if (rec->on_disk && rf_disk_free(rec->options->output) < rec->options->bounds.free_bytes)
		ret = rf_error_set(&why, -ENOSPC, RF_NO_OFFSET, "the disk has less than --min-free left already");
	return ret ? rf_error_set(err, ret, RF_NO_OFFSET, "%s: %.180s", rec->options->output, why.message) : 0;
}

/* All threads of the roots; new ones made meanwhile follow by event-fork or turn up in the next listing. */
static int follow_threads(struct recording *rec, struct rf_error *err)
{
	struct rf_pid_list tids = { 0 };
	int ret = 0, found = 1;

	for (int round = 0; found > 0 && round < 16 && !ret; round++) {
		struct rf_pid_list fresh = { 0 };

		found = 0;
		for (size_t i = 0; i < rec->pids.nr; i++) {
			size_t before = tids.nr;
			int added = rf_threads_of(rec->pids.pids[i], &tids);

			if (added == -ESRCH && !round)
				ret = rf_error_set(err, added, RF_NO_OFFSET, "process %d: no such process",
						   (int)rec->pids.pids[i]);
			for (size_t t = before; t < tids.nr; t++)
				if (!rf_pid_list_add(&fresh, tids.pids[t]))
					ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
			found += added > 0 ? added : 0;
		}
		if (!ret)
			ret = rf_session_follow(rec->session, &fresh, err);
		rf_pid_list_free(&fresh);
	}
	rf_pid_list_free(&tids);
	return ret;
}

static int start_session(struct recording *rec, struct rf_error *err)
{
	struct rf_session_options session_options = { .whole_system = rec->options->whole_system,
						      .buffer_bytes = { rec->buffers.task,
									rec->buffers.system } };
	struct stat output;
	int ret;

	ret = begin_output(rec, &output, err);
	if (ret)
		return ret;
	session_options.output = &output;
	rec->session = rf_session_create(rec->decoder, &session_options, err);
	if (!rec->session)
		return err->code;
	if (!rec->options->whole_system) {
		ret = follow_threads(rec, err);
		if (ret)
			return ret;
	}
	ret = rf_session_enable(rec->session, rec->status, err);
	for (size_t i = 0; i < rf_nr_events && !ret; i++)
		if (rec->status[i].reason[0] && !rec->status[i].replaced && rf_events[i].need == RF_NEED_WANTED)
			warn(rec, "%s: %s", rec->status[i].reason, rf_events[i].without);
	return ret;
}

static int create_writer(struct recording *rec, struct rf_error *err)
{
	const struct rf_recording_options *options = rec->options;
	struct rf_stream_info facts_info = { .source = RF_SOURCE_SNAPSHOT };
	struct rf_header_facts facts = {
		.kernel = &rec->kernel,
		.decoder = rec->decoder,
		.session = rec->session,
		.status = rec->status,
		.faults = rec->faults,
		.mode = options->command ? "command" : options->whole_system ? "system" : "pid",
		.pid = rec->pids.nr ? rec->pids.pids[0] : 0,
		.pids = &rec->pids,
		.buffer_bytes = rec->buffers.task,
		.snapshots = options->exit_snapshots || !options->command,
		.side_band = !rf_perf_check(NULL),
		.privacy = rec->privacy,
	};
	char *json;

	if (options->command) {
		const char *slash = strrchr(options->command[0], '/');

		facts.command = slash ? slash + 1 : options->command[0];
	}
	json = rf_header_json(&facts);
	if (!json)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	rec->writer = rf_writer_begin(&rec->output, json, (int)options->level, err);
	rec->output = (struct rf_output){ .fd = -1 };
	free(json);
	if (!rec->writer) {
		struct rf_error why = *err;

		return rf_error_set(err, why.code ? why.code : -EIO, RF_NO_OFFSET, "%s: %.180s", options->output,
				    why.message);
	}
	rec->result->wrote = true;
	rf_writer_hide(rec->writer, rec->privacy);
	if (options->bounds.file_bytes)
		rf_writer_limit(rec->writer, options->bounds.file_bytes, &rec->dropped);
	rec->facts_stream = rf_writer_add_stream(rec->writer, &facts_info);
	if (rec->facts_stream < 0)
		return rf_error_set(err, rec->facts_stream, RF_NO_OFFSET, "cannot add a stream: %s",
				    strerror(-rec->facts_stream));
	return 0;
}

static int followed_threads(const void *session, struct rf_pid_list *tids)
{
	return rf_session_followed(session, tids);
}

static int start_threads(struct recording *rec, struct rf_error *err)
{
	struct rf_perf_options perf_options = { .whole_system = rec->options->whole_system,
						.pids = &rec->pids,
						.learn = followed_threads,
						.context = rec->session,
						.cache = rec->cache,
						.faults = rec->faults == RF_FAULTS_PERF,
						.ring_bytes = rec->buffers.side,
						.failed_fd = rec->ending.failed_fd };
	struct rf_error why = { 0 };
	int ret = 0;

	rec->rings = rf_rings_start(rec->session, rec->decoder, rec->writer, rec->ending.failed_fd, err);
	if (!rec->rings)
		return err->code;
	rec->perf = rf_perf_start(rec->writer, &perf_options, &why);
	if (!rec->perf && perf_options.faults)
		return rf_error_set(err, why.code, RF_NO_OFFSET, "no page faults: %.200s", why.message);
	if (!rec->perf)
		warn(rec, "no perf side-band (%.100s): the files and mappings of new programs are inferred",
		     why.message);
	if (!rec->options->command) {
		rec->snapshotter = rf_snapshotter_create(rec->writer, rec->cache, &why);
		if (!rec->snapshotter)
			warn(rec, "no snapshots: %.150s", why.message);
	}
	if (rec->options->whole_system) {
		struct rf_pid_list ours = { 0 };

		rf_threads_of(getpid(), &ours);
		ret = rf_session_hide(rec->session, &ours, err);
		rf_pid_list_free(&ours);
	}
	return ret;
}

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

	if (rec->options->whole_system)
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

static int begin(struct recording *rec, struct rf_error *err)
{
	const struct rf_follow_options follow_options = { rec->writer, rec->cache, rec->options->exit_snapshots };
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
	if (!ret && !rec->options->command)
		ret = attach(rec, &follow_options, err);
	if (!ret)
		ret = rf_writer_flush(rec->writer, rec->facts_stream, err);
	if (!ret && rec->options->command)
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
	if (rec->options->command && rec->options->exit_snapshots && !totals.exit_snapshots)
		warn(rec, "no snapshots: %.200s", totals.why);
	if (totals.nested && !rec->options->iovecs)
		warn(rec, "%llu programs that trace others (debuggers, leak checkers) were let go, with what they start: no "
		     "exit snapshots of these%s", (unsigned long long)totals.nested,
		     rec->options->command ? " without --iovecs" : "");
	if (totals.lost)
		warn(rec, "%llu processes vanished before their snapshot", (unsigned long long)totals.lost);
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
		if (rec->options->living)
			*rec->options->living = pids;
		else
			rf_pid_list_free(&pids);
	}
	if (ret || !rec->cache)
		return ret;
	if (rf_page_cache_record(rec->cache, rec->writer, rec->facts_stream, &limits, &totals, &why))
		warn(rec, "no page-cache layout: %.150s", why.message);
	if (totals.skipped)
		warn(rec, "the page cache of %llu files was left out: too much of it",
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
static int finish(struct recording *rec, bool began, int ret, struct rf_error *err)
{
	struct rf_recording_result *result = rec->result;
	struct rf_rings_totals rings = { 0 };
	struct rf_perf_losses side = { 0 };
	struct rf_error later = { 0 };

	if (rec->session)
		rf_session_stop(rec->session);
	if (rec->rings)
		ret = keep_error(ret, rf_rings_stop(rec->rings, &rings, &later), &later, err);
	if (rec->perf)
		ret = keep_error(ret, rf_perf_stop(rec->perf, &side, &later), &later, err);
	/* As perf record does: who ends the recording ends what it started. But a full disk shall not end a service. */
	if (rec->options->command && rec->follow && !ret && result->command_status == -1)
		kill(rf_follow_pid(rec->follow), SIGTERM);
	result->records = rings.records;
	if (began)
		tell_cost(rec, &rings, &side);
	if (rec->snapshotter)
		rf_snapshotter_destroy(rec->snapshotter);
	if (rec->follow)
		rf_follow_destroy(rec->follow);
	if (rec->writer && began)
		ret = keep_error(ret, rf_writer_close(rec->writer, ret ? RF_END_ERROR : rec->end, &later), &later,
				 err);
	else if (rec->writer)
		rf_writer_abandon(rec->writer);
	if (rf_rights_trouble())
		warn(rec, "%s", rf_rights_trouble());
	result->lost = rings.lost + side.records + rec->dropped;
	rf_output_abandon(&rec->output);
	rf_session_destroy(rec->session);
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
	if (rec->cache)
		rf_page_cache_destroy(rec->cache);
	rf_decoder_destroy(rec->decoder);
	rf_privacy_destroy(rec->privacy);
	rf_pid_list_free(&rec->pids);
	rf_user_free(&rec->user);
	free(rec->status);
}

/* The rights that it takes, and, from here on, who may do what: see capture/rights. */
static int look_at_rights(struct recording *rec, struct rf_error *err)
{
	const struct rf_recording_options *options = rec->options;
	struct rf_rights_use use = { .others = !options->command, .user = options->user, .command = options->command,
				     .begins_again = options->begins_again };
	char tracing[256], text[200];
	int ret = 0;

	if (rf_tracefs_instances(tracing, sizeof(tracing)))
		use.tracing = tracing;
	ret = rf_rights_check(&use, err);
	if (!ret)
		ret = rf_tracefs_check(err);
	if (!ret && options->user)
		ret = rf_user_find(&rec->user, options->user, err);
	for (size_t next = 0; !ret && rf_rights_missed(&use, &next, text, sizeof(text));)
		warn(rec, "%s", text);
	if (!ret)
		rf_rights_choose(&use);
	return ret;
}

/* Everything up to the first event. */
static int prepare(struct recording *rec, struct rf_error *err)
{
	const struct rf_recording_options *options = rec->options;
	int ret;

	ret = look_at_rights(rec, err);
	if (!ret && options->command)
		ret = rf_find_command(options->command[0], err);
	if (ret)
		return ret;
	rf_kernel_read(&rec->kernel);
	rf_compat_find(&rec->compat);
	rec->kernel.compat &= rec->compat.runs;
	rec->decoder = rf_decoder_create(&rec->kernel, err);
	rec->status = calloc(rf_nr_events, sizeof(*rec->status));
	rec->cache = rf_page_cache_create();
	if (!rec->decoder || !rec->status || !rec->cache)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (options->hidden)
		rec->privacy = rf_privacy_create(options->hidden, options->no_marks, err);
	if (options->hidden && !rec->privacy)
		return err->code;
	rf_remove_stale_instances();
	rec->faults = options->faults;
	ret = rf_events_learn(rec->decoder, &rec->kernel, &rec->faults, rec->status, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < options->pids.nr; i++)
		if (!rf_pid_list_add(&rec->pids, options->pids.pids[i]))
			return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	ret = rf_ending_watch(&rec->ending, &rec->pids, err);
	if (ret)
		return ret;
	if (options->command) {
		/* Before any thread and any change of the signal mask: the command inherits both. */
		rec->follow = rf_follow_create((char *const *)options->command, &rec->user, options->iovecs, err);
		if (!rec->follow || !rf_pid_list_add(&rec->pids, rf_follow_pid(rec->follow)))
			return err->code ? err->code : -ENOMEM;
	} else {
		rec->follow = rf_follow_create_attached(err);
		if (!rec->follow)
			return err->code;
	}
	ret = rf_buffers_choose(&rec->buffers, options->buffer_bytes,
				rec->faults == RF_FAULTS_PERF ? RF_PERF_FAULTS_RING : 0, &options->bounds, err);
	if (!ret)
		ret = rf_ending_arm(&rec->ending, options->seconds, err);
	if (!ret)
		ret = start_session(rec, err);
	if (!ret)
		ret = create_writer(rec, err);
	if (!ret)
		ret = start_threads(rec, err);
	rf_rights_limit();
	return ret;
}

int rf_record(const struct rf_recording_options *options, struct rf_recording_result *result, struct rf_error *err)
{
	struct recording rec = { .options = options, .result = result, .end = RF_END_NONE,
				 .ending = RF_ENDING_NONE };
	struct stat output;
	bool began = false;
	int ret;

	memset(result, 0, sizeof(*result));
	memset(err, 0, sizeof(*err));
	result->command_status = -1;
	ret = prepare(&rec, err);
	if (!ret) {
		ret = begin(&rec, err);
		began = !ret;
	}
	if (began) {
		rec.watch = (struct rf_watch){ .bounds = &options->bounds,
					       .disk = rec.on_disk ? options->output : NULL,
					       .writer = rec.writer, .rings = rec.rings, .perf = rec.perf,
					       .buffer_bytes = rf_buffers_total(&rec.buffers),
					       .told = options->progress, .context = options->context };
		rf_watch_begin(&rec.watch, &rec.ending);
		rec.end = rf_ending_wait(&rec.ending, options->command ? rf_follow_fd(rec.follow) : -1);
		result->end = rec.end;
		/* A thread has failed: the why comes from stopping it. */
		ret = rec.end == RF_END_ERROR ? -ECANCELED : 0;
		if (!ret)
			ret = last_facts(&rec, err);
		if (!ret)
			ret = stop_facts(&rec, err);
	}
	ret = finish(&rec, began, ret, err);
	if (ret && began)
		name_output(options->output, err);
	result->wrote &= began;
	if (result->wrote && !stat(options->output, &output))
		result->bytes = (u64)output.st_size;
	free_recording(&rec);
	return ret;
}
