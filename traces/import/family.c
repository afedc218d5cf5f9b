// SPDX-License-Identifier: MIT
/*
 * Who is whose child, where only sched_process_fork was recorded: it does not tell
 * the clone flags. The call does, unless it was clone3(), whose flags are behind a
 * pointer. Then an address space that was filled tells a fork; a child that begins
 * a program under a number of its own was no thread. And what programs are called.
 */
#include <errno.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "traces/import/importing.h"

#define TASK_COMM_LEN 16

struct import_member *import_find_member(struct importing *importing, u32 tid)
{
	u32 number = import_tids_find(&importing->tids, tid);

	if (!number) {
		if (!tid)
			return NULL;
		if (array_grow(importing->members, importing->members_room, importing->nr_members + 1) ||
		    import_tids_add(&importing->tids, tid, (u32)importing->nr_members + 1)) {
			importing->out_of_memory = true;
			return NULL;
		}
		importing->members[importing->nr_members] =
			(struct import_member){ .tid = tid, .program = 2 * (u32)importing->nr_members };
		number = (u32)++importing->nr_members;
	}
	importing->last_tid = tid;
	importing->last_member = number;
	return &importing->members[number - 1];
}

static u32 load_pid(const u8 *data, u32 size, u32 offset)
{
	return offset + sizeof(u32) <= size ? load_u32(data + offset) : 0;
}

void import_find_exec(struct importing *importing)
{
	const struct rf_dat_format *format = rf_dat_format(&importing->dat, "sched", "sched_process_exec");
	u32 size, old_size;

	if (!format || !rf_dat_field(format, "pid", &importing->exec_pid, &size) ||
	    !rf_dat_field(format, "old_pid", &importing->exec_old_pid, &old_size) || size != 4 || old_size != 4)
		return;
	importing->exec_id = format->id;
	if (!rf_dat_field(format, "filename", &importing->exec_filename, &size) || size != 4)
		importing->exec_filename = 0;
}

int import_look(struct importing *importing, const struct rf_dat_event *event, struct rf_error *err)
{
	struct import_leader *leader;
	u32 pid;

	if (!importing->exec_id || load_u16(event->data) != importing->exec_id)
		return 0;
	pid = load_pid(event->data, event->size, importing->exec_pid);
	if (pid != load_pid(event->data, event->size, importing->exec_old_pid))
		return 0;
	if (array_grow(importing->leaders, importing->leaders_room, importing->nr_leaders + 1))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	leader = &importing->leaders[importing->nr_leaders];
	*leader = (struct import_leader){ .time = event->time, .order = importing->nr_leaders++, .tid = pid };
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct import_leader *left = a, *right = b;

	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	return left->order < right->order ? -1 : 1;
}

/* In the order in which they became it, which is that of members. */
void import_note_leaders(struct importing *importing)
{
	struct import_member *member;

	if (importing->nr_leaders)
		qsort(importing->leaders, importing->nr_leaders, sizeof(*importing->leaders), by_time);
	for (size_t i = 0; i < importing->nr_leaders; i++) {
		member = import_member(importing, importing->leaders[i].tid);
		if (member)
			member->leader = true;
	}
}

static u64 clone_flags(struct importing *importing, const struct import_member *parent, u32 child)
{
	const struct import_member *born = import_member(importing, child);

	if (parent->calling && parent->flags != RF_CLONE_UNKNOWN)
		return parent->flags;
	if (parent->copied)
		return 0;
	return born && born->leader ? CLONE_VM | CLONE_VFORK : CLONE_VM | CLONE_THREAD;
}

void import_family(struct importing *importing, struct rf_record *record)
{
	struct import_member *task = import_member(importing, record->tid);

	if (!task)
		return;
	switch (record->kind) {
	case RF_SYS_CLONE:
		task->calling = true;
		task->flags = record->f[0];
		break;
	case RF_SYS_RET:
	case RF_EXEC:
		task->calling = false;
		break;
	case RF_RSS_STAT:
		task->copied |= !record->f[1];
		return;
	case RF_NEWTASK:
		if (record->f[1] == RF_CLONE_UNKNOWN) {
			/* Finding the child may move the parent. */
			struct import_member parent = *task;

			record->f[1] = clone_flags(importing, &parent, (u32)record->f[0]);
			task = import_member(importing, record->tid);
		}
		break;
	default:
		return;
	}
	if (task)
		task->copied = false;
}

/* begin_new_exec() takes the last part of the path. The field tells where in the event that is, and how long. */
bool import_exec_name(const struct importing *importing, const void *data, u32 size, struct rf_record *record)
{
	const char *bytes = data, *name, *slash;
	u8 text[TASK_COMM_LEN] = { 0 };
	u32 offset, length;

	if (!importing->exec_filename || importing->exec_filename + 4 > size)
		return false;
	offset = load_u16((const u8 *)data + importing->exec_filename);
	length = load_u16((const u8 *)data + importing->exec_filename + 2);
	if (!length || offset + length > size || bytes[offset + length - 1])
		return false;
	name = bytes + offset;
	slash = strrchr(name, '/');
	name = slash ? slash + 1 : name;
	memcpy(text, name, strnlen(name, TASK_COMM_LEN - 1));
	*record = (struct rf_record){ .kind = RF_COMM, .f = { load_u64(text), load_u64(text + 8), 1 } };
	return true;
}

void import_family_free(struct importing *importing)
{
	import_tids_free(&importing->tids);
	free(importing->members);
	free(importing->leaders);
	free(importing->programs);
}
