// SPDX-License-Identifier: MIT
/*
 * Counting per address space: accounts add up to the rows, whoever did what in which order, and a machine that keeps
 * them counts what one without them counts.
 */
#include "machine_script.h"

#include <stdlib.h>

#define SPACES 5
#define ROUNDS 3000

/* What the accounts of all takes add up to. */
static struct rf_account sums[SPACES];

static void take(struct rf_machine *machine)
{
	const struct rf_account *list;
	u32 nr;

	assert_int_equal(rf_machine_take_accounts(machine, &list, &nr), 0);
	for (u32 i = 0; i < nr; i++) {
		assert_true(list[i].mm < SPACES);
		sums[list[i].mm].operations += list[i].operations;
#define X(name, meaning) sums[list[i].mm].counters.name += list[i].counters.name;
		ARCH_COUNTERS(X)
#undef X
		for (u32 k = 0; k < i; k++)
			assert_int_not_equal(list[i].mm, list[k].mm);
	}
}

static void expect_sums(struct rf_machine *machine)
{
	const struct rf_stats *stats = rf_machine_stats(machine);
	struct arch_counters totals, accounted = { 0 };
	u64 operations = 0, all = 0;

	for (u32 i = 0; i < SPACES; i++) {
		operations += sums[i].operations;
#define X(name, meaning) accounted.name += sums[i].counters.name;
		ARCH_COUNTERS(X)
#undef X
	}
	for (u32 row = 0; row < RF_NR_ROWS; row++)
		all += stats->operations[row];
	rf_stats_totals(stats, &totals);
	assert_memory_equal(&accounted, &totals, sizeof(totals));
	assert_int_equal(operations, all);
}

/* Faults, moves, protections, unmappings and reclaim on regions of 1 MiB, in an address space by chance. */
static void do_something(struct rf_machine *machine, u32 mm)
{
	u64 at = BASE + M(1) * (u64)(rand() % 8);

	switch (rand() % 7) {
	case 0:
		run(machine, .kind = RF_OP_MUNMAP, .mm = mm, .why = RF_WHY_MUNMAP, .addr = at, .end = at + K(512));
		map_anon(machine, mm, at, K(512));
		break;
	case 1:
		run(machine, .kind = RF_OP_ZAP, .mm = mm, .why = RF_WHY_DONTNEED, .addr = at, .end = at + K(256));
		break;
	case 2:
		run(machine, .kind = RF_OP_MPROTECT, .mm = mm, .addr = at + K(4), .end = at + K(512),
		    .vm_flags = rand() % 2 ? RW : RF_VM_READ);
		break;
	case 3:
		run(machine, .kind = RF_OP_UNMAP_SWAP, .mm = mm, .addr = at, .nr = 16, .pfn = 0x9000, .order = 4,
		    .flags = RF_OP_ANON | RF_OP_DEFERRED);
		break;
	case 4:
		run(machine, .kind = RF_OP_RECLAIM_FLUSH, .mm = mm);
		break;
	default:
		run(machine, .kind = RF_OP_ZAP, .mm = mm, .why = RF_WHY_OTHER, .addr = at, .end = at + K(64));
		fault_anon(machine, mm, at, K(64), 4, PFN + (u64)(rand() % 4096) * 16);
	}
}

static void script(struct rf_machine *machine, bool accounts)
{
	srand(1);
	for (u32 mm = 0; mm + 1 < SPACES; mm++) {
		run(machine, .kind = RF_OP_MM_NEW, .mm = mm);
		map_anon(machine, mm, BASE, M(8));
	}
	for (u32 i = 0; i < ROUNDS; i++) {
		u32 mm = (u32)rand() % (SPACES - 1);

		if (i == ROUNDS / 2)
			run(machine, .kind = RF_OP_FORK, .mm = mm, .mm2 = SPACES - 1);
		do_something(machine, i > ROUNDS / 2 && rand() % 3 == 0 ? SPACES - 1 : mm);
		if (rand() % 100 == 0 && accounts) {
			take(machine);
			expect_sums(machine);
		}
	}
	for (u32 mm = 0; mm < SPACES; mm++)
		run(machine, .kind = RF_OP_MM_EXIT, .mm = mm, .why = RF_WHY_PROCESS_EXIT);
}

static void test_accounts_add_up(void **state)
{
	static const char *const names[] = { "linux-6.8", "linux-6.12", "linux-7.3", "x86-6.18" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct rf_machine *machine = machine_of(names[i], "");

		memset(sums, 0, sizeof(sums));
		assert_int_equal(rf_machine_account(machine, false), 0);
		script(machine, true);
		take(machine);
		expect_sums(machine);
		assert_true(sums[SPACES - 1].counters.pte_loads > 0);
		rf_machine_destroy(machine);
	}
}

