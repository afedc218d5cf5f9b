// SPDX-License-Identifier: MIT
/* Named points and knobs: the tables agree with themselves, text goes in and out unchanged, errors help. */
#include "fixture.h"

static void test_names(void **state)
{
	static const char *const wanted[] = {
		"linux-6.8", "generic-batch", "contpte-v1", "contpte-v2", "contpte-v3", "contpte-v3-noopt",
		"contpte-v4",
		"contpte-v5-basic", "contpte-v5-batch", "contpte-v5-fold", "linux-6.9", "norecency-rfc",
		"norecency-full",
		"linux-6.12", "linux-6.17", "linux-7.2", "linux-7.3", "x86-6.18",
	};
	const struct rf_policy *policy;
	const char *against;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_non_null(rf_policy_find(wanted[i]));
	for (i = 0; (policy = rf_policy_named(i)); i++) {
		assert_ptr_equal(rf_policy_find(policy->name), policy);
		assert_string_equal(policy->name, policy->base);
		assert_non_null(policy->arch);
		assert_true(strlen(rf_policy_summary(policy)) > 20);
		assert_true(strlen(rf_policy_release(policy)) > 0);
		assert_non_null(rf_policy_changes(policy, &against));
		assert_true(!*against || rf_policy_find(against) < policy);
	}
	assert_null(rf_policy_find("linux-2.4"));
	assert_null(rf_policy_named(i + 1));
}

/* 6.9 merged what v5 posted: the same knobs by two ways, but for what else 6.9 brought. */
static void test_v5_is_6_9(void **state)
{
	const struct rf_policy *posted = rf_policy_find("contpte-v5-fold"), *merged = rf_policy_find("linux-6.9");
	char value[32], other[32];
	const char *knob;
	size_t i;

	for (i = 0; rf_policy_knob(posted, i, &knob, value, sizeof(value)); i++) {
		assert_true(rf_policy_knob(merged, i, &knob, other, sizeof(other)));
		if (!strcmp(knob, "pageout_young"))
			assert_string_equal(other, "ignore");
		else
			assert_string_equal(value, other);
	}
}

/* Core mm of a release is the same on every architecture, but for what a point says. */
static void test_core_is_shared(void **state)
{
	static const char *const newest[] = { "x86-7.3", "x86-7.3-invlpgb", "riscv-7.3", "powerpc-8xx" };
	const struct rf_policy *linux = rf_policy_find("linux-7.3"), *policy;
	struct rf_mm_knobs core;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(newest); i++) {
		policy = rf_policy_find(newest[i]);
		assert_memory_equal(&policy->mm, &linux->mm, sizeof(core));
		assert_true(policy->arch_knobs.batch_young && linux->arch_knobs.batch_young);
	}
	core = rf_policy_find("linux-6.17")->mm;
	core.pt_reclaim = true;		/* x86 had it first */
	core.batch_uffd_move = true;
	core.unshare_flush = UNSHARE_FLUSH_GATHER;
	assert_memory_equal(&rf_policy_find("x86-6.18")->mm, &core, sizeof(core));
	assert_memory_equal(&rf_policy_find("powerpc-hash")->mm, &rf_policy_find("linux-6.9")->mm, sizeof(core));
}

/* What was changed is what a point says it changes, and nothing else. */
static void test_changes_are_all(void **state)
{
	const struct rf_policy *policy, *base;
	const char *against, *changes, *knob;
	char value[32], other[32], change[96];
	size_t i, j;

	for (i = 0; (policy = rf_policy_named(i)); i++) {
		changes = rf_policy_changes(policy, &against);
		base = rf_policy_find(against);
		if (!base)
			continue;
		for (j = 0; rf_policy_knob(policy, j, &knob, value, sizeof(value)); j++) {
			assert_true(rf_policy_knob(base, j, &knob, other, sizeof(other)));
			snprintf(change, sizeof(change), "%s=%s", knob, value);
			if (strcmp(value, other) && !strstr(changes, change))
				fail_msg("%s does not say %s", policy->name, change);
			if (!strcmp(value, other) && strstr(changes, change))
				fail_msg("%s: %s is no change", policy->name, change);
		}
	}
}

static bool has_granule(const struct arch_ops *ops, const char *granule)
{
	const struct arch_geometry *geometry;

	for (geometry = ops->geometries; geometry->page_shift; geometry++)
		if (1 << (geometry->page_shift - 10) == atoi(granule))
			return true;
	return false;
}

