// SPDX-License-Identifier: MIT
/* Everything of a recording up to the first event: who is recorded, where to, by what. */
#include "capture/prepare.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/header.h"
#include "capture/kernel.h"
#include "capture/perf/calls.h"
#include "capture/processes.h"
#include "capture/tracefs/probes.h"

void rf_recording_warn(struct recording *rec, const char *format, ...)
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
	int ret = rec->options.to_standard_output ? 0 :
		  rf_output_begin(&rec->output, rec->options.output, RF_OUTPUT_GROWING, &why);

	if (!ret && fstat(rec->output.fd, output))
		ret = rf_error_set(&why, -errno, RF_NO_OFFSET, "cannot look at it: %s", strerror(errno));
	rec->on_disk = !ret && S_ISREG(output->st_mode);
	if (rec->on_disk && rf_disk_free(rec->options.output) < rec->options.bounds.free_bytes)
		ret = rf_error_set(&why, -ENOSPC, RF_NO_OFFSET, "the disk has less than --min-free left already");
	return ret ? rf_error_set(err, ret, RF_NO_OFFSET, "%s: %.180s", rec->options.output, why.message) : 0;
}

/*
 * All threads of the roots; new ones made meanwhile follow by event-fork or turn up in the next listing, as do
 * processes that came to a group before their parent was followed. A root that ends meanwhile has no threads any more.
 */
static int follow_threads(struct recording *rec, struct rf_error *err)
{
	struct rf_pid_list tids = { 0 };
	int ret = 0, found = 1;

	for (int round = 0; found > 0 && round < 16 && !ret; round++) {
		struct rf_pid_list fresh = { 0 };

		found = 0;
		if (rf_targets_find_more(&rec->options.targets, &rec->pids) ||
		    (rec->options.previous && rf_recording_living(rec->options.previous, &rec->pids)))
			ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		for (size_t i = 0; i < rec->pids.nr && !ret; i++) {
			size_t before = tids.nr;
			int added = rf_threads_of(rec->pids.pids[i], &tids);

			if (added < 0 && added != -ESRCH)
				ret = rf_error_set(err, added, RF_NO_OFFSET, "cannot list the threads of process %d: %s",
						   (int)rec->pids.pids[i], strerror(-added));
			for (size_t t = before; t < tids.nr; t++)
				if (!rf_pid_list_add(&fresh, tids.pids[t]))
					ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
			found += added > 0 ? added : 0;
		}
		if (!ret)
			ret = rf_session_follow(rec->session, &fresh, err);
		rf_pid_list_free(&fresh);
	}
	/* set_event_pid without a task is of everybody's. Where all have ended meanwhile it has ours. */
	if (!ret && !tids.nr)
		ret = rf_pid_list_add(&tids, getpid()) ? rf_session_follow(rec->session, &tids, err)
						       : rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	rf_pid_list_free(&tids);
	return ret;
}

