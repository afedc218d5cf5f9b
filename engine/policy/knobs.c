// SPDX-License-Identifier: MIT
/*
 * The knobs that policies are made of. A knob is a place in struct rf_policy and the names of its values: those of core
 * mm are in the table here, those of an architecture in its folder.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "base/text.h"
#include "engine/policy/policy.h"

#define AT(field) KNOB_AT(struct rf_policy, field)

/* The knob granule: "4k" is value 0, and each next one four times as large. */
#define GRANULES "4k|16k|64k"

static unsigned int page_shift_of(unsigned int granule)
{
	return 12 + 2 * granule;
}

static unsigned int granule_of(unsigned int page_shift)
{
	return (page_shift - 12) / 2;
}

/* Knobs of core mm, which mean something on every architecture. */
static const struct knob core_knobs[] = {
	{ "batch_anon_unmap", KNOB_BOOL, "reclaim unmaps runs of anonymous pages at once", AT(mm.batch_anon_unmap),
	  KNOB_NO_KERNEL },
	{ "batch_collapse", KNOB_BOOL, "khugepaged clears runs of one folio at once (6.17)", AT(mm.batch_collapse),
	  KNOB_SINCE(6, 17) },
	{ "batch_file_unmap", KNOB_BOOL, "reclaim unmaps runs of file pages at once (7.0)",
	  AT(mm.batch_file_unmap), KNOB_SINCE(7, 0) },
	{ "batch_fork", KNOB_BOOL, "fork copies runs of one folio at once (6.9)", AT(mm.batch_fork),
	  KNOB_SINCE(6, 9) },
	{ "batch_lazyfree", KNOB_BOOL, "reclaim drops runs of lazily freed pages at once (6.15)",
	  AT(mm.batch_lazyfree), KNOB_SINCE(6, 15) },
	{ "batch_migrate", KNOB_BOOL, "migration replaces runs at once", AT(mm.batch_migrate), KNOB_NO_KERNEL },
	{ "batch_mkclean", KNOB_BOOL, "writeback cleans runs at once", AT(mm.batch_mkclean), KNOB_NO_KERNEL },
	{ "batch_mprotect", KNOB_BOOL, "mprotect changes runs at once (6.17)", AT(mm.batch_mprotect),
	  KNOB_SINCE(6, 17) },
	{ "batch_mremap", KNOB_BOOL, "mremap moves folded runs at once (6.17)", AT(mm.batch_mremap),
	  KNOB_SINCE(6, 17) },
	{ "batch_rule", KNOB_WORDS(RF_BATCH_RULE),
	  "what batches of fork and zap are: folio_pte_batch()'s (6.9), contpte v2's, v3's, v4's (hint)",
	  AT(mm.batch_rule) },
	{ "batch_swap", KNOB_BOOL, "munmap, exit and MADV_FREE take runs of swap entries at once (6.10)",
	  AT(mm.batch_swap), KNOB_SINCE(6, 10) },
	{ "batch_uffd_move", KNOB_BOOL, "UFFDIO_MOVE flushes small pages of a table at once (6.18)",
	  AT(mm.batch_uffd_move), KNOB_SINCE(6, 18) },
	{ "batch_young", KNOB_BOOL, "reclaim looks at the age of runs at once (7.0)", ARCH_KNOB(batch_young),
	  KNOB_SINCE(7, 0) },
	{ "batch_zap", KNOB_BOOL, "munmap and exit clear runs of one folio at once (6.9)", AT(mm.batch_zap),
	  KNOB_SINCE(6, 9) },
	{ "fast_gup", KNOB_EITHER("entry", "cont"),
	  "what GUP fast takes at once: what one entry maps, or a contiguous block (no kernel)",
	  AT(mm.fast_gup_cont), KNOB_NO_KERNEL },
	{ "faultaround_set", KNOB_EITHER("entry", "run"),
	  "fault-around sets entries one by one, or a run of one folio at once (run: 6.6)",
	  AT(mm.fault_around_runs), KNOB_SINCE(6, 6) },
	{ "gather", KNOB_WORDS(RF_GATHER),
	  "a slot per page, with room as contpte v3, v4 ask for it; two per run (6.9)",
	  AT(mm.gather) },
	{ "granule", GRANULES, "base page size, with the geometry that comes with it",
	  AT(geometry.page_shift) },
	{ "gup_recheck", KNOB_EITHER("get", "lockless"),
	  "the getter with which GUP fast looks again at a page it has pinned (lockless: 7.2)",
	  AT(mm.gup_recheck_lockless), KNOB_SINCE(7, 2) },
	{ "locked", KNOB_EITHER("full", "norecency"),
	  "what reads under the lock that only compare or skip take of a folded block: as getter, or one",
	  AT(mm.locked_norecency) },
	{ "madv_clear_young_dirty", KNOB_BOOL, "MADV_COLD and MADV_FREE clear A/D in place (6.10)",
	  AT(mm.madv_clear_young_dirty), KNOB_SINCE(6, 10) },
	{ "madv_cold_pmd", KNOB_EITHER("invalidate", "young"),
	  "MADV_COLD of a huge page: pmdp_invalidate() and its flush, or the accessed bit alone (7.3, 6.12.117)",
	  AT(mm.madv_cold_pmd_young), KNOB_SINCE(7, 3) },
	{ "madvise_one_gather", KNOB_BOOL, "madvise() flushes once per call, not once per VMA (6.16)",
	  AT(mm.madvise_one_gather), KNOB_SINCE(6, 16) },
	{ "migrate_defer", KNOB_BOOL, "migration waits for its flushes once per batch, where reclaim does (6.3)",
	  AT(mm.migrate_defer), KNOB_SINCE(6, 3), KNOB_NEEDS("defer_unmap_flush=true") },
	{ "move_pud", KNOB_BOOL, "mremap moves 1 GiB by the entry of its directory, with one flush (5.11)",
	  AT(mm.move_pud), KNOB_SINCE(5, 11) },
	{ "mprotect_flush", KNOB_EITHER("range", "gather"),
	  "mprotect flushes the whole range of each VMA that it changed, or what it changed, once (gather: 5.19)",
	  AT(mm.mprotect_gather), KNOB_SINCE(5, 19) },
	{ "mremap_realign", KNOB_BOOL, "mremap starts at the table boundary below where nothing is in the way (6.7)",
	  AT(mm.mremap_realign), KNOB_SINCE(6, 7) },
	{ "pmd_split_set_ptes", KNOB_BOOL, "splitting a huge page fills the table with one set_ptes() (6.9)",
	  AT(mm.pmd_split_set_ptes), KNOB_SINCE(6, 9) },
	{ "prefault_old", KNOB_BOOL,
	  "what fault-around maps unasked is old where the hardware sets the accessed bit (5.12)",
	  AT(mm.prefault_old), KNOB_SINCE(5, 12) },
	{ "pt_reclaim", KNOB_BOOL, "MADV_DONTNEED frees the page tables it empties (x86: 6.14, all: 7.0)",
	  AT(mm.pt_reclaim) },
	{ "rmap_unlocked", KNOB_EITHER("get", "lockless"),
	  "the getter of page_vma_mapped_walk() before it has the lock (lockless: 7.2)",
	  AT(mm.rmap_lockless), KNOB_SINCE(7, 2) },
	{ "slow_gup", KNOB_WORDS(RF_SLOW_GUP),
	  "what a step of slow GUP takes: a page of hugetlb (-6.9), an entry's worth, a contiguous block (no kernel)",
	  AT(mm.slow_gup) },
	{ "swap_readahead", NULL,
	  "entries that a swap-in from a disk looks at, its own included (at most 8 by default); 0: none, as with zram",
	  AT(mm.swap_readahead) },
	{ "unmap_flush", KNOB_EITHER("last", "walk"),
	  "an unmapping of reclaim that cannot wait flushes the entry alone, or cached walks too (walk: 6.15)",
	  AT(mm.unmap_flush_walk), KNOB_SINCE(6, 15) },
	{ "write_upgrade", KNOB_WORDS(RF_WRITE_UPGRADE),
	  "which own anonymous pages mprotect makes writable at once: none, dirty ones (6.0), all (6.2)",
	  AT(mm.write_upgrade), KNOB_SINCE(6, 0) },
	{ 0 },
};

