/* SPDX-License-Identifier: MIT */
/*
 * Where calls are made from, into the trace: each stack is defined once, whichever process it is of, and each call
 * says which it has. What is taken has an end: of stacks, frames, memory and time.
 */
#ifndef REFOLD_CAPTURE_STACKS_STACKS_H
#define REFOLD_CAPTURE_STACKS_STACKS_H

#include "capture/stacks/unwind.h"
#include "traces/trace.h"

struct rf_stacks;

/* NULL: err tells why, also where this architecture's registers are not known. */
struct rf_stacks *rf_stacks_create(struct rf_writer *writer, struct rf_error *err);
void rf_stacks_destroy(struct rf_stacks *stacks);
/* Where the code of processes is: to be told of followed ones, in order of time. */
struct rf_spaces *rf_stacks_spaces(struct rf_stacks *stacks);

struct rf_found_stack {
	u32 number;		/* 0: there is none */
	u8 why;			/* then enum rf_no_stack, or RF_NR_NO_STACKS: it is not missed */
};

/* The stack of a call, by what is known of its process's code. */
struct rf_found_stack rf_stacks_find(struct rf_stacks *stacks, const struct rf_stack_sample *sample);
/* A call with this stack, of a followed process, into this stream. Negative errno: of the writer. */
int rf_stacks_write(struct rf_stacks *stacks, int stream, const struct rf_record *call, struct rf_found_stack found,
		    struct rf_error *err);
/* So many calls have no stack, why: enum rf_no_stack. */
void rf_stacks_missed(struct rf_stacks *stacks, enum rf_no_stack why, u64 calls);
u64 rf_stacks_nr_missed(const struct rf_stacks *stacks);
/* Nothing more is taken: say what is missing. */
int rf_stacks_finish(struct rf_stacks *stacks, struct rf_error *err);
int rf_stacks_flush(struct rf_stacks *stacks, struct rf_error *err);

#endif
