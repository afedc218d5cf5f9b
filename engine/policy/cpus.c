// SPDX-License-Identifier: MIT
/*
 * The table of cores, mixes of them, and boot logs. What saves work (range TLBI, BBML3, Svinval) every core must have;
 * work-arounds and KPTI are on as soon as one core asks for them. Names without revision are of late ones. Of x86 the
 * kernel knows no Intel core by name that is safe from Meltdown: the CPU says so (RDCL_NO, and /proc/cpuinfo then has
 * no cpu_meltdown).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/cpus.h"

#define RANGE .range = true
#define ERRATUM(major, minor) .erratum = KNOB_RELEASE(major, minor)
#define CVE .cve = true
#define KASLR .kpti_kaslr = true
#define X86 .arch = "x86"
#define RISCV .arch = "riscv"
#define BBML3(major, minor) .bbml3 = KNOB_RELEASE(major, minor)

static const struct rf_cpu cpus[] = {
	{ "cortex-a35", NULL, KASLR }, { "cortex-a53", "pi3", KASLR }, { "cortex-a57", NULL, KASLR },
	{ "cortex-a72", "pi4 graviton1", KASLR }, { "cortex-a73", NULL, KASLR },
	{ "cortex-a75", NULL, KASLR, .kpti = true },
	{ "cortex-a55", NULL, KASLR, ERRATUM(6, 1) },	/* 2441007 */
	{ "cortex-a76", "pi5", KASLR, CVE },
	{ "cortex-a76-r3p0", NULL, KASLR, CVE, ERRATUM(5, 10) },	/* 1286807: r0p0 to r3p0 */
	{ "cortex-a77", NULL, KASLR, CVE }, { "cortex-a78", "cortex-a78c cortex-a78ae orin", KASLR, CVE },
	{ "cortex-x1", "cortex-x1c", KASLR, CVE },
	{ "neoverse-n1", "altra graviton2", KASLR, CVE },
	{ "neoverse-v1", "graviton3", KASLR, CVE, RANGE },	/* by architecture; a boot log tells */
	{ "cortex-a510", NULL, RANGE },
	{ "cortex-a510-r1p1", NULL, RANGE, ERRATUM(6, 1) },	/* 2441009: r0p0 to r1p1 */
	{ "cortex-a710", NULL, RANGE, CVE }, { "cortex-x2", NULL, RANGE, CVE },
	{ "cortex-a715", NULL, RANGE, BBML3(7, 3), .exec_prot = true }, { "cortex-x3", NULL, RANGE, CVE },
	{ "cortex-a520", NULL, RANGE }, { "cortex-a520ae", NULL, RANGE, BBML3(7, 3) },
	{ "cortex-a720", NULL, RANGE }, { "cortex-a720ae", NULL, RANGE, BBML3(7, 3) },
	{ "cortex-x4", NULL, RANGE, CVE, BBML3(6, 17) },	/* r0p3 on */
	{ "cortex-a725", NULL, RANGE, BBML3(7, 3) }, { "cortex-x925", NULL, RANGE, CVE },
	{ "c1-nano", NULL, RANGE, BBML3(7, 3) }, { "c1-pro", NULL, RANGE, BBML3(7, 3) },
	{ "c1-premium", NULL, RANGE, CVE, BBML3(7, 3) }, { "c1-ultra", NULL, RANGE, CVE, BBML3(7, 3) },	/* r1p1 */
	{ "neoverse-n2", "cobalt100", RANGE, CVE }, { "neoverse-v2", "graviton4 grace axion", RANGE, CVE },
	{ "neoverse-n3", NULL, RANGE, BBML3(7, 3) },
	{ "neoverse-v3", "neoverse-v3ae", RANGE, CVE, BBML3(6, 17) },	/* r0p2 on */
	{ "olympus", "vera", RANGE, CVE, BBML3(6, 17) }, { "ampereone", "ampere1", RANGE, BBML3(6, 17) },
	{ "apple-m1", "apple-m2 apple-m3 apple-m4", RANGE, .granule = "16k" },
	{ "tsv110", "kunpeng920", KASLR }, { "thunderx2", "vulcan", KASLR },
	{ "a64fx", NULL, KASLR, .granule = "64k" },
	{ "kryo-4xx-gold", NULL, ERRATUM(5, 10) },	/* 1286807 */
	{ "oryon", "snapdragon-x", RANGE }, { "carmel", "xavier", KASLR },
	{ "intel-meltdown", NULL, X86, .meltdown = true }, { "intel-rdcl-no", NULL, X86 },
	{ "amd-zen", "amd-zen2 hygon", X86 },	/* of Zen 2 some claim INVLPGB, which the kernel does not believe */
	{ "amd-zen3", "milan", X86, .invlpgb = true },
	{ "spacemit-x60", "k1", RISCV, .svinval = true }, { "spacemit-x100", "k3", RISCV, .svinval = true },
	{ "thead-c920-sg2044", "sg2044", RISCV, .svinval = true },
	{ "thead-c910", "thead-c920 sg2042", RISCV },
	{ "jh7110", "sifive-p550 sifive-x280", RISCV },
	/* marchid 1 or 0x8000000000000007, mimpid up to 0x200630 */
	{ "sifive-cip-1200", NULL, RISCV, .cip_1200 = true },
	{ "andes-ax45mp", "rzfive", RISCV },
};

