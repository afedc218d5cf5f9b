// SPDX-License-Identifier: MIT
/* The parts of a policy: patches and what they pull in, mitigations, knobs; and what of it contradicts itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/cpus.h"
#include "engine/policy/parts.h"
#include "engine/policy/patches.h"

struct making {
	struct rf_policy *policy;
	struct rf_policy point;		/* as it was, but for the CPU */
	struct rf_line notes;
	struct rf_error *err;
};

static bool is_knob(const struct rf_part *part)
{
	return strcmp(part->name, "patch") && strcmp(part->name, "mitigation") && strcmp(part->name, "cpu");
}

static void note(struct making *making, const char *text)
{
	rf_line_add(&making->notes, "%s%s", making->notes.used ? "\n" : "", text);
}

/* ---- patches ---- */

/* Named points that are no mainline kernel have what their knobs say, whatever release they are of. */
static bool is_kernel(const struct rf_policy *point)
{
	return !strncmp(point->base, "linux-", 6) || !strncmp(point->base, "x86-", 4) ||
	       !strncmp(point->base, "riscv-", 6);
}

static bool has_patch(const struct making *making, const struct rf_patch *patch)
{
	if (rf_patch_is_set(patch, making->policy))
		return true;
	return patch->knobs && is_kernel(&making->point) && rf_patch_is_in(patch, &making->point);
}

/* A part of what whose is: what it sets here, and that it sets less than it says. */
static int set_knobs(struct making *making, const struct rf_patch *patch, const struct rf_patch *whose)
{
	char knobs[256], text[512];

	rf_patch_knobs_on(patch, making->policy, knobs, sizeof(knobs));
	if (patch != whose) {
		snprintf(text, sizeof(text), "patch %s pulls in %s, %s: %s", whose->id, patch->id,
			 patch->title, *knobs ? knobs : "nothing");
		note(making, text);
	}
	if (*making->policy->cpu && strlen(knobs) < strlen(patch->knobs)) {
		snprintf(text, sizeof(text), "cpu=%s has no use for what patch %s sets: %s", making->policy->cpu,
			 patch->id, patch->knobs);
		note(making, text);
	}
	return rf_policy_set_all(making->policy, knobs, making->err);
}

/* What it needs first, but for what is there; whose: the patch that was asked for. */
static int add_patch(struct making *making, const struct rf_patch *patch, const struct rf_patch *whose)
{
	char copy[128], *rest = copy, *id;
	int ret = 0;

	if (patch != whose && has_patch(making, patch))
		return 0;
	snprintf(copy, sizeof(copy), "%s", patch->needs ? patch->needs : "");
	while (!ret && *copy && (id = strsep(&rest, " ")))
		ret = add_patch(making, rf_patch_find(id), whose);
	return ret || !patch->knobs ? ret : set_knobs(making, patch, whose);
}

static int set_patch(struct making *making, const struct rf_patch *patch)
{
	char text[256];

	if (patch->arch && strcmp(patch->arch, making->policy->arch->name))
		return rf_error_set(making->err, -EINVAL, RF_NO_OFFSET, "patch %s is for %s, which has no meaning on %s",
				    patch->id, patch->arch, making->policy->arch->name);
	if (!patch->knobs && !patch->needs)
		return rf_error_set(making->err, -EINVAL, RF_NO_OFFSET, "patch %s is nothing that a policy can have: %s",
				    patch->id, patch->known);
	if (has_patch(making, patch)) {
		snprintf(text, sizeof(text), "%s has patch %s already", making->point.base, patch->id);
		note(making, text);
		return 0;
	}
	return add_patch(making, patch, patch);
}

static bool is_patch(const struct rf_part *part)
{
	return !strcmp(part->name, "patch");
}

static int check_patches(const struct rf_part *parts, size_t nr, struct rf_error *err)
{
	char list[128];
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!is_patch(&parts[i]) || rf_patch_find(parts[i].value))
			continue;
		rf_patch_nearest(parts[i].value, list, sizeof(list));
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "no patch '%.60s'; the nearest are %s, 'refold patches' lists all", parts[i].value,
				    list);
	}
	return 0;
}

/* In the order of the table, however they were said: a later one may set again what an earlier one set. */
static int set_patches(struct making *making, const struct rf_part *parts, size_t nr)
{
	int ret = check_patches(parts, nr, making->err);
	const struct rf_patch *patch;
	size_t i, k;

	for (k = 0; !ret && (patch = rf_patch_at(k)); k++)
		for (i = 0; !ret && i < nr; i++)
			if (is_patch(&parts[i]) && rf_patch_find(parts[i].value) == patch)
				ret = set_patch(making, patch);
	return ret;
}

/* ---- mitigations ---- */

