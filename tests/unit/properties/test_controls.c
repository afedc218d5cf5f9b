// SPDX-License-Identifier: MIT
/*
 * The oracles themselves: each must find the fault that was made for it, alone, in the same random operations that find
 * nothing in the right backend. First the two bugs of contpte v1 as it was posted (kernel-model.md section 8), then the
 * mutants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mutants.h"
#include "properties/property.h"

#define EPISODES 12
#define EPISODE 2000u

/* Does this oracle, and no other that may speak, find something? NULL: any but I7. */
static bool finds(const char *oracle, const char *spec, const struct mutant *mutant, struct failure *failure)
{
	struct config config;
	struct arch_ops ops;
	struct step step;
	struct trial *t;
	u64 episode;
	size_t i;

	*failure = (struct failure){ .failed = false };
	for (episode = 0; episode < EPISODES && !failure->failed; episode++) {
		assert_true(config_init(&config, spec, 0xc0de + episode));
		config.only = oracle;
		config.skipped = oracle ? 0 : BIT(property_find("I7") - properties);
		if (mutant) {
			ops = mutated(config.backend, mutant);
			config.backend = &ops;
		}
		t = trial_create(&config);
		for (i = 0; i < EPISODE && !t->failure.failed; i++) {
			step = generate(t);
			trial_step(t, &step);
		}
		*failure = t->failure;
		trial_destroy(t);
	}
	return failure->failed;
}

static void expect_found(const char *what, const char *oracle, const char *spec, const struct mutant *mutant)
{
	struct failure failure;

	if (!finds(oracle, spec, mutant, &failure))
		fail_msg("%s does not find that %s", oracle, what);
	print_message("%-4s %s: %s\n", oracle, what, failure.text);
}

static void expect_silence(const char *oracle, const char *spec)
{
	struct failure failure;

	if (finds(oracle, spec, NULL, &failure))
		fail_msg("%s speaks on %s: %s", oracle, spec, failure.text);
}

/* The first posting never flushed after access flags of a folded block, and lost what its exit spread. */
static void test_contpte_v1(void **state)
{
	expect_found("v1 does not flush access flags", "I9", "contpte-v1", NULL);
	expect_silence("I9", "contpte-v1+access_flush=dirty");
	expect_found("v1 loses A/D at exit", "I15", "contpte-v1", NULL);
	expect_silence("I15", "contpte-v1+exit_spread_stored=true");
}

static void test_mutants(void **state)
{
	size_t i;

	for (i = 0; i < nr_mutants; i++)
		expect_found(mutants[i].what, mutants[i].oracle, "linux-7.3", &mutants[i]);
}

/* Not a fault, but a price: blocks of several folios share A/D that do not belong together. */
static void test_span(void **state)
{
	expect_found("blocks of several folios lose A/D", "I12", "linux-6.12+fold_scope=span", NULL);
	expect_silence("I12", "linux-6.12");
}

/*
 * Ideas that give up a promise: a block is there again before its old entries are known to be gone (I7), which only
 * BBML2 promises to survive. Nothing else is given up: whoever flushes later, the operation waits.
 */
static void test_unfold(void **state)
{
	static const char *const specs[] = {
		"linux-7.3+unfold=nosync", "linux-7.3+unfold_flush=merged",
		"linux-6.12+unfold=nosync+unfold_flush=merged+fold_sites=end-of-op",
		"linux-7.3+unfold_free_split=entry", "linux-6.12+unfold_free_split=block+fold_sites=any",
		"contpte-v3+unfold_free_split=entry", "svnapot-user+unfold_free_split=block",
	};
	struct failure failure;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		expect_found("blocks are remade before their flush", "I7", specs[i], NULL);
		if (finds(NULL, specs[i], NULL, &failure))
			fail_msg("%s speaks on %s: %s", failure.oracle, specs[i], failure.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contpte_v1),
		cmocka_unit_test(test_mutants),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_unfold),
	};

	return cmocka_run_group_tests_name("controls", tests, NULL, NULL);
}
