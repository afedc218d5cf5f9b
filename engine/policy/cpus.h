/* SPDX-License-Identifier: MIT */
/*
 * CPUs as data: what a core has and suffers from, and which knobs that makes of a kernel. The same core costs different
 * things under different kernels, which know its erratum or not, and trust it with an elision or not.
 */
#ifndef REFOLD_ENGINE_POLICY_CPUS_H
#define REFOLD_ENGINE_POLICY_CPUS_H

#include "engine/policy/policy.h"

struct rf_cpu {
	const char *name;
	const char *also;	/* where it is, other names: "graviton2 altra"; NULL: none */
	const char *arch;	/* NULL: arm64, of which all is up to exec_prot */
	bool range;		/* FEAT_TLBIRANGE */
	u16 erratum;		/* repeat-TLBI, known before 2026: the first kernel with it; 0: none */
	bool cve;		/* on the list of CVE-2025-10263 */
	bool kpti, kpti_kaslr;	/* without KASLR, and with it */
	u16 bbml3;		/* the first kernel whose list it is on; 0: none */
	const char *granule;	/* of its usual kernels; NULL: 4k */
	bool exec_prot;		/* erratum 2645198 */
	bool meltdown;		/* x86: X86_BUG_CPU_MELTDOWN */
	bool invlpgb;		/* x86 */
	bool svinval;		/* riscv; Svvptc no device tree names */
	bool cip_1200;		/* riscv: each fence of an address is one of everything */
};

/* What a patch may ask of cores. */
enum rf_cpu_trait {
	RF_CPU_CVE,		/* one is on the list of CVE-2025-10263 */
	RF_CPU_BBML3,		/* all are on the list of the policy's kernel, or of that release (617) */
	RF_CPU_2645198,		/* one has that erratum */
	RF_CPU_ERRATUM,		/* one repeats its TLBIs without that list */
	RF_CPU_INVLPGB,		/* all have it */
	RF_CPU_SVINVAL,		/* likewise */
	RF_CPU_CIP_1200,	/* one has that erratum */
};

/* The architecture that a core is of. */
static inline const char *rf_cpu_arch(const struct rf_cpu *cpu)
{
	return cpu->arch ? cpu->arch : "arm64";
}

/* NULL past the end. */
const struct rf_cpu *rf_cpu_at(size_t index);
/*
 * Set the knobs of policy: "NAME[/NAME...]", a mix of cores as kernels treat it; on arm64 with ":kaslr", or
 * "dmesg:FILE", what a boot log says was detected. per_wait: the kernel repeats one TLBI for each wait. -EINVAL.
 */
int rf_cpu_set(struct rf_policy *policy, const char *text, bool per_wait, struct rf_error *err);
/* Of the cores that policy->cpu names. */
bool rf_cpu_has(const struct rf_policy *policy, enum rf_cpu_trait trait, unsigned int release);

#endif
