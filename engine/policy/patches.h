/* SPDX-License-Identifier: MIT */
/*
 * Upstream changes as data: what a patch sets, since when kernels have it, who took it back, and how that is known. A
 * policy NAME+patch=ID is that kernel with the patch and with what the patch needs first (parts.c).
 */
#ifndef REFOLD_ENGINE_POLICY_PATCHES_H
#define REFOLD_ENGINE_POLICY_PATCHES_H

#include "engine/policy/policy.h"

#define RF_PATCH_CVE "CVE-2025-10263"		/* the list of cores that repeat their TLBIs */
#define RF_PATCH_REPEAT_ONCE "a8f78680ee6b"	/* one repeated TLBI for each wait, not for each TLBI */

struct rf_patch {
	const char *id;		/* of the commit, the last of its series; a name where none is known, or for a series */
	const char *title;
	const char *release;	/* the first with it, "6.9"; "" if no kernel has it, or it is several patches */
	const char *knobs;	/* "knob=value knob=value"; NULL: none */
	const char *needs;	/* ids of what must be there first, or what a series is made of; NULL: nothing */
	const char *backports;	/* "6.12.y, deepin 6.6 (PR 1999)"; NULL: none known */
	const char *arch;	/* the only one it is for; NULL: any that has its knobs */
	const char *known;	/* "6.1 no, 6.12 yes": read in both; "told": public text only */
};

/* In order of release; NULL past the end. */
const struct rf_patch *rf_patch_at(size_t index);
/* By its id, by a longer or shorter form of it (7 digits at least), or by its name. */
const struct rf_patch *rf_patch_find(const char *id);
/* The nearest three names, for an error: "a, b and c". */
void rf_patch_nearest(const char *id, char *list, size_t size);
/* Is the kernel that the point follows one that came with this release of mainline, or later? */
bool rf_patch_is_in(const struct rf_patch *patch, const struct rf_policy *point);
/* The policy has it: all that it sets is so. */
bool rf_patch_is_set(const struct rf_patch *patch, const struct rf_policy *policy);
/*
 * "knob=value knob=value", what it sets on the policy as it is: a work-around or an elision only if a core of cpu= has
 * a use for it, the list of a CVE in the form that the kernel has of its work-around. "" if nothing.
 */
void rf_patch_knobs_on(const struct rf_patch *patch, const struct rf_policy *policy, char *knobs, size_t size);
/* A TLBI is repeated once for each wait, where it is repeated at all. */
bool rf_repeats_once(const struct rf_policy *policy);

/* Why no recording shows what the patch does, or NULL. */
const char *rf_patch_untold(const struct rf_patch *patch);

#endif
