// SPDX-License-Identifier: MIT
/* The text of /proc/PID/smaps: how large the pages of a hugetlb mapping are, and of no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/snapshot/maps.h"
#include "traces/record.h"

static char smaps[] =
	"7f0000000000-7f0040000000 rw-p 00000000 00:0f 1234                       /anon_hugepage (deleted)\n"
	"Size:            1048576 kB\n"
	"KernelPageSize:  1048576 kB\n"
	"MMUPageSize:     1048576 kB\n"
	"VmFlags: rd wr mr mw me de ht sd \n"
	"7f0040000000-7f0040400000 rw-p 00000000 00:0f 1235                       /dev/hugepages/file\n"
	"KernelPageSize:     2048 kB\n"
	"VmFlags: rd wr mr mw me ht \n"
	"7f0040400000-7f0040401000 rw-p 00000000 00:00 0 \n"
	"KernelPageSize:        4 kB\n"
	"VmFlags: rd wr mr mw me ac hg \n";

static void test_huge_sizes(void **state)
{
	struct rf_maps maps = { 0 };

	assert_int_equal(rf_maps_parse(&maps, smaps, 4096), 0);
	assert_int_equal(maps.nr, 3);
	assert_int_equal(maps.vmas[0].flags, RF_VM_READ | RF_VM_WRITE | RF_VM_HUGETLB | 30 << 20);
	assert_int_equal(RF_VMA_HUGE_SHIFT(maps.vmas[0].flags), 30);
	assert_int_equal(RF_VMA_HUGE_SHIFT(maps.vmas[1].flags), 21);
	assert_true(maps.vmas[2].flags == (RF_VM_READ | RF_VM_WRITE | RF_VM_HUGEPAGE | RF_ATTRIBUTE_ACCOUNT));
	rf_maps_free(&maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_huge_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
