// SPDX-License-Identifier: MIT
/*
 * The perf side-band: records as the kernel lays them out in its ring, what must
 * come of them, and in which order.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/perf/perf.h"
#include "capture/perf/rounds.h"
#include "kept_records.h"

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

static struct built comm_of(u32 pid, u64 time)
{
	struct built b = begin(PERF_RECORD_COMM, 0);

	put(&b, pid, 4);
	put(&b, pid, 4);
	put_text(&b, "a");
	end(&b, pid, pid, time);
	return b;
}

static struct built fork_of(u32 parent, u32 child, u64 time)
{
	struct built b = begin(PERF_RECORD_FORK, 0);

	put(&b, child, 4);
	put(&b, parent, 4);
	put(&b, child, 4);
	put(&b, parent, 4);
	put(&b, time, 8);
	end(&b, parent, parent, time);
	return b;
}

/* time 0: the event that there was room for again appends nothing. */
static struct built lost(u64 events, u32 pid, u64 time)
{
	struct built b = begin(PERF_RECORD_LOST, 0);

	put(&b, 1, 8);
	put(&b, events, 8);
	if (time)
		end(&b, pid, pid, time);
	b.header.size = (u16)b.used;
	return b;
}

static void test_lost(void **state)
{
	struct built b = lost(7, 20, 9);
	struct rf_record record;
	const char *path;
	pid_t pid, parent;

	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.kind, RF_LOST);
	assert_int_equal(record.f[0], 7);
	assert_int_equal(record.time, 9);
	assert_int_equal(pid, 20);
	b = lost(8, 0, 0);
	assert_true(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
	assert_int_equal(record.f[0], 8);
	assert_int_equal(record.time, 0);
	b.header.size = 16;
	assert_false(rf_perf_decode(&b.header, 12, &record, &pid, &parent, &path));
}

struct rounds_test {
	struct rf_rounds rounds;
	struct rf_round_stream rings[2];
};

static void start_rounds(struct rounds_test *test, rf_learn_followed *learn)
{
	struct rf_pid_list pids = { 0 };

	*test = (struct rounds_test){ .rounds = { .writer = kept_create(), .page_shift = 12 },
				      .rings = { { .stream = 0 }, { .stream = 1 } } };
	test->rounds.followed.learn = learn;
	assert_true(rf_pid_list_add(&pids, 10));
	assert_int_equal(rf_followed_start(&test->rounds.followed, &pids), 0);
	rf_pid_list_free(&pids);
}

static void end_rounds(struct rounds_test *test)
{
	kept_destroy(test->rounds.writer);
	rf_rounds_free(&test->rounds);
}

static void take(struct rounds_test *test, int ring, struct built b)
{
	assert_int_equal(rf_round_take(&test->rounds, &test->rings[ring], &b.header, NULL), 0);
}

static void end_round(struct rounds_test *test)
{
	rf_round_learn(&test->rounds);
	assert_int_equal(rf_round_write(&test->rounds, NULL), 0);
	rf_round_begin(&test->rounds);
}

static void expect_kept(const struct rounds_test *test, size_t at, u32 kind, u64 time, u16 stream)
{
	const struct rf_record *record = kept_record(test->rounds.writer, at);

	assert_true(at < kept_nr(test->rounds.writer));
	assert_int_equal(record->kind, kind);
	assert_int_equal(record->time, time);
	assert_int_equal(record->stream, stream);
}

/* A loss stands between the records of its ring that it lies between, though a record waits a round. */
static void test_losses_in_order(void **state)
{
	struct rounds_test test;

	start_rounds(&test, NULL);
	take(&test, 0, comm_of(10, 10));
	take(&test, 0, lost(5, 99, 50));	/* the first to find room was a stranger */
	take(&test, 0, comm_of(99, 50));
	take(&test, 0, comm_of(10, 60));
	take(&test, 1, comm_of(10, 30));
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 0);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 4);
	expect_kept(&test, 0, RF_COMM, 10, 0);
	expect_kept(&test, 1, RF_COMM, 30, 1);
	expect_kept(&test, 2, RF_LOST, 50, 0);
	expect_kept(&test, 3, RF_COMM, 60, 0);
	assert_int_equal(test.rings[0].lost, 5);
	assert_int_equal(test.rings[1].lost, 0);
	end_rounds(&test);
}

