// SPDX-License-Identifier: MIT
/*
 * The table of knobs that policies are made of. A knob is a place in struct rf_policy and the names of its values.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/policy.h"

#define ON_ARM64 1
#define ON_X86 2
#define ON_RISCV 4
#define ON_POWERPC 8
#define ON_ALL (ON_ARM64 | ON_X86 | ON_RISCV | ON_POWERPC)
#define ON_CONT (ON_ARM64 | ON_RISCV)	/* transparent contiguous blocks, if only in what-ifs */

struct knob {
	const char *name;
	const char *values;	/* "first|second": stored as 0, 1; NULL: a number */
	const char *help;
	u16 offset;		/* in struct rf_policy */
	u8 size;
	u8 on;
};

#define BOOL "false|true"
#define AT(field) .offset = offsetof(struct rf_policy, field), .size = sizeof(((struct rf_policy *)0)->field)

/* In alphabetical order. */
static const struct knob knobs[] = {
	{ "access_compare", KNOB_WORDS(ARCH_ACCESS_COMPARE),
	  "how ptep_set_access_flags() sees that a folded block needs no change (raw: 7.0, 6.12.107)",
	  AT(arch_knobs.access_compare), ON_CONT },
	{ "access_flush", "dirty|never",
	  "access flags of folded blocks are flushed if dirty, or (contpte v1, a bug) never",
	  AT(arch_knobs.access_flush_never), ON_ARM64 },
	{ "batch_anon_unmap", BOOL, "reclaim unmaps runs of anonymous pages at once", AT(mm.batch_anon_unmap), ON_ALL },
	{ "batch_file_unmap", BOOL, "reclaim unmaps runs of file pages at once (7.0)",
	  AT(mm.batch_file_unmap), ON_ALL },
	{ "batch_fork", BOOL, "fork copies runs of one folio at once (6.9)", AT(mm.batch_fork), ON_ALL },
	{ "batch_helpers", BOOL, "wrprotect and clear take a run at once; false: entry by entry",
	  AT(arch_knobs.batch_helpers), ON_CONT },
	{ "batch_lazyfree", BOOL, "reclaim drops runs of lazily freed pages at once (6.15)",
	  AT(mm.batch_lazyfree), ON_ALL },
	{ "batch_migrate", BOOL, "migration replaces runs at once", AT(mm.batch_migrate), ON_ALL },
	{ "batch_mkclean", BOOL, "writeback cleans runs at once", AT(mm.batch_mkclean), ON_ALL },
	{ "batch_mprotect", BOOL, "mprotect changes runs at once (6.17)", AT(mm.batch_mprotect), ON_ALL },
	{ "batch_mremap", BOOL, "mremap moves folded runs at once (6.17)", AT(mm.batch_mremap), ON_ALL },
	{ "batch_rule", KNOB_WORDS(RF_BATCH_RULE),
	  "what batches of fork and zap are: folio_pte_batch()'s (6.9), contpte v2's, v3's, v4's (hint)",
	  AT(mm.batch_rule), ON_ALL },
	{ "batch_young", BOOL, "reclaim looks at the age of runs at once (7.0)", AT(arch_knobs.batch_young), ON_ALL },
	{ "batch_zap", BOOL, "munmap and exit clear runs of one folio at once (6.9)", AT(mm.batch_zap), ON_ALL },
	{ "batched_pending", "dsb|mm", "how zap, mprotect... make sure that deferred flushes are done (mm: 6.16)",
	  AT(arch_knobs.batched_pending_mm), ON_ARM64 },
	{ "bbml3", BOOL, "folding and unfolding need no flush (6.17, on CPUs that allow it)",
	  AT(arch_knobs.bbml3), ON_CONT },
	{ "cont", BOOL, "transparent contiguous blocks are in use (arm64: 6.9; riscv: no kernel)",
	  AT(arch_knobs.cont), ON_CONT },
	{ "defer_unmap_flush", BOOL, "reclaim waits for its flushes once per batch",
	  AT(mm.defer_unmap_flush), ON_ARM64 | ON_X86 | ON_RISCV },
	{ "exit_spread_stored", BOOL,
	  "zap_full_trick=v1 stores the accessed and dirty bits it spreads; false: as posted, a bug",
	  AT(arch_knobs.exit_spread_stored), ON_ARM64 },
	{ "fast_gup", "entry|cont", "what GUP fast takes at once: what one entry maps, or a contiguous block (no kernel)",
	  AT(mm.fast_gup_cont), ON_ALL },
	{ "flush_ceiling", NULL, "more pages than this are flushed as the whole address space",
	  AT(arch_knobs.flush_ceiling), ON_X86 | ON_RISCV },
	{ "fold_present", BOOL, "present entries fold, not only valid ones: PROT_NONE, too (contpte v1)",
	  AT(arch_knobs.fold_present), ON_ARM64 },
	{ "fold_scope", "folio|span", "what may make up a folded block: one folio, or adjacent ones too (no kernel)",
	  AT(arch_knobs.fold_span), ON_CONT },
	{ "fold_sites", KNOB_WORDS(ARCH_FOLD_SITES),
	  "who tries to fold: set_ptes() of a last entry; wrprotect, access flags, too; on any entry",
	  AT(arch_knobs.fold_sites), ON_CONT },
	{ "fork_full", BOOL, "fork has single entries copied without probe and attempt to fold (contpte v4)",
	  AT(arch_knobs.fork_full), ON_ARM64 },
	{ "fullmm_skip", BOOL, "exit flushes only once page tables are freed", AT(arch_knobs.fullmm_skip), ON_ARM64 },
	{ "gather", KNOB_WORDS(RF_GATHER),
	  "a slot per page, with room as contpte v3, v4 ask for it; two per run (6.9)",
	  AT(mm.gather), ON_ALL },
	{ "getter", KNOB_WORDS(ARCH_GETTERS),
	  "what ptep_get() reads of a folded block: one entry, all, until A and D are known",
	  AT(arch_knobs.getter), ON_CONT },
	{ "granule", "4k|16k|64k", "base page size, with the geometry that comes with it",
	  AT(geometry.page_shift), ON_ALL },
	{ "gup_recheck", "get|lockless", "the getter with which GUP fast looks again at a page it has pinned (lockless: 7.2)",
	  AT(mm.gup_recheck_lockless), ON_ALL },
	{ "hint", BOOL, "pte_batch_hint() lets batches step over folded blocks (6.9)", AT(arch_knobs.hint), ON_CONT },
	{ "invlpgb", BOOL, "flushes of processes that run on several CPUs are broadcast, without IPI (6.15, on AMD)",
	  AT(arch_knobs.invlpgb), ON_X86 },
	{ "invlpgb_count_max", NULL, "pages that one broadcast invalidates at most",
	  AT(arch_knobs.invlpgb_count_max), ON_X86 },
	{ "kpti", BOOL, "kernel page-table isolation: each TLB invalidation is issued twice",
	  AT(arch_knobs.kpti), ON_ARM64 | ON_X86 },
	{ "locked", "full|norecency",
	  "what reads under the lock that only compare or skip take of a folded block: as getter, or one",
	  AT(mm.locked_norecency), ON_ALL },
	{ "lockless", KNOB_WORDS(ARCH_LOCKLESS),
	  "what ptep_get_lockless() reads of a folded block; ptep_get is another word for unlocked_get",
	  AT(arch_knobs.lockless), ON_CONT },
	{ "lockless_tries", NULL,
	  "lockless=bounded: after so many that a writer spoiled, one entry has to do; 0: no limit",
	  AT(arch_knobs.lockless_tries), ON_CONT },
	{ "lpa2", BOOL, "FEAT_LPA2: range invalidations start at 64K boundaries", AT(arch_knobs.lpa2), ON_ARM64 },
	{ "madv_clear_young_dirty", BOOL, "MADV_COLD and MADV_FREE clear A/D in place (6.10)",
	  AT(mm.madv_clear_young_dirty), ON_ALL },
	{ "madvise_one_gather", BOOL, "madvise() flushes once per call, not once per VMA (6.16)",
	  AT(mm.madvise_one_gather), ON_ALL },
	{ "max_dvm_ops", NULL,
	  "without range TLBI, this many pages or more flush the address space; 0: a table's worth",
	  AT(arch_knobs.max_dvm_ops), ON_ARM64 },
	{ "needs_flush", "always|precise",
	  "does mprotect flush after changes that no TLB can have cached? (precise: 6.19)",
	  AT(arch_knobs.needs_flush_precise), ON_ARM64 },
	{ "pmd_split_set_ptes", BOOL, "splitting a huge page fills the table with one set_ptes() (6.9)",
	  AT(mm.pmd_split_set_ptes), ON_ALL },
	{ "protnone_cont", KNOB_WORDS(ARCH_PROTNONE_CONT),
	  "whole blocks of PROT_NONE are set: plain, with a stray bit (6.13-7.2), valid (-6.12)",
	  AT(arch_knobs.protnone_cont), ON_ARM64 },
	{ "pt_reclaim", BOOL, "MADV_DONTNEED frees the page tables it empties (x86: 6.14, all: 7.0)",
	  AT(mm.pt_reclaim), ON_ALL },
	{ "repeat_tlbi", KNOB_WORDS(ARCH_REPEAT_TLBI),
	  "repeat-TLBI erratum: repeat every TLBI, or (new, 6.12.107, 7.2) one per wait",
	  AT(arch_knobs.repeat_tlbi), ON_ARM64 },
	{ "reuse_flush", "broadcast|local", "which CPUs a write fault that reuses its page flushes (local: 6.19)",
	  AT(arch_knobs.reuse_flush_local), ON_ARM64 },
	{ "rmap_unlocked", "get|lockless",
	  "the getter of page_vma_mapped_walk() before it has the lock (lockless: 7.2)",
	  AT(mm.rmap_lockless), ON_ALL },
	{ "set_ptes_checks_old", BOOL, "set_ptes() of several looks at what it replaces (contpte v1-v4)",
	  AT(arch_knobs.set_ptes_checks_old), ON_ARM64 },
	{ "slow_gup", KNOB_WORDS(RF_SLOW_GUP),
	  "what a step of slow GUP takes: a page of hugetlb (-6.9), an entry's worth, a contiguous block (no kernel)",
	  AT(mm.slow_gup), ON_ALL },
	{ "svinval", BOOL, "the CPU has Svinval: a range is invalidated page by page between two fences",
	  AT(arch_knobs.svinval), ON_RISCV },
	{ "swap_readahead", NULL,
	  "entries that a swap-in from a disk looks at, its own included (at most 8 by default); 0: none, as with zram",
	  AT(mm.swap_readahead), ON_ALL },
	{ "tlbbatch", "page|range", "deferred flushes of a run: one TLBI per page, or a range (6.15)",
	  AT(arch_knobs.tlbbatch_range), ON_ARM64 },
	{ "tlbi", "single|range", "the CPU has range invalidation (FEAT_TLBIRANGE) or not",
	  AT(arch_knobs.tlbi_range), ON_ARM64 },
	{ "tlbi_limit_waits", "once|twice",
	  "waits where a range is too long and the address space is flushed (twice: 6.9-7.0)",
	  AT(arch_knobs.tlbi_limit_waits_twice), ON_ARM64 },
	{ "tlbi_range_limit", KNOB_WORDS(ARCH_TLBI_RANGE_LIMIT),
	  "2^21 pages are too many: above, at (6.9), or above and only with range TLBI (7.1)",
	  AT(arch_knobs.tlbi_range_limit), ON_ARM64 },
	{ "wrprotect_chunks", BOOL,
	  "write protection of a run goes block by block, parts may fold again (contpte v1-v4)",
	  AT(arch_knobs.wrprotect_chunks), ON_ARM64 },
	{ "wrprotect_reload", BOOL, "write protection of one entry reads it again after the probe (contpte v1-v3)",
	  AT(arch_knobs.wrprotect_reload), ON_ARM64 },
	{ "zap_full_trick", KNOB_WORDS(ARCH_ZAP_FULL_TRICK),
	  "exit clears folded entries one by one without unfolding: spreading A/D first, or not",
	  AT(arch_knobs.zap_full_trick), ON_ARM64 },
};

