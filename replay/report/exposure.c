// SPDX-License-Identifier: MIT
/* How often a knob was looked at, and how often it could have mattered: exposure.h. */
#include <fnmatch.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/policy/policy.h"
#include "replay/report/exposure.h"
#include "replay/report/report.h"
#include "replay/report/table.h"

/*
 * Where counts of a knob are, in a policy of the report: paths, of which the sum is taken; "" is 0. A part may be a
 * pattern. Of a helper's batches: its calls, or with ">1" at the end those for several entries.
 */
struct rule {
	const char *knobs;	/* words */
	const char *what;	/* what was counted at "reached" */
	const char *reached;
	const char *matters;	/* NULL: the same */
	const char *of_which;	/* what "matters" has of them */
	const char *none;	/* what they are if it has nothing */
};

#define RUNS(knob, what) \
	{ #knob, what, "runs." #knob ".looked", "runs." #knob ".compared", "in large folios", "all runs of 1" }
/* Whatever comes there could matter. */
#define EACH(knobs, what, reached) { knobs, what, reached, NULL, NULL, NULL }
#define OPS(row) "operations." row ".operations"
#define FAULTS "totals.faults operations.populate.operations operations.exec.operations"
#define BLOCK_READS "readers.*.blocks batches.ptep_set_access_flags"
#define SETTERS "batches.set_ptes batches.modify_prot_commit_ptes batches.wrprotect_ptes batches.ptep_set_access_flags"
#define RECLAIM OPS("unmap_*") " " OPS("migrate") " " OPS("reclaim_flush")

static const struct rule rules[] = {
	RUNS(batch_anon_unmap, "unmaps of anonymous pages by reclaim"),
	RUNS(batch_collapse, "entries cleared by collapses"),
	RUNS(batch_file_unmap, "unmaps of file pages by reclaim"),
	RUNS(batch_fork, "copies of entries by fork"),
	RUNS(batch_lazyfree, "unmaps of lazily freed pages"),
	RUNS(batch_migrate, "unmaps by migration"),
	RUNS(batch_mkclean, "cleanings for writeback"),
	RUNS(batch_mprotect, "changes of entries by mprotect()"),
	RUNS(batch_mremap, "moves of entries"),
	RUNS(batch_zap, "unmaps of entries"),
	RUNS(faultaround_set, "runs that faults on files map"),
	RUNS(reuse_around, "write faults that keep their page"),
	RUNS(batch_swap, "unmaps of swap entries"),
	EACH("batch_uffd_move", "moves by userfaultfd", OPS("uffd_move")),
	EACH("batch_young", "looks at ages", "batches.test_and_clear_young_ptes batches.clear_flush_young_ptes"),
	{ "batch_rule", "runs", "runs.*.looked", "runs.*.compared", "in large folios", "all runs of 1" },
	{ "batch_helpers", "calls of helpers", "batches.*", "batches.*>1", "for several entries", "all of one entry" },
	EACH("cont cont_pages", "calls of helpers", "batches.* readers.*.calls"),
	EACH("fold_sites fold_scope fold_present protnone_cont", "writes of entries", SETTERS),
	EACH("coalesce", "milliseconds of pages that entries map", "totals.valid_page_ms"),
	EACH("refold", "faults", FAULTS),
	EACH("khuge_cont", "looks at blocks", "readers.khugepaged_scan.calls"),
	EACH("unfold unfold_flush bbml3", "conversions of blocks", "totals.fold totals.unfold"),
	EACH("unfold_free_split", "blocks unfolded", "totals.unfold"),
	{ "getter lockless locked", "reads", "readers.*.calls", BLOCK_READS, "of blocks", "none of a block" },
	{ "lockless_tries", "lockless reads", "totals.ptep_get_lockless", "", "", "none raced with a writer here" },
	{ "hint", "reads", "readers.*.calls", "readers.*.blocks", "of blocks", "none of a block" },
	EACH("gup_recheck", "looks again by GUP fast", "readers.gup_fast_recheck.calls"),
	EACH("rmap_unlocked", "walks by reclaim, migration and writeback", "readers.rmap_unlocked.calls"),
	EACH("slow_gup", "steps of slow GUP", "readers.gup_slow.calls readers.gup_hugetlb.calls totals.gup_lookups"),
	EACH("fast_gup", "steps of GUP fast", "readers.gup_fast.calls totals.gup_lookups"),
	EACH("swap_readahead swapin_large", "swap-ins", OPS("fault_swap") " " OPS("populate") " " OPS("exec")),
	EACH("pmd_split_set_ptes pmd_split_dirty", "splits of huge mappings", "totals.pmd_splits"),
	EACH("madv_clear_young_dirty", "MADV_FREE, MADV_COLD and MADV_PAGEOUT", OPS("madv_*")),
	EACH("madv_cold_pmd", "MADV_COLD and MADV_PAGEOUT", OPS("madv_cold") " " OPS("madv_pageout")),
	EACH("pageout_young", "MADV_PAGEOUT", OPS("madv_pageout")),
	EACH("madvise_one_gather", "unmaps and advice", OPS("zap_*") " " OPS("madv_*")),
	EACH("pt_reclaim", "unmaps", OPS("zap_*")),
	EACH("fullmm_skip zap_full_trick exit_spread_stored", "exits and execs", OPS("zap_exit") " " OPS("zap_exec")),
	EACH("access_compare access_flush", "changes of access flags", "batches.ptep_set_access_flags"),
	EACH("reuse_flush", "faults on what is mapped",
	  "batches.ptep_set_access_flags " OPS("reuse") " " OPS("fault_none") " " OPS("gup_*") " " OPS("populate")),
	{ "set_ptes_checks_old", "writes of entries", "batches.set_ptes batches.modify_prot_commit_ptes",
	  "batches.set_ptes>1 batches.modify_prot_commit_ptes>1", "of several", "all of one" },
	EACH("wrprotect_reload", "write protections", "batches.wrprotect_ptes"),
	{ "wrprotect_chunks", "write protections", "batches.wrprotect_ptes", "batches.wrprotect_ptes>1",
	  "of several entries", "all of one entry" },
	EACH("fork_full", "forks", OPS("fork")),
	EACH("exec_prot_flush", "changes of protection", "batches.modify_prot_start_ptes"),
	EACH("needs_flush", "changes of protection",
	  "batches.modify_prot_commit_ptes " OPS("mprotect") " " OPS("exec") " " OPS("uffd_wp")),
	EACH("mprotect_flush write_upgrade", "mprotect()", OPS("mprotect") " " OPS("exec") " " OPS("uffd_wp")),
	EACH("move_pud mremap_realign", "mremap()", OPS("mremap") " " OPS("exec")),
	EACH("migrate_defer", "migrations", OPS("migrate")),
	EACH("defer_unmap_flush tlbbatch batched_pending unmap_flush", "unmaps by reclaim and migration", RECLAIM),
	EACH("asid_threshold flush_ceiling gather_flush gather_sets invlpgb invlpgb_count_max invlpgb_min_cpus kpti "
	  "max_dvm_ops rfence svinval tlbi tlbi_limit_waits tlbi_range_limit", "flush calls",
	  "totals.flush_calls totals.dsb totals.tlbi"),
	{ "lpa2", "flush calls", "totals.flush_calls", "totals.tlbi_range", "TLBIs by range", "no TLBI by range" },
	EACH("repeat_tlbi", "TLBIs and waits", "totals.tlbi totals.dsb " RECLAIM),
	EACH("anon_folios thp alloc_fail alloc_seed fragmentation khugepaged max_ptes_none", "faults", FAULTS),
	EACH("gather", "unmaps", OPS("zap_*") " " OPS("exec")),
	EACH("prefault_old", "faults on files",
	     OPS("fault_file") " " OPS("populate") " " OPS("exec") " " OPS("gup_*")),
	EACH("huge_zero_wp", "faults on zeroes", OPS("fault_zero") " " OPS("cow") " " OPS("populate") " " OPS("exec")),
	EACH("reuse_large", "write faults", OPS("reuse") " " OPS("cow") " " OPS("populate") " " OPS("fault_*")),
};

/* ---- sums ---- */

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (; *words; words += strcspn(words, " "), words += strspn(words, " "))
		if (strcspn(words, " ") == length && !memcmp(words, word, length))
			return true;
	return false;
}

