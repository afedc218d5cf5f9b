// SPDX-License-Identifier: MIT
/*
 * Call stacks: samples as the kernel lays them out, code of processes, and this program's own frames unwound from a
 * copy of its stack.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/perf/calls.h"
#include "kept_records.h"
#include "traces/events/calls.h"

/* ---- samples --------------------------------------------------------------------- */

struct built {
	union {
		struct perf_event_header header;
		u8 bytes[1024];
	};
	size_t used;
};

static void put(struct built *b, u64 value, size_t size)
{
	memcpy(b->bytes + b->used, &value, size);
	b->used += size;
}

/* 24 bytes of stack, of which 16 could be read. */
static struct built sample(u64 number, u64 abi)
{
	static const u8 order[] = RF_STACK_ORDER;
	struct built b = { .header = { .type = PERF_RECORD_SAMPLE }, .used = sizeof(struct perf_event_header) };

	put(&b, 7, 4);
	put(&b, 8, 4);
	put(&b, 123456, 8);
	put(&b, 68, 4);			/* raw data: 8 common bytes, the number, six words; padded */
	put(&b, 0, 8);
	put(&b, number, 8);
	for (int i = 0; i < 6; i++)
		put(&b, 0, 8);
	put(&b, 0, 4);
	put(&b, abi, 8);
	for (size_t i = 0; abi && i < ARRAY_SIZE(order); i++)
		put(&b, 0x1000 + order[i], 8);
	put(&b, 24, 8);
	for (u64 i = 0; i < 3; i++)
		put(&b, 0x2000 + i, 8);
	put(&b, 16, 8);
	b.header.size = (u16)b.used;
	return b;
}

static u64 number_of(const char *name)
{
	enum rf_numbering numbering;

	assert_true(rf_calls_native(RF_ISA_X86, &numbering));
	return rf_call_number(numbering, name);
}

static void test_samples(void **state)
{
	struct built call = sample(number_of("madvise"), PERF_SAMPLE_REGS_ABI_64), other = sample(0, 2);
	struct built compat = sample(number_of("munmap"), PERF_SAMPLE_REGS_ABI_32);
	struct rf_stack_sample taken;
	u64 time, second;
	pid_t pid;

	assert_true(rf_call_event_task(&call.header, &pid, &time));
	assert_int_equal(pid, 7);
	assert_int_equal(time, 123456);
	assert_true(rf_call_event_sample(RF_ISA_X86, &call.header, &taken));
	assert_int_equal(taken.tid, 8);
	assert_int_equal(taken.call, RF_SYS_MADVISE);
	assert_int_equal(taken.registers[RF_STACK_PC], 0x1000 + RF_STACK_PC);
	assert_int_equal(taken.registers[RF_STACK_SP], 0x1000 + RF_STACK_SP);
	assert_int_equal(taken.registers[RF_STACK_FP], 0x1000 + RF_STACK_FP);
	assert_int_equal(taken.size, 16);
	memcpy(&second, taken.bytes + 8, 8);
	assert_int_equal(second, 0x2001);
	/* A 32-bit task, no call that is recorded, and what is cut anywhere. */
	assert_false(rf_call_event_sample(RF_ISA_X86, &compat.header, &taken));
	assert_false(rf_call_event_sample(RF_ISA_X86, &other.header, &taken));
	for (call.header.size = 24; call.header.size < call.used; call.header.size++)
		assert_false(rf_call_event_sample(RF_ISA_X86, &call.header, &taken));
}

/* ---- code of processes ------------------------------------------------------------ */

static void expect_code(struct rf_spaces *spaces, pid_t pid, u64 address, u64 start, u64 offset)
{
	const struct rf_code *code = rf_spaces_find(spaces, pid, address);

	assert_non_null(code);
	assert_int_equal(code->start, start);
	assert_int_equal(code->offset, offset);
}

