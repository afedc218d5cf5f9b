// SPDX-License-Identifier: MIT
/* What was done to one folio is done to those that follow and are alike: see repeat.h. */
#include <string.h>

#include "base/pair.h"
#include "engine/repeat.h"

/* Fewer that are alike are not worth the watching, which costs as much as the steps over some of them. */
#define WORTH 8
/* A walk that finds nothing to repeat so often gives up. */
#define TRIES 4

void repeat_begin(struct repeat *repeat, struct mm *mm, struct mm *child, struct mmu_gather *tlb)
{
	const struct rf_machine *machine = mm->machine;
	bool listens = mm->arch.observer || (child && child->arch.observer);
	/* Their state is elsewhere: pages of folios of ours, what is coalesced, a kernel's variables. */
	bool knows_more = machine->allocation || machine->coalescing || mm->arch.ops->loaded;
	bool counts_apart = child && (child->arch.counters != mm->arch.counters ||
				      child->arch.batches != mm->arch.batches);

	repeat->mm = mm;
	repeat->child = child;
	repeat->tlb = tlb;
	repeat->state = REPEAT_NOTHING;
	repeat->tries = TRIES;
	repeat->skip = (page_size(mm) << REPEAT_MIN_ORDER) - 1;
	if (machine->steps_only || listens || knows_more || counts_apart)
		repeat->skip = ~0ull;
}

/* ---- entries, 16 at a time ------------------------------------------------------------------------- */

/* Do they hold the same but for pfns, which are further on by distance? */
static inline bool alike(const pte_t *ptes, const pte_t *as, u64 distance, u32 nr)
{
	const pair *a = (const pair *)ptes, *b = (const pair *)as, *end = a + nr / 2;
	const pair further = { distance, distance };
	pair differ = { 0 };

	for (; a < end; a += 8, b += 8)
		differ |= ((a[0] - b[0]) ^ further) | ((a[1] - b[1]) ^ further) | ((a[2] - b[2]) ^ further) |
			  ((a[3] - b[3]) ^ further) | ((a[4] - b[4]) ^ further) | ((a[5] - b[5]) ^ further) |
			  ((a[6] - b[6]) ^ further) | ((a[7] - b[7]) ^ further);
	return pair_is_zero(differ);
}

static inline void write_like(pte_t *ptes, const pte_t *as, u64 distance, u32 nr)
{
	pair *a = (pair *)ptes, *end = a + nr / 2;
	const pair *b = (const pair *)as;
	const pair further = { distance, distance };

	for (; a < end; a += 8, b += 8)
		for (u32 i = 0; i < 8; i++)
			a[i] = b[i] + further;
}

/* How much further its pfn is, if the first entry is of the beginning of a folio like that one; false: it is not. */
static inline bool folio_distance(pte_t pte, pte_t first, u32 nr, u64 *distance)
{
	*distance = pte.val - first.val;
	return !((pte.val ^ first.val) & (~PTE_PFN_MASK | (u64)(nr - 1) << PTE_PFN_SHIFT));
}

/* From ptep on, of at most max folios. */
static u32 count_alike(const pte_t *ptep, const pte_t *as, u32 nr, u32 max)
{
	u64 distance;
	u32 i;

	for (i = 0; i < max; i++, ptep += nr)
		if (!folio_distance(*ptep, *as, nr, &distance) || !alike(ptep, as, distance, nr))
			break;
	return i;
}

/* Consecutive pages, present, from the first to the last one of a folio. */
static bool whole_folio(const pte_t *ptep, u32 nr)
{
	const u64 mask = PTE_PFN_MASK | PTE_ORDER_MASK;
	u64 expected = ptep->val & mask;
	u32 i;

	if (pte_pfn(*ptep) & (nr - 1))
		return false;
	for (i = 0; i < nr; i++, expected += 1ull << PTE_PFN_SHIFT)
		if (!pte_present(ptep[i]) || (ptep[i].val & mask) != expected)
			return false;
	return true;
}

/* ---- watching ------------------------------------------------------------------------------------ */

