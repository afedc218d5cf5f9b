// SPDX-License-Identifier: MIT
/* What was written is read again: records, streams, losses, totals; with and without the index; many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"
#include "traces/capabilities.h"
#include "traces/frame.h"

static struct rf_reader *open_good(const char *path)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(path, &err);

	if (!reader)
		fail_msg("%s", err.message);
	if (rf_reader_damage(reader))
		fail_msg("%s", rf_reader_damage(reader)->message);
	return reader;
}

static void check_streams(const char *path, struct record_list *lists, int streams, size_t records)
{
	struct rf_reader *reader = open_good(path);
	const struct rf_trace_summary *summary = rf_reader_summary(reader);

	assert_true(summary->complete);
	assert_int_equal(summary->end, RF_END_COMMAND);
	assert_int_equal(summary->records, records * streams);
	assert_int_equal(summary->lost_events, 0);
	assert_int_equal(rf_reader_nr_streams(reader), streams);
	for (int i = 0; i < streams; i++) {
		struct record_list list = read_stream(reader, i);

		assert_int_equal(rf_reader_stream(reader, i)->source, i % 4);
		assert_int_equal(rf_reader_stream(reader, i)->cpu, i / 4);
		assert_same_list(&lists[i], &list);
		list_free(&list);
	}
	assert_null(rf_reader_damage(reader));
	rf_reader_close(reader);
}

/* The same file without its index must give the same. */
static void drop_index(const char *path)
{
	size_t size;
	u8 *data = read_file(path, &size);
	u64 offset;

	offset = load_u64(data + size - 16);
	assert_true(offset < size);
	write_file(path, data, offset);
	free(data);
}

static void check_random(u64 seed, int streams, size_t records, size_t frame_records)
{
	char *path = make_path("t.mmt.zst");
	struct record_list *lists = write_random(path, seed, streams, records, frame_records);

	check_streams(path, lists, streams, records);
	drop_index(path);
	check_streams(path, lists, streams, records);
	for (int i = 0; i < streams; i++)
		list_free(&lists[i]);
	free(lists);
	remove_path(path);
}

static void test_one_record(void **state)
{
	check_random(1, 1, 1, 1);
}

static void test_one_stream(void **state)
{
	check_random(2, 1, 20000, 5000);
}

static void test_full_frames(void **state)
{
	check_random(3, 2, 150000, 1000000);
}

static void test_many_streams(void **state)
{
	check_random(4, 200, 50, 7);
}

static void test_empty(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, "{}", 1, &err);
	struct rf_record record;
	struct rf_reader *reader;
	struct rf_cursor *cursor;

	assert_non_null(writer);
	assert_int_equal(rf_writer_close(writer, RF_END_SIGNAL, &err), 0);
	reader = open_good(path);
	assert_true(rf_reader_summary(reader)->complete);
	assert_int_equal(rf_reader_summary(reader)->end, RF_END_SIGNAL);
	assert_int_equal(rf_reader_nr_streams(reader), 0);
	assert_string_equal(rf_reader_summary(reader)->header_json, "{\"format\":\"refold-trace/1\",\"zstd_level\":1}");
	cursor = rf_cursor_open(reader, -1, NULL);
	assert_int_equal(rf_cursor_read(cursor, &record, 1), 0);
	rf_cursor_close(cursor);
	rf_reader_close(reader);
	remove_path(path);
}

/* Streams that never had a record are still there. */
static void test_silent_stream(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, NULL, 3, &err);
	struct rf_reader *reader;

	rf_writer_add_stream(writer, &(struct rf_stream_info){ RF_SOURCE_TASK, 0 });
	rf_writer_add_stream(writer, &(struct rf_stream_info){ RF_SOURCE_PERF, 7 });
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	reader = open_good(path);
	assert_int_equal(rf_reader_nr_streams(reader), 2);
	assert_int_equal(rf_reader_stream(reader, 1)->source, RF_SOURCE_PERF);
	assert_int_equal(rf_reader_stream(reader, 1)->cpu, 7);
	assert_null(rf_reader_stream(reader, 2));
	rf_reader_close(reader);
	remove_path(path);
}

