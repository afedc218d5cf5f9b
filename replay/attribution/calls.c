// SPDX-License-Identifier: MIT
/*
 * What an operation was part of. The tracker says which records led to it; what reclaim, migration and writeback do is
 * theirs whoever's call or fault they were in, unless that call asked for it.
 */
#include "replay/attribution/calls.h"

#include <stdio.h>
#include <string.h>

#include "replay/tracker/stories/abi.h"
#include "traces/trace.h"

/* What is no system call. Numbers of those are 256 times the kind of record, and in the low byte what they ask for. */
#define CAUSES(X) \
	X(other, "other") X(fault, "fault") X(exit, "exit") X(exec, "execve") X(fork, "fork") X(attach, "attach") \
	X(gup, "gup") X(reclaim, "reclaim") X(migrate, "migration") X(khugepaged, "khugepaged") X(ksm, "ksm") \
	X(writeback, "writeback")

enum cause {
#define X(symbol, text) CAUSE_##symbol,
	CAUSES(X)
#undef X
	NR_CAUSES
};

static const char *const cause_texts[NR_CAUSES] = {
#define X(symbol, text) text,
	CAUSES(X)
#undef X
};

#define ADVICE(name) { MADV_##name, #name }

static const struct {
	u8 advice;
	const char *name;
} advices[] = {
	ADVICE(NORMAL), ADVICE(RANDOM), ADVICE(SEQUENTIAL), ADVICE(WILLNEED), ADVICE(DONTNEED), ADVICE(FREE),
	ADVICE(REMOVE), ADVICE(DONTFORK), ADVICE(DOFORK), ADVICE(MERGEABLE), ADVICE(UNMERGEABLE), ADVICE(HUGEPAGE),
	ADVICE(NOHUGEPAGE), ADVICE(DONTDUMP), ADVICE(DODUMP), ADVICE(WIPEONFORK), ADVICE(KEEPONFORK), ADVICE(COLD),
	ADVICE(PAGEOUT), ADVICE(POPULATE_READ), ADVICE(POPULATE_WRITE), ADVICE(DONTNEED_LOCKED), ADVICE(COLLAPSE),
	ADVICE(GUARD_INSTALL), ADVICE(GUARD_REMOVE),
};

/* linux/userfaultfd.h: the number in the command. */
static const char *const ioctls[] = {
	[0x00] = "UFFDIO_REGISTER", [0x01] = "UFFDIO_UNREGISTER", [0x02] = "UFFDIO_WAKE", [0x03] = "UFFDIO_COPY",
	[0x04] = "UFFDIO_ZEROPAGE", [0x05] = "UFFDIO_MOVE", [0x06] = "UFFDIO_WRITEPROTECT", [0x07] = "UFFDIO_CONTINUE",
	[0x08] = "UFFDIO_POISON", [0x3f] = "UFFDIO_API",
};

static bool is_call(u8 kind)
{
	return kind >= RF_SYS_MMAP && kind < RF_SYS_RET;
}

static u8 advice_of(const struct rf_record *record)
{
	return (u8)record->f[record->kind == RF_SYS_MADVISE ? 2 : 3];
}

static u32 number_of(const struct rf_record *record)
{
	switch (record->kind) {
	case RF_SYS_MADVISE:
	case RF_SYS_PROCESS_MADVISE:
		return (u32)record->kind << 8 | advice_of(record);
	case RF_SYS_IOCTL:
		return (u32)record->kind << 8 | (u8)record->f[1];
	case RF_SYS_EXECVE:
		return CAUSE_exec;
	case RF_SYS_CLONE:
		return CAUSE_fork;
	case RF_SYS_EXIT:
		return CAUSE_exit;
	default:
		return (u32)record->kind << 8;
	}
}

static bool asks_for(const struct rf_record *record, u8 advice)
{
	return (record->kind == RF_SYS_MADVISE || record->kind == RF_SYS_PROCESS_MADVISE) &&
	       advice_of(record) == advice;
}

/* Of a record outside of calls and faults. */
static u32 alone(const struct rf_op *op, const struct rf_record *record)
{
	u8 shape = rf_op_shapes[op->kind];

	switch (record->kind) {
	case RF_FAULT:
		return CAUSE_fault;
	case RF_GUP:
		return CAUSE_gup;
	case RF_PREPARE_EXEC:
	case RF_EXEC:
	case RF_MMAP2:
		return CAUSE_exec;
	case RF_EXIT:
	case RF_TASK_EXIT:
		return CAUSE_exit;
	case RF_NEWTASK:
	case RF_TASK_FORK:
		return CAUSE_fork;
	case RF_KSM_MERGE:
		return CAUSE_ksm;
	case RF_MIGRATION_SET:
	case RF_MIGRATION_REMOVE:
	case RF_MIGRATION_PMD_SET:
	case RF_MIGRATION_PMD_REMOVE:
		return CAUSE_migrate;
	case RF_COLLAPSE_SCAN:
	case RF_COLLAPSE_ISOLATE:
	case RF_COLLAPSE:
		return CAUSE_khugepaged;
	case RF_SWAP_WRITE:
		return CAUSE_reclaim;
	}
	if (op->flags & RF_OP_LOAD)
		return CAUSE_attach;
	return shape == RF_SHAPE_FAULT || shape == RF_SHAPE_FAULT_HUGE ? CAUSE_fault : CAUSE_other;
}

