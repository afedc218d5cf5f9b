// SPDX-License-Identifier: MIT
/* Policies as users write them, and the sentences they get when they write them wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/policy/text.h"

static char directory[] = "/tmp/refold-policy-XXXXXX";

static int make_directory(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

/* Parse text as the content of DIRECTORY/mine.json. */
static int parse_file(const char *text, struct rf_policy *policy, struct rf_error *err)
{
	char path[80];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "%s/mine.json", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	ret = rf_policy_parse(path, policy, err);
	unlink(path);
	return ret;
}

static void expect_error(int ret, int wanted, const struct rf_error *err, const char *text)
{
	assert_int_equal(ret, wanted);
	if (!strstr(err->message, text))
		fail_msg("'%s' does not say '%s'", err->message, text);
}

static void test_name(void **state)
{
	struct rf_policy policy;
	struct rf_error err;

	assert_int_equal(rf_policy_parse("linux-6.12", &policy, &err), 0);
	assert_string_equal(policy.name, "linux-6.12");
	assert_memory_equal(&policy, rf_policy_find("linux-6.12"), sizeof(policy));
	expect_error(rf_policy_parse("linux-6.13", &policy, &err), -EINVAL, &err,
		     "no policy 'linux-6.13'; there are linux-5.10,");
	expect_error(rf_policy_parse("", &policy, &err), -EINVAL, &err, "no policy ''");
}

static void test_knobs(void **state)
{
	struct rf_policy policy;
	char text[sizeof(policy.name) + 16] = "linux-6.12";
	struct rf_error err;
	size_t i;

	assert_int_equal(rf_policy_parse("linux-6.12+tlbi=single+batch_mprotect=true", &policy, &err), 0);
	assert_string_equal(policy.name, "linux-6.12+tlbi=single+batch_mprotect=true");
	assert_string_equal(policy.base, "linux-6.12");
	assert_false(policy.arch_knobs.tlbi_range);
	assert_true(policy.mm.batch_mprotect);
	expect_error(rf_policy_parse("linux-6.12+tlbi", &policy, &err), -EINVAL, &err, "'tlbi'");
	expect_error(rf_policy_parse("linux-6.12+tlby=single", &policy, &err), -EINVAL, &err, "'tlby'");
	expect_error(rf_policy_parse("linux-6.12+tlbi=double", &policy, &err), -EINVAL, &err, "double");
	for (i = 0; strlen(text) + 12 < sizeof(policy.name); i++)
		strcat(text, "+tlbi=single");
	assert_int_equal(rf_policy_parse(text, &policy, &err), 0);
	assert_string_equal(policy.name, text);
	strcat(text, "+tlbi=single");
	expect_error(rf_policy_parse(text, &policy, &err), -EINVAL, &err, "JSON file");
}

/* Only what the base's kernel never had, and only code: not what a CPU has, not what was taken away. */
static void test_what_if(void **state)
{
	static const struct { const char *text, *knob, *since; } cases[] = {
		{ "linux-6.12+bbml3=true", "bbml3", "6.17" }, { "linux-6.17+bbml3=true", NULL, NULL },
		{ "linux-6.12+batch_mprotect=true", "batch_mprotect", "6.17" },
		{ "linux-7.3+batch_mprotect=false", NULL, NULL }, { "linux-6.12", NULL, NULL },
		{ "linux-6.12+madv_cold_pmd=invalidate", NULL, NULL },
		{ "linux-6.9+madv_cold_pmd=young", "madv_cold_pmd", "7.3" },
		{ "linux-7.3+fast_gup=cont", "fast_gup", "" }, { "linux-6.8+tlbi=single+kpti=true", NULL, NULL },
		{ "x86-6.18+gup_recheck=lockless", "gup_recheck", "7.2" },
	};
	const struct rf_policy *base;
	struct rf_policy policy;
	const char *knob, *release;
	char since[16];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(rf_policy_parse(cases[i].text, &policy, NULL), 0);
		base = rf_policy_find(policy.base);
		release = rf_policy_release(base);
		assert_int_equal(rf_policy_what_if(&policy, base, release, 0, &knob, since, sizeof(since)),
				 cases[i].knob != NULL);
		if (!cases[i].knob)
			continue;
		assert_string_equal(knob, cases[i].knob);
		assert_string_equal(since, cases[i].since);
		assert_false(rf_policy_what_if(&policy, base, release, 1, &knob, since, sizeof(since)));
	}
}

static void test_file(void **state)
{
	struct rf_policy policy;
	struct rf_error err;

	assert_int_equal(parse_file("{\"base\": \"linux-6.12\", \"tlbi\": \"single\", \"batch_mprotect\": true,"
				    " \"max_dvm_ops\": 64}", &policy, &err), 0);
	assert_string_equal(policy.name, "mine");
	assert_string_equal(policy.base, "linux-6.12");
	assert_false(policy.arch_knobs.tlbi_range);
	assert_true(policy.mm.batch_mprotect);
	assert_int_equal(policy.arch_knobs.max_dvm_ops, 64);
	assert_int_equal(parse_file("{\"name\": \"other\", \"base\": \"linux-6.12\"}", &policy, &err), 0);
	assert_string_equal(policy.name, "other");
}

