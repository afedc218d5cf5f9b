// SPDX-License-Identifier: MIT
/* Folios of ours: their page frames, who shares them. See allocation.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "engine/allocation.h"

struct allocation *allocation_create(void)
{
	return calloc(1, sizeof(struct allocation));
}

void allocation_destroy(struct allocation *allocation)
{
	if (!allocation)
		return;
	free(allocation->pages);
	free(allocation->relatives);
	free(allocation);
}

u64 allocation_take(struct allocation *allocation, unsigned int order)
{
	u64 first = ALIGN_UP(allocation->nr_pages, 1ull << order), end = first + (1ull << order), i;

	if (array_grow_zeroed(allocation->pages, allocation->room, end))
		return 0;
	for (i = first; i < end; i++)
		allocation->pages[i].order = (u8)order;
	allocation->nr_pages = end;
	return ALLOCATION_FIRST_PFN + first;
}

bool allocation_stands_for(const struct allocation *allocation, u64 pfn, unsigned int order)
{
	u64 page = pfn - ALLOCATION_FIRST_PFN, first = ALIGN_DOWN(page, 1ull << order);

	while (first < page && !allocation->pages[first].used)
		first++;
	return first == page;
}

/* ---- which may be ------------------------------------------------------------------- */

u32 allocation_enabled_orders(const struct rf_machine *machine)
{
	unsigned int shift = machine->policy.geometry.page_shift, table_shift = machine->policy.geometry.table_shift;
	u32 sizes = machine->policy.mm.anon_folios, orders;

	if (sizes & BIT(RF_ANON_FOLIOS_ALL))
		return (1u << (table_shift + 1)) - 4;
	/* Bit 0: 16K, order 2 of 4K pages. */
	orders = (u32)(((u64)sizes << 14) >> shift);
	return orders & ((1u << (table_shift + 1)) - 4);
}

bool allocation_allows(const struct rf_machine *machine, const struct vm_area *vma)
{
	if (vma->file || vma->flags & (RF_VM_NOHUGEPAGE | RF_VM_UFFD | RF_VM_SHARED))
		return false;
	return !machine->policy.mm.thp_madvise || vma->flags & RF_VM_HUGEPAGE;
}

/* ---- who shares them --------------------------------------------------------------- */

static int make_room(struct allocation *allocation, u64 id)
{
	u64 i, had = allocation->max_relatives;

	if (array_grow_zeroed(allocation->relatives, allocation->max_relatives, id + 1))
		return -ENOMEM;
	for (i = had; i < allocation->max_relatives; i++)
		allocation->relatives[i] = (struct relatives){ .next = i, .previous = i };
	return 0;
}

static void leave(struct allocation *allocation, u32 id)
{
	struct relatives *list = allocation->relatives;

	list[list[id].previous].next = list[id].next;
	list[list[id].next].previous = list[id].previous;
	list[id] = (struct relatives){ .next = id, .previous = id };
}

static void join(struct allocation *allocation, u32 id, u32 parent)
{
	struct relatives *list = allocation->relatives;

	list[id] = (struct relatives){ .next = list[parent].next, .previous = parent };
	list[list[id].next].previous = id;
	list[parent].next = id;
}

int allocation_note_mm(struct allocation *allocation, const struct rf_op *op)
{
	u64 highest = op->kind == RF_OP_FORK ? max_u64(op->mm, op->mm2) : op->mm;

	if (make_room(allocation, highest))
		return -ENOMEM;
	if (op->kind != RF_OP_FORK) {
		leave(allocation, op->mm);
	} else if (op->mm2 != op->mm) {
		leave(allocation, op->mm2);
		join(allocation, op->mm2, op->mm);
	}
	return 0;
}

bool allocation_is_sole(struct rf_machine *machine, struct mm *mm, u64 addr, pte_t pte)
{
	const struct relatives *list = machine->allocation->relatives;
	u64 folio = pte_folio_pfn(pte), start = addr - (pte_pfn(pte) - folio) * page_size(mm);
	u32 pages = 1u << pte_folio_order(pte), i, id;

	if (mm->id >= machine->allocation->max_relatives)
		return true;
	for (id = list[mm->id].next; id != mm->id; id = list[id].next) {
		for (i = 0; i < pages; i++) {
			pte_t other = rf_machine_lookup(machine, id, start + i * page_size(mm));

			if (pte_present(other) && pte_folio_pfn(other) == folio)
				return false;
		}
	}
	return true;
}
