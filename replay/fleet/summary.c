// SPDX-License-Identifier: MIT
/* A summary: all traces together, and in groups by the values of a label. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/fleet/numbers.h"

const char *const rf_rate_names[RF_NR_RATES] = {
#define X(name) #name,
	RF_RATES(X)
#undef X
};

/* Values of the label in order of text; traces without it come last. */
static json_t *label_values(const struct rf_summing *sum)
{
	json_t *values = json_object();
	char scratch[32];

	for (size_t i = 0; i < sum->fleet->nr; i++) {
		const char *value = rf_summary_label(sum->facts[i], sum->options->by, scratch, sizeof(scratch));

		if (value)
			json_object_set_new(values, value, json_true());
	}
	return values;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *groups_array(const struct rf_summing *sum, json_t *values)
{
	size_t nr_values = json_object_size(values), nr, v = 0, i;
	const char **names = rf_json_memory(nr_values + 2, sizeof(*names)), *key;
	size_t *traces = rf_json_memory(sum->fleet->nr + 1, sizeof(*traces));
	json_t *groups = json_array(), *group, *unused;
	char scratch[32];

	if (!names || !traces)
		return groups;
	json_object_foreach(values, key, unused)
		names[v++] = key;
	qsort(names, nr_values, sizeof(*names), compare_names);
	for (v = 0; v <= nr_values; v++) {
		for (nr = i = 0; i < sum->fleet->nr; i++) {
			const char *value = rf_summary_label(sum->facts[i], sum->options->by, scratch,
							     sizeof(scratch));

			if (value && names[v] ? !strcmp(value, names[v]) : value == names[v])
				traces[nr++] = i;
		}
		group = nr ? rf_fleet_group(sum, traces, nr) : NULL;
		if (!group)
			continue;
		json_object_del(group, "outliers");
		json_object_set_new(group, "value", names[v] ? json_string(names[v]) : json_null());
		json_array_append_new(groups, group);
	}
	free(names);
	free(traces);
	return groups;
}

/* ---- the whole ------------------------------------------------------------------------ */

struct naming {
	const struct rf_fleet *fleet;
	const char *baseline;
};

/* The baseline, then by name, 6.8 before 6.12. */
static int by_name(const void *a, const void *b, void *context)
{
	const struct naming *naming = context;
	const struct rf_fleet_policy *x = &naming->fleet->policies[*(const u32 *)a];
	const struct rf_fleet_policy *y = &naming->fleet->policies[*(const u32 *)b];
	bool first_x = naming->baseline && !strcmp(x->name, naming->baseline);
	bool first_y = naming->baseline && !strcmp(y->name, naming->baseline);
	int order = first_y - first_x;

	order = order ? order : strverscmp(x->name, y->name);
	return order ? order : strcmp(x->definition, y->definition);
}

static int order_policies(struct rf_summing *sum, struct rf_error *err)
{
	struct naming naming = { sum->fleet, sum->options->baseline };
	const struct rf_fleet *fleet = sum->fleet;

	sum->nr_policies = fleet->nr_policies;
	sum->order = calloc(sum->nr_policies + 1, sizeof(*sum->order));
	if (!sum->order)
		return -ENOMEM;
	for (u32 p = 0; p < sum->nr_policies; p++)
		sum->order[p] = p;
	qsort_r(sum->order, sum->nr_policies, sizeof(*sum->order), by_name, &naming);
	if (naming.baseline && strcmp(fleet->policies[sum->order[0]].name, naming.baseline))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "--baseline %s is none of the policies: %s...",
				    naming.baseline, fleet->policies[sum->order[0]].name);
	sum->ranked = sum->nr_policies - 1;
	return 0;
}

