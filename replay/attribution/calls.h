/* SPDX-License-Identifier: MIT */
/* What an operation was part of: the system call, the fault, or what else made core mm do it. */
#ifndef REFOLD_REPLAY_ATTRIBUTION_CALLS_H
#define REFOLD_REPLAY_ATTRIBUTION_CALLS_H

#include "replay/tracker/ground/options.h"

/* A number for each thing there is. */
u32 rf_call_of(const struct rf_op *op, const struct rf_cause *cause);
/* Whether that is what the system call which began did: what befell it on the way is not. */
bool rf_call_did(u32 call, const struct rf_record *began);
void rf_call_text(u32 call, char *text, size_t size);

/* The bytes that an operation is about; 0: the whole address space, or none. */
u64 rf_op_bytes(const struct rf_op *op, u32 page_shift);
/* The length that the call named, in whole pages; if it named none, the operation's. */
u64 rf_call_bytes(const struct rf_op *op, const struct rf_cause *cause, u32 page_shift);

#endif
