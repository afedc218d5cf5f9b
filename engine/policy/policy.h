/* SPDX-License-Identifier: MIT */
/*
 * A policy is data: a named kernel point and its knobs. Machines look at
 * nothing else. The named points are rows of one table in points.c, which say
 * what they change against their base; the knobs are rows of tables: core mm's in knobs.c, an architecture's in its
 * folder.
 */
#ifndef REFOLD_ENGINE_POLICY_POLICY_H
#define REFOLD_ENGINE_POLICY_POLICY_H

#include "arch/arch.h"
#include "base/error.h"

#define RF_GATHER(X)                                                                                           \
	X(GATHER_PER_PAGE, "per-page") X(GATHER_GUARANTEED, "guaranteed") X(GATHER_RESERVE, "reserve")         \
	X(GATHER_FOLIO2SLOT, "folio2slot")
enum rf_gather { RF_GATHER(KNOB_SYMBOL) };

/* Which entries fork and zap take at once; the postings of the contpte series brought rules of their own. */
#define RF_BATCH_RULE(X)                                                                                       \
	X(BATCH_RULE_FOLIO, "folio")	/* folio_pte_batch() */                                                \
	X(BATCH_RULE_V2, "v2")		/* one folio, and all bits but A/D equal */                            \
	X(BATCH_RULE_V3, "v3")		/* one folio, alike in PROT_NONE and uffd-wp */                        \
	X(BATCH_RULE_HINT, "hint")	/* v4: to the end of a folded block, else one */
enum rf_batch_rule { RF_BATCH_RULE(KNOB_SYMBOL) };

/* What one step of slow GUP takes of memory that several entries map: kernel-model.md 6. */
#define RF_SLOW_GUP(X)                                                                                         \
	X(SLOW_GUP_HUGETLB, "hugetlb")	/* a huge page of hugetlb: hugetlb_follow_page_mask(), until 6.9 */    \
	X(SLOW_GUP_ENTRY, "entry")	/* what one entry maps */                                              \
	X(SLOW_GUP_CONT, "cont")	/* a contiguous block: no kernel */
enum rf_slow_gup { RF_SLOW_GUP(KNOB_SYMBOL) };

/* Which entries mprotect() makes writable that vm_page_prot does not: can_change_pte_writable(). */
#define RF_WRITE_UPGRADE(X)                                                                                    \
	X(WRITE_UPGRADE_NONE, "none")		/* of private memory none, of shared memory what is dirty */   \
	X(WRITE_UPGRADE_DIRTY, "dirty")		/* exclusive anonymous pages, too, if dirty (6.0) */           \
	X(WRITE_UPGRADE_EXCLUSIVE, "exclusive")	/* or clean, and what a PMD maps (6.2) */
enum rf_write_upgrade { RF_WRITE_UPGRADE(KNOB_SYMBOL) };

/* Sizes of anonymous folios that a policy allocates itself: bits, from 16K on; none: those of the recording. */
#define RF_ANON_FOLIOS "recorded|16k|32k|64k|128k|256k|512k|1m|2m|all"
#define RF_ANON_FOLIOS_ALL 8	/* bit: from order 2 on, up to what a PMD maps */

/* What else becomes writable when a write fault reuses its page. */
#define RF_REUSE_AROUND(X)                                                                                     \
	X(REUSE_AROUND_PAGE, "page")	/* nothing: every kernel */                                            \
	X(REUSE_AROUND_BLOCK, "block")	/* no kernel: the block that it is in, */                              \
	X(REUSE_AROUND_FOLIO, "folio")	/* or the folio, as far as it is ours alone */
enum rf_reuse_around { RF_REUSE_AROUND(KNOB_SYMBOL) };

/* What it takes to be rid of PMD tables of hugetlb that others have, too: huge_pmd_unshare(). */
#define RF_UNSHARE_FLUSH(X)                                                                                    \
	X(UNSHARE_FLUSH_UNSYNCED, "unsynced")	/* a flush for each VMA; nobody waits for lockless walkers */  \
	X(UNSHARE_FLUSH_EACH, "each")		/* and an interrupt of all CPUs for each table (6.16) */       \
	X(UNSHARE_FLUSH_GATHER, "gather")	/* one, if a table has a single owner now (6.19) */
