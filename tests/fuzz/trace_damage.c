// SPDX-License-Identifier: MIT
/*
 * usage: trace_damage SEED CASES [TRACE...]
 *
 * Cuts each trace at CASES random places and flips CASES random bits, one at
 * a time; without traces, those it generates. Whatever a damaged file still
 * gives must be true and whatever it does not give must be told. Then frames
 * with good checksums and random content, which may mean anything but must do
 * no harm. Built with the sanitizers where the compiler has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"
#include "traces/frame.h"

static u64 seed;
static size_t cases;
static char **traces;
static int nr_traces;

struct victim {
	char *path;			/* the copy that is damaged */
	struct record_list *truth;
	int streams;
	u8 *data;
	size_t size;
};

static void load_truth(struct victim *victim)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(victim->path, &err);

	if (!reader)
		fail_msg("%s", err.message);
	victim->streams = rf_reader_nr_streams(reader);
	victim->truth = calloc(victim->streams + 1, sizeof(*victim->truth));
	for (int i = 0; i < victim->streams; i++)
		victim->truth[i] = read_stream(reader, i);
	assert_null(rf_reader_damage(reader));
	rf_reader_close(reader);
	victim->data = read_file(victim->path, &victim->size);
}

static void free_victim(struct victim *victim)
{
	for (int i = 0; i < victim->streams; i++)
		list_free(&victim->truth[i]);
	free(victim->truth);
	free(victim->data);
	remove_path(victim->path);
}

static int descending(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void cut(struct victim *victim, u64 *random)
{
	u64 *sizes = calloc(cases, sizeof(*sizes));

	for (size_t i = 0; i < cases; i++)
		sizes[i] = random_next(random) % victim->size;
	qsort(sizes, cases, sizeof(*sizes), descending);
	for (size_t i = 0; i < cases; i++) {
		assert_int_equal(truncate(victim->path, sizes[i]), 0);
		check_damaged(victim->path, victim->truth, victim->streams, sizes[i]);
	}
	free(sizes);
	write_file(victim->path, victim->data, victim->size);
}

/* The flips come in with and without an index to fall back on. */
static void flip(struct victim *victim, u64 *random)
{
	int fd = open(victim->path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < cases; i++) {
		u64 bit = random_next(random) % (victim->size * 8);
		u8 flipped = victim->data[bit / 8] ^ BIT(bit % 8), index_byte = victim->data[victim->size - 1] ^ 1;

		assert_int_equal(pwrite(fd, &flipped, 1, bit / 8), 1);
		if (i % 2)
			assert_int_equal(pwrite(fd, &index_byte, 1, victim->size - 1), 1);
		check_damaged(victim->path, victim->truth, victim->streams, bit);
		assert_int_equal(pwrite(fd, &victim->data[bit / 8], 1, bit / 8), 1);
		assert_int_equal(pwrite(fd, &victim->data[victim->size - 1], 1, victim->size - 1), 1);
	}
	close(fd);
	assert_true(check_damaged(victim->path, victim->truth, victim->streams, 0));
}

static void damage(struct victim *victim)
{
	u64 random = seed;

	load_truth(victim);
	cut(victim, &random);
	flip(victim, &random);
	free_victim(victim);
}

static void test_generated(void **state)
{
	static const struct {
		int streams;
		size_t records, frame_records;
	} shapes[] = { { 1, 5, 5 }, { 3, 400, 90 }, { 20, 60, 20 }, { 2, 9000, 100000 } };

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct victim victim = { .path = make_path("t.mmt.zst") };
		struct record_list *lists = write_random(victim.path, seed + i, shapes[i].streams, shapes[i].records,
							 shapes[i].frame_records);

		for (int k = 0; k < shapes[i].streams; k++)
			list_free(&lists[k]);
		free(lists);
		damage(&victim);
	}
}

/* ---- hostile files: every checksum is right ---------------------------------------- */

static u64 fnv1a(const u8 *data, size_t size)
{
	u64 hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 0x100000001b3ull;
	return hash;
}

static size_t compress(ZSTD_CCtx *zstd, const u8 *unpacked, size_t content, u8 *out, size_t room)
{
	size_t size = ZSTD_compress2(zstd, out, room, unpacked, content);

	assert_false(ZSTD_isError(size));
	return size;
}

/* Unpack packed[size], change some bytes, pack it again into *out; returns the new size. */
static size_t distort(ZSTD_CCtx *zstd, u64 *random, const u8 *packed, size_t size, u8 **out)
{
	size_t content = ZSTD_getFrameContentSize(packed, size), bound = ZSTD_compressBound(content), result;
	u8 *unpacked = malloc(content + 1);

	assert_int_equal(ZSTD_decompress(unpacked, content, packed, size), content);
	for (u64 n = random_next(random) % 6; n; n--) {
		/* Headers and directories decide more than columns: prefer them. */
		u64 at = random_next(random) % (random_next(random) % 2 && content > 200 ? 200 : content);

		unpacked[at] = random_next(random) % 4 ? random_next(random) : 0xff;
	}
	if (content >= DATA_HEADER_BYTES && load_u32(unpacked) == DATA_TAG)
		store_u64(unpacked + 80, fnv1a(unpacked, 80));
	*out = malloc(bound);
	result = compress(zstd, unpacked, content, *out, bound);
	free(unpacked);
	return result;
}

