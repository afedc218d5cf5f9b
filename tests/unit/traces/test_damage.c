// SPDX-License-Identifier: MIT
/*
 * Cut, flipped, foreign and unwritable files: whatever happens to a trace, a
 * reader delivers true records or says what is missing, and never lies.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"

#define STREAMS 2
#define RECORDS 24
#define FRAME_RECORDS 6

struct sample {
	char *path;
	struct record_list *lists;
	u8 *data;
	size_t size, index_offset;
};

static int make_sample(void **state)
{
	struct sample *sample = calloc(1, sizeof(*sample));
	u64 offset;

	sample->path = make_path("t.mmt.zst");
	sample->lists = write_random(sample->path, 99, STREAMS, RECORDS, FRAME_RECORDS);
	sample->data = read_file(sample->path, &sample->size);
	memcpy(&offset, sample->data + sample->size - 16, sizeof(offset));
	sample->index_offset = le64toh(offset);
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
	free(sample);
	return 0;
}

/* True: read as complete. */
static bool check_file(const struct sample *sample, size_t what)
{
	return check_damaged(sample->path, sample->lists, STREAMS, what);
}

static void test_whole(void **state)
{
	assert_true(check_file(*state, 0));
}

static void test_cut_everywhere(void **state)
{
	struct sample *sample = *state;

	for (size_t size = 0; size < sample->size; size++) {
		write_file(sample->path, sample->data, size);
		/* Only the index may go without loss. */
		assert_int_equal(check_file(sample, size), size >= sample->index_offset);
	}
	write_file(sample->path, sample->data, sample->size);
}

static void test_flip_every_bit(void **state)
{
	struct sample *sample = *state;
	int fd = open(sample->path, O_WRONLY);
	size_t harmless = 0;

	assert_true(fd >= 0);
	for (size_t bit = 0; bit < sample->size * 8; bit++) {
		u8 flipped = sample->data[bit / 8] ^ BIT(bit % 8);

		assert_int_equal(pwrite(fd, &flipped, 1, bit / 8), 1);
		harmless += check_file(sample, bit);
		assert_int_equal(pwrite(fd, &sample->data[bit / 8], 1, bit / 8), 1);
	}
	close(fd);
	/* Flips in the index, and the bits that zstd does not use, some ten in a frame; the rest must be found. */
	assert_true(harmless <=
		    (sample->size - sample->index_offset) * 8 + 32 * (STREAMS * RECORDS / FRAME_RECORDS + 2));
	assert_true(check_file(sample, 0));
}

/* A piece taken out of the middle, a piece put in, a frame twice. */
static void test_pieces(void **state)
{
	struct sample *sample = *state;
	u8 *data = malloc(sample->size * 2);

	for (size_t from = 0; from < sample->size; from += 13) {
		size_t length = sample->size / 5, rest = sample->size - from;

		memcpy(data, sample->data, sample->size);
		if (length < rest) {	/* out */
			memmove(data + from, data + from + length, rest - length);
			write_file(sample->path, data, sample->size - length);
			check_file(sample, from);
		}
		memcpy(data + from + length, sample->data + from, rest);	/* garbage in */
		memset(data + from, 0xb5, length);
		write_file(sample->path, data, sample->size + length);
		check_file(sample, from);
		memcpy(data, sample->data, sample->size);	/* again from here */
		memcpy(data + sample->size, sample->data + from, rest);
		write_file(sample->path, data, sample->size + rest);
		check_file(sample, from);
	}
	free(data);
	write_file(sample->path, sample->data, sample->size);
}

/* Whole frames taken out, so that nothing but the running totals can tell. */
static void test_frames_taken_out(void **state)
{
	struct sample *sample = *state;
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(sample->path, &err);
	u8 *data = malloc(sample->size);
	size_t nr = rf_reader_nr_frames(reader);

	assert_int_equal(nr, STREAMS * RECORDS / FRAME_RECORDS);
	for (size_t i = 0; i < nr; i++) {
		const struct rf_frame_info *frame = rf_reader_frame(reader, i);
		size_t end = frame->offset + frame->size;

		memcpy(data, sample->data, frame->offset);
		memcpy(data + frame->offset, sample->data + end, sample->size - end);
		write_file(sample->path, data, sample->size - frame->size);
		assert_false(check_file(sample, i));
		write_file(sample->path, data, sample->index_offset - frame->size);
		assert_false(check_file(sample, i));
	}
	rf_reader_close(reader);
	free(data);
	write_file(sample->path, sample->data, sample->size);
}

