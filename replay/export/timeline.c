// SPDX-License-Identifier: MIT
/* Noting what happens when. The tracker's thread notes slices, each machine's its own instants. */
#include "replay/export/timeline.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "replay/attribution/calls.h"

int rf_timeline_start(struct rf_timeline *timeline, size_t nr_policies, u32 page_shift, u64 least_bytes)
{
	*timeline = (struct rf_timeline){
		.page_shift = page_shift, .least_bytes = least_bytes, .nr_policies = nr_policies,
		.policies = calloc(nr_policies, sizeof(*timeline->policies)),
	};
	return timeline->policies ? 0 : -ENOMEM;
}

void rf_timeline_free(struct rf_timeline *timeline)
{
	for (size_t k = 0; timeline->policies && k < timeline->nr_policies; k++)
		free(timeline->policies[k].instants);
	free(timeline->policies);
	free(timeline->slices);
	*timeline = (struct rf_timeline){ 0 };
}

static void note(struct rf_timeline *timeline, const struct rf_op *op, const struct rf_cause *cause, u64 bytes)
{
	const struct rf_told *began = cause->began.number ? &cause->began : &cause->told;
	struct timeline_slice *last = timeline->nr ? &timeline->slices[timeline->nr - 1] : NULL;

	if (last && last->began == began->number && last->mm == op->mm) {
		last->end = max_u64(last->end, op->time);
		last->bytes += bytes;
		return;
	}
	if (array_grow(timeline->slices, timeline->room, timeline->nr + 1)) {
		timeline->failed = true;
		return;
	}
	timeline->slices[timeline->nr++] = (struct timeline_slice){
		.begin = began->record.time, .end = max_u64(began->record.time, op->time), .began = began->number,
		.bytes = bytes, .thread = began->thread, .mm = op->mm, .call = rf_call_of(op, cause),
	};
}

void rf_timeline_explain(void *context, const struct rf_op *ops, const struct rf_cause *causes, size_t nr)
{
	struct rf_timeline *timeline = context;

	for (size_t i = 0; i < nr && !timeline->failed; i++) {
		u64 bytes = ops[i].kind == RF_OP_WINDOW ? 0 : rf_op_bytes(&ops[i], timeline->page_shift);

		if (bytes >= timeline->least_bytes && !(ops[i].flags & RF_OP_LOAD) && causes[i].told.number)
			note(timeline, &ops[i], &causes[i], bytes);
	}
}

void rf_timeline_observe(void *context, size_t policy, const struct rf_op *op, const struct rf_stats *stats)
{
	struct rf_timeline *timeline = context;
	struct timeline_policy *mine = &timeline->policies[policy];
	u64 fold = 0, unfold = 0;

	for (u32 row = 0; row < RF_NR_ROWS; row++) {
		fold += stats->rows[row].fold;
		unfold += stats->rows[row].unfold;
	}
	if (fold == mine->fold && unfold == mine->unfold)
		return;
	if (array_grow(mine->instants, mine->room, mine->nr + 1)) {
		timeline->failed = true;
		return;
	}
	mine->instants[mine->nr++] = (struct timeline_instant){
		.time = op->time, .mm = op->mm, .fold = (u32)(fold - mine->fold),
		.unfold = (u32)(unfold - mine->unfold),
	};
	mine->fold = fold;
	mine->unfold = unfold;
}
