// SPDX-License-Identifier: MIT
/*
 * The rows of many traces in memory, joined. Facts are kept as text: ten thousand traces as JSON objects would be
 * larger than all of their counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "replay/fleet/fleet.h"

#define TEXT (JSON_COMPACT | JSON_SORT_KEYS)

int rf_fleet_init(struct rf_fleet *fleet)
{
	*fleet = (struct rf_fleet){ .failures = json_array(), .notes = json_array() };
	return fleet->failures && fleet->notes ? 0 : -ENOMEM;
}

static void cell_free(struct rf_fleet_cell *cell)
{
	free(cell->values);
	free(cell->rest);
}

void rf_fleet_free(struct rf_fleet *fleet)
{
	for (size_t i = 0; i < fleet->nr; i++) {
		for (size_t k = 0; k < fleet->traces[i].nr; k++)
			cell_free(&fleet->traces[i].cells[k]);
		free(fleet->traces[i].cells);
		free(fleet->traces[i].facts);
	}
	for (size_t i = 0; i < fleet->nr_policies; i++)
		free(fleet->policies[i].name);
	for (size_t i = 0; i < fleet->nr_counters; i++)
		free(fleet->counters[i]);
	free(fleet->traces);
	free(fleet->policies);
	free(fleet->counters);
	fleet_places_free(&fleet->places);
	json_decref(fleet->failures);
	json_decref(fleet->notes);
	*fleet = (struct rf_fleet){ 0 };
}

/* ---- names ------------------------------------------------------------------- */

u32 rf_fleet_counter(const struct rf_fleet *fleet, const char *name)
{
	for (u32 i = 0; i < fleet->nr_counters; i++)
		if (!strcmp(fleet->counters[i], name))
			return i;
	return UINT32_MAX;
}

/* Reports have their counters in one order: the next one is most often where *near says. */
static u32 counter_place(struct rf_fleet *fleet, const char *name, u32 *near)
{
	u32 place = *near < fleet->nr_counters && !strcmp(fleet->counters[*near], name) ?
			    *near : rf_fleet_counter(fleet, name);

	if (place == UINT32_MAX) {
		if (array_grow(fleet->counters, fleet->counters_room, fleet->nr_counters + 1))
			return UINT32_MAX;
		fleet->counters[fleet->nr_counters] = strdup(name);
		if (!fleet->counters[fleet->nr_counters])
			return UINT32_MAX;
		place = fleet->nr_counters++;
	}
	*near = place + 1;
	return place;
}

static u32 policy_place(struct rf_fleet *fleet, const char *name, const char *definition)
{
	struct rf_fleet_policy *policy;

	for (u32 i = 0; i < fleet->nr_policies; i++)
		if (!strcmp(fleet->policies[i].name, name) && !strcmp(fleet->policies[i].definition, definition))
			return i;
	if (array_grow(fleet->policies, fleet->policies_room, fleet->nr_policies + 1))
		return UINT32_MAX;
	policy = &fleet->policies[fleet->nr_policies];
	policy->name = strdup(name);
	if (!policy->name)
		return UINT32_MAX;
	snprintf(policy->definition, sizeof(policy->definition), "%s", definition);
	return fleet->nr_policies++;
}

static u64 digest_key(const char *digest)
{
	char half[17] = "";

	memcpy(half, digest, 16);
	return strtoull(half, NULL, 16);
}

struct wanted {
	const struct rf_fleet *fleet;
	const char *digest;
};

static bool is_wanted(const void *context, u32 place)
{
	const struct wanted *wanted = context;

	return !strcmp(wanted->fleet->traces[place - 1].digest, wanted->digest);
}

static struct rf_fleet_trace *find_trace(struct rf_fleet *fleet, const char *digest)
{
	struct wanted wanted = { fleet, digest };
	u32 place = fleet_places_match(&fleet->places, digest_key(digest), is_wanted, &wanted);

	return place ? &fleet->traces[place - 1] : NULL;
}

static struct rf_fleet_trace *new_trace(struct rf_fleet *fleet, const char *digest)
{
	struct rf_fleet_trace *trace;

	if (array_grow(fleet->traces, fleet->room, fleet->nr + 1) ||
	    fleet_places_add(&fleet->places, digest_key(digest), fleet->nr + 1))
		return NULL;
	trace = &fleet->traces[fleet->nr++];
	*trace = (struct rf_fleet_trace){ 0 };
	memcpy(trace->digest, digest, RF_DIGEST_SIZE);
	return trace;
}

