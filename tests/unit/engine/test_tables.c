// SPDX-License-Identifier: MIT
/* Sparse tables and their compact form: what it holds, what it takes, and that walks find everything again. */
#include <stdlib.h>

#include "engine/pgtable.h"
#include "machine_script.h"

#define ENTRIES 512

static void test_compact_is_plain(void **state)
{
	struct table_pool *pool = table_pool_create(9);
	u64 plain[ENTRIES];
	int failed = 0;
	u64 *table, slot;

	assert_non_null(pool);
	srandom(1);
	for (u32 nr = 0; nr <= ENTRIES; nr += 1 + nr / 20) {
		memset(plain, 0, sizeof(plain));
		table = table_alloc(pool);
		slot = (uintptr_t)table;
		for (u32 i = 0; i < nr; i++) {
			u32 place = (u32)random() % ENTRIES;

			table[place] = plain[place] = (u64)random() << 1 | 1;
		}
		assert_true(table_compact(pool, &slot, false) || nr > 64);
		for (u32 i = 0; i < ENTRIES; i++)
			assert_int_equal(table_peek(slot, i), plain[i]);
		table = slot & TABLE_COMPACT ? table_expand(pool, &slot, &failed) : table;
		assert_int_equal((uintptr_t)table, slot);
		assert_memory_equal(table, plain, sizeof(plain));
		memset(table, 0, sizeof(plain));
		table_free(pool, table);
	}
	assert_int_equal(failed, 0);
	/* One comes back zero. */
	memset(plain, 0, sizeof(plain));
	assert_memory_equal(table_alloc(pool), plain, sizeof(plain));
	table_pool_destroy(pool);
}

/* A directory stays as long as a table below it does. */
static void test_directory_of_plain_table(void **state)
{
	struct table_pool *pool = table_pool_create(9);
	u64 *directory = table_alloc(pool), *table = table_alloc(pool), slot = (uintptr_t)directory;

	directory[7] = (uintptr_t)table;
	table[1] = 1;
	assert_false(table_compact(pool, &slot, true));
	assert_true(table_compact(pool, &directory[7], false));
	assert_true(table_compact(pool, &slot, true));
	assert_int_equal(table_peek(table_peek(slot, 7), 1), 1);
	table_pool_destroy(pool);
}

/* Entries so far apart that each has its own table, or directories of its own, too. */
static void entries_apart(u64 stride, u64 most_bytes)
{
	struct rf_machine *machine = machine_of("linux-7.3", "");
	const u32 nr = 20000;
	struct arch_counters totals;
	u64 begun = 0, taken;

	run(machine, .kind = RF_OP_MM_NEW, .mm = 1);
	map_anon(machine, 1, G(1), nr * stride);
	for (u32 i = 0; i < nr; i++) {
		if (i == nr / 2)
			begun = table_pool_bytes(machine->tables);
		run(machine, .kind = RF_OP_FAULT_ANON, .mm = 1, .addr = G(1) + i * stride, .pfn = PFN + i, .nr = 1,
		    .flags = RF_OP_WRITE | RF_OP_EXCLUSIVE);
	}
	taken = table_pool_bytes(machine->tables) - begun;
	print_message("%llu bytes an entry\n", (unsigned long long)taken / (nr / 2));
	assert_true(taken <= nr / 2 * most_bytes);
	for (u32 i = 0; i < nr; i++)
		assert_int_equal(pte_pfn(rf_machine_lookup(machine, 1, G(1) + i * stride)), PFN + i);
	/* Every other one goes, and with the rest all tables. */
	for (u32 i = 0; i < nr; i += 2)
		run(machine, .kind = RF_OP_MUNMAP, .mm = 1, .why = RF_WHY_MUNMAP, .addr = G(1) + i * stride,
		    .end = G(1) + i * stride + K(4));
	for (u32 i = 0; i < nr; i++)
		assert_int_equal(pte_pfn(rf_machine_lookup(machine, 1, G(1) + i * stride)), i % 2 ? PFN + i : 0);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	rf_stats_totals(rf_machine_stats(machine), &totals);
	assert_true(totals.tables_allocated > nr);
	assert_int_equal(totals.tables_freed, totals.tables_allocated);
	rf_machine_destroy(machine);
}

static void test_tables_of_one_entry(void **state)
{
	entries_apart(M(2), 64);
}

static void test_directories_of_one_entry(void **state)
{
	entries_apart(G(1), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact_is_plain),
		cmocka_unit_test(test_directory_of_plain_table),
		cmocka_unit_test(test_tables_of_one_entry),
		cmocka_unit_test(test_directories_of_one_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