/* Each knob of each policy can be written back, and each of its values can be read. */
static void test_round_trip(void **state)
{
	const struct rf_policy *policy;
	const char *knob, *previous, *values, *help;
	struct rf_policy copy, again;
	struct rf_error err;
	char value[32], list[128], *rest, *one;
	size_t i, j;

	for (i = 0; (policy = rf_policy_named(i)); i++) {
		previous = "";
		for (j = 0; rf_policy_knob(policy, j, &knob, value, sizeof(value)); j++) {
			assert_true(strcmp(previous, knob) < 0); /* alphabetical */
			previous = knob;
			copy = *policy;
			assert_int_equal(rf_policy_set(&copy, knob, value, &err), 0);
			assert_memory_equal(&copy, policy, sizeof(copy));
			assert_true(rf_policy_knob_help(knob, &values, &help));
			if (!strcmp(values, "NUMBER"))
				continue;
			snprintf(list, sizeof(list), "%s", values);
			for (rest = list; (one = strsep(&rest, "|"));) {
				again = *policy;
				if (!strcmp(knob, "granule") && !has_granule(policy->arch, one))
					continue;
				assert_int_equal(rf_policy_set(&again, knob, one, &err), 0);
				assert_true(rf_policy_knob(&again, j, &knob, value, sizeof(value)));
				assert_string_equal(value, one);
			}
		}
		assert_true(j > 10);
	}
}

static void expect_error_of(const struct rf_policy *before, const char *knob, const char *value, const char *part)
{
	struct rf_policy policy = *before;
	struct rf_error err;

	assert_int_equal(rf_policy_set(&policy, knob, value, &err), -EINVAL);
	assert_memory_equal(&policy, before, sizeof(policy));
	if (!strstr(err.message, part))
		fail_msg("'%s' does not say '%s'", err.message, part);
}

static void expect_error(const char *spec, const char *knob, const char *value, const char *part)
{
	expect_error_of(rf_policy_find(spec), knob, value, part);
}

/* Every knob of every policy is in the list of all. */
static void test_all_knobs(void **state)
{
	const struct rf_policy *policy;
	const char *knob, *one, *values, *help;
	char value[32];
	size_t i, j;

	for (i = 0; (policy = rf_policy_named(i)); i++) {
		one = rf_policy_next_knob(NULL);
		for (j = 0; rf_policy_knob(policy, j, &knob, value, sizeof(value)); j++) {
			while (one && strcmp(one, knob))
				one = rf_policy_next_knob(one);
			assert_non_null(one);
		}
	}
	for (knob = NULL; (one = rf_policy_next_knob(knob)); knob = one) {
		assert_true(!knob || strcmp(knob, one) < 0);
		assert_true(rf_policy_knob_help(one, &values, &help));
	}
	assert_string_equal(knob, "zap_full_trick");
}

static bool is_knob(const char *name, const char *area)
{
	const char *values, *help;

	return rf_policy_knob_help(name, &values, &help) && !strcmp(rf_policy_knob_area(name), area);
}

/* Every knob has an area that is listed, and what an area lists is a knob that no other area has. */
static void test_areas(void **state)
{
	const char *knob = NULL, *area;
	char copy[512], *rest, *name;
	size_t i, listed = 0, knobs = 0;

	for (i = 0; (area = rf_policy_area(i)); i++) {
		snprintf(copy, sizeof(copy), "%s", rf_policy_area_knobs(i));
		for (rest = copy; (name = strsep(&rest, " ")); listed++)
			if (!is_knob(name, area))
				fail_msg("'%s' of area '%s' is no knob, or of another area, too", name, area);
	}
	for (; (knob = rf_policy_next_knob(knob)); knobs++)
		if (!rf_policy_knob_area(knob))
			fail_msg("knob '%s' is in no area: engine/policy/areas.c", knob);
	assert_int_equal(listed, knobs);
	assert_null(rf_policy_knob_area("tlb"));
	assert_null(rf_policy_knob_area("no such knob"));
}

static void test_errors(void **state)
{
	struct rf_policy policy = *rf_policy_find("linux-6.12");

	expect_error("linux-6.12", "tlbx", "single", "'tlbi'");
	expect_error("linux-6.12", "batch_fok", "true", "the nearest are 'batch_fork', ");
	expect_error("linux-6.12", "unfold_flash", "each", "'unfold_flush', 'unmap_flush' and 'unfold', ");
	expect_error("linux-6.12", "tlbi", "none", "single|range");
	expect_error("linux-6.12", "tlbi", "", "single|range");
	expect_error("linux-6.12", "tlbi", "single|range", "single|range");
	expect_error("linux-6.12", "cont", "maybe", "false|true");
	expect_error("linux-6.12", "max_dvm_ops", "-1", "a number");
	expect_error("linux-6.12", "max_dvm_ops", "12x", "a number");
	expect_error("linux-6.12", "max_dvm_ops", "4294967296", "a number");
	expect_error("x86-6.18", "cont", "true", "x86");
	expect_error("x86-6.18", "granule", "64k", "4k");
	expect_error("linux-6.12", "flush_ceiling", "10", "arm64");
	expect_error("riscv-7.3", "granule", "16k", "4k");
	expect_error("riscv-7.3", "kpti", "true", "riscv");
	expect_error("powerpc-8xx", "granule", "64k", "16k");
	expect_error("powerpc-8xx", "cont", "true", "powerpc-8xx");
	expect_error("x86-7.3", "svinval", "true", "x86");
	expect_error("linux-6.12", "", "10", "no knob");
	assert_int_equal(rf_policy_set(&policy, "no such knob", "x", NULL), -EINVAL); /* the message is optional */
	assert_int_equal(rf_policy_set(&policy, "hint", "off", NULL), 0);
	assert_false(policy.arch_knobs.hint);
}

