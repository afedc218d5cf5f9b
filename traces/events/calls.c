// SPDX-License-Identifier: MIT
/* System calls by number: the table, a call into a record, the kernel's filter. */
#include "traces/events/calls.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NR_NUMBERS 600
#define X32_BIT 0x40000000u	/* __X32_SYSCALL_BIT */
#define MAX_ERRNO 4095

/* How it passes its arguments, where not as the call it is like. */
enum passing {
	AS_ARGUMENTS,
	OFFSET_4K,	/* mmap2(): the offset counts 4096 bytes on every machine */
	BY_POINTER,	/* the old mmap(): all six behind a pointer, which no event follows */
	MULTIPLEXED,	/* ipc(): the first argument says which call it is */
};

/* 0: this ABI has no such call, or one that nothing needs: exit(), which x86-64 numbers as i386 does write(). */
static const struct call {
	const char *name;	/* as in "sys_enter_NAME" of the event table */
	u16 numbers[RF_NUMBERINGS];
	u8 passing;
} calls[] = {
	/*                   x86-64 generic i386 x32  arm */
	{ "mmap",              { 9, 222,   0,   9,   0 }, AS_ARGUMENTS },
	{ "mmap",              { 0,   0, 192,   0, 192 }, OFFSET_4K },
	{ "mmap",              { 0,   0,  90,   0,   0 }, BY_POINTER },
	{ "munmap",           { 11, 215,  91,  11,  91 }, AS_ARGUMENTS },
	{ "mprotect",         { 10, 226, 125,  10, 125 }, AS_ARGUMENTS },
	{ "pkey_mprotect",   { 329, 288, 380, 329, 394 }, AS_ARGUMENTS },
	{ "mremap",           { 25, 216, 163,  25, 163 }, AS_ARGUMENTS },
	{ "madvise",          { 28, 233, 219,  28, 220 }, AS_ARGUMENTS },
	{ "brk",              { 12, 214,  45,  12,  45 }, AS_ARGUMENTS },
	{ "mlock",           { 149, 228, 150, 149, 150 }, AS_ARGUMENTS },
	{ "mlock2",          { 325, 284, 376, 325, 390 }, AS_ARGUMENTS },
	{ "munlock",         { 150, 229, 151, 150, 151 }, AS_ARGUMENTS },
	{ "mlockall",        { 151, 230, 152, 151, 152 }, AS_ARGUMENTS },
	{ "munlockall",      { 152, 231, 153, 152, 153 }, AS_ARGUMENTS },
	{ "process_madvise", { 440, 440, 440, 440, 440 }, AS_ARGUMENTS },
	{ "shmat",            { 30, 196, 397,  30, 305 }, AS_ARGUMENTS },
	{ "shmdt",            { 67, 197, 398,  67, 306 }, AS_ARGUMENTS },
	{ "shmat",             { 0,   0, 117,   0,   0 }, MULTIPLEXED },
	{ "remap_file_pages", { 216, 234, 257, 216, 253 }, AS_ARGUMENTS },
	{ "msync",            { 26, 227, 144,  26, 144 }, AS_ARGUMENTS },
	{ "process_vm_readv",  { 310, 270, 347, 539, 376 }, AS_ARGUMENTS },
	{ "process_vm_writev", { 311, 271, 348, 540, 377 }, AS_ARGUMENTS },
	{ "userfaultfd",     { 323, 282, 374, 323, 388 }, AS_ARGUMENTS },
	{ "futex",           { 202,  98, 240, 202, 240 }, AS_ARGUMENTS },
	{ "futex",             { 0,   0, 422,   0, 422 }, AS_ARGUMENTS },	/* futex_time64() */
	{ "mbind",           { 237, 235, 274, 237, 319 }, AS_ARGUMENTS },
	{ "prctl",           { 157, 167, 172, 157, 172 }, AS_ARGUMENTS },
	{ "ioctl",            { 16,  29,  54, 514,  54 }, AS_ARGUMENTS },
	{ "clone",            { 56, 220, 120,  56, 120 }, AS_ARGUMENTS },
	{ "clone3",          { 435, 435, 435, 435, 435 }, AS_ARGUMENTS },
	{ "fork",             { 57,   0,   2,  57,   2 }, AS_ARGUMENTS },
	{ "vfork",            { 58,   0, 190,  58, 190 }, AS_ARGUMENTS },
	{ "execve",           { 59, 221,  11, 520,  11 }, AS_ARGUMENTS },
	{ "execveat",        { 322, 281, 358, 545, 387 }, AS_ARGUMENTS },
	{ "exit",             { 60,  93,   0,  60,   0 }, AS_ARGUMENTS },
	{ "exit_group",      { 231,  94, 252, 231, 248 }, AS_ARGUMENTS },
};

