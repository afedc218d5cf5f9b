/* SPDX-License-Identifier: MIT */
/* From registers and a copy of the stack to the instructions that are under way, innermost first. */
#ifndef REFOLD_CAPTURE_STACKS_UNWIND_H
#define REFOLD_CAPTURE_STACKS_UNWIND_H

#include "capture/stacks/registers.h"
#include "capture/stacks/spaces.h"

#define RF_STACK_FRAMES_MAX 96

#define RF_STACK_BYTES_MAX 8192		/* that are copied */

/* One call, as the kernel sampled it. */
struct rf_stack_sample {
	u64 time;
	u32 pid, tid;
	u8 call;			/* kind of its entry record */
	u64 registers[RF_STACK_REGISTERS];
	u32 size;			/* of the stack's copy, from the stack pointer on */
	const u8 *bytes;		/* borrowed */
};

struct rf_frame {
	struct rf_module *module;	/* NULL: in no file that is known; then offset is 0 */
	u64 offset;			/* the file's own address, as its symbols have it */
};

/* How many frames; what called the last one may not be known. */
size_t rf_unwind(struct rf_spaces *spaces, const struct rf_stack_sample *sample, struct rf_frame *frames);

#endif
