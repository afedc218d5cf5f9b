// SPDX-License-Identifier: MIT
/* The parts of a policy: patches and what they pull in, mitigations, knobs; and what of it contradicts itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/policy/cpus.h"
#include "engine/policy/parts.h"
#include "engine/policy/patches.h"

#define REPEAT_TLBI_SYNC "a8f78680ee6b"	/* one repeated TLBI for each wait, not for each TLBI */
#define CVE "CVE-2025-10263"

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

/* What it needs first, but for what is there; whose: the patch that was asked for. */
static int add_patch(struct making *making, const struct rf_patch *patch, const struct rf_patch *whose)
{
	char copy[128], text[256], *rest = copy, *id;
	int ret = 0;

	if (patch != whose && has_patch(making, patch))
		return 0;
	snprintf(copy, sizeof(copy), "%s", patch->needs ? patch->needs : "");
	while (!ret && *copy && (id = strsep(&rest, " ")))
		ret = add_patch(making, rf_patch_find(id), whose);
	if (ret || !patch->knobs)
		return ret;
	if (patch != whose) {
		snprintf(text, sizeof(text), "patch %s pulls in %s, %s: %s", whose->id, patch->id, patch->title,
			 patch->knobs);
		note(making, text);
	}
	return rf_policy_set_all(making->policy, patch->knobs, making->err);
}

static int no_such_patch(const char *id, struct rf_error *err)
{
	char list[128];

	rf_patch_nearest(id, list, sizeof(list));
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no patch '%.60s'; the nearest are %s, 'refold patches' lists all",
			    id, list);
}

static int set_cve(struct making *making, bool on);

static int set_patch(struct making *making, const char *id)
{
	const struct rf_patch *patch = rf_patch_find(id);
	char text[256];

	if (!strcmp(id, CVE))
		return set_cve(making, true);
	if (!patch)
		return no_such_patch(id, making->err);
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

/* ---- mitigations ---- */

/* Stable kernels that took the newer form of the work-around; mainline has it since 7.0. */
static bool repeats_once_per_wait(const struct making *making)
{
	static const char *const stable[] = { "6.1.176", "6.12.117", "6.18" };
	const char *release = rf_policy_release(&making->point);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stable); i++)
		if (!strcmp(stable[i], release))
			return true;
	return rf_patch_is_in(rf_patch_find(REPEAT_TLBI_SYNC), &making->point) ||
	       making->policy->arch_knobs.repeat_tlbi == REPEAT_TLBI_NEW;
}

/* ARM64_WORKAROUND_REPEAT_TLBI for the CPUs of that list, as the kernel has it; the list alone brings the old form. */
static int set_cve(struct making *making, bool on)
{
	const char *form = !on ? "off" : repeats_once_per_wait(making) ? "new" : "old";

	return rf_policy_set(making->policy, "repeat_tlbi", form, making->err);
}

static int set_mitigation(struct making *making, const char *value)
{
	size_t length = strlen(CVE);
	bool on = !strcmp(value + strcspn(value, ":"), ":on");

	if (strncmp(value, CVE, length) || (strcmp(value + length, ":on") && strcmp(value + length, ":off")))
		return rf_error_set(making->err, -EINVAL, RF_NO_OFFSET, "mitigation '%.60s' is not " CVE ":on or :off",
				    value);
	return set_cve(making, on);
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
			ret = rf_cpu_set(policy, parts[i].value, repeats_once_per_wait(&making), err);
	making.point = *policy;
	for (i = 0; i < nr && !ret; i++)
		if (!strcmp(parts[i].name, "patch"))
			ret = set_patch(&making, parts[i].value);
	for (i = 0; i < nr && !ret; i++)
		if (!strcmp(parts[i].name, "mitigation"))
			ret = set_mitigation(&making, parts[i].value);
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
