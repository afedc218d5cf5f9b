// SPDX-License-Identifier: MIT
/*
 * What TLB maintenance costs on x86: INVLPG of single pages up to a ceiling, else the whole PCID, on every CPU that
 * runs the mm. Follows arch/x86/mm/tlb.c:flush_tlb_mm_range(); kernel-model.md 3.6. Counted are the instructions of
 * one CPU, which are never broadcast (all are tlbi_local), and one IPI per call where other CPUs run the mm.
 *
 * With the knob invlpgb, flushes of an mm with a global ASID are broadcast by INVLPGB, up to invlpgb_count_max pages
 * each (tlbi_range; one page: tlbi_va), and one TLBSYNC waits for all of them (dsb_ish). An mm gets one at a flush by
 * IPI while invlpgb_min_cpus CPUs run it: four, in kernels. 0: every mm that other CPUs run has one.
 */
#include "arch/plain.h"
#include "arch/x86/x86.h"

/* Page-table isolation: the user half of the address space has a PCID of its own, and everything is done twice. */
static void count(struct arch_mm *mm, u64 va, u64 range, u64 asid, bool local)
{
	struct arch_counters *c = mm->counters;
	unsigned int kpti = mm->knobs->kpti;

	c->tlbi_va += va << kpti;
	c->tlbi_range += range << kpti;
	c->tlbi_asid += asid;
	c->tlbi += ((va + range) << kpti) + asid;
	if (local)
		c->tlbi_local += ((va + range) << kpti) + asid;
}

/* broadcast_tlb_flush(): above the size of a PMD, a range is one unit. */
static void broadcast(struct arch_mm *mm, u64 units, u64 stride)
{
	u64 pmd = 1ull << (mm->geometry->page_shift + mm->geometry->table_shift);
	u64 most = stride > pmd || !mm->knobs->invlpgb_count_max ? 1 : mm->knobs->invlpgb_count_max;
	u64 rest = units % most, full = units / most;

	if (!units)
		count(mm, 0, 0, 1ull << mm->knobs->kpti, false);
	else if (most == 1)
		count(mm, full, 0, 0, false);
	else
		count(mm, rest == 1, full + (rest > 1), 0, false);
	mm->counters->dsb++;
	mm->counters->dsb_ish++;
}

/* mm_global_asid() */
static bool has_global_asid(const struct arch_mm *mm)
{
	return mm->knobs->invlpgb && (mm->knobs->invlpgb_min_cpus ? mm->global_asid : mm->remote_cpus);
}

/* consider_global_asid(), which kernels ask by chance, at one of 32 flushes: here, at the first. */
static void consider_global_asid(struct arch_mm *mm)
{
	if (mm->knobs->invlpgb && mm->cpus >= mm->knobs->invlpgb_min_cpus)
		mm->global_asid = true;
}

static void flush_call(struct arch_mm *mm, const struct arch_flush *flush)
{
	u64 units = flush ? (flush->end - flush->start) / flush->stride : 0;

	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, flush);
	mm->counters->flush_calls++;
	mm->counters->flush_shared += mm->remote_cpus;
	mm->counters->flush_cpus += mm->cpus;
	if (units > mm->knobs->flush_ceiling)
		flush = NULL;
	units = flush ? (flush->end - flush->start + flush->stride - 1) / flush->stride : 0;
	mm->counters->tlbi_pages += flush ? units * (flush->stride >> mm->geometry->page_shift) : 0;
	if (has_global_asid(mm)) {
		broadcast(mm, units, flush ? flush->stride : 0);
		return;
	}
	mm->counters->ipis += mm->remote_cpus;
	if (mm->remote_cpus)
		consider_global_asid(mm);
	if (!mm->dying)
		count(mm, units, 0, !flush, true);
}

void x86_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	flush_call(mm, flush);
}

void x86_flush_tlb_mm(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

/*
 * tlb_flush() of asm/tlb.h asks for the flush of a dying address space, too. This CPU does nothing about it: exec goes
 * on to another first, and one that exits runs it lazily, so flush_tlb_func() goes over to init_mm instead.
 */
void x86_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	if (fullmm)
		mm->ops->flush_tlb_mm(mm);
	else
		mm->ops->flush_tlb_range(mm, flush);
}

/* Once for the whole batch of reclaim; INVLPGB reaches every CPU anyway, and every address space. */
void x86_tlbbatch_flush(struct arch_mm *mm)
{
	if (!mm->knobs->invlpgb) {
		mm->ops->flush_tlb_mm(mm);
		return;
	}
	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, NULL);
	mm->counters->flush_calls++;
	count(mm, 0, 0, 1, false);
	mm->counters->dsb++;
	mm->counters->dsb_ish++;
}

/* The fault itself has dropped the stale entry. */
void x86_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr)
{
}

/*
 * pte_needs_flush(): entries that were not present are not cached; A is ignored; D matters when it is cleared, write
 * and execute permission when they change either way.
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
