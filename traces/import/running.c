// SPDX-License-Identifier: MIT
/*
 * Processes that ran before the recording. A trace.dat says nothing of what they had
 * mapped; so each begins with the snapshot of a process of which nothing could be
 * read: threads and RSS as far as events tell them, and "not complete". What is
 * mapped later is followed from there. A process whose first sign of life is the
 * beginning of a program, as trace-cmd's command is, needs no past.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "traces/import/importing.h"

static struct import_process *process_by_mm(struct importing *importing, u32 mm_id)
{
	struct import_process *process;

	/* Few, and asked for once a thread: who runs already when a recording begins. */
	for (size_t i = 0; i < importing->nr_processes; i++)
		if (importing->processes[i].mm_id == mm_id)
			return &importing->processes[i];
	if (array_grow(importing->processes, importing->processes_room, importing->nr_processes + 1)) {
		importing->out_of_memory = true;
		return NULL;
	}
	process = &importing->processes[importing->nr_processes++];
	*process = (struct import_process){ .mm_id = mm_id };
	return process;
}

static struct import_process *process_of(struct importing *importing, struct import_member *task, u32 mm_id)
{
	struct import_process *process;

	if (task->process)
		return &importing->processes[task->process - 1];
	process = process_by_mm(importing, mm_id);
	if (!process)
		return NULL;
	task->process = (u32)(process - importing->processes) + 1;
	if (!process->threads++ || task->tid < process->pid) {
		process->pid = task->tid;
		snprintf(process->name, sizeof(process->name), "%s", rf_dat_name(&importing->dat, task->tid));
	}
	process->left_out |= task->leader;
	return process;
}

static void meet_rss(struct importing *importing, struct import_member *task, const struct rf_record *record)
{
	struct import_process *process;
	u64 member = record->f[2], pages = record->f[3], added = 0;

	/* Another's counter, or a thread whose birth or program we saw. */
	if (!record->f[1] || task->known || member >= RF_RSS_MEMBERS)
		return;
	process = process_of(importing, task, (u32)record->f[0]);
	if (!process || process->rss_known & BIT(member))
		return;
	if (member == RF_RSS_ANON && task->allocated)
		added = BIT_ULL(task->order);
	process->rss_known |= (u8)BIT(member);
	process->rss[member] = (s64)pages > (s64)added ? pages - added : 0;
}

void import_meet(struct importing *importing, const struct rf_record *record)
{
	struct import_member *task = import_member(importing, record->tid);

	if (!task)
		return;
	switch (record->kind) {
	case RF_FAULT:
		task->allocated = false;
		break;
	case RF_PAGE_ALLOC:
		if (record->f[2] & RF_GFP_MOVABLE && record->f[1] < 16) {
			task->allocated = true;
			task->order = (u8)record->f[1];
		}
		break;
	case RF_RSS_STAT:
		meet_rss(importing, task, record);
		break;
	case RF_EXEC:
		task->known = true;
		break;
	case RF_NEWTASK:
		task = import_member(importing, (u32)record->f[0]);
		if (task)
			task->known = true;
		break;
	}
}

static int add(struct importing *importing, int stream, u8 kind, u32 tid, const u64 f[RF_RECORD_FIELDS],
	       struct rf_error *err)
{
	struct rf_record record = { .time = importing->first_time, .tid = tid, .kind = kind };

	memcpy(record.f, f, sizeof(record.f));
	importing->result->records++;
	return rf_writer_append(importing->writer, stream, &record, 1, err);
}

static int add_threads(struct importing *importing, int stream, struct rf_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < importing->nr_members && !ret; i++) {
		const struct import_member *task = &importing->members[i];
		const struct import_process *process = task->process ? &importing->processes[task->process - 1] : NULL;

		if (process && !process->left_out)
			ret = add(importing, stream, RF_PROCESS, task->tid, (u64[RF_RECORD_FIELDS]){ process->pid },
				  err);
	}
	return ret;
}

/* Threads of 32-bit programs that ran already. Members that were born are told by their parents. */
static int add_abis(struct importing *importing, int stream, struct rf_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < importing->nr_members && !ret; i++) {
		const struct import_member *task = &importing->members[i];

		if (import_is_compat(importing, task->tid))
			ret = add(importing, stream, RF_ABI, task->tid,
				  (u64[RF_RECORD_FIELDS]){ import_compat_abi(importing) }, err);
	}
	return ret;
}

static int add_snapshot(struct importing *importing, int stream, const struct import_process *process,
			struct rf_error *err)
{
	const u64 *rss = process->rss;
	const u8 *text = (const u8 *)process->name;
	const u64 name[RF_RECORD_FIELDS] = { load_u64(text), load_u64(text + 8) };
	int ret = 0;

	if (process->name[0])
		ret = add(importing, stream, RF_COMM, process->pid, name, err);
	if (!ret)
		ret = add(importing, stream, RF_SNAP_BEGIN, 0,
		  (u64[RF_RECORD_FIELDS]){ process->pid, RF_SNAP_ATTACH, process->threads }, err);
	if (!ret)
		ret = add(importing, stream, RF_SNAP_RSS, 0,
			  (u64[RF_RECORD_FIELDS]){ rss[RF_RSS_FILE], rss[RF_RSS_ANON], rss[RF_RSS_SWAP],
						   rss[RF_RSS_SHMEM] }, err);
	return ret ? ret : add(importing, stream, RF_SNAP_END, 0, (u64[RF_RECORD_FIELDS]){ process->pid }, err);
}

int import_running(struct importing *importing, struct rf_error *err)
{
	struct rf_stream_info info = { .source = RF_SOURCE_SNAPSHOT };
	u32 running = 0;
	int stream, ret;

	for (size_t i = 0; i < importing->nr_processes; i++)
		running += !importing->processes[i].left_out;
	if (!running)
		return 0;
	stream = rf_writer_add_stream(importing->writer, &info);
	if (stream < 0)
		return rf_error_set(err, stream, RF_NO_OFFSET, "cannot add a stream: %s", strerror(-stream));
	import_warn(importing, "what was mapped before the recording is not known: processes that ran already: %u", running);
	ret = add_threads(importing, stream, err);
	if (!ret)
		ret = add_abis(importing, stream, err);
	for (size_t i = 0; i < importing->nr_processes && !ret; i++)
		if (!importing->processes[i].left_out)
			ret = add_snapshot(importing, stream, &importing->processes[i], err);
	return ret;
}
