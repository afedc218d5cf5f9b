/* SPDX-License-Identifier: MIT */
/* The knobs of core mm, which mean something on every architecture (core_knobs.c). */
#ifndef REFOLD_ENGINE_POLICY_CORE_KNOBS_H
#define REFOLD_ENGINE_POLICY_CORE_KNOBS_H

#include "engine/policy/policy.h"

/* In alphabetical order; ended by one without a name. */
extern const struct knob core_knobs[];

#endif
