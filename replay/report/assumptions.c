// SPDX-License-Identifier: MIT
/*
 * What a column of the report stands on: the page tables of its policy, and what the recording does not say for such a
 * machine.
 */
#include <string.h>

#include "replay/report/json.h"

json_t *geometry_object(const struct rf_policy *policy)
{
	const struct arch_geometry *geometry = &policy->geometry;
	u64 page = 1ull << geometry->page_shift, blocks = policy->arch_knobs.cont ? geometry->cont_ptes : 1;
	json_t *object = json_object();

	rf_json_set_count(object, "page_size_bytes", page);
	rf_json_set_count(object, "table_entries", 1ull << geometry->table_shift);
	rf_json_set_count(object, "table_span_bytes", page << geometry->table_shift);
	rf_json_set_count(object, "block_entries", blocks);
	rf_json_set_count(object, "block_size_bytes", blocks * page);
	return object;
}

/* What came of the policy's own anonymous folios; NULL: it has those of the recording. */
json_t *allocation_object(const struct rf_policy *policy, const struct rf_stats *stats)
{
	json_t *object, *folios;
	u32 order;

	if (!policy->mm.anon_folios)
		return NULL;
	object = json_object();
	folios = json_array();
	for (order = 0; order < ARRAY_SIZE(stats->allocation.folios); order++)
		if (stats->allocation.folios[order])
			json_array_append_new(folios, json_pack("[I, I]", (json_int_t)order,
								(json_int_t)stats->allocation.folios[order]));
	json_object_set_new(object, "folios", folios);
#define X(name, meaning) rf_json_set_count(object, #name, stats->allocation.name);
	RF_ALLOCATIONS(X)
#undef X
	rf_json_set_count(object, "unused_bytes", stats->allocation.unused_pages << policy->geometry.page_shift);
	rf_json_set_count(object, "peak_unused_bytes",
			  stats->allocation.peak_unused_pages << policy->geometry.page_shift);
	rf_json_set_count(object, "unused_page_time_ms",
			  (u64)(((unsigned __int128)stats->allocation.unused_time << 10) / 1000000));
	return object;
}

/* count: how often it made a difference; 0: nobody counted. text is taken over. */
static void add(json_t *list, const char *name, json_t *text, u64 count)
{
	json_t *object = json_object();

	rf_json_set_string(object, "name", name);
	json_object_set_new(object, "text", text);
	if (count)
		rf_json_set_count(object, "count", count);
	json_array_append_new(list, object);
}

static bool recorded_with(const json_t *traces, size_t before, const char *arch, u64 page_size)
{
	const json_t *trace;
	size_t i;

	for (i = 0; i < before; i++) {
		trace = json_array_get(traces, i);
		if (!strcmp(rf_json_string(trace, "arch"), arch) &&
		    (u64)rf_json_number(trace, "page_size_bytes") == page_size)
			return true;
	}
	return false;
}

/* Once for each kind of machine that traces were recorded on. */
static void add_origins(json_t *list, const struct rf_policy *policy, const json_t *traces)
{
	u64 page = 1ull << policy->geometry.page_shift, recorded;
	const json_t *trace;
	const char *arch;
	size_t i;

	json_array_foreach(traces, i, trace) {
		arch = rf_json_string(trace, "arch");
		recorded = rf_json_number(trace, "page_size_bytes");
		if (!recorded || recorded_with(traces, i, arch, recorded))
			continue;
		if (!arch_is_machine(policy->arch, arch))
			add(list, "recorded_arch",
			    json_sprintf("recorded on %s: where mappings are, which folios there are, and what was "
					 "reclaimed, migrated and split is as that kernel decided", arch), 0);
		if (recorded != page)
			add(list, "recorded_page_size",
			    json_sprintf("recorded with pages of %llu bytes: faults, ranges and folios are those of "
					 "small pages, said of the pages of %llu bytes that hold them",
					 (unsigned long long)recorded, (unsigned long long)page), 0);
		else if (recorded / 8 != 1ull << policy->geometry.table_shift)
			add(list, "recorded_tables",
			    json_sprintf("recorded with tables of %llu entries: huge pages of that size are large folios",
					 (unsigned long long)recorded / 8), 0);
	}
}

/* Backports and ideas: no kernel of the base's release ever counted this. */
static void add_what_ifs(json_t *list, const struct rf_policy *policy)
{
	const struct rf_policy *base = rf_policy_find(policy->base);
	const char *release = base ? rf_policy_release(base) : NULL, *knob;
	char since[16];
	size_t i;

	for (i = 0; base && rf_policy_what_if(policy, base, release, i, &knob, since, sizeof(since)); i++)
		if (*since)
			add(list, "what_if",
			    json_sprintf("%s is of %s: %s never had it", knob, since, policy->base), 0);
		else
			add(list, "what_if", json_sprintf("%s is as no kernel has it", knob), 0);
}

json_t *assumptions_array(const struct rf_policy *policy, const struct rf_stats *stats, const json_t *traces)
{
	const struct arch_assumption *assumption = policy->arch->assumptions;
	json_t *list = json_array();
	size_t i;

	add_what_ifs(list, policy);
	add_origins(list, policy, traces);
	if (policy->mm.anon_folios)
		add(list, "anon_folios",
		    json_string("what was reclaimed, migrated and aged is as the recorded folios were: a large folio goes "
				"with the first of its pages that was used; ageing is not recorded"),
		    stats->allocation.folios_kept);
	for (i = 0; i < RF_NR_INEXACTS; i++)
		if (stats->inexact[i])
			add(list, rf_inexact_names[i], json_string(rf_inexact_texts[i]), stats->inexact[i]);
	for (; assumption && assumption->name; assumption++)
		if (!assumption->holds || assumption->holds(&policy->arch_knobs))
			add(list, assumption->name, json_string(assumption->text), 0);
	return list;
}
