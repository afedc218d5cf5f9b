// SPDX-License-Identifier: MIT
/*
 * The perf side-band: records as the kernel lays them out in its ring, and what
 * must come of them; and that a real ring can be had and followed.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "capture/perf/perf.h"

/* A record being built: header, then values, then pid, tid and time as sample_id_all appends them. */
struct built {
	union {
		struct perf_event_header header;
		u8 bytes[256];
	};
	size_t used;
};

static struct built begin(u32 type, u16 misc)
{
	struct built b = { .header = { .type = type, .misc = misc }, .used = sizeof(struct perf_event_header) };

	return b;
}

static void put(struct built *b, u64 value, size_t size)
{
	memcpy(b->bytes + b->used, &value, size);
	b->used += size;
}

/* Text is padded with zeroes to eight bytes. */
static void put_text(struct built *b, const char *text)
{
	size_t length = ALIGN_UP(strlen(text) + 1, (size_t)8);

	memset(b->bytes + b->used, 0, length);
	memcpy(b->bytes + b->used, text, strlen(text));
	b->used += length;
}

static void end(struct built *b, u32 pid, u32 tid, u64 time)
{
	put(b, pid, 4);
	put(b, tid, 4);
	put(b, time, 8);
	b->header.size = (u16)b->used;
}

static struct built mmap2(u32 maj, u32 min, u64 ino, u64 pgoff, u32 prot, u32 flags, const char *name)
{
	struct built b = begin(PERF_RECORD_MMAP2, 0);

	put(&b, 10, 4);
	put(&b, 11, 4);
	put(&b, 0x7f0000000000, 8);
	put(&b, 0x3000, 8);
	put(&b, pgoff, 8);
	put(&b, maj, 4);
	put(&b, min, 4);
	put(&b, ino, 8);
	put(&b, 0, 8);
	put(&b, prot, 4);
	put(&b, flags, 4);
	put_text(&b, name);
	end(&b, 10, 11, 5555);
	return b;
}

static void test_mmap2(void **state)
{
	struct built b = mmap2(254, 3, 77, 0x5000, PROT_READ | PROT_EXEC, MAP_PRIVATE, "/usr/lib/libx.so");
	struct rf_record record;
	const char *path;
	pid_t pid, parent;

	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(pid, 10);
	assert_int_equal(record.kind, RF_MMAP2);
	assert_int_equal(record.time, 5555);
	assert_int_equal(record.tid, 11);
	assert_int_equal(record.f[0], 0x7f0000000000);
	assert_int_equal(record.f[1], 0x3000);
	assert_int_equal(record.f[2], 5);
	assert_int_equal(record.f[3], 254 << 20 | 3);
	assert_int_equal(record.f[4], 77);
	assert_int_equal(record.f[5], RF_VM_READ | RF_VM_EXEC);
	assert_string_equal(path, "/usr/lib/libx.so");
}

static void test_mmap2_names(void **state)
{
	static const struct {
		const char *name;
		u64 flags;
	} cases[] = {
		{ "[stack]", RF_VMA_STACK << RF_VMA_NAME_SHIFT | RF_VM_GROWSDOWN },
		{ "[heap]", RF_VMA_HEAP << RF_VMA_NAME_SHIFT },
		{ "[vdso]", RF_VMA_VDSO << RF_VMA_NAME_SHIFT },
		{ "[vvar]", RF_VMA_VVAR << RF_VMA_NAME_SHIFT },
		{ "[vvar_vclock]", RF_VMA_VVAR_VCLOCK << RF_VMA_NAME_SHIFT },
		{ "[uprobes]", RF_VMA_OTHER << RF_VMA_NAME_SHIFT },
		{ "//anon", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct built b = mmap2(0, 0, 0, 0x7fff1000, PROT_READ | PROT_WRITE, MAP_PRIVATE, cases[i].name);
		struct rf_record record;
		const char *path;
		pid_t pid, parent;

		assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
		assert_int_equal(record.f[5], cases[i].flags | RF_VM_READ | RF_VM_WRITE);
		assert_int_equal(record.f[2], 0);		/* anonymous memory has no offset in /proc/PID/maps */
		assert_null(path);
	}
}

static void test_shared(void **state)
{
	struct built b = mmap2(0, 1, 4, 0, PROT_WRITE, MAP_SHARED | MAP_LOCKED, "/memfd:x (deleted)");
	struct rf_record record;
	const char *path;
	pid_t pid, parent;

	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.f[5], RF_VM_WRITE | RF_VM_SHARED | RF_VM_LOCKED);
}

static void test_comm(void **state)
{
	struct built b = begin(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
	struct rf_record record;
	const char *path;
	pid_t pid, parent;

	put(&b, 10, 4);
	put(&b, 10, 4);
	put_text(&b, "redis-server");
	end(&b, 10, 10, 1);
	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.kind, RF_COMM);
	assert_memory_equal(record.f, "redis-server\0\0\0", 16);
	assert_int_equal(record.f[2], 1);
}

static void test_task(void **state)
{
	struct built b = begin(PERF_RECORD_FORK, 0);
	struct rf_record record;
	const char *path;
	pid_t pid, parent;

	for (u32 i = 0; i < 4; i++)
		put(&b, 20 + i, 4);		/* pid, ppid, tid, ptid */
	put(&b, 9, 8);
	end(&b, 21, 23, 9);
	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.kind, RF_TASK_FORK);
	assert_int_equal(pid, 20);
	assert_int_equal(parent, 21);
	assert_int_equal(record.tid, 22);
	assert_int_equal(record.f[0], 20);
	assert_int_equal(record.f[1], 21);
	assert_int_equal(record.f[2], 23);
	b.header.type = PERF_RECORD_EXIT;
	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.kind, RF_TASK_EXIT);
	b.header.type = PERF_RECORD_THROTTLE;
	assert_false(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmap2), cmocka_unit_test(test_mmap2_names), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_comm),  cmocka_unit_test(test_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
