// SPDX-License-Identifier: MIT
/* System calls by number: what raw_syscalls tell of tasks of each ABI. Numbers are those of the kernel's tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "traces/events/calls.h"
#include "traces/events/decode.h"
#include "traces/trace.h"

#define COMMON                                                                                     \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                     \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static const char enter_format[] = "name: sys_enter\nID: 348\nformat:\n" COMMON
	"\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n"
	"\tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n\nprint fmt: \"\"\n";
static const char exit_format[] = "name: sys_exit\nID: 347\nformat:\n" COMMON
	"\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n"
	"\tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n\nprint fmt: \"\"\n";

static const struct rf_kernel x86 = { "6.18", "x86_64", RF_ISA_X86, 12, 34, 46, true, false };
static const struct rf_kernel arm64 = { "6.18", "aarch64", RF_ISA_ARM64, 12, 36, 48, true, false };
static const struct rf_kernel riscv = { "6.18", "riscv64", RF_ISA_RISCV, 12, 44, 56, false, false };

static size_t row_of(const char *system, const char *name)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!strcmp(rf_events[i].system, system) && !strcmp(rf_events[i].name, name))
			return i;
	fail_msg("no row %s:%s", system, name);
	return 0;
}

static struct rf_decoder *decoder_of(const struct rf_kernel *kernel)
{
	struct rf_error err;
	struct rf_decoder *decoder = rf_decoder_create(kernel, &err);

	assert_non_null(decoder);
	assert_int_equal(rf_decoder_learn(decoder, row_of("raw_syscalls", "sys_enter"), enter_format, &err), 0);
	assert_int_equal(rf_decoder_learn(decoder, row_of("raw_syscalls", "sys_exit"), exit_format, &err), 0);
	return decoder;
}

/* One event into records, as text: "kind field field..., compat"; of two a line each. */
static const char *decode(const struct rf_decoder *decoder, u16 id, u64 number, const u64 words[6])
{
	static char text[1024];
	struct rf_record records[RF_DECODE_MAX];
	u8 event[64] = { 0 };
	u32 pid = 77;
	size_t nr, used = 0;

	memcpy(event, &id, sizeof(id));
	memcpy(event + 4, &pid, sizeof(pid));
	memcpy(event + 8, &number, sizeof(number));
	memcpy(event + 16, words, id == 347 ? 8 : 48);
	nr = rf_decode(decoder, event, id == 347 ? 24 : 64, 5, records, RF_DECODE_MAX);
	text[0] = '\0';
	for (size_t i = 0; i < nr; i++) {
		char line[400];

		assert_int_equal(records[i].tid, 77);
		rf_text_record(&records[i], line, sizeof(line));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s", i ? " | " : "",
					 strstr(line, "tid=77") + 7, records[i].compat ? " compat" : "");
	}
	return text;
}

static const char *enters(const struct rf_decoder *decoder, u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return decode(decoder, 348, number, (u64[6]){ a, b, c, d, e, f });
}

static const char *returns(const struct rf_decoder *decoder, u64 number, u64 result)
{
	return decode(decoder, 347, number, (u64[6]){ result });
}

static void test_i386(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86);

	(void)state;
	/* mmap2(): fd -1 in 32 bits, the offset in pages, above what 32 bits of bytes could say. */
	assert_string_equal(enters(decoder, 192, 0, 0x5000, 3, 0x22, 0xffffffff, 0x180000),
			    "mmap addr=0x0 len=0x5000 prot=0x3 flags=0x22 fd=-1 offset=0x180000000 compat");
	assert_string_equal(returns(decoder, 192, 0xf7d00000), "sys_ret call=16 ret=4157603840 compat");
	assert_string_equal(returns(decoder, 192, (u64)-12), "sys_ret call=16 ret=-12 compat");
	assert_string_equal(enters(decoder, 90, 0xffc01000, 0, 0, 0, 0, 0),
			    "mmap addr=0x0 len=0x0 prot=0x0 flags=0x0 fd=0 offset=0x0 compat");
	assert_string_equal(enters(decoder, 91, 0xf7000000, 0x1000, 0, 0, 0, 0),
			    "munmap addr=0xf7000000 len=0x1000 compat");
	assert_string_equal(enters(decoder, 125, 0xf7000000, 0x1000, 1, 0, 0, 0),
			    "mprotect addr=0xf7000000 len=0x1000 prot=0x1 pkey=-1 compat");
	assert_string_equal(enters(decoder, 45, 0x56560000, 0, 0, 0, 0, 0), "brk addr=0x56560000 compat");
	assert_string_equal(enters(decoder, 120, 0x1200011, 0, 0, 0, 0xf7f00ba8, 0), "clone flags=0x1200011 compat");
	assert_string_equal(enters(decoder, 190, 0, 0, 0, 0, 0, 0), "clone flags=0x4111 compat");
	assert_string_equal(enters(decoder, 252, 0, 0, 0, 0, 0, 0), "exit group=1 compat");
	/* Shared futexes only, as for those with an event of their own. */
	assert_string_equal(enters(decoder, 240, 0xf7000000, 1, 0, 0, 0, 0), "futex addr=0xf7000000 op=1 compat");
	assert_string_equal(enters(decoder, 422, 0xf7000000, 129, 0, 0, 0, 0), "");
	rf_decoder_destroy(decoder);
}