u32 rf_call_of(const struct rf_op *op, const struct rf_cause *cause)
{
	const struct rf_record *began = cause->began.number ? &cause->began.record : &cause->told.record;

	switch (op->kind) {
	case RF_OP_MM_EXIT:
		return op->why == RF_WHY_EXEC ? CAUSE_exec : CAUSE_exit;
	case RF_OP_FORK:
		return CAUSE_fork;
	case RF_OP_EXEC_STACK:
		return CAUSE_exec;
	case RF_OP_UNMAP_SWAP:
	case RF_OP_UNMAP_FILE:
	case RF_OP_RECLAIM_FLUSH:
		if (op->flags & RF_OP_LOAD)
			return CAUSE_attach;
		return asks_for(began, MADV_PAGEOUT) ? number_of(began) : CAUSE_reclaim;
	case RF_OP_MIGRATE_OUT:
	case RF_OP_MIGRATE_IN:
		return began->kind == RF_SYS_MBIND ? number_of(began) : CAUSE_migrate;
	case RF_OP_COLLAPSE:
		return asks_for(began, MADV_COLLAPSE) ? number_of(began) : CAUSE_khugepaged;
	case RF_OP_MKCLEAN:
		return CAUSE_writeback;
	}
	if (op->flags & RF_OP_EXEC)
		return CAUSE_exec;
	return is_call(began->kind) ? number_of(began) : alone(op, began);
}

bool rf_call_did(u32 call, const struct rf_record *began)
{
	return is_call(began->kind) && call == number_of(began);
}

static const char *advice_name(u8 advice)
{
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (advices[i].advice == advice)
			return advices[i].name;
	return NULL;
}

void rf_call_text(u32 call, char *text, size_t size)
{
	u8 kind = (u8)(call >> 8), asked = (u8)call;
	const char *name = kind ? rf_kind_table()[kind].name : cause_texts[call], *argument = NULL;

	if (kind == RF_SYS_MADVISE || kind == RF_SYS_PROCESS_MADVISE)
		argument = advice_name(asked);
	else if (kind == RF_SYS_IOCTL)
		argument = asked < ARRAY_SIZE(ioctls) ? ioctls[asked] : NULL;
	else
		asked = 0;
	if (argument)
		snprintf(text, size, "%s(%s)", name, argument);
	else if (asked)
		snprintf(text, size, "%s(%u)", name, asked);
	else
		snprintf(text, size, "%s", name);
}

u64 rf_op_bytes(const struct rf_op *op, u32 page_shift)
{
	switch (rf_op_shapes[op->kind]) {
	case RF_SHAPE_RANGE:
	case RF_SHAPE_MOVE:
	case RF_SHAPE_MOVE_END:
	case RF_SHAPE_BYTES:
		return op->end > op->addr ? op->end - op->addr : 0;
	case RF_SHAPE_FAULT:
	case RF_SHAPE_RUN:
		return (u64)op->nr << page_shift;
	case RF_SHAPE_FAULT_HUGE:
		return op->order < 64 ? BIT_ULL(op->order) : 0;
	default:
		return 0;
	}
}

u64 rf_call_bytes(const struct rf_op *op, const struct rf_cause *cause, u32 page_shift)
{
	const struct rf_record *began = cause->began.number ? &cause->began.record : &cause->told.record;
	u64 page = BIT_ULL(page_shift);

	if (rf_call_of(op, cause) >> 8 != began->kind)
		return rf_op_bytes(op, page_shift);
	switch (began->kind) {
	case RF_SYS_MMAP:
	case RF_SYS_MUNMAP:
	case RF_SYS_MPROTECT:
	case RF_SYS_MREMAP:
	case RF_SYS_MADVISE:
	case RF_SYS_MLOCK:
	case RF_SYS_MUNLOCK:
	case RF_SYS_MBIND:
	case RF_SYS_MSYNC:
	case RF_SYS_REMAP_FILE_PAGES:
		return began->f[1] > UINT64_MAX - page ? began->f[1] : ALIGN_UP(began->f[1], page);
	default:
		return rf_op_bytes(op, page_shift);
	}
}
