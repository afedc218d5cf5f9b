// SPDX-License-Identifier: MIT
/*
 * mmu_gather: what an unmapping collects before it flushes and frees, and when
 * it can collect no more. kernel-model.md 3.4 and 3.5; include/asm-generic/tlb.h
 * and mm/mmu_gather.c in the kernel.
 */
#include "engine/tlb.h"

#define MMU_GATHER_BUNDLE 8

static u32 max_gather_batch(const struct mm *mm)
{
	return (page_size(mm) - 16) / 8;
}

static u32 max_gather_batch_count(const struct mm *mm)
{
	return 10000 / max_gather_batch(mm);
}

static u32 max_table_batch(const struct mm *mm)
{
	return (page_size(mm) - 24) / 8;
}

static void reset_range(struct mmu_gather *tlb)
{
	tlb->start = tlb->fullmm ? 0 : ~0ull;
	tlb->end = tlb->fullmm ? ~0ull : 0;
	tlb->freed_tables = false;
	tlb->cleared_ptes = false;
	tlb->cleared_pmds = false;
	tlb->cleared_puds = false;
	tlb->cleared_p4ds = false;
	tlb->unshared_tables = false;
	tlb->nr_sets = 0;
}

static void gather_init(struct mmu_gather *tlb, struct mm *mm, bool fullmm)
{
	*tlb = (struct mmu_gather){ .mm = mm, .fullmm = fullmm };
	reset_range(tlb);
}

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm)
{
	gather_init(tlb, mm, false);
}

void tlb_gather_mmu_fullmm(struct mmu_gather *tlb, struct mm *mm)
{
	gather_init(tlb, mm, true);
}

static void adjust_range(struct mmu_gather *tlb, u64 addr, u64 size)
{
	tlb->start = min_u64(tlb->start, addr);
	tlb->end = max_u64(tlb->end, addr + size);
}

/* Walks ascend, so that a range continues the last one or begins another. */
static void add_set(struct mmu_gather *tlb, u64 addr, u64 size)
{
	struct gather_set *sets = tlb->mm->machine->gather_sets, *last = &sets[tlb->nr_sets ? tlb->nr_sets - 1 : 0];
	bool continues = tlb->nr_sets && addr >= last->start && addr <= last->end;

	if (!continues && tlb->nr_sets < MAX_GATHER_SETS) {
		sets[tlb->nr_sets++] = (struct gather_set){ addr, addr + size };
		return;
	}
	last->start = min_u64(last->start, addr);
	last->end = max_u64(last->end, addr + size);
}

void tlb_flush_pte_range(struct mmu_gather *tlb, u64 addr, u64 size)
{
	adjust_range(tlb, addr, size);
	tlb->cleared_ptes = true;
	if (tlb->mm->arch.knobs->gather_sets)
		add_set(tlb, addr, size);
}

void tlb_flush_pmd_range(struct mmu_gather *tlb, u64 addr, u64 size)
{
	adjust_range(tlb, addr, size);
	tlb->cleared_pmds = true;
}

void tlb_flush_pud_range(struct mmu_gather *tlb, u64 addr, u64 size)
{
	adjust_range(tlb, addr, size);
	tlb->cleared_puds = true;
}

void tlb_unshare_pmd(struct mmu_gather *tlb, u64 addr, u64 size)
{
	tlb_flush_pmd_range(tlb, addr, size);
	tlb->unshared_tables = true;
}

/* Cached walks go, too: with tables that are freed, and where the gather has been told of those unshared. */
static bool drops_walks(const struct mmu_gather *tlb)
{
	return tlb->freed_tables || (tlb->unshared_tables && tlb->mm->arch.ops->walks_unshared &&
				     mm_knobs(tlb->mm)->unshare_flush == UNSHARE_FLUSH_GATHER);
}

/* tlb_get_unmap_shift() */
static unsigned int unmap_shift(const struct mmu_gather *tlb)
{
	const struct arch_geometry *geometry = tlb->mm->arch.geometry;
	unsigned int levels_up = 0;

	if (tlb->cleared_ptes)
		levels_up = 0;
	else if (tlb->cleared_pmds)
		levels_up = 1;
	else if (tlb->cleared_puds)
		levels_up = 2;
	else if (tlb->cleared_p4ds)
		levels_up = 3;
	return geometry->page_shift + levels_up * geometry->table_shift;
}

