// SPDX-License-Identifier: MIT
/*
 * What TLB maintenance costs on arm64: which TLBI instructions and barriers each flush call issues. Follows
 * arch/arm64/include/asm/tlbflush.h and asm/tlb.h; kernel-model.md section 3.
 */
#include "arch/arm64/arm64.h"
#include "arch/plain.h"

/* One range instruction covers (num + 1) << (5 * scale + 1) pages, num 0..31, scale 0..3. */
#define RANGE_SHIFT(scale) (5 * (scale) + 1)
#define MAX_TLBI_RANGE_PAGES (32u << RANGE_SHIFT(3))

/* FEAT_LPA2: the base of a range instruction is in units of 64K. */
#define LPA2_RANGE_ALIGN 0x10000

/* All that one flush call issues. */
struct flush_cost {
	u64 tlbi_va, tlbi_range, tlbi_asid, tlbi_repeat, tlbi_local, tlbi_walk, pages;
	u64 dsb_ishst, dsb_ish, dsb_nsh;
};

/* __tlbi_sync_s1ish(): completion, and what the repeat-TLBI erratum's newer work-around adds to it. */
static void cost_sync(const struct arch_knobs *knobs, struct flush_cost *cost)
{
	cost->dsb_ish++;
	if (knobs->repeat_tlbi == REPEAT_TLBI_NEW) {
		cost->tlbi_repeat++;
		cost->dsb_ish++;
	}
}

/* Every TLBI for a user ASID is also issued for its kernel half under KPTI; the old erratum form repeats each. */
static void cost_repeats(const struct arch_knobs *knobs, bool local, struct flush_cost *cost)
{
	u64 issued;

	cost->tlbi_va <<= knobs->kpti;
	cost->tlbi_range <<= knobs->kpti;
	cost->tlbi_asid <<= knobs->kpti;
	if (knobs->repeat_tlbi == REPEAT_TLBI_OLD && !local) {
		issued = cost->tlbi_va + cost->tlbi_range + cost->tlbi_asid;
		cost->tlbi_repeat += issued;
		cost->dsb_ish += issued;
	}
}

static void cost_mm(const struct arch_knobs *knobs, struct flush_cost *cost)
{
	cost->dsb_ishst = 1;
	cost->tlbi_asid = 1;
	cost_repeats(knobs, false, cost);
	cost_sync(knobs, cost);
}

/* __flush_tlb_range_limit_excess(): so many pages that the whole ASID goes instead. */
static bool range_exceeds_limit(const struct arch_knobs *knobs, const struct arch_geometry *geometry, u64 bytes,
				u64 stride)
{
	u64 pages = bytes >> geometry->page_shift;
	u64 max_dvm_ops = knobs->max_dvm_ops ? knobs->max_dvm_ops : 1u << geometry->table_shift;

	if (!knobs->tlbi_range && bytes >= max_dvm_ops * stride)
		return true;
	/* Freed upper tables: few instructions without range TLBI, for more pages than one of those could take. */
	if (!knobs->tlbi_range && knobs->tlbi_range_limit == TLBI_RANGE_LIMIT_RANGE)
		return false;
	return pages > MAX_TLBI_RANGE_PAGES - (knobs->tlbi_range_limit == TLBI_RANGE_LIMIT_AT);
}

/* __flush_tlb_range_op(): from the largest scale down, an odd page last. */
static void cost_range_op(const struct arch_knobs *knobs, const struct arch_geometry *geometry, u64 start, u64 pages,
			  u64 stride, struct flush_cost *cost)
{
	u64 stride_pages = stride >> geometry->page_shift, units;
	int scale = 3;

	if (!knobs->tlbi_range) {
		cost->tlbi_va += pages / stride_pages;
		return;
	}
	while (pages) {
		if (pages == 1 || (knobs->lpa2 && start & (LPA2_RANGE_ALIGN - 1))) {
			cost->tlbi_va++;
			start += stride;
			pages -= min_u64(stride_pages, pages);
			continue;
		}
		units = min_u64(pages >> RANGE_SHIFT(scale), 32);
		if (units) {
			cost->tlbi_range++;
			start += units << RANGE_SHIFT(scale) << geometry->page_shift;
			pages -= units << RANGE_SHIFT(scale);
		}
		scale--;
	}
}

/* The cost of a flush (NULL: flush_tlb_mm) under these knobs. Also says what another CPU would pay. */
static void count_cost(const struct arch_knobs *knobs, const struct arch_geometry *geometry,
		       const struct arch_flush *flush, struct flush_cost *cost)
{
	bool local;
	u64 start, end;

	memset(cost, 0, sizeof(*cost));
	if (!flush) {
		cost_mm(knobs, cost);
		return;
	}
	start = ALIGN_DOWN(flush->start, flush->stride);
	end = ALIGN_UP(flush->end, flush->stride);
	if (range_exceeds_limit(knobs, geometry, end - start, flush->stride)) {
		cost_mm(knobs, cost);
		/* The part that only issues the instructions had waited already, and its caller did not know. */
		if (knobs->tlbi_limit_waits_twice && flush->mode == FLUSH_SYNC)
			cost_sync(knobs, cost);
		return;
	}
	cost_range_op(knobs, geometry, start, (end - start) >> geometry->page_shift, flush->stride, cost);
	if (knobs->asid_threshold && cost->tlbi_va + cost->tlbi_range > knobs->asid_threshold) {
		memset(cost, 0, sizeof(*cost));
		cost_mm(knobs, cost);
		return;
	}
	local = flush->mode == FLUSH_LOCAL;
	cost->pages = (end - start) >> geometry->page_shift;
	cost_repeats(knobs, local, cost);
	if (!flush->last_level)
		cost->tlbi_walk = cost->tlbi_va + cost->tlbi_range;
	if (local) {
		cost->tlbi_local = cost->tlbi_va + cost->tlbi_range;
		cost->dsb_nsh = 2;
		return;
	}
	cost->dsb_ishst = 1;
	if (flush->mode == FLUSH_SYNC)
		cost_sync(knobs, cost);
}

