/* SPDX-License-Identifier: MIT */
/*
 * What core mm does to contiguous blocks of its own accord, where every kernel leaves them to the backend's helpers:
 * ideas, each behind a knob. kernel-model.md 9.3.
 */
#ifndef REFOLD_ENGINE_BLOCKS_H
#define REFOLD_ENGINE_BLOCKS_H

#include "engine/mm.h"

/* refold=lazy: a fault on a block that is not folded looks whether it could be. */
void refold_at(struct mm *mm, u64 addr);

/* khuge_cont: the scans that are due at this time, in nanoseconds. 0, or -ENOMEM. */
int khuge_cont_until(struct rf_machine *machine, u64 time);

/* The end of an operation: what its helpers have left to it is faulted in, folded, flushed and waited for, once. */
void settle_blocks(struct mm *mm);

static inline void end_operation(struct mm *mm)
{
	const struct arch_mm *arch = &mm->arch;

	if (__builtin_expect(arch->touched.nr || arch->split.nr || arch->owed.end || arch->owed.wait, 0))
		settle_blocks(mm);
}

#endif
