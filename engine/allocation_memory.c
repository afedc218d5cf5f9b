// SPDX-License-Identifier: MIT
/*
 * The memory that folios of ours take: from the first entry that maps one of their pages until the last goes. An entry
 * does not tell: others may map its page, too. What is counted of it: pages that are there and were never used, folios
 * that are partly unmapped (_nr_pages_mapped and the deferred split queue of mm/rmap.c), splits.
 */
#include "engine/allocation.h"

static struct our_page *first_of(struct allocation *allocation, u64 page)
{
	return &allocation->pages[ALIGN_DOWN(page, 1ull << allocation->pages[page].order)];
}

static u64 never_used(const struct our_page *first)
{
	u32 i, nr = 0;

	for (i = 0; i < 1u << first->order; i++)
		nr += !first[i].used;
	return nr;
}

void allocation_add_rmap(struct rf_machine *machine, pte_t pte, u32 nr)
{
	struct allocation *allocation = machine->allocation;
	struct rf_allocation_stats *stats = &machine->stats.allocation;
	u64 page = pte_pfn(pte) - ALLOCATION_FIRST_PFN, end = min_u64(page + nr, allocation->nr_pages);
	struct our_page *first;

	for (; page < end; page++) {
		if (allocation->pages[page].mapcount++)
			continue;
		first = first_of(allocation, page);
		if (!first->nr_mapped++)
			allocation->unused += never_used(first);
	}
	stats->peak_unused_pages = max_u64(stats->peak_unused_pages, allocation->unused);
}

/* What is unmapped piece by piece in one operation, as by exit, was not left in part. */
static void unmapped_one(struct rf_machine *machine, struct our_page *first)
{
	struct allocation *allocation = machine->allocation;

	if (!--first->nr_mapped) {
		allocation->unused -= never_used(first);
		machine->stats.allocation.partly_unmapped -= first->partly == allocation->nr_ops;
		first->partly = 0;
	} else if (!first->partly) {
		machine->stats.allocation.partly_unmapped++;
		first->partly = allocation->nr_ops;
	}
}

void allocation_remove_rmap(struct rf_machine *machine, pte_t pte, u32 nr)
{
	struct allocation *allocation = machine->allocation;
	u64 page = pte_pfn(pte) - ALLOCATION_FIRST_PFN, end = min_u64(page + nr, allocation->nr_pages);

	for (; page < end; page++)
		if (allocation->pages[page].mapcount && !--allocation->pages[page].mapcount)
			unmapped_one(machine, first_of(allocation, page));
}

/* Pages of a folio that nothing maps any more are free once they are folios of their own. */
void allocation_split_folio(struct rf_machine *machine, pte_t pte, unsigned int order)
{
	struct allocation *allocation = machine->allocation;
	struct our_page *first = first_of(allocation, pte_pfn(pte) - ALLOCATION_FIRST_PFN);
	u32 nr = 1u << first->order, i;

	if (first->order <= order)
		return;
	machine->stats.allocation.folios_split++;
	if (first->nr_mapped)
		allocation->unused -= never_used(first);
	for (i = 0; i < nr; i++) {
		first[i].order = (u8)order;
		first[i].nr_mapped = 0;
		first[i].partly = 0;
	}
	for (i = 0; i < nr; i++)
		first[ALIGN_DOWN(i, 1u << order)].nr_mapped += first[i].mapcount != 0;
	for (i = 0; i < nr; i += 1u << order)
		if (first[i].nr_mapped)
			allocation->unused += never_used(&first[i]);
}

bool allocation_use(struct allocation *allocation, u64 pfn)
{
	u64 page = pfn - ALLOCATION_FIRST_PFN;

	if (pfn < ALLOCATION_FIRST_PFN || page >= allocation->nr_pages || allocation->pages[page].used)
		return false;
	allocation->pages[page].used = true;
	allocation->unused -= first_of(allocation, page)->nr_mapped != 0;
	return true;
}

void allocation_inherit_use(struct allocation *allocation, u64 to, u64 from, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (allocation->pages[from - ALLOCATION_FIRST_PFN + i].used)
			allocation_use(allocation, to + i);
}

void allocation_account(struct rf_machine *machine, u64 time)
{
	struct allocation *allocation = machine->allocation;

	allocation->nr_ops += 1 + !(allocation->nr_ops + 1);	/* never 0 */
	if (allocation->last_time && time > allocation->last_time)
		allocation->unused_time += (unsigned __int128)allocation->unused * (time - allocation->last_time);
	allocation->last_time = max_u64(allocation->last_time, time);
	machine->stats.allocation.unused_time = (u64)(allocation->unused_time >> 10);
}