/* By number, and by place in calls[] the rows of the event table; all + 1, 0: none. */
static u8 call_by_number[RF_NUMBERINGS][NR_NUMBERS];
static u8 entry_rows[ARRAY_SIZE(calls)], return_rows[ARRAY_SIZE(calls)];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static u8 row_of(const char *prefix, const char *name)
{
	char event[64];

	snprintf(event, sizeof(event), "%s%s", prefix, name);
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!strcmp(rf_events[i].system, "syscalls") && !strcmp(rf_events[i].name, event))
			return (u8)(i + 1);
	return 0;
}

static void index_calls(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		entry_rows[i] = row_of("sys_enter_", calls[i].name);
		return_rows[i] = row_of("sys_exit_", calls[i].name);
		for (int n = 0; n < RF_NUMBERINGS; n++)
			if (entry_rows[i] && calls[i].numbers[n])
				call_by_number[n][calls[i].numbers[n]] = (u8)(i + 1);
	}
}

bool rf_calls_native(enum rf_isa isa, enum rf_numbering *numbering)
{
	*numbering = isa == RF_ISA_X86 ? RF_NUMBERS_X86_64 : RF_NUMBERS_GENERIC;
	return isa != RF_ISA_OTHER;
}

bool rf_calls_compat(enum rf_isa isa, u64 number, enum rf_numbering *numbering)
{
	*numbering = isa == RF_ISA_ARM64 ? RF_NUMBERS_ARM : number & X32_BIT ? RF_NUMBERS_X32 : RF_NUMBERS_I386;
	return isa == RF_ISA_ARM64 || isa == RF_ISA_X86;
}

static const struct call *find_call(enum rf_numbering numbering, u64 number)
{
	pthread_once(&once, index_calls);
	if (numbering == RF_NUMBERS_X32)
		number &= ~(u64)X32_BIT;
	if (number >= NR_NUMBERS || !call_by_number[numbering][number])
		return NULL;
	return &calls[call_by_number[numbering][number] - 1];
}

u64 rf_call_number(enum rf_numbering numbering, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (!strcmp(calls[i].name, name) && calls[i].numbers[numbering])
			return calls[i].numbers[numbering];
	return 0;
}

/* Registers of a 32-bit task. x32 has those of the machine. */
static bool has_32_bits(enum rf_numbering numbering)
{
	return numbering == RF_NUMBERS_I386 || numbering == RF_NUMBERS_ARM;
}

/* As a field of the event of that name is decoded. Arguments are named by position; clone()'s flags are the first. */
static u64 field_of(enum rf_numbering numbering, const struct rf_event_field *field, const u64 arguments[6])
{
	u64 raw = field->source ? arguments[field->source[0] == '#' ? field->source[1] - '0' : 0] : 0;

	switch (field->rule) {
	case RF_RULE_VALUE:
		return (u64)field->value;
	case RF_RULE_S32:
		return (u64)(s64)(s32)raw;
	case RF_RULE_U32:
		return (u32)raw;
	default:
		return has_32_bits(numbering) ? (u32)raw : raw;
	}
}

/* What the filters of the rows would have let through. */
static bool is_wanted(const struct rf_record *record)
{
	enum { FUTEX_PRIVATE = 128 };

	switch (record->kind) {
	case RF_SYS_FUTEX:
		return !(record->f[1] & FUTEX_PRIVATE);
	case RF_SYS_PRCTL:
		return record->f[0] == RF_PR_SET_VMA;
	case RF_SYS_IOCTL:
		return (record->f[1] >> 8 & 0xff) == RF_UFFDIO;
	case RF_SYS_RET:
		return (record->f[0] != RF_SYS_PRCTL && record->f[0] != RF_SYS_IOCTL) || (s64)record->f[1] < 0;
	default:
		return true;
	}
}

/* sys_ipc() of SHMAT and SHMDT: what else it may be is not recorded. An attach returns its address by a pointer. */
static bool demultiplex(const u64 arguments[6], struct rf_record *record)
{
	enum { SHMAT = 21, SHMDT = 22 };
	u64 call = arguments[0] & 0xffff;

	memset(record->f, 0, sizeof(record->f));
	record->kind = call == SHMAT ? RF_SYS_SHMAT : RF_SYS_SHMDT;
	if (call == SHMAT) {
		record->f[0] = (u64)(s64)(s32)arguments[1];
		record->f[1] = (u32)arguments[4];
		record->f[2] = (u32)arguments[2];
	} else {
		record->f[0] = (u32)arguments[4];
	}
	return call == SHMAT || call == SHMDT;
}

