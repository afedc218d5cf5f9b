/* SPDX-License-Identifier: MIT */
/*
 * What lies between two policies, in steps: the patches of the table that make one of the other, then what no patch
 * says. Any set of them is a policy of its own, so that each can be tried alone, or left out.
 */
#ifndef REFOLD_ENGINE_POLICY_STEPS_H
#define REFOLD_ENGINE_POLICY_STEPS_H

#include "engine/policy/patches.h"

#define RF_MAX_STEPS 64

struct rf_step {
	const struct rf_patch *patch;	/* NULL: knobs that no patch of the table sets so */
	char knobs[512];		/* "knob=value knob=value", those that this architecture has */
	u64 needs;			/* steps that its patch stands on, with what those need */
};

/* In order of release. */
struct rf_steps {
	const struct rf_policy *from, *to;	/* to: NULL where it is from with the steps */
	struct rf_step steps[RF_MAX_STEPS];
	size_t nr;
};

/*
 * Find the steps that lead from one policy to another of the same architecture. patches: "id,id", the only ones to be
 * steps, all else being one; NULL: all of them. to NULL: from with these patches and what they need. -EINVAL, -E2BIG.
 */
int rf_steps_between(struct rf_steps *steps, const struct rf_policy *from, const struct rf_policy *to,
		     const char *patches, struct rf_error *err);
/* The policy with this set of them: a bit for each, in order. What a step needs may be left out, as a what-if. */
void rf_steps_policy(const struct rf_steps *steps, u64 set, struct rf_policy *policy);
/* The set of a step and of what it needs. */
u64 rf_steps_with_needs(const struct rf_steps *steps, size_t step);
/* The id of its patch, or its knobs. */
const char *rf_step_name(const struct rf_step *step);

#endif
