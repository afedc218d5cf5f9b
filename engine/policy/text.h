/* SPDX-License-Identifier: MIT */
/* Policies as users write them, on the command line or in files. */
#ifndef REFOLD_ENGINE_POLICY_TEXT_H
#define REFOLD_ENGINE_POLICY_TEXT_H

#include "engine/policy/policy.h"

/*
 * A policy as the user writes it: [LABEL=]NAME[+part=value...] (parts.h), or FILE.json = {"base": NAME, "part":
 * value...} with an optional "name"; its backend may be loaded (loaded.h), in a file by "kernel": TREE or "backend":
 * FILE.so. The result's name is the label, or the text as given; for a file its "name" or
 * else its base name without ".json". Errors (-EINVAL, -ENOENT...) are sentences that name the policy or file and
 * what exists.
 */
int rf_policy_parse(const char *text, struct rf_policy *policy, struct rf_error *err);
/*
 * The same for a list separated by commas, appended to the nr policies that are there; at most max. "all" in a list is
 * every named policy, "all+knob=value" every one for which that knob means something. Returns how many there are then,
 * or a negative errno. Names must differ.
 */
int rf_policy_parse_list(const char *text, struct rf_policy *policies, size_t nr, size_t max, struct rf_error *err);

#endif
