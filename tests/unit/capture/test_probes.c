// SPDX-License-Identifier: MIT
/*
 * Events of our own kprobes, as an arm64 kernel (6.12) lays them out, and what must
 * come of them; and perf's page faults, which stand in where there are no kprobes.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "traces/events/decode.h"
#include "capture/perf/perf.h"

#define COMMON                                                                                                         \
	"format:\n"                                                                                                    \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"                                 \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"                                                   \
	"\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;\n"

static const char fault_format[] = "name: handle_mm_fault\nID: 2082\n" COMMON
	"\tfield:u64 addr;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:u32 flags;\toffset:24;\tsize:4;\tsigned:0;\n\n"
	"print fmt: \"(%lx) addr=0x%Lx flags=0x%x\", REC->__probe_ip, REC->addr, REC->flags\n";

static const char write_format[] = "name: vfs_write\nID: 2083\n" COMMON
	"\tfield:u64 ino;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:u32 dev;\toffset:24;\tsize:4;\tsigned:0;\n"
	"\tfield:u64 count;\toffset:28;\tsize:8;\tsigned:0;\n"
	"\tfield:__data_loc char[] text;\toffset:36;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"(%lx) ino=%Lu dev=%u count=%Lu text=\\\"%s\\\"\", REC->__probe_ip, REC->ino, REC->dev, "
	"REC->count, __get_str(text)\n";

static const char gup_format[] = "name: pin_user_pages_fast\nID: 2084\n" COMMON
	"\tfield:u64 addr;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:s32 nr;\toffset:24;\tsize:4;\tsigned:1;\n"
	"\tfield:u32 flags;\toffset:28;\tsize:4;\tsigned:0;\n\n"
	"print fmt: \"(%lx) addr=0x%Lx nr=%d flags=0x%x\", REC->__probe_ip, REC->addr, REC->nr, REC->flags\n";

static const char change_format[] = "name: add_mm_counter_fast\nID: 2085\n" COMMON
	"\tfield:s32 member;\toffset:16;\tsize:4;\tsigned:1;\n"
	"\tfield:s32 pages;\toffset:20;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"(%lx) member=%d pages=%d\", REC->__probe_ip, REC->member, REC->pages\n";

static const char set_format[] = "name: do_set_pte\nID: 2086\n" COMMON
	"\tfield:u64 addr;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:u64 shmem;\toffset:24;\tsize:8;\tsigned:0;\n"
	"\tfield:u64 tail;\toffset:32;\tsize:8;\tsigned:0;\n\n"
	"print fmt: \"(%lx) addr=0x%Lx shmem=%Lu tail=%Lu\", REC->__probe_ip, REC->addr, REC->shmem, REC->tail\n";

/* Bits of enum fault_flag. */
#define WRITE		(1 << 0)
#define EXCEPTION	(1 << 2 | 1 << 4 | 1 << 9)	/* FAULT_FLAG_DEFAULT */
#define TRIED		(1 << 5)
#define USER		(1 << 6)
#define REMOTE		(1 << 7)
#define INSTRUCTION	(1 << 8)
#define UNSHARE		(1 << 10)
#define VMA_LOCK	(1 << 12)

static const struct rf_kernel arm64 = { "6.12", "aarch64", RF_ISA_ARM64, 12, 36, 48, true, false };

static struct rf_decoder *decoder_of(const char *name, const char *format)
{
	struct rf_decoder *decoder = rf_decoder_create(&arm64, NULL);
	struct rf_error err = { 0 };
	size_t number = 0;

	while (number < rf_nr_events && (strcmp(rf_events[number].system, "kprobes") ||
					 strcmp(rf_events[number].name, name)))
		number++;
	assert_true(number < rf_nr_events);
	assert_non_null(rf_events[number].probe);
	if (rf_decoder_learn(decoder, number, format, &err))
		fail_msg("%s: %s", name, err.message);
	return decoder;
}