static const struct rule *rule_of(const char *knob)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (has_word(rules[i].knobs, knob))
			return &rules[i];
	return NULL;
}

/* A number, or of the batches of a helper, [[size, calls], ...], the calls. */
static s64 value_of(const json_t *value, bool several)
{
	const json_t *batch;
	s64 sum = 0;
	size_t i;

	if (json_is_integer(value))
		return json_integer_value(value);
	json_array_foreach(value, i, batch)
		if (!several || json_integer_value(json_array_get(batch, 0)) > 1)
			sum += json_integer_value(json_array_get(batch, 1));
	return sum;
}

/* "part.part", "part>1": of all members that the first part is a pattern for. */
static s64 sum_at(json_t *object, const char *path)
{
	size_t length = strcspn(path, ".>");
	const char *rest = path + length, *key;
	char part[64];
	json_t *member;
	s64 sum = 0;

	snprintf(part, sizeof(part), "%.*s", (int)length, path);
	json_object_foreach(object, key, member)
		if (!fnmatch(part, key, 0))
			sum += *rest == '.' ? sum_at(member, rest + 1) : value_of(member, *rest == '>');
	return sum;
}

static s64 sum_of(json_t *policy, const char *paths)
{
	char copy[300], *rest = copy, *path;
	s64 sum = 0;

	snprintf(copy, sizeof(copy), "%s", paths);
	while (*copy && (path = strsep(&rest, " ")))
		sum += sum_at(policy, path);
	return sum;
}

