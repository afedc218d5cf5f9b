// SPDX-License-Identifier: MIT
/* Sets of steps to count, and what the counts say of each step. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "replay/report/ablation.h"
#include "replay/report/exposure.h"

/* Interactions from this part of the larger total on are named: 1/20. */
#define INTERACTION_PART 20

static u64 all_steps(const struct rf_ablation *ablation)
{
	return ablation->steps.nr == 64 ? ~0ull : (1ull << ablation->steps.nr) - 1;
}

static u64 steps_until(size_t nr)
{
	return nr == 64 ? ~0ull : (1ull << nr) - 1;
}

/* ---- columns ---- */

static struct rf_column *find(const struct rf_ablation *ablation, u64 set)
{
	size_t i;

	for (i = 0; i < ablation->nr; i++)
		if (ablation->columns[i].set == set)
			return &ablation->columns[i];
	return NULL;
}

static void want(struct rf_ablation *ablation, u64 set)
{
	if (find(ablation, set))
		return;
	if (array_grow(ablation->columns, ablation->room, ablation->nr + 1)) {
		ablation->failed = true;
		return;
	}
	ablation->columns[ablation->nr++] = (struct rf_column){ .set = set };
}

static s64 value(const struct rf_ablation *ablation, u64 set)
{
	const struct rf_column *column = find(ablation, set);

	return column ? column->by : 0;
}

void rf_ablation_begin(struct rf_ablation *ablation)
{
	u64 all = all_steps(ablation), with;
	size_t i;

	want(ablation, 0);
	want(ablation, all);
	for (i = 0; i < ablation->steps.nr; i++) {
		with = rf_steps_with_needs(&ablation->steps, i);
		want(ablation, with);
		want(ablation, with & ~(1ull << i));
		want(ablation, all & ~(1ull << i));
		want(ablation, steps_until(i + 1));
	}
}

/* What the step does on the base with what it needs, to the target, and after all steps before it. */
static s64 alone(const struct rf_ablation *ablation, size_t i)
{
	u64 with = rf_steps_with_needs(&ablation->steps, i);

	return value(ablation, with) - value(ablation, with & ~(1ull << i));
}

static s64 at_target(const struct rf_ablation *ablation, size_t i)
{
	u64 all = all_steps(ablation);

	return value(ablation, all) - value(ablation, all & ~(1ull << i));
}

static s64 in_order(const struct rf_ablation *ablation, size_t i)
{
	return value(ablation, steps_until(i + 1)) - value(ablation, steps_until(i));
}

static bool counts_alike(const struct rf_ablation *ablation, u64 a, u64 b)
{
	return rf_counts_alike(find(ablation, a)->policy, find(ablation, b)->policy);
}

/* No counter of any operation, however it is tried. */
static bool is_inert(const struct rf_ablation *ablation, size_t i)
{
	u64 all = all_steps(ablation), with = rf_steps_with_needs(&ablation->steps, i);

	return counts_alike(ablation, with, with & ~(1ull << i)) &&
	       counts_alike(ablation, steps_until(i), steps_until(i + 1)) &&
	       counts_alike(ablation, all, all & ~(1ull << i));
}

static void sort_steps(struct rf_ablation *ablation)
{
	size_t i;

	for (i = 0; i < ablation->steps.nr; i++) {
		if (is_inert(ablation, i))
			ablation->inert |= 1ull << i;
		else if (alone(ablation, i) || in_order(ablation, i) || at_target(ablation, i))
			ablation->players |= 1ull << i;
		else
			ablation->others |= 1ull << i;
	}
}

/* ---- shares ---- */

/* Steps that do not matter are there always: what others need is among them. */
static u64 with_bystanders(const struct rf_ablation *ablation, u64 set)
{
	return set | (all_steps(ablation) & ~ablation->players);
}

static s64 ask(void *context, u64 set)
{
	want(context, with_bystanders(context, set));
	return 0;
}

static s64 answer(void *context, u64 set)
{
	return value(context, with_bystanders(context, set));
}

/* One of them does something else at the target than on the base. */
static bool may_interact(const struct rf_ablation *ablation, size_t i, size_t k)
{
	u64 both = 1ull << i | 1ull << k;

	return (ablation->players & both) == both && (alone(ablation, i) != at_target(ablation, i) ||
						      alone(ablation, k) != at_target(ablation, k));
}

static u64 without_both(const struct rf_ablation *ablation, size_t i, size_t k)
{
	return all_steps(ablation) & ~(1ull << i | 1ull << k);
}

void rf_ablation_shares(struct rf_ablation *ablation, u64 seed, size_t max)
{
	size_t i, k;

	sort_steps(ablation);
	rf_shares_plan(&ablation->shares, ablation->players, seed, max);
	rf_shares_compute(&ablation->shares, ask, ablation);
	for (i = 0; i < ablation->steps.nr; i++)
		for (k = 0; k < i; k++)
			if (may_interact(ablation, i, k))
				want(ablation, without_both(ablation, i, k));
}