/* Each reason is read as it was written; older readers take those they do not know for a natural end. */
static void test_ends(void **state)
{
	for (int end = RF_END_NONE; end < RF_NR_ENDS; end++) {
		char *path = make_path("t.mmt.zst");
		struct rf_error err;
		struct rf_writer *writer = rf_writer_create(path, NULL, 3, &err);
		struct rf_reader *reader;

		assert_non_null(rf_end_names[end]);
		assert_int_equal(rf_writer_close(writer, (enum rf_end)end, &err), 0);
		reader = rf_reader_open(path, &err);
		assert_non_null(reader);
		assert_int_equal(rf_reader_summary(reader)->end, end);
		assert_int_equal(rf_reader_summary(reader)->complete, end != RF_END_NONE);
		rf_reader_close(reader);
		remove_path(path);
	}
}

static void append_random(struct rf_writer *writer, u64 *seed, int nr)
{
	u64 time = 1000000;
	struct rf_error err;

	for (int i = 0; i < nr; i++) {
		struct rf_record record = random_record(seed, &time);

		assert_int_equal(rf_writer_append(writer, 0, &record, 1, &err), 0);
	}
}

/* A file with a limit stays below it, is complete, and tells each record that had no room as lost. */
static void test_limit(void **state)
{
	static const u64 limits[] = { 1000, 5000, 20000, 1000000 };

	for (size_t l = 0; l < ARRAY_SIZE(limits); l++) {
		char *path = make_path("t.mmt.zst");
		const struct rf_trace_summary *summary;
		u64 seed = 7, dropped = 7;
		struct rf_error err;
		struct rf_writer *writer = rf_writer_create(path, NULL, 3, &err);
		struct rf_reader *reader;

		rf_writer_limit(writer, limits[l], &dropped);
		rf_writer_add_stream(writer, &(struct rf_stream_info){ RF_SOURCE_TASK, 0 });
		for (int i = 0; i < 30; i++) {
			append_random(writer, &seed, 100);
			assert_int_equal(rf_writer_flush(writer, 0, &err), 0);
		}
		assert_int_equal(rf_writer_close(writer, RF_END_SIZE, &err), 0);
		reader = rf_reader_open(path, &err);
		assert_non_null(reader);
		summary = rf_reader_summary(reader);
		assert_true(summary->complete);
		assert_null(rf_reader_damage(reader));
		assert_int_equal(summary->end, RF_END_SIZE);
		assert_in_range(summary->file_bytes, 1, limits[l]);
		assert_int_equal(summary->records + dropped, 3000);
		assert_int_equal(summary->lost_events, dropped);
		assert_int_equal(dropped > 0, limits[l] < 1000000);
		rf_reader_close(reader);
		remove_path(path);
	}
}

/* What waits in an open frame counts as well. */
static void test_bytes_so_far(void **state)
{
	char *path = make_path("t.mmt.zst");
	u64 seed = 7, empty, flushed;
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, NULL, 3, &err);

	rf_writer_add_stream(writer, &(struct rf_stream_info){ RF_SOURCE_TASK, 0 });
	empty = rf_writer_bytes(writer);
	append_random(writer, &seed, 20000);
	assert_true(rf_writer_bytes(writer) > empty + 20000);
	assert_int_equal(rf_writer_flush(writer, 0, &err), 0);
	flushed = rf_writer_bytes(writer);
	append_random(writer, &seed, 20000);
	assert_in_range(rf_writer_bytes(writer), flushed * 18 / 10, flushed * 22 / 10);
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	remove_path(path);
}

