/* SPDX-License-Identifier: MIT */
/*
 * refold race: from policies, writers and readers to pairs that are explored, each once: policies that agree in what a
 * pair depends on share it.
 */
#ifndef REFOLD_RACE_PAIRS_H
#define REFOLD_RACE_PAIRS_H

#include "engine/policy/policy.h"
#include "race/race.h"

struct race_pair {
	struct race_policy policy;
	struct race_setup setup;	/* points to policy */
	char policies[400];		/* names, separated by commas */
	u64 shared_by;			/* BIT_ULL(index) of those */
	struct race_result result;
};

struct race_pairs {
	struct race_pair *pairs;
	size_t nr;
	char skipped[400];		/* policies without contiguous blocks, separated by commas */
};

/* What to explore: -1 is every writer or reader that a policy has. */
struct race_choice {
	int writer, reader;
	unsigned int n, hardware;
	u64 random, seed;		/* random: so many schedules; 0: all there are */
};

/* At most 64 policies. Sorted by policies, writer, reader. -ENOMEM; to be released. */
int race_pairs_plan(const struct rf_policy *policies, size_t nr, const struct race_choice *choice,
		    struct race_pairs *pairs);
/* The pairs of the negative controls, in their order. */
int race_pairs_controls(const struct race_choice *choice, struct race_pairs *pairs);
/* Explore all, on as many threads as there are CPUs; results do not depend on that. -ENOMEM; -E2BIG: see race.h. */
int race_pairs_run(struct race_pairs *pairs, const struct race_choice *choice);
void race_pairs_release(struct race_pairs *pairs);

#endif