/* Each wrong file gets a sentence with its name. */
static void test_wrong_files(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "", "not JSON" },
		{ "[]", "must be a JSON object" },
		{ "{}", "needs {\"base\"" },
		{ "{\"base\": 12}", "needs {\"base\"" },
		{ "{\"base\": \"linux-1\"}", "no policy 'linux-1'" },
		{ "{\"base\": \"linux-6.12\", \"tlby\": true}", "'tlby'" },
		{ "{\"base\": \"linux-6.12\", \"tlbi\": null}", "knob 'tlbi' must be" },
		{ "{\"base\": \"linux-6.12\", \"tlbi\": 1.5}", "knob 'tlbi' must be" },
		{ "{\"base\": \"linux-6.12\", \"tlbi\": \"single\", \"tlbi\": \"range\"}", "not JSON" },
	};
	struct rf_policy policy;
	struct rf_error err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		expect_error(parse_file(wrong[i].text, &policy, &err), -EINVAL, &err, wrong[i].says);
		assert_non_null(strstr(err.message, "/mine.json:"));
	}
	expect_error(rf_policy_parse("/nowhere/p.json", &policy, &err), -ENOENT, &err, "/nowhere/p.json: cannot read");
	/* A directory may be opened but not read. */
	expect_error(rf_policy_parse("/", &policy, &err), -EINVAL, &err, "no policy '/'");
}

static void test_list(void **state)
{
	struct rf_policy policies[3];
	struct rf_error err;

	assert_int_equal(rf_policy_parse_list("linux-6.8,linux-6.9+tlbi=single", policies, 0, 3, &err), 2);
	assert_string_equal(policies[1].name, "linux-6.9+tlbi=single");
	assert_int_equal(rf_policy_parse_list("linux-6.12", policies, 2, 3, &err), 3);
	expect_error(rf_policy_parse_list("linux-7.3", policies, 3, 3, &err), -E2BIG, &err, "more than 3");
	expect_error(rf_policy_parse_list("linux-6.8,linux-6.8", policies, 0, 3, &err), -EINVAL, &err,
		     "two policies are called 'linux-6.8'");
	expect_error(rf_policy_parse_list("linux-6.8,", policies, 0, 3, &err), -EINVAL, &err, "no policy ''");
}

/* All named policies; with knobs, those that have them. */
static void test_all(void **state)
{
	struct rf_policy policies[RF_MAX_POLICIES];
	struct rf_error err;
	int nr, i, arm64 = 0;

	for (nr = 0; rf_policy_named(nr); nr++)
		arm64 += !strcmp(rf_policy_named(nr)->arch->name, "arm64");
	assert_true(nr >= 10);
	assert_int_equal(rf_policy_parse_list("all", policies, 0, RF_MAX_POLICIES, &err), nr);
	for (i = 0; i < nr; i++)
		assert_memory_equal(&policies[i], rf_policy_named(i), sizeof(policies[i]));
	assert_int_equal(rf_policy_parse_list("all+tlbi=single", policies, nr, RF_MAX_POLICIES, &err), nr + arm64);
	assert_true(arm64 && arm64 < nr);
	for (i = nr; i < nr + arm64; i++) {
		assert_string_equal(policies[i].arch->name, "arm64");	/* the others have no such knob */
		assert_non_null(strstr(policies[i].name, "+tlbi=single"));
		assert_false(policies[i].arch_knobs.tlbi_range);
	}
	assert_int_equal(rf_policy_parse_list("linux-6.12+hint=false,all", policies, 0, RF_MAX_POLICIES, &err), nr + 1);
	expect_error(rf_policy_parse_list("all+tlby=single", policies, 0, RF_MAX_POLICIES, &err), -EINVAL, &err, "'tlby'");
	expect_error(rf_policy_parse_list("all+tlbi", policies, 0, RF_MAX_POLICIES, &err), -EINVAL, &err, "'tlbi'");
	expect_error(rf_policy_parse_list("linux-6.12,all", policies, 0, RF_MAX_POLICIES, &err), -EINVAL, &err, "'linux-6.12'");
	expect_error(rf_policy_parse_list("all", policies, 0, nr - 1, &err), -E2BIG, &err, "policies");
	assert_int_equal(rf_policy_parse_list("all+tlbi=single+repeat_tlbi=new+max_dvm_ops=4096", policies, 0, RF_MAX_POLICIES, &err),
			 arm64);
	expect_error(rf_policy_parse_list("allow", policies, 0, RF_MAX_POLICIES, &err), -EINVAL, &err, "no policy 'allow'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_knobs),
		cmocka_unit_test(test_what_if),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_wrong_files),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
