// SPDX-License-Identifier: MIT
/* A list of steps, and the helper calls that each makes: what a failure looks like to a reader. */
#include <stdlib.h>

#include "properties/property.h"

#define MOST_CALLS 12	/* of a step: those before the last ones are counted only */

struct telling {
	const struct config *config;
	const struct step *steps;
	size_t nr;
	FILE *out;
	struct call_log log;
};

static void run_again(void *context)
{
	struct telling *telling = context;
	struct trial *t = trial_create(telling->config);
	size_t i;

	t->log = &telling->log;
	for (i = 0; i < telling->nr; i++) {
		t->step_number = i;
		if (acceptable(t, &telling->steps[i].op) && !trial_step(t, &telling->steps[i]))
			break;
	}
	trial_destroy(t);
}

static void tell_number(FILE *out, const char *name, u64 number)
{
	if (number)
		fprintf(out, " %s %#llx", name, (unsigned long long)number);
}

static void tell_step(FILE *out, const struct step *step)
{
	const struct rf_op *op = &step->op;

	fprintf(out, "  %s mm %u", op->kind == STEP_HARDWARE ? "hardware" : rf_op_names[op->kind], op->mm);
	tell_number(out, "addr", op->addr);
	tell_number(out, "end", op->end);
	if (op->nr)
		fprintf(out, " nr %u", op->nr);
	tell_number(out, "pfn", op->pfn);
	if (op->order)
		fprintf(out, " order %u", op->order);
	tell_number(out, "flags", op->flags);
	tell_number(out, "vm_flags", op->vm_flags);
	tell_number(out, "why", op->why);
	tell_number(out, "addr2", op->addr2);
	tell_number(out, "aux", op->aux);
	fputs("\n", out);
}

static void tell_calls(const struct telling *telling, size_t step)
{
	const struct logged_call *call = telling->log.calls, *end = call + telling->log.nr;
	size_t nr = 0;

	while (call < end && call->step != step)
		call++;
	while (call + nr < end && call[nr].step == step)
		nr++;
	if (nr > MOST_CALLS) {
		fprintf(telling->out, "      ... %zu calls\n", nr - MOST_CALLS);
		call += nr - MOST_CALLS;
		nr = MOST_CALLS;
	}
	for (; nr; nr--, call++) {
		if (call->nr)
			fprintf(telling->out, "      %s(mm %u, %#llx, %u)\n", call->name, call->mm,
				(unsigned long long)call->addr, call->nr);
		else
			fprintf(telling->out, "      %s(mm %u)\n", call->name, call->mm);
	}
}

static void tell_steps(FILE *out, const struct config *config, const struct step *steps, size_t nr)
{
	struct telling telling = { .config = config, .steps = steps, .nr = nr, .out = out };
	size_t i;

	if (crash_run(run_again, &telling))
		return;
	for (i = 0; i < nr; i++) {
		tell_step(out, &steps[i]);
		tell_calls(&telling, i);
	}
	free(telling.log.calls);
}

void tell_failure(FILE *out, const struct config *config, const struct step *steps, size_t nr,
		  const struct failure *failure)
{
	const struct property *property = property_find(failure->oracle);

	fprintf(out, "%s fails: %s\n  %s\n", property->name, property->what, failure->text);
	if (property->kernel)
		fprintf(out, "  a kernel sees to it in %s\n", property->kernel);
	fprintf(out, "%zu operation%s lead%s to it, by these helper calls:\n", nr, nr == 1 ? "" : "s",
		nr == 1 ? "s" : "");
	tell_steps(out, config, steps, nr);
}
