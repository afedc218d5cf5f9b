// SPDX-License-Identifier: MIT
/* What the machines take for granted whatever was recorded, policy by policy: the report says it with each. */
#include <string.h>

#include "engine/policy/policy.h"

static bool is_arch(const struct rf_policy *policy, const char *name)
{
	return !strcmp(policy->arch->name, name);
}

static bool interrupts(const struct rf_policy *policy)
{
	return (is_arch(policy, "x86") && !policy->arch_knobs.invlpgb) || is_arch(policy, "riscv");
}

static bool broadcasts(const struct rf_policy *policy)
{
	return policy->arch_knobs.invlpgb;
}

static bool is_riscv(const struct rf_policy *policy)
{
	return is_arch(policy, "riscv");
}

static bool is_svnapot_user(const struct rf_policy *policy)
{
	return is_arch(policy, "riscv") && policy->arch_knobs.cont;
}

static bool is_8xx(const struct rf_policy *policy)
{
	return is_arch(policy, "powerpc-8xx");
}

static bool is_hash(const struct rf_policy *policy)
{
	return is_arch(policy, "powerpc-hash");
}

static const struct assumption {
	bool (*holds)(const struct rf_policy *policy);
	const char *name, *text;
} assumptions[] = {
	{ interrupts, "other_cpus",
	  "a CPU runs the thread its last record came from, even if it sleeps since: there may be fewer IPIs" },
	{ broadcasts, "global_asid",
	  "every process that other CPUs run has a global ASID; kernels give one out once four CPUs run it" },
	{ is_riscv, "svvptc", "the CPU has Svvptc: an entry that becomes valid needs no fence" },
	{ is_svnapot_user, "svnapot_user",
	  "no kernel has this: blocks fold and unfold as in arm64's contpte, cleared and flushed in between, which the "
	  "architecture does not demand (bbml3=true: without)" },
	{ is_8xx, "address_space", "addresses are those of the recording, which a 32-bit process could not have" },
	{ is_8xx, "one_cpu", "there is one CPU" },
	{ is_hash, "hashed", "every valid entry has got into the hash table" },
	{ is_hash, "no_huge_leaves",
	  "huge pages are mapped as recorded, which kernels with a hashed table and 4K pages do not do; their flushes are "
	  "not counted" },
};

bool rf_policy_assumption(const struct rf_policy *policy, size_t index, const char **name, const char **text)
{
	const struct assumption *assumption;

	for (assumption = assumptions; assumption < assumptions + ARRAY_SIZE(assumptions); assumption++) {
		if (!assumption->holds(policy) || index--)
			continue;
		*name = assumption->name;
		*text = assumption->text;
		return true;
	}
	return false;
}