/* tlb_get_level(): the hint is good only if one level alone was cleared. */
static u8 flush_level(const struct mmu_gather *tlb)
{
	bool upper = tlb->cleared_puds || tlb->cleared_p4ds;

	if (tlb->freed_tables)
		return FLUSH_LEVEL_UNKNOWN;
	if (tlb->cleared_ptes && !tlb->cleared_pmds && !upper)
		return FLUSH_LEVEL_PTE;
	if (tlb->cleared_pmds && !tlb->cleared_ptes && !upper)
		return FLUSH_LEVEL_PMD;
	return FLUSH_LEVEL_UNKNOWN;
}

/* Each range by itself, the last one waits for all. */
static void flush_sets(struct mmu_gather *tlb, struct arch_flush flush)
{
	const struct gather_set *sets = tlb->mm->machine->gather_sets;
	struct arch_mm *arch = &tlb->mm->arch;
	u32 i;

	for (i = 0; i < tlb->nr_sets; i++) {
		flush.start = sets[i].start;
		flush.end = sets[i].end;
		flush.mode = i + 1 < tlb->nr_sets ? FLUSH_NOSYNC : FLUSH_SYNC;
		arch->ops->tlb_flush(arch, &flush, false, false);
	}
}

void tlb_flush_mmu_tlbonly(struct mmu_gather *tlb)
{
	struct arch_mm *arch = &tlb->mm->arch;
	struct arch_flush flush;

	if (!(tlb->freed_tables || tlb->cleared_ptes || tlb->cleared_pmds || tlb->cleared_puds || tlb->cleared_p4ds))
		return;
	flush = (struct arch_flush){
		.start = tlb->start,
		.end = tlb->end,
		.stride = 1ull << unmap_shift(tlb),
		.last_level = !drops_walks(tlb),
		.level = flush_level(tlb),
		.mode = FLUSH_SYNC,
	};
	/* Freed tables and huge pages are in no set. */
	if (tlb->nr_sets > 1 && flush.level == FLUSH_LEVEL_PTE && !tlb->fullmm)
		flush_sets(tlb, flush);
	else
		arch->ops->tlb_flush(arch, &flush, tlb->fullmm, drops_walks(tlb));
	reset_range(tlb);
}

void tlb_flush_mmu(struct mmu_gather *tlb)
{
	tlb_flush_mmu_tlbonly(tlb);
	tlb->nr_tables = 0;
	tlb->active = 0;
	tlb->nr = 0;
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	/* Somebody else may have changed entries here and not flushed yet: flush everything, whatever was done. */
	if (tlb->mm->tlb_flush_nested) {
		tlb->fullmm = true;
		reset_range(tlb);
		tlb->freed_tables = true;
	}
	tlb_flush_mmu(tlb);
}

void tlb_end_vma(struct mmu_gather *tlb, const struct vm_area *vma)
{
	if (tlb->fullmm)
		return;
	if ((vma->flags & RF_VM_PFNMAP) || !tlb->mm->arch.ops->merges_vmas)
		tlb_flush_mmu_tlbonly(tlb);
}

void tlb_remove_table(struct mmu_gather *tlb, u64 addr, unsigned int level)
{
	adjust_range(tlb, addr, page_size(tlb->mm));
	tlb->mm->arch.counters->tables_freed++;
	tlb->freed_tables = true;
	if (level == 1)
		tlb->cleared_pmds = true;
	else if (level == 2)
		tlb->cleared_puds = true;
	else
		tlb->cleared_p4ds = true;
	if (++tlb->nr_tables == max_table_batch(tlb->mm)) {
		tlb_flush_mmu_tlbonly(tlb);
		tlb->nr_tables = 0;
	}
}

/* ---- batches of pages ---------------------------------------------------------- */

static u32 batch_max(const struct mmu_gather *tlb, u32 batch)
{
	return batch ? max_gather_batch(tlb->mm) : MMU_GATHER_BUNDLE;
}

/* tlb_next_batch(); does not look at what is used. */
static bool next_batch(struct mmu_gather *tlb)
{
	if (tlb->delayed_rmap && tlb->active)
		return false;
	if (tlb->active < tlb->batch_count) {
		tlb->active++;
		return true;
	}
	if (tlb->batch_count == max_gather_batch_count(tlb->mm))
		return false;
	tlb->batch_count++;
	tlb->active++;
	tlb->mm->arch.counters->gather_pages++;
	return true;
}

