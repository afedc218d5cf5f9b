// SPDX-License-Identifier: MIT
/*
 * The table of patches, and finding in it. Ids and releases are those of public text; "id unsure" marks an id that was
 * met second-hand. What a row sets is what the kernel function does that its title names; kernel-model.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/cpus.h"
#include "engine/policy/patches.h"

#define CONTPTE "contpte-v6"

static const struct rf_patch patches[] = {
	{ "move-pud", "mm: speedup mremap on 1GB or larger regions", "5.11", "move_pud=true", NULL,
	  "vendor trees of 4.x and 5.x", NULL, "5.10 no, 6.1 yes" },
	{ "46bdb4277f98", "mm: allow architectures to request 'old' entries when prefaulting", "5.12",
	  "prefault_old=true", NULL, NULL, NULL, "5.10 no, 6.1 yes; id unsure" },
	{ "4a18419f71cd", "mm/mprotect: use mmu_gather", "5.19", "mprotect_flush=gather", NULL, NULL,
	  NULL, "5.10 no, 6.1 yes; id unsure" },
	{ "64fe24a3e05e", "mm/mprotect: try avoiding write faults for exclusive anonymous pages", "6.0",
	  "write_upgrade=dirty", NULL, NULL, NULL, "5.10 no, 6.1 yes; id unsure" },
	{ "7ea7e333842e", "mm/mprotect: allow clean exclusive anon pages to be writable", "6.2",
	  "write_upgrade=exclusive", "64fe24a3e05e", NULL, NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "erratum-2645198", "arm64: erratum 2645198 of Cortex-A715", "6.2", "exec_prot_flush=entry", NULL, NULL,
	  "arm64", "6.1 no, 6.12 yes" },
	{ "7e12beb8ca2a", "migrate_pages(): batch flushing TLB", "6.3", "migrate_defer=true", NULL, NULL,
	  NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "split-carries-dirty", "mm/huge_memory: the dirty bit of a PMD goes to the entries that it is split into", "6.4",
	  "pmd_split_dirty=true", NULL, NULL, NULL, "6.1 no, 6.12 yes" },
	{ "43b3dfdd0455", "arm64: support batched/deferred tlb shootdown during page reclamation/migration", "6.6",
	  "defer_unmap_flush=true", NULL, NULL, "arm64", "6.1 no, 6.12 yes" },
	{ "617c28ecab22", "filemap: batch PTE mappings", "6.6", "faultaround_set=run", NULL, NULL,
	  NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "af8ca1c14906", "mm/mremap: optimize the start addresses in move_page_tables()", "6.7",
	  "mremap_realign=true", NULL, NULL, NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "c5e9b2c2ae82", "riscv: Improve tlb_flush()", "6.7", "gather_flush=range", NULL, NULL, "riscv",
	  "6.1 no, 6.12 yes; id unsure" },
	{ "9d4e8d5fa7db", "riscv: __flush_tlb_range() loops over entries up to a threshold of 64", "6.7",
	  "flush_ceiling=64", NULL, "RVCK", "riscv", "6.1 no, 6.12 yes; id unsure" },
	{ "c910f2b65518", "arm64/mm: update range-based tlbi for FEAT_LPA2, which starts at 64K boundaries", "6.8",
	  "lpa2=true", NULL, "deepin 6.6 (PR 1993)", "arm64", "6.1 no, 6.12 yes; on CPUs with LPA2; id unsure" },
	{ "54d7431af73e", "riscv: Add support for BATCHED_UNMAP_TLB_FLUSH", "6.8", "defer_unmap_flush=true", NULL,
	  "RVCK 6.6", "riscv", "6.1 no, 6.12 yes; id unsure" },
	{ "19eaf44954df", "mm: thp: support allocation of anonymous multi-size THP", "6.8", NULL, NULL,
	  "deepin 6.6 (PR 1962)", NULL, "6.1 no, 6.12 yes; the recording says which folios there were; id unsure" },
	{ "f8d937761d65", "mm/memory: optimize fork() with PTE-mapped THP", "6.9", "batch_fork=true batch_rule=folio",
	  NULL, "deepin 6.6 (PR 1976)", NULL, "6.1 no, 6.12 yes" },
	{ "d7f861b9c43a", "mm/mmu_gather: add __tlb_remove_folio_pages()", "6.9", "gather=folio2slot", NULL,
	  "deepin 6.6 (PR 1978)", NULL, "6.1 no, 6.12 yes" },
	{ "10ebac4f95e7", "mm/memory: optimize unmap/zap with PTE-mapped THP", "6.9", "batch_zap=true", "d7f861b9c43a",
	  "deepin 6.6 (PR 1978)", NULL, "6.1 no, 6.12 yes" },
	{ "2bdba9868a4f", "mm: thp: batch-collapse PMD with set_ptes()", "6.9", "pmd_split_set_ptes=true", NULL,
	  "deepin 6.6 (PR 1999)", NULL, "6.1 no, 6.12 yes" },
	{ "2864f3d0f583", "mm: madvise: pageout: ignore references rather than clearing young", "6.9",
	  "pageout_young=ignore", NULL, NULL, NULL, "6.1 no, 6.12 yes; id unsure" },
	{ CONTPTE, "Transparent Contiguous PTEs for User Mappings, 4602e5757bcc and others", "6.9",
	  "access_compare=gathered cont=true fold_sites=set1 getter=gather hint=true protnone_cont=valid "
	  "tlbi_limit_waits=twice", "f8d937761d65 10ebac4f95e7 2bdba9868a4f", "deepin 6.6 (PR 1999)",
	  NULL, "6.1 no, 6.12 yes" },
	{ "a62fb92ac12e", "mm: swap: free_swap_and_cache_nr() as batched free_swap_and_cache()", "6.10",
	  "batch_swap=true", NULL, NULL, NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "1b68112c4039", "mm/madvise: introduce clear_young_dirty_ptes() batch helper", "6.10",
	  "madv_clear_young_dirty=true", NULL, NULL, NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "9cb28da54643", "mm/gup: handle hugetlb in the generic follow_page_mask code", "6.10", "slow_gup=entry", NULL,
	  NULL, NULL, "6.1 no, 6.12 yes; id unsure" },
	{ "73301e464a72", "arm64: tlb: allow range operation for MAX_TLBI_RANGE_PAGES", "6.10",
	  "tlbi_range_limit=above", NULL, "stable", "arm64", "6.1 no, 6.12 yes" },
	{ "riscv-svvptc", "riscv: stop emitting preventive sfence.vma for new userspace mappings with Svvptc", "6.12",
	  "svvptc=true", NULL, "RVCK 6.6 (PR 105)", "riscv", "6.1 no, 6.12 yes; on cores with Svvptc" },
	{ "pte-mkcont", "arm64: pte_mkcont() no longer makes the entry a valid one", "6.13", "protnone_cont=stray",
	  CONTPTE, NULL, "arm64", "6.12 no, 7.2 yes; release told" },
	{ "6375e95f381e", "mm: pgtable: reclaim empty PTE page in madvise(MADV_DONTNEED)", "7.0", "pt_reclaim=true",
	  NULL, "x86 has it since 6.14", NULL, "6.12 no, 7.2 yes; id unsure" },
	{ "2f4ab3ac1015", "mm: support tlbbatch flush for a range of PTEs", "6.15", "tlbbatch=range", NULL, NULL,
	  NULL, "6.12 no, 7.2 yes" },
	{ "354dffd29575", "mm: support batched unmap for lazyfree large folios during reclamation", "6.15",
	  "batch_lazyfree=true unmap_flush=walk", NULL, NULL, NULL, "6.12 no, 7.2 yes" },
	{ "767ae437a32d", "x86/mm: global ASIDs and INVLPGB, for what four CPUs run", "6.15",
	  "invlpgb=true invlpgb_min_cpus=4", NULL, NULL, "x86", "6.12 no, 7.2 yes; on AMD since Zen 3; id unsure" },
	{ "1da190f4d0a6", "mm: Copy-on-Write (COW) reuse support for PTE-mapped THP", "6.15", NULL, NULL, NULL,
	  NULL, "6.12 no, 7.2 yes; the recording says what was copied" },
	{ "4b634918384c", "arm64/mm: close theoretical race where stale TLB entry remains valid", "6.16",
	  "batched_pending=mm", NULL, "6.6.y, 6.12.y", "arm64", "6.12.117 yes; id unsure" },
	{ "contpte-ptep-get", "mm/contpte: optimize contpte_ptep_get()", "6.16", "getter=early lockless=early", CONTPTE,
	  NULL, NULL, "6.12 no, 7.2 yes" },
	{ "5b3f8917644e", "arm64: hugetlb: Refine tlb maintenance scope", "6.16",
	  "hugetlb_break=valid hugetlb_flush=stride", NULL, NULL, "arm64", "6.12 no, 7.2 yes" },
	{ "madvise-batch-flush", "mm/madvise: batch TLB flushes for MADV_DONTNEED and MADV_FREE", "6.16",
	  "madvise_one_gather=true", NULL, NULL, NULL, "6.12 no, 7.2 yes" },
	{ "1013af4f585f", "mm/hugetlb: fix huge_pmd_unshare() vs GUP-fast race", "6.16", "unshare_flush=each", NULL,
	  "stable", NULL, "5.10.223 no; read as what 8ce720d5bd91 takes away" },
	{ "83bbd6be7d17", "arm64/mm: elide tlbi in contpte_convert(), on CPUs of an allow-list", "6.17", "bbml3=true",
	  CONTPTE, NULL, "arm64", "6.12 no, 7.2 yes" },
	{ "cac1db8c3aad", "mm: optimize mprotect() by PTE batching", "6.17", "batch_mprotect=true", NULL, NULL,
	  NULL, "6.12 no, 7.2 yes" },
	{ "f822a9a81a31", "mm: optimize mremap() by PTE batching", "6.17", "batch_mremap=true", NULL, NULL,
	  NULL, "6.12 no, 7.2 yes" },
	{ "khugepaged-batch", "khugepaged: clears in runs in __collapse_huge_page_copy_succeeded()", "6.17",
	  "batch_collapse=true", NULL, NULL, NULL, "6.12 no, 7.2 yes" },
	{ "50944692052b", "userfaultfd: opportunistic TLB-flush batching for present pages in MOVE", "6.18",
	  "batch_uffd_move=true", NULL, "NVIDIA 6.17 (PR 350)", NULL, "6.12 no, 7.2 yes" },
	{ "143937ca51cc", "arm64, mm: avoid always making PTE dirty in pte_mkwrite()", "6.18", NULL, NULL,
	  "6.1.y, 6.6.y, 6.12.y", "arm64", "5.10 no, 7.2 yes; no knob: the faults are those of the recording" },
	{ "cb1fa2e99955", "arm64: a write fault that reuses its page flushes locally", "6.19", "reuse_flush=local",
	  NULL, "NVIDIA 6.17 (PR 350)", "arm64", "6.12 no, 7.2 yes" },
	{ "c320dbb7c80d", "arm64/mm: Elide TLB flush in certain pte protection transitions", "6.19",
	  "needs_flush=precise", NULL, "NVIDIA 6.17 (PR 350)", "arm64", "6.12 no, 7.2 yes" },
	{ "8ce720d5bd91", "mm/hugetlb: fix excessive IPI broadcasts when unsharing PMD tables using mmu_gather", "6.19",
	  "unshare_flush=gather", NULL, "6.1.y (in .170), 6.12.y, 6.18.y; NVIDIA 6.17 (PR 350)", NULL,
	  "5.10.223 no; 6.1.170, 6.12.117, 7.2 yes, with arm64's c2ff4764e03e" },
	{ "contpte-access-flags", "arm64: contpte: fix set_access_flags() no-op check for SMMU/ATS faults", "7.0",
	  "access_compare=raw", CONTPTE, "6.12.y, deepin 6.6 (PR 2001), NVIDIA 6.8 and 6.17 (PR 335, 334)",
	  "arm64", "6.12.117 yes, 7.2 yes" },
	{ "file-unmap", "mm: rmap: support batched unmapping for file large folios", "7.0", "batch_file_unmap=true",
	  NULL, NULL, NULL, "6.12 no, 7.2 yes" },
	{ "batch-young", "mm: rmap: support batched checks of the references for large folios", "7.0",
	  "batch_young=true", NULL, NULL, NULL, "6.12 no, 7.2 yes" },
	/* Before what gives it another form: the list alone repeats each TLBI. */
	{ RF_PATCH_CVE, "arm64: errata: erratum 4118414 and those of other cores, repeat their TLBIs", "",
	  "repeat_tlbi=old", NULL, "6.1.y (in .176), 6.12.y, 6.18.y; NVIDIA PR 455 to 458, 463; raspberrypi PR 7429",
	  "arm64", "5.10.223 no; 6.1.176, 6.12.117, 7.2 yes; repeat_tlbi=new where a8f78680ee6b is" },
	{ RF_PATCH_REPEAT_ONCE, "arm64: tlb: Optimize ARM64_WORKAROUND_REPEAT_TLBI", "7.0", "repeat_tlbi=new", NULL,
	  "6.1.y (in .176), 6.6.143, 6.12.y, 6.18.y; deepin PR 1894; NVIDIA 6.17 (PR 336), 6.18 (PR 337)",
	  "arm64", "5.10.223 no; 6.1.176, 6.12.117, 7.2 yes" },
	{ "tlb-flags", "arm64: TLB flush refactored: flags for sync, walk, level", "7.1",
	  "tlbi_limit_waits=once tlbi_range_limit=range", NULL, NULL, "arm64", "6.12 no, 7.2 yes" },
	{ "gup-lockless", "mm/gup: lockless access semantics on entries validation", "7.2", "gup_recheck=lockless", NULL,
	  NULL, NULL, "6.12 no, 7.2 yes" },
	{ "rmap-lockless", "mm: page_vma_mapped_walk() reads its first entry by the lockless getter", "7.2",
	  "rmap_unlocked=lockless", NULL, NULL, NULL, "6.12 no, 7.2 yes" },
	{ "riscv-svinval", "riscv: mm: Add support for Svinval extension", "7.2", "svinval=true", NULL,
	  "XuanTie 6.6 (PR 176)", "riscv", "6.12 no, 7.2 yes" },
	{ "f8d0751426dd", "arm64: BBML3 instead of BBML2_NOABORT, on more CPUs", "7.3", "bbml3=true", CONTPTE, NULL,
	  "arm64", "7.2 no, 7.3 yes" },
	{ "contpte-valid-only", "contpte_set_ptes(): no CONT on entries that are not valid", "7.3",
	  "protnone_cont=none", CONTPTE, "6.12.y", NULL, "7.2 no, 7.3 and 6.12.117 yes" },
	{ "madv-cold-pmd", "MADV_COLD of a PMD leaf: test-and-clear young instead of invalidate and set", "7.3",
	  "madv_cold_pmd=young", NULL, "6.12.y", NULL, "7.2 no; 6.12.117, 7.3 yes" },
	{ "anon-unmap-v4", "Optimize anonymous large folio unmapping, v4", "", "batch_anon_unmap=true", NULL, NULL,
	  NULL, "list; 7.3 no" },
	{ "freebsd-l3c", "an idea: FreeBSD's L3C superpages, promoted by attributes, demoted on any change", "",
	  "batch_helpers=false fold_scope=span fold_sites=any", CONTPTE, NULL, "arm64", "told" },
	/* Series of vendors: what they are made of; here, too, the list before its newer form. */
	{ "nvidia-pr-455", "NVIDIA (PR 455 to 458, 463): the list of CVE-2025-10263", "", NULL, RF_PATCH_CVE, NULL, NULL,
	  "told" },
	{ "raspberrypi-pr-7429", "Raspberry Pi 5: the list of CVE-2025-10263", "", NULL, RF_PATCH_CVE, NULL, NULL,
	  "told" },
	{ "deepin-pr-1976", "deepin 6.6: fork in batches", "", NULL, "f8d937761d65", NULL, NULL, "told" },
	{ "deepin-pr-1978", "deepin 6.6: zap in batches", "", NULL, "10ebac4f95e7", NULL, NULL, "told" },
	{ "deepin-pr-1962", "deepin 6.6: anonymous multi-size THP", "", NULL, NULL, NULL, NULL,
	  "the recording says which folios there were, or anon_folios=" },
	{ "deepin-pr-1969", "deepin 6.6: reverse map of large folios", "", NULL, NULL, NULL, NULL,
	  "calls of the reverse map touch no entry" },
	{ "deepin-pr-1993", "deepin 6.6: TLBI under LPA2", "", NULL, "c910f2b65518", NULL, NULL, "told" },
	{ "deepin-pr-1877", "deepin 6.6: FEAT_HAFT", "", NULL, NULL, NULL, NULL, "ageing leaves no record" },
	{ "deepin-pr-1423", "deepin 6.6: revert of 143937ca51cc; 1425 takes it again", "", NULL, NULL, NULL, NULL,
	  "the faults are those of the recording" },
	{ "deepin-pr-1425", "deepin 6.6: 143937ca51cc, once more", "", NULL, NULL, NULL, NULL,
	  "the faults are those of the recording" },
	{ "deepin-pr-1884", "deepin 6.6: riscv flushes hugetlb in steps of its pages (9e113064b4c2 of 6.7)", "", NULL, NULL,
	  NULL, NULL, "no knob: all policies of riscv have it" },
	{ "deepin-pr-1916", "deepin 6.6: hugetlb's vmemmap in batches; with 1923", "", NULL, NULL, NULL, NULL,
	  "kernel mappings: no table of a process" },
	{ "deepin-pr-1999", "deepin 6.6: contpte v6", "", NULL, CONTPTE, NULL, NULL, "told" },
	{ "deepin-pr-2001", "deepin 6.6: access flags of contpte", "", NULL, "contpte-access-flags", NULL, NULL,
	  "told" },
	{ "deepin-pr-1894", "deepin 6.6: repeat-TLBI, new form", "", NULL, RF_PATCH_REPEAT_ONCE, NULL, NULL, "told" },
	{ "nvidia-pr-350", "NVIDIA 6.17: MOVE of userfaultfd, local flushes, needs_flush, hugetlb's unsharing",
	  "", NULL, "50944692052b cb1fa2e99955 c320dbb7c80d 8ce720d5bd91", NULL, NULL, "told" },
	{ "nvidia-pr-334", "NVIDIA 6.17: access flags of contpte", "", NULL, "contpte-access-flags", NULL, NULL,
	  "told" },
	{ "nvidia-pr-335", "NVIDIA 6.8: access flags of contpte", "", NULL, "contpte-access-flags", NULL, NULL,
	  "told" },
	{ "nvidia-pr-336", "NVIDIA 6.17: repeat-TLBI, new form", "", NULL, RF_PATCH_REPEAT_ONCE, NULL, NULL, "told" },
	{ "nvidia-pr-337", "NVIDIA 6.18: repeat-TLBI, new form", "", NULL, RF_PATCH_REPEAT_ONCE, NULL, NULL, "told" },
	{ "rvck-pr-394", "RVCK 6.6: TLB and ASID series, remote flushes by IPI (dc892fb44322 of 6.10)", "", NULL, NULL, NULL,
	  NULL, "all policies of riscv flush by IPI; rfence=sbi is before" },
	{ "rvck-pr-105", "RVCK 6.6: Svvptc", "", NULL, "riscv-svvptc", NULL, NULL, "told" },
	{ "xuantie-pr-176", "XuanTie 6.6: Svinval", "", NULL, "riscv-svinval", NULL, NULL, "told" },
	{ "sony-pr-2617", "Xperia 4.x and 5.x: mremap moves PMDs and PUDs", "", NULL, "move-pud", NULL, NULL, "told" },
};