static void take_tally(const struct repeat *repeat, struct repeat_tally *tally)
{
	const struct arch_mm *arch = &repeat->mm->arch;
	const struct rf_stats *stats = &repeat->mm->machine->stats;

	tally->row = *arch->counters;
	memcpy(tally->readers, stats->readers, sizeof(tally->readers));
	memcpy(tally->runs, stats->runs, sizeof(tally->runs));
	for (u32 i = 0; i < ARCH_NR_HELPERS; i++)
		memcpy(tally->calls[i], arch->batches->calls[i] + 1, repeat->nr * sizeof(u64));
	tally->live_blocks = *arch->live_blocks;
}

/* False: these are too many. */
static bool note_changes(struct repeat *repeat, void *counters, const void *before, size_t nr)
{
	const u64 *old = before;
	u64 *new = counters;

	for (size_t i = 0; i < nr; i++) {
		if (new[i] == old[i])
			continue;
		if (repeat->nr_changes == ARRAY_SIZE(repeat->changes))
			return false;
		repeat->changes[repeat->nr_changes++] = (struct repeat_change){ &new[i], new[i] - old[i] };
	}
	return true;
}

static bool compare_tally(struct repeat *repeat)
{
	const struct arch_mm *arch = &repeat->mm->arch;
	struct rf_stats *stats = &repeat->mm->machine->stats;
	const struct repeat_tally *tally = &repeat->tally;
	bool fits = true;

	repeat->nr_changes = 0;
	fits &= note_changes(repeat, arch->counters, &tally->row, ARCH_NR_COUNTERS);
	fits &= note_changes(repeat, stats->readers, tally->readers, sizeof(tally->readers) / (sizeof(u64)));
	fits &= note_changes(repeat, stats->runs, tally->runs, sizeof(tally->runs) / (sizeof(u64)));
	for (u32 i = 0; i < ARCH_NR_HELPERS; i++)
		fits &= note_changes(repeat, arch->batches->calls[i] + 1, tally->calls[i], repeat->nr);
	return fits && note_changes(repeat, arch->live_blocks, &tally->live_blocks, 1);
}

/* Is what the backend knows what it was? Flushes that are owed, for one, are not. */
static bool arch_unchanged(const struct repeat *repeat)
{
	return !memcmp(&repeat->mm->arch, &repeat->arch, sizeof(repeat->arch)) &&
	       (!repeat->child || !memcmp(&repeat->child->arch, &repeat->child_arch, sizeof(repeat->child_arch)));
}

/* Are there enough folios like the one at ptep, and can it be told where the steps over it end? */
static bool worth_watching(const struct repeat *repeat, u64 addr, const pte_t *ptep, u32 max_nr)
{
	const struct mm *mm = repeat->mm;
	unsigned int order = pte_folio_order(*ptep);
	u32 nr = 1u << order;

	if (order < REPEAT_MIN_ORDER || order > REPEAT_MAX_ORDER || nr < mm->arch.geometry->cont_ptes)
		return false;
	if (max_nr < WORTH * nr || addr & ((page_size(mm) << order) - 1) || !whole_folio(ptep, nr))
		return false;
	if (repeat->tlb && !tlb_has_room(repeat->tlb, nr))
		return false;
	return count_alike(ptep + nr, ptep, nr, WORTH - 1) == WORTH - 1;
}

static void watch(struct repeat *repeat, u64 addr, pte_t *ptep, pte_t *copy)
{
	u32 nr = 1u << pte_folio_order(*ptep);

	repeat->tries--;
	repeat->state = REPEAT_WATCHING;
	repeat->nr = nr;
	repeat->addr = addr;
	repeat->ptep = ptep;
	repeat->copy = copy;
	memcpy(repeat->before, ptep, nr * sizeof(*ptep));
	memcpy(&repeat->arch, &repeat->mm->arch, sizeof(repeat->arch));
	if (repeat->child)
		memcpy(&repeat->child_arch, &repeat->child->arch, sizeof(repeat->child_arch));
	if (repeat->tlb)
		repeat->tlb_before = *repeat->tlb;
	take_tally(repeat, &repeat->tally);
}

/* The same pages as before, or none; of all. */
static bool keeps_pages(const pte_t *after, const pte_t *before, u32 nr)
{
	bool same = true, none = true;

	for (u32 i = 0; i < nr; i++) {
		same &= !((after[i].val ^ before[i].val) & (PTE_PFN_MASK | PTE_ORDER_MASK));
		none &= pte_none(after[i]);
	}
	return same || none;
}