const struct rf_cpu *rf_cpu_at(size_t index)
{
	return index < ARRAY_SIZE(cpus) ? &cpus[index] : NULL;
}

static bool is_called(const struct rf_cpu *cpu, const char *name)
{
	char copy[64], *rest = copy, *one;

	if (!strcmp(cpu->name, name))
		return true;
	snprintf(copy, sizeof(copy), "%s", cpu->also ? cpu->also : "");
	while ((one = strsep(&rest, " ")))
		if (*one && !strcmp(one, name))
			return true;
	return false;
}

/* By all of their names. */
static void list_nearest(const char *name, char *list, size_t size)
{
	const char *names[4 * ARRAY_SIZE(cpus)];
	char words[ARRAY_SIZE(cpus)][64], *rest, *one;
	size_t i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		names[nr++] = cpus[i].name;
		snprintf(words[i], sizeof(words[i]), "%s", cpus[i].also ? cpus[i].also : "");
		for (rest = words[i]; (one = strsep(&rest, " "));)
			if (*one)
				names[nr++] = one;
	}
	rf_nearest(name, names, nr, list, size);
}

static const struct rf_cpu *find_cpu(const char *name, struct rf_error *err)
{
	char list[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cpus); i++)
		if (is_called(&cpus[i], name))
			return &cpus[i];
	list_nearest(name, list, sizeof(list));
	rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no cpu '%.40s'; the nearest are %s, 'refold cpus' lists all", name, list);
	return NULL;
}

/* ---- kernels ---- */

static unsigned int kernel_of(const struct rf_policy *policy)
{
	unsigned int major = 0, minor = 0;

	sscanf(rf_policy_release(policy), "%u.%u", &major, &minor);
	return KNOB_RELEASE(major, minor);
}

/* Those read, and 6.18.y: the list came in the middle of 2026, with the form that repeats once for each wait. */
static bool knows_cve(const struct rf_policy *policy)
{
	static const char *const kernels[] = { "6.1.176", "6.12.117", "6.18", "7.2.13", "7.3.4" };
	const char *release = rf_policy_release(policy);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++)
		if (!strncmp(release, kernels[i], strlen(kernels[i])))
			return true;
	return false;
}

/* The older errata are not configured by default from 6.9 on. */
static bool knows_erratum(const struct rf_cpu *cpu, unsigned int kernel)
{
	return cpu->erratum && kernel >= cpu->erratum && kernel < KNOB_RELEASE(6, 9);
}

/* ---- knobs ---- */

struct features {
	bool range, bbml3, lpa2, kpti, repeat, exec_prot;
	bool invlpgb, svinval, cip_1200;
	const char *granule;
};

struct setting {
	const char *knob, *value;	/* value NULL: the kernel's */
};

/* Erratum 2645198: known since 6.2; mprotect() in batches (6.17) flushes a run at once. */
static const char *exec_prot_flush(const struct rf_policy *policy, const struct features *has)
{
	unsigned int kernel = kernel_of(policy);

	if (!has->exec_prot || kernel < KNOB_RELEASE(6, 2))
		return NULL;
	return kernel < KNOB_RELEASE(6, 17) ? "entry" : "run";
}

