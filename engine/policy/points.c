// SPDX-License-Identifier: MIT
/*
 * The table of named policies: kernels, postings of patches, ideas. A point is the one it starts from, the core mm of
 * a release, and changes of its own, written as a user would write them. Core mm of a release is the same on every
 * architecture, and said once.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/policy/policy.h"

/* What core mm changed, release by release. */
static const struct release {
	const char *name, *changes;
} releases[] = {
	{ "5.10", NULL },
	{ "5.15", "move_pud=true prefault_old=true" },
	{ "6.1", "mprotect_flush=gather write_upgrade=dirty" },
	{ "6.6", "faultaround_set=run migrate_defer=true pmd_split_dirty=true write_upgrade=exclusive" },
	{ "6.8", "mremap_realign=true" },
	{ "6.9", "batch_fork=true batch_zap=true gather=folio2slot pageout_young=ignore pmd_split_set_ptes=true" },
	{ "6.12", "batch_swap=true madv_clear_young_dirty=true slow_gup=entry swapin_large=true" },
	{ "6.17", "batch_collapse=true batch_lazyfree=true batch_mprotect=true batch_mremap=true huge_zero_wp=true "
		  "madvise_one_gather=true reuse_large=true unmap_flush=walk unshare_flush=each" },
	{ "6.18", "batch_uffd_move=true unshare_flush=gather" },
	{ "7.2", "batch_file_unmap=true batch_young=true gup_recheck=lockless pt_reclaim=true rmap_unlocked=lockless" },
	{ "7.3", "madv_cold_pmd=young" },
};

struct point {
	const char *name;
	const char *release;	/* the kernel it follows, for people to read */
	const char *summary;
	const char *base;	/* the point it starts from; NULL for the first of an architecture */
	const char *arch;	/* of that first one */
	const char *core;	/* core mm is that of this release; NULL: that of the base */
	const char *changes;	/* of the architecture, or away from the release; NULL: none */
};