static void test_header_values(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, "{\"z\":1, \"page_size\":16384,\"arch\":\"arm64\",\"ksm\":false}", 3, &err);
	struct rf_reader *reader;

	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	reader = open_good(path);
	assert_int_equal(rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096), 16384);
	assert_int_equal(rf_reader_header_u64(reader, RF_HEADER_CPUS, 6), 6);
	assert_string_equal(rf_reader_header_string(reader, RF_HEADER_ARCH, "x"), "arm64");
	assert_string_equal(rf_reader_header_string(reader, RF_HEADER_KERNEL, "x"), "x");
	assert_true(json_is_false(rf_reader_header_value(reader, RF_HEADER_KSM)));
	assert_null(rf_reader_header_value(reader, RF_HEADER_THP));
	assert_string_equal(rf_reader_summary(reader)->header_json,
			    "{\"arch\":\"arm64\",\"format\":\"refold-trace/1\",\"ksm\":false,\"page_size\":16384,\"z\":1,"
			    "\"zstd_level\":3}");
	rf_reader_close(reader);
	remove_path(path);
}

/* The header's word, name by name; where it says nothing, the release's. */
static void test_capabilities(void **state)
{
	static const struct {
		const char *header;
		bool exit_after_mm, reuses_large_folios, moves_several_vmas;
	} cases[] = {
		{ "{}", false, false, false },
		{ "{\"kernel\":\"none\"}", false, false, false },
		{ "{\"kernel\":\"5.10.0-33-amd64\"}", true, false, false },
		{ "{\"kernel\":\"6.14.9\"}", true, false, false },
		{ "{\"kernel\":\"6.15\"}", true, true, false },
		{ "{\"kernel\":\"6.16.0-rc1\"}", false, true, false },
		{ "{\"kernel\":\"6.17.3\"}", false, true, true },
		{ "{\"kernel\":\"7.0.0\"}", false, true, true },
		{ "{\"kernel\":\"6.14.9\",\"capabilities\":{\"reuses_large_folios\":true}}", true, true, false },
		{ "{\"kernel\":\"6.14.9\",\"capabilities\":{\"moves_several_vmas\":true}}", true, false, true },
		{ "{\"kernel\":\"6.14.9\",\"capabilities\":{\"exit_after_mm\":false,\"x\":1}}", false, false, false },
		{ "{\"kernel\":\"6.14.9\",\"capabilities\":{\"exit_after_mm\":0}}", true, false, false },
		{ "{\"kernel\":\"6.14.9\",\"capabilities\":7}", true, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *path = make_path("t.mmt.zst");
		struct rf_error err;
		struct rf_writer *writer = rf_writer_create(path, cases[i].header, 3, &err);
		struct rf_capabilities capabilities;
		struct rf_reader *reader;

		assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
		reader = open_good(path);
		capabilities = rf_reader_capabilities(reader);
		assert_int_equal(capabilities.has[RF_EXIT_AFTER_MM], cases[i].exit_after_mm);
		assert_int_equal(capabilities.has[RF_REUSES_LARGE_FOLIOS], cases[i].reuses_large_folios);
		assert_int_equal(capabilities.has[RF_MOVES_SEVERAL_VMAS], cases[i].moves_several_vmas);
		rf_reader_close(reader);
		remove_path(path);
	}
}

/* What is written is read, whatever the release says. */
static void test_capabilities_written(void **state)
{
	struct rf_capabilities written = rf_capabilities_of_release("6.15.2"), read;
	json_t *header = json_pack("{s:s, s:o}", "kernel", "4.4", "capabilities", rf_capabilities_json(&written));
	char *path = make_path("t.mmt.zst"), *text = json_dumps(header, JSON_COMPACT);
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, text, 3, &err);
	struct rf_reader *reader;

	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	reader = open_good(path);
	read = rf_reader_capabilities(reader);
	assert_memory_equal(&read, &written, sizeof(read));
	rf_reader_close(reader);
	remove_path(path);
	free(text);
	json_decref(header);
}

static struct rf_record fault_at(u64 time)
{
	return (struct rf_record){ .time = time, .tid = 7, .kind = RF_FAULT, .f = { 0x7f0000000000 + time } };
}