/* ---- finding ---- */

#define MAX_TABLES 4

/* Through several tables at once, in alphabetical order. */
struct walk {
	const struct knob *next[MAX_TABLES];
};

static struct walk begin_walk(const struct arch_ops *arch)
{
	struct walk walk = { .next = { core_knobs } };
	size_t i;

	for (i = 0; arch->knobs[i]; i++) {
		assert(i + 1 < MAX_TABLES);
		walk.next[i + 1] = arch->knobs[i];
	}
	return walk;
}

static const struct knob *next_of(struct walk *walk)
{
	const struct knob **first = NULL;
	size_t i;

	for (i = 0; i < MAX_TABLES; i++)
		if (walk->next[i] && walk->next[i]->name && (!first || strcmp(walk->next[i]->name, (*first)->name) < 0))
			first = &walk->next[i];
	return first ? (*first)++ : NULL;
}

static const struct knob *find_in(const struct knob *table, const char *name)
{
	while (table->name && strcmp(table->name, name))
		table++;
	return table->name ? table : NULL;
}

static const struct knob *find_knob(const struct arch_ops *arch, const char *name)
{
	const struct knob *knob = find_in(core_knobs, name);
	size_t i;

	for (i = 0; !knob && arch->knobs[i]; i++)
		knob = find_in(arch->knobs[i], name);
	return knob;
}

