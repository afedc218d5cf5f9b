/* SPDX-License-Identifier: MIT */
/* The property tests on one policy: refold backend check. */
#ifndef REFOLD_PROPERTIES_CHECK_H
#define REFOLD_PROPERTIES_CHECK_H

#include "properties/property.h"

struct check_options {
	u64 steps, seed;
	u32 skipped;		/* config.skipped */
};

struct check_result {
	u64 steps;		/* that were taken */
	unsigned int cpus;	/* kinds of CPU that they were taken on */
	/* If a property fails: of what configuration, after which steps; shrunk. */
	struct failure failure;
	struct config config;
	u64 failing_seed;
	struct step *shortest;	/* freed by check_forget() */
	size_t nr_shortest;
};

/*
 * Random steps in episodes that each begin with nothing mapped, on CPUs with and without what the policy's architecture
 * leaves to a CPU, until a property fails. Hooks of loaded backends are guarded. 0, whether one fails or not; -ENOMEM.
 */
int check_policy(const struct rf_policy *policy, const struct check_options *options, struct check_result *result);
void check_forget(struct check_result *result);

#endif
