// SPDX-License-Identifier: MIT
/*
 * From one policy to another in steps. Patches are tried in the order of the table, which is that of releases: a later
 * one may set again what an earlier one set. What differs after the last of them is no patch's: stable fixes, CPUs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/steps.h"

const char *rf_step_name(const struct rf_step *step)
{
	return step->patch ? step->patch->id : step->knobs;
}

/* ---- sets ---- */

/* Those that this policy's architecture has. */
static void keep_known(const char *list, const struct rf_policy *policy, char *knobs, size_t size)
{
	char copy[512], *rest = copy, *knob, value[32];
	struct rf_line line;

	rf_line_begin(&line, knobs, size);
	snprintf(copy, sizeof(copy), "%s", list);
	while (*copy && (knob = strsep(&rest, " "))) {
		char *equals = strchr(knob, '=');

		*equals = '\0';
		if (!rf_policy_value(policy, knob, value, sizeof(value)))
			continue;
		*equals = '=';
		rf_line_add(&line, "%s%s", line.used ? " " : "", knob);
	}
}

void rf_steps_policy(const struct rf_steps *steps, u64 set, struct rf_policy *policy)
{
	char all[sizeof(steps->steps->knobs)], knobs[sizeof(all)];
	const struct rf_step *step;
	size_t i;

	*policy = *steps->from;
	for (i = 0; i < steps->nr; i++) {
		step = &steps->steps[i];
		if (!(set >> i & 1))
			continue;
		if (step->patch)
			rf_patch_knobs_on(step->patch, policy, all, sizeof(all));
		keep_known(step->patch ? all : step->knobs, policy, knobs, sizeof(knobs));
		rf_policy_set_all(policy, knobs, NULL);
	}
}

u64 rf_steps_with_needs(const struct rf_steps *steps, size_t step)
{
	return steps->steps[step].needs | 1ull << step;
}

/* ---- finding them ---- */

/* It sets a knob in which the two differ, to what the first has not. */
static bool leads(const struct rf_patch *patch, const struct rf_policy *from, const struct rf_policy *to)
{
	char copy[512], *rest = copy, *knob, *equals, before[32], after[32];
	bool between = rf_patch_is_in(patch, to) && !rf_patch_is_in(patch, from);

	if (patch->arch && strcmp(patch->arch, from->arch->name))
		return false;
	if (!strcmp(patch->id, RF_PATCH_CVE))
		return rf_patch_is_set(patch, to);
	snprintf(copy, sizeof(copy), "%s", patch->knobs ? patch->knobs : "");
	while (*copy && (knob = strsep(&rest, " "))) {
		equals = strchr(knob, '=');
		*equals++ = '\0';
		if (rf_policy_value(from, knob, before, sizeof(before)) &&
		    rf_policy_value(to, knob, after, sizeof(after)) && strcmp(before, after) &&
		    strcmp(before, equals) && (between || !strcmp(after, equals)))
			return true;
	}
	return false;
}

static bool is_listed(const char *list, const struct rf_patch *patch)
{
	char copy[1024], *rest = copy, *id;

	snprintf(copy, sizeof(copy), "%s", list);
	while ((id = strsep(&rest, ",")))
		if (rf_patch_find(id) == patch)
			return true;
	return false;
}

static int check_list(const char *list, struct rf_error *err)
{
	char copy[1024], *rest = copy, *id, nearest[128];

	snprintf(copy, sizeof(copy), "%s", list);
	while ((id = strsep(&rest, ","))) {
		if (rf_patch_find(id))
			continue;
		rf_patch_nearest(id, nearest, sizeof(nearest));
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "no patch '%.60s'; the nearest are %s, 'refold patches' lists all", id, nearest);
	}
	return 0;
}