/* Without a time of its own it follows the last record of its ring, even if that was read in the round before. */
static void test_loss_without_time(void **state)
{
	struct rounds_test test;

	start_rounds(&test, NULL);
	for (u64 i = 0; i < 20; i++)
		take(&test, 1, comm_of(10, 5));
	end_round(&test);
	take(&test, 0, comm_of(10, 20));
	end_round(&test);
	take(&test, 0, lost(3, 0, 0));
	take(&test, 0, comm_of(10, 40));
	end_round(&test);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 23);
	expect_kept(&test, 20, RF_COMM, 20, 0);
	expect_kept(&test, 21, RF_LOST, 20, 0);
	expect_kept(&test, 22, RF_COMM, 40, 0);
	end_rounds(&test);
}

static int learn_self(const void *context, struct rf_pid_list *tids)
{
	assert_null(context);
	return rf_pid_list_add(tids, getpid()) ? 0 : -ENOMEM;
}

/* A process's birth was lost: it is found out, and stays known though its parent, of whom nothing was told, is not. */
static void test_births_lost(void **state)
{
	u32 self = (u32)getpid();
	struct rounds_test test;

	start_rounds(&test, learn_self);
	take(&test, 0, fork_of(4194000, self, 10));
	take(&test, 0, comm_of(self, 20));
	rf_round_learn(&test.rounds);
	assert_false(rf_is_followed(&test.rounds.followed, (pid_t)self));
	rf_followed_relearn(&test.rounds.followed);
	assert_int_equal(rf_round_write(&test.rounds, NULL), 0);
	rf_round_begin(&test.rounds);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 2);
	end_rounds(&test);
}

/* The fork of 20 is read after what 20 and its child do, as it lies in another ring. */
static void test_births_late(void **state)
{
	struct rounds_test test;

	start_rounds(&test, NULL);
	take(&test, 0, fork_of(20, 30, 15));
	take(&test, 0, comm_of(30, 16));
	end_round(&test);
	take(&test, 1, fork_of(10, 20, 10));
	end_round(&test);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 3);
	take(&test, 0, fork_of(7, 20, 50));	/* its number is a stranger's now */
	take(&test, 0, comm_of(20, 51));
	end_round(&test);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 3);
	end_rounds(&test);
}

/* Mappings of a known stranger do not wait; what its number is used for later does. */
static void test_strangers(void **state)
{
	struct rounds_test test;

	start_rounds(&test, NULL);
	rf_know_stranger(&test.rounds.followed, 77, true);
	for (u64 i = 0; i < 100; i++)
		take(&test, 0, comm_of(77, 10 + i));
	assert_int_equal(test.rounds.nr, 0);
	take(&test, 0, lost(3, 0, 0));
	assert_int_equal(test.rounds.nr, 1);
	take(&test, 0, fork_of(77, 78, 200));		/* its child is one as well */
	end_round(&test);
	assert_true(rf_is_stranger(&test.rounds.followed, 78));
	end_round(&test);
	expect_kept(&test, 0, RF_LOST, 109, 0);
	end_round(&test);
	take(&test, 1, fork_of(10, 77, 300));		/* the number is a child's of ours now */
	end_round(&test);
	assert_false(rf_is_stranger(&test.rounds.followed, 77));
	take(&test, 0, comm_of(77, 310));
	end_round(&test);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 3);
	end_rounds(&test);
}