/* ---- the result ---- */

static json_t *step_object(const struct rf_ablation *ablation, size_t i)
{
	const struct rf_step *step = &ablation->steps.steps[i];
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "patch", rf_step_name(step), "title",
				   step->patch ? step->patch->title : "no patch of the table", "release",
				   step->patch ? step->patch->release : "", "sets", step->knobs);

	json_object_set_new(object, "share", json_real(ablation->shares.share[i]));
	json_object_set_new(object, "error", json_real(ablation->shares.error[i]));
	json_object_set_new(object, "alone", json_integer(alone(ablation, i)));
	json_object_set_new(object, "at_target", json_integer(at_target(ablation, i)));
	json_object_set_new(object, "in_order", json_integer(in_order(ablation, i)));
	return object;
}

/* What saves most first. */
static json_t *ranking(const struct rf_ablation *ablation)
{
	json_t *list = json_array();
	u64 left = ablation->players;
	size_t i, best;

	while (left) {
		best = __builtin_ctzll(left);
		for (i = best; i < ablation->steps.nr; i++)
			if (left >> i & 1 && ablation->shares.share[i] < ablation->shares.share[best])
				best = i;
		json_array_append_new(list, step_object(ablation, best));
		left &= ~(1ull << best);
	}
	return list;
}

static bool is_untold(const struct rf_step *step)
{
	return step->patch && rf_patch_untold(step->patch);
}

static json_t *names_of(const struct rf_ablation *ablation, u64 set)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < ablation->steps.nr; i++)
		if (set >> i & 1 && !is_untold(&ablation->steps.steps[i]))
			json_array_append_new(list, json_string(rf_step_name(&ablation->steps.steps[i])));
	return list;
}

/* Of what kernels between the two have, or what was asked for. */
static json_t *untold(const struct rf_ablation *ablation)
{
	const struct rf_policy *from = ablation->steps.from, *to = ablation->steps.to;
	json_t *list = json_array();
	const struct rf_patch *patch;
	size_t i, k;

	for (i = 0; (patch = rf_patch_at(i)); i++) {
		bool between = to && !patch->knobs && rf_patch_is_in(patch, to) && !rf_patch_is_in(patch, from);

		for (k = 0; k < ablation->steps.nr; k++)
			between |= ablation->steps.steps[k].patch == patch;
		if (rf_patch_untold(patch) && between && (!patch->arch || !strcmp(patch->arch, from->arch->name)))
			json_array_append_new(list, json_pack("{s:s, s:s}", "patch", patch->id, "reason",
							      rf_patch_untold(patch)));
	}
	return list;
}

/* One of the two does something else where the other is not: the one that does more. */
static void add_interaction(const struct rf_ablation *ablation, size_t i, size_t k, json_t *list)
{
	u64 all = all_steps(ablation);
	s64 neither = value(ablation, without_both(ablation, i, k));
	s64 only_i = value(ablation, all & ~(1ull << k)) - neither;
	s64 only_k = value(ablation, all & ~(1ull << i)) - neither;
	s64 both = value(ablation, all) - neither, whole = value(ablation, 0);
	bool k_more = llabs(only_k) > llabs(only_i);

	if (value(ablation, all) > whole)
		whole = value(ablation, all);
	if (llabs(both - only_i - only_k) * INTERACTION_PART <= whole)
		return;
	json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I}",
					      "patch", rf_step_name(&ablation->steps.steps[k_more ? k : i]),
					      "without", rf_step_name(&ablation->steps.steps[k_more ? i : k]),
					      "change", (json_int_t)(k_more ? only_k : only_i),
					      "change_with", (json_int_t)(both - (k_more ? only_i : only_k))));
}

json_t *rf_ablation_result(struct rf_ablation *ablation)
{
	json_t *interactions = json_array();
	size_t i, k;

	rf_shares_compute(&ablation->shares, answer, ablation);
	for (i = 0; i < ablation->steps.nr; i++)
		for (k = 0; k < i; k++)
			if (may_interact(ablation, i, k))
				add_interaction(ablation, i, k, interactions);
	return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}",
			 "schema", RF_ABLATION_SCHEMA, "by", ablation->by.key,
			 "from_counts", (json_int_t)value(ablation, 0),
			 "to_counts", (json_int_t)value(ablation, all_steps(ablation)),
			 "patches", ranking(ablation), "interactions", interactions,
			 "other_counters_only", names_of(ablation, ablation->others),
			 "cannot_matter_here", names_of(ablation, ablation->inert),
			 "cannot_be_judged", untold(ablation),
			 "columns", (json_int_t)ablation->nr, "orders", (json_int_t)ablation->shares.orders,
			 "seed", (json_int_t)ablation->shares.seed);
}

void rf_ablation_free(struct rf_ablation *ablation)
{
	size_t i;

	for (i = 0; i < ablation->nr; i++)
		json_decref(ablation->columns[i].policy);
	free(ablation->columns);
}
