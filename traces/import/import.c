// SPDX-License-Identifier: MIT
/*
 * The import itself: passes over the events, the last of which writes; those before
 * see which events there are, and which processes.
 */
#include "traces/import/import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "traces/header.h"
#include "traces/import/importing.h"

void import_warn(struct importing *importing, const char *format, ...)
{
	struct rf_import_result *result = importing->result;
	va_list args;

	if (result->nr_warnings == RF_IMPORT_WARNINGS)
		return;
	va_start(args, format);
	vsnprintf(result->warnings[result->nr_warnings++], sizeof(result->warnings[0]), format, args);
	va_end(args);
}

/* ---- passes ------------------------------------------------------------------------ */

struct pass {
	struct importing *importing;
	struct rf_error *err;
	int (*event)(struct pass *pass, const struct rf_dat_event *event);
	bool in_order;
	u64 events;
	int ret;		/* what event() ended the pass with */
};

/* Every buffer's events. */
static int run_pass(struct pass *pass)
{
	struct rf_dat_events *events = pass->importing->events;
	const struct rf_dat_event *event;
	struct rf_error why = { 0 };

	rf_dat_events_begin(events, pass->in_order);
	while (!pass->ret && (event = rf_dat_events_next(events, &why))) {
		pass->events++;
		pass->ret = pass->event(pass, event);
	}
	if (pass->importing->out_of_memory)
		rf_error_set(&why, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (why.code)
		*pass->err = why;
	return pass->ret ? pass->ret : why.code;
}

static int count_event(struct pass *pass, const struct rf_dat_event *event)
{
	struct importing *importing = pass->importing;

	importing->counts[load_u16(event->data)]++;
	importing->result->events++;
	importing->nr_cpus = (u32)max_u64(importing->nr_cpus, (u64)event->cpu + 1);
	return import_look(importing, event, pass->err);
}

/* Records that tell of who was there before, or of programs, by more than that they are there. */
static bool tells_more(u8 kind)
{
	return kind == RF_FAULT || kind == RF_PAGE_ALLOC || kind == RF_RSS_STAT || kind == RF_NEWTASK ||
	       kind == RF_BY_NUMBER;
}

static int meet_event(struct pass *pass, const struct rf_dat_event *event)
{
	struct importing *importing = pass->importing;
	struct rf_record records[RF_DECODE_MAX];
	size_t nr = rf_decode_head(importing->decoder, event->data, event->size, event->time, records);

	if (pass->events == 1)
		importing->first_time = event->time;
	if (nr && tells_more(records[0].kind))
		nr = rf_decode(importing->decoder, event->data, event->size, event->time, records, RF_DECODE_MAX);
	if (nr) {
		import_learn_program(importing, &records[0], importing->by_number[load_u16(event->data)]);
		import_meet(importing, &records[0]);
	}
	return 0;
}

static int convert_event(struct pass *pass, const struct rf_dat_event *event)
{
	int ret = 0;

	if (event->lost)
		ret = import_lost(pass->importing, event->cpu, event->time, event->lost, pass->err);
	if (!ret)
		ret = import_event(pass->importing, event->cpu, event->time, event->data, event->size, pass->err);
	return ret;
}

/* ---- the steps ----------------------------------------------------------------------- */

static int describe_machine(struct importing *importing, struct rf_error *err)
{
	const char *machine = importing->dat.machine;

	if (!*machine)
		machine = importing->options->machine ? rf_import_machine(importing->options->machine) : NULL;
	else if (importing->options->machine && strcmp(machine, rf_import_machine(importing->options->machine)))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "it says that it is from %s: leave out --arch %s",
				    machine, importing->options->machine);
	if (!machine)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET,
				    "it does not tell what machine it is from: name that with --arch");
	rf_kernel_describe(&importing->kernel, importing->dat.release, machine, importing->dat.page_size);
	importing->decoder = rf_decoder_create(&importing->kernel, err);
	return importing->decoder ? 0 : -ENOMEM;
}

/* The order of what happens within microseconds tells things apart: times must be times. */
static int check_clock(const struct rf_dat *dat, struct rf_error *err)
{
	if (rf_clock_is_nanoseconds(dat->clock) || dat->converts_clock)
		return 0;
	return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "its times are of clock %s, which does not count nanoseconds: "
			    "record again with trace-cmd record -C mono%s", dat->clock,
			    strcmp(dat->clock, "x86-tsc") ? "" : ", or with -C tsc2nsec");
}

/* What is wrong is the file we write. */
static int output_error(struct importing *importing, const struct rf_error *err)
{
	importing->result->output_failed = true;
	return err->code ? err->code : -EIO;
}