/* Of two columns the one that shows more: where a knob is off, nobody may have counted. */
static s64 most_of(const json_t *a, const json_t *b, const char *paths)
{
	s64 in_a = sum_of((json_t *)a, paths), in_b = sum_of((json_t *)b, paths);

	return in_a > in_b ? in_a : in_b;
}

/* ---- one knob ---- */

/* "cont=true": does the policy lack what the knob needs? Of several values any but the first do; a number but 0. */
static bool lacks_need(const char *needs, const json_t *policy)
{
	const char *equals = needs ? strchr(needs, '=') : NULL, *values, *help;
	const json_t *value;
	char knob[40];

	if (!equals)
		return false;
	snprintf(knob, sizeof(knob), "%.*s", (int)(equals - needs), needs);
	value = json_object_get(json_object_get(policy, "knobs"), knob);
	if (json_is_integer(value))
		return !json_integer_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) != !strcmp(equals + 1, "true");
	if (!json_is_string(value))
		return false;
	if (!rf_policy_knob_is_set(knob))
		return strcmp(json_string_value(value), equals + 1);
	return rf_policy_knob_help(knob, &values, &help) &&
	       !strncmp(values, json_string_value(value), strlen(json_string_value(value)));
}

#define CANNOT ": cannot matter on this trace"

static void add_one(const char *knob, json_t *change, const json_t *a, const json_t *b)
{
	const char *needs = rf_policy_knob_needs(knob);
	const struct rule *rule = rule_of(knob);
	char text[300], reached_digits[RF_DIGITS_MAX], digits[RF_DIGITS_MAX];
	s64 reached, matters;

	if (!rule) {
		json_object_set_new(change, "reached", json_null());
		return;
	}
	reached = most_of(a, b, rule->reached);
	matters = rule->matters ? most_of(a, b, rule->matters) : reached;
	rf_digits(reached, reached_digits);
	if (lacks_need(needs, a) && lacks_need(needs, b)) {
		matters = 0;
		snprintf(text, sizeof(text), "does nothing without %s" CANNOT, needs);
	} else if (!reached && !matters) {
		snprintf(text, sizeof(text), "no %s" CANNOT, rule->what);
	} else if (!rule->matters) {
		snprintf(text, sizeof(text), "%s %s", reached_digits, rule->what);
	} else if (!matters) {
		snprintf(text, sizeof(text), "%s %s, %s" CANNOT, reached_digits, rule->what, rule->none);
	} else {
		snprintf(text, sizeof(text), "%s %s, %s %s", reached_digits, rule->what, rf_digits(matters, digits),
			 rule->of_which);
	}
	json_object_set_new(change, "reached", json_integer(reached));
	json_object_set_new(change, "could_matter", json_integer(matters));
	json_object_set_new(change, "exposure", json_string(text));
}

