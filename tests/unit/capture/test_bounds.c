// SPDX-License-Identifier: MIT
/* What a recording may take of the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture/bounds.h"
#include "capture/budget.h"
#include "capture/parts.h"
#include "capture/values.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

static void expect_buffers(u64 asked, u64 side_least, u64 task, u64 system, u64 side)
{
	struct rf_buffers buffers = { .cpus = 1 };

	rf_buffers_for(&buffers, asked, side_least);
	assert_int_equal(buffers.task, task);
	assert_int_equal(buffers.system, system);
	assert_int_equal(buffers.side, side);
}

/* The other rings grow with the one that was asked for. perf wants powers of two. */
static void test_buffers(void **state)
{
	expect_buffers(16 * MIB, 0, 16 * MIB, 4 * MIB, 2 * MIB);
	expect_buffers(64 * MIB, 0, 64 * MIB, 16 * MIB, 8 * MIB);
	expect_buffers(24 * MIB, 0, 24 * MIB, 6 * MIB, 2 * MIB);
	expect_buffers(2 * MIB, 512 * KIB, 2 * MIB, 512 * KIB, 512 * KIB);
	expect_buffers(100 * KIB, 512 * KIB, 100 * KIB, 25 * KIB, 512 * KIB);
	expect_buffers(8 * KIB, 64 * KIB, 8 * KIB, 8 * KIB, 64 * KIB);
	expect_buffers(4096 * MIB, 0, 4096 * MIB, 1024 * MIB, 64 * MIB);
	expect_buffers(16 * MIB, 8 * MIB, 16 * MIB, 4 * MIB, 8 * MIB);
}

static void test_buffers_fit(void **state)
{
	struct rf_buffers buffers = { .cpus = 128 };

	/* 22 MiB for each CPU were 2.75 GiB. */
	assert_true(rf_buffers_fit(&buffers, 16 * MIB, 0, 2816 * MIB));
	assert_int_equal(buffers.task, 16 * MIB);
	assert_true(rf_buffers_fit(&buffers, 16 * MIB, 0, 512 * MIB));
	assert_true(rf_buffers_total(&buffers) <= 512 * MIB);
	/* (4 MiB - 512 KiB of side-band) / 1.25 */
	assert_in_range(buffers.task, 2866 * KIB - 2 * KIB, 2867 * KIB);
	assert_true(rf_buffers_fit(&buffers, 100 * KIB, 0, 1 << 30));
	assert_int_equal(buffers.side, 512 * KIB);		/* it is heard by all, however little is asked for */
	assert_true(rf_buffers_fit(&buffers, 16 * MIB, 0, 128 * 80 * KIB));
	assert_int_equal(buffers.task, 8 * KIB);
	assert_false(rf_buffers_fit(&buffers, 16 * MIB, 0, 128 * 80 * KIB - 1));
}

/* On the machine at hand. */
static void test_buffers_chosen(void **state)
{
	struct rf_bounds bounds = { 0 };
	struct rf_buffers buffers;
	struct rf_error err = { 0 };

	assert_int_equal(rf_buffers_choose(&buffers, 0, 0, &bounds, &err), 0);
	assert_in_range(buffers.task, MIB, 16 * MIB);
	assert_in_range(rf_buffers_total(&buffers), 1, 512 * MIB);
	assert_int_equal(rf_buffers_choose(&buffers, 256 * MIB, 0, &bounds, &err), 0);
	assert_int_equal(buffers.task, 256 * MIB);		/* who says so has his will */
	bounds.buffer_total = buffers.cpus * MIB;
	assert_int_equal(rf_buffers_choose(&buffers, 256 * MIB, 0, &bounds, &err), 0);
	assert_true(rf_buffers_total(&buffers) <= bounds.buffer_total);
	bounds.memory_bytes = buffers.cpus * MIB;		/* of which buffers take half */
	assert_int_equal(rf_buffers_choose(&buffers, 0, 0, &bounds, &err), 0);
	assert_true(rf_buffers_total(&buffers) <= bounds.memory_bytes / 2);
	bounds.buffer_total = 8 * KIB;
	assert_int_not_equal(rf_buffers_choose(&buffers, 0, 0, &bounds, &err), 0);
}

