/* SPDX-License-Identifier: MIT */
/*
 * Call stacks of a trace: which one each call was made from, and, when all is replayed, the names of their functions.
 * Stacks whose functions are the same are the same stack, wherever in them the calls stand.
 */
#ifndef REFOLD_REPLAY_ATTRIBUTION_STACKS_H
#define REFOLD_REPLAY_ATTRIBUTION_STACKS_H

#include "base/table.h"
#include "replay/symbols/symbols.h"
#include "replay/tracker/ground/options.h"
#include "traces/trace.h"

DEFINE_TABLE(stack_table, u64, u32);

struct rf_stack {
	u32 caller;		/* a lower number, 0: none */
	u32 module;
	u64 offset;
	u32 name;		/* in names, 0: not asked for */
	u32 same;		/* the first with these functions, itself too */
};

struct rf_stack_call {
	u64 time;
	u64 made;		/* number of the record of the call that it belongs to; 0: nobody has asked */
	u32 tid, stack;
	u8 call;		/* kind of its entry record */
};

struct rf_stack_module {
	struct rf_code_file file;
	char *path;		/* NULL: none */
	size_t path_room;
};

struct rf_stack_list {
	struct rf_stack_module *modules;	/* by number, from 1 */
	size_t nr_modules, modules_room;
	struct rf_stack *stacks;		/* by number, from 1 */
	size_t nr_stacks, stacks_room;
	struct rf_stack_call *calls;		/* by thread and time */
	size_t nr_calls, calls_room;
	char **names;				/* [0]: none */
	size_t nr_names, names_room;
	struct stack_table by_name;
	u32 unnamed, functions;			/* places that no symbol has, of all */
};

/* All stacks of a trace. -ENOMEM or 0. */
int rf_stack_list_read(struct rf_stack_list *list, struct rf_reader *reader);
void rf_stack_list_free(struct rf_stack_list *list);
/* The stack of the call that this record begins; 0: it has none. */
u32 rf_stack_of_call(struct rf_stack_list *list, const struct rf_told *began);
/* Name the functions of these stacks (wanted, by number, and what called them). -ENOMEM or 0. */
int rf_stack_list_name(struct rf_stack_list *list, const bool *wanted, const char *directory);
/* Functions, innermost first: what is called at *stack, which becomes its caller. NULL: that was all. */
const char *rf_stack_next(const struct rf_stack_list *list, u32 *stack);
#define RF_STACK_TEXT 200

/* The innermost few; whole in RF_STACK_TEXT bytes. */
void rf_stack_text(const struct rf_stack_list *list, u32 stack, char *text, size_t size);

#endif
