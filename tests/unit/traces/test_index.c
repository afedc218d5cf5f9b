// SPDX-License-Identifier: MIT
/*
 * What the index counts: as many records of each kind as there are. An index
 * that contradicts the frames is none; one that lies about what only their
 * content tells is found out by who reads it all, and costs no record.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"
#include "traces/frame.h"

#define STREAMS 3
#define RECORDS 400
#define FRAME_RECORDS 90

struct sample {
	char *path;
	struct record_list *lists;
	u8 *data;
	size_t size, index_offset;
	u8 *index;			/* unpacked */
	size_t index_bytes;
	struct index_header header;
};

static int make_sample(void **state)
{
	struct sample *sample = calloc(1, sizeof(*sample));
	const u8 *packed;
	size_t size;

	sample->path = make_path("t.mmt.zst");
	sample->lists = write_random(sample->path, 7, STREAMS, RECORDS, FRAME_RECORDS);
	sample->data = read_file(sample->path, &sample->size);
	sample->index_offset = load_u64(sample->data + sample->size - 16);
	packed = sample->data + sample->index_offset + 8;
	size = sample->size - sample->index_offset - 8 - INDEX_TRAILER_BYTES;
	sample->index_bytes = ZSTD_getFrameContentSize(packed, size);
	sample->index = calloc(1, sample->index_bytes + INDEX_KIND_BYTES);
	assert_int_equal(ZSTD_decompress(sample->index, sample->index_bytes, packed, size), sample->index_bytes);
	assert_true(index_header_load(sample->index, sample->index_bytes, &sample->header));
	*state = sample;
	return 0;
}

static int free_sample(void **state)
{
	struct sample *sample = *state;

	remove_path(sample->path);
	for (int i = 0; i < STREAMS; i++)
		list_free(&sample->lists[i]);
	free(sample->lists);
	free(sample->data);
	free(sample->index);
	free(sample);
	return 0;
}

/* The file as it was, but for an index with this content. */
static void write_index(const struct sample *sample, const u8 *index, size_t bytes)
{
	size_t bound = ZSTD_compressBound(bytes), size;
	u8 *data = malloc(sample->index_offset + 8 + bound + INDEX_TRAILER_BYTES), *at = data + sample->index_offset;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	memcpy(data, sample->data, sample->index_offset);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	size = ZSTD_compress2(zstd, at + 8, bound, index, bytes);
	assert_false(ZSTD_isError(size));
	store_u32(at, INDEX_SKIP_MAGIC);
	store_u32(at + 4, size + INDEX_TRAILER_BYTES);
	store_u64(at + 8 + size, sample->index_offset);
	store_u64(at + 8 + size + 8, INDEX_TRAILER_MAGIC);
	write_file(sample->path, data, sample->index_offset + 8 + size + INDEX_TRAILER_BYTES);
	ZSTD_freeCCtx(zstd);
	free(data);
}

static u8 *kinds(const struct sample *sample)
{
	return sample->index + index_kinds_offset(&sample->header);
}

static void count(const struct sample *sample, u64 counts[RF_RECORD_KIND_MAX])
{
	memset(counts, 0, RF_RECORD_KIND_MAX * sizeof(*counts));
	for (int i = 0; i < STREAMS; i++)
		for (size_t k = 0; k < sample->lists[i].nr; k++)
			if (sample->lists[i].records[k].kind != RF_LOST)
				counts[sample->lists[i].records[k].kind]++;
}

static struct rf_reader *open_any(const struct sample *sample)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(sample->path, &err);

	if (!reader)
		fail_msg("%s", err.message);
	assert_null(rf_reader_damage(reader));
	assert_true(rf_reader_summary(reader)->complete);
	return reader;
}

/* Every record is there, twice if it is read twice. */
static void read_all(const struct sample *sample, struct rf_reader *reader)
{
	for (int i = 0; i < STREAMS; i++) {
		struct record_list list = read_stream(reader, i);

		assert_same_list(&sample->lists[i], &list);
		list_free(&list);
	}
}

static void test_counts(void **state)
{
	struct sample *sample = *state;
	struct rf_reader *reader = open_any(sample);
	u64 counts[RF_RECORD_KIND_MAX];

	count(sample, counts);
	assert_non_null(rf_reader_counts(reader));
	assert_memory_equal(rf_reader_counts(reader), counts, sizeof(counts));
	read_all(sample, reader);
	read_all(sample, reader);
	assert_null(rf_reader_damage(reader));
	rf_reader_close(reader);
}

