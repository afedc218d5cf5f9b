// SPDX-License-Identifier: MIT
/*
 * A timeline as a Perfetto trace. What was recorded stands in threads of their processes: the calls and faults with
 * long operations. What each policy made of it stands below the policy: counters, and each process with its own, and
 * with the blocks that were folded and unfolded. Beside them marks and losses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/attribution/calls.h"
#include "replay/export/perfetto.h"
#include "replay/export/timeline.h"
#include "traces/merge.h"

#define READ_RECORDS 1024

/* Numbers of tracks: what it is in the upper half, whose in the lower. */
enum track { TRACK_RECORDING = 1, TRACK_PROCESS, TRACK_THREAD, TRACK_POLICY };

struct writing {
	const struct rf_timeline *timeline;
	const struct rf_results *results;
	FILE *out;
};

static u64 track(enum track kind, u32 number)
{
	return (u64)kind << 32 | number;
}

/* Below a policy: process 0 is none, its counters are those of all. */
static u64 policy_track(size_t policy, u32 process, u32 counter)
{
	return (u64)(TRACK_POLICY + policy) << 40 | (u64)process << 8 | counter;
}

static const char *process_name(const struct rf_results *results, u32 number, char text[64])
{
	const struct rf_process *process = &results->processes.list[number];

	snprintf(text, 64, "%s %u", process->command[0] ? process->command : "process", process->pid);
	return text;
}

/* ---- what was recorded ---- */

static int by_thread(const void *a, const void *b)
{
	const struct timeline_slice *left = a, *right = b;

	if (left->thread != right->thread)
		return left->thread < right->thread ? -1 : 1;
	if (left->begin != right->begin)
		return left->begin < right->begin ? -1 : 1;
	return left->end > right->end ? -1 : left->end < right->end;
}

/* Slices of a thread nest: a fault in a call ends with it at the latest. */
#define DEEPEST 8

static void write_thread(const struct writing *writing, const struct timeline_slice *slices, size_t nr)
{
	const struct rf_processes *processes = &writing->results->processes;
	const struct rf_thread *thread = &processes->threads[slices[0].thread];
	u32 process = rf_process_of(processes, slices[0].mm);
	u64 mine = track(TRACK_THREAD, slices[0].thread), ends[DEEPEST], end;
	char text[64];
	u32 depth = 0;

	perfetto_thread(writing->out, mine, processes->list[process].pid, thread->tid, thread->name);
	for (size_t i = 0; i < nr; i++) {
		while (depth && ends[depth - 1] <= slices[i].begin)
			perfetto_end(writing->out, mine, ends[--depth]);
		if (depth == DEEPEST)
			continue;
		end = max_u64(slices[i].end, slices[i].begin + 1);
		ends[depth] = depth ? min_u64(end, ends[depth - 1]) : end;
		depth++;
		rf_call_text(slices[i].call, text, sizeof(text));
		perfetto_begin(writing->out, mine, slices[i].begin, text, "bytes", slices[i].bytes);
	}
	while (depth)
		perfetto_end(writing->out, mine, ends[--depth]);
}

static int write_threads(const struct writing *writing)
{
	const struct rf_timeline *timeline = writing->timeline;
	struct timeline_slice *slices = malloc((timeline->nr + 1) * sizeof(*slices));

	if (!slices)
		return -ENOMEM;
	if (timeline->nr) {
		memcpy(slices, timeline->slices, timeline->nr * sizeof(*slices));
		qsort(slices, timeline->nr, sizeof(*slices), by_thread);
	}
	for (size_t first = 0, next; first < timeline->nr; first = next) {
		for (next = first + 1; next < timeline->nr && slices[next].thread == slices[first].thread; next++)
			;
		write_thread(writing, &slices[first], next - first);
	}
	free(slices);
	return 0;
}

static void write_record(FILE *out, u64 mine, const struct rf_record *records, size_t nr)
{
	char text[RF_MARK_BYTES + 1];
	size_t parts = 1;

	if (records[0].kind == RF_LOST) {
		perfetto_instant(out, mine, records[0].time, "lost", "events", records[0].f[0]);
		return;
	}
	while (parts < nr && parts < RF_MARK_RECORDS && records[parts].kind == RF_MARKER_MORE)
		parts++;
	rf_mark_text(records, parts, text);
	perfetto_instant(out, mine, records[0].time, text, NULL, 0);
}