const struct rf_patch *rf_patch_at(size_t index)
{
	return index < ARRAY_SIZE(patches) ? &patches[index] : NULL;
}

/* Both are ids, and one begins with the other. */
static bool same_commit(const char *a, const char *b)
{
	const char *digits = "0123456789abcdef";
	size_t length_a = strlen(a), length_b = strlen(b);

	if (length_a < 7 || length_b < 7 || strspn(a, digits) != length_a || strspn(b, digits) != length_b)
		return false;
	return !strncmp(a, b, length_a < length_b ? length_a : length_b);
}

const struct rf_patch *rf_patch_find(const char *id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(patches); i++)
		if (!strcmp(patches[i].id, id) || same_commit(patches[i].id, id))
			return &patches[i];
	return NULL;
}

void rf_patch_nearest(const char *id, char *list, size_t size)
{
	const char *names[ARRAY_SIZE(patches)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(patches); i++)
		names[i] = patches[i].id;
	rf_nearest(id, names, ARRAY_SIZE(patches), list, size);
}

static unsigned int number_of(const char *release)
{
	unsigned int major = 0, minor = 0;

	sscanf(release, "%u.%u", &major, &minor);
	return KNOB_RELEASE(major, minor);
}

bool rf_patch_is_in(const struct rf_patch *patch, const struct rf_policy *point)
{
	return *patch->release && number_of(patch->release) <= number_of(rf_policy_release(point));
}