static bool is_needed_by(const struct rf_patch *patch, const struct rf_patch *by)
{
	char copy[128], *rest = copy, *id;

	snprintf(copy, sizeof(copy), "%s", by->needs ? by->needs : "");
	while (*copy && (id = strsep(&rest, " ")))
		if (rf_patch_find(id) == patch || is_needed_by(patch, rf_patch_find(id)))
			return true;
	return false;
}

/* On the list, or needed by one that is. */
static bool is_wanted(const char *list, const struct rf_patch *patch)
{
	const struct rf_patch *other;
	size_t i;

	if (is_listed(list, patch))
		return true;
	for (i = 0; (other = rf_patch_at(i)); i++)
		if (is_listed(list, other) && is_needed_by(patch, other))
			return true;
	return false;
}

static struct rf_step *add_step(struct rf_steps *steps, const struct rf_patch *patch, struct rf_error *err)
{
	struct rf_step *step = &steps->steps[steps->nr];

	if (steps->nr == RF_MAX_STEPS) {
		rf_error_set(err, -E2BIG, RF_NO_OFFSET, "more than %d patches lie between; name some with --patches",
			     RF_MAX_STEPS);
		return NULL;
	}
	steps->nr++;
	*step = (struct rf_step){ .patch = patch };
	return step;
}

static void find_needs(struct rf_steps *steps)
{
	size_t i, k;

	for (i = 0; i < steps->nr; i++)
		for (k = 0; k < steps->nr && steps->steps[i].patch; k++)
			if (steps->steps[k].patch && is_needed_by(steps->steps[k].patch, steps->steps[i].patch))
				steps->steps[i].needs |= 1ull << k;
}

/* What all patches leave different; one step each, or one for all that was not asked for. */
static int add_rest(struct rf_steps *steps, const struct rf_policy *to, bool together, struct rf_error *err)
{
	char value[32], reached[32];
	struct rf_step *step = NULL;
	struct rf_policy policy;
	const char *knob;
	size_t i, used;

	rf_steps_policy(steps, ~0ull, &policy);
	for (i = 0; rf_policy_knob(to, i, &knob, value, sizeof(value)); i++) {
		if (!rf_policy_value(&policy, knob, reached, sizeof(reached)) || !strcmp(value, reached) ||
		    !rf_policy_knob_works(to, knob))
			continue;
		if (!step || !together)
			step = add_step(steps, NULL, err);
		if (!step)
			return -E2BIG;
		used = strlen(step->knobs);
		snprintf(step->knobs + used, sizeof(step->knobs) - used, "%s%s=%s", used ? " " : "", knob, value);
	}
	return 0;
}

int rf_steps_between(struct rf_steps *steps, const struct rf_policy *from, const struct rf_policy *to,
		     const char *patches, struct rf_error *err)
{
	const struct rf_patch *patch;
	struct rf_step *step;
	size_t i;
	int ret = patches ? check_list(patches, err) : 0;

	*steps = (struct rf_steps){ .from = from, .to = to };
	if (!ret && to && from->arch != to->arch)
		ret = rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.60s is of %s and %.60s of %s", from->name,
				   from->arch->name, to->name, to->arch->name);
	for (i = 0; !ret && (patch = rf_patch_at(i)); i++) {
		if (!patch->knobs || (patches && !is_wanted(patches, patch)) || rf_patch_is_set(patch, from))
			continue;
		if (to ? !leads(patch, from, to) : !is_listed(patches, patch) && rf_patch_is_in(patch, from))
			continue;
		step = add_step(steps, patch, err);
		ret = step ? 0 : -E2BIG;
		if (step)
			keep_known(patch->knobs, from, step->knobs, sizeof(step->knobs));
		if (step && !*step->knobs)
			steps->nr--;
	}
	find_needs(steps);
	if (!ret && to)
		ret = add_rest(steps, to, patches, err);
	if (!ret && !steps->nr)
		ret = rf_error_set(err, -EINVAL, RF_NO_OFFSET, "nothing lies between: %.60s has all of it", from->name);
	return ret;
}