static int set_all(struct rf_policy *policy, const struct setting *settings, size_t nr, struct rf_error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		if (settings[i].value)
			ret = rf_policy_set(policy, settings[i].knob, settings[i].value, err);
	return ret;
}

/* Broadcasts since 6.15, for what four CPUs run; with page-table isolation the kernel does without (pti.c). */
static int set_x86(struct rf_policy *policy, const struct features *has, struct rf_error *err)
{
	bool invlpgb = has->invlpgb && !has->kpti && kernel_of(policy) >= KNOB_RELEASE(6, 15);
	const struct setting settings[] = {
		{ "kpti", has->kpti ? "true" : "false" },
		{ "invlpgb", invlpgb ? "true" : "false" },
		{ "invlpgb_min_cpus", invlpgb ? "4" : "0" },
	};

	return set_all(policy, settings, ARRAY_SIZE(settings), err);
}

/* Svinval is in use since 7.2. CIP-1200 is as old as 5.13: nothing is too little for a fence of everything. */
static int set_riscv(struct rf_policy *policy, const struct features *has, struct rf_error *err)
{
	const struct setting settings[] = {
		{ "svinval", has->svinval && kernel_of(policy) >= KNOB_RELEASE(7, 2) ? "true" : "false" },
		{ "svvptc", "false" },
		{ "flush_ceiling", has->cip_1200 ? "0" : NULL },
	};

	return set_all(policy, settings, ARRAY_SIZE(settings), err);
}

static int set_arm64(struct rf_policy *policy, const struct features *has, bool per_wait, struct rf_error *err)
{
	const struct setting settings[] = {
		{ "tlbi", has->range ? "range" : "single" },
		{ "repeat_tlbi", !has->repeat ? "off" : per_wait ? "new" : "old" },
		{ "kpti", has->kpti ? "true" : "false" },
		{ "bbml3", has->bbml3 ? "true" : "false" },
		{ "lpa2", has->lpa2 ? "true" : "false" },
		{ "granule", has->granule },
		{ "exec_prot_flush", exec_prot_flush(policy, has) },
	};

	return set_all(policy, settings, ARRAY_SIZE(settings), err);
}

static int set_features(struct rf_policy *policy, const struct features *has, bool per_wait, struct rf_error *err)
{
	if (!strcmp(policy->arch->name, "x86"))
		return set_x86(policy, has, err);
	if (!strcmp(policy->arch->name, "riscv"))
		return set_riscv(policy, has, err);
	return set_arm64(policy, has, per_wait, err);
}

static void add_cpu(const struct rf_policy *policy, const struct rf_cpu *cpu, bool kaslr, struct features *has)
{
	unsigned int kernel = kernel_of(policy);

	has->range &= cpu->range;
	has->bbml3 &= cpu->bbml3 && kernel >= cpu->bbml3;
	has->kpti |= cpu->kpti || (kaslr && cpu->kpti_kaslr) || cpu->meltdown;
	has->repeat |= knows_erratum(cpu, kernel) || (cpu->cve && knows_cve(policy));
	has->granule = cpu->granule;
	has->exec_prot |= cpu->exec_prot;
	has->invlpgb &= cpu->invlpgb;
	has->svinval &= cpu->svinval;
	has->cip_1200 |= cpu->cip_1200;
}

/* ---- boot logs ---- */

static void read_line(const char *line, struct features *has, bool *any)
{
	static const char *const repeats[] = {
		"Broken broadcast TLBI completion", "Qualcomm erratum 1009, or ARM erratum 1286807",
	};
	const char *what = strstr(line, "CPU features: detected: ");
	size_t i;

	if (!what)
		return;
	*any = true;
	for (i = 0; i < ARRAY_SIZE(repeats); i++)
		has->repeat |= !!strstr(what, repeats[i]);
	has->range |= !!strstr(what, "TLB range maintenance instructions");
	has->kpti |= !!strstr(what, "Kernel page table isolation (KPTI)");
	has->bbml3 |= strstr(what, "BBM Level 3") || strstr(what, "BBM Level 2 without TLB conflict abort");
	has->lpa2 |= !!strstr(what, "52-bit Virtual Addressing (LPA2)");
}