enum rf_unshare_flush { RF_UNSHARE_FLUSH(KNOB_SYMBOL) };

/* Knobs of core mm; those of the backend are struct arch_knobs. */
struct rf_mm_knobs {
	bool batch_fork, batch_zap, batch_mprotect, batch_mremap, batch_uffd_move;
	bool batch_lazyfree, batch_file_unmap, batch_anon_unmap, batch_migrate, batch_mkclean;
	bool madv_clear_young_dirty;	/* COLD/FREE clear in place (6.10) instead of get_and_clear + set */
	bool pmd_split_set_ptes;	/* split fills the table with one set_ptes(512) (6.9) */
	bool madv_cold_pmd_young;	/* MADV_COLD of a huge page clears its bit in place, without a flush (7.3) */
	bool pageout_ignores_young;	/* MADV_PAGEOUT leaves accessed bits; before: clears them, like COLD (6.9) */
	bool pmd_split_dirty;		/* entries of a split huge page are dirty if it was (6.4) */
	bool madvise_one_gather;	/* one mmu_gather per madvise(DONTNEED, FREE), not per VMA (6.16) */
	enum rf_slow_gup slow_gup;
	bool fast_gup_cont;		/* GUP fast takes a contiguous block at once: no kernel */
	bool gup_recheck_lockless;	/* GUP fast looks again with ptep_get_lockless() (7.2) */
	u32 swap_readahead;		/* entries that a swap-in from a disk looks at; 0 or 1: none */
	bool rmap_lockless;		/* so does page_vma_mapped_walk() before it has the lock (7.2) */
	bool locked_norecency;		/* reads under the lock that compare or skip take one entry: no kernel */
	bool pt_reclaim;		/* madvise(DONTNEED) frees the tables it empties (x86 6.14, all 7.0) */
	bool move_pud;			/* mremap() moves a whole directory of 1 GiB (5.11) */
	bool mremap_realign;		/* mremap() starts at the table boundary below if it can (6.7) */
	bool mprotect_gather;		/* what changed is flushed, at the end, not each VMA's range at once (5.19) */
	bool migrate_defer;		/* migration defers its flushes as reclaim does (6.3) */
	bool prefault_old;		/* what fault-around maps unasked is old where the hardware sets A (5.12) */
	bool fault_around_runs;		/* fault-around sets a run of a folio at once (6.6) */
	bool batch_swap;		/* zap and MADV_FREE take runs of swap entries (6.10) */
	bool batch_collapse;		/* khugepaged clears runs (6.17) */
	bool unmap_flush_walk;		/* an unmapping that cannot wait flushes a range, cached walks too (6.15) */
	u32 anon_folios;		/* bits of RF_ANON_FOLIOS (6.8) */
	bool swapin_large;		/* they come back whole from zram (6.12) */
	bool huge_zero_wp;		/* do_huge_zero_wp_pmd() (6.13) */
	u32 khugepaged;			/* milliseconds between scans of khugepaged; 0: it does what was recorded */
	u32 max_ptes_none;		/* of a table that it collapses */
	bool recorded_fragmentation;	/* what the recorded kernel did not get, is not got */
	u32 alloc_fail;			/* percent of wanted folios that are not got */
	u32 alloc_seed;			/* which */
	bool thp_madvise;		/* they are for MADV_HUGEPAGE only */
	bool reuse_large;		/* a write fault reuses a page of a large folio that is nobody else's (6.15) */
	enum rf_reuse_around reuse_around;
	u32 khuge_cont;			/* no kernel: milliseconds between scans that fold what can be; 0: none */
	u32 coalesce;			/* hardware takes 2 << this entries as one; 0: none */
	enum rf_write_upgrade write_upgrade;
	enum rf_unshare_flush unshare_flush;
	enum rf_gather gather;
	enum rf_batch_rule batch_rule;
};