/* kernel-model.md 1.1 */
static void test_granules(void **state)
{
	struct rf_policy policy = *rf_policy_find("linux-6.12");

	assert_int_equal(policy.geometry.cont_ptes, 16);
	assert_int_equal(rf_policy_set(&policy, "granule", "16k", NULL), 0);
	assert_int_equal(policy.geometry.cont_ptes, 128);
	assert_int_equal(policy.geometry.table_shift, 11);
	assert_int_equal(rf_policy_set(&policy, "granule", "64k", NULL), 0);
	assert_int_equal(policy.geometry.cont_ptes, 32);
	assert_int_equal(policy.geometry.table_shift, 13);
	assert_int_equal(rf_policy_find("x86-6.18")->geometry.cont_ptes, 1);
	assert_int_equal(rf_policy_find("riscv-7.3")->geometry.cont_ptes, 16);
	assert_false(rf_policy_find("riscv-7.3")->arch_knobs.cont);
	policy = *rf_policy_find("powerpc-8xx");
	assert_int_equal(policy.geometry.table_shift, 10);
	assert_int_equal(rf_policy_set(&policy, "granule", "16k", NULL), 0);
	assert_int_equal(policy.geometry.table_shift, 8);
}

/* A backend speaks for itself: what it brings along holds, whoever else there is. */
static void test_unlisted_backend(void **state)
{
	static const struct arch_geometry geometries[] = {
		{ .page_shift = 14, .table_shift = 7, .levels = 5, .cont_ptes = 2 },
		{ .page_shift = 16, .table_shift = 5, .levels = 6, .cont_ptes = 2 },
		{ 0 },
	};
	static const struct knob own[] = {
		{ "toy_count", NULL, "a number", ARCH_KNOB(flush_ceiling) },
		{ "toy_way", KNOB_EITHER("there", "back"), "a word", ARCH_KNOB(kpti) },
		{ 0 },
	};
	static const struct knob *const tables[] = { own, NULL };
	struct rf_policy policy = *rf_policy_find("linux-7.3");
	struct arch_ops toy = *policy.arch;
	const char *knob;
	char value[32];
	size_t i, seen = 0;

	toy.name = "toy";
	toy.geometries = geometries;
	toy.knobs = tables;
	policy.arch = &toy;
	assert_int_equal(rf_policy_set(&policy, "granule", "64k", NULL), 0);
	assert_int_equal(policy.geometry.table_shift, 5);
	assert_int_equal(rf_policy_set(&policy, "toy_way", "back", NULL), 0);
	assert_true(policy.arch_knobs.kpti);
	assert_int_equal(rf_policy_set(&policy, "toy_count", "7", NULL), 0);
	assert_int_equal(policy.arch_knobs.flush_ceiling, 7);
	for (i = 0; rf_policy_knob(&policy, i, &knob, value, sizeof(value)); i++) {
		assert_string_not_equal(knob, "tlbi");
		seen += !strcmp(knob, "toy_way") && !strcmp(value, "back");
	}
	assert_int_equal(seen, 1);
	expect_error_of(&policy, "granule", "4k", "toy has pages of 16k and 64k only");
	expect_error_of(&policy, "tlbi", "range", "no meaning on toy");
	expect_error_of(&policy, "toy_cont", "1", "'toy_count'");
}

static void test_backends(void **state)
{
	const struct arch_ops *const *ops, *const *other;
	const struct arch_geometry *geometry;
	const char *const *machine;
	const void *const *hook;
	size_t i;

	for (ops = arch_list; *ops; ops++) {
		assert_ptr_equal(arch_by_name((*ops)->name), *ops);
		/* No hook may be NULL; merges_vmas is last. */
		for (hook = (const void *const *)&(*ops)->ptep_get; hook < (const void *const *)&(*ops)->merges_vmas;
		     hook++)
			assert_non_null(*hook);
		assert_non_null((*ops)->knobs);
		assert_true((*ops)->geometries->page_shift);
		for (geometry = (*ops)->geometries; geometry->page_shift; geometry++)
			assert_true(geometry->page_shift == 12 || geometry->page_shift == 14 ||
				    geometry->page_shift == 16);
		/* Nobody else stands for its machines. */
		for (machine = (*ops)->machines; *machine; machine++)
			for (other = arch_list; *other; other++)
				assert_int_equal(arch_is_machine(*other, *machine), *other == *ops);
	}
	assert_null(arch_by_name("vax"));
	assert_false(arch_is_machine(arch_by_name("x86"), "vax"));
	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		assert_non_null(arch_counter_names[i]);
	assert_string_equal(arch_counter_names[offsetof(struct arch_counters, faults) / sizeof(u64)], "faults");
	assert_string_equal(arch_helper_names[ARCH_HELPER_clear_young_dirty_ptes], "clear_young_dirty_ptes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_v5_is_6_9),
		cmocka_unit_test(test_core_is_shared),
		cmocka_unit_test(test_changes_are_all),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_all_knobs),
		cmocka_unit_test(test_areas),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_granules),
		cmocka_unit_test(test_unlisted_backend),
		cmocka_unit_test(test_backends),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