static int read_mitigation(struct making *making, const char *value, bool *on)
{
	size_t length = strlen(RF_PATCH_CVE);

	*on = !strcmp(value + strcspn(value, ":"), ":on");
	if (strncmp(value, RF_PATCH_CVE, length) || (strcmp(value + length, ":on") && strcmp(value + length, ":off")))
		return rf_error_set(making->err, -EINVAL, RF_NO_OFFSET,
				    "mitigation '%.60s' is not " RF_PATCH_CVE ":on or :off", value);
	return 0;
}

/* ARM64_WORKAROUND_REPEAT_TLBI for cores of that list, as the kernel has it; other errata ask for it all the same. */
static int set_mitigation(struct making *making, const char *value)
{
	const struct rf_patch *cve = rf_patch_find(RF_PATCH_CVE);
	char text[32];
	bool on;
	int ret = read_mitigation(making, value, &on);

	if (ret)
		return ret;
	if (!rf_policy_value(making->policy, "repeat_tlbi", text, sizeof(text)))
		return rf_error_set(making->err, -EINVAL, RF_NO_OFFSET,
				    "mitigation=" RF_PATCH_CVE " is for arm64, and has no meaning on %s",
				    making->policy->arch->name);
	if (on)
		return set_knobs(making, cve, cve);
	if (rf_cpu_has(making->policy, RF_CPU_ERRATUM, 0)) {
		note(making, "mitigation=" RF_PATCH_CVE ":off changes nothing: another erratum repeats");
		return 0;
	}
	return rf_policy_set(making->policy, "repeat_tlbi", "off", making->err);
}

/* ---- knobs ---- */

/* A knob must not take back what a patch brings that is said beside it. */
static int set_knob(struct making *making, const struct rf_part *part, const struct rf_policy *patched)
{
	char before[32], after[32], text[256];
	int ret;

	if (!rf_policy_value(patched, part->name, before, sizeof(before)))
		return rf_policy_set(making->policy, part->name, part->value, making->err);
	ret = rf_policy_set(making->policy, part->name, part->value, making->err);
	if (ret)
		return ret;
	rf_policy_value(making->policy, part->name, after, sizeof(after));
	if (!strcmp(before, after)) {
		snprintf(text, sizeof(text), "%s=%.40s changes nothing: it is so already", part->name, part->value);
		note(making, text);
		return 0;
	}
	rf_policy_value(&making->point, part->name, text, sizeof(text));
	if (strcmp(before, text))
		return rf_error_set(making->err, -EINVAL, RF_NO_OFFSET,
				    "%s=%.40s contradicts what was said beside it, which makes it %s", part->name,
				    part->value, before);
	return 0;
}

/* Once everything is set: what a knob needs may have been said after it. */
static void note_without_effect(struct making *making, const char *knob)
{
	char text[128];

	if (rf_policy_knob_works(making->policy, knob))
		return;
	snprintf(text, sizeof(text), "%s has no effect without %s", knob, rf_policy_knob_needs(knob));
	note(making, text);
}

/* ---- all of it ---- */

static int refuse_repeated(const struct rf_part *parts, size_t nr, struct rf_error *err)
{
	size_t i, j;

	for (i = 0; i < nr; i++)
		for (j = i + 1; j < nr; j++)
			if (!strcmp(parts[i].name, parts[j].name) &&
			    (strcmp(parts[i].name, "patch") || !strcmp(parts[i].value, parts[j].value)))
				return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s is said twice: %.40s and %.40s",
						    parts[i].name, parts[i].value, parts[j].value);
	return 0;
}

int rf_policy_set_parts(struct rf_policy *policy, const struct rf_part *parts, size_t nr, struct rf_error *err)
{
	struct making making = { .policy = policy, .point = *policy, .err = err };
	struct rf_policy patched;
	char notes[sizeof(policy->notes)];
	size_t i;
	int ret = refuse_repeated(parts, nr, err);

	rf_line_begin(&making.notes, notes, sizeof(notes));
	for (i = 0; i < nr && !ret; i++)
		if (!strcmp(parts[i].name, "cpu"))
			ret = rf_cpu_set(policy, parts[i].value, rf_repeats_once(policy), err);
	making.point = *policy;
	for (i = 0; i < nr && !ret; i++)
		if (!strcmp(parts[i].name, "mitigation"))
			ret = set_mitigation(&making, parts[i].value);
	if (!ret)
		ret = set_patches(&making, parts, nr);
	patched = *policy;
	for (i = 0; i < nr && !ret; i++)
		if (is_knob(&parts[i]))
			ret = set_knob(&making, &parts[i], &patched);
	for (i = 0; i < nr && !ret; i++)
		if (is_knob(&parts[i]))
			note_without_effect(&making, parts[i].name);
	memset(policy->notes, 0, sizeof(policy->notes));
	snprintf(policy->notes, sizeof(policy->notes), "%s", notes);
	return ret;
}
