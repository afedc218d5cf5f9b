// SPDX-License-Identifier: MIT
/*
 * One event of the file into records, and those into the streams a live recording
 * would have put them in. There the kernel filters and splits; here the file holds
 * what everybody did, and we do it afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "traces/import/importing.h"

#define DROP (-1)
#define COMPAT RF_INSTANCES

/* The table's filters, applied to what they would have let through. */
static int instance_of(const struct importing *importing, const struct rf_record *record)
{
	switch (record->kind) {
	case RF_FAULT:
		return record->f[1] & RF_FAULT_KERNEL && record->f[0] > 0x7fffffffffffffff ? DROP : RF_INSTANCE_TASK;
	case RF_RSS_STAT:
		return record->f[1] ? RF_INSTANCE_TASK : RF_INSTANCE_SYSTEM;
	case RF_PAGE_ALLOC:
		if (rf_decoder_gfp(importing->decoder, RF_GFP_MOVABLE) && !(record->f[2] & RF_GFP_MOVABLE))
			return DROP;
		return RF_INSTANCE_TASK;
	case RF_SYS_PRCTL:
		return record->f[0] == RF_PR_SET_VMA ? RF_INSTANCE_TASK : DROP;
	case RF_SYS_IOCTL:
		return (record->f[1] >> 8 & 0xff) == RF_UFFDIO ? RF_INSTANCE_TASK : DROP;
	case RF_SYS_RET:
		/* Of these two calls only failures are recorded: traces/events/events.c. */
		return (record->f[0] == RF_SYS_PRCTL || record->f[0] == RF_SYS_IOCTL) && (s64)record->f[1] >= 0
			       ? DROP : RF_INSTANCE_TASK;
	case RF_SYS_FUTEX:
		return record->f[1] & 128 ? DROP : RF_INSTANCE_TASK;
	}
	return importing->instances[record->kind];
}

/* ---- streams --------------------------------------------------------------------- */

int import_streams(struct importing *importing, struct rf_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(importing->streams); i++) {
		importing->streams[i] = calloc(importing->nr_cpus, sizeof(*importing->streams[i]));
		if (!importing->streams[i])
			return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	/* The first row of a kind decides. */
	memset(importing->instances, RF_INSTANCE_TASK, sizeof(importing->instances));
	for (size_t i = rf_nr_events; i--;)
		if (rf_events[i].kind < RF_RECORD_KIND_MAX)
			importing->instances[rf_events[i].kind] = (s8)rf_events[i].instance;
	return 0;
}

void import_streams_free(struct importing *importing)
{
	for (size_t i = 0; i < ARRAY_SIZE(importing->streams); i++) {
		for (u32 cpu = 0; importing->streams[i] && cpu < importing->nr_cpus; cpu++)
			free(importing->streams[i][cpu]);
		free(importing->streams[i]);
	}
}

static int flush_stream(struct importing *importing, struct import_stream *stream, struct rf_error *err)
{
	u32 nr = stream->nr;

	stream->nr = 0;
	return rf_writer_append(importing->writer, stream->number, stream->records, nr, err);
}

int import_flush(struct importing *importing, struct rf_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(importing->streams); i++)
		for (u32 cpu = 0; cpu < importing->nr_cpus && !ret; cpu++)
			if (importing->streams[i][cpu])
				ret = flush_stream(importing, importing->streams[i][cpu], err);
	return ret;
}

static struct import_stream *stream_of(struct importing *importing, int instance, u32 cpu, struct rf_error *err)
{
	static const enum rf_source sources[] = { RF_SOURCE_TASK, RF_SOURCE_SYSTEM, RF_SOURCE_COMPAT };
	struct rf_stream_info info = { .source = sources[instance], .cpu = (u16)cpu };
	struct import_stream **stream = &importing->streams[instance][cpu];
	int number;

	if (*stream)
		return *stream;
	number = rf_writer_add_stream(importing->writer, &info);
	if (number >= 0)
		*stream = calloc(1, sizeof(**stream));
	if (*stream)
		(*stream)->number = number;
	else
		rf_error_set(err, number < 0 ? number : -ENOMEM, RF_NO_OFFSET, "cannot add a stream: %s",
			     strerror(number < 0 ? -number : ENOMEM));
	return *stream;
}

/* A frame is written when it is full, not later: the order of frames is that of time. */
static int append(struct importing *importing, struct import_stream *stream, const struct rf_record *records,
		  size_t nr, struct rf_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < nr && !ret; i++) {
		stream->records[stream->nr++] = records[i];
		stream->framed = (stream->framed + 1) % RF_FRAME_RECORDS;
		if (stream->nr == ARRAY_SIZE(stream->records) || !stream->framed)
			ret = flush_stream(importing, stream, err);
	}
	return ret;
}

/* Of a call by number, what it is to the task that made it; false: nothing. */
static bool choose_call(const struct importing *importing, struct rf_record *records, size_t nr)
{
	bool compat = import_is_compat(importing, records[0].tid);

	for (size_t i = 0; i < nr; i++) {
		if (records[i].compat != compat)
			continue;
		records[0] = records[i];
		return true;
	}
	return false;
}

/* What a live recording has from other sources: the name of a program, and that it is a 32-bit one. */
static size_t add_program(struct importing *importing, const void *data, u32 size, struct rf_record *records)
{
	size_t nr = 1;

	if (import_exec_name(importing, data, size, &records[nr]))
		nr++;
	if (import_is_compat(importing, records[0].tid))
		records[nr++] = (struct rf_record){ .kind = RF_ABI, .f = { import_compat_abi(importing) } };
	for (size_t i = 1; i < nr; i++) {
		records[i].time = records[0].time;
		records[i].tid = records[0].tid;
	}
	return nr;
}

int import_event(struct importing *importing, u32 cpu, u64 time, const void *data, u32 size, struct rf_error *err)
{
	struct rf_record records[RF_DECODE_MAX];
	size_t nr = rf_decode(importing->decoder, data, size, time, records, RF_DECODE_MAX);
	struct import_stream *stream;
	int instance;

	if (!nr || cpu >= importing->nr_cpus)
		return 0;
	if (import_begins_program(&records[0]))
		import_run_program(importing, &records[0]);
	if (importing->by_number[load_u16(data)]) {
		if (!choose_call(importing, records, nr))
			return 0;
		nr = 1;
	}
	import_family(importing, &records[0]);
	instance = records[0].compat ? COMPAT : instance_of(importing, &records[0]);
	if (instance == DROP)
		return 0;
	stream = stream_of(importing, instance, cpu, err);
	if (!stream)
		return err->code;
	if (records[0].kind == RF_EXEC)
		nr = add_program(importing, data, size, records);
	importing->result->records += nr;
	return append(importing, stream, records, nr, err);
}

int import_lost(struct importing *importing, u32 cpu, u64 time, u64 events, struct rf_error *err)
{
	struct rf_record record = { .time = time, .kind = RF_LOST, .f = { events } };
	struct import_stream *stream;
	int ret;

	if (cpu >= importing->nr_cpus)
		return 0;
	/* One buffer held what are two streams to us; who loses in the first has lost everything. */
	stream = stream_of(importing, RF_INSTANCE_TASK, cpu, err);
	importing->result->lost += events;
	if (!stream)
		return err->code;
	ret = flush_stream(importing, stream, err);
	stream->framed = 0;
	return ret ? ret : rf_writer_append(importing->writer, stream->number, &record, 1, err);
}
