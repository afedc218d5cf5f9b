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

#include "engine/policy/patches.h"
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
		     "no policy 'linux-6.13'; the nearest are 'linux-6.");
	expect_error(rf_policy_parse("", &policy, &err), -EINVAL, &err, "no policy ''");
}

static void test_knobs(void **state)
{
	struct rf_policy policy;
	char text[sizeof(policy.name) + 16], label[sizeof(policy.name) + 1] = "";
	struct rf_error err;

	assert_int_equal(rf_policy_parse("linux-6.12+tlbi=single+batch_mprotect=true", &policy, &err), 0);
	assert_string_equal(policy.name, "linux-6.12+tlbi=single+batch_mprotect=true");
	assert_string_equal(policy.base, "linux-6.12");
	assert_false(policy.arch_knobs.tlbi_range);
	assert_true(policy.mm.batch_mprotect);
	expect_error(rf_policy_parse("linux-6.12+tlbi", &policy, &err), -EINVAL, &err, "'tlbi'");
	expect_error(rf_policy_parse("linux-6.12+tlby=single", &policy, &err), -EINVAL, &err, "'tlby'");
	expect_error(rf_policy_parse("linux-6.12+tlbi=double", &policy, &err), -EINVAL, &err, "double");
	memset(label, 'x', sizeof(policy.name) - 1);
	snprintf(text, sizeof(text), "%s=linux-6.12", label);
	assert_int_equal(rf_policy_parse(text, &policy, &err), 0);
	assert_string_equal(policy.name, label);
	snprintf(text, sizeof(text), "x%s=linux-6.12", label);
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

/* ---- patches, labels, contradictions ---- */

static void expect_same_knobs(const char *one, const char *other)
{
	struct rf_policy a, b;
	struct rf_error err;
	const char *knob;
	char x[32], y[32];
	size_t i;

	if (rf_policy_parse(one, &a, &err) || rf_policy_parse(other, &b, &err))
		fail_msg("%s", err.message);
	for (i = 0; rf_policy_knob(&a, i, &knob, x, sizeof(x)); i++) {
		assert_true(rf_policy_knob(&b, i, &knob, y, sizeof(y)));
		if (strcmp(x, y))
			fail_msg("%s: %s in %s, %s in %s", knob, x, one, y, other);
	}
}

/* A patch and what it needs is what switching the knobs by hand is; kernels are made of theirs. */
static void test_patches(void **state)
{
	struct rf_policy policy;
	struct rf_error err;

	expect_same_knobs("linux-6.8+patch=contpte-v6+patch=2864f3d0f583", "linux-6.9");
	expect_same_knobs("linux-6.6+patch=f8d937761d65", "linux-6.6+batch_fork=true");
	expect_same_knobs("linux-6.6+patch=f8d937761d6532f38d95c7a5b6b8fbc6a2cf8d5b", "linux-6.6+batch_fork=true");
	expect_same_knobs("linux-6.6+patch=10ebac4f95e7", "linux-6.6+batch_zap=true+gather=folio2slot");
	expect_same_knobs("linux-6.6+patch=deepin-pr-1999",
			  "linux-6.6+access_compare=gathered+batch_fork=true+batch_zap=true+cont=true+fold_sites=set1+"
			  "gather=folio2slot+getter=gather+hint=true+pmd_split_set_ptes=true+protnone_cont=valid+"
			  "tlbi_limit_waits=twice");
	expect_same_knobs("linux-6.17+patch=nvidia-pr-350",
			  "linux-6.17+batch_uffd_move=true+needs_flush=precise+reuse_flush=local+unshare_flush=gather");
	expect_same_knobs("linux-6.17+patch=nvidia-pr-336", "linux-6.17+repeat_tlbi=new");
	expect_same_knobs("linux-6.17+patch=nvidia-pr-334", "linux-6.17+access_compare=raw");
	expect_same_knobs("linux-5.10+patch=move-pud+patch=46bdb4277f98", "linux-5.15");
	/* What a newer kernel has is not made older by what a patch needs. */
	expect_same_knobs("linux-6.17+patch=contpte-valid-only", "linux-6.17+protnone_cont=none");
	assert_int_equal(rf_policy_parse("linux-6.6+patch=contpte-v6", &policy, &err), 0);
	assert_non_null(strstr(policy.notes, "contpte-v6 pulls in f8d937761d65"));
	assert_non_null(strstr(policy.notes, "pulls in d7f861b9c43a"));
	assert_int_equal(rf_policy_parse("linux-6.12+patch=f8d937761d65", &policy, &err), 0);
	assert_non_null(strstr(policy.notes, "has patch f8d937761d65 already"));
	expect_error(rf_policy_parse("linux-6.6+patch=contpte-v7", &policy, &err), -EINVAL, &err, "'contpte-v6'");
	expect_error(rf_policy_parse("linux-6.6+patch=1da190f4d0a6", &policy, &err), -EINVAL, &err, "recording");
	expect_error(rf_policy_parse("x86-6.6+patch=contpte-v6", &policy, &err), -EINVAL, &err, "no meaning on x86");
}

/* The form that the kernel has of the work-around: the list alone brings the old one. */
static void test_mitigation(void **state)
{
	struct rf_policy policy;
	struct rf_error err;

	expect_same_knobs("linux-6.12+mitigation=CVE-2025-10263:on", "linux-6.12+repeat_tlbi=new");
	expect_same_knobs("linux-6.1+mitigation=CVE-2025-10263:on", "linux-6.1+repeat_tlbi=new");
	expect_same_knobs("linux-6.17+mitigation=CVE-2025-10263:on", "linux-6.17+repeat_tlbi=old");
	expect_same_knobs("linux-6.17+mitigation=CVE-2025-10263:on+patch=nvidia-pr-336", "linux-6.17+repeat_tlbi=new");
	expect_same_knobs("linux-7.3+mitigation=CVE-2025-10263:off", "linux-7.3");
	/* Named cores decide: not on the list; another erratum; each order of what is said. */
	expect_same_knobs("linux-6.17+cpu=ampereone+mitigation=CVE-2025-10263:on", "linux-6.17+cpu=ampereone");
	expect_same_knobs("linux-6.6+cpu=cortex-a76-r3p0+mitigation=CVE-2025-10263:off", "linux-6.6+tlbi=single+repeat_tlbi=old");
	expect_same_knobs("linux-6.17+cpu=neoverse-v2+patch=nvidia-pr-336", "linux-6.17");
	expect_same_knobs("linux-6.17+cpu=neoverse-v2+patch=nvidia-pr-336+patch=nvidia-pr-455", "linux-6.17+repeat_tlbi=new");
	expect_same_knobs("linux-6.17+cpu=neoverse-v2+patch=nvidia-pr-455+patch=nvidia-pr-336", "linux-6.17+repeat_tlbi=new");
	expect_same_knobs("linux-6.18+patch=nvidia-pr-455", "linux-6.18+repeat_tlbi=new");
	expect_error(rf_policy_parse("linux-7.3+mitigation=meltdown:on", &policy, &err), -EINVAL, &err, "not CVE-");
	expect_error(rf_policy_parse("x86-7.3+mitigation=CVE-2025-10263:on", &policy, &err), -EINVAL, &err, "x86");
}

/* A function of the core and of the kernel; mixes; what a boot log says. */
static void test_cpus(void **state)
{
	struct rf_policy policy;
	struct rf_error err;
	char path[sizeof(directory) + 16], text[sizeof(path) + 40];
	FILE *file;

	expect_same_knobs("linux-5.10+cpu=neoverse-n1", "linux-5.10+tlbi=single");
	expect_same_knobs("linux-6.1+cpu=neoverse-n1", "linux-6.1+tlbi=single+repeat_tlbi=new");
	expect_same_knobs("linux-7.3+cpu=graviton2:kaslr", "linux-7.3+tlbi=single+repeat_tlbi=new+kpti=true");
	expect_same_knobs("linux-5.10+cpu=cortex-a76-r3p0", "linux-5.10+tlbi=single+repeat_tlbi=old");
	expect_same_knobs("linux-6.12+cpu=cortex-a55", "linux-6.12+tlbi=single");
	expect_same_knobs("linux-7.2+cpu=neoverse-v3", "linux-7.2+repeat_tlbi=new+bbml3=true");
	expect_same_knobs("linux-6.17+cpu=neoverse-v2", "linux-6.17");
	expect_same_knobs("linux-6.17+cpu=neoverse-v2+mitigation=CVE-2025-10263:on", "linux-6.17+repeat_tlbi=old");
	expect_same_knobs("linux-7.3+cpu=neoverse-n3", "linux-7.3+bbml3=true");
	expect_same_knobs("linux-7.2+cpu=neoverse-n3", "linux-7.2");
	/* Nor does a patch bring what a core has not; an erratum of A715 has its form by the release. */
	expect_same_knobs("linux-6.12+cpu=neoverse-n1+patch=83bbd6be7d17", "linux-6.12+tlbi=single+repeat_tlbi=new");
	expect_same_knobs("linux-6.12+cpu=ampereone+patch=83bbd6be7d17", "linux-6.12+bbml3=true");
	expect_same_knobs("linux-6.12+cpu=neoverse-n3+patch=83bbd6be7d17", "linux-6.12");
	expect_same_knobs("linux-6.12+cpu=neoverse-n3+patch=f8d0751426dd", "linux-6.12+bbml3=true");
	expect_same_knobs("linux-6.12+cpu=cortex-a715", "linux-6.12+exec_prot_flush=entry");
	expect_same_knobs("linux-7.2+cpu=cortex-a710/cortex-a715", "linux-7.2+repeat_tlbi=new+exec_prot_flush=run");
	expect_same_knobs("linux-6.1+cpu=cortex-a715", "linux-6.1");
	/* BBML3 needs all, the work-around one. */
	expect_same_knobs("linux-7.3+cpu=cortex-x4/cortex-a720/cortex-a520", "linux-7.3+repeat_tlbi=new");
	expect_same_knobs("linux-7.3+cpu=cortex-a76/cortex-a55", "linux-7.3+tlbi=single+repeat_tlbi=new");
	expect_same_knobs("linux-7.3+cpu=neoverse-n1+mitigation=CVE-2025-10263:off", "linux-7.3+tlbi=single");
	/* Meltdown and INVLPGB, which 6.15 brought, and Zen 2 has not whatever it says. */
	expect_same_knobs("x86-5.10+cpu=intel-meltdown", "x86-5.10+kpti=true");
	expect_same_knobs("x86-7.3+cpu=intel-rdcl-no", "x86-7.3");
	expect_same_knobs("x86-7.3+cpu=milan", "x86-7.3-invlpgb");
	expect_same_knobs("x86-6.12+cpu=amd-zen3", "x86-6.12");
	expect_same_knobs("x86-7.3-invlpgb+cpu=amd-zen2", "x86-7.3");
	expect_same_knobs("x86-7.3+cpu=amd-zen3/amd-zen2", "x86-7.3");
	expect_same_knobs("x86-6.12+cpu=amd-zen2+patch=767ae437a32d", "x86-6.12");
	expect_same_knobs("x86-6.12+cpu=amd-zen3+patch=767ae437a32d", "x86-6.12+invlpgb=true+invlpgb_min_cpus=4");
	/* No device tree names Svvptc; Svinval is in use since 7.2. */
	expect_same_knobs("riscv-7.3+cpu=k1", "riscv-7.3+svinval=true+svvptc=false");
	expect_same_knobs("riscv-6.12+cpu=k1", "riscv-6.12+svvptc=false");
	expect_same_knobs("riscv-7.3+cpu=jh7110", "riscv-7.3+svvptc=false");
	expect_same_knobs("riscv-7.3+cpu=jh7110/k1", "riscv-7.3+svvptc=false");
	expect_same_knobs("riscv-6.6+cpu=sifive-cip-1200+patch=9d4e8d5fa7db", "riscv-6.6+flush_ceiling=0");
	expect_same_knobs("riscv-6.6+cpu=jh7110+patch=rvck-pr-105", "riscv-6.6");
	expect_error(rf_policy_parse("x86-7.3+cpu=milann", &policy, &err), -EINVAL, &err, "'milan'");
	expect_error(rf_policy_parse("x86-7.3+mitigation=CVE-2025-10263:on", &policy, &err), -EINVAL, &err,
		     "is for arm64, and has no meaning on x86");
	expect_error(rf_policy_parse("riscv-7.3+cpu=milan", &policy, &err), -EINVAL, &err, "is of x86");
	expect_error(rf_policy_parse("x86-7.3+cpu=milan:kaslr", &policy, &err), -EINVAL, &err, "no meaning on x86");
	expect_error(rf_policy_parse("x86-7.3+cpu=dmesg:/dev/null", &policy, &err), -EINVAL, &err, "no meaning on x86");
	expect_error(rf_policy_parse("powerpc-8xx+cpu=milan", &policy, &err), -EINVAL, &err, "no meaning on powerpc");
	expect_error(rf_policy_parse("linux-7.3+cpu=neoverse-n9", &policy, &err), -EINVAL, &err, "'neoverse-n1'");
	expect_error(rf_policy_parse("x86-7.3+cpu=neoverse-n1", &policy, &err), -EINVAL, &err, "no meaning on x86");
	expect_error(rf_policy_parse("linux-7.3+cpu=a64fx+cpu=oryon", &policy, &err), -EINVAL, &err, "said twice");
	snprintf(path, sizeof(path), "%s/boot.log", directory);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("[ 0.0] CPU features: detected: Broken broadcast TLBI completion\n"
	      "[ 0.1] CPU features: detected: Kernel page table isolation (KPTI)\n", file);
	fclose(file);
	snprintf(text, sizeof(text), "linux-6.12+cpu=dmesg:%s", path);
	expect_same_knobs(text, "linux-6.12+tlbi=single+repeat_tlbi=new+kpti=true");
	unlink(path);
	expect_error(rf_policy_parse("linux-6.12+cpu=dmesg:/dev/null", &policy, &err), -EINVAL, &err, "not a boot log");
}

static void test_contradictions(void **state)
{
	static const struct { const char *text, *says; } wrong[] = {
		{ "linux-6.12+tlbi=single+tlbi=range", "tlbi is said twice" },
		{ "linux-6.12+tlbi=single+tlbi=single", "tlbi is said twice" },
		{ "linux-6.6+patch=contpte-v6+patch=contpte-v6", "patch is said twice" },
		{ "linux-6.6+batch_fork=false+patch=f8d937761d65+batch_zap=true", NULL },
		{ "linux-6.6+patch=contpte-v6+cont=false", "cont=false contradicts" },
		{ "linux-6.6+cont=false+patch=contpte-v6", "cont=false contradicts" },
	};
	struct rf_policy policy;
	struct rf_error err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		expect_error(rf_policy_parse(wrong[i].text, &policy, &err), -EINVAL, &err,
			     wrong[i].says ? wrong[i].says : "contradicts");
}

static void test_labels_and_notes(void **state)
{
	struct rf_policy policy;
	struct rf_error err;

	assert_int_equal(rf_policy_parse("slow=linux-6.6+patch=contpte-v6", &policy, &err), 0);
	assert_string_equal(policy.name, "slow");
	assert_string_equal(policy.base, "linux-6.6");
	assert_true(policy.arch_knobs.cont);
	assert_int_equal(rf_policy_parse("plain=linux-6.6", &policy, &err), 0);
	assert_string_equal(policy.name, "plain");
	assert_int_equal(rf_policy_parse("linux-6.8+getter=early", &policy, &err), 0);
	assert_string_equal(policy.notes, "getter has no effect without cont=true");
	assert_int_equal(rf_policy_parse("linux-6.8+getter=early+cont=true", &policy, &err), 0);
	assert_string_equal(policy.notes, "");
	assert_int_equal(rf_policy_parse("linux-6.9+cont=true", &policy, &err), 0);
	assert_non_null(strstr(policy.notes, "changes nothing: it is so already"));
	expect_error(rf_policy_parse("=linux-6.6", &policy, &err), -EINVAL, &err, "no policy '=linux-6.6'");
}

/* The table holds together: what is needed is there, what is set can be set, on some machine, and is told of once. */
static void test_table_of_patches(void **state)
{
	static const char *const newest[] = { "linux-5.10", "x86-5.10", "riscv-6.6" };
	const struct rf_patch *patch;
	struct rf_policy policy;
	char copy[256], *rest, *id;
	size_t i, j, made;

	for (i = 0; (patch = rf_patch_at(i)); i++) {
		assert_ptr_equal(rf_patch_find(patch->id), patch);
		assert_true(*patch->title && *patch->known);
		snprintf(copy, sizeof(copy), "%s", patch->needs ? patch->needs : "");
		for (rest = copy; *copy && (id = strsep(&rest, " "));)
			if (!rf_patch_find(id) || rf_patch_find(id) == patch)
				fail_msg("%s needs %s", patch->id, id);
		for (j = made = 0; j < ARRAY_SIZE(newest); j++) {
			snprintf(copy, sizeof(copy), "%s+patch=%s", newest[j], patch->id);
			made += !rf_policy_parse(copy, &policy, NULL);
		}
		if (!made && (patch->knobs || patch->needs))
			fail_msg("%s cannot be set anywhere", patch->id);
	}
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
	assert_int_equal(rf_policy_parse_list("all+tlbi=single+repeat_tlbi=new+max_dvm_ops=4096", policies, 0,
					      RF_MAX_POLICIES, &err), arm64);
	expect_error(rf_policy_parse_list("allow", policies, 0, RF_MAX_POLICIES, &err), -EINVAL, &err,
		     "no policy 'allow'");
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
		cmocka_unit_test(test_patches), cmocka_unit_test(test_mitigation), cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_contradictions), cmocka_unit_test(test_labels_and_notes),
		cmocka_unit_test(test_table_of_patches),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