/* The header frame as it is, then every frame of the trace distorted; the index is left out. */
static void write_hostile(const struct victim *victim, ZSTD_CCtx *zstd, u64 *random)
{
	FILE *file = fopen(victim->path, "wb");
	size_t at = ZSTD_findFrameCompressedSize(victim->data, victim->size);

	assert_non_null(file);
	fwrite(victim->data, 1, at, file);
	while (load_u32(victim->data + at) == ZSTD_MAGIC) {
		size_t size = ZSTD_findFrameCompressedSize(victim->data + at, victim->size - at), packed;
		u8 *out;

		packed = distort(zstd, random, victim->data + at, size, &out);
		fwrite(out, 1, packed, file);
		free(out);
		at += size;
	}
	assert_int_equal(fclose(file), 0);
}

static void read_hostile(const struct victim *victim, size_t number)
{
	FILE *nowhere = fopen("/dev/null", "w");
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(victim->path, &err);

	assert_non_null(reader);
	for (size_t i = 0; i < rf_reader_nr_streams(reader) && i < 64; i++) {
		struct record_list list = read_stream(reader, i);

		assert_true(list.nr <= rf_reader_nr_frames(reader) * (RF_FRAME_RECORDS + 1) + 1);
		list_free(&list);
	}
	rf_text_dump(reader, nowhere, &err);
	rf_reader_close(reader);
	fclose(nowhere);
}

/* The frames as they are, and an index that says something else of them; what it counts comes last. */
static void write_hostile_index(const struct victim *victim, ZSTD_CCtx *zstd, u64 *random)
{
	size_t offset = load_u64(victim->data + victim->size - INDEX_TRAILER_BYTES);
	size_t size = victim->size - offset - 8 - INDEX_TRAILER_BYTES, content, bound;
	u8 *out = malloc(victim->size * 2), *unpacked;

	content = ZSTD_getFrameContentSize(victim->data + offset + 8, size);
	bound = victim->size * 2 - offset - 8 - INDEX_TRAILER_BYTES;
	unpacked = malloc(content);
	assert_int_equal(ZSTD_decompress(unpacked, content, victim->data + offset + 8, size), content);
	for (u64 n = random_next(random) % 3 + 1; n; n--) {
		size_t tail = random_next(random) % 4 ? 16 * INDEX_KIND_BYTES : content;
		size_t at = content - min_u64(tail, content) + random_next(random) % tail;

		if (at >= content)
			continue;
		unpacked[at] += random_next(random) % 4 ? random_next(random) % 3 - 1 : random_next(random);
	}
	memcpy(out, victim->data, offset);
	size = compress(zstd, unpacked, content, out + offset + 8, bound);
	store_u32(out + offset, INDEX_SKIP_MAGIC);
	store_u32(out + offset + 4, size + INDEX_TRAILER_BYTES);
	store_u64(out + offset + 8 + size, offset);
	store_u64(out + offset + 8 + size + 8, INDEX_TRAILER_MAGIC);
	write_file(victim->path, out, offset + 8 + size + INDEX_TRAILER_BYTES);
	free(unpacked);
	free(out);
}

/* A whole trace of three streams, and from it each case's file. */
static void try_each(void (*write)(const struct victim *victim, ZSTD_CCtx *zstd, u64 *random),
		     void (*check)(const struct victim *victim, size_t number))
{
	struct victim victim = { .path = make_path("t.mmt.zst"), .streams = 3 };
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	u64 random = seed;

	assert_non_null(zstd);
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)));
	victim.truth = write_random(victim.path, seed, victim.streams, 200, 40);
	victim.data = read_file(victim.path, &victim.size);
	for (size_t i = 0; i < cases; i++) {
		write(&victim, zstd, &random);
		check(&victim, i);
	}
	ZSTD_freeCCtx(zstd);
	free_victim(&victim);
}

static void test_hostile(void **state)
{
	try_each(write_hostile, read_hostile);
}

/* No index takes a record away or adds one; where it lies about the frames, that is told. */
static void lies_are_harmless(const struct victim *victim, size_t number)
{
	check_damaged(victim->path, victim->truth, victim->streams, number);
}

static void test_hostile_index(void **state)
{
	try_each(write_hostile_index, lies_are_harmless);
}

static void test_given(void **state)
{
	for (int i = 0; i < nr_traces; i++) {
		struct victim victim = { .path = make_path("t.mmt.zst") };
		size_t size;
		u8 *data = read_file(traces[i], &size);

		write_file(victim.path, data, size);
		free(data);
		damage(&victim);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest generated[] = { cmocka_unit_test(test_generated), cmocka_unit_test(test_hostile),
						cmocka_unit_test(test_hostile_index) };
	const struct CMUnitTest given[] = { cmocka_unit_test(test_given) };

	if (argc < 3) {
		fprintf(stderr, "usage: trace_damage SEED|random CASES [TRACE...]\n");
		return RF_EXIT_USAGE;
	}
	seed = strcmp(argv[1], "random") ? strtoull(argv[1], NULL, 0) : (u64)time(NULL) * 1000003 + getpid();
	cases = strtoull(argv[2], NULL, 0);
	traces = argv + 3;
	nr_traces = argc - 3;
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	return nr_traces ? cmocka_run_group_tests(given, NULL, NULL) : cmocka_run_group_tests(generated, NULL, NULL);
}