bool rf_call_entry(enum rf_numbering numbering, u64 number, const u64 arguments[6], struct rf_record *record,
		   size_t *row)
{
	const struct call *call = find_call(numbering, number);
	const struct rf_event *event;

	if (!call)
		return false;
	*row = entry_rows[call - calls] - 1u;
	event = &rf_events[*row];
	if (call->passing == MULTIPLEXED)
		return demultiplex(arguments, record);
	record->kind = event->kind;
	for (int i = 0; i < RF_RECORD_FIELDS; i++)
		record->f[i] = event->fields[i].rule == RF_RULE_NONE || call->passing == BY_POINTER ?
				       0 : field_of(numbering, &event->fields[i], arguments);
	if (call->passing == OFFSET_4K)
		record->f[5] <<= 12;
	return is_wanted(record);
}

bool rf_call_return(enum rf_numbering numbering, u64 number, u64 result, struct rf_record *record, size_t *row)
{
	const struct call *call = find_call(numbering, number);

	if (!call || !return_rows[call - calls])
		return false;
	*row = return_rows[call - calls] - 1u;
	memset(record->f, 0, sizeof(record->f));
	record->kind = RF_SYS_RET;
	/* Of ipc() only the entry told which call it is. */
	record->f[0] = call->passing == MULTIPLEXED ? 0 : (u64)rf_events[*row].fields[0].value;
	/* Errors are negative, addresses are not: arm64 extends the sign of both, x86 of errors. */
	if (!has_32_bits(numbering))
		record->f[1] = result;
	else
		record->f[1] = (u32)result < (u32)-MAX_ERRNO ? (u32)result : (u64)(s64)(s32)result;
	return is_wanted(record);
}

/* ---- the filter ---------------------------------------------------------------------- */

/* A search tree: most calls match none, and shall find that out soon. */
static void add_tree(struct rf_line *line, const u16 *numbers, size_t nr)
{
	size_t half = nr / 2;

	if (nr == 1) {
		rf_line_add(line, "id == %u", numbers[0]);
	} else if (numbers[nr - 1] - numbers[0] == (int)nr - 1) {
		rf_line_add(line, "(id >= %u && id <= %u)", numbers[0], numbers[nr - 1]);
	} else {
		rf_line_add(line, "(id < %u && ", numbers[half]);
		add_tree(line, numbers, half);
		rf_line_add(line, ") || (id >= %u && ", numbers[half]);
		add_tree(line, numbers + half, nr - half);
		rf_line_add(line, ")");
	}
}

void rf_calls_filter(enum rf_isa isa, bool native, char filter[RF_CALL_FILTER_MAX])
{
	enum rf_numbering wanted[2];
	u16 numbers[NR_NUMBERS];
	size_t nr_wanted = 0, nr = 0;
	struct rf_line line;

	pthread_once(&once, index_calls);
	nr_wanted += rf_calls_compat(isa, 0, &wanted[0]);
	if (native)
		nr_wanted += rf_calls_native(isa, &wanted[nr_wanted]);
	for (u16 number = 1; number < NR_NUMBERS; number++)
		for (size_t i = 0; i < nr_wanted; i++)
			if (call_by_number[wanted[i]][number]) {
				numbers[nr++] = number;
				break;
			}
	rf_line_begin(&line, filter, RF_CALL_FILTER_MAX);
	if (nr)
		add_tree(&line, numbers, nr);
	/* x32: few kernels let it in, and its tasks make no other calls. */
	if (isa == RF_ISA_X86)
		rf_line_add(&line, "%sid >= %u", nr ? " || " : "", X32_BIT);
}

bool rf_calls_filter_of(enum rf_isa isa, const char *const *names, size_t nr_names, char filter[RF_CALL_FILTER_MAX])
{
	enum rf_numbering numbering;
	u16 numbers[NR_NUMBERS];
	struct rf_line line;
	size_t nr = 0;

	if (!rf_calls_native(isa, &numbering))
		return false;
	for (u16 number = 1; number < NR_NUMBERS; number++)
		for (size_t i = 0; i < nr_names; i++)
			if (rf_call_number(numbering, names[i]) == number) {
				numbers[nr++] = number;
				break;
			}
	rf_line_begin(&line, filter, RF_CALL_FILTER_MAX);
	if (nr)
		add_tree(&line, numbers, nr);
	return nr;
}
