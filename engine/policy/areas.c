// SPDX-License-Identifier: MIT
/*
 * The areas of the knobs, kernel-model.md 9.1: what `refold policies -k` lists them under. They are not in the knobs'
 * rows, as several backends have a row for the same knob.
 */
#include <string.h>

#include "base/types.h"
#include "engine/policy/policy.h"

/* In the order in which they are listed; the knobs are words. */
static const struct {
	const char *name;
	const char *knobs;
} areas[] = {
	{ "blocks",
	  "cont granule cont_pages fold_sites fold_scope refold khuge_cont unfold unfold_flush unfold_free_split fold_present "
	  "protnone_cont bbml3 coalesce" },
	{ "readers",
	  "getter lockless lockless_tries locked gup_recheck rmap_unlocked slow_gup fast_gup swap_readahead" },
	{ "batches of core mm",
	  "batch_fork batch_zap batch_mprotect batch_mremap batch_uffd_move batch_young batch_lazyfree "
	  "batch_file_unmap batch_anon_unmap batch_migrate batch_mkclean batch_rule batch_swap batch_collapse "
	  "hint pmd_split_set_ptes madv_clear_young_dirty faultaround_set" },
	{ "helpers of the backend",
	  "batch_helpers access_compare access_flush set_ptes_checks_old wrprotect_chunks wrprotect_reload "
	  "fork_full zap_full_trick exit_spread_stored" },
	{ "gather",
	  "gather fullmm_skip madv_cold_pmd madvise_one_gather pt_reclaim" },
	{ "flushes",
	  "tlbi tlbi_range_limit tlbi_limit_waits max_dvm_ops asid_threshold gather_sets lpa2 kpti repeat_tlbi "
	  "reuse_flush needs_flush defer_unmap_flush tlbbatch batched_pending" },
	{ "what older kernels did otherwise",
	  "move_pud mremap_realign mprotect_flush write_upgrade pmd_split_dirty pageout_young migrate_defer "
	  "prefault_old unmap_flush" },
	{ "hugetlb, errata of arm64",
	  "hugetlb_break hugetlb_flush unshare_flush exec_prot_flush" },
	{ "folios that were not recorded",
	  "anon_folios thp alloc_fail alloc_seed fragmentation khugepaged max_ptes_none swapin_large huge_zero_wp "
	  "reuse_large reuse_around" },
	{ "other architectures",
	  "flush_ceiling invlpgb invlpgb_count_max invlpgb_min_cpus gather_flush svinval svvptc rfence" },
};

const char *rf_policy_area(size_t index)
{
	return index < ARRAY_SIZE(areas) ? areas[index].name : NULL;
}

const char *rf_policy_area_knobs(size_t index)
{
	return index < ARRAY_SIZE(areas) ? areas[index].knobs : NULL;
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (; *words; words += strcspn(words, " "), words += strspn(words, " "))
		if (strcspn(words, " ") == length && !memcmp(words, word, length))
			return true;
	return false;
}

const char *rf_policy_knob_area(const char *knob)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(areas); i++)
		if (has_word(areas[i].knobs, knob))
			return areas[i].name;
	return NULL;
}