/* What differs between architectures and base page sizes: kernel-model.md 1. levels: of 48-bit user addresses. */
static const struct {
	const char *arch;
	unsigned int on;
	struct arch_geometry granules[3];	/* 4k, 16k, 64k; of none without a page_shift */
} arches[] = {
	{ "arm64", ON_ARM64, {
		{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 16 },
		{ .page_shift = 14, .table_shift = 11, .levels = 4, .cont_ptes = 128 },
		{ .page_shift = 16, .table_shift = 13, .levels = 3, .cont_ptes = 32 } } },
	{ "x86", ON_X86, {
		{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 1 } } },
	{ "riscv", ON_RISCV, {
		{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 16 } } },
	/* 32-bit, two levels; those above them are for what was recorded elsewhere. */
	{ "powerpc-8xx", ON_POWERPC, {
		{ .page_shift = 12, .table_shift = 10, .levels = 4, .cont_ptes = 1 },
		{ .page_shift = 14, .table_shift = 8, .levels = 5, .cont_ptes = 1 } } },
	{ "powerpc-hash", ON_POWERPC, {
		{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 1 } } },
};

static size_t arch_index(const struct rf_policy *policy)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(arches) - 1; i++)
		if (!strcmp(policy->arch->name, arches[i].arch))
			break;
	return i;
}

