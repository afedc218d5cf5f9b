// SPDX-License-Identifier: MIT
/* refold policies --patches A..B: which patches of the table make B of A, and what differs that none of them says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/patches.h"

/* The patch sets knobs of this architecture, one of them to what B has and A has not. */
static bool explains(const struct rf_patch *patch, const struct rf_policy *a, const struct rf_policy *b,
		     const char *which)
{
	char copy[512], *rest = copy, *knob, *equals, before[32], after[32];

	if (patch->arch && strcmp(patch->arch, b->arch->name))
		return false;
	snprintf(copy, sizeof(copy), "%s", patch->knobs ? patch->knobs : "");
	while (*copy && (knob = strsep(&rest, " "))) {
		equals = strchr(knob, '=');
		*equals++ = '\0';
		if (which && strcmp(which, knob))
			continue;
		if (rf_policy_value(a, knob, before, sizeof(before)) &&
		    rf_policy_value(b, knob, after, sizeof(after)) &&
		    strcmp(before, after) && !strcmp(after, equals))
			return true;
	}
	return false;
}

/* Knobs that differ and no row of the table says so: stable fixes, CPUs, what was added by hand. */
static void print_unexplained(const struct rf_policy *a, const struct rf_policy *b)
{
	const struct rf_patch *patch;
	char before[32], after[32];
	const char *knob;
	size_t i, j;

	for (i = 0; rf_policy_knob(b, i, &knob, after, sizeof(after)); i++) {
		if (!rf_policy_value(a, knob, before, sizeof(before)) || !strcmp(before, after))
			continue;
		for (j = 0; (patch = rf_patch_at(j)) && !explains(patch, a, b, knob); j++)
			;
		if (!patch)
			printf("%-20s %-5s %s instead of %s\n", knob, "", after, before);
	}
}

int rf_patches_between(const char *range)
{
	const char *dots = strstr(range, "..");
	struct rf_policy *policies = calloc(2, sizeof(*policies));
	const struct rf_patch *patch;
	struct rf_error err;
	char *from = dots ? strndup(range, dots - range) : NULL;
	int ret = RF_EXIT_DONE;
	size_t i;

	if (!policies || (dots && !from))
		ret = rf_command_errno("policies", "cannot start", -ENOMEM);
	else if (!dots)
		ret = rf_command_usage("policies", "--patches is A..B, not '%.60s'", range);
	else if (rf_policy_parse(from, &policies[0], &err) || rf_policy_parse(dots + 2, &policies[1], &err))
		ret = rf_command_usage("policies", "%s", err.message);
	else if (policies[0].arch != policies[1].arch)
		ret = rf_command_usage("policies", "'%.60s' is of %s and %s", range, policies[0].arch->name,
				       policies[1].arch->name);
	for (i = 0; !ret && (patch = rf_patch_at(i)); i++)
		if (explains(patch, &policies[0], &policies[1], NULL))
			rf_patch_print(patch);
	if (!ret)
		print_unexplained(&policies[0], &policies[1]);
	free(policies);
	free(from);
	return ret;
}
