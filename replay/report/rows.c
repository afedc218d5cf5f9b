// SPDX-License-Identifier: MIT
/*
 * What a report keeps of each trace, beside what all of them add up to: by which digest it is known, how far it is to
 * be trusted, what it cost under each policy. Traces of many reports are compared, merged and stored by these rows.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/report/json.h"
#include "traces/digest.h"

/* What is off is left out, so that a knob that a later version adds changes no policy that does not use it. */
static json_t *without_nothings(json_t *object)
{
	json_t *value;
	const char *key;
	void *next;

	json_object_foreach_safe(object, next, key, value)
		if (json_is_false(value) || (json_is_integer(value) && !json_integer_value(value)))
			json_object_del(object, key);
	return object;
}

/* Policies of one name may be two: what they are made of has a digest, too. */
void rf_report_definition(const struct rf_policy *policy, char *digest)
{
	json_t *parts = json_pack("{s:s, s:o, s:o}", "arch", policy->arch->name, "geometry",
				  without_nothings(geometry_object(policy)), "knobs",
				  without_nothings(knobs_object(policy)));
	char *text;

	digest[0] = '\0';
	if (policy->arch->loaded)
		json_object_set_new(parts, "code", backend_identity(policy));
	text = json_dumps(parts, JSON_COMPACT | JSON_SORT_KEYS);
	if (text)
		rf_digest_text(text, strlen(text), digest);
	free(text);
	json_decref(parts);
}

void rf_report_add_row(json_t *trace, const json_t *trust, const struct rf_results *results)
{
	json_t *policies = json_array(), *row;
	char definition[RF_DIGEST_SIZE];
	size_t k;

	for (k = 0; k < results->nr_policies; k++) {
		row = json_object();
		rf_json_set_string(row, "name", results->policies[k].name);
		rf_report_definition(&results->policies[k], definition);
		rf_json_set_string(row, "definition", definition);
		rf_json_set_string(row, "version", REFOLD_VERSION);
		json_object_set_new(row, "totals", policy_totals(&results->policies[k], &results->last_stats[k]));
		json_array_append_new(policies, row);
	}
	json_object_set_new(trace, "policies", policies);
	rf_json_set_count(trace, "address_spaces", results->last_fidelity.mms);
	rf_json_set_string(trace, "trust", trust_word(trust, json_is_true(json_object_get(trace, "complete")),
						      results->last_fidelity.processes_compared));
}

static json_t *last_of(json_t *list)
{
	return json_array_get(list, json_array_size(list) - 1);
}

json_t *rf_report_of_last(const struct rf_report_parts *parts, const struct rf_results *results)
{
	struct rf_results last = *results;
	struct rf_report_parts one = {
		.traces = json_pack("[O]", last_of(parts->traces)), .windows = json_array(),
		.processes = json_array(), .trusts = json_pack("[O]", last_of(parts->trusts)),
	};

	last.stats = results->last_stats;
	last.fidelity = results->last_fidelity;
	return report_of(&one, &last, false);
}