/* Whose parent is unknown in the round in which it is read may still be one of ours. */
static void test_unknown_is_no_stranger(void **state)
{
	struct rounds_test test;

	start_rounds(&test, NULL);
	take(&test, 0, fork_of(20, 30, 15));
	end_round(&test);
	assert_false(rf_is_stranger(&test.rounds.followed, 30));
	take(&test, 1, fork_of(10, 20, 10));
	end_round(&test);
	assert_true(rf_is_followed(&test.rounds.followed, 30));
	assert_false(rf_is_stranger(&test.rounds.followed, 30));
	take(&test, 0, fork_of(40, 41, 20));		/* of nobody that is known: the round after tells */
	end_round(&test);
	end_round(&test);
	assert_true(rf_is_stranger(&test.rounds.followed, 41));
	end_rounds(&test);
}

/*
 * Once births were lost, the children of one who is unknown are told, nothing else of them: whose they are, other
 * events may tell. A stranger's are not.
 */
static void test_births_of_unknown(void **state)
{
	struct rounds_test test;

	start_rounds(&test, NULL);
	rf_know_stranger(&test.rounds.followed, 77, true);
	take(&test, 0, lost(5, 10, 10));
	take(&test, 0, fork_of(40, 41, 20));
	take(&test, 0, comm_of(41, 21));
	take(&test, 1, fork_of(41, 42, 22));
	take(&test, 1, fork_of(77, 78, 23));
	end_round(&test);
	end_round(&test);
	assert_int_equal(kept_nr(test.rounds.writer), 3);
	expect_kept(&test, 0, RF_LOST, 10, 0);
	expect_kept(&test, 1, RF_TASK_FORK, 20, 0);
	expect_kept(&test, 2, RF_TASK_FORK, 22, 1);
	assert_false(rf_is_followed(&test.rounds.followed, 41));
	assert_false(rf_is_stranger(&test.rounds.followed, 42));
	assert_true(rf_is_stranger(&test.rounds.followed, 78));
	end_rounds(&test);
}

/* Whose end was lost leaves its number to somebody else. */
static void test_dead_strangers(void **state)
{
	struct rounds_test test;
	pid_t child = fork();

	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	start_rounds(&test, NULL);
	rf_know_stranger(&test.rounds.followed, child, true);
	rf_know_stranger(&test.rounds.followed, getpid(), true);
	rf_followed_relearn(&test.rounds.followed);
	assert_false(rf_is_stranger(&test.rounds.followed, child));
	assert_true(rf_is_stranger(&test.rounds.followed, getpid()));
	end_rounds(&test);
}

/* A process's end frees its number; a thread's does not. */
static void test_stranger_ends(void **state)
{
	struct rounds_test test;
	struct built b = fork_of(7, 77, 10);

	start_rounds(&test, NULL);
	rf_know_stranger(&test.rounds.followed, 77, true);
	b.header.type = PERF_RECORD_EXIT;
	memcpy(b.bytes + sizeof(b.header) + 8, &(u32){ 78 }, 4);		/* the thread */
	take(&test, 0, b);
	assert_true(rf_is_stranger(&test.rounds.followed, 77));
	memcpy(b.bytes + sizeof(b.header) + 8, &(u32){ 77 }, 4);
	take(&test, 0, b);
	assert_false(rf_is_stranger(&test.rounds.followed, 77));
	assert_int_equal(test.rounds.nr, 0);
	end_rounds(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmap2), cmocka_unit_test(test_mmap2_names), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_comm),  cmocka_unit_test(test_task),
		cmocka_unit_test(test_lost),  cmocka_unit_test(test_losses_in_order),
		cmocka_unit_test(test_loss_without_time), cmocka_unit_test(test_births_lost),
		cmocka_unit_test(test_births_late),	  cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_unknown_is_no_stranger), cmocka_unit_test(test_stranger_ends),
		cmocka_unit_test(test_births_of_unknown), cmocka_unit_test(test_dead_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
