/* SPDX-License-Identifier: MIT */
/* What a policy is beside the point it starts from: NAME+part=value+part=value. */
#ifndef REFOLD_ENGINE_POLICY_PARTS_H
#define REFOLD_ENGINE_POLICY_PARTS_H

#include "engine/policy/policy.h"

#define RF_MAX_PARTS 64

/* cpu=NAME (cpus.h), patch=ID, mitigation=NAME:on|off, or a knob. */
struct rf_part {
	const char *name, *value;
};

/*
 * Make them of a policy that is a named point: the CPU first, then mitigations, then patches with what they need, then
 * knobs, in whatever order they were said. What is said twice, or against a patch that is said, is refused (-EINVAL).
 * What was pulled in, and what has no effect there, goes to policy->notes.
 */
int rf_policy_set_parts(struct rf_policy *policy, const struct rf_part *parts, size_t nr, struct rf_error *err);

#endif
