// SPDX-License-Identifier: MIT
/* Which tasks are 32-bit ones, and of each call by number what it is. See compat.h. */
#include "replay/tracker/ground/compat.h"

#include <stdlib.h>
#include <string.h>

#include "traces/header.h"

#define COMPAT_END BIT_ULL(32)	/* the address space of a 32-bit task is no larger */

enum {
	SEEN = 1,	/* a table holds no zeroes */
	IS_COMPAT = 2,
	TO_BE_COMPAT = 4,	/* by the exec in progress */
	HAS_EXECUTED = 8,	/* and how that returns is not known yet */
};

int compat_start(struct compat_tasks *compat, struct rf_reader *reader)
{
	const json_t *told = rf_reader_header_value(reader, RF_HEADER_COMPAT_CALLS);
	size_t nr = rf_reader_nr_streams(reader);

	compat->told = json_is_true(told);
	compat->user_base = rf_header_user_base(rf_reader_header(reader));
	compat->by_number = !strcmp(rf_reader_header_string(reader, RF_HEADER_CALLS, ""), "raw_syscalls");
	compat->streams = calloc(nr + 1, sizeof(*compat->streams));
	if (!compat->streams)
		return -ENOMEM;
	compat->chooses = compat->by_number;
	for (size_t i = 0; i < nr; i++) {
		compat->streams[i] = rf_reader_stream(reader, i)->source == RF_SOURCE_COMPAT;
		compat->chooses |= compat->streams[i];
	}
	return 0;
}

void compat_free(struct compat_tasks *compat)
{
	compat_table_free(&compat->tasks);
	free(compat->streams);
}

bool compat_reaches(const struct compat_tasks *compat, u64 addr)
{
	return addr - compat->user_base < COMPAT_END;
}

/* install_special_mapping(): the vdso and its like lie where the program's own limit lets them. */
bool compat_exec_maps(const struct compat_tasks *compat, const struct rf_record *record)
{
	u64 name = RF_VMA_NAME(record->f[5]);

	return compat_reaches(compat, record->f[0]) &&
	       (name == RF_VMA_VDSO || name == RF_VMA_VVAR || name == RF_VMA_VVAR_VCLOCK || name == RF_VMA_OTHER);
}

/* Out of memory: less is known. */
static void set(struct compat_tasks *compat, u32 tid, u8 state)
{
	if (state || compat_table_find(&compat->tasks, tid))
		(void)compat_table_set(&compat->tasks, tid, SEEN | state);
}

static bool is_call(u8 kind)
{
	return kind >= RF_SYS_MMAP && kind <= RF_SYS_RET;
}

/*
 * x86 gives the return of execve() the number it has to the new program, so it is the first call told of a task that
 * has executed one: of an ABI's own, or by number of the other.
 */
static u8 after_exec(struct compat_tasks *compat, const struct rf_record *record)
{
	u8 state = 0;

	if (compat->streams[record->stream]) {
		if (record->kind != RF_SYS_RET || record->f[0] != RF_SYS_EXECVE || record->f[1])
			return HAS_EXECUTED;
		state = IS_COMPAT;
	}
	set(compat, record->tid, state);
	return state;
}

static bool applies(struct compat_tasks *compat, const struct rf_record *record)
{
	u8 state;

	switch (record->kind) {
	case RF_ABI:
		state = record->f[1] ? TO_BE_COMPAT : IS_COMPAT;
		set(compat, record->tid, record->f[0] != RF_ABI_NATIVE ? state : 0);
		break;
	case RF_MMAP2:
		if (compat_exec_maps(compat, record))
			set(compat, record->tid, compat_table_find(&compat->tasks, record->tid) | TO_BE_COMPAT);
		break;
	case RF_EXEC:
		state = compat_table_find(&compat->tasks, record->tid);
		set(compat, record->tid, state & TO_BE_COMPAT ? IS_COMPAT : HAS_EXECUTED);
		break;
	case RF_NEWTASK:
		set(compat, (u32)record->f[0], compat_table_find(&compat->tasks, record->tid) & IS_COMPAT);
		break;
	default:
		if (!is_call(record->kind))
			break;
		state = compat_table_find(&compat->tasks, record->tid);
		if (state & HAS_EXECUTED)
			state = after_exec(compat, record);
		if (compat->streams[record->stream])
			return state & IS_COMPAT;
		/* From an event of its own it is one, whoever made it. */
		return !compat->by_number || !(state & IS_COMPAT);
	}
	return true;
}

size_t compat_choose(struct compat_tasks *compat, struct rf_record *records, size_t nr)
{
	size_t kept = 0;

	if (!compat->chooses)
		return nr;
	for (size_t i = 0; i < nr; i++)
		if (applies(compat, &records[i]))
			records[kept++] = records[i];
	return kept;
}
