// SPDX-License-Identifier: MIT
/* See support.h. Everything asserts: a test that cannot set up its case has failed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"

char *make_path(const char *name)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL, *directory = NULL;

	assert_true(asprintf(&directory, "%s/refold-traces-XXXXXX", base ? base : "/tmp") > 0);
	assert_non_null(mkdtemp(directory));
	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	free(directory);
	return path;
}

void remove_path(char *path)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
	free(path);
}

u64 random_next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* All bit lengths are equally likely, so that every varint length and plane is met. */
static u64 random_magnitude(u64 *state)
{
	u64 bits = random_next(state) % 65;
	u64 value = bits ? random_next(state) >> (64 - bits) : 0;

	return random_next(state) % 4 ? value : -value;
}

struct rf_record random_record(u64 *state, u64 *time)
{
	const struct rf_kind_info *table = rf_kind_table();
	struct rf_record record = { 0 };

	do
		record.kind = random_next(state) % RF_RECORD_KIND_MAX;
	while (!table[record.kind].name || record.kind == RF_LOST);
	switch (random_next(state) % 64) {
	case 0:
		*time -= random_next(state) % 5000;
		break;
	case 1:
		*time += random_next(state) % (1ull << 40);
		break;
	case 2:
		*time += 0xfeff + random_next(state) % 3;	/* around the limit of the short form */
		break;
	default:
		*time += random_next(state) % 3000;
	}
	record.time = *time;
	record.tid = random_next(state) % 8 ? 41 : random_next(state);
	for (u32 i = 0; i < table[record.kind].nr_fields; i++)
		record.f[i] = random_magnitude(state);
	return record;
}

void list_add(struct record_list *list, const struct rf_record *record)
{
	if (list->nr == list->allocated) {
		list->allocated = list->allocated ? list->allocated * 2 : 256;
		list->records = realloc(list->records, list->allocated * sizeof(*record));
		assert_non_null(list->records);
	}
	list->records[list->nr++] = *record;
}

void list_free(struct record_list *list)
{
	free(list->records);
	*list = (struct record_list){ 0 };
}

struct record_list *write_random(const char *path, u64 seed, int streams, size_t records, size_t frame_records)
{
	struct record_list *lists = calloc(streams, sizeof(*lists));
	struct rf_error err;
	struct rf_writer *writer = rf_writer_create(path, "{\"clock\":\"mono\"}", 3, &err);
	u64 *times = calloc(streams, sizeof(*times));

	assert_non_null(writer);
	for (int i = 0; i < streams; i++) {
		assert_int_equal(rf_writer_add_stream(writer, &(struct rf_stream_info){ i % 4, i / 4 }), i);
		times[i] = 1000000000000 + random_next(&seed) % 1000;
	}
	for (size_t n = 0; n < records * streams; n++) {
		int stream = n / frame_records % streams;
		struct rf_record record = random_record(&seed, &times[stream]);

		record.stream = stream;
		list_add(&lists[stream], &record);
		assert_int_equal(rf_writer_append(writer, stream, &record, 1, &err), 0);
		if ((n + 1) % frame_records == 0)
			assert_int_equal(rf_writer_flush(writer, stream, &err), 0);
	}
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), 0);
	free(times);
	return lists;
}

struct record_list read_stream(struct rf_reader *reader, int stream)
{
	struct rf_cursor *cursor = rf_cursor_open(reader, stream, NULL);
	struct record_list list = { 0 };
	struct rf_record records[300];
	size_t nr;

	assert_non_null(cursor);
	while ((nr = rf_cursor_read(cursor, records, 1 + list.nr % 300)))
		for (size_t i = 0; i < nr; i++)
			list_add(&list, &records[i]);
	rf_cursor_close(cursor);
	return list;
}

bool same_record(const struct rf_record *a, const struct rf_record *b)
{
	return a->time == b->time && a->tid == b->tid && a->stream == b->stream && a->kind == b->kind &&
	       !memcmp(a->f, b->f, sizeof(a->f));
}

void assert_same_list(const struct record_list *a, const struct record_list *b)
{
	char text_a[512], text_b[512];

	for (size_t i = 0; i < a->nr && i < b->nr; i++) {
		if (same_record(&a->records[i], &b->records[i]))
			continue;
		rf_text_record(&a->records[i], text_a, sizeof(text_a));
		rf_text_record(&b->records[i], text_b, sizeof(text_b));
		fail_msg("record %zu: %s -- %s", i, text_a, text_b);
	}
	assert_int_equal(a->nr, b->nr);
}

/*
 * Both lists count events: a record is one, a LOST as many as it says. A record delivered as number n must be number n
 * of the truth, so each piece left out must be told in its place and with its size.
 */
static size_t check_stream(const struct record_list *truth, const struct record_list *read, bool totals, size_t what)
{
	u64 at = 0, truth_at = 0;
	size_t next = 0, delivered = 0;

	for (size_t i = 0; i < read->nr; i++) {
		if (read->records[i].kind == RF_LOST) {
			at += read->records[i].f[0];
			continue;
		}
		while (next < truth->nr && (truth_at < at || truth->records[next].kind == RF_LOST)) {
			truth_at += truth->records[next].kind == RF_LOST ? truth->records[next].f[0] : 1;
			next++;
		}
		if (next == truth->nr || truth_at != at || !same_record(&truth->records[next], &read->records[i]))
			fail_msg("case %zu: record %zu is not what was written", what, i);
		at++;
		delivered++;
	}
	for (; next < truth->nr; next++)
		truth_at += truth->records[next].kind == RF_LOST ? truth->records[next].f[0] : 1;
	if (totals && at != truth_at)
		fail_msg("case %zu: %llu of %llu events accounted for", what, (unsigned long long)at,
			 (unsigned long long)truth_at);
	return delivered;
}

static size_t count_records(const struct record_list *truth, int streams)
{
	size_t records = 0;

	for (int i = 0; i < streams; i++)
		for (size_t k = 0; k < truth[i].nr; k++)
			records += truth[i].records[k].kind != RF_LOST;
	return records;
}

bool check_damaged(const char *path, const struct record_list *truth, int streams, size_t what)
{
	struct rf_error err = { 0 };
	struct rf_reader *reader = rf_reader_open(path, &err);
	const struct rf_trace_summary *summary;
	size_t delivered = 0;
	bool complete;

	if (!reader) {
		if ((err.code != -EBADMSG && err.code != -EPROTO) || !err.message[0])
			fail_msg("case %zu: error %d: %s", what, err.code, err.message);
		return false;
	}
	summary = rf_reader_summary(reader);
	assert_true(rf_reader_nr_streams(reader) <= (size_t)streams);
	for (size_t i = 0; i < rf_reader_nr_streams(reader); i++) {
		struct record_list list = read_stream(reader, i);

		delivered += check_stream(&truth[i], &list, summary->end != RF_END_NONE, what);
		list_free(&list);
	}
	complete = summary->complete;
	assert_int_equal(summary->records, delivered);
	if (complete && (delivered != count_records(truth, streams) || summary->end == RF_END_NONE))
		fail_msg("case %zu: complete with %zu records", what, delivered);
	if (complete != !rf_reader_damage(reader))
		fail_msg("case %zu: complete %d, but damage: %s", what, complete,
			 rf_reader_damage(reader) ? rf_reader_damage(reader)->message : "none");
	rf_reader_close(reader);
	return complete;
}

u8 *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	u8 *data;

	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	*size = ftell(file);
	rewind(file);
	data = malloc(*size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *size, file), *size);
	fclose(file);
	data[*size] = 0;
	return data;
}

void write_file(const char *path, const u8 *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}
