// SPDX-License-Identifier: MIT
/* Which mapping an operation is in: what VMAs are called while they grow, are cut, protected, moved and inherited. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "replay/attribution/areas.h"

#define K(x) ((u64)(x) << 10)
#define M(x) ((u64)(x) << 20)
#define BASE 0x7f0000000000ull
#define RW (RF_VM_READ | RF_VM_WRITE)

static struct rf_areas areas;

static int begin(void **state)
{
	rf_areas_start(&areas, true, 12);
	return 0;
}

static int end(void **state)
{
	assert_false(areas.failed);
	rf_areas_free(&areas);
	return 0;
}

static const struct rf_area *take(struct rf_op op)
{
	u32 number = rf_areas_take(&areas, &op, false);

	assert_in_range(number, 1, areas.nr);
	return &areas.list[number - 1];
}

#define TAKE(...) take((struct rf_op){ __VA_ARGS__ })
#define MAP_RW(at, length) TAKE(.kind = RF_OP_MAP, .addr = (at), .end = (at) + (length), .vm_flags = RW)
#define FAULT(at) TAKE(.kind = RF_OP_FAULT_ANON, .addr = (at), .nr = 1)

static void expect(const struct rf_area *area, u8 mapping, u64 start, u64 length)
{
	assert_int_equal(area->mapping, mapping);
	assert_int_equal(area->start, start);
	assert_int_equal(area->end, start + length);
}

/* Chunks that come one below the other are one mapping, as the kernel merges them; what is cut out leaves its name. */
static void test_grows_and_is_cut(void **state)
{
	expect(MAP_RW(BASE, M(4)), RF_MAPPING_ANON, BASE, M(4));
	expect(MAP_RW(BASE - M(4), M(4)), RF_MAPPING_ANON, BASE - M(4), M(8));
	TAKE(.kind = RF_OP_MUNMAP, .addr = BASE, .end = BASE + M(1));
	expect(FAULT(BASE - M(1)), RF_MAPPING_ANON, BASE - M(4), M(8));
	expect(FAULT(BASE + M(2)), RF_MAPPING_ANON, BASE - M(4), M(8));
	assert_int_equal(FAULT(BASE)->mapping, RF_MAPPING_UNKNOWN);
	/* It comes again, with another hole between: the same. */
	MAP_RW(BASE, K(64));
	expect(FAULT(BASE), RF_MAPPING_ANON, BASE - M(4), M(8));
	assert_int_equal(areas.nr, 2);
}

/* A loop of mmap() and munmap() is one name, however often. */
static void test_comes_again(void **state)
{
	for (u32 i = 0; i < 100; i++) {
		expect(MAP_RW(BASE, K(64)), RF_MAPPING_ANON, BASE, K(64));
		TAKE(.kind = RF_OP_MUNMAP, .addr = BASE, .end = BASE + K(64));
	}
	assert_int_equal(areas.nr, 1);
	MAP_RW(BASE, M(1));
	expect(FAULT(BASE + K(512)), RF_MAPPING_ANON, BASE, M(1));
	assert_int_equal(areas.nr, 1);
}

/* Stacks of threads: reserved without permissions side by side, made accessible but for a guard: none merges. */
static void test_protected(void **state)
{
	for (u64 at = BASE; at < BASE + M(24); at += M(8)) {
		TAKE(.kind = RF_OP_MAP, .addr = at, .end = at + M(8));
		TAKE(.kind = RF_OP_MPROTECT, .addr = at + K(4), .end = at + M(8), .vm_flags = RW);
	}
	expect(FAULT(BASE + M(8) - K(4)), RF_MAPPING_ANON, BASE + K(4), M(8) - K(4));
	expect(FAULT(BASE + M(16) - K(4)), RF_MAPPING_ANON, BASE + M(8) + K(4), M(8) - K(4));
	/* A whole stack is given back with its guard, and is meant; two stacks are several. */
	expect(TAKE(.kind = RF_OP_ZAP, .addr = BASE, .end = BASE + M(8)), RF_MAPPING_ANON, BASE + K(4), M(8) - K(4));
	assert_int_equal(TAKE(.kind = RF_OP_ZAP, .addr = BASE, .end = BASE + M(9))->mapping, RF_MAPPING_SEVERAL);
	/* A heap that becomes accessible bit by bit is one. */
	TAKE(.kind = RF_OP_MAP, .addr = BASE + M(64), .end = BASE + M(128));
	TAKE(.kind = RF_OP_MPROTECT, .addr = BASE + M(64), .end = BASE + M(65), .vm_flags = RW);
	expect(FAULT(BASE + M(64)), RF_MAPPING_ANON, BASE + M(64), M(1));
	TAKE(.kind = RF_OP_MPROTECT, .addr = BASE + M(65), .end = BASE + M(66), .vm_flags = RW);
	expect(FAULT(BASE + M(65)), RF_MAPPING_ANON, BASE + M(64), M(2));
	/* All of a mapping keeps its name. */
	MAP_RW(BASE + M(256), M(1));
	TAKE(.kind = RF_OP_MPROTECT, .addr = BASE + M(256), .end = BASE + M(257), .vm_flags = RF_VM_READ);
	expect(FAULT(BASE + M(256)), RF_MAPPING_ANON, BASE + M(256), M(1));
}