static int create_output(struct importing *importing, struct rf_error *err)
{
	int ret = import_streams(importing, err);
	char *header;

	if (ret)
		return ret;
	header = import_header(importing);
	if (!header)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	importing->writer = rf_writer_begin(importing->output, header, RF_WRITER_LEVEL, err);
	free(header);
	*importing->output = (struct rf_output){ .fd = -1 };	/* the writer has it, or it is gone */
	if (!importing->writer)
		return output_error(importing, err);
	importing->result->wrote = true;
	return 0;
}

/* First pass: which events there are. What can be read of a damaged file is worth having. */
static int count_events(struct importing *importing, struct rf_error *err)
{
	struct pass pass = { .importing = importing, .err = err, .event = count_event };
	int ret;

	importing->rows = calloc(rf_nr_events, sizeof(*importing->rows));
	importing->counts = calloc(EVENT_IDS, sizeof(*importing->counts));
	importing->events = rf_dat_events_open(&importing->dat, err);
	if (!importing->rows || !importing->counts || !importing->events)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	import_find_exec(importing);
	ret = run_pass(&pass);
	if (ret && (ret != -EBADMSG || !importing->result->events))
		return ret;
	import_note_leaders(importing);
	if (!importing->result->events)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "it holds no events");
	if (importing->dat.mixed_clocks)
		import_warn(importing, "its buffers have different clocks: their events cannot be put in order");
	return 0;
}

/* What was learnt of other events than these is of no use. */
static int count_again(struct pass *pass, int code)
{
	u64 before = pass->importing->result->events;

	if (pass->events == before)
		return 0;
	return rf_error_set(pass->err, code, RF_NO_OFFSET, "%" PRIu64 " events were read of it at first, and %" PRIu64
			    " now: it changes, or its disk fails", before, pass->events);
}

/* Second pass: who was there before. */
static int meet_events(struct importing *importing, struct rf_error *err)
{
	struct pass pass = { .importing = importing, .err = err, .event = meet_event, .in_order = true };
	int ret = run_pass(&pass);

	return ret && ret != -EBADMSG ? ret : count_again(&pass, -EIO);
}

static int convert_events(struct importing *importing, struct rf_error *err)
{
	struct pass pass = { .importing = importing, .err = err, .event = convert_event, .in_order = true };
	struct rf_error why = { 0 };
	int ret, closed;

	import_programs_again(importing);
	pass.ret = import_running(importing, err);
	ret = pass.ret ? pass.ret : run_pass(&pass);
	if (!pass.ret)
		pass.ret = import_flush(importing, &why);
	if (pass.ret && why.code) {
		*err = why;
		ret = pass.ret;
	}
	if (!ret)
		ret = count_again(&pass, -EBADMSG);
	if (ret && ret != -EBADMSG) {
		rf_writer_abandon(importing->writer);
		importing->result->wrote = false;
		return pass.ret ? output_error(importing, err) : ret;
	}
	/* Without a reason to have ended, a trace is incomplete. */
	closed = rf_writer_close(importing->writer, ret ? RF_END_NONE : RF_END_IMPORTED, ret ? NULL : err);
	return !ret && closed ? output_error(importing, err) : ret;
}

static int convert(struct importing *importing, struct rf_error *err)
{
	int ret = rf_dat_read(importing->options->input, &importing->dat, err);

	if (!ret)
		ret = check_clock(&importing->dat, err);
	if (!ret)
		ret = describe_machine(importing, err);
	if (!ret)
		ret = count_events(importing, err);
	if (!ret)
		ret = import_choose(importing, err);
	if (!ret)
		ret = meet_events(importing, err);
	if (!ret)
		ret = create_output(importing, err);
	return ret ? ret : convert_events(importing, err);
}

static void free_importing(struct importing *importing)
{
	rf_decoder_destroy(importing->decoder);
	rf_dat_events_close(importing->events);
	rf_dat_free(&importing->dat);
	import_streams_free(importing);
	import_family_free(importing);
	free(importing->processes);
	free(importing->rows);
	free(importing->counts);
}

/* ---- all of it ---------------------------------------------------------------------------- */

int rf_import(const struct rf_import_options *options, struct rf_import_result *result, struct rf_error *err)
{
	struct rf_output output;
	struct importing importing = { .options = options, .result = result, .output = &output };
	struct stat written;
	int ret;

	memset(result, 0, sizeof(*result));
	ret = rf_output_begin(&output, options->output, RF_OUTPUT_WHOLE, err);
	if (ret) {
		result->output_failed = true;
		return ret;
	}
	ret = convert(&importing, err);
	free_importing(&importing);
	rf_output_abandon(&output);
	if (result->wrote && !stat(options->output, &written) && S_ISREG(written.st_mode))
		result->bytes = (u64)written.st_size;
	return ret;
}
