/* SPDX-License-Identifier: MIT */
/*
 * Whose counts are they? Each operation belongs to a group: those of one address space with the same mapping, thread,
 * call and so on, as far as --by asks. Machines keep an account for each group, and know no more of it than its number;
 * here is what a group is, in words.
 */
#ifndef REFOLD_REPLAY_ATTRIBUTION_ATTRIBUTION_H
#define REFOLD_REPLAY_ATTRIBUTION_ATTRIBUTION_H

#include "engine/stats.h"
#include "replay/attribution/areas.h"
#include "replay/attribution/keys.h"
#include "replay/attribution/stacks.h"
#include "replay/tracker/ground/options.h"
#include "replay/tracker/tracker.h"

struct rf_group {
	u32 mm;
	u32 area;		/* in areas.list, + 1; these and what follows are 0 where nobody asks */
	u32 thread;
	u32 call;
	u32 stack;		/* see stack_of() */
	u8 size;		/* log2, + 1; 0: of no length */
	u8 row;			/* enum rf_row, + 1: of the operation as it was recorded */
	u64 bytes;		/* of all its operations */
};

DEFINE_TABLE(group_table, u64, u32);	/* number + 1 */

struct rf_attribution {
	struct rf_by_list by;
	u32 page_shift;
	struct rf_areas areas;
	struct rf_stack_list stacks;
	struct rf_group *groups;	/* [RF_OWNER_MACHINE]: none, what machines do by themselves */
	u32 nr, last;
	size_t room;
	struct group_table by_key;
	u32 *pending;		/* the groups of the block of operations that was noted last */
	size_t pending_room;
	bool failed;		/* out of memory: nothing of it is good */
};

/* by: copied. Of a trace with such pages. */
void rf_attribution_start(struct rf_attribution *attribution, const struct rf_by_list *by, u32 page_shift);
void rf_attribution_free(struct rf_attribution *attribution);

/* The groups of a block of operations, which become pending. -ENOMEM or 0. */
int rf_attribution_note(struct rf_attribution *attribution, const struct rf_op *ops, const struct rf_cause *causes,
			size_t nr);
/* Before the tracker goes: which files those numbers were. */
void rf_attribution_name_files(struct rf_attribution *attribution, const struct rf_tracker *tracker);

/* And which functions those stacks are of; directory: NULL, or where else files with symbols are. -ENOMEM or 0. */
int rf_attribution_name_stacks(struct rf_attribution *attribution, const char *directory);
/* The stack of a group, to be told by attribution->stacks: of those with the same functions the same; 0: none. */
u32 rf_attribution_stack(const struct rf_attribution *attribution, u32 group);

/* What this key is of a group, in a row of the report (enum rf_row) if that is asked. */
void rf_attribution_text(const struct rf_attribution *attribution, const struct rf_processes *processes, enum rf_by key,
			 u32 group, u32 row, char *text, size_t size);

#endif