static void test_kinds(void **state)
{
	struct rf_op brk = { .kind = RF_OP_MAP, .addr = M(1), .end = M(2), .vm_flags = RW };

	u32 heap = rf_areas_take(&areas, &brk, true), number;

	assert_int_equal(areas.list[heap - 1].mapping, RF_MAPPING_HEAP);
	assert_int_equal(TAKE(.kind = RF_OP_MAP, .addr = M(3), .end = M(4), .vm_flags = RW, .file = 5)->mapping,
			 RF_MAPPING_FILE);
	assert_int_equal(TAKE(.kind = RF_OP_MAP, .addr = M(5), .end = M(6), .vm_flags = RW | RF_VM_SHARED)->mapping,
			 RF_MAPPING_SHMEM);
	assert_int_equal(TAKE(.kind = RF_OP_MAP, .addr = M(8), .end = M(10), .vm_flags = RW | RF_VM_HUGETLB)->mapping,
			 RF_MAPPING_HUGETLB);
	assert_int_equal(TAKE(.kind = RF_OP_MAP, .addr = M(11), .end = M(12), .vm_flags = RF_VM_SPECIAL)->mapping,
			 RF_MAPPING_SPECIAL);
	expect(TAKE(.kind = RF_OP_MAP, .addr = M(20), .end = M(21), .vm_flags = RW | RF_VM_GROWSDOWN),
	       RF_MAPPING_STACK, M(20), M(1));
	expect(TAKE(.kind = RF_OP_VMA_GROW, .addr = M(19), .end = M(20)), RF_MAPPING_STACK, M(19), M(2));
	/* Text and data of one file lie side by side, and are two. */
	TAKE(.kind = RF_OP_MAP, .addr = M(30), .end = M(31), .vm_flags = RF_VM_READ | RF_VM_EXEC, .file = 6);
	expect(TAKE(.kind = RF_OP_MAP, .addr = M(31), .end = M(32), .vm_flags = RW, .file = 6, .pgoff = 256),
	       RF_MAPPING_FILE, M(31), M(1));
	assert_int_equal(TAKE(.kind = RF_OP_ZAP, .addr = M(30), .end = M(32))->mapping, RF_MAPPING_SEVERAL);
	assert_int_equal(TAKE(.kind = RF_OP_FORK, .mm2 = 1)->mapping, RF_MAPPING_WHOLE);
	/* What has no place is there once. */
	number = areas.nr;
	assert_int_equal(TAKE(.kind = RF_OP_RECLAIM_FLUSH)->mapping, RF_MAPPING_WHOLE);
	assert_int_equal(TAKE(.kind = RF_OP_ZAP, .addr = M(30), .end = M(32))->mapping, RF_MAPPING_SEVERAL);
	assert_int_equal(areas.nr, number);
}

/* mremap(): what was there is where it was, what is moved is new; a child's are its own. */
static void test_moved_and_inherited(void **state)
{
	MAP_RW(BASE, M(1));
	expect(TAKE(.kind = RF_OP_MREMAP, .addr = BASE, .end = BASE + M(1), .addr2 = BASE + M(16), .nr = 512),
	       RF_MAPPING_ANON, BASE, M(1));
	expect(FAULT(BASE + M(17)), RF_MAPPING_ANON, BASE + M(16), M(2));
	assert_int_equal(FAULT(BASE)->mapping, RF_MAPPING_UNKNOWN);
	expect(TAKE(.kind = RF_OP_VMA_EXPAND, .addr = BASE + M(18), .end = BASE + M(19)), RF_MAPPING_ANON,
	       BASE + M(16), M(3));
	TAKE(.kind = RF_OP_FORK, .mm2 = 1);
	expect(TAKE(.kind = RF_OP_FAULT_COW, .mm = 1, .addr = BASE + M(16), .nr = 1), RF_MAPPING_ANON, BASE + M(16),
	       M(3));
	assert_int_equal(areas.list[areas.nr - 1].mm, 1);
	TAKE(.kind = RF_OP_MM_EXIT, .mm = 1);
	assert_int_equal(TAKE(.kind = RF_OP_FAULT_COW, .mm = 1, .addr = BASE + M(16), .nr = 1)->mapping,
			 RF_MAPPING_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grows_and_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(test_comes_again, begin, end),
		cmocka_unit_test_setup_teardown(test_protected, begin, end),
		cmocka_unit_test_setup_teardown(test_kinds, begin, end),
		cmocka_unit_test_setup_teardown(test_moved_and_inherited, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