static unsigned int on_arch(const struct rf_policy *policy)
{
	return arches[arch_index(policy)].on;
}

static const struct knob *find_knob(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (!strcmp(knobs[i].name, name))
			return &knobs[i];
	return NULL;
}

/* The index-th of "a|b|c", or NULL; its length in *length. */
static const char *value_name(const char *values, unsigned int index, size_t *length)
{
	while (index--) {
		values = strchr(values, '|');
		if (!values++)
			return NULL;
	}
	*length = strcspn(values, "|");
	return values;
}

/* Other words for values: what the lists called them. */
static const char *const synonyms[][2] = {
	{ "ptep_get", "unlocked_get" },
};

static int find_value(const char *values, const char *text)
{
	static const char *const words[] = { "off", "on", "no", "yes", "0", "1" };
	const char *name;
	size_t length, i;
	unsigned int index;

	for (i = 0; i < ARRAY_SIZE(synonyms); i++)
		if (!strcmp(synonyms[i][0], text))
			text = synonyms[i][1];
	for (index = 0; (name = value_name(values, index, &length)); index++)
		if (strlen(text) == length && !memcmp(name, text, length))
			return index;
	for (i = 0; !strcmp(values, BOOL) && i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i], text))
			return i & 1;
	return -1;
}

static void store(struct rf_policy *policy, const struct knob *knob, u32 value)
{
	char *place = (char *)policy + knob->offset;

	if (knob->size == 1)
		*(u8 *)place = value;
	else
		memcpy(place, &value, sizeof(value));
}

