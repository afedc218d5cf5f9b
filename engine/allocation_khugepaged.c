// SPDX-License-Identifier: MIT
/*
 * A khugepaged of the policy's own, over memory that faults filled with smaller folios: khugepaged_scan_mm_slot(),
 * collapse_scan_pmd() of mm/khugepaged.c, with pace and max_ptes_none as knobs. What decides beside them is taken so:
 * some page of the table is young (ageing is not recorded); none may be in swap (max_ptes_swap=0), at most half may be
 * shared (max_ptes_shared), by what the entry tells. What the collapse costs is op_collapse().
 */
#include <errno.h>

#include "engine/account.h"
#include "engine/allocation.h"
#include "engine/dispatch.h"
#include "engine/readers.h"

/* pages_to_scan, by default: eight tables' worth. */
#define TABLES_A_SCAN 8

/* Of a table: how many entries were looked at, and how many of them are empty or pages of zeroes. */
struct look {
	u32 looked, none, shared;
};

/* False: it is not to be collapsed; what was looked at until then tells. */
static bool is_worth_it(const struct mm *mm, const pte_t *ptes, struct look *look)
{
	u32 max_none = mm_knobs(mm)->max_ptes_none, max_shared = ptrs_per_pte(mm) / 2;

	for (; look->looked < ptrs_per_pte(mm); ) {
		pte_t pte = ptes[look->looked++];

		if (pte_none(pte) || (pte_present(pte) && pte_special(pte))) {
			if (++look->none > max_none)
				return false;
		} else if (!pte_present(pte) || !(pte.val & PTE_ANON) || pte.val & PTE_UFFD) {
			return false;
		} else if (!(pte.val & PTE_EXCLUSIVE) && ++look->shared > max_shared) {
			return false;
		}
	}
	return true;
}

/* op_collapse() counts the reads of a scan that goes on. */
static int count_look(struct mm *mm, u64 addr, pte_t *ptes, u32 looked)
{
	struct rf_machine *machine = mm->machine;
	enum rf_row row;
	u32 i;

	if (machine->accounts && account_op(machine, mm->id, RF_ROW_collapse))
		return -ENOMEM;
	row = machine_set_row(machine, mm, RF_ROW_collapse);
	for (i = 0; i < looked; i++)
		read_pte(mm, addr + i * page_size(mm), &ptes[i], RF_SITE_khugepaged_scan);
	machine_set_row(machine, mm, row);
	return 0;
}

/* What the program used of the small pages it has used of the huge one. */
static void hand_over(struct rf_machine *machine, const struct mm *mm, const pte_t *ptes, u64 first)
{
	u32 i;

	for (i = 0; i < ptrs_per_pte(mm); i++) {
		if (!pte_present(ptes[i]) || pte_special(ptes[i]))
			machine->stats.allocation.unused_pages++;
		else if (is_ours(ptes[i]))
			allocation_inherit_use(machine->allocation, first + i, pte_pfn(ptes[i]), 1);
		else
			allocation_use(machine->allocation, first + i);
	}
}

static int collapse(struct rf_machine *machine, struct mm *mm, u64 addr, const pte_t *ptes, u64 time)
{
	unsigned int order = mm->arch.geometry->table_shift;
	struct rf_op op = {
		.kind = RF_OP_COLLAPSE, .mm = mm->id, .time = time, .addr = addr, .nr = 1u << order, .order = (u8)order,
		.pfn = allocation_take(machine->allocation, order),
	};

	if (!op.pfn)
		return -ENOMEM;
	machine->stats.allocation.folios[order]++;
	hand_over(machine, mm, ptes, op.pfn);
	return machine_run_op(machine, &op);
}

static int scan_table(struct rf_machine *machine, struct mm *mm, u64 addr, u64 time)
{
	pmd_t *pmd = pmd_offset(mm, addr);
	pte_t *ptes = pte_offset(mm, pmd, addr);
	struct look look = { 0 };

	if (is_worth_it(mm, ptes, &look))
		return collapse(machine, mm, addr, ptes, time);
	return count_look(mm, addr, ptes, look.looked);
}

/* From scan->addr on; what is left of the tables. scan->addr is where the next scan goes on, 0 at the end of the mm. */
static int scan_mm(struct rf_machine *machine, struct mm *mm, struct scan *scan, u32 *tables, u64 time)
{
	u64 addr = scan->addr;

	for (const struct vm_area *vma = vma_find(mm, addr); *tables && vma; vma = vma_next(vma)) {
		if (!allocation_allows(machine, vma))
			continue;
		addr = ALIGN_UP(max_u64(addr, vma->start), pmd_size(mm));
		for (; *tables && addr + pmd_size(mm) <= vma->end; addr += pmd_size(mm)) {
			pmd_t *pmd;

			if (!pmd_next(mm, &addr, vma->end) || addr + pmd_size(mm) > vma->end)
				break;
			pmd = pmd_offset(mm, addr);
			if (!pmd || !pmd_table(*pmd))
				continue;
			if (scan_table(machine, mm, addr, time))
				return -ENOMEM;
			--*tables;
		}
	}
	scan->addr = *tables ? 0 : addr;
	return 0;
}

/* From one address space to the next. True: it came past the last one. */
static bool scan_some(struct rf_machine *machine, struct scan *scan, u64 time)
{
	u32 tables = TABLES_A_SCAN, asked = 0, owner = machine->owner;
	bool around = false;

	while (tables && asked++ < machine->max_mms && !machine->error) {
		struct mm *mm = machine_mm(machine, scan->mm);

		if (mm)
			machine->owner = account_own(machine, mm->id);
		if (mm && scan_mm(machine, mm, scan, &tables, time))
			machine->error = -ENOMEM;
		if (!mm || tables) {
			scan->mm++;
			scan->addr = 0;
		}
		around |= scan->mm >= machine->max_mms;
		if (scan->mm >= machine->max_mms)
			scan->mm = 0;
	}
	machine->owner = owner;		/* of the operation that waits */
	return around;
}

/* While nothing else happens, who has been everywhere finds nothing new: further scans are not counted. */
int khugepaged_until(struct rf_machine *machine, const struct rf_op *op)
{
	u64 interval = (u64)machine->policy.mm.khugepaged * 1000000;
	struct scan *scan = &machine->allocation->scan;
	bool around = false;

	if (!scan->next)
		scan->next = op->time + interval;
	if (!(allocation_enabled_orders(machine) & BIT(machine->policy.geometry.table_shift)))
		return 0;
	while (op->time >= scan->next && !around && !machine->error) {
		around = scan_some(machine, scan, op->time);
		scan->next += interval;
	}
	if (op->time >= scan->next)
		scan->next += ((op->time - scan->next) / interval + 1) * interval;
	return machine->error;
}