static int read_log(struct rf_policy *policy, const char *path, bool per_wait, struct rf_error *err)
{
	struct features has = { 0 };
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool any = false, whole;

	if (!file)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%.120s: cannot read the boot log: %s", path,
				    strerror(errno));
	while (getline(&line, &size, file) > 0)
		read_line(line, &has, &any);
	whole = feof(file);
	free(line);
	fclose(file);
	if (!whole)
		return rf_error_set(err, -EIO, RF_NO_OFFSET, "%.120s: cannot read on", path);
	if (!any)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "%.120s: not a boot log of arm64: no line has 'CPU features: detected'", path);
	return set_features(policy, &has, per_wait, err);
}

/* ---- */

static bool has_cores(const char *arch)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cpus); i++)
		if (!strcmp(rf_cpu_arch(&cpus[i]), arch))
			return true;
	return false;
}

int rf_cpu_set(struct rf_policy *policy, const char *text, bool per_wait, struct rf_error *err)
{
	struct features has = { .range = true, .bbml3 = true, .invlpgb = true, .svinval = true };
	const char *arch = policy->arch->name;
	const struct rf_cpu *cpu;
	char copy[256], *rest = copy, *name;
	char *colon;
	bool kaslr, log = !strncmp(text, "dmesg:", 6);

	colon = strchr(text, ':');
	if (strcmp(arch, "arm64") && (colon || !has_cores(arch)))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "cpu=%.40s has no meaning on %s",
				    log ? "dmesg:" : colon ? colon : text, arch);
	if (log)
		return read_log(policy, text + 6, per_wait, err);
	if (strlen(text) >= sizeof(policy->cpu))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "cpu=%.40s... is longer than %zu characters", text,
				    sizeof(policy->cpu) - 1);
	snprintf(copy, sizeof(copy), "%s", text);
	colon = strchr(copy, ':');
	kaslr = colon && !strcmp(colon, ":kaslr");
	if (kaslr)
		*colon = '\0';
	memset(policy->cpu, 0, sizeof(policy->cpu));
	snprintf(policy->cpu, sizeof(policy->cpu), "%.127s", copy);
	while ((name = strsep(&rest, "/"))) {
		cpu = find_cpu(name, err);
		if (!cpu)
			return -EINVAL;
		if (strcmp(rf_cpu_arch(cpu), arch))
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "cpu=%.40s is of %s, and has no meaning on %s",
					    name, rf_cpu_arch(cpu), arch);
		add_cpu(policy, cpu, kaslr, &has);
	}
	return set_features(policy, &has, per_wait, err);
}

bool rf_cpu_has(const struct rf_policy *policy, enum rf_cpu_trait trait, unsigned int release)
{
	unsigned int kernel = kernel_of(policy), list = release > kernel ? release : kernel;
	char copy[sizeof(policy->cpu)], *rest = copy, *name;
	bool cve = false, bbml3 = true, exec_prot = false, erratum = false;
	bool invlpgb = true, svinval = true, cip_1200 = false;
	const struct rf_cpu *cpu;

	snprintf(copy, sizeof(copy), "%s", policy->cpu);
	while ((name = strsep(&rest, "/"))) {
		cpu = find_cpu(name, NULL);
		cve |= cpu && cpu->cve;
		bbml3 &= cpu && cpu->bbml3 && list >= cpu->bbml3;
		exec_prot |= cpu && cpu->exec_prot;
		erratum |= cpu && knows_erratum(cpu, kernel);
		invlpgb &= cpu && cpu->invlpgb;
		svinval &= cpu && cpu->svinval;
		cip_1200 |= cpu && cpu->cip_1200;
	}
	switch (trait) {
	case RF_CPU_CVE:
		return cve;
	case RF_CPU_BBML3:
		return bbml3;
	case RF_CPU_2645198:
		return exec_prot;
	case RF_CPU_INVLPGB:
		return invlpgb;
	case RF_CPU_SVINVAL:
		return svinval;
	case RF_CPU_CIP_1200:
		return cip_1200;
	default:
		return erratum;
	}
}
