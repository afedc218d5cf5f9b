// SPDX-License-Identifier: MIT
/*
 * The event table as an import uses it. The kernel's filters are applied there by hand (traces/import/convert.c),
 * record by record: a row with a filter that is not among those would let through what live recordings never hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "traces/events/events.h"

static void test_filters_are_known(void **state)
{
	static const struct {
		u8 kind;
		const char *filter;
	} known[] = {
		{ RF_FAULT, "address <= 0x7fffffffffffffff" },
		{ RF_RSS_STAT, "curr == 1" },
		{ RF_RSS_STAT, "curr == 0" },
		{ RF_PAGE_ALLOC, "gfp_flags & $MOVABLE" },
		/* Nothing filters by thread in a file: khugepaged's pages are among the others. */
		{ RF_PAGE_ALLOC, "gfp_flags & $MOVABLE && comm == \"khugepaged\"" },
		/* Of trace-cmd's own output nothing is known; its pages do no harm. */
		{ RF_CACHE_ADD, "!(s_dev == $OUTPUT_DEV && i_ino == $OUTPUT_INO)" },
		{ RF_CACHE_DELETE, "!(s_dev == $OUTPUT_DEV && i_ino == $OUTPUT_INO)" },
		{ RF_SYS_FUTEX, "!(op & 128)" },
		{ RF_SYS_PRCTL, "option == 0x53564d41" },
		/* By the type in the command: those that the filter leaves out are harmless. */
		{ RF_SYS_IOCTL, "cmd == 0xc020aa00 || cmd == 0x8010aa01 || cmd == 0xc028aa03 || cmd == 0xc020aa04 || "
				"cmd == 0xc028aa05 || cmd == 0xc018aa06 || cmd == 0xc020aa07 || cmd == 0xc020aa08" },
		{ RF_SYS_RET, "ret < 0" },
		{ RF_SYS_RET, "ret < 0 && ret != -25" },
		/* A number that is not wanted has no record. */
		{ RF_BY_NUMBER, "$CALLS" },
	};

	for (size_t i = 0; i < rf_nr_events; i++) {
		bool found = !rf_events[i].filter || rf_events[i].probe;	/* our own probes are in no file */

		for (size_t k = 0; k < ARRAY_SIZE(known) && !found; k++)
			found = known[k].kind == rf_events[i].kind && !strcmp(known[k].filter, rf_events[i].filter);
		if (!found)
			fail_msg("traces/import/convert.c does not know the filter of %s:%s, \"%s\"", rf_events[i].system,
				 rf_events[i].name, rf_events[i].filter);
	}
}

/* Where a kind has rows in one instance only, traces/import/convert.c puts all of its records there. */
static void test_instances_are_told_by_kind(void **state)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		for (size_t k = 0; k < i; k++)
			if (rf_events[i].kind == rf_events[k].kind && rf_events[i].instance != rf_events[k].instance)
				assert_true(rf_events[i].kind == RF_RSS_STAT || rf_events[i].kind == RF_PAGE_ALLOC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters_are_known),
		cmocka_unit_test(test_instances_are_told_by_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
