// SPDX-License-Identifier: MIT
/* Page-table entries of the recorded machine, as migration events hold them. */
#include "traces/events/entries.h"

#include "traces/record.h"

/* __swp_offset() of the architecture; above the pfn lie SWP_MIG_YOUNG and SWP_MIG_DIRTY. */
u64 rf_entry_migration_pfn(const struct rf_kernel *kernel, u64 entry)
{
	u64 offset;

	switch (kernel->isa) {
	case RF_ISA_X86:
		offset = ~entry << 5 >> 14;	/* kept inverted against L1TF */
		break;
	default:
		offset = entry >> 12;		/* arm64 and riscv */
	}
	return offset & (BIT_ULL(kernel->swap_pfn_bits) - 1);
}

/*
 * arm64: with memory beyond 48 bits, bits 48 and up lie elsewhere in an entry. Pages of 64K: 48 to 51 in bits 12 to 15.
 * Smaller ones (LPA2): 48 and 49 in place, 50 and 51 in bits 8 and 9, which are shareability otherwise.
 */
static u64 arm64_pfn(const struct rf_kernel *kernel, u64 entry)
{
	u64 low = entry & (BIT_ULL(48) - BIT_ULL(kernel->page_shift)), high = 0;

	if (kernel->physical_bits > 48 && kernel->page_shift == 16)
		high = (entry >> 12 & 0xf) << 48;
	else if (kernel->physical_bits > 48)
		high = (entry >> 48 & 0x3) << 48 | (entry >> 8 & 0x3) << 50;
	return (low | high) >> kernel->page_shift;
}

u64 rf_entry_pfn(const struct rf_kernel *kernel, u64 entry)
{
	u64 mask = BIT_ULL(kernel->physical_bits) - 1;

	switch (kernel->isa) {
	case RF_ISA_X86:
		/* PROT_NONE entries are kept inverted against L1TF. */
		if (!(entry & 1))
			entry = ~entry;
		return (entry & mask) >> 12;
	case RF_ISA_RISCV:
		return entry << 10 >> 20;
	default:
		return arm64_pfn(kernel, entry);
	}
}

u64 rf_entry_flags(const struct rf_kernel *kernel, u64 entry)
{
	bool write;

	switch (kernel->isa) {
	case RF_ISA_X86:
		write = entry & BIT_ULL(1);
		break;
	case RF_ISA_RISCV:
		write = entry & BIT_ULL(2);
		break;
	default:
		write = entry & BIT_ULL(51);	/* PTE_WRITE, the DBM bit */
	}
	return write ? RF_PTE_WRITE : 0;
}
