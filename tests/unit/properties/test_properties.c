// SPDX-License-Identifier: MIT
/*
 * All named policies, in all granules, through random operations: 10^6 of them between the parts that run side by side.
 *
 *   REFOLD_SEED=N      another stream of operations
 *   REFOLD_POLICY=...  only this one: NAME+knob=value+...
 *   REFOLD_OPS=N       another number of operations in all
 *
 * usage: test-properties PART PARTS
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "properties/property.h"

#define ALL_OPS 1000000ull
#define EPISODE 2000u		/* steps on one machine, before the next one starts empty */

static unsigned int part, parts = 1;

/*
 * Knobs that no episode turns at random: they belong together with others (a batch needs a gather that has room for
 * it), give up an invariant by intent, or are bugs. With anon_folios a machine does not do what it is told:
 * test_ideas.c has it, by what holds nevertheless.
 */
static const char *const fixed_knobs[] = {
	"access_flush", "anon_folios", "batch_rule", "exit_spread_stored", "fold_scope", "gather", "getter", "granule",
	"unfold", "unfold_flush", "unfold_free_split", "zap_full_trick",
};

static u64 number_of(const char *variable, u64 otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static bool one_of(const char *name, const char *const *list, size_t nr)
{
	while (nr--)
		if (!strcmp(list[nr], name))
			return true;
	return false;
}

static u64 mix(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void append(char *spec, size_t size, const char *text)
{
	size_t length = strlen(spec);

	snprintf(spec + length, size - length, "+%s", text);
}

/* "NAME+granule=...". The bugs of v1 are off: what is left of it must hold. test_controls.c has them on. */
static void base_spec(char *spec, size_t size, const struct rf_policy *policy, const char *granule)
{
	snprintf(spec, size, "%s+granule=%s", policy->name, granule);
	if (policy->arch_knobs.access_flush_never)
		append(spec, size, "access_flush=dirty");
	if (policy->arch_knobs.zap_full_trick == ZAP_FULL_TRICK_V1)
		append(spec, size, "exit_spread_stored=true");
}

/* One to three knobs at random. */
static void turn_knobs(char *spec, size_t size, const struct rf_policy *policy, u64 dice)
{
	static const unsigned int numbers[] = { 1, 7, 33, 100000 };
	unsigned int turns = 1 + dice % 3, nr = 0, choice;
	const char *knob, *values, *help, *value;
	char text[128];

	while (rf_policy_knob(policy, nr, &knob, text, sizeof(text)))
		nr++;
	while (turns--) {
		dice = mix(dice + 1);
		rf_policy_knob(policy, dice % nr, &knob, text, sizeof(text));
		if (one_of(knob, fixed_knobs, ARRAY_SIZE(fixed_knobs)) || !rf_policy_knob_help(knob, &values, &help))
			continue;
		/* The postings' rules were made for fork and zap: their runs mix writable pages with others. */
		if (policy->mm.batch_rule != BATCH_RULE_FOLIO && !strncmp(knob, "batch_", 6))
			continue;
		if (!strchr(values, '|')) {
			snprintf(text, sizeof(text), "%s=%u", knob, numbers[dice >> 20 & 3]);
			append(spec, size, text);
			continue;
		}
		choice = (dice >> 20) % 4;
		for (value = values; choice && strchr(value, '|'); choice--)
			value = strchr(value, '|') + 1;
		snprintf(text, sizeof(text), "%s=%.*s", knob, (int)strcspn(value, "|"), value);
		append(spec, size, text);
	}
}

/* What has happened in all runs together: oracles that never saw anything have said nothing. */
static struct {
	u64 steps[256], counters[ARCH_NR_COUNTERS];
} tally;

static void count(const struct trial *t)
{
	const struct rf_stats *stats = rf_machine_stats(t->machine);
	struct arch_counters totals;
	size_t i;

	rf_stats_totals(stats, &totals);
	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		tally.counters[i] += ((const u64 *)&totals)[i];
}

static u64 counted(const char *name)
{
	size_t i;

	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		if (!strcmp(arch_counter_names[i], name))
			return tally.counters[i];
	fail_msg("no counter %s", name);
	return 0;
}

static void check_reached(void)
{
	static const char *const events[] = {
		"fold", "unfold", "born", "erased", "tlbi_va", "tlbi_range", "tlbi_asid", "tlbi_local", "gather_pages",
		"forced_flushes",
	};
	/*
	 * They change no entries of tables, or those of hugetlb, which never fold and unfold. What a userfaultfd does
	 * is not made at random, nor what only policies with folios of their own look at.
	 */
	static const char *const others[] = {
		"alloc_failed", "fault_hugetlb", "gup_fast", "gup_slow", "uffd_move", "uffd_wp", "window",
	};
	u64 least = number_of("REFOLD_OPS", ALL_OPS) / parts / 10000;
	size_t i;

	for (i = 0; i < RF_NR_OPS; i++)
		if (!one_of(rf_op_names[i], others, ARRAY_SIZE(others)) && tally.steps[i] * 20 < least)
			fail_msg("only %llu times %s", (unsigned long long)tally.steps[i], rf_op_names[i]);
	for (i = 0; i < ARRAY_SIZE(events); i++)
		if (counted(events[i]) < least)
			fail_msg("only %llu times %s", (unsigned long long)counted(events[i]), events[i]);
}

static void ended(void *context, const struct trial *t)
{
	count(t);
}

static void run_spec(const char *spec, u64 seed, size_t nr)
{
	struct episode episode;
	struct config config;
	size_t i;

	if (!config_init(&config, spec, seed))
		fail_msg("no such policy: %s", spec);
	assert_int_equal(run_episode(&config, nr, &episode, ended, NULL), 0);
	for (i = 0; i < episode.nr; i++)
		tally.steps[episode.steps[i].op.kind]++;
	if (episode.failure.failed) {
		print_message("again: REFOLD_POLICY='%s' REFOLD_SEED=%#llx\n", spec, (unsigned long long)seed);
		episode.nr = shrink(&config, episode.steps, episode.nr, &episode.failure);
		tell_failure(stdout, &config, episode.steps, episode.nr, &episode.failure);
		fail();
	}
	free(episode.steps);
}

/* Every other machine is the policy itself; the rest have a few of its knobs turned. */
static void run_policy(const struct rf_policy *policy, const char *granule, u64 seed, u64 nr)
{
	char spec[sizeof(((struct config *)0)->spec)];
	u64 episode;

	for (episode = 0; episode * EPISODE < nr; episode++) {
		u64 left = nr - episode * EPISODE, dice = mix(seed + episode);

		base_spec(spec, sizeof(spec), policy, granule);
		if (episode % 2)
			turn_knobs(spec, sizeof(spec), policy, dice);
		run_spec(spec, dice, left < EPISODE ? left : EPISODE);
	}
}

static bool granule_fits(const struct rf_policy *policy, const char *granule)
{
	struct rf_policy copy = *policy;
	struct rf_error err;

	return !rf_policy_set(&copy, "granule", granule, &err);
}

static void test_properties(void **state)
{
	static const char *const granules[] = { "4k", "16k", "64k" };
	u64 seed = number_of("REFOLD_SEED", 0x5eed2026), all = number_of("REFOLD_OPS", ALL_OPS), runs = 0, run = 0;
	const struct rf_policy *policy;
	const char *only = getenv("REFOLD_POLICY");
	size_t i, g;

	if (only) {
		run_spec(only, seed, EPISODE);
		return;
	}
	for (i = 0; (policy = rf_policy_named(i)); i++)
		for (g = 0; g < ARRAY_SIZE(granules); g++)
			runs += granule_fits(policy, granules[g]);
	/* What failed once: other pages of the block that a write fault folds become dirty with its own. */
	run_spec("linux-7.3+fold_sites=any", 0xc6b2b9e31e036240, EPISODE);
	run_spec("linux-7.3+fold_sites=any+bbml3=true", 0xc6b2b9e31e036240, EPISODE);
	print_message("seed %#llx: %llu operations for each of %llu policies and granules\n", (unsigned long long)seed,
		      (unsigned long long)((all + runs - 1) / runs), (unsigned long long)runs);
	for (i = 0; (policy = rf_policy_named(i)); i++)
		for (g = 0; g < ARRAY_SIZE(granules); g++)
			if (granule_fits(policy, granules[g]) && run++ % parts == part)
				run_policy(policy, granules[g], mix(seed + run), (all + runs - 1) / runs);
	check_reached();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_properties) };

	if (argc == 3) {
		part = strtoul(argv[1], NULL, 10);
		parts = strtoul(argv[2], NULL, 10);
	}
	return cmocka_run_group_tests_name("properties", tests, NULL, NULL);
}
