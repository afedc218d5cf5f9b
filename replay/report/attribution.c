// SPDX-License-Identifier: MIT
/*
 * Attributed counts, for the report: of each policy the groups that cost most, and what all others come to. Groups that
 * read the same are one: a mapping that comes and goes at one place is one row. Rows and the rest add up to the totals.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/table.h"
#include "engine/machine.h"
#include "engine/stats.h"
#include "replay/report/json.h"

#define KEY_BYTES RF_STACK_TEXT

/* ---- which groups read the same ------------------------------------------------ */

struct texts {
	const struct rf_results *results;
	char **of_group;	/* all keys but the site, which is no property of a group */
	u32 *order;		/* groups by text */
	u32 *classes;		/* by group: those with the same text have the same, in the order of texts */
};

static int by_text(const void *a, const void *b, void *context)
{
	const struct texts *texts = context;
	u32 left = *(const u32 *)a, right = *(const u32 *)b;
	int order = strcmp(texts->of_group[left], texts->of_group[right]);

	return order ? order : (left > right) - (left < right);
}

static char *text_of_group(const struct rf_results *results, u32 group)
{
	const struct rf_attribution *attribution = &results->attribution;
	char text[RF_NR_BYS * (KEY_BYTES + 1) + 1] = "", key[KEY_BYTES];

	for (u32 i = 0; i < attribution->by.nr; i++) {
		if (attribution->by.keys[i] == RF_BY_site)
			continue;
		rf_attribution_text(attribution, &results->processes, attribution->by.keys[i], group, 0, key,
				    sizeof(key));
		/* What is shown of a stack is not all of it. */
		if (attribution->by.keys[i] == RF_BY_stack && rf_attribution_stack(attribution, group))
			snprintf(key, sizeof(key), "%010u", rf_attribution_stack(attribution, group));
		strcat(text, key);
		strcat(text, "\n");
	}
	return strdup(text);
}

static void texts_free(struct texts *texts)
{
	for (u32 i = 0; texts->of_group && i < texts->results->attribution.nr; i++)
		free(texts->of_group[i]);
	free(texts->of_group);
	free(texts->order);
	free(texts->classes);
}

static bool texts_make(struct texts *texts, const struct rf_results *results)
{
	u32 nr = results->attribution.nr;

	*texts = (struct texts){
		.results = results, .of_group = calloc(nr + 1ul, sizeof(char *)),
		.order = calloc(nr + 1ul, sizeof(u32)), .classes = calloc(nr + 1ul, sizeof(u32)),
	};
	if (!texts->of_group || !texts->order || !texts->classes)
		return false;
	for (u32 i = 0; i < nr; i++) {
		texts->order[i] = i;
		texts->of_group[i] = text_of_group(results, i);
		if (!texts->of_group[i])
			return false;
	}
	qsort_r(texts->order, nr, sizeof(u32), by_text, texts);
	for (u32 i = 1; i < nr; i++) {
		u32 before = texts->order[i - 1], group = texts->order[i];

		texts->classes[group] = texts->classes[before] +
					(strcmp(texts->of_group[before], texts->of_group[group]) != 0);
	}
	return true;
}

/* ---- rows ----------------------------------------------------------------------- */

struct share {
	u32 class;
	u32 row;		/* RF_NR_ROWS, unless sites are asked for */
	u32 group;		/* one of them */
	u64 bytes;
	u64 operations;
	struct arch_counters counters;
};

/* Dearest first: invalidations, of those with the same number unfolds, and so on. */
static int by_cost(const void *a, const void *b)
{
	const struct share *left = *(const struct share *const *)a, *right = *(const struct share *const *)b;
	const u64 costs[][2] = {
		{ left->counters.tlbi, right->counters.tlbi }, { left->counters.unfold, right->counters.unfold },
		{ left->counters.dsb, right->counters.dsb }, { left->counters.faults, right->counters.faults },
		{ left->bytes, right->bytes }, { left->counters.pte_loads, right->counters.pte_loads },
	};

	for (size_t i = 0; i < ARRAY_SIZE(costs); i++)
		if (costs[i][0] != costs[i][1])
			return costs[i][0] > costs[i][1] ? -1 : 1;
	if (left->class != right->class)
		return left->class < right->class ? -1 : 1;
	return left->row < right->row ? -1 : left->row > right->row;
}

static void add_share(struct share *sum, const struct share *share)
{
	sum->bytes += share->bytes;
	sum->operations += share->operations;
#define X(name, meaning) sum->counters.name += share->counters.name;
	ARCH_COUNTERS(X)
#undef X
}

static bool is_nothing(const struct share *share)
{
	static const struct arch_counters none;

	return !share->bytes && !share->operations && !memcmp(&share->counters, &none, sizeof(none));
}

DEFINE_TABLE(share_table, u64, u32);	/* place + 1 */

struct shares {
	struct share *list;
	struct share **dearest;	/* all of them, in that order */
	u32 nr;
	size_t room;
	struct share_table places;
	bool failed;		/* out of memory */
};