/* Each ring by what it had and what it was short of; the largest counts. */
static void test_buffers_needed(void **state)
{
	struct rf_buffers had = { .cpus = 2 }, gaps = { 0 };

	rf_buffers_for(&had, 16 * MIB, 0);
	assert_int_equal(rf_buffers_needed(&had, &gaps), 0);
	gaps.task = 8 * MIB;			/* 16 + 8 * 5/4 */
	assert_int_equal(rf_buffers_needed(&had, &gaps), 26 * MIB);
	gaps.side = 4 * MIB;			/* 2 + 4 * 5/4 = 7, of 16 for 2: 56 */
	assert_int_equal(rf_buffers_needed(&had, &gaps), 56 * MIB);
	gaps.system = 1;
	assert_int_equal(rf_buffers_needed(&had, &gaps), 56 * MIB);
	gaps.side = gaps.task = 0;
	assert_int_equal(rf_buffers_needed(&had, &gaps), 17 * MIB);
}

static void test_reached(void **state)
{
	struct rf_bounds bounds = { 0 };
	struct rf_taken taken = { .file_bytes = ~0ull >> 1, .free_bytes = 0, .memory_bytes = ~0ull };

	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_NONE);
	bounds = (struct rf_bounds){ .file_bytes = 800, .free_bytes = 50, .memory_bytes = 30 };
	taken = (struct rf_taken){ .file_bytes = 399, .free_bytes = 50, .memory_bytes = 30 };
	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_NONE);
	taken.memory_bytes = 31;
	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_MEMORY);
	taken.free_bytes = 49;
	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_DISK);
	taken.file_bytes = 400;			/* half is for what is under way */
	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_SIZE);
	bounds = (struct rf_bounds){ .file_bytes = 80 * MIB };	/* an eighth */
	taken.file_bytes = 70 * MIB - 1;
	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_NONE);
	taken.file_bytes = 70 * MIB;
	assert_int_equal(rf_bounds_reached(&bounds, &taken), RF_END_SIZE);
}

static void test_budget(void **state)
{
	/* TLB flushes, page frees, pins, the page cache: of 1,000 records. */
	const u64 records[RF_NR_OPTIONAL] = { 200, 300, 9, 100 };
	double share = 0;

	assert_int_equal(rf_budget_choose(records, ~0u, 1000, 0.05, 0.05), 0);
	assert_int_equal(rf_budget_choose(records, ~0u, 1000, 0.05, 0.04), BIT(1));
	assert_int_equal(rf_budget_choose(records, ~0u, 1000, 0.05, 0.026), BIT(1) | BIT(0));
	assert_int_equal(rf_budget_choose(records, ~0u, 1000, 0.05, 0.021), BIT(1) | BIT(0) | BIT(3));
	/* Not what is one in a hundred, if that does not help either. */
	assert_int_equal(rf_budget_choose(records, ~0u, 1000, 0.05, 0.001), BIT(1) | BIT(0) | BIT(3));
	assert_int_equal(rf_budget_choose(records, ~BIT(1), 1000, 0.05, 0.04), BIT(0));
	assert_int_equal(rf_budget_choose(records, BIT(2), 1000, 0.05, 0.001), 0);
	assert_int_equal(rf_budget_choose((u64[RF_NR_OPTIONAL]){ 0 }, ~0u, 0, 0.5, 0.1), 0);
	assert_true(rf_read_percent("12.5%", &share) && share == 0.125);
	assert_true(rf_read_percent("250", &share) && share == 2.5);
	assert_false(rf_read_percent("0", &share) || rf_read_percent("5%%", &share) || rf_read_percent("", &share) ||
		     rf_read_percent("-1", &share) || rf_read_percent("nan", &share) || rf_read_percent("5s", &share));
}

static void test_part_names(void **state)
{
	static const struct {
		const char *output;
		u64 number;
		const char *name;
	} cases[] = {
		{ "/a/t.mmt.zst", 1, "/a/t.000001.mmt.zst" }, { "t", 12, "t.000012" },
		{ ".mmt.zst", 3, ".mmt.zst.000003" }, { "t.mmt.zst", 1234567, "t.1234567.mmt.zst" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *name = rf_part_name(cases[i].output, cases[i].number);

		assert_string_equal(name, cases[i].name);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffers), cmocka_unit_test(test_buffers_fit),
		cmocka_unit_test(test_buffers_chosen), cmocka_unit_test(test_buffers_needed),
		cmocka_unit_test(test_reached), cmocka_unit_test(test_budget), cmocka_unit_test(test_part_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