/* Of a series, that of all its parts. */
bool rf_patch_is_set(const struct rf_patch *patch, const struct rf_policy *policy)
{
	struct rf_policy with = *policy;

	if (!strcmp(patch->id, RF_PATCH_CVE) && !strcmp(policy->arch->name, "arm64"))
		return policy->arch_knobs.repeat_tlbi != REPEAT_TLBI_OFF;
	return patch->knobs && !rf_policy_set_all(&with, patch->knobs, NULL) && !memcmp(&with, policy, sizeof(with));
}

/* ---- what a patch sets on a policy ---- */

/* Stable kernels that took the newer form of the work-around; mainline has it since 7.0. */
bool rf_repeats_once(const struct rf_policy *policy)
{
	static const char *const stable[] = { "6.1.176", "6.12.117", "6.18" };
	const char *release = rf_policy_release(policy);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stable); i++)
		if (!strcmp(stable[i], release))
			return true;
	return rf_patch_is_in(rf_patch_find(RF_PATCH_REPEAT_ONCE), policy) ||
	       policy->arch_knobs.repeat_tlbi == REPEAT_TLBI_NEW;
}

/* Work-arounds and elisions are in use where a core of the policy asks for them or allows them; no core named: all. */
static bool cpu_takes(const struct rf_patch *patch, const char *knob, const struct rf_policy *policy)
{
	if (!*policy->cpu)
		return true;
	if (!strcmp(patch->id, RF_PATCH_CVE))
		return rf_cpu_has(policy, RF_CPU_CVE, 0) || policy->arch_knobs.repeat_tlbi != REPEAT_TLBI_OFF;
	if (!strcmp(knob, "repeat_tlbi"))
		return policy->arch_knobs.repeat_tlbi != REPEAT_TLBI_OFF;
	if (!strcmp(knob, "bbml3"))
		return rf_cpu_has(policy, RF_CPU_BBML3, number_of(patch->release));
	if (!strcmp(knob, "exec_prot_flush"))
		return rf_cpu_has(policy, RF_CPU_2645198, 0);
	if (!strncmp(knob, "invlpgb", 7))
		return rf_cpu_has(policy, RF_CPU_INVLPGB, 0);
	if (!strcmp(knob, "svinval"))
		return rf_cpu_has(policy, RF_CPU_SVINVAL, 0);
	if (!strcmp(knob, "flush_ceiling"))
		return !rf_cpu_has(policy, RF_CPU_CIP_1200, 0);
	return strcmp(knob, "lpa2") && strcmp(knob, "svvptc");	/* no core of the table has them */
}