static void add_to(struct shares *shares, const struct share *share)
{
	u64 key = (u64)share->class << 32 | share->row;
	u32 place = share_table_find(&shares->places, key);

	if (place) {
		add_share(&shares->list[place - 1], share);
		return;
	}
	if (is_nothing(share))
		return;
	if (array_grow(shares->list, shares->room, shares->nr + 1ul) ||
	    share_table_add(&shares->places, key, shares->nr + 1)) {
		shares->failed = true;
		return;
	}
	shares->list[shares->nr++] = *share;
}

/* Every share of a policy, each class and row once, dearest first. */
static void take_shares(struct shares *shares, const struct texts *texts, const struct rf_ledger *ledger)
{
	const struct rf_attribution *attribution = &texts->results->attribution;
	bool sites = rf_by_has(&attribution->by, RF_BY_site);

	for (u32 i = 0; i < ledger->nr && !shares->failed; i++) {
		const struct rf_account *account = &ledger->accounts[i];

		add_to(shares, &(struct share){
			.class = texts->classes[account->owner], .row = account->row, .group = account->owner,
			.operations = account->operations, .counters = account->counters,
		});
	}
	for (u32 i = RF_OWNER_MACHINE + 1; i < attribution->nr && !shares->failed; i++)
		add_to(shares, &(struct share){
			.class = texts->classes[i], .group = i, .bytes = attribution->groups[i].bytes,
			.row = sites ? attribution->groups[i].row - 1u : RF_NR_ROWS,
		});
	share_table_free(&shares->places);
	shares->dearest = calloc(shares->nr + 1ul, sizeof(*shares->dearest));
	if (!shares->dearest) {
		shares->failed = true;
		shares->nr = 0;
	}
	for (u32 i = 0; i < shares->nr; i++)
		shares->dearest[i] = &shares->list[i];
	qsort(shares->dearest, shares->nr, sizeof(*shares->dearest), by_cost);
}

static void add_frames(json_t *object, const struct rf_attribution *attribution, u32 group)
{
	u32 stack = rf_attribution_stack(attribution, group);
	json_t *frames = stack ? json_array() : NULL;
	const char *name;

	while ((name = rf_stack_next(&attribution->stacks, &stack)))
		json_array_append_new(frames, json_string(name));
	if (frames)
		json_object_set_new(object, "frames", frames);
}

static json_t *share_object(const struct rf_results *results, const struct share *share, bool keys)
{
	const struct rf_attribution *attribution = &results->attribution;
	json_t *object = json_object();
	char text[KEY_BYTES];

	for (u32 i = 0; keys && i < attribution->by.nr; i++) {
		u8 key = attribution->by.keys[i];

		rf_attribution_text(attribution, &results->processes, key, share->group, share->row, text,
				    sizeof(text));
		rf_json_set_string(object, rf_by_names[key], text);
		if (key == RF_BY_stack)
			add_frames(object, attribution, share->group);
	}
	rf_json_set_count(object, "bytes", share->bytes);
	json_object_set_new(object, "totals", row_object(&share->counters, share->operations));
	return object;
}

/* NULL: no memory for it. */
static json_t *policy_shares(const struct texts *texts, size_t policy, u64 top)
{
	const struct rf_results *results = texts->results;
	json_t *object = json_object(), *rows = json_array(), *rest;
	struct share others = { 0 };
	struct shares shares = { 0 };

	take_shares(&shares, texts, &results->shares[policy]);
	for (u32 i = 0; i < shares.nr; i++) {
		if (i < top)
			json_array_append_new(rows, share_object(results, shares.dearest[i], true));
		else
			add_share(&others, shares.dearest[i]);
	}
	free(shares.dearest);
	free(shares.list);
	if (shares.failed) {
		json_decref(object);
		json_decref(rows);
		return NULL;
	}
	rest = share_object(results, &others, false);
	rf_json_set_count(rest, "rows", shares.nr > top ? shares.nr - top : 0);
	rf_json_set_string(object, "name", results->policies[policy].name);
	json_object_set_new(object, "rows", rows);
	json_object_set_new(object, "rest", rest);
	return object;
}

json_t *attribution_of_trace(const char *name, const struct rf_results *results, u64 top)
{
	const struct rf_by_list *by = &results->attribution.by;
	json_t *object = json_object(), *keys = json_array(), *policies = json_array();
	struct texts texts;
	bool good;

	for (u32 i = 0; i < by->nr; i++)
		json_array_append_new(keys, json_string(rf_by_names[by->keys[i]]));
	good = texts_make(&texts, results);
	for (size_t k = 0; good && k < results->nr_policies; k++)
		good = !json_array_append_new(policies, policy_shares(&texts, k, top));
	texts_free(&texts);
	rf_json_set_string(object, "trace", name);
	json_object_set_new(object, "by", keys);
	json_object_set_new(object, "policies", policies);
	if (!good) {
		json_decref(object);
		return NULL;
	}
	return object;
}