/* What is mapped last is there; a fork has the same; an exec has nothing. Numbers of processes that cannot be. */
static void test_spaces(void **state)
{
	const pid_t parent = 1 << 30, child = parent + 1;
	struct rf_spaces spaces = { 0 };

	rf_spaces_mapped(&spaces, parent, 0x1000, 0x1000, 0, 0, 0, NULL);	/* not known yet: of no use */
	rf_spaces_emptied(&spaces, parent);
	assert_true(rf_spaces_is_empty(&spaces, parent));
	rf_spaces_mapped(&spaces, parent, 0x10000, 0x10000, 0x5000, 0, 0, NULL);
	rf_spaces_mapped(&spaces, parent, 0x14000, 0x1000, 0, 0, 0, NULL);	/* into the middle */
	expect_code(&spaces, parent, 0x13fff, 0x10000, 0x5000);
	expect_code(&spaces, parent, 0x14000, 0x14000, 0);
	expect_code(&spaces, parent, 0x15000, 0x15000, 0xa000);
	assert_null(rf_spaces_find(&spaces, parent, 0x20000));
	rf_spaces_forked(&spaces, child, parent);
	rf_spaces_mapped(&spaces, parent, 0x13000, 0x3000, 0x100, 0, 0, NULL);	/* over all three */
	expect_code(&spaces, parent, 0x12fff, 0x10000, 0x5000);
	expect_code(&spaces, parent, 0x15fff, 0x13000, 0x100);
	expect_code(&spaces, parent, 0x16000, 0x16000, 0xb000);
	expect_code(&spaces, child, 0x14000, 0x14000, 0);
	rf_spaces_emptied(&spaces, child);
	assert_null(rf_spaces_find(&spaces, child, 0x14000));
	expect_code(&spaces, parent, 0x10000, 0x10000, 0x5000);
	assert_true(rf_spaces_is_settled(&spaces, parent));
	rf_spaces_expect(&spaces, parent);
	assert_false(rf_spaces_is_settled(&spaces, parent));
	rf_spaces_told(&spaces, parent);
	assert_true(rf_spaces_is_settled(&spaces, parent));
	rf_spaces_ended(&spaces, parent);
	assert_false(rf_spaces_is_settled(&spaces, parent));
	assert_null(rf_spaces_find(&spaces, parent, 0x10000));
	rf_spaces_free(&spaces);
}

/* ---- this program ------------------------------------------------------------------ */

#define COPIED 4096

struct own {
	struct rf_stack_sample sample;
	u8 copy[COPIED];
	u64 returns[3];		/* to whom the innermost functions return */
};

/* As the kernel does it: all of it, whatever a sanitizer keeps between variables. */
static __attribute__((noinline, no_sanitize("address"))) void copy_stack(u8 *copy, u64 from)
{
	const volatile u8 *bytes = (const volatile u8 *)(uintptr_t)from;

	for (size_t i = 0; i < COPIED; i++)
		copy[i] = bytes[i];
}

/* As if a call were made here. */
static __attribute__((noinline)) void innermost(struct own *own)
{
	struct rf_stack_sample *sample = &own->sample;
	u64 *registers = sample->registers;

	own->returns[0] = (u64)(uintptr_t)__builtin_return_address(0);
#if defined(__x86_64__)
	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2" : "=r"(registers[RF_STACK_PC]),
			 "=r"(registers[RF_STACK_SP]), "=r"(registers[RF_STACK_FP]));
#else
	registers[RF_STACK_PC] = 0;
#endif
	sample->size = COPIED;
	sample->bytes = own->copy;
	copy_stack(own->copy, registers[RF_STACK_SP]);
}

static __attribute__((noinline)) void middle(struct own *own)
{
	own->returns[1] = (u64)(uintptr_t)__builtin_return_address(0);
	innermost(own);
	__asm__ volatile("" ::: "memory");	/* no tail call */
}

static __attribute__((noinline)) void outermost(struct own *own)
{
	volatile char room[256] = { 0 };

	own->returns[2] = (u64)(uintptr_t)__builtin_return_address(0);
	middle(own);
	__asm__ volatile("" : : "r"(&room) : "memory");
}