void rf_patch_knobs_on(const struct rf_patch *patch, const struct rf_policy *policy, char *knobs, size_t size)
{
	char copy[512], *rest = copy, *knob, *equals;
	struct rf_line line;

	rf_line_begin(&line, knobs, size);
	snprintf(copy, sizeof(copy), "%s", patch->knobs ? patch->knobs : "");
	if (!strcmp(patch->id, RF_PATCH_CVE) && rf_repeats_once(policy))
		snprintf(copy, sizeof(copy), "repeat_tlbi=new");
	while (*copy && (knob = strsep(&rest, " "))) {
		equals = strchr(knob, '=');
		*equals = '\0';
		if (!cpu_takes(patch, knob, policy))
			continue;
		*equals = '=';
		rf_line_add(&line, "%s%s", line.used ? " " : "", knob);
	}
}

const char *rf_patch_untold(const struct rf_patch *patch)
{
	static const struct { const char *id, *why; } untold[] = {
		{ "batch-young", "ageing leaves no record" },
		{ "19eaf44954df", "the recording says which folios there were" },
		{ "1da190f4d0a6", "the recording says what was copied" },
		{ "143937ca51cc", "the faults are those of the recording" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(untold); i++)
		if (!strcmp(untold[i].id, patch->id))
			return untold[i].why;
	return NULL;
}
