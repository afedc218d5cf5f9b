// SPDX-License-Identifier: MIT
/*
 * What TLB maintenance costs on riscv: SFENCE.VMA of single pages up to a ceiling, else of the whole ASID, on every
 * CPU that ever ran the mm. Follows arch/riscv/mm/tlbflush.c and asm/tlb.h; kernel-model.md 3.7. Counted are the
 * instructions of one CPU (all are tlbi_local), and one IPI or SBI call per flush where other CPUs ran the mm. With
 * Svinval the pages of a range are invalidated by SINVAL.VMA between two fences of this CPU, SFENCE.W.INVAL and
 * SFENCE.INVAL.IR (dsb_nsh). A ceiling of 0 is erratum CIP-1200: a fence of a page is one of everything, too.
 */
#include "arch/plain.h"
#include "arch/riscv/riscv.h"

static void flush_call(struct arch_mm *mm, const struct arch_flush *flush)
{
	struct arch_counters *c = mm->counters;
	u64 units = flush ? (flush->end - flush->start + flush->stride - 1) / flush->stride : 0;

	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, flush);
	c->flush_calls++;
	c->flush_shared += mm->remote_cpus;
	c->flush_cpus += mm->cpus;
	c->ipis += mm->remote_cpus;
	if (mm->knobs->rfence_sbi && mm->remote_cpus && flush) {
		/* OpenSBI fences one page or the ASID, here and there, whatever stride and ceiling are. */
		units = 1;
		if (flush->end - flush->start > 1ull << mm->geometry->page_shift)
			flush = NULL;
	}
	if (!flush || units > mm->knobs->flush_ceiling) {
		c->tlbi++;
		c->tlbi_asid++;
		c->tlbi_local++;
		return;
	}
	c->tlbi += units;
	c->tlbi_va += units;
	c->tlbi_local += units;
	c->tlbi_pages += units * (flush->stride >> mm->geometry->page_shift);
	if (mm->knobs->svinval && units > 1) {
		c->dsb += 2;
		c->dsb_nsh += 2;
	}
}

void riscv_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	flush_call(mm, flush);
}

void riscv_flush_tlb_mm(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

/* tlb_flush() of asm/tlb.h: cached walks are dropped only with everything else. Until 6.6 it is flush_tlb_mm(). */
void riscv_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	if (fullmm || freed_tables || !mm->knobs->gather_range)
		mm->ops->flush_tlb_mm(mm);
	else
		mm->ops->flush_tlb_range(mm, flush);
}

/* One flush of everything for the whole batch, on the CPUs that were noted. */
void riscv_tlbbatch_flush(struct arch_mm *mm)
{
	mm->ops->flush_tlb_mm(mm);
}

/* Generic: the page. */
void riscv_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr)
{
	mm->ops->flush_tlb_page(mm, addr, FLUSH_SYNC);
}

/* Entry by entry, without ASID: no flush that core mm asked for, and none that other CPUs see. */
void riscv_update_mmu_cache(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	struct arch_counters *c = mm->counters;

	if (mm->knobs->svvptc)
		return;
	c->tlbi += nr;
	c->tlbi_local += nr;
	if (!mm->knobs->flush_ceiling) {
		c->tlbi_asid += nr;
		return;
	}
	c->tlbi_va += nr;
	c->tlbi_new += nr;
	c->tlbi_pages += nr;
}