/* ---- facts --------------------------------------------------------------------- */

static void note(struct rf_fleet *fleet, json_t *sentence)
{
	json_t *there;
	size_t i;

	json_array_foreach(fleet->notes, i, there)
		if (json_equal(there, sentence)) {
			json_decref(sentence);
			return;
		}
	json_array_append_new(fleet->notes, sentence);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The sentences of both, each once, in order. */
static json_t *joined_sentences(const json_t *a, const json_t *b)
{
	size_t nr = 0, most = json_array_size(a) + json_array_size(b), i;
	const char **texts = rf_json_memory(most + 1, sizeof(*texts));
	json_t *joined = json_array(), *one;

	if (!texts)
		return joined;
	json_array_foreach(a, i, one)
		texts[nr++] = json_is_string(one) ? json_string_value(one) : "";
	json_array_foreach(b, i, one)
		texts[nr++] = json_is_string(one) ? json_string_value(one) : "";
	qsort(texts, nr, sizeof(*texts), compare_texts);
	for (i = 0; i < nr; i++)
		if (!i || strcmp(texts[i - 1], texts[i]))
			json_array_append_new(joined, json_string(texts[i]));
	free(texts);
	return joined;
}

static int trust_rank(const json_t *facts)
{
	const char *word = rf_json_string(facts, "trust");

	return !strcmp(word, "exact") ? 0 : !strcmp(word, "marked") ? 1 : 2;
}

/* What two reports can say differently of one trace has a rule each; of the rest, the larger text stays. */
static char *join_facts(struct rf_fleet *fleet, const char *there, json_t *new)
{
	json_t *old = json_loads(there, 0, NULL), *winner;
	const char *old_name = rf_json_string(old, "name"), *new_name = rf_json_string(new, "name");
	json_t *name = json_string(strcmp(old_name, new_name) < 0 ? old_name : new_name);
	json_t *trust = json_incref(json_object_get(trust_rank(old) > trust_rank(new) ? old : new, "trust"));
	json_t *warnings = joined_sentences(json_object_get(old, "warnings"), json_object_get(new, "warnings"));
	char *a, *b, *text;

	if (strcmp(old_name, new_name))
		note(fleet, json_sprintf("%s and %s are the same recording: it counts once", json_string_value(name),
					 strcmp(old_name, new_name) < 0 ? new_name : old_name));
	json_object_set(old, "name", name);
	json_object_set_new(new, "name", name);
	json_object_set(old, "trust", trust);
	json_object_set_new(new, "trust", trust);
	json_object_set(old, "warnings", warnings);
	json_object_set_new(new, "warnings", warnings);
	a = json_dumps(old, TEXT);
	b = json_dumps(new, TEXT);
	winner = a && b && strcmp(a, b) > 0 ? old : new;
	text = json_dumps(winner, TEXT);
	free(a);
	free(b);
	json_decref(old);
	return text;
}

/* A trace that is damaged says so in "damage": sentences about it are in that order anyhow. */
static int add_facts(struct rf_fleet *fleet, struct rf_fleet_trace *trace, const json_t *row, const json_t *warnings)
{
	json_t *facts = json_copy((json_t *)row);
	char *text;

	if (!warnings)
		warnings = json_object_get(row, "warnings");
	json_object_del(facts, "policies");
	json_object_set_new(facts, "warnings", joined_sentences(warnings, NULL));
	text = json_dumps(facts, TEXT);
	if (text && trace->facts && strcmp(text, trace->facts)) {
		free(text);
		text = join_facts(fleet, trace->facts, facts);
	}
	json_decref(facts);
	if (!text)
		return -ENOMEM;
	free(trace->facts);
	trace->facts = text;
	return 0;
}

/* ---- cells ----------------------------------------------------------------------- */

static json_t *cell_object(const struct rf_fleet *fleet, const struct rf_fleet_cell *cell)
{
	json_t *totals = json_object(), *object = cell->rest ? json_loads(cell->rest, 0, NULL) : json_object();

	for (u32 i = 0; i < cell->nr; i++)
		if (cell->values[i] >= 0)
			json_object_set_new(totals, fleet->counters[i], json_integer(cell->values[i]));
	rf_json_set_string(object, "name", fleet->policies[cell->policy].name);
	rf_json_set_string(object, "definition", fleet->policies[cell->policy].definition);
	rf_json_set_string(object, "version", cell->version);
	json_object_set_new(object, "totals", totals);
	return object;
}

static const char *rest_of(const struct rf_fleet_cell *cell)
{
	return cell->rest ? cell->rest : "";
}

/* Below 0: a is older, or else tells less, or else is the smaller text. */
static int compare_cells(const struct rf_fleet *fleet, const struct rf_fleet_cell *a, const struct rf_fleet_cell *b)
{
	json_t *object_a, *object_b;
	char *text_a, *text_b;
	int order;

	if (a->nr == b->nr && !memcmp(a->values, b->values, a->nr * sizeof(*a->values)) &&
	    !strcmp(a->version, b->version) && !strcmp(rest_of(a), rest_of(b)))
		return 0;
	order = strcmp(a->version, b->version);
	if (order)
		return order;
	/* One that knows more of the same. */
	if (!a->rest != !b->rest)
		return a->rest ? 1 : -1;
	object_a = cell_object(fleet, a);
	object_b = cell_object(fleet, b);
	text_a = json_dumps(object_a, TEXT);
	text_b = json_dumps(object_b, TEXT);
	order = text_a && text_b ? strcmp(text_a, text_b) : 0;
	free(text_a);
	free(text_b);
	json_decref(object_a);
	json_decref(object_b);
	return order;
}

static int take_values(struct rf_fleet *fleet, struct rf_fleet_cell *cell, const json_t *totals)
{
	u32 place, near = 0;
	const char *key;
	json_t *value;
	size_t room = 0;

	json_object_foreach((json_t *)totals, key, value) {
		place = counter_place(fleet, key, &near);
		if (place == UINT32_MAX)
			return -ENOMEM;
		if (place >= cell->nr) {
			if (array_grow(cell->values, room, max_u64(place + 1ul, fleet->nr_counters)))
				return -ENOMEM;
			while (cell->nr <= place)
				cell->values[cell->nr++] = -1;
		}
		cell->values[place] = json_integer_value(value);
	}
	return 0;
}

/* What is neither name nor number of a cell. */
static char *rest_text(const json_t *policy)
{
	static const char *const own[] = { "name", "definition", "version", "totals" };
	json_t *rest = json_copy((json_t *)policy);
	char *text;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		json_object_del(rest, own[i]);
	text = json_object_size(rest) ? json_dumps(rest, TEXT) : NULL;
	json_decref(rest);
	return text;
}

/* The cell is taken over. */
static int add_cell(struct rf_fleet *fleet, struct rf_fleet_trace *trace, struct rf_fleet_cell *cell)
{
	for (size_t i = 0; i < trace->nr; i++) {
		struct rf_fleet_cell *there = &trace->cells[i], lost = *cell;
		bool contradict;
		int order;

		if (there->policy != cell->policy)
			continue;
		contradict = there->nr != cell->nr || strcmp(there->version, cell->version) ||
			     memcmp(there->values, cell->values, cell->nr * sizeof(*cell->values));
		order = contradict || there->rest || cell->rest ? compare_cells(fleet, there, cell) : 0;
		if (order && contradict)
			note(fleet, json_sprintf("trace %.12s is counted in two ways under %s, by refold %s and %s: "
						 "that of the newer, or else the larger, stays", trace->digest,
						 fleet->policies[cell->policy].name,
						 order < 0 ? there->version : cell->version,
						 order < 0 ? cell->version : there->version));
		if (order < 0) {
			lost = *there;
			*there = *cell;
		}
		cell_free(&lost);
		return 0;
	}
	if (array_grow(trace->cells, trace->room, trace->nr + 1)) {
		cell_free(cell);
		return -ENOMEM;
	}
	trace->cells[trace->nr++] = *cell;
	return 0;
}

int rf_fleet_add(struct rf_fleet *fleet, const json_t *row, const json_t *warnings, struct rf_error *err)
{
	const char *digest = rf_json_string(row, "digest");
	json_t *policies = json_object_get(row, "policies"), *policy;
	struct rf_fleet_trace *trace;
	size_t i;

	if (strlen(digest) != RF_DIGEST_DIGITS || !json_is_array(policies))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "has no row for trace %.80s: an older refold wrote it; "
				    "replay again", rf_json_string(row, "name"));
	trace = find_trace(fleet, digest);
	if (!trace)
		trace = new_trace(fleet, digest);
	if (!trace || add_facts(fleet, trace, row, warnings))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	json_array_foreach(policies, i, policy) {
		struct rf_fleet_cell cell = { 0 };

		cell.policy = policy_place(fleet, rf_json_string(policy, "name"),
					   rf_json_string(policy, "definition"));
		cell.rest = fleet->whole ? rest_text(policy) : NULL;
		snprintf(cell.version, sizeof(cell.version), "%s", rf_json_string(policy, "version"));
		if (cell.policy == UINT32_MAX || take_values(fleet, &cell, json_object_get(policy, "totals")) ||
		    add_cell(fleet, trace, &cell))
			return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	return 0;
}

int rf_fleet_add_failure(struct rf_fleet *fleet, const char *name, const char *digest, const char *error)
{
	json_t *failure = json_object(), *there;
	size_t i;

	rf_json_set_string(failure, "name", name);
	rf_json_set_string(failure, "digest", digest);
	rf_json_set_string(failure, "error", error);
	json_array_foreach(fleet->failures, i, there)
		if (json_equal(there, failure)) {
			json_decref(failure);
			return 0;
		}
	return json_array_append_new(fleet->failures, failure) ? -ENOMEM : 0;
}

/* ---- all of it -------------------------------------------------------------------- */

static int by_digest(const void *a, const void *b)
{
	return strcmp(((const struct rf_fleet_trace *)a)->digest, ((const struct rf_fleet_trace *)b)->digest);
}

static int by_policy(const void *a, const void *b, void *context)
{
	const struct rf_fleet_policy *policies = context;
	const struct rf_fleet_policy *x = &policies[((const struct rf_fleet_cell *)a)->policy];
	const struct rf_fleet_policy *y = &policies[((const struct rf_fleet_cell *)b)->policy];
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->definition, y->definition);
}

