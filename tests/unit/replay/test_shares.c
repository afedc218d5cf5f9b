// SPDX-License-Identifier: MIT
/* Shares of changes: of games whose values are known, exactly and by drawing orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replay/report/shares.h"

/* Change i saves 10 (i + 1); 0 and 2 together cost 60, whatever else is there. */
static s64 with_one_pair(void *context, u64 set)
{
	s64 value = 1000;
	int i;

	++*(int *)context;
	for (i = 0; i < RF_SHARES_MAX; i++)
		if (set >> i & 1)
			value -= 10 * (i + 1);
	return (set & 5) == 5 ? value + 60 : value;
}

static s64 nearest(double value)
{
	return value < 0 ? value - .5 : value + .5;
}

/* -10 + 60 / 2, -20, -30 + 60 / 2, and -70 for the one that is not next to them. */
static void check_shares(const struct rf_shares *shares)
{
	assert_int_equal(nearest(shares->share[0]), 20);
	assert_int_equal(nearest(shares->share[1]), -20);
	assert_int_equal(nearest(shares->share[2]), 0);
	assert_int_equal(nearest(shares->share[6]), -70);
	assert_int_equal(nearest(shares->share[5]), 0);	/* does not play */
}

static void test_exact(void **state)
{
	struct rf_shares shares;
	int asked = 0;

	rf_shares_plan(&shares, 0x47, 1, 4);
	assert_int_equal(shares.orders, 0);
	rf_shares_compute(&shares, with_one_pair, &asked);
	check_shares(&shares);
	assert_true(shares.error[0] == 0);
}

/* An order and its reverse hold each pair both ways round: without triples there is no error. */
static void test_drawn(void **state)
{
	struct rf_shares shares;
	int asked = 0;

	rf_shares_plan(&shares, 0xfdf, 7, 90);
	assert_int_equal(shares.orders, 8);	/* 90 / (11 - 1) = 9, in pairs */
	rf_shares_compute(&shares, with_one_pair, &asked);
	assert_int_equal(nearest(shares.share[0]), 20);
	assert_int_equal(nearest(shares.share[6]), -70);
	assert_int_equal(nearest(shares.error[0]), 0);
}

/* Only all of them together cost: the last one of an order pays, so each has a twelfth, with an error. */
static s64 all_or_nothing(void *context, u64 set)
{
	return set == 0xfff ? 1200 : 0;
}

static void test_error(void **state)
{
	struct rf_shares shares, again;
	double sum = 0;
	int i;

	rf_shares_plan(&shares, 0xfff, 3, 200);
	again = shares;
	rf_shares_compute(&shares, all_or_nothing, NULL);
	rf_shares_compute(&again, all_or_nothing, NULL);
	assert_memory_equal(&shares, &again, sizeof(shares));
	for (i = 0; i < 12; i++) {
		sum += shares.share[i];
		if (shares.error[i] > 0)
			assert_true(shares.share[i] - 100 < 4 * shares.error[i]);
	}
	assert_int_equal(nearest(sum), 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
