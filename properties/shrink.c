// SPDX-License-Identifier: MIT
/*
 * From a failing run to a short list of steps that fails in the same way: stretches of steps are left out, long ones
 * first, as long as the same oracle still speaks. Steps that stand on one that was left out are skipped. What remains
 * is made smaller where it can be: fewer pages, no pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "properties/property.h"

#define MAX_RUNS 600
#define MAX_HANGS 4

struct attempt {
	const struct config *config;
	const struct step *steps;
	size_t nr;
	const char *oracle;
	struct failure failure;
	bool same;
	size_t failing;		/* the step that failed, in the list */
	int runs, hangs;	/* of all attempts */
};

static bool exhausted(const struct attempt *attempt)
{
	return attempt->runs >= MAX_RUNS || attempt->hangs >= MAX_HANGS;
}

static void try_steps(void *context)
{
	struct attempt *attempt = context;
	struct trial *t = trial_create(attempt->config);
	size_t i;

	for (i = 0; i < attempt->nr; i++) {
		if (!acceptable(t, &attempt->steps[i].op))
			continue;
		if (trial_step(t, &attempt->steps[i]) && (i != attempt->nr - 1 || trial_check_all(t)))
			continue;
		attempt->same = !strcmp(t->failure.oracle, attempt->oracle);
		attempt->failure = t->failure;
		attempt->failing = i;
		break;
	}
	trial_destroy(t);
}

static bool still_fails(struct attempt *attempt, const struct step *steps, size_t nr)
{
	attempt->steps = steps;
	attempt->nr = nr;
	attempt->same = false;
	attempt->runs++;
	if (crash_run(try_steps, attempt) || !attempt->same)
		return false;
	attempt->hangs += attempt->failure.hangs;
	return true;
}

/* Shorter by what comes after the failing step, too. */
static size_t leave_out(struct attempt *attempt, struct step *steps, size_t nr, struct step *fewer,
			struct failure *failure)
{
	size_t length, at;

	for (length = nr / 2; length && !exhausted(attempt); length /= 2) {
		for (at = 0; at + length <= nr && !exhausted(attempt);) {
			memcpy(fewer, steps, at * sizeof(*steps));
			memcpy(fewer + at, steps + at + length, (nr - at - length) * sizeof(*steps));
			if (!still_fails(attempt, fewer, nr - length)) {
				at += length;
				continue;
			}
			nr = attempt->failing + 1;
			memcpy(steps, fewer, nr * sizeof(*steps));
			*failure = attempt->failure;
		}
	}
	return nr;
}

/* One of the ways to make a step smaller; false: there are no more, true with nothing changed: this is none. */
static bool smaller(struct step *step, unsigned int way)
{
	switch (way) {
	case 0:		/* in one piece: trial_step() */
		step->choice |= 1;
		return true;
	case 1:
		step->op.nr = step->op.nr > 1 ? step->op.nr / 2 : step->op.nr;
		return true;
	case 2:
		step->op.nr = step->op.nr > 1 ? 1 : step->op.nr;
		return true;
	}
	return false;
}

static void make_smaller(struct attempt *attempt, struct step *steps, size_t nr, struct failure *failure)
{
	unsigned int way;
	struct step kept;
	size_t i;

	for (i = 0; i < nr; i++) {
		for (way = 0; !exhausted(attempt); way++) {
			kept = steps[i];
			if (!smaller(&steps[i], way))
				break;
			if (!memcmp(&kept, &steps[i], sizeof(kept)))
				continue;
			if (still_fails(attempt, steps, nr) && attempt->failing == nr - 1)
				*failure = attempt->failure;
			else
				steps[i] = kept;
		}
	}
}

size_t shrink(const struct config *config, struct step *steps, size_t nr, struct failure *failure)
{
	struct step *fewer = malloc(nr * sizeof(*fewer));
	struct attempt attempt = { .config = config };
	char oracle[sizeof(failure->oracle)];

	if (!fewer)
		return nr;
	strcpy(oracle, failure->oracle);
	attempt.oracle = oracle;
	nr = leave_out(&attempt, steps, nr, fewer, failure);
	make_smaller(&attempt, steps, nr, failure);
	free(fewer);
	return nr;
}