/* Of whatever architecture. */
static const struct knob *find_anywhere(const char *name)
{
	const struct arch_ops *const *arch;
	const struct knob *knob = NULL;

	for (arch = arch_list; *arch && !knob; arch++)
		knob = find_knob(*arch, name);
	return knob;
}

/* ---- values ---- */

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
	for (i = 0; !strcmp(values, KNOB_BOOL) && i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i], text))
			return i & 1;
	return -1;
}

static size_t place_of(const struct knob *knob)
{
	return knob->offset + (knob->backend ? offsetof(struct rf_policy, arch_knobs) : 0);
}

static void store(struct rf_policy *policy, const struct knob *knob, u32 value)
{
	char *place = (char *)policy + place_of(knob);

	if (knob->size == 1)
		*(u8 *)place = value;
	else
		memcpy(place, &value, sizeof(value));
}

static u32 load(const struct rf_policy *policy, const struct knob *knob)
{
	const char *place = (const char *)policy + place_of(knob);
	u32 value;

	if (knob->size == 1)
		return *(const u8 *)place;
	memcpy(&value, place, sizeof(value));
	return value;
}

/* A granule is stored as the geometry that the architecture has for it. */
static bool is_granule(const struct knob *knob)
{
	return !knob->backend && knob->offset == offsetof(struct rf_policy, geometry.page_shift);
}

static int set_granule(struct rf_policy *policy, const struct knob *knob, unsigned int index, struct rf_error *err)
{
	const struct arch_geometry *geometry;
	const char *name;
	char list[32];
	size_t used = 0, length = 0;

	for (geometry = policy->arch->geometries; geometry->page_shift; geometry++) {
		if (geometry->page_shift == page_shift_of(index)) {
			policy->geometry = *geometry;
			return 0;
		}
		name = value_name(knob->values, granule_of(geometry->page_shift), &length);
		used += snprintf(list + used, sizeof(list) - used, "%s%.*s", used ? " and " : "", (int)length, name);
	}
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s%s has pages of %s only", policy->arch->name,
			    policy->arch->loaded ? "'s backend, as loaded," : "", list);
}

static int no_such_knob(const struct rf_policy *policy, const char *name, struct rf_error *err)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob, *best = NULL;
	unsigned int nearest = ~0u, d;

	while ((knob = next_of(&walk))) {
		d = rf_distance(name, knob->name);
		if (d < nearest) {
			nearest = d;
			best = knob;
		}
	}
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
			    "no knob '%.40s'; the nearest is '%s' (%s), 'refold policies -k' lists all", name,
			    best->name, best->values ? best->values : "a number");
}

/* Knobs of our own hooks mean nothing where others are loaded. */
static const char *refusal(const struct rf_policy *policy, const struct knob *knob, u32 value)
{
	return policy->arch->loaded ? arch_loaded_refuses(policy->arch->loaded, knob, value) : NULL;
}

static int set_value(struct rf_policy *policy, const struct knob *knob, u32 value, struct rf_error *err)
{
	const char *reason = refusal(policy, knob, value);

	if (reason)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' has no meaning on a loaded backend: %s",
				    knob->name, reason);
	store(policy, knob, value);
	return 0;
}