/* The walk has come to the end of what was watched. Can it be repeated? */
static bool know(struct repeat *repeat)
{
	u32 nr = repeat->nr;

	memcpy(repeat->after, repeat->ptep, nr * sizeof(pte_t));
	if (repeat->copy)
		memcpy(repeat->copied, repeat->copy, nr * sizeof(pte_t));
	if (!arch_unchanged(repeat) || !keeps_pages(repeat->after, repeat->before, nr))
		return false;
	if (repeat->copy && !keeps_pages(repeat->copied, repeat->before, nr))
		return false;
	if (repeat->tlb && !tlb_step_between(&repeat->tlb_before, repeat->tlb, repeat->addr, &repeat->step))
		return false;
	repeat->ends_alone = repeat->last_step == repeat->addr + (nr - 1) * page_size(repeat->mm);
	repeat->writes = memcmp(repeat->after, repeat->before, nr * sizeof(pte_t));
	return compare_tally(repeat);
}

/* ---- repeating ------------------------------------------------------------------------------------- */

/* What is left to wait for is memory. */
static inline void fetch_ahead(const pte_t *ptep)
{
	__builtin_prefetch(ptep + 64, 1);
	__builtin_prefetch(ptep + 72, 1);
}

/* To at most max folios; to how many. */
static u32 write_folios(const struct repeat *repeat, pte_t *ptep, pte_t *copy, u32 max)
{
	bool clears = pte_none(repeat->after[0]), copies = copy && !pte_none(repeat->copied[0]);
	u32 nr = repeat->nr, i;
	u64 distance;

	for (i = 0; i < max; i++, ptep += nr) {
		fetch_ahead(ptep);
		if (copy)
			fetch_ahead(copy);
		if (!folio_distance(*ptep, repeat->before[0], nr, &distance) ||
		    !alike(ptep, repeat->before, distance, nr))
			break;
		if (repeat->writes)
			write_like(ptep, repeat->after, clears ? 0 : distance, nr);
		if (copies)
			write_like(copy, repeat->copied, distance, nr);
		if (copy)
			copy += nr;
	}
	return i;
}

static u32 again(struct repeat *repeat, u64 addr, pte_t *ptep, pte_t *copy, u32 max_nr)
{
	u64 size = page_size(repeat->mm) * repeat->nr;
	/* A step that may take one entry only does not even look: the last folio of a range may cost less. */
	u32 folios = (max_nr - repeat->ends_alone) / repeat->nr;

	if (repeat->tlb)
		folios = min_u64(folios, tlb_steps_fit(repeat->tlb, &repeat->step));
	if (addr & (size - 1) || !arch_unchanged(repeat))
		return 0;
	folios = write_folios(repeat, ptep, copy, folios);
	if (!folios)
		return 0;
	for (u32 i = 0; i < repeat->nr_changes; i++)
		*repeat->changes[i].counter += repeat->changes[i].by * folios;
	if (repeat->tlb)
		tlb_step_again(repeat->tlb, &repeat->step, addr, size, folios);
	repeat->mm->machine->folios_repeated += folios;
	repeat->tries = TRIES;
	return folios * repeat->nr;
}

u32 repeat_at(struct repeat *repeat, u64 addr, pte_t *ptep, pte_t *copy, u32 max_nr)
{
	u32 nr;

	if (repeat->skip == ~0ull)
		return 0;
	if (repeat->state == REPEAT_WATCHING) {
		u64 end = repeat->addr + page_size(repeat->mm) * repeat->nr;

		if (addr > repeat->addr && addr < end)
			return 0;
		repeat->state = addr == end && know(repeat) ? REPEAT_KNOWN : REPEAT_NOTHING;
	}
	if (repeat->state == REPEAT_KNOWN) {
		nr = again(repeat, addr, ptep, copy, max_nr);
		if (nr)
			return nr;
		/* It may be the gather that has no room just now. */
		if (max_nr >= repeat->nr && count_alike(ptep, repeat->before, repeat->nr, 1) && arch_unchanged(repeat))
			return 0;
	}
	if (repeat->tries && worth_watching(repeat, addr, ptep, max_nr))
		watch(repeat, addr, ptep, copy);
	return 0;
}