static int start_session(struct recording *rec, struct rf_error *err)
{
	struct rf_session_options session_options = { .whole_system = rec->options.whole_system,
						      .generation = rec->generation,
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
	if (!rec->options.whole_system) {
		ret = follow_threads(rec, err);
		if (ret)
			return ret;
	}
	ret = rf_session_enable(rec->session, rec->status, err);
	for (size_t i = 0; i < rf_nr_events && !ret; i++)
		if (rec->status[i].reason[0] && !rec->status[i].replaced && rf_events[i].need == RF_NEED_WANTED)
			rf_recording_warn(rec, "%s: %s", rec->status[i].reason, rf_events[i].without);
	return ret;
}

static int open_calls(struct recording *rec, struct rf_error *err)
{
	u64 event = rf_kernel_call_event();
	struct rf_error why = { 0 };

	if (!event)
		return rf_error_set(err, -ENOENT, RF_NO_OFFSET, "no stacks: this kernel has no event "
				    "raw_syscalls:sys_enter");
	rec->calls = rf_call_events_open(rec->kernel.isa, event, rec->buffers.calls, &why);
	return rec->calls ? 0 : rf_error_set(err, why.code, RF_NO_OFFSET, "no stacks: %.200s", why.message);
}

static int create_writer(struct recording *rec, struct rf_error *err)
{
	const struct rf_recording_options *options = &rec->options;
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
		.labels = &rec->options.labels,
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
	struct rf_perf_options perf_options = { .whole_system = rec->options.whole_system,
						.pids = &rec->pids,
						.learn = followed_threads,
						.context = rec->session,
						.cache = rec->cache,
						.calls = rec->calls,
						.command = rec->options.command ? rf_follow_pid(rec->follow) : 0,
						.faults = rec->faults == RF_FAULTS_PERF,
						.ring_bytes = rec->buffers.side,
						.failed_fd = rec->ending.failed_fd };
	struct rf_error why = { 0 };
	int ret = 0;

	rec->rings = rf_rings_start(rec->session, rec->decoder, rec->writer, rec->ending.failed_fd, err);
	if (!rec->rings)
		return err->code;
	rec->perf = rf_perf_start(rec->writer, &perf_options, &why);
	if (!rec->perf && rec->calls)
		return rf_error_set(err, why.code, RF_NO_OFFSET, "no stacks: %.200s", why.message);
	if (!rec->perf && perf_options.faults)
		return rf_error_set(err, why.code, RF_NO_OFFSET, "no page faults: %.200s", why.message);
	if (!rec->perf)
		rf_recording_warn(rec, "no perf side-band (%.100s): the files and mappings of new programs are inferred",
		     why.message);
	if (!rec->options.command) {
		rec->snapshotter = rf_snapshotter_create(rec->writer, rec->cache, &why);
		if (!rec->snapshotter)
			rf_recording_warn(rec, "no snapshots: %.150s", why.message);
	}
	if (rec->options.whole_system) {
		struct rf_pid_list ours = { 0 };

		rf_threads_of(getpid(), &ours);
		ret = rf_session_hide(rec->session, &ours, err);
		if (!ret && rec->options.previous)
			ret = rf_session_hide(rec->options.previous->session, &ours, err);
		rf_pid_list_free(&ours);
	}
	return ret;
}

/* The rights that it takes, and, from here on, who may do what: see capture/rights. */
static int look_at_rights(struct recording *rec, struct rf_error *err)
{
	const struct rf_recording_options *options = &rec->options;
	struct rf_rights_use use = { .others = !options->command || options->begins_again,
				     .user = options->user, .command = options->command,
				     .writes_later = options->writes_later, .begins_again = options->begins_again };
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
		rf_recording_warn(rec, "%s", text);
	if (!ret)
		rf_rights_choose(&use);
	return ret;
}

/* Who lived in the part of a recording before this one, nobody has named. */
static void left_out(void *context, const char *why)
{
	struct recording *rec = context;

	if (!rec->options.previous)
		rf_recording_warn(rec, "%s: it is left out", why);
}

int rf_recording_prepare(struct recording *rec, struct rf_error *err)
{
	const struct rf_recording_options *options = &rec->options;
	struct rf_bounds bounds = options->bounds;
	int ret;

	ret = look_at_rights(rec, err);
	if (!ret && options->command)
		ret = rf_find_command(options->command[0], err);
	if (!ret && options->to_standard_output)
		ret = rf_output_take_standard(&rec->output, err);
	if (ret)
		return ret;
	rf_kernel_read(&rec->kernel);
	/* Of a part before this one threads still wait for any child, and would take this one. */
	if (options->previous)
		rec->compat = options->previous->compat;
	else
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
	if (options->previous)
		rec->generation = !options->previous->generation;
	else
		rf_remove_stale_instances(NULL, NULL);
	rec->faults = options->faults;
	ret = rf_events_learn(rec->decoder, &rec->kernel, &rec->faults, rec->status, err);
	if (ret)
		return ret;
	ret = rf_targets_find(&options->targets, &rec->pids, left_out, rec, err);
	if (ret)
		return ret;
	ret = rf_ending_watch(&rec->ending, &rec->pids, err);
	if (ret)
		return ret;
	if (options->command) {
		/* Before any thread and any change of the signal mask: the command inherits both. */
		rec->follow = rf_follow_create((char *const *)options->command, &rec->user, options->iovecs, err);
		if (!rec->follow || !rf_pid_list_add(&rec->pids, rf_follow_pid(rec->follow)))
			return err->code ? err->code : -ENOMEM;
	} else {
		rec->follow = rf_follow_create_attached(options->child, err);
		if (!rec->follow)
			return err->code;
	}
	/* While one part ends and the next begins there are two sets of buffers. */
	if (options->begins_again) {
		bounds.buffer_total /= 2;
		bounds.memory_bytes /= 2;
	}
	rec->buffers.calls = options->stacks;
	ret = rf_buffers_choose(&rec->buffers, options->buffer_bytes,
				rec->faults == RF_FAULTS_PERF ? RF_PERF_FAULTS_RING : 0, &bounds, err);
	if (!ret)
		ret = rf_ending_arm(&rec->ending, options->seconds, err);
	/* Before the events of calls, so that a stack comes before its call. */
	if (!ret && options->stacks)
		ret = open_calls(rec, err);
	if (!ret)
		ret = start_session(rec, err);
	if (!ret)
		ret = create_writer(rec, err);
	if (!ret)
		ret = start_threads(rec, err);
	rf_rights_limit();
	return ret;
}
