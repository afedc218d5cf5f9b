// SPDX-License-Identifier: MIT
/*
 * The table of named policies: kernels, postings of patches, ideas. A point is its base and the knobs it changes,
 * written as a user would write them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/policy/policy.h"

struct point {
	const char *name;
	const char *base;	/* "" for the first of an architecture */
	const char *arch;
	const char *release;
	const char *summary;
	const char *changes;
};

/* In order of history; a base comes before what starts from it. */
static const struct point points[] = {
	{ "linux-6.8", "", "arm64", "6.8",
	  "arm64 before contiguous PTEs: every entry is copied, cleared and protected on its own.",
	  "batch_helpers=true defer_unmap_flush=true fullmm_skip=true granule=4k repeat_tlbi=off tlbi=range "
	  "tlbi_range_limit=at" },
	{ "contpte-v1", "linux-6.8", "arm64", "6.8 with contpte v1, which was for 6.4",
	  "The first posting of the contpte series, with the two bugs found in it: a negative control.",
	  "access_flush=never batch_fork=true batch_rule=v3 cont=true fold_present=true fold_sites=v3 getter=gather "
	  "protnone_cont=valid set_ptes_checks_old=true tlbi_limit_waits=twice wrprotect_chunks=true "
	  "wrprotect_reload=true zap_full_trick=v1" },
	{ "contpte-v2", "contpte-v1", "arm64", "6.7-rc with contpte v2",
	  "The second posting: v1's bugs fixed, exit still clears blocks entry by entry in the arch layer.",
	  "access_flush=dirty batch_rule=v2 fold_present=false zap_full_trick=v2" },
	{ "contpte-v3", "contpte-v2", "arm64", "6.7-rc with contpte v3",
	  "The third posting: folds at every chance, gathers on every read, batches fork and zap.",
	  "batch_rule=v3 batch_zap=true gather=guaranteed zap_full_trick=none" },
	{ "contpte-v3-noopt", "contpte-v3", "arm64", "6.7-rc with contpte v3, patches 1-13",
	  "The third posting without its last two patches: fork and exit unfold every block.",
	  "batch_helpers=false" },
	{ "contpte-v4", "contpte-v3", "arm64", "6.7-rc with contpte v4",
	  "The fourth posting: batches are what is left of a folded block, room is reserved only where needed.",
	  "batch_rule=hint fork_full=true gather=reserve hint=true pmd_split_set_ptes=true wrprotect_reload=false" },
	{ "generic-batch", "linux-6.8", "arm64", "6.9 without contpte",
	  "What core mm's batching of fork and zap gives without contiguous PTEs.",
	  "batch_fork=true batch_zap=true gather=folio2slot" },
	{ "contpte-v5-basic", "generic-batch", "arm64", "6.8-rc with contpte v5, patches 1-19",
	  "The fifth posting's first stage: the arch layer takes core mm's batches apart, nothing folds again.",
	  "access_compare=gathered batch_helpers=false cont=true getter=gather pmd_split_set_ptes=true "
	  "protnone_cont=valid tlbi_limit_waits=twice wrprotect_reload=true" },
	{ "contpte-v5-batch", "contpte-v5-basic", "arm64", "6.8-rc with contpte v5, patches 1-23",
	  "The fifth posting with batches in the arch layer and the hint to core mm; its 'inline' counts the same.",
	  "batch_helpers=true hint=true wrprotect_reload=false" },
	{ "contpte-v5-fold", "contpte-v5-batch", "arm64", "6.8-rc with contpte v5",
	  "The whole fifth posting: setting the last entry of a block folds it. What 6.9 merged counts the same.",
	  "fold_sites=set1" },
	{ "linux-6.9", "linux-6.8", "arm64", "6.9",
	  "Contiguous PTEs as merged: folds when the last entry is set, fork and zap in batches that skip blocks.",
	  "access_compare=gathered batch_fork=true batch_zap=true cont=true fold_sites=set1 gather=folio2slot "
	  "getter=gather hint=true pmd_split_set_ptes=true protnone_cont=valid tlbi_limit_waits=twice" },
	{ "norecency-rfc", "linux-6.9", "arm64", "6.9-rc with the norecency RFC",
	  "Lockless readers take one entry and do not gather accessed and dirty bits.",
	  "lockless=norecency" },
	{ "norecency-full", "norecency-rfc", "arm64", "6.9-rc with the norecency RFC and all readers converted",
	  "The RFC with its announced follow-up: reads under the lock that compare or skip do not gather either.",
	  "locked=norecency" },
	{ "linux-6.12", "linux-6.9", "arm64", "6.12.107",
	  "The long-term kernel: MADV_COLD and MADV_FREE clear bits in place, stable fixes up to 6.12.107.",
	  "access_compare=raw batched_pending=mm madv_clear_young_dirty=true slow_gup=entry tlbi_range_limit=above" },
	{ "gup-old", "linux-6.12", "arm64", "6.12.107 with slow GUP of 6.9",
	  "GUP before hugetlb came into the generic walk: one look per huge page, however many entries map it.",
	  "slow_gup=hugetlb" },
	{ "gup-unified", "gup-old", "arm64", "6.12.107",
	  "Slow GUP in the generic walk, as merged for 6.10: huge pages of contiguous entries are visited one by one.",
	  "slow_gup=entry" },
	{ "gup-cont", "gup-unified", "arm64", "6.12.107 with an idea",
	  "Slow GUP that knows contiguous entries: one look takes a whole block, of hugetlb or of folios.",
	  "slow_gup=cont" },
	{ "linux-6.17", "linux-6.12", "arm64", "6.17",
	  "mprotect and mremap in batches, readers stop as soon as they know both bits.",
	  "access_compare=gathered batch_lazyfree=true batch_mprotect=true batch_mremap=true getter=early "
	  "lockless=early madvise_one_gather=true protnone_cont=stray tlbbatch=range" },
	{ "x86-6.18", "", "x86", "6.18",
	  "x86-64, for recordings made there: no contiguous PTEs, flushes of up to 33 single pages.",
	  "batch_fork=true batch_lazyfree=true batch_mprotect=true batch_mremap=true batch_zap=true "
	  "defer_unmap_flush=true flush_ceiling=33 gather=folio2slot granule=4k invlpgb_count_max=8 "
	  "madv_clear_young_dirty=true madvise_one_gather=true pmd_split_set_ptes=true pt_reclaim=true slow_gup=entry" },
	{ "linux-7.2", "linux-6.17", "arm64", "7.2.13",
	  "Ageing and file unmapping in batches, local flushes for reused pages, no flush where none is needed.",
	  "access_compare=raw batch_file_unmap=true batch_young=true gup_recheck=lockless needs_flush=precise "
	  "pt_reclaim=true reuse_flush=local rmap_unlocked=lockless tlbi_limit_waits=once tlbi_range_limit=range" },
	{ "linux-7.3", "linux-7.2", "arm64", "7.3.4",
	  "The newest kernel modelled; of what is counted, only PROT_NONE on large folios differs from 7.2.",
	  "protnone_cont=none" },
	{ "x86-7.3", "x86-6.18", "x86", "7.2.13 and its like",
	  "x86-64 with the newest core mm: ageing and file unmapping in batches.",
	  "batch_file_unmap=true batch_young=true gup_recheck=lockless rmap_unlocked=lockless" },
	{ "x86-7.3-invlpgb", "x86-7.3", "x86", "7.2.13 and its like, on AMD CPUs",
	  "x86-64 that broadcasts its flushes by instruction instead of interrupting other CPUs.",
	  "invlpgb=true" },
	{ "riscv-7.3", "", "riscv", "7.2.13 and its like",
	  "riscv with Svnapot for hugetlb only: no transparent blocks, flushes of up to 64 single pages.",
	  "batch_file_unmap=true batch_fork=true batch_lazyfree=true batch_mprotect=true batch_mremap=true "
	  "batch_young=true batch_zap=true defer_unmap_flush=true flush_ceiling=64 gather=folio2slot granule=4k "
	  "gup_recheck=lockless madv_clear_young_dirty=true madvise_one_gather=true pmd_split_set_ptes=true "
	  "pt_reclaim=true rmap_unlocked=lockless slow_gup=entry" },
	{ "svnapot-user", "riscv-7.3", "riscv", "7.2.13 and its like, with an idea",
	  "What if riscv had transparent blocks of 64K: arm64's contpte on Svnapot, as a list series has it.",
	  "access_compare=raw batch_helpers=true cont=true fold_sites=set1 getter=early hint=true lockless=early" },
	{ "powerpc-8xx", "", "powerpc-8xx", "7.2.13 and its like",
	  "A 32-bit powerpc: huge pages of 128 or 2048 entries, one page or everything is flushed.",
	  "batch_file_unmap=true batch_fork=true batch_lazyfree=true batch_mprotect=true batch_mremap=true "
	  "batch_young=true batch_zap=true gather=folio2slot granule=4k gup_recheck=lockless "
	  "madv_clear_young_dirty=true madvise_one_gather=true pmd_split_set_ptes=true pt_reclaim=true "
	  "rmap_unlocked=lockless slow_gup=entry" },
	{ "powerpc-hash", "", "powerpc-hash", "6.9",
	  "A 64-bit powerpc with a hashed page table and 4K pages: one tlbie per page, hugepd for 16M and 16G.",
	  "batch_fork=true batch_zap=true gather=folio2slot granule=4k pmd_split_set_ptes=true" },
};