static void put(u8 *event, size_t offset, u64 value, size_t size)
{
	memcpy(event + offset, &value, size);
}

static void test_fault(void **state)
{
	static const u64 known = RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN;
	static const struct {
		u32 mm;
		u64 record;
	} cases[] = {
		{ EXCEPTION | USER, known },
		{ EXCEPTION | USER | WRITE | VMA_LOCK, known | RF_FAULT_WRITE | RF_FAULT_VMA_LOCK },
		{ EXCEPTION | USER | INSTRUCTION, known | RF_FAULT_EXEC },
		{ EXCEPTION | USER | WRITE | TRIED, known | RF_FAULT_WRITE | RF_FAULT_RETRY },
		{ EXCEPTION | WRITE, known | RF_FAULT_WRITE | RF_FAULT_KERNEL },
		{ 1 << 2 | 1 << 4 | WRITE | REMOTE,	/* exec's arguments */
		  known | RF_FAULT_WRITE | RF_FAULT_KERNEL | RF_FAULT_GUP | RF_FAULT_REMOTE },
		{ 1 << 2 | 1 << 4 | UNSHARE, known | RF_FAULT_KERNEL | RF_FAULT_GUP | RF_FAULT_UNSHARE },
	};
	struct rf_decoder *decoder = decoder_of("handle_mm_fault", fault_format);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 event[28] = { 0 };
		struct rf_record record;

		put(event, 0, 2082, 2);
		put(event, 4, 77, 4);
		put(event, 16, 0xfffff7ff1234, 8);
		put(event, 24, cases[i].mm, 4);
		assert_int_equal(rf_decode(decoder, event, sizeof(event), 5, &record, 1), 1);
		assert_int_equal(record.kind, RF_FAULT);
		assert_int_equal(record.tid, 77);
		assert_int_equal(record.f[0], 0xfffff7ff1234);
		assert_int_equal(record.f[1], cases[i].record);
	}
	rf_decoder_destroy(decoder);
}

static void test_counted_in_batches(void **state)
{
	struct rf_decoder *decoder = decoder_of("add_mm_counter_fast", change_format);
	struct rf_record record;
	u8 event[40] = { 0 };

	put(event, 0, 2085, 2);
	put(event, 4, 77, 4);
	put(event, 16, RF_RSS_SHMEM, 4);
	put(event, 20, (u32)-1, 4);
	assert_int_equal(rf_decode(decoder, event, 24, 5, &record, 1), 1);
	assert_int_equal(record.kind, RF_RSS_CHANGE);
	assert_int_equal(record.f[0], RF_RSS_SHMEM);
	assert_int_equal((s64)record.f[1], -1);
	rf_decoder_destroy(decoder);
	decoder = decoder_of("do_set_pte", set_format);
	put(event, 0, 2086, 2);
	put(event, 16, 0xfffff7ff1000, 8);
	put(event, 24, 1, 8);
	put(event, 32, 0, 8);
	assert_int_equal(rf_decode(decoder, event, 40, 5, &record, 1), 1);
	assert_int_equal(record.kind, RF_SET_PTE);
	assert_int_equal(record.f[0], 0xfffff7ff1000);
	assert_int_equal(record.f[1], 1);
	assert_int_equal(record.f[2], 0);
	rf_decoder_destroy(decoder);
}

static void test_gup(void **state)
{
	struct rf_decoder *decoder = decoder_of("pin_user_pages_fast", gup_format);
	struct rf_record record;
	u8 event[32] = { 0 };

	put(event, 0, 2084, 2);
	put(event, 4, 77, 4);
	put(event, 16, 0xfffff7ff1000, 8);
	put(event, 24, 512, 4);
	put(event, 28, 0x10001, 4);	/* FOLL_WRITE, and one that does not matter */
	assert_int_equal(rf_decode(decoder, event, sizeof(event), 5, &record, 1), 1);
	assert_int_equal(record.kind, RF_GUP);
	assert_int_equal(record.tid, 77);
	assert_int_equal(record.f[0], 0);
	assert_int_equal(record.f[1], 0xfffff7ff1000);
	assert_int_equal(record.f[2], 512 * 4096);
	assert_int_equal(record.f[3], RF_GUP_FAST | RF_GUP_WRITE);
	put(event, 28, 0x10000, 4);
	assert_int_equal(rf_decode(decoder, event, sizeof(event), 5, &record, 1), 1);
	assert_int_equal(record.f[3], RF_GUP_FAST);
	rf_decoder_destroy(decoder);
}