static int by_text(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	static const char *const keys[] = { "name", "digest", "error" };
	int order = 0;

	if (json_is_string(x))
		return strcmp(json_string_value(x), json_string_value(y));
	for (size_t i = 0; !order && i < ARRAY_SIZE(keys); i++)
		order = strcmp(rf_json_string(x, keys[i]), rf_json_string(y, keys[i]));
	return order;
}

static void sort_array(json_t *array)
{
	size_t nr = json_array_size(array), i;
	json_t **entries = rf_json_memory(nr + 1, sizeof(*entries)), *one;

	if (!entries)
		return;
	json_array_foreach(array, i, one)
		entries[i] = json_incref(one);
	qsort(entries, nr, sizeof(*entries), by_text);
	json_array_clear(array);
	for (i = 0; i < nr; i++)
		json_array_append_new(array, entries[i]);
	free(entries);
}

void rf_fleet_sort(struct rf_fleet *fleet)
{
	if (fleet->nr)
		qsort(fleet->traces, fleet->nr, sizeof(*fleet->traces), by_digest);
	fleet_places_free(&fleet->places);
	for (size_t i = 0; i < fleet->nr; i++) {
		fleet_places_add(&fleet->places, digest_key(fleet->traces[i].digest), i + 1);
		qsort_r(fleet->traces[i].cells, fleet->traces[i].nr, sizeof(*fleet->traces[i].cells), by_policy,
			fleet->policies);
	}
	sort_array(fleet->failures);
	sort_array(fleet->notes);
}

json_t *rf_fleet_row(const struct rf_fleet *fleet, const struct rf_fleet_trace *trace)
{
	json_t *row = json_loads(trace->facts, 0, NULL), *policies = json_array();

	for (size_t i = 0; i < trace->nr; i++)
		json_array_append_new(policies, cell_object(fleet, &trace->cells[i]));
	json_object_set_new(row, "policies", policies);
	return row;
}

int rf_fleet_write(const struct rf_fleet *fleet, FILE *out)
{
	json_t *row;
	int ret = 0;

	fputs("{\n  \"failures\": ", out);
	json_dumpf(fleet->failures, out, TEXT);
	fprintf(out, ",\n  \"schema\": \"%s\",\n  \"traces\": [", RF_FLEET_SCHEMA);
	for (size_t i = 0; !ret && i < fleet->nr; i++) {
		row = rf_fleet_row(fleet, &fleet->traces[i]);
		fputs(i ? ",\n" : "\n", out);
		ret = json_dumpf(row, out, TEXT);
		json_decref(row);
	}
	fputs("\n  ]\n}\n", out);
	return ret || ferror(out) ? -EIO : 0;
}