/* In order of history; a base comes before what starts from it. */
static const struct point points[] = {
	{ "linux-5.10", "5.10.223",
	  "arm64 of a long-term kernel: mprotect flushes all of its range, each migrated page is waited for.",
	  .arch = "arm64", .core = "5.10",
	  .changes = "batch_helpers=true fullmm_skip=true tlbi=range tlbi_range_limit=at" },
	{ "linux-5.15", "5.15",
	  "As 5.10, but mremap moves whole GiB at once, and fault-around maps pages old.",
	  .base = "linux-5.10", .core = "5.15" },
	{ "linux-6.1", "6.1.176",
	  "mprotect flushes what it changed, and makes own dirty pages writable; reclaim waits for each page.",
	  .base = "linux-5.15", .core = "6.1", .changes = "unshare_flush=gather" },
	{ "linux-6.6", "6.6",
	  "Reclaim and migration defer their flushes, fault-around sets runs; no large anonymous folios yet.",
	  .base = "linux-6.1", .core = "6.6", .changes = "batched_pending=mm defer_unmap_flush=true" },
	{ "linux-6.8", "6.8",
	  "arm64 before contiguous PTEs: every entry is copied, cleared and protected on its own.",
	  .base = "linux-6.6", .core = "6.8", .changes = "batched_pending=dsb" },
	{ "contpte-v1", "6.8 with contpte v1, which was for 6.4",
	  "The first posting of the contpte series, with the two bugs found in it: a negative control.",
	  .base = "linux-6.8",
	  .changes = "access_flush=never batch_fork=true batch_rule=v3 cont=true fold_present=true fold_sites=v3 "
		     "getter=gather protnone_cont=valid set_ptes_checks_old=true tlbi_limit_waits=twice "
		     "wrprotect_chunks=true wrprotect_reload=true zap_full_trick=v1" },
	{ "contpte-v2", "6.7-rc with contpte v2",
	  "The second posting: v1's bugs fixed, exit still clears blocks entry by entry in the arch layer.",
	  .base = "contpte-v1",
	  .changes = "access_flush=dirty batch_rule=v2 fold_present=false zap_full_trick=v2" },
	{ "contpte-v3", "6.7-rc with contpte v3",
	  "The third posting: folds at every chance, gathers on every read, batches fork and zap.",
	  .base = "contpte-v2",
	  .changes = "batch_rule=v3 batch_zap=true gather=guaranteed zap_full_trick=none" },
	{ "contpte-v3-noopt", "6.7-rc with contpte v3, patches 1-13",
	  "The third posting without its last two patches: fork and exit unfold every block.",
	  .base = "contpte-v3", .changes = "batch_helpers=false" },
	{ "contpte-v4", "6.7-rc with contpte v4",
	  "The fourth posting: batches are what is left of a folded block, room is reserved only where needed.",
	  .base = "contpte-v3",
	  .changes = "batch_rule=hint fork_full=true gather=reserve hint=true pmd_split_set_ptes=true "
		     "wrprotect_reload=false" },
	{ "generic-batch", "6.9 without contpte",
	  "What core mm's batching of fork and zap gives without contiguous PTEs.",
	  .base = "linux-6.8", .changes = "batch_fork=true batch_zap=true gather=folio2slot" },
	{ "contpte-v5-basic", "6.8-rc with contpte v5, patches 1-19",
	  "The fifth posting's first stage: the arch layer takes core mm's batches apart, nothing folds again.",
	  .base = "generic-batch",
	  .changes = "access_compare=gathered batch_helpers=false cont=true getter=gather "
		     "pmd_split_set_ptes=true protnone_cont=valid tlbi_limit_waits=twice wrprotect_reload=true" },
	{ "contpte-v5-batch", "6.8-rc with contpte v5, patches 1-23",
	  "The fifth posting with batches in the arch layer and the hint to core mm; its 'inline' counts the same.",
	  .base = "contpte-v5-basic", .changes = "batch_helpers=true hint=true wrprotect_reload=false" },
	{ "contpte-v5-fold", "6.8-rc with contpte v5",
	  "The whole fifth posting: setting the last entry of a block folds it. 6.9 merged the same.",
	  .base = "contpte-v5-batch", .changes = "fold_sites=set1" },
	{ "linux-6.9", "6.9",
	  "Contiguous PTEs as merged: folds when the last entry is set, fork and zap in batches that skip blocks.",
	  .base = "linux-6.8", .core = "6.9",
	  .changes = "access_compare=gathered cont=true fold_sites=set1 getter=gather hint=true "
		     "protnone_cont=valid tlbi_limit_waits=twice" },
	{ "norecency-rfc", "6.9-rc with the norecency RFC",
	  "Lockless readers take one entry and do not gather accessed and dirty bits.",
	  .base = "linux-6.9", .changes = "lockless=norecency" },
	{ "norecency-full", "6.9-rc with the norecency RFC and all readers converted",
	  "The RFC with its announced follow-up: reads under the lock that compare or skip do not gather either.",
	  .base = "norecency-rfc", .changes = "locked=norecency" },
	{ "linux-6.12", "6.12.117",
	  "The long-term kernel: MADV_COLD and MADV_FREE clear bits in place, stable fixes up to 6.12.117.",
	  .base = "linux-6.9", .core = "6.12",
	  .changes = "access_compare=raw batched_pending=mm madv_cold_pmd=young protnone_cont=none "
		     "tlbi_range_limit=above unshare_flush=gather" },
	{ "linux-6.12.107", "6.12.107",
	  "The long-term kernel of a while ago: PROT_NONE blocks are contiguous, MADV_COLD flushes huge pages.",
	  .base = "linux-6.12", .changes = "madv_cold_pmd=invalidate protnone_cont=valid" },
	{ "gup-old", "6.12.117 with slow GUP of 6.9",
	  "GUP before hugetlb came into the generic walk: one look per huge page, however many entries map it.",
	  .base = "linux-6.12", .changes = "slow_gup=hugetlb" },
	{ "gup-unified", "6.12.117",
	  "Slow GUP in the generic walk, as merged for 6.10: huge pages of contiguous entries are visited one by one.",
	  .base = "gup-old", .changes = "slow_gup=entry" },
	{ "gup-cont", "6.12.117 with an idea",
	  "Slow GUP that knows contiguous entries: one look takes a whole block, of hugetlb or of folios.",
	  .base = "gup-unified", .changes = "slow_gup=cont" },
	{ "linux-6.17", "6.17",
	  "mprotect and mremap in batches, readers stop as soon as they know both bits.",
	  .base = "linux-6.12", .core = "6.17",
	  .changes = "access_compare=gathered getter=early hugetlb_break=valid hugetlb_flush=stride lockless=early "
		     "protnone_cont=stray tlbbatch=range" },
	{ "linux-6.18", "6.18",
	  "The long-term kernel after 6.12: 6.17 with the stable fix of spurious faults on folded blocks.",
	  .base = "linux-6.17", .core = "6.18", .changes = "access_compare=raw" },
	{ "x86-5.10", "5.10.223",
	  "x86-64 of a long-term kernel: mprotect flushes all of its range, each migrated page is waited for.",
	  .arch = "x86", .core = "5.10", .changes = "defer_unmap_flush=true flush_ceiling=33 invlpgb_count_max=8" },
	{ "x86-5.15", "5.15", "x86-64: as 5.10, but mremap moves whole GiB at once.",
	  .base = "x86-5.10", .core = "5.15" },
	{ "x86-6.1", "6.1.176",
	  "x86-64 of a long-term kernel: mprotect flushes what it changed, no flush where none is needed.",
	  .base = "x86-5.15", .core = "6.1", .changes = "unshare_flush=gather" },
	{ "x86-6.6", "6.6", "x86-64 of a long-term kernel: migration defers its flushes, fault-around sets runs.",
	  .base = "x86-6.1", .core = "6.6" },
	{ "x86-6.12", "6.12.117",
	  "x86-64 of a long-term kernel: fork and zap in batches, MADV_FREE clears bits in place.",
	  .base = "x86-6.6", .core = "6.12", .changes = "madv_cold_pmd=young unshare_flush=gather" },
	{ "x86-6.18", "6.18",
	  "x86-64, for recordings made there: no contiguous PTEs, flushes of up to 33 single pages.",
	  .base = "x86-6.12", .core = "6.18", .changes = "pt_reclaim=true" },
	{ "linux-7.2", "7.2.13",
	  "Ageing and file unmapping in batches, local flushes for reused pages, no flush where none is needed.",
	  .base = "linux-6.17", .core = "7.2",
	  .changes = "access_compare=raw needs_flush=precise reuse_flush=local tlbi_limit_waits=once "
		     "tlbi_range_limit=range" },
	{ "linux-7.3", "7.3.4",
	  "The newest kernel modelled; 7.2 but for PROT_NONE on large folios and MADV_COLD on huge pages.",
	  .base = "linux-7.2", .core = "7.3", .changes = "protnone_cont=none" },
	{ "x86-7.2", "7.2.13",
	  "x86-64 with ageing and file unmapping in batches; MADV_COLD flushes huge pages.",
	  .base = "x86-6.18", .core = "7.2" },
	{ "x86-7.3", "7.3",
	  "x86-64 with the newest core mm: 7.2 but for MADV_COLD, which clears bits in place.",
	  .base = "x86-7.2", .core = "7.3" },
	{ "x86-7.3-invlpgb", "7.3, on AMD CPUs",
	  "x86-64 that broadcasts flushes by instruction once four CPUs run a process, and interrupts them before.",
	  .base = "x86-7.3", .changes = "invlpgb=true invlpgb_min_cpus=4" },
	{ "riscv-6.6", "6.6",
	  "riscv: one page is flushed, or the whole address space, and that by each munmap(); reclaim waits for each page.",
	  .arch = "riscv", .core = "6.6", .changes = "flush_ceiling=1" },
	{ "riscv-6.12", "6.12.117",
	  "riscv of a long-term kernel: flushes of up to 64 single pages, fork and zap in batches.",
	  .base = "riscv-6.6", .core = "6.12",
	  .changes = "defer_unmap_flush=true flush_ceiling=64 gather_flush=range madv_cold_pmd=young svvptc=true "
		     "unshare_flush=gather" },
	{ "riscv-6.18", "6.18",
	  "riscv of a long-term kernel: mprotect in batches.",
	  .base = "riscv-6.12", .core = "6.18" },
	{ "riscv-7.2", "7.2.13",
	  "riscv with ageing and file unmapping in batches; MADV_COLD flushes huge pages.",
	  .base = "riscv-6.18", .core = "7.2" },
	{ "riscv-7.3", "7.3",
	  "riscv with Svnapot for hugetlb only: no transparent blocks, flushes of up to 64 single pages.",
	  .base = "riscv-7.2", .core = "7.3" },
	{ "svnapot-user", "7.2.13 and its like, with an idea",
	  "What if riscv had transparent blocks of 64K: arm64's contpte on Svnapot, as a list series has it.",
	  .base = "riscv-7.3",
	  .changes = "access_compare=raw batch_helpers=true cont=true fold_sites=set1 getter=early hint=true "
		     "lockless=early" },
	{ "powerpc-8xx", "7.2.13 and its like",
	  "A 32-bit powerpc: huge pages of 128 or 2048 entries, one page or everything is flushed.",
	  .arch = "powerpc-8xx", .core = "7.3" },
	{ "powerpc-hash", "6.9",
	  "A 64-bit powerpc with a hashed page table and 4K pages: one tlbie per page, hugepd for 16M and 16G.",
	  .arch = "powerpc-hash", .core = "6.9" },
};