static int choose_counters(struct rf_summing *sum, struct rf_error *err)
{
	const struct rf_fleet *fleet = sum->fleet;
	const struct rf_matter *matter;
	size_t i, matters;

	sum->counters = calloc(fleet->nr_counters + 32, sizeof(*sum->counters));
	if (!sum->counters)
		return -ENOMEM;
	for (i = 0; (matter = rf_matter_at(i)); i++)
		sum->counters[sum->nr_counters++] = matter->key;
	matters = sum->nr_counters;
	for (i = 0; i < fleet->nr_counters; i++) {
		bool wanted = sum->options->all || !strcmp(fleet->counters[i], sum->options->counter);

		for (size_t m = 0; wanted && m < matters; m++)
			wanted = strcmp(fleet->counters[i], sum->counters[m]);
		if (wanted)
			sum->counters[sum->nr_counters++] = fleet->counters[i];
	}
	qsort(sum->counters + matters, sum->nr_counters - matters, sizeof(*sum->counters), compare_names);
	for (i = 0; i < 3; i++)
		sum->waits_of[i] = rf_fleet_counter(fleet, (const char *[]){ "dsb_ish", "dsb_nsh", "ipis" }[i]);
	for (i = 0; i < sum->nr_counters; i++)
		if (!strcmp(sum->counters[i], sum->options->counter))
			break;
	sum->counter = i;
	return i < sum->nr_counters ? 0 :
	       rf_error_set(err, -EINVAL, RF_NO_OFFSET, "there is no counter '%s'", sum->options->counter);
}

/* "a, b, kernel": what groups can be made of. */
static int unknown_label(const struct rf_summing *sum, const json_t *summary, struct rf_error *err)
{
	char list[200];
	struct rf_line line;
	const char *label;
	json_t *value;

	rf_line_begin(&line, list, sizeof(list));
	json_object_foreach(json_object_get(summary, "labels"), label, value)
		rf_line_add(&line, "%.40s, ", label);
	rf_line_add(&line, "kernel, arch, cpus, trust");
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no trace has the label '%.60s'; there are: %s",
			    sum->options->by, list);
}

static int add_groups(const struct rf_summing *sum, json_t *summary, struct rf_error *err)
{
	json_t *values = label_values(sum);
	int ret = 0;

	if (json_object_size(values)) {
		rf_json_set_string(summary, "by", sum->options->by);
		json_object_set_new(summary, "groups", groups_array(sum, values));
	} else {
		ret = unknown_label(sum, summary, err);
	}
	json_decref(values);
	return ret;
}

static int fill_summary(struct rf_summing *sum, json_t *summary, struct rf_error *err)
{
	const struct rf_fleet *fleet = sum->fleet;
	size_t *traces = calloc(fleet->nr + 1, sizeof(*traces));
	json_t *all;
	int ret;

	sum->facts = calloc(fleet->nr + 1, sizeof(*sum->facts));
	if (!traces || !sum->facts) {
		free(traces);
		return -ENOMEM;
	}
	for (size_t i = 0; i < fleet->nr; i++) {
		sum->facts[i] = json_loads(fleet->traces[i].facts, 0, NULL);
		json_object_del(sum->facts[i], "warnings");
		traces[i] = i;
	}
	ret = order_policies(sum, err);
	ret = ret ? ret : choose_counters(sum, err);
	all = ret ? NULL : rf_fleet_group(sum, traces, fleet->nr);
	free(traces);
	if (!all)
		return ret ? ret : -ENOMEM;
	json_object_set_new(summary, "all", all);
	return sum->options->by ? add_groups(sum, summary, err) : 0;
}

json_t *rf_summary_of(const struct rf_fleet *fleet, const struct rf_summary_options *options, struct rf_error *err)
{
	struct rf_summing sum = { .fleet = fleet, .options = options };
	json_t *summary = json_object();
	int ret;

	rf_json_set_string(summary, "schema", RF_SUMMARY_SCHEMA);
	rf_json_set_count(summary, "seed", options->seed);
	rf_json_set_count(summary, "resamples", RF_SUMMARY_RESAMPLES);
	rf_summary_set_facts(summary, fleet);
	ret = fleet->nr && fleet->nr_policies ? fill_summary(&sum, summary, err) : 0;
	for (size_t i = 0; sum.facts && i < fleet->nr; i++)
		json_decref(sum.facts[i]);
	free(sum.facts);
	free(sum.order);
	free(sum.counters);
	if (!ret)
		return summary;
	if (ret == -ENOMEM)
		rf_error_set(err, ret, RF_NO_OFFSET, "out of memory");
	json_decref(summary);
	return NULL;
}
