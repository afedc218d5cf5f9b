/* SPDX-License-Identifier: MIT */
/*
 * 32-bit programs: whether this kernel runs them at all, which no file tells, and the page frames of their vdso. Both
 * are learnt from one, held before its first instruction.
 */
#ifndef REFOLD_CAPTURE_SNAPSHOT_COMPAT_H
#define REFOLD_CAPTURE_SNAPSHOT_COMPAT_H

#include <sys/types.h>

#include "traces/record.h"

#define RF_COMPAT_VDSO_PAGES 4

struct rf_compat {
	bool runs;			/* 32-bit programs can be executed, as far as we know */
	size_t nr;			/* pages of their vdso; 0: not known */
	u64 vdso[RF_COMPAT_VDSO_PAGES];	/* page frames */
};

/* Start such a program and end it: before recording, so that nobody takes it for a part of what is recorded. */
void rf_compat_find(struct rf_compat *compat);

/* The ABI of process pid, by its program's file; RF_ABI_NATIVE too where that cannot be read. */
enum rf_abi rf_abi_of_process(pid_t pid);

#endif