/* Marks and losses; what a mark goes on in comes right behind it. */
static int write_recording(FILE *out, struct rf_reader *reader, struct rf_error *err)
{
	struct rf_record *records = malloc((READ_RECORDS + RF_MARK_RECORDS) * sizeof(*records));
	struct rf_merge *merge = records ? rf_merge_open(reader, NULL, err) : NULL;
	u64 mine = track(TRACK_RECORDING, 0);
	size_t kept = 0, nr;

	perfetto_track(out, mine, 0, "marks and losses");
	while (merge && (nr = rf_merge_read(merge, records + kept, READ_RECORDS))) {
		size_t all = kept + nr, i;

		/* The last ones wait for what may follow. */
		for (i = 0; i < all && (i + RF_MARK_RECORDS < all || nr < READ_RECORDS); i++)
			if (records[i].kind == RF_MARKER || records[i].kind == RF_LOST)
				write_record(out, mine, &records[i], all - i);
		kept = all - i;
		memmove(records, records + i, kept * sizeof(*records));
	}
	for (size_t i = 0; merge && i < kept; i++)
		if (records[i].kind == RF_MARKER || records[i].kind == RF_LOST)
			write_record(out, mine, &records[i], kept - i);
	rf_merge_close(merge);
	free(records);
	return merge ? 0 : rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
}

/* ---- what policies made of it ---- */

/* A value holds until the next: what is as before is not written again. */
static void write_values(const struct writing *writing, size_t policy, u32 process)
{
	const struct rf_series *series = &writing->results->series[policy];
	static const struct arch_counters nothing;
	u64 values[RF_NR_SERIALS], before[RF_NR_SERIALS] = { 0 };

	for (u32 k = 0; k <= series->nr; k++) {
		const struct rf_interval *interval = k < series->nr ? &series->list[k] : NULL;
		const struct rf_account *account;

		rf_serials_of(&nothing, values);
		if (interval && !process) {
			memcpy(values, interval->counted, sizeof(values));
		} else if (interval) {
			account = rf_ledger_find(&interval->processes, process);
			rf_serials_of(account ? &account->counters : &nothing, values);
		}
		for (u32 i = 0; i < RF_NR_SERIALS; i++)
			if (values[i] != before[i])
				perfetto_value(writing->out, policy_track(policy, process, i + 1),
					       series->begin + k * series->length, values[i]);
		memcpy(before, values, sizeof(before));
	}
}

static void begin_counters(const struct writing *writing, size_t policy, u32 process, u64 parent)
{
	u64 ms = writing->results->series[policy].length / 1000000;
	char text[64];

	for (u32 i = 0; i < RF_NR_SERIALS; i++) {
		snprintf(text, sizeof(text), "%s in %llu ms", rf_serial_names[i], (unsigned long long)ms);
		perfetto_counter(writing->out, policy_track(policy, process, i + 1), parent, text);
	}
}

/* A bit for each process that counted anything. All machines had the same operations. */
static bool *active_processes(const struct rf_results *results)
{
	bool *active = calloc(results->processes.nr + 1ul, sizeof(*active));

	for (u32 k = 0; active && k < results->series[0].nr; k++) {
		const struct rf_ledger *ledger = &results->series[0].list[k].processes;

		for (u32 i = 0; i < ledger->nr; i++)
			active[ledger->accounts[i].mm] = true;
	}
	return active;
}

static void write_policy(const struct writing *writing, size_t policy, const bool *active)
{
	const struct timeline_policy *mine = &writing->timeline->policies[policy];
	const struct rf_results *results = writing->results;
	u64 top = policy_track(policy, 0, 0);
	char text[64];

	perfetto_track(writing->out, top, 0, results->policies[policy].name);
	begin_counters(writing, policy, 0, top);
	write_values(writing, policy, 0);
	for (u32 i = 1; i < results->processes.nr; i++) {
		if (!active[i])
			continue;
		perfetto_track(writing->out, policy_track(policy, i, 0), top, process_name(results, i, text));
		begin_counters(writing, policy, i, policy_track(policy, i, 0));
		write_values(writing, policy, i);
	}
	for (size_t i = 0; i < mine->nr; i++) {
		const struct timeline_instant *instant = &mine->instants[i];
		u64 where = policy_track(policy, rf_process_of(&results->processes, instant->mm), 0);

		if (instant->fold)
			perfetto_instant(writing->out, where, instant->time, "fold", "blocks", instant->fold);
		if (instant->unfold)
			perfetto_instant(writing->out, where, instant->time, "unfold", "blocks", instant->unfold);
	}
}

int rf_timeline_write(const struct rf_timeline *timeline, const struct rf_results *results, struct rf_reader *reader,
		      FILE *out, struct rf_error *err)
{
	const struct writing writing = { timeline, results, out };
	bool *active = active_processes(results);

	if (!active || timeline->failed)
		goto no_memory;
	for (u32 i = 1; i < results->processes.nr; i++)
		if (active[i])
			perfetto_process(out, track(TRACK_PROCESS, i), results->processes.list[i].pid,
					 results->processes.list[i].command);
	if (write_threads(&writing))
		goto no_memory;
	for (size_t k = 0; k < results->nr_policies; k++)
		write_policy(&writing, k, active);
	free(active);
	return write_recording(out, reader, err);

no_memory:
	free(active);
	return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
}