/* sys_ipc(): SHMAT and SHMDT, and what is neither. */
static void test_ipc(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86);

	(void)state;
	assert_string_equal(enters(decoder, 117, 21, 5, 010000, 0xffc00000, 0, 0),
			    "shmat shmid=5 addr=0x0 flags=0x1000 compat");
	assert_string_equal(enters(decoder, 117, 22, 0, 0, 0, 0xf7100000, 0), "shmdt addr=0xf7100000 compat");
	assert_string_equal(enters(decoder, 117, 1, 5, 1, 0, 0xffc00000, 0), "");
	assert_string_equal(returns(decoder, 117, 0), "sys_ret call=0 ret=0 compat");
	rf_decoder_destroy(decoder);
}

/* What 64-bit tasks say under the same number: openat() is 257, and none of its words fits a 32-bit register. */
static void test_others(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86);

	(void)state;
	assert_string_equal(enters(decoder, 257, 0xffffff9c, 0x7ffc12345678, 0, 0, 0, 0), "");
	assert_string_equal(enters(decoder, 9, 0, 0x5000, 3, 0x22, 0xffffffff, 0), "");
	/* x32: numbers of x86-64 with a bit, and some of its own. */
	assert_string_equal(enters(decoder, 0x40000000 | 9, 0, 0x5000, 3, 0x22, 0xffffffff, 0x3000),
			    "mmap addr=0x0 len=0x5000 prot=0x3 flags=0x22 fd=-1 offset=0x3000 compat");
	assert_string_equal(enters(decoder, 0x40000000 | 520, 0, 0, 0, 0, 0, 0), "execve compat");
	assert_string_equal(enters(decoder, 0x40000000 | 0, 0, 0, 0, 0, 0, 0), "");
	rf_decoder_destroy(decoder);
}

static void test_arm(void **state)
{
	struct rf_decoder *decoder = decoder_of(&arm64);

	(void)state;
	/* Upper halves of registers are whatever they were; the result is sign-extended, an address as well. */
	assert_string_equal(enters(decoder, 192, 0, 0xaaaa00005000, 3, 0x22, 0xffffffff, 3),
			    "mmap addr=0x0 len=0x5000 prot=0x3 flags=0x22 fd=-1 offset=0x3000 compat");
	assert_string_equal(returns(decoder, 192, 0xfffffffff7d00000), "sys_ret call=16 ret=4157603840 compat");
	assert_string_equal(returns(decoder, 192, (u64)-22), "sys_ret call=16 ret=-22 compat");
	assert_string_equal(enters(decoder, 220, 0xf7000000, 0x1000, 4, 0, 0, 0),
			    "madvise addr=0xf7000000 len=0x1000 advice=4 compat");
	rf_decoder_destroy(decoder);
}

