/* SPDX-License-Identifier: MIT */
/*
 * What kernel we run on: the facts needed to read its page-table entries and the
 * settings that decide how it builds page tables. Read once, never changed.
 */
#ifndef REFOLD_TRACES_EVENTS_KERNEL_H
#define REFOLD_TRACES_EVENTS_KERNEL_H

#include <jansson.h>

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
};

void rf_kernel_read(struct rf_kernel *kernel);
/* The same for a kernel that runs elsewhere: what its name, uname -m and page size tell. */
void rf_kernel_describe(struct rf_kernel *kernel, const char *release, const char *machine, u32 page_size);

/* The first line of a small file such as those of sysfs, without newline; false where it cannot be read. */
bool rf_read_line(const char *path, char *buffer, size_t size);
/* The bracketed word of "always [madvise] never", or the whole line. */
void rf_bracketed_word(char *line);
/* The settings of /sys/kernel/mm/transparent_hugepage as a JSON object: file -> chosen word or number. */
json_t *rf_kernel_thp_settings(void);
/* fault_around_bytes of debugfs, or 0 where debugfs is not mounted. */
u64 rf_kernel_fault_around_bytes(void);
/* Kernel pages merged by KSM may run: /sys/kernel/mm/ksm/run. */
bool rf_kernel_ksm_runs(void);

#endif