/* Traces of before the counts. */
static void test_without(void **state)
{
	struct sample *sample = *state;
	struct rf_reader *reader;

	store_u64(sample->index + 24, 0);
	write_index(sample, sample->index, index_kinds_offset(&sample->header));
	reader = open_any(sample);
	assert_null(rf_reader_counts(reader));
	read_all(sample, reader);
	assert_null(rf_reader_damage(reader));
	rf_reader_close(reader);
}

/* Such an index is as none: there are no counts, and nothing is wrong with what there is. */
static void expect_no_counts(const struct sample *sample, size_t bytes)
{
	struct rf_reader *reader;

	write_index(sample, sample->index, bytes);
	reader = open_any(sample);
	assert_null(rf_reader_counts(reader));
	read_all(sample, reader);
	assert_null(rf_reader_damage(reader));
	rf_reader_close(reader);
}

static void test_contradictions(void **state)
{
	struct sample *sample = *state;
	u8 *first = kinds(sample), *second = first + INDEX_KIND_BYTES, *last = sample->index + sample->index_bytes;
	u64 one = load_u64(first + 8), number = load_u64(first);
	u8 swapped[INDEX_KIND_BYTES];

	store_u64(first + 8, one + 1);			/* more than there are records */
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first + 8, ~0ull);
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first + 8, 0);
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first + 8, one - 1);			/* fewer */
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first + 8, one + BIT_ULL(63));	/* the right sum, but that it does not fit */
	store_u64(second + 8, load_u64(second + 8) + BIT_ULL(63));
	expect_no_counts(sample, sample->index_bytes);
	store_u64(second + 8, load_u64(second + 8) - BIT_ULL(63));
	store_u64(first + 8, one);

	memcpy(swapped, first, INDEX_KIND_BYTES);	/* not in order */
	memcpy(first, second, INDEX_KIND_BYTES);
	memcpy(second, swapped, INDEX_KIND_BYTES);
	expect_no_counts(sample, sample->index_bytes);
	memcpy(second, first, INDEX_KIND_BYTES);
	memcpy(first, swapped, INDEX_KIND_BYTES);
	store_u64(first, load_u64(second));		/* twice the same kind */
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first, RF_RECORD_KIND_MAX);
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first, 0);
	expect_no_counts(sample, sample->index_bytes);
	store_u64(first, number);

	/* One kind fewer, and one more, than in the frames; as many as are said, or not. */
	expect_no_counts(sample, sample->index_bytes - INDEX_KIND_BYTES);
	store_u64(sample->index + 24, sample->header.kinds - 1);
	expect_no_counts(sample, sample->index_bytes - INDEX_KIND_BYTES);
	store_u64(sample->index + 24, sample->header.kinds + 1);
	expect_no_counts(sample, sample->index_bytes);
	store_u64(last, RF_RECORD_KIND_MAX - 1);
	store_u64(last + 8, 1);
	store_u64(first + 8, one - 1);
	expect_no_counts(sample, sample->index_bytes + INDEX_KIND_BYTES);
	store_u64(sample->index + 24, ~0ull);
	expect_no_counts(sample, sample->index_bytes + INDEX_KIND_BYTES);
}

/* Only who reads all of it can know. */
static void test_lie(void **state)
{
	struct sample *sample = *state;
	u8 *first = kinds(sample), *second = first + INDEX_KIND_BYTES;
	struct rf_reader *reader;
	char said[160];

	snprintf(said, sizeof(said), "the index is wrong: it counts %llu records of kind %llu, and there are %llu",
		 (unsigned long long)load_u64(first + 8) - 1, (unsigned long long)load_u64(first),
		 (unsigned long long)load_u64(first + 8));
	store_u64(first + 8, load_u64(first + 8) - 1);
	store_u64(second + 8, load_u64(second + 8) + 1);
	write_index(sample, sample->index, sample->index_bytes);
	reader = open_any(sample);
	assert_int_equal(rf_reader_counts(reader)[load_u64(first)], load_u64(first + 8));
	read_all(sample, reader);
	assert_non_null(rf_reader_damage(reader));
	assert_int_equal(rf_reader_damage(reader)->code, -EBADMSG);
	assert_int_equal(rf_reader_damage(reader)->offset, sample->index_offset);
	assert_string_equal(rf_reader_damage(reader)->message, said);
	assert_false(rf_reader_summary(reader)->complete);
	assert_int_equal(rf_reader_summary(reader)->records, STREAMS * RECORDS);
	rf_reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_without, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_contradictions, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_lie, make_sample, free_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