static u32 load(const struct rf_policy *policy, const struct knob *knob)
{
	const char *place = (const char *)policy + knob->offset;
	u32 value;

	if (knob->size == 1)
		return *(const u8 *)place;
	memcpy(&value, place, sizeof(value));
	return value;
}

static int set_granule(struct rf_policy *policy, unsigned int index, struct rf_error *err)
{
	const struct arch_geometry *granules = arches[arch_index(policy)].granules;

	if (!granules[index].page_shift)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s has pages of %s only", policy->arch->name,
				    granules[1].page_shift ? "4k and 16k" : "4k");
	policy->geometry = granules[index];
	return 0;
}

static int no_such_knob(const struct rf_policy *policy, const char *name, struct rf_error *err)
{
	const struct knob *best = NULL;
	unsigned int nearest = ~0u, d;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		d = rf_distance(name, knobs[i].name);
		if (knobs[i].on & on_arch(policy) && d < nearest) {
			nearest = d;
			best = &knobs[i];
		}
	}
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
			    "no knob '%.40s'; the nearest is '%s' (%s), 'refold policies -k' lists all", name,
			    best->name, best->values ? best->values : "a number");
}

static int set_number(struct rf_policy *policy, const struct knob *knob, const char *text, struct rf_error *err)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || number > UINT32_MAX)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' is a number up to %u, not '%.40s'",
				    knob->name, UINT32_MAX, text);
	store(policy, knob, number);
	return 0;
}

int rf_policy_set(struct rf_policy *policy, const char *name, const char *text, struct rf_error *err)
{
	const struct knob *knob = find_knob(name);
	int value;

	if (!knob)
		return no_such_knob(policy, name, err);
	if (!(knob->on & on_arch(policy)))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' has no meaning on %s", name,
				    policy->arch->name);
	if (!knob->values)
		return set_number(policy, knob, text, err);
	value = find_value(knob->values, text);
	if (value < 0)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' is one of %s, not '%.40s'", name,
				    knob->values, text);
	if (knob->offset == offsetof(struct rf_policy, geometry.page_shift))
		return set_granule(policy, value, err);
	store(policy, knob, value);
	return 0;
}

bool rf_policy_knob(const struct rf_policy *policy, size_t index, const char **name, char *value, size_t size)
{
	const struct knob *knob;
	const char *text;
	size_t length;
	u32 number;

	for (knob = knobs; knob < knobs + ARRAY_SIZE(knobs); knob++)
		if (knob->on & on_arch(policy) && !index--)
			break;
	if (knob == knobs + ARRAY_SIZE(knobs))
		return false;
	*name = knob->name;
	number = load(policy, knob);
	if (knob->offset == offsetof(struct rf_policy, geometry.page_shift))
		number = (number - 12) / 2;
	text = knob->values ? value_name(knob->values, number, &length) : NULL;
	if (text)
		snprintf(value, size, "%.*s", (int)length, text);
	else
		snprintf(value, size, "%u", number);
	return true;
}

bool rf_policy_knob_help(const char *name, const char **values, const char **help)
{
	const struct knob *knob = find_knob(name);

	if (!knob)
		return false;
	*values = knob->values ? knob->values : "NUMBER";
	*help = knob->help;
	return true;
}