/* ---- files that are no traces ------------------------------------------------------- */

static void expect_error(const char *path, int code, const char *word)
{
	struct rf_error err = { 0 };

	assert_null(rf_reader_open(path, &err));
	if (err.code != code || !strstr(err.message, word))
		fail_msg("%d %s", err.code, err.message);
}

static void write_zstd(const char *path, const char *text)
{
	u8 packed[512];
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	size_t size;

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	size = ZSTD_compress2(zstd, packed, sizeof(packed), text, strlen(text));
	assert_false(ZSTD_isError(size));
	ZSTD_freeCCtx(zstd);
	write_file(path, packed, size);
}

static void test_foreign(void **state)
{
	char *path = make_path("t.mmt.zst");

	expect_error("/nonexistent/file", -ENOENT, "cannot open");
	expect_error("/dev/null", -ESPIPE, "regular file");
	expect_error("/", -EISDIR, "directory");
	write_file(path, (const u8 *)"", 0);
	expect_error(path, -EPROTO, "empty");
	write_file(path, (const u8 *)"x", 1);
	expect_error(path, -EPROTO, "not a Refold trace");
	write_file(path, (const u8 *)"\x7f" "ELF, or anything else", 22);
	expect_error(path, -EPROTO, "not a Refold trace");
	write_zstd(path, "just some text");
	expect_error(path, -EPROTO, "not a Refold trace");
	write_zstd(path, "[]");
	expect_error(path, -EPROTO, "not a Refold trace");
	write_zstd(path, "{\"format\":7}");
	expect_error(path, -EPROTO, "not a Refold trace");
	write_zstd(path, "{\"format\":\"refold-trace/2\"}\n");
	expect_error(path, -EPROTO, "newer refold (refold-trace/2)");
	remove_path(path);
}

/* ---- a full disk -------------------------------------------------------------------- */

static void test_no_space(void **state)
{
	struct rf_error err = { 0 };
	struct rf_writer *writer = rf_writer_create("/dev/full", NULL, 3, &err);

	assert_null(writer);
	assert_int_equal(err.code, -ENOSPC);
	assert_non_null(strstr(err.message, "No space left"));
}

/* A recording stops at the limit, says so once and for all, and leaves whole frames only. */
static void test_file_limit(void **state)
{
	char *path = make_path("t.mmt.zst");
	struct rlimit before, limit;
	struct rf_output output;
	struct rf_error err = { 0 };
	struct rf_writer *writer;
	struct rf_reader *reader;
	struct stat status;
	struct record_list list;
	u64 seed = 5, time = 0, written = 0;
	int ret = 0;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 20000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(rf_output_begin(&output, path, RF_OUTPUT_GROWING, NULL), 0);
	writer = rf_writer_begin(&output, NULL, 3, &err);
	rf_writer_add_stream(writer, &(struct rf_stream_info){ 0 });
	for (int i = 0; !ret && i < 100; i++) {
		for (int k = 0; !ret && k < 50; k++) {
			struct rf_record record = random_record(&seed, &time);

			ret = rf_writer_append(writer, 0, &record, 1, &err);
		}
		ret = rf_writer_flush(writer, 0, &err);
		if (!ret)
			written += 50;
	}
	assert_int_equal(ret, -EFBIG);
	assert_int_equal(err.code, -EFBIG);
	err.code = 0;
	assert_int_equal(rf_writer_close(writer, RF_END_COMMAND, &err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

	assert_int_equal(stat(path, &status), 0);
	assert_true(status.st_size < 20000);
	reader = rf_reader_open(path, &err);
	assert_non_null(reader);
	assert_false(rf_reader_summary(reader)->complete);
	assert_int_equal(rf_reader_damage(reader)->offset, status.st_size);
	assert_non_null(strstr(rf_reader_damage(reader)->message, "no end frame"));
	list = read_stream(reader, 0);
	assert_int_equal(list.nr, written);
	list_free(&list);
	rf_reader_close(reader);
	remove_path(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_cut_everywhere, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_flip_every_bit, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_pieces, make_sample, free_sample),
		cmocka_unit_test_setup_teardown(test_frames_taken_out, make_sample, free_sample),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_file_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