static struct rf_policy named[ARRAY_SIZE(points)];
static pthread_once_t named_once = PTHREAD_ONCE_INIT;
/* Told to people only: a replay does not ask. */
static char changes_of[ARRAY_SIZE(points)][1024];
static pthread_once_t changes_once = PTHREAD_ONCE_INIT;

static size_t find_point(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (!strcmp(points[i].name, name))
			break;
	return i;
}

/* The tables are ours: a mistake in one is a bug, found by the first test that runs. */
static void apply_changes(struct rf_policy *policy, const char *changes)
{
	struct rf_error err;

	if (rf_policy_set_all(policy, changes, &err))
		abort();
}

/* All that core mm changed until then, and nothing that the base had beside it. */
static void set_core(struct rf_policy *policy, const char *core)
{
	size_t i;

	memset(&policy->mm, 0, sizeof(policy->mm));
	for (i = 0; i < ARRAY_SIZE(releases); i++) {
		if (releases[i].changes)
			apply_changes(policy, releases[i].changes);
		if (!strcmp(releases[i].name, core))
			return;
	}
	abort();
}

static void build_point(const struct point *point, struct rf_policy *policy)
{
	if (point->base) {
		*policy = named[find_point(point->base)];
	} else {
		policy->arch = arch_by_name(point->arch);
		policy->geometry = policy->arch->geometries[0];
	}
	if (point->core)
		set_core(policy, point->core);
	if (point->changes)
		apply_changes(policy, point->changes);
	memset(policy->name, 0, sizeof(policy->name));
	snprintf(policy->name, sizeof(policy->name), "%s", point->name);
	memcpy(policy->base, policy->name, sizeof(policy->base));
}