void rf_exposure_add(json_t *knobs, const json_t *a, const json_t *b)
{
	const char *knob;
	json_t *change;

	json_object_foreach(knobs, knob, change)
		add_one(knob, change, a, b);
}

bool rf_exposure_none(const json_t *knobs)
{
	const char *knob;
	json_t *change;

	json_object_foreach((json_t *)knobs, knob, change)
		if (!json_is_integer(json_object_get(change, "could_matter")) || rf_json_number(change, "could_matter"))
			return false;
	return json_object_size(knobs);
}

bool rf_counts_alike(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "totals"), json_object_get(b, "totals")) &&
	       json_equal(json_object_get(a, "operations"), json_object_get(b, "operations"));
}

/* ---- all columns ---- */

static const json_t *counterpart(const json_t *policies, size_t index)
{
	const json_t *policy = json_array_get(policies, index), *other, *first = NULL;
	size_t i;

	for (i = 0; i < index; i++) {
		other = json_array_get(policies, i);
		if (!json_equal(json_object_get(other, "arch"), json_object_get(policy, "arch")) ||
		    json_object_get(other, "backend") || json_object_get(policy, "backend"))
			continue;
		if (json_equal(json_object_get(other, "base"), json_object_get(policy, "base")))
			return other;
		if (!first)
			first = other;
	}
	return first;
}

json_t *rf_exposure_array(const json_t *policies)
{
	json_t *list = json_array(), *knobs;
	const json_t *policy, *other;
	size_t i;

	json_array_foreach(policies, i, policy) {
		other = counterpart(policies, i);
		if (!other)
			continue;
		knobs = rf_diff_knobs(other, policy);
		rf_exposure_add(knobs, other, policy);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "policy", rf_json_string(policy, "name"),
						      "against", rf_json_string(other, "name"), "counts_alike",
						      rf_counts_alike(other, policy), "knobs", knobs));
	}
	return list;
}

/* ---- for people ---- */

/* Of a report the names are strings, of a diff in objects. */
static const char *name_in(const json_t *pair, const char *key, const char *side)
{
	const json_t *name = json_object_get(pair, key);

	return json_is_string(name) ? json_string_value(name) : rf_json_string(json_object_get(pair, side), "policy");
}

static void write_pair(const json_t *pair, bool none, FILE *out)
{
	const char *knob, *exposure;
	struct rf_paragraph paragraph;
	json_t *change;
	char text[400];

	snprintf(text, sizeof(text), "%.120s against %.120s: %s", name_in(pair, "policy", "b"),
		 name_in(pair, "against", "a"),
		 none ? "nothing in which they differ can matter on this trace." : "how often what differs was reached:");
	rf_paragraph_begin(&paragraph, out, "", 0);
	paragraph.indent = 4;
	rf_paragraph_words(&paragraph, text);
	rf_paragraph_end(&paragraph);
	json_object_foreach(json_object_get(pair, "knobs"), knob, change) {
		exposure = json_string_value(json_object_get(change, "exposure"));
		rf_paragraph_begin(&paragraph, out, "    ", 4);
		paragraph.indent = 8;
		snprintf(text, sizeof(text), "%.40s: %.300s", knob, exposure ? exposure : "not counted");
		rf_paragraph_words(&paragraph, text);
		rf_paragraph_end(&paragraph);
	}
}

void rf_exposure_write_pair(const json_t *pair, bool all, FILE *out)
{
	const json_t *knobs = json_object_get(pair, "knobs");
	bool none = rf_exposure_none(knobs);

	if (none || (all && json_object_size(knobs)))
		write_pair(pair, none, out);
}

void rf_exposure_write(const json_t *exposure, bool all, FILE *out)
{
	const json_t *pair;
	size_t i;

	json_array_foreach(exposure, i, pair)
		rf_exposure_write_pair(pair, all, out);
}