static struct rf_policy named[ARRAY_SIZE(points)];
static pthread_once_t named_once = PTHREAD_ONCE_INIT;

static size_t find_point(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (!strcmp(points[i].name, name))
			break;
	return i;
}

/* The table is ours: a mistake in it is a bug, found by the first test that runs. */
static void apply_changes(struct rf_policy *policy, const char *changes)
{
	char copy[512], *rest = copy, *knob, *value;
	struct rf_error err;

	snprintf(copy, sizeof(copy), "%s", changes);
	while ((knob = strsep(&rest, " "))) {
		value = strchr(knob, '=');
		*value++ = '\0';
		if (rf_policy_set(policy, knob, value, &err))
			abort();
	}
}

static void build_named(void)
{
	struct rf_policy *policy;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++) {
		policy = &named[i];
		if (*points[i].base)
			*policy = named[find_point(points[i].base)];
		policy->arch = arch_by_name(points[i].arch);
		apply_changes(policy, points[i].changes);
		memset(policy->name, 0, sizeof(policy->name));
		snprintf(policy->name, sizeof(policy->name), "%s", points[i].name);
		snprintf(policy->base, sizeof(policy->base), "%s", points[i].name);
	}
}

const struct rf_policy *rf_policy_named(size_t index)
{
	pthread_once(&named_once, build_named);
	return index < ARRAY_SIZE(points) ? &named[index] : NULL;
}

const struct rf_policy *rf_policy_find(const char *name)
{
	return rf_policy_named(find_point(name));
}

const char *rf_policy_summary(const struct rf_policy *policy)
{
	return points[find_point(policy->base)].summary;
}

const char *rf_policy_changes(const struct rf_policy *policy, const char **against)
{
	const struct point *point = &points[find_point(policy->base)];

	*against = point->base;
	return point->changes;
}

const char *rf_policy_release(const struct rf_policy *policy)
{
	return points[find_point(policy->base)].release;
}