/* 6.9 and later: a run is a page and a count, and there is always room for one more of both. */
static bool queue_run(struct mmu_gather *tlb, u32 nr)
{
	tlb->nr += nr == 1 ? 1 : 2;
	if (tlb->nr < batch_max(tlb, tlb->active) - 1)
		return false;
	if (!next_batch(tlb))
		return true;
	tlb->nr = 0;
	return false;
}

/* Before: a slot per page. */
static bool queue_pages(struct mmu_gather *tlb, u32 nr)
{
	while (nr) {
		u32 fit = batch_max(tlb, tlb->active) - tlb->nr;

		if (fit > nr)
			fit = nr;
		tlb->nr += fit;
		nr -= fit;
		if (tlb->nr < batch_max(tlb, tlb->active))
			continue;
		if (!next_batch(tlb))
			return true;	/* callers reserved room: nothing is left over */
		tlb->nr = 0;
	}
	return false;
}

bool tlb_remove_folio_pages(struct mmu_gather *tlb, u32 nr)
{
	tlb->mm->arch.counters->folio_runs++;
	if (mm_knobs(tlb->mm)->gather == GATHER_FOLIO2SLOT)
		return queue_run(tlb, nr);
	return queue_pages(tlb, nr);
}

u32 tlb_get_guaranteed_space(struct mmu_gather *tlb)
{
	u32 space = batch_max(tlb, tlb->active) - tlb->nr;
	u32 active = tlb->active;

	/* The posting always tries to append a page, which is the regression its review found. */
	if (next_batch(tlb))
		space += batch_max(tlb, tlb->active);
	tlb->active = active;
	return space;
}

u32 tlb_reserve_space(struct mmu_gather *tlb, u32 nr)
{
	u32 space = batch_max(tlb, tlb->active) - tlb->nr;
	u32 active = tlb->active;

	while (space < nr && next_batch(tlb))
		space += batch_max(tlb, tlb->active);
	tlb->active = active;
	return space;
}

/* ---- steps over folios that are alike --------------------------------------------- */

/*
 * Steps that take so many slots look for no other batch: one slot may be kept free. Before 6.9, when there is one for
 * each page, that is room for the run, too.
 */
static bool has_room(const struct mmu_gather *tlb, u32 slots)
{
	return batch_max(tlb, tlb->active) - tlb->nr >= slots + 2;
}

bool tlb_has_room(const struct mmu_gather *tlb, u32 nr)
{
	return !tlb->nr || has_room(tlb, nr);
}

bool tlb_step_between(const struct mmu_gather *before, const struct mmu_gather *after, u64 addr,
		      struct gather_step *step)
{
	*step = (struct gather_step){
		.slots = after->nr - before->nr,
		.noted = after->cleared_ptes && (after->fullmm || after->end != before->end),
		.end = after->fullmm ? 0 : after->end - addr,
		.delayed_rmap = after->delayed_rmap,
		.appended = after->active < after->batch_count,
	};
	if (after->active != before->active || after->batch_count != before->batch_count || after->nr < before->nr ||
	    after->nr_tables != before->nr_tables || after->delayed_rmap != before->delayed_rmap)
		return false;
	/* Ranges of their own, which a hull does not tell. */
	if (after->mm->arch.knobs->gather_sets)
		return false;
	return !step->slots || has_room(before, step->slots);
}

u32 tlb_steps_fit(const struct mmu_gather *tlb, const struct gather_step *step)
{
	if (!step->slots)
		return UINT32_MAX;
	/* tlb_get_guaranteed_space() asks for a batch in any case. */
	if (mm_knobs(tlb->mm)->gather == GATHER_GUARANTEED &&
	    (tlb->delayed_rmap != step->delayed_rmap || (tlb->active < tlb->batch_count) != step->appended))
		return 0;
	if (!has_room(tlb, step->slots))
		return 0;
	return (batch_max(tlb, tlb->active) - tlb->nr - 2) / step->slots;
}

void tlb_step_again(struct mmu_gather *tlb, const struct gather_step *step, u64 addr, u64 size, u32 folios)
{
	tlb->nr += step->slots * folios;
	if (step->noted)
		tlb_flush_pte_range(tlb, addr, size * (folios - 1) + step->end);
}