/* "knob=value knob=value", by comparison: what the point is, not how its row says it. */
static void tell_changes(const struct rf_policy *policy, const struct rf_policy *against, char *text, size_t size)
{
	const char *knob;
	char value[32], other[32];
	size_t used = 0, i;

	for (i = 0; rf_policy_knob(policy, i, &knob, value, sizeof(value)); i++) {
		rf_policy_knob(against, i, &knob, other, sizeof(other));
		if (strcmp(value, other))
			used += snprintf(text + used, size - used, "%s%s=%s", used ? " " : "", knob, value);
		if (used >= size)
			abort();
	}
}

static void build_named(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		build_point(&points[i], &named[i]);
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

static void tell_all_changes(void)
{
	struct rf_policy nothing;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++) {
		nothing = (struct rf_policy){ .arch = rf_policy_named(i)->arch };
		tell_changes(&named[i], points[i].base ? &named[find_point(points[i].base)] : &nothing, changes_of[i],
			     sizeof(changes_of[i]));
	}
}

const char *rf_policy_changes(const struct rf_policy *policy, const char **against)
{
	size_t i = find_point(policy->base);

	pthread_once(&changes_once, tell_all_changes);
	*against = points[i].base ? points[i].base : "";
	return changes_of[i];
}

const char *rf_policy_release(const struct rf_policy *policy)
{
	return points[find_point(policy->base)].release;
}
