// SPDX-License-Identifier: MIT
/*
 * Kernels by what they say of themselves. Page-table entries in migration events are
 * raw, so their layout (arch/.../pgtable.h) must be known here.
 */
#include "traces/events/kernel.h"

#include <stdio.h>
#include <string.h>

void rf_kernel_describe(struct rf_kernel *kernel, const char *release, const char *machine, u32 page_size)
{
	memset(kernel, 0, sizeof(*kernel));
	snprintf(kernel->release, sizeof(kernel->release), "%s", release);
	snprintf(kernel->machine, sizeof(kernel->machine), "%s", machine);
	kernel->page_shift = (u32)__builtin_ctz(page_size);
	if (!strcmp(machine, "x86_64")) {
		/*
		 * Without five levels; with them bits above these are 0 as long as there is less than 64 TiB of memory.
		 */
		kernel->isa = RF_ISA_X86;
		kernel->physical_bits = 46;
	} else if (!strcmp(machine, "aarch64")) {
		/* Without memory beyond 48 bits: see read_arm64_bits(). */
		kernel->isa = RF_ISA_ARM64;
		kernel->physical_bits = 48;
	} else if (!strcmp(machine, "riscv64")) {
		kernel->isa = RF_ISA_RISCV;
		kernel->physical_bits = 56;
	}
	kernel->compat = kernel->isa == RF_ISA_X86 || kernel->isa == RF_ISA_ARM64;
	if (kernel->physical_bits)
		kernel->swap_pfn_bits = kernel->physical_bits - kernel->page_shift;
}