static void account(struct arch_counters *c, const struct flush_cost *cost)
{
	c->tlbi += cost->tlbi_va + cost->tlbi_range + cost->tlbi_asid + cost->tlbi_repeat;
	c->tlbi_va += cost->tlbi_va;
	c->tlbi_range += cost->tlbi_range;
	c->tlbi_asid += cost->tlbi_asid;
	c->tlbi_repeat += cost->tlbi_repeat;
	c->tlbi_local += cost->tlbi_local;
	c->tlbi_walk += cost->tlbi_walk;
	c->tlbi_pages += cost->pages;
	c->dsb += cost->dsb_ishst + cost->dsb_ish + cost->dsb_nsh;
	c->dsb_ishst += cost->dsb_ishst;
	c->dsb_ish += cost->dsb_ish;
	c->dsb_nsh += cost->dsb_nsh;
}

/* What conversions owe is done with this flush, or waited for. */
static void settle(struct arch_owed *owed, const struct arch_flush *flush)
{
	if (flush && flush->mode == FLUSH_LOCAL)
		return;
	if (!flush || (flush->start <= owed->start && flush->end >= owed->end))
		owed->end = 0;
	owed->wait &= flush && flush->mode == FLUSH_NOSYNC;
}

static void flush_call(struct arch_mm *mm, const struct arch_flush *flush)
{
	struct flush_cost cost;

	if (unlikely(mm->owed.end || mm->owed.wait))
		settle(&mm->owed, flush);
	if (unlikely(mm->observer))
		mm->observer->flush(mm->observer, flush);
	count_cost(mm->knobs, mm->geometry, flush, &cost);
	account(mm->counters, &cost);
	mm->counters->flush_calls++;
	mm->counters->flush_shared += mm->remote_cpus;
	mm->counters->flush_cpus += mm->cpus;
}

void arm64_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	flush_call(mm, flush);
}

void arm64_flush_tlb_mm(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

/*
 * tlb_flush() of asm/tlb.h: a dying address space keeps its stale entries, its ASID is not given out again. The generic
 * form, which does not know that, flushes all of it.
 */
void arm64_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	struct arch_flush precise = *flush;

	if (fullmm) {
		if (freed_tables || !mm->knobs->fullmm_skip)
			mm->ops->flush_tlb_mm(mm);
		return;
	}
	precise.last_level = !freed_tables;
	mm->ops->flush_tlb_range(mm, &precise);
}

/* Reclaim and migration issue the TLBIs at once and wait for all of them in arch_tlbbatch_flush(). */
void arm64_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	unsigned int i;

	mm->tlbbatch_pending++;
	if (mm->knobs->tlbbatch_range) {
		arch_flush_ptes(mm, addr, nr, FLUSH_NOSYNC);
		return;
	}
	for (i = 0; i < nr; i++)
		arch_flush_ptes(mm, addr + ((u64)i << mm->geometry->page_shift), 1, FLUSH_NOSYNC);
}

void arm64_tlbbatch_flush(struct arch_mm *mm)
{
	struct flush_cost cost = { 0 };

	cost_sync(mm->knobs, &cost);
	account(mm->counters, &cost);
}

/*
 * arch_flush_tlb_batched_pending(): a DSB of this CPU does not complete the TLBIs of another one, so newer kernels
 * flush the mm.
 */
void arm64_flush_tlb_batched_pending(struct arch_mm *mm)
{
	if (!mm->tlbbatch_pending)
		return;
	mm->tlbbatch_pending = 0;
	if (mm->knobs->batched_pending_mm)
		mm->ops->flush_tlb_mm(mm);
	else
		arm64_tlbbatch_flush(mm);
}

/* Only where write faults flush locally can another CPU keep a stale entry. */
void arm64_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr)
{
	if (mm->knobs->reuse_flush_local)
		mm->ops->flush_tlb_page(mm, addr, FLUSH_LOCAL);
}

/* Before 6.19 arm64 used the generic "always". DIRTY, SPECIAL and UFFD are software bits of the descriptor. */
bool arm64_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new)
{
	const u64 software = PTE_DIRTY | PTE_SPECIAL | PTE_UFFD;

	if (!mm->knobs->needs_flush_precise)
		return true;
	if (!pte_valid(old))
		return false;
	return (old.val ^ new.val) & PTE_HW_MASK & ~software;
}