static int set_number(struct rf_policy *policy, const struct knob *knob, const char *text, struct rf_error *err)
{
	u64 number;

	if (!rf_parse_number(text, 0, UINT32_MAX, &number))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' is a number up to %u, not '%.40s'",
				    knob->name, UINT32_MAX, text);
	return set_value(policy, knob, number, err);
}

int rf_policy_set(struct rf_policy *policy, const char *name, const char *text, struct rf_error *err)
{
	const struct knob *knob = find_knob(policy->arch, name);
	int value;

	if (!knob && find_anywhere(name))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' has no meaning on %s", name,
				    policy->arch->name);
	if (!knob)
		return no_such_knob(policy, name, err);
	if (!knob->values)
		return set_number(policy, knob, text, err);
	value = find_value(knob->values, text);
	if (value < 0)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' is one of %s, not '%.40s'", name,
				    knob->values, text);
	if (is_granule(knob))
		return set_granule(policy, knob, value, err);
	return set_value(policy, knob, value, err);
}

/* Of a loaded backend, only knobs that mean something. */
static const struct knob *next_meant(struct walk *walk, const struct rf_policy *policy)
{
	const struct knob *knob;

	do
		knob = next_of(walk);
	while (knob && !is_granule(knob) && refusal(policy, knob, load(policy, knob)));
	return knob;
}

static void tell_value(const struct rf_policy *policy, const struct knob *knob, char *value, size_t size)
{
	u32 number = load(policy, knob);
	const char *text;
	size_t length;

	if (is_granule(knob))
		number = granule_of(number);
	text = knob->values ? value_name(knob->values, number, &length) : NULL;
	if (text)
		snprintf(value, size, "%.*s", (int)length, text);
	else
		snprintf(value, size, "%u", number);
}

bool rf_policy_knob(const struct rf_policy *policy, size_t index, const char **name, char *value, size_t size)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;

	while ((knob = next_meant(&walk, policy)) && index--)
		;
	if (!knob)
		return false;
	*name = knob->name;
	tell_value(policy, knob, value, size);
	return true;
}

bool rf_policy_value(const struct rf_policy *policy, const char *name, char *value, size_t size)
{
	const struct knob *knob = find_knob(policy->arch, name);

	if (knob)
		tell_value(policy, knob, value, size);
	return knob;
}

const char *rf_policy_knob_needs(const char *name)
{
	const struct knob *knob = find_anywhere(name);

	return knob ? knob->needs : NULL;
}

bool rf_policy_refused(const struct rf_policy *policy, size_t index, const char **name)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;

	while ((knob = next_of(&walk)))
		if (!is_granule(knob) && refusal(policy, knob, load(policy, knob)) && !index--)
			break;
	if (!knob)
		return false;
	*name = knob->name;
	return true;
}

/* ---- what no such kernel had ---- */

/* "6.12.117", "6.8 with contpte v1": 612, 608. */
static unsigned int release_number(const char *release)
{
	unsigned int major = 0, minor = 0;

	sscanf(release, "%u.%u", &major, &minor);
	return KNOB_RELEASE(major, minor);
}

bool rf_policy_what_if(const struct rf_policy *policy, const struct rf_policy *base, const char *release, size_t index,
		       const char **name, char *since, size_t size)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;
	u32 value;

	while ((knob = next_of(&walk))) {
		value = load(policy, knob);
		if (!value || value == load(base, knob) || knob->since <= release_number(release) || index--)
			continue;
		*name = knob->name;
		*since = '\0';
		if (knob->since != UINT16_MAX)
			snprintf(since, size, "%u.%u", knob->since / 100u, knob->since % 100u);
		return true;
	}
	return false;
}

const char *rf_policy_next_knob(const char *after)
{
	const struct arch_ops *const *arch;
	const struct knob *knob;
	const char *first = NULL;
	struct walk walk;

	for (arch = arch_list; *arch; arch++) {
		walk = begin_walk(*arch);
		while ((knob = next_of(&walk)) && after && strcmp(knob->name, after) <= 0)
			;
		if (knob && (!first || strcmp(knob->name, first) < 0))
			first = knob->name;
	}
	return first;
}

bool rf_policy_knob_help(const char *name, const char **values, const char **help)
{
	const struct knob *knob = find_anywhere(name);

	if (!knob)
		return false;
	*values = knob->values ? knob->values : "NUMBER";
	*help = knob->help;
	return true;
}