/* A write of "count" bytes: what lies behind them in the program's memory is none of our business. */
static struct rf_record written(const char *memory, u64 count)
{
	struct rf_decoder *decoder = decoder_of("vfs_write", write_format);
	size_t length = strlen(memory) + 1;
	struct rf_record record;
	u8 event[128] = { 0 };

	put(event, 0, 2083, 2);
	put(event, 4, 77, 4);
	put(event, 28, count, 8);
	put(event, 36, 40 | length << 16, 4);
	memcpy(event + 40, memory, length);
	assert_int_equal(rf_decode(decoder, event, 40 + (u32)length, 5, &record, 1), 1);
	assert_int_equal(record.kind, RF_MARKER);
	rf_decoder_destroy(decoder);
	return record;
}

static void test_mark(void **state)
{
	struct rf_record record = written("WL BEGIN anon\n", 14);

	assert_string_equal((const char *)record.f, "WL BEGIN anon");
	record = written("phase 2secret", 7);
	assert_string_equal((const char *)record.f, "phase 2");
	record = written("phase", ~0ull);
	assert_string_equal((const char *)record.f, "phase");
	record = written("", 0);
	assert_int_equal(record.f[0], 0);
}

/* The text's place, as an event tells it, may be anywhere: nothing outside of the event is read. */
static void test_mark_out_of_bounds(void **state)
{
	struct rf_decoder *decoder = decoder_of("vfs_write", write_format);
	struct rf_record record;
	u8 event[44] = { 0 };

	put(event, 0, 2083, 2);
	put(event, 28, 100, 8);
	memset(event + 40, 'x', 4);
	put(event, 36, 0xffff0000 | 42, 4);
	assert_int_equal(rf_decode(decoder, event, sizeof(event), 5, &record, 1), 1);
	assert_string_equal((const char *)record.f, "xx");
	put(event, 36, 0xffffffff, 4);
	assert_int_equal(rf_decode(decoder, event, sizeof(event), 5, &record, 1), 1);
	assert_int_equal(record.f[0], 0);
	assert_int_equal(rf_decode(decoder, event, 36, 5, &record, 1), 0);
	assert_int_equal(rf_decode(decoder, event, 39, 5, &record, 1), 0);
	rf_decoder_destroy(decoder);
}

static void test_perf_fault(void **state)
{
	struct {
		struct perf_event_header header;
		u32 pid, tid;
		u64 time, addr;
	} sample = { { PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER, sizeof(sample) }, 10, 11, 5555, 0x7f0012345678 };
	struct rf_record record;
	const char *path;
	pid_t pid, parent;

	assert_true(rf_perf_decode(&sample.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(pid, 10);
	assert_int_equal(record.kind, RF_FAULT);
	assert_int_equal(record.tid, 11);
	assert_int_equal(record.time, 5555);
	assert_int_equal(record.f[0], 0x7f0012345678);
	assert_int_equal(record.f[1], RF_FAULT_UNKNOWN);
	assert_null(path);
	sample.header.misc = PERF_RECORD_MISC_KERNEL;
	assert_true(rf_perf_decode(&sample.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.f[1], RF_FAULT_UNKNOWN | RF_FAULT_KERNEL);
	sample.header.size = 24;
	assert_false(rf_perf_decode(&sample.header, 12, &record, &pid, &parent, &path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_gup),
		cmocka_unit_test(test_counted_in_batches),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_mark_out_of_bounds),
		cmocka_unit_test(test_perf_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