/* Losses are told where they happened, also behind the last record and by a LOST record that is appended. */
static void test_lost(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, NULL, 3, &err);
	struct rf_record one = fault_at(10), two = fault_at(20), three = fault_at(30);
	struct rf_record lost = { .time = 25, .kind = RF_LOST, .f = { 8 } };
	struct rf_reader *reader;
	struct record_list list;

	rf_writer_add_stream(writer, &(struct rf_stream_info){ 0 });
	rf_writer_append(writer, 0, &one, 1, &err);
	rf_writer_lost(writer, 0, 2, &err);
	rf_writer_lost(writer, 0, 3, &err);
	rf_writer_lost(writer, 0, 0, &err);
	rf_writer_append(writer, 0, &two, 1, &err);
	rf_writer_append(writer, 0, &lost, 1, &err);
	rf_writer_append(writer, 0, &three, 1, &err);
	rf_writer_lost(writer, 0, 100, &err);
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);

	for (int pass = 0; pass < 2; pass++) {
		reader = open_good(path);
		assert_int_equal(rf_reader_summary(reader)->lost_events, 113);
		assert_int_equal(rf_reader_summary(reader)->records, 3);
		assert_true(rf_reader_summary(reader)->complete);
		list = read_stream(reader, 0);
		assert_int_equal(list.nr, 6);
		assert_true(same_record(&list.records[0], &one));
		assert_int_equal(list.records[1].kind, RF_LOST);
		assert_int_equal(list.records[1].f[0], 5);
		assert_int_equal(list.records[1].time, 20);
		assert_true(same_record(&list.records[2], &two));
		assert_int_equal(list.records[3].f[0], 8);
		assert_true(same_record(&list.records[4], &three));
		assert_int_equal(list.records[5].kind, RF_LOST);
		assert_int_equal(list.records[5].f[0], 100);
		assert_int_equal(list.records[5].time, 30);
		list_free(&list);
		rf_reader_close(reader);
		if (!pass)
			drop_index(path);
	}
	remove_path(path);
}

/* Frames without a wanted kind are passed over, their losses are not. */
static void test_wanted_kinds(void **state)
{
	char *path = make_path("t.mmt.zst");
	const u64 wanted[2] = { 0, BIT_ULL(RF_MARKER - 64) };
	struct rf_record fault = fault_at(10), marker = { .time = 20, .kind = RF_MARKER }, out[8];
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, NULL, 3, &err);
	struct rf_reader *reader;
	struct rf_cursor *cursor;

	rf_writer_add_stream(writer, &(struct rf_stream_info){ 0 });
	rf_writer_lost(writer, 0, 4, &err);
	rf_writer_append(writer, 0, &fault, 1, &err);
	rf_writer_flush(writer, 0, &err);
	rf_writer_append(writer, 0, &marker, 1, &err);
	rf_writer_close(writer, RF_END_COMMAND, &err);
	reader = open_good(path);
	cursor = rf_cursor_open(reader, 0, wanted);
	assert_int_equal(rf_cursor_read(cursor, out, 8), 2);
	assert_int_equal(out[0].kind, RF_LOST);
	assert_int_equal(out[1].kind, RF_MARKER);
	rf_cursor_close(cursor);
	rf_reader_close(reader);
	remove_path(path);
}

/* ---- many threads --------------------------------------------------------------- */

#define THREADS 4
#define THREAD_RECORDS 70000

struct appending {
	struct rf_writer *writer;
	int id;
	struct record_list list;
};

static void *append_thread(void *argument)
{
	struct appending *job = argument;
	u64 seed = 77 + job->id, time = 0;
	int stream = rf_writer_add_stream(job->writer, &(struct rf_stream_info){ RF_SOURCE_TASK, job->id });

	for (int i = 0; i < THREAD_RECORDS; i++) {
		struct rf_record record = random_record(&seed, &time);

		record.stream = stream;
		list_add(&job->list, &record);
		if (rf_writer_append(job->writer, stream, &record, 1, NULL))
			return NULL;
	}
	return job;
}

