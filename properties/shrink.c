// SPDX-License-Identifier: MIT
/*
 * From a failing run to a short list of steps that fails in the same way: stretches of steps are left out, long ones
 * first, as long as the same oracle still speaks. Steps that stand on one that was left out are skipped.
 */
#include <stdlib.h>
#include <string.h>

#include "property.h"

#define MAX_RUNS 400

static bool still_fails(const struct config *config, const struct step *steps, size_t nr, const char *oracle,
			struct failure *failure)
{
	struct world *w = world_create(config);
	bool same = false;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!acceptable(w, &steps[i].op))
			continue;
		if (world_step(w, &steps[i]) && (i != nr - 1 || world_check_all(w)))
			continue;
		same = !strcmp(w->failure.oracle, oracle);
		*failure = w->failure;
		break;
	}
	world_destroy(w);
	return same;
}

static size_t shrink(const struct config *config, struct step *steps, size_t nr, struct failure *failure)
{
	struct step *fewer = malloc(nr * sizeof(*fewer));
	size_t length, at;
	int runs = 0;

	if (!fewer)
		return nr;
	for (length = nr / 2; length && runs < MAX_RUNS; length /= 2) {
		for (at = 0; at + length <= nr && runs < MAX_RUNS; runs++) {
			struct failure other;

			memcpy(fewer, steps, at * sizeof(*steps));
			memcpy(fewer + at, steps + at + length, (nr - at - length) * sizeof(*steps));
			if (!still_fails(config, fewer, nr - length, failure->oracle, &other)) {
				at += length;
				continue;
			}
			nr -= length;
			memcpy(steps, fewer, nr * sizeof(*steps));
			*failure = other;
		}
	}
	free(fewer);
	return nr;
}

static void print_step(const struct step *step)
{
	const struct rf_op *op = &step->op;

	printf("  %-12s mm %u addr %#llx end %#llx nr %u pfn %#llx order %u flags %#x vm_flags %#x why %u ",
	       op->kind == STEP_HARDWARE ? "(hardware)" : rf_op_names[op->kind], op->mm, (unsigned long long)op->addr,
	       (unsigned long long)op->end, op->nr, (unsigned long long)op->pfn, op->order, op->flags, op->vm_flags,
	       op->why);
	printf("addr2 %#llx aux %#llx choice %llu\n", (unsigned long long)op->addr2, (unsigned long long)op->aux,
	       (unsigned long long)step->choice);
}

void report_failure(const struct config *config, const struct step *steps, size_t nr, const struct failure *failure)
{
	struct step *kept = malloc(nr * sizeof(*kept));
	struct failure last = *failure;
	size_t i;

	printf("%s, seed %#llx, step %zu: %s: %s\n", config->spec, (unsigned long long)config->seed, failure->step,
	       failure->oracle, failure->text);
	printf("again: REFOLD_POLICY='%s' REFOLD_SEED=%#llx\n", config->spec, (unsigned long long)config->seed);
	if (!kept)
		return;
	memcpy(kept, steps, nr * sizeof(*kept));
	nr = shrink(config, kept, nr, &last);
	printf("%zu steps lead to %s: %s\n", nr, last.oracle, last.text);
	for (i = 0; i < nr; i++)
		print_step(&kept[i]);
	free(kept);
}