/* Owners by chance, of which each address space has some, and an account for each of their rows. */
static void test_owners_add_up(void **state)
{
	enum { OWNERS = 7 };
	struct rf_machine *machine = machine_of("linux-6.12", "");
	static struct arch_counters rows[RF_NR_ROWS];
	u64 operations[RF_NR_ROWS] = { 0 };
	const struct rf_account *list;
	u32 nr, seen = 0;

	memset(rows, 0, sizeof(rows));
	assert_int_equal(rf_machine_account(machine, true), 0);
	srand(3);
	for (u32 i = 0; i < ROUNDS; i++) {
		u32 mm = (u32)rand() % 2, owner = 1 + mm * OWNERS + (u32)rand() % OWNERS;
		u64 at = BASE + M(1) * (u64)(rand() % 4);
		const struct rf_op ops[] = {
			{ .kind = RF_OP_MM_NEW, .mm = mm },
			{ .kind = RF_OP_MAP, .mm = mm, .addr = BASE, .end = BASE + M(4), .vm_flags = RW,
			  .pgoff = BASE >> 12 },
			{ .kind = RF_OP_ZAP, .mm = mm, .addr = at, .end = at + K(256), .why = RF_WHY_DONTNEED },
			{ .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = at, .nr = 16, .order = 4, .flags = RF_OP_WRITE,
			  .pfn = PFN + (u64)(rand() % 4096) * 16 },
			{ .kind = RF_OP_UNMAP_SWAP, .mm = mm, .addr = at, .nr = 16, .pfn = 0x9000, .order = 4,
			  .flags = RF_OP_ANON },
		};
		const u32 owners[ARRAY_SIZE(ops)] = { owner, owner, owner, owner, 1 + mm * OWNERS };
		bool first = !(seen & BIT(mm));

		seen |= BIT(mm);
		assert_int_equal(rf_machine_run_for(machine, ops + (first ? 0 : 2), owners + (first ? 0 : 2),
						    first ? 5 : 3), 0);
		if (i % 50)
			continue;
		assert_int_equal(rf_machine_take_accounts(machine, &list, &nr), 0);
		for (u32 k = 0; k < nr; k++) {
			assert_int_equal(list[k].mm, (list[k].owner - 1) / OWNERS);
			assert_true(list[k].row < RF_NR_ROWS);
			operations[list[k].row] += list[k].operations;
#define X(name, meaning) rows[list[k].row].name += list[k].counters.name;
			ARCH_COUNTERS(X)
#undef X
			for (u32 other = 0; other < k; other++)
				assert_true(list[k].owner != list[other].owner || list[k].row != list[other].row);
		}
		assert_memory_equal(rows, rf_machine_stats(machine)->rows, sizeof(rows));
		assert_memory_equal(operations, rf_machine_stats(machine)->operations, sizeof(operations));
	}
	assert_true(rows[RF_ROW_rmap_walk].pte_loads > 0);
	rf_machine_destroy(machine);
}

/* A machine with accounts and one without, step by step. */
static void test_accounts_change_nothing(void **state)
{
	struct rf_machine *with = machine_of("linux-6.12", ""), *without = machine_of("linux-6.12", "");

	assert_int_equal(rf_machine_account(with, false), 0);
	script(with, false);
	script(without, false);
	assert_memory_equal(rf_machine_stats(with), rf_machine_stats(without), sizeof(struct rf_stats));
	rf_machine_destroy(with);
	rf_machine_destroy(without);
}

/* A fork is the parent's work, the exit of the child the child's. */
static void test_whose_work(void **state)
{
	struct rf_machine *machine = machine_of("linux-6.12", "");

	memset(sums, 0, sizeof(sums));
	assert_int_equal(rf_machine_account(machine, false), 0);
	run(machine, .kind = RF_OP_MM_NEW);
	map_anon(machine, 0, BASE, M(1));
	fault_anon(machine, 0, BASE, M(1), 4, PFN);
	run(machine, .kind = RF_OP_FORK, .mm2 = 1);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	take(machine);
	assert_int_equal(sums[0].counters.born, 32);	/* by the faults, and in the child */
	assert_int_equal(sums[0].counters.faults, 16);
	assert_int_equal(sums[0].counters.erased, 0);
	assert_int_equal(sums[1].counters.born, 0);
	assert_int_equal(sums[1].counters.erased, 16);
	assert_int_equal(sums[1].operations, 1);
	take(machine);
	expect_sums(machine);		/* nothing twice */
	rf_machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts_add_up),
		cmocka_unit_test(test_owners_add_up),
		cmocka_unit_test(test_accounts_change_nothing),
		cmocka_unit_test(test_whose_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
