// SPDX-License-Identifier: MIT
/* Scans that fold blocks (khuge_cont): their pace, where they go on, whose work it is, what silence costs. */
#include "machine_script.h"

#define TABLES 20
#define TABLE M(2)
#define BLOCKS_A_TABLE 32
#define MS(n) ((u64)(n) * 1000000)

/* One block of each table loses a page's permission, and has it back: nothing folds it again. */
static void unfold_one_each(struct rf_machine *machine, u32 mm, u64 at)
{
	u64 page;

	for (page = at + K(20); page < at + TABLES * TABLE; page += TABLE) {
		run(machine, .kind = RF_OP_MPROTECT, .mm = mm, .addr = page, .end = page + K(4),
		    .vm_flags = RF_VM_READ);
		run(machine, .kind = RF_OP_MPROTECT, .mm = mm, .addr = page, .end = page + K(4), .vm_flags = RW);
	}
}

static struct rf_machine *machine_with_unfolded(const char *knobs)
{
	struct rf_machine *machine = machine_with_folios("linux-7.3", knobs, TABLES * TABLE);

	unfold_one_each(machine, 0, BASE);
	return machine;
}

static u64 folds(struct rf_machine *machine)
{
	return rf_machine_stats(machine)->rows[RF_ROW_collapse].fold;
}

static u64 looks(struct rf_machine *machine)
{
	return rf_machine_stats(machine)->readers[RF_SITE_khugepaged_scan].calls;
}

static void pass(struct rf_machine *machine, u64 time)
{
	run(machine, .kind = RF_OP_WINDOW, .time = time);
}

/* Eight tables a scan: 8, 8 and 4 of 20; then nothing is left to fold. */
static void test_pace(void **state)
{
	struct rf_machine *machine = machine_with_unfolded("khuge_cont=10");

	pass(machine, MS(10) - 1);
	assert_int_equal(folds(machine), 0);
	assert_int_equal(looks(machine), 0);
	pass(machine, MS(10));
	assert_int_equal(folds(machine), 8);
	assert_int_equal(looks(machine), 8 * BLOCKS_A_TABLE);
	pass(machine, MS(19));
	assert_int_equal(folds(machine), 8);
	pass(machine, MS(30));
	assert_int_equal(folds(machine), TABLES);
	assert_int_equal(rf_machine_stats(machine)->live_blocks, TABLES * BLOCKS_A_TABLE);
	assert_int_equal(rf_machine_stats(machine)->operations[RF_ROW_collapse], 0);
	rf_machine_destroy(machine);
}

/* An hour without an operation: two rounds, of which a scan may begin another; then the pace goes on. */
static void test_silence(void **state)
{
	struct rf_machine *machine = machine_with_unfolded("khuge_cont=10");
	const u64 hour = MS(3600000);
	u64 before;

	pass(machine, hour);
	assert_int_equal(folds(machine), TABLES);
	before = looks(machine);
	assert_in_range(before, TABLES * BLOCKS_A_TABLE, 3 * TABLES * BLOCKS_A_TABLE);
	pass(machine, hour + MS(9));
	assert_int_equal(looks(machine), before);
	pass(machine, hour + MS(10));
	assert_in_range(looks(machine), before + 1, before + 8 * BLOCKS_A_TABLE);
	rf_machine_destroy(machine);
}

/* All address spaces have their turn, and each is told its own work. */
static void test_whose(void **state)
{
	struct rf_machine *machine = machine_of("linux-7.3", "khuge_cont=10");
	const struct rf_account *list;
	u64 counted = 0;
	u32 nr, mm;

	assert_int_equal(rf_machine_account(machine, false), 0);
	for (mm = 0; mm < 3; mm++) {
		run(machine, .kind = RF_OP_MM_NEW, .mm = mm);
		map_anon(machine, mm, BASE, TABLES * TABLE);
		fault_anon(machine, mm, BASE, TABLES * TABLE, 4, PFN + mm * 0x10000);
		unfold_one_each(machine, mm, BASE);
	}
	pass(machine, MS(80));
	assert_int_equal(folds(machine), 3 * TABLES);
	assert_int_equal(rf_machine_take_accounts(machine, &list, &nr), 0);
	assert_int_equal(nr, 3);
	for (mm = 0; mm < nr; mm++) {
		assert_int_equal(list[mm].counters.fold, TABLES);
		counted += list[mm].counters.pte_loads;
	}
	assert_true(counted);
	rf_machine_destroy(machine);
}

/* Where operations have owners, none of them has what is done between them. */
static void test_accounts_of_owners(void **state)
{
	struct rf_machine *machine = machine_of("linux-7.3", "khuge_cont=10");
	const struct rf_op later = { .kind = RF_OP_RECLAIM_FLUSH, .mm = 1, .time = MS(80) };
	const struct rf_account *list;
	const u32 owner = 7;
	u32 nr, scanned = 0;

	assert_int_equal(rf_machine_account(machine, true), 0);
	for (u32 mm = 0; mm < 2; mm++) {
		run(machine, .kind = RF_OP_MM_NEW, .mm = mm);
		map_anon(machine, mm, BASE, TABLES * TABLE);
		fault_anon(machine, mm, BASE, TABLES * TABLE, 4, PFN + mm * 0x10000);
		unfold_one_each(machine, mm, BASE);
	}
	assert_int_equal(rf_machine_take_accounts(machine, &list, &nr), 0);
	assert_int_equal(rf_machine_run_for(machine, &later, &owner, 1), 0);
	assert_int_equal(rf_machine_take_accounts(machine, &list, &nr), 0);
	for (u32 i = 0; i < nr; i++) {
		bool of_scans = list[i].owner == RF_OWNER_MACHINE && list[i].row == RF_ROW_collapse;

		assert_true(list[i].mm < 2);
		assert_int_equal(list[i].counters.fold, of_scans ? TABLES : 0);
		scanned += of_scans;
	}
	assert_int_equal(scanned, 2);
	rf_machine_destroy(machine);
}

/* Nothing folds there, and nobody looks. */
static void test_no_blocks(void **state)
{
	struct rf_machine *machine = machine_with_folios("x86-7.3", "khuge_cont=1", M(2));

	pass(machine, MS(100));
	assert_int_equal(looks(machine), 0);
	rf_machine_destroy(machine);
	machine = machine_with_folios("linux-6.8", "khuge_cont=1", M(2));
	pass(machine, MS(100));
	assert_int_equal(looks(machine), 0);
	rf_machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_accounts_of_owners),
		cmocka_unit_test(test_no_blocks),
	};

	return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
