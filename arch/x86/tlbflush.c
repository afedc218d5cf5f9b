// SPDX-License-Identifier: MIT
/*
 * What TLB maintenance costs on x86: INVLPG of single pages up to a ceiling, else the whole PCID, on every CPU that runs
 * the mm. Follows arch/x86/mm/tlb.c:flush_tlb_mm_range(); kernel-model.md 3.6. Counted are the instructions of one CPU,
 * which are never broadcast (all are tlbi_local), and one IPI per call where other CPUs run the mm.
 */
#include "arch/x86/x86.h"

static void flush_call(struct arch_mm *mm, const struct arch_flush *flush)
{
	struct arch_counters *c = mm->counters;
	u64 bytes = flush ? flush->end - flush->start : 0, units, invlpg;

	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, flush);
	c->flush_calls++;
	c->ipis += mm->remote_cpus;
	if (!flush || bytes / flush->stride > mm->knobs->flush_ceiling) {
		c->tlbi++;
		c->tlbi_asid++;
		c->tlbi_local++;
		return;
	}
	units = (bytes + flush->stride - 1) / flush->stride;
	/* Page-table isolation: the user half of the address space has a PCID of its own. */
	invlpg = units << mm->knobs->kpti;
	c->tlbi += invlpg;
	c->tlbi_va += invlpg;
	c->tlbi_local += invlpg;
	c->tlbi_pages += units * (flush->stride >> mm->geometry->page_shift);
}

void x86_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	flush_call(mm, flush);
}

void x86_flush_tlb_page(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode)
{
	u64 size = 1ull << mm->geometry->page_shift;
	struct arch_flush flush = {
		.start = ALIGN_DOWN(addr, size),
		.end = ALIGN_DOWN(addr, size) + size,
		.stride = size,
		.last_level = true,
		.level = FLUSH_LEVEL_PTE,
		.mode = mode,
	};

	flush_call(mm, &flush);
}

void x86_flush_tlb_mm(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

/* tlb_flush() of asm/tlb.h: a dying address space is flushed like any other. */
void x86_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	flush_call(mm, fullmm ? NULL : flush);
}

/* Reclaim notes only on which CPUs the mm may have left entries, and flushes those once for the whole batch. */
void x86_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	mm->tlbbatch_pending++;
}

void x86_tlbbatch_flush(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

void x86_flush_tlb_batched_pending(struct arch_mm *mm)
{
	if (!mm->tlbbatch_pending)
		return;
	mm->tlbbatch_pending = 0;
	flush_call(mm, NULL);
}

/* The fault itself has dropped the stale entry. */
void x86_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr)
{
}

/*
 * pte_needs_flush(): entries that were not present are not cached; A is ignored; D matters when it is cleared, write and
 * execute permission when they change either way.
 */
bool x86_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new)
{
	u64 change = old.val ^ new.val;

	if (!pte_valid(old))
		return false;
	if (change & PTE_PFN_MASK)
		return true;
	if (change & old.val & (PTE_VALID | PTE_DIRTY))
		return true;
	return change & (PTE_WRITE | PTE_EXEC);
}