#define RF_MAX_POLICIES 128	/* of one replay */
#define RF_POLICY_NAME 1024	/* its size: a name may hold paths */

struct rf_policy {
	char name[RF_POLICY_NAME];
	char base[48];			/* the named point this one starts from; itself for those */
	char cpu[128];			/* the cores that cpu= names; "" if none, or as a boot log has them */
	char notes[1024];		/* for people, lines: what patches pulled in, what has no effect; "" mostly */
	const struct arch_ops *arch;
	struct arch_geometry geometry;
	struct arch_knobs arch_knobs;
	struct rf_mm_knobs mm;
};

/* Named points, in order of history; NULL past the end. */
const struct rf_policy *rf_policy_named(size_t index);
const struct rf_policy *rf_policy_find(const char *name);
/* One sentence for `refold policies`; and what the point changes against its base. */
const char *rf_policy_summary(const struct rf_policy *policy);
/* "knob=value knob=value" against the point of that name, or against the default of every knob if *against is "". */
const char *rf_policy_changes(const struct rf_policy *policy, const char **against);
/* The kernel whose code the point follows, as precisely as it was checked: "6.12.107". */
const char *rf_policy_release(const struct rf_policy *policy);

/*
 * Set one knob from text ("tlbi" = "single", "batch_mprotect" = "true", "granule" = "16k"). -EINVAL with the list of
 * knobs or values in err. Used for JSON policies and for NAME+knob=value on the command line.
 */
int rf_policy_set(struct rf_policy *policy, const char *knob, const char *value, struct rf_error *err);
/* "knob=value knob=value", as our own tables have it; stops at the first that cannot be set. */
int rf_policy_set_all(struct rf_policy *policy, const char *knobs, struct rf_error *err);

/*
 * Walk the knobs that mean something for the policy's architecture, in alphabetical order, with their values as text;
 * returns false past the end.
 */
bool rf_policy_knob(const struct rf_policy *policy, size_t index, const char **knob, char *value, size_t size);
/* All of them, one after the other. */
void rf_policy_each_knob(const struct rf_policy *policy,
			 void (*tell)(void *context, const char *knob, const char *value), void *context);
/* Walk the knobs of the base that mean nothing on the policy's backend, which was loaded; false past the end. */
bool rf_policy_refused(const struct rf_policy *policy, size_t index, const char **knob);
/* The names of all knobs of all architectures, in alphabetical order: the one after this (NULL: the first), or NULL. */
const char *rf_policy_next_knob(const char *knob);
/* Does a knob take several values at once, as in 64k+2m? */
bool rf_policy_knob_is_set(const char *knob);
/* "knob=value" that a knob needs to have an effect, or NULL. */
const char *rf_policy_knob_needs(const char *knob);
/* Has the policy what a knob needs? Of one that takes several values, any but the first will do. */
bool rf_policy_knob_works(const struct rf_policy *policy, const char *knob);
/* A knob's value as text; false if the architecture has no such knob. */
bool rf_policy_value(const struct rf_policy *policy, const char *knob, char *value, size_t size);
/* What a knob is: "single|range" or "NUMBER", and a line of explanation. False if there is no such knob. */
bool rf_policy_knob_help(const char *knob, const char **values, const char **help);
/* What knobs are about: "gather", "flushes". NULL past the end. */
const char *rf_policy_area(size_t index);
/* "knob knob", those of an area. */
const char *rf_policy_area_knobs(size_t index);
/* The area of a knob; NULL: there is no such knob. */
const char *rf_policy_knob_area(const char *knob);

/*
 * Walk the knobs that a policy sets, away from its base, to what the kernel of that release never had: with the release
 * that had it first ("6.17"), "" if no kernel does. False past the end. What such a policy counts is a what-if.
 */
bool rf_policy_what_if(const struct rf_policy *policy, const struct rf_policy *base, const char *release, size_t index,
		       const char **knob, char *since, size_t size);

#endif
