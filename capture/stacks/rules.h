/* SPDX-License-Identifier: MIT */
/*
 * How to leave a frame: from where in its code the stack pointer, the frame pointer and the return address of the
 * caller follow how. Of files with unwind tables (.eh_frame), by libdw, once for each place that is asked for.
 */
#ifndef REFOLD_CAPTURE_STACKS_RULES_H
#define REFOLD_CAPTURE_STACKS_RULES_H

#include "base/types.h"

enum rf_saved {
	RF_SAVED_UNDEFINED,	/* it is lost; of the return address: there is no caller */
	RF_SAVED_SAME,		/* it is still in its register */
	RF_SAVED_AT,		/* in memory, at an offset from the CFA */
};

/* CFA: what the stack pointer is in the caller. */
struct rf_unwind_rule {
	bool by_fp;		/* the CFA is an offset from the frame pointer, else from the stack pointer */
	bool known;		/* false: the tables have no rule that we follow */
	u8 fp, ra;		/* enum rf_saved */
	s32 cfa_offset, fp_offset, ra_offset;
};

/* By the frame pointer, as code without tables keeps it. */
extern const struct rf_unwind_rule rf_frame_pointer_rule;

struct rf_rules;

#define RF_BUILD_ID_MAX 24

/* Of an open file with code: what its tables say, and its build id (0 to RF_BUILD_ID_MAX bytes). NULL: neither. */
struct rf_rules *rf_rules_read(int fd, u8 build_id[RF_BUILD_ID_MAX], u8 *build_id_size);
void rf_rules_free(struct rf_rules *rules);
/* The file's own address of the byte at this offset, as symbols have it; what lies in no segment keeps the offset. */
u64 rf_rules_address(const struct rf_rules *rules, u64 offset);
/* Of the instruction at such an address. */
struct rf_unwind_rule rf_rules_at(struct rf_rules *rules, u64 address);

#endif
