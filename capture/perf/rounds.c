// SPDX-License-Identifier: MIT
/*
 * A process's first record may be read before the fork that made it ours, because
 * they lie in the rings of different CPUs. So records wait one round: whatever
 * caused them was written before them and is read by the round after at the latest.
 * Losses wait with them, so that each stands where the records are missing.
 */
#include "capture/perf/rounds.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "capture/perf/calls.h"
#include "capture/perf/perf.h"
#include "capture/snapshot/devices.h"

#define MOST_SAMPLES 8192u	/* that wait: 64 MiB */

struct rf_waiting {
	struct rf_record record;
	int stream;
	pid_t pid, parent;
	char *path;		/* of the mapped file, or NULL */
	struct rf_found_stack stack;	/* of a call */
	struct rf_kept_sample *sample;	/* NULL, or of what it has to be found yet */
	bool is_fork;
	bool fresh;		/* read in this round */
	u64 number;		/* order of reading, to keep equal times stable */
};

void rf_round_begin(struct rf_rounds *rounds)
{
	for (size_t i = 0; i < rounds->nr; i++)
		rounds->waiting[i].fresh = false;
}

/*
 * A stranger's mappings, names and faults, which may be a million a second: nothing of them waits. Their time is
 * needed, where a loss follows that has none. A stranger's end gives its pid back.
 */
static bool is_of_stranger(struct rf_rounds *rounds, struct rf_round_stream *ring,
			   const struct perf_event_header *header)
{
	bool sample = header->type == PERF_RECORD_SAMPLE;
	struct {
		struct perf_event_header header;
		u32 pid, second, tid;	/* tid: of task records only */
	} begin;

	if (header->size < sizeof(begin) + sizeof(u64) || header->type == PERF_RECORD_LOST)
		return false;
	memcpy(&begin, header, sizeof(begin));
	if (!rf_is_stranger(&rounds->followed, (pid_t)begin.pid))
		return false;
	if (header->type == PERF_RECORD_EXIT && begin.pid == begin.tid)
		rf_know_stranger(&rounds->followed, (pid_t)begin.pid, false);
	if (header->type == PERF_RECORD_FORK)
		return false;
	/* Of a sample it comes third, else last. */
	memcpy(&ring->last_time, (const u8 *)header + (sample ? 16 : header->size - sizeof(u64)), sizeof(u64));
	return true;
}

static bool changes_code(const struct rf_waiting *one)
{
	const struct rf_record *record = &one->record;

	switch (record->kind) {
	case RF_MMAP2:
		return record->f[5] & RF_VM_EXEC;
	case RF_COMM:
		return record->f[2];
	case RF_TASK_FORK:
		return one->pid != one->parent;
	case RF_TASK_EXIT:
		return record->tid == (u32)one->pid;
	default:
		return false;
	}
}

int rf_round_take(struct rf_rounds *rounds, struct rf_round_stream *ring, const struct perf_event_header *header,
		  struct rf_error *err)
{
	struct rf_waiting one = { .stream = ring->stream, .fresh = true, .number = rounds->taken };
	const char *path;

	if (is_of_stranger(rounds, ring, header))
		return 0;
	if (!rf_perf_decode(header, rounds->page_shift, &one.record, &one.pid, &one.parent, &path))
		return 0;
	if (array_grow(rounds->waiting, rounds->room, rounds->nr + 1))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (one.record.kind == RF_LOST) {
		ring->lost += one.record.f[0];
		rounds->births_lost = true;
	}
	/* A loss has the time of the record that there was room for again. A page fault's event has none to lend. */
	if (!one.record.time)
		one.record.time = ring->last_time;
	ring->last_time = one.record.time;
	if (rounds->stacks && changes_code(&one))
		rf_spaces_expect(rf_stacks_spaces(rounds->stacks), one.pid);
	one.is_fork = header->type == PERF_RECORD_FORK;
	/* Without memory for the name, the file's page frames are unknown: no reason to stop. */
	one.path = path && rounds->cache ? strdup(path) : NULL;
	rounds->waiting[rounds->nr++] = one;
	rounds->taken++;
	return 0;
}

/* Memory for samples is kept: to give back and get some pages for each costs more than all the rest. NULL: no more. */
static struct rf_kept_sample *get_sample(struct rf_rounds *rounds)
{
	if (rounds->nr_samples >= MOST_SAMPLES)
		return NULL;
	return rounds->nr_spare ? rounds->spare[--rounds->nr_spare] : malloc(sizeof(*rounds->spare[0]));
}

static void put_sample(struct rf_rounds *rounds, struct rf_kept_sample *kept)
{
	if (array_grow(rounds->spare, rounds->spare_room, rounds->nr_spare + 1))
		free(kept);
	else
		rounds->spare[rounds->nr_spare++] = kept;
}

/* Until what happened to its process's code before the call has been told, in order. */
static void keep_sample(struct rf_rounds *rounds, struct rf_waiting *one, const struct rf_stack_sample *sample)
{
	one->sample = get_sample(rounds);
	if (!one->sample) {
		one->stack.why = RF_NO_STACK_RATE;
		return;
	}
	rounds->nr_samples++;
	one->sample->sample = *sample;
	memcpy(one->sample->bytes, sample->bytes, sample->size);
	one->sample->sample.bytes = one->sample->bytes;
}

int rf_round_take_call(struct rf_rounds *rounds, int stream, enum rf_isa isa, const struct perf_event_header *header,
		       struct rf_error *err)
{
	struct rf_waiting one = { .stream = stream, .fresh = true, .number = rounds->taken,
				  .record = { .kind = RF_CALL_STACK }, .stack = { .why = RF_NO_STACK_USER } };
	struct rf_spaces *spaces = rf_stacks_spaces(rounds->stacks);
	struct rf_stack_sample sample;