static void test_concurrent(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, NULL, 1, &err);
	struct appending jobs[THREADS] = { 0 };
	pthread_t threads[THREADS];
	struct rf_reader *reader;

	for (int i = 0; i < THREADS; i++) {
		jobs[i] = (struct appending){ writer, i, { 0 } };
		assert_int_equal(pthread_create(&threads[i], NULL, append_thread, &jobs[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_non_null(result);
	}
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	reader = open_good(path);
	assert_int_equal(rf_reader_nr_streams(reader), THREADS);
	for (int i = 0; i < THREADS; i++) {
		int cpu = rf_reader_stream(reader, i)->cpu;
		struct record_list list = read_stream(reader, i);

		assert_same_list(&jobs[cpu].list, &list);
		list_free(&list);
		list_free(&jobs[cpu].list);
	}
	rf_reader_close(reader);
	remove_path(path);
}

static void test_bad_arguments(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rf_record record = { .kind = 15 };
	struct rf_error err;
	struct rf_writer *writer;

	assert_null(rf_writer_create("/nonexistent/t.mmt.zst", NULL, 3, &err));
	assert_null(rf_writer_create(path, "[1]", 3, &err));
	assert_null(rf_writer_create(path, "{", 3, &err));
	assert_null(rf_writer_create(path, NULL, 1000, &err));
	writer = rf_writer_create(path, NULL, 3, &err);
	assert_true(rf_writer_append(writer, 0, &record, 1, &err) < 0);
	assert_true(rf_writer_add_stream(writer, &(struct rf_stream_info){ 9, 0 }) < 0);
	rf_writer_add_stream(writer, &(struct rf_stream_info){ 0 });
	assert_true(rf_writer_append(writer, 0, &record, 1, &err) < 0);
	assert_true(rf_writer_flush(writer, 1, &err) < 0);
	assert_true(rf_writer_lost(writer, -1, 1, &err) < 0);
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	remove_path(path);
}

/* Every kind of the table was parsed as written: names, counts, classes. */
static void test_kind_table(void **state)
{
	const struct rf_kind_info *table = rf_kind_table();

	assert_string_equal(table[RF_SYS_MMAP].name, "mmap");
	assert_int_equal(table[RF_SYS_MMAP].nr_fields, 6);
	assert_string_equal(table[RF_SYS_MMAP].fields[4].name, "fd");
	assert_int_equal(table[RF_SYS_MMAP].fields[4].class, RF_FIELD_SIGNED);
	assert_int_equal(table[RF_FAULT].fields[0].class, RF_FIELD_ADDR);
	assert_int_equal(table[RF_PAGE_ALLOC].fields[0].class, RF_FIELD_PFN);
	assert_int_equal(table[RF_MARKER].fields[5].class, RF_FIELD_TEXT);
	assert_int_equal(table[RF_SYS_MUNLOCKALL].nr_fields, 0);
	assert_null(table[0].name);
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		if (!table[kind].name)
			continue;
		assert_int_equal(rf_kind_by_name(table[kind].name), kind);
		for (u32 i = 0; i < table[kind].nr_fields; i++)
			assert_true(table[kind].fields[i].name[0] && strlen(table[kind].fields[i].name) < 15);
	}
	assert_int_equal(rf_kind_by_name("no_such_kind"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kind_table),   cmocka_unit_test(test_one_record),
		cmocka_unit_test(test_one_stream),   cmocka_unit_test(test_full_frames),
		cmocka_unit_test(test_many_streams), cmocka_unit_test(test_empty),
		cmocka_unit_test(test_silent_stream), cmocka_unit_test(test_ends),
		cmocka_unit_test(test_limit),	     cmocka_unit_test(test_bytes_so_far),
		cmocka_unit_test(test_header_values),
		cmocka_unit_test(test_capabilities), cmocka_unit_test(test_capabilities_written),
		cmocka_unit_test(test_lost),	     cmocka_unit_test(test_wanted_kinds),
		cmocka_unit_test(test_concurrent),   cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