static __attribute__((noinline)) void take_own(struct own *own)
{
	memset(own, 0, sizeof(*own));
	own->sample.pid = own->sample.tid = (u32)getpid();
	own->sample.call = RF_SYS_MUNMAP;
	outermost(own);
	__asm__ volatile("" ::: "memory");
}

/* Places in a file are as far from one another as in memory. Code is found by /proc/self/maps. */
static void test_unwind(void **state)
{
	struct rf_frame frames[RF_STACK_FRAMES_MAX];
	struct rf_spaces spaces = { 0 };
	static struct own own;		/* not on the stack that is copied */
	size_t nr;

	take_own(&own);
	if (!own.sample.registers[RF_STACK_PC])
		skip();
	rf_spaces_look(&spaces, getpid());
	nr = rf_unwind(&spaces, &own.sample, frames);
	assert_true(nr >= 5);		/* and at least what called take_own() */
	for (size_t i = 0; i < 4; i++)
		assert_true(frames[i].module && frames[i].module == frames[0].module);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(frames[i + 2].offset - frames[i + 1].offset, own.returns[i + 1] - own.returns[i]);
	/* No more of the stack than this was copied: what returns from beyond it is not known. */
	own.sample.size = 16;
	assert_true(rf_unwind(&spaces, &own.sample, frames) < 4);
	own.sample.registers[RF_STACK_PC] = 8;
	assert_int_equal(rf_unwind(&spaces, &own.sample, frames), 0);
	rf_spaces_free(&spaces);
}

static void take(struct rf_stacks *stacks, const struct rf_stack_sample *sample)
{
	const struct rf_record call = { .time = sample->time, .tid = 1, .kind = RF_CALL_STACK,
					.f = { sample->call } };
	struct rf_error err;

	assert_int_equal(rf_stacks_write(stacks, 1, &call, rf_stacks_find(stacks, sample), &err), 0);
}

/* A stack is defined once, callers before what they call; each call names it, or none: its stack was copied, too. */
static void test_records(void **state)
{
	struct rf_writer *writer = kept_create();
	struct rf_error err = { 0 };
	struct rf_stacks *stacks = rf_stacks_create(writer, &err);
	u64 highest = 0, last = 0, nr_without = 0;
	struct own own;

	take_own(&own);
	if (!own.sample.registers[RF_STACK_PC])
		skip();
	assert_non_null(stacks);
	rf_spaces_look(rf_stacks_spaces(stacks), getpid());
	for (u64 i = 0; i < 3; i++) {
		own.sample.time = i;
		take(stacks, &own.sample);
	}
	own.sample.registers[RF_STACK_PC] = 8;
	take(stacks, &own.sample);
	rf_stacks_missed(stacks, RF_NO_STACK_RING, 5);
	assert_int_equal(rf_stacks_nr_missed(stacks), 6);
	assert_int_equal(rf_stacks_finish(stacks, &err), 0);
	assert_int_equal(kept_count(writer, RF_CALL_STACK), 4);
	assert_true(kept_count(writer, RF_MODULE) >= 1 && kept_count(writer, RF_MODULE) < 5);
	assert_int_equal(kept_count(writer, RF_NO_STACKS), 2);
	for (size_t i = 0; i < kept_nr(writer); i++) {
		const struct rf_record *record = kept_record(writer, i);

		if (record->kind == RF_STACK) {
			assert_true(record->f[1] < record->f[0] && record->f[0] == ++highest);
		} else if (record->kind == RF_CALL_STACK) {
			assert_int_equal(record->f[0], RF_SYS_MUNMAP);
			assert_true(!record->f[1] || !last || record->f[1] == last);
			last = max_u64(last, record->f[1]);
			nr_without += !record->f[1];
		}
	}
	assert_true(highest >= 5 && last == highest);
	assert_int_equal(nr_without, 1);
	rf_stacks_destroy(stacks);
	kept_destroy(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples), cmocka_unit_test(test_spaces), cmocka_unit_test(test_unwind),
		cmocka_unit_test(test_records),
	};

	return RF_STACKS_KNOWN ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