	if (!rf_call_event_task(header, &one.pid, &one.record.time) || rf_is_stranger(&rounds->followed, one.pid))
		return 0;
	if (array_grow(rounds->waiting, rounds->room, rounds->nr + 1))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (rf_call_event_sample(isa, header, &sample)) {
		one.record.tid = sample.tid;
		one.record.f[0] = sample.call;
		/* In a round it may have ended. */
		rf_spaces_look(spaces, one.pid);
		if (rf_spaces_is_settled(spaces, one.pid))
			one.stack = rf_stacks_find(rounds->stacks, &sample);
		else
			keep_sample(rounds, &one, &sample);
	}
	rounds->waiting[rounds->nr++] = one;
	rounds->taken++;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct rf_waiting *x = a, *y = b;

	if (x->record.time != y->record.time)
		return x->record.time < y->record.time ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/*
 * A new process of a followed one is followed; one of a stranger is not, even if its pid was once ours. One read in
 * the round before may turn out to be of a followed one; not the reverse, as it may have been learnt from elsewhere.
 * A new thread belongs to its own process: nothing to learn. Once births were lost, who is neither followed nor a
 * stranger may be either, and what he bears as well.
 */
void rf_round_learn(struct rf_rounds *rounds)
{
	if (rounds->nr)
		qsort(rounds->waiting, rounds->nr, sizeof(*rounds->waiting), by_time);
	for (size_t i = 0; i < rounds->nr; i++) {
		const struct rf_waiting *one = &rounds->waiting[i];
		bool follow = one->is_fork && one->pid != one->parent && rf_is_followed(&rounds->followed, one->parent);

		if (one->is_fork && one->pid != one->parent && (one->fresh || follow))
			rf_follow_process(&rounds->followed, one->pid, follow);
		/* Whose parent is a stranger is one; of others it is sure when all that was before has been read. */
		if (one->is_fork && one->pid != one->parent && !rf_is_followed(&rounds->followed, one->pid) &&
		    ((!one->fresh && !rounds->births_lost) || rf_is_stranger(&rounds->followed, one->parent)))
			rf_know_stranger(&rounds->followed, one->pid, true);
	}
}

/* Of a followed process all; of one that may be, its birth: who knows its parent from elsewhere knows whose it is. */
static bool concerns_recording(const struct rf_rounds *rounds, const struct rf_waiting *one)
{
	if (one->record.kind == RF_LOST || rf_is_followed(&rounds->followed, one->pid))
		return true;
	return one->is_fork && rounds->births_lost && !rf_is_stranger(&rounds->followed, one->pid);
}

/* Where code is, for the stacks of calls. */
static void tell_stacks(struct rf_rounds *rounds, const struct rf_waiting *one)
{
	struct rf_spaces *spaces = rf_stacks_spaces(rounds->stacks);
	const u64 *f = one->record.f;

	switch (one->record.kind) {
	case RF_MMAP2:
		rf_spaces_mapped(spaces, one->pid, f[0], f[1], f[2] << rounds->page_shift, f[3], f[4], one->path);
		break;
	case RF_COMM:
		rf_spaces_emptied(spaces, one->pid);
		break;
	case RF_TASK_FORK:
		rf_spaces_forked(spaces, one->pid, one->parent);
		break;
	case RF_TASK_EXIT:
		rf_spaces_ended(spaces, one->pid);
		break;
	}
}

static int write_call(struct rf_rounds *rounds, struct rf_waiting *one, struct rf_error *err)
{
	bool ours = concerns_recording(rounds, one);

	if (one->sample) {
		if (ours)
			one->stack = rf_stacks_find(rounds->stacks, &one->sample->sample);
		put_sample(rounds, one->sample);
		one->sample = NULL;
		rounds->nr_samples--;
	}
	return ours ? rf_stacks_write(rounds->stacks, one->stream, &one->record, one->stack, err) : 0;
}

/* What concerns the recording goes into the trace, and whatever was lost. */
static int write_waiting(struct rf_rounds *rounds, struct rf_waiting *one, struct rf_error *err)
{
	int ret = 0;

	if (one->record.kind == RF_CALL_STACK)
		return write_call(rounds, one, err);
	if (rounds->stacks && changes_code(one)) {
		if (concerns_recording(rounds, one))
			tell_stacks(rounds, one);
		rf_spaces_told(rf_stacks_spaces(rounds->stacks), one->pid);
	}
	if (concerns_recording(rounds, one)) {
		if (one->path)
			rf_page_cache_note(rounds->cache, one->record.f[3], one->record.f[4], (pid_t)one->pid,
					   one->path);
		if (one->record.kind == RF_MMAP2)
			one->record.f[3] = rf_device_below(one->record.f[3]);
		ret = rf_writer_append(rounds->writer, one->stream, &one->record, 1, err);
	}
	free(one->path);
	one->path = NULL;
	return ret;
}

int rf_round_write(struct rf_rounds *rounds, struct rf_error *err)
{
	size_t kept = 0;
	int ret = 0;

	for (size_t i = 0; i < rounds->nr; i++) {
		struct rf_waiting *one = &rounds->waiting[i];

		if (one->fresh || ret)
			rounds->waiting[kept++] = *one;
		else
			ret = write_waiting(rounds, one, err);
	}
	rounds->nr = kept;
	return ret;
}

void rf_rounds_free(struct rf_rounds *rounds)
{
	for (size_t i = 0; i < rounds->nr; i++) {
		free(rounds->waiting[i].path);
		free(rounds->waiting[i].sample);
	}
	for (size_t i = 0; i < rounds->nr_spare; i++)
		free(rounds->spare[i]);
	rf_followed_free(&rounds->followed);
	free(rounds->spare);
	free(rounds->waiting);
}