/* Kernels without events of calls: what it is to either is told, and readers know the task. */
static void test_native(void **state)
{
	static const char *const rows[] = { "sys_enter_munmap", "sys_exit_munmap", "sys_enter_clone" };
	const struct rf_kernel *kernels[] = { &x86, &arm64, &riscv };
	const u64 munmap_number[] = { 11, 215, 215 }, clone_number[] = { 56, 220, 220 };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kernels); k++) {
		struct rf_decoder *decoder = decoder_of(kernels[k]);

		assert_false(rf_decoder_has_calls_by_number(decoder));
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			assert_true(rf_decoder_by_number(decoder, row_of("syscalls", rows[i])));
		assert_string_equal(enters(decoder, munmap_number[k], 0x7f0012345000, 0x1000, 0, 0, 0, 0),
				    "munmap addr=0x7f0012345000 len=0x1000");
		assert_memory_equal(returns(decoder, munmap_number[k], 0), "sys_ret call=17 ret=0", 21);
		assert_memory_equal(enters(decoder, clone_number[k], 0x1200011, 0, 0, 0, 0, 0),
				    "clone flags=0x1200011", 21);
		/* Not asked for. */
		assert_string_equal(enters(decoder, 435, 0x7f0012345000, 0x58, 0, 0, 0, 0),
				    kernels[k] == &arm64 ? "clone flags=0xffffffffffffffff compat" : "");
		rf_decoder_destroy(decoder);
	}
	/* One number, two calls. */
	struct rf_decoder *decoder = decoder_of(&x86);

	assert_true(rf_decoder_by_number(decoder, row_of("syscalls", "sys_enter_munmap")));
	assert_string_equal(enters(decoder, 11, 0x10000, 0x1000, 0, 0, 0, 0),
			    "munmap addr=0x10000 len=0x1000 | execve compat");
	rf_decoder_destroy(decoder);
}

/* Every call of the event table has numbers; a new one has to be given its own. */
static void test_every_call_has_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < rf_nr_events; i++) {
		const struct rf_event *event = &rf_events[i];

		if (strcmp(event->system, "syscalls") || strncmp(event->name, "sys_enter_", 10))
			continue;
		for (int n = 0; n < RF_NUMBERINGS; n++) {
			bool none = (n == RF_NUMBERS_GENERIC && strstr(event->name, "fork")) ||
				    ((n == RF_NUMBERS_I386 || n == RF_NUMBERS_ARM) &&
				     !strcmp(event->name, "sys_enter_exit"));

			if (!none && !rf_call_number(n, event->name + 10))
				fail_msg("%s has no number %d in traces/events/calls.c", event->name, n);
		}
	}
}

/* The filter as the kernel would apply it: numbers of && || ( ) == < >= <=. */
static bool matches(const char **at, u64 id);

static bool matches_one(const char **at, u64 id)
{
	unsigned long number;
	bool result;
	char how[3];
	int used;

	if (**at == '(') {
		++*at;
		result = matches(at, id);
		assert_int_equal(*(*at)++, ')');
		return result;
	}
	assert_int_equal(sscanf(*at, "id %2[<>=] %lu%n", how, &number, &used), 2);
	*at += used;
	return !strcmp(how, "==") ? id == number : !strcmp(how, "<") ? id < number :
	       !strcmp(how, ">=") ? id >= number : id <= number;
}

static bool matches(const char **at, u64 id)
{
	bool result = matches_one(at, id), all = result, next;

	for (;;) {
		if (!strncmp(*at, " && ", 4)) {
			*at += 4;
			next = matches_one(at, id);
			all = all && next;
		} else if (!strncmp(*at, " || ", 4)) {
			*at += 4;
			result = all;
			next = matches(at, id);
			return result || next;
		} else {
			return all;
		}
	}
}

static void test_filter(void **state)
{
	static const u64 i386[] = { 2, 11, 45, 90, 91, 117, 120, 125, 150, 153, 163, 192, 219, 252, 440, 0x40000009 };
	static const u64 not_i386[] = { 0, 1, 3, 4, 9, 12, 44, 46, 149, 154, 202, 220, 500, 600 };
	static const u64 native[] = { 9, 11, 12, 56, 231, 45, 192 };
	char filter[RF_CALL_FILTER_MAX];

	(void)state;
	rf_calls_filter(RF_ISA_X86, false, filter);
	assert_true(strlen(filter) < 2000);
	for (size_t i = 0; i < ARRAY_SIZE(i386); i++) {
		const char *at = filter;

		assert_true(matches(&at, i386[i]));
		assert_string_equal(at, "");
	}
	for (size_t i = 0; i < ARRAY_SIZE(not_i386); i++) {
		const char *at = filter;

		assert_false(matches(&at, not_i386[i]));
	}
	rf_calls_filter(RF_ISA_X86, true, filter);
	for (size_t i = 0; i < ARRAY_SIZE(native); i++) {
		const char *at = filter;

		assert_true(matches(&at, native[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_i386),
		cmocka_unit_test(test_ipc),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_arm),
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_every_call_has_numbers),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
