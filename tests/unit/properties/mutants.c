// SPDX-License-Identifier: MIT
/*
 * Backends that are wrong in one way each, around the right one: what the oracles must not let pass. The right backend
 * does all the work; a mutant spoils its result, or keeps it from a call.
 */
#include <string.h>

#include "mutants.h"

static const struct arch_ops *right;	/* the backend around which the mutants are */

static u64 page_bytes(const struct arch_mm *mm)
{
	return 1ull << mm->geometry->page_shift;
}

static u32 block_index(const struct arch_mm *mm, u64 addr)
{
	return (addr >> mm->geometry->page_shift) & (mm->geometry->cont_ptes - 1);
}

/* ---- unfolding the head of a run and forgetting its tail ---- */

/* Entries of the run in its last block, if that is folded, not covered, and not its first one; else 0. */
static u32 folded_tail(const struct arch_mm *mm, u64 addr, const pte_t *ptep, u32 nr)
{
	u32 tail = (block_index(mm, addr) + nr) & (mm->geometry->cont_ptes - 1);

	return tail && tail < nr && pte_cont(ptep[nr - 1]) ? tail : 0;
}

static void wrprotect_without_tail(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	u32 tail = folded_tail(mm, addr, ptep, nr), i;

	right->wrprotect_ptes(mm, addr, ptep, nr - tail);
	for (i = nr - tail; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
}

static void clear_without_tail(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	u32 tail = folded_tail(mm, addr, ptep, nr);

	right->clear_full_ptes(mm, addr, ptep, nr - tail, full);
	memset(ptep + nr - tail, 0, tail * sizeof(*ptep));
}

/* ---- the others ---- */

/* A batch test that ignores CONT: it steps over entries that nothing promises to be alike. */
static unsigned int hint_without_cont(struct arch_mm *mm, u64 addr, pte_t pte)
{
	return pte_valid(pte) ? mm->geometry->cont_ptes - block_index(mm, addr) : 1;
}

static void set_beyond_pfn(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	right->set_ptes(mm, addr, ptep, nr > 1 && pte_valid(pte) ? pte_advance_pfn(pte, 1) : pte, nr);
}

static void set_young_in_fork(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	right->set_ptes(mm, addr, ptep, mm->copying ? pte_mkyoung(pte) : pte, nr);
}

static void set_cont_in_protnone(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	right->set_ptes(mm, addr, ptep, pte, nr);
	if (pte_protnone(pte))
		ptep->val |= PTE_CONT;
}

static void set_unlike(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	right->set_ptes(mm, addr, ptep, pte, nr);
	if (pte_cont(*ptep))
		ptep->val ^= PTE_EXEC;
}

static pte_t start_without_clearing(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	return *ptep;
}

static void wrprotect_but_last(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	pte_t last = ptep[nr - 1];

	right->wrprotect_ptes(mm, addr, ptep, nr);
	if (nr > 1 && !pte_cont(last))
		ptep[nr - 1] = last;
}

/* The A/D of a batch: only the first entry's. */
static pte_t get_and_clear_first(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	pte_t first = *ptep;

	right->get_and_clear_full_ptes(mm, addr, ptep, nr, full);
	first.val &= ~PTE_CONT;
	return first;
}

/* Unfolded, and the others' A/D forgotten. */
static pte_t get_and_clear_alone(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	bool folded = pte_cont(*ptep);
	u32 index = block_index(mm, addr), i;
	pte_t pte = right->ptep_get_and_clear(mm, addr, ptep);

	for (i = 0; folded && i < mm->geometry->cont_ptes; i++)
		if (i != index)
			ptep[(s64)i - index] = pte_mkold(pte_mkclean(ptep[(s64)i - index]));
	return pte;
}

static void clear_young_dirty_beyond(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty)
{
	u32 after = (addr / page_bytes(mm) + nr) & ((1u << mm->geometry->table_shift) - 1);

	right->clear_young_dirty_ptes(mm, addr, ptep, nr, young, dirty);
	if (after && pte_present(ptep[nr]) && !pte_cont(ptep[nr]))
		ptep[nr] = pte_mkold(pte_mkclean(ptep[nr]));
}

static void clear_uncounted(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	s64 live = *mm->live_blocks;
	u64 erased = mm->counters->erased;

	right->clear_full_ptes(mm, addr, ptep, nr, full);
	if (mm->counters->erased == erased)
		return;
	mm->counters->erased--;
	*mm->live_blocks = live - (s64)(mm->counters->erased - erased);
}

/* Break-before-make without the flush in between. */
static pte_t get_and_clear_unflushed(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	const struct arch_knobs *knobs = mm->knobs;
	struct arch_knobs bold = *knobs;
	pte_t pte;

	bold.bbml3 = true;
	mm->knobs = &bold;
	pte = right->ptep_get_and_clear(mm, addr, ptep);
	mm->knobs = knobs;
	return pte;
}

static void flush_range_uncounted(struct arch_mm *mm, const struct arch_flush *flush)
{
	right->flush_tlb_range(mm, flush);
	mm->counters->tlbi--;
}

static void flush_nothing(struct arch_mm *mm)
{
}

/* mmu_gather's flush, short of its last page. */
static void flush_short(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	struct arch_flush less = *flush;

	if (!fullmm && flush->end - flush->start > flush->stride)
		less.end -= flush->stride;
	right->tlb_flush(mm, &less, fullmm, freed_tables);
}

static pte_t clear_unflushed(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	return right->ptep_get_and_clear(mm, addr, ptep);
}

static void wait_for_nothing(struct arch_mm *mm)
{
	mm->tlbbatch_pending = 0;
}

const struct mutant mutants[] = {
	{ "the tail of a run is not unfolded", "I1", { .wrprotect_ptes = wrprotect_without_tail,
						       .clear_full_ptes = clear_without_tail } },
	{ "entries of a block differ", "I2", { .set_ptes = set_unlike } },
	{ "PROT_NONE keeps CONT", "I3", { .set_ptes = set_cont_in_protnone } },
	{ "mprotect writes over present entries", "I4", { .modify_prot_start_ptes = start_without_clearing } },
	{ "batches take other folios along", "I5", { .pte_batch_hint = hint_without_cont } },
	{ "blocks vanish uncounted", "I6", { .clear_full_ptes = clear_uncounted } },
	{ "unfolding does not flush", "I7", { .ptep_get_and_clear = get_and_clear_unflushed } },
	{ "TLBIs go uncounted", "I8", { .flush_tlb_range = flush_range_uncounted } },
	{ "mmu_gather's flush is short of a page", "I9", { .tlb_flush = flush_short } },
	{ "fork does not flush", "I9", { .flush_tlb_mm = flush_nothing } },
	{ "copies on write do not flush", "I9", { .ptep_clear_flush = clear_unflushed } },
	{ "nobody waits for reclaim's flushes", "I9", { .flush_tlb_batched_pending = wait_for_nothing } },
	{ "pages are mapped beside themselves", "I11", { .set_ptes = set_beyond_pfn } },
	{ "batches step over what is not folded", "I11", { .pte_batch_hint = hint_without_cont } },
	{ "A/D of the next page are cleared", "I12", { .clear_young_dirty_ptes = clear_young_dirty_beyond } },
	{ "unfolding forgets A/D", "I13", { .ptep_get_and_clear = get_and_clear_alone } },
	{ "the last entry stays writable", "I14", { .wrprotect_ptes = wrprotect_but_last } },
	{ "a batch tells the first entry's A/D", "I15", { .get_and_clear_full_ptes = get_and_clear_first } },
	{ "children are young", "I16", { .set_ptes = set_young_in_fork } },
	{ "hints go beyond blocks", "I18", { .pte_batch_hint = hint_without_cont } },
};

const size_t nr_mutants = ARRAY_SIZE(mutants);

struct arch_ops mutated(const struct arch_ops *backend, const struct mutant *mutant)
{
	struct arch_ops ops = *backend;

	right = backend;
#define take(hook)                                                                                 \
	do {                                                                                       \
		if (mutant->hooks.hook)                                                            \
			ops.hook = mutant->hooks.hook;                                             \
	} while (0)
	take(pte_batch_hint);
	take(set_ptes);
	take(ptep_get_and_clear);
	take(clear_full_ptes);
	take(get_and_clear_full_ptes);
	take(wrprotect_ptes);
	take(clear_young_dirty_ptes);
	take(modify_prot_start_ptes);
	take(ptep_clear_flush);
	take(flush_tlb_range);
	take(flush_tlb_mm);
	take(tlb_flush);
	take(flush_tlb_batched_pending);
#undef take
	return ops;
}
