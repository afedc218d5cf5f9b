// SPDX-License-Identifier: MIT
/*
 * Which programs are 32-bit ones. No event says so; but of their calls only raw_syscalls tell, and all of their memory
 * lies below 4 GiB, where no 64-bit program has its stack. A program is what it is from its exec on, with what it
 * forks.
 */
#include <string.h>

#include "base/array.h"
#include "traces/events/calls.h"
#include "traces/import/importing.h"

#define COMPAT_END BIT_ULL(32)	/* TASK_SIZE of a 32-bit task is no more */

/* A program's number: of what a member ran when it was met first 2 * its place, of the nth exec 2 * n + 1. */
static u32 first_program(const struct importing *importing, const struct import_member *member)
{
	return 2 * (u32)(member - importing->members);
}

static struct import_program *program_of(const struct importing *importing, const struct import_member *member)
{
	return member->program % 2 ? &importing->programs[member->program / 2] :
				     &importing->members[member->program / 2].first;
}

static bool is_compat(const struct import_program *program)
{
	return program->low && !program->high && !program->native_calls;
}

void import_run_program(struct importing *importing, const struct rf_record *record)
{
	struct import_member *member = import_member(importing, record->tid), *child;
	u32 program;

	if (!member)
		return;
	if (record->kind == RF_EXEC && importing->execs < importing->nr_programs) {
		member->program = 2 * (u32)importing->execs++ + 1;
	} else if (record->kind == RF_NEWTASK) {
		program = member->program;
		child = import_member(importing, (u32)record->f[0]);
		if (child)
			child->program = program;
	}
}

void import_learn_program(struct importing *importing, const struct rf_record *record, bool by_number)
{
	struct import_member *member = import_member(importing, record->tid);
	struct import_program *program;

	if (!member)
		return;
	if (record->kind == RF_EXEC) {
		if (array_grow(importing->programs, importing->programs_room, importing->nr_programs + 1)) {
			importing->out_of_memory = true;
			return;
		}
		importing->programs[importing->nr_programs++] = (struct import_program){ false };
	}
	if (import_begins_program(record)) {
		import_run_program(importing, record);
		member = import_member(importing, record->tid);
	}
	program = program_of(importing, member);
	/* What exec does in the kernel is of the next program already. */
	if (record->kind == RF_FAULT && !(record->f[1] & RF_FAULT_KERNEL)) {
		program->low |= record->f[0] < COMPAT_END;
		program->high |= record->f[0] >= COMPAT_END;
	}
	/* The end of an exec is a call of either. */
	if (record->kind >= RF_SYS_MMAP && record->kind < RF_SYS_RET && !by_number)
		program->native_calls = true;
}

static void warn_of_unknown_calls(struct importing *importing)
{
	u32 nr = 0;

	for (size_t i = 0; i < importing->nr_programs; i++)
		nr += is_compat(&importing->programs[i]);
	for (size_t i = 0; i < importing->nr_members; i++)
		nr += is_compat(&importing->members[i].first);
	if (nr && importing->kernel.compat && !importing->has_numbers)
		import_warn(importing, "32-bit programs: %u: their system calls were not recorded (raw_syscalls has them); "
			    "their address spaces are marked inexact", nr);
}

void import_programs_again(struct importing *importing)
{
	warn_of_unknown_calls(importing);
	importing->execs = 0;
	for (size_t i = 0; i < importing->nr_members; i++)
		importing->members[i].program = first_program(importing, &importing->members[i]);
}

bool import_is_compat(const struct importing *importing, u32 tid)
{
	u32 number = import_tids_find(&importing->tids, tid);

	return number && importing->kernel.compat && is_compat(program_of(importing, &importing->members[number - 1]));
}

u64 import_compat_abi(const struct importing *importing)
{
	return importing->kernel.isa == RF_ISA_ARM64 ? RF_ABI_ARM : RF_ABI_I386;
}
