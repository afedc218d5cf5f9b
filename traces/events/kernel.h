/* SPDX-License-Identifier: MIT */
/* A kernel that was recorded: the facts needed to read its page-table entries. */
#ifndef REFOLD_TRACES_EVENTS_KERNEL_H
#define REFOLD_TRACES_EVENTS_KERNEL_H

#include "base/types.h"

/* The instruction sets whose page-table entries and fault codes we can read. */
enum rf_isa { RF_ISA_OTHER, RF_ISA_X86, RF_ISA_ARM64, RF_ISA_RISCV };

struct rf_kernel {
	char release[65];
	char machine[65];	/* as uname -m */
	enum rf_isa isa;
	u32 page_shift;
	u32 swap_pfn_bits;	/* SWP_PFN_BITS: pfn bits in a migration entry */
	u32 physical_bits;	/* address bits of a present entry; above are flags */
	bool compat;		/* it may run 32-bit programs, whose calls we can tell */
	bool batches_rss;	/* SPLIT_RSS_COUNTING: rss_stat tells what faults count for 64 faults at once */
};

/* A kernel that may run elsewhere: what its name, uname -m and page size tell. */
void rf_kernel_describe(struct rf_kernel *kernel, const char *release, const char *machine, u32 page_size);

#endif
