// SPDX-License-Identifier: MIT
/* Blocks that are folded late, by a scan, or come back by faults: kernel-model.md 9.3. */
#include <errno.h>

#include "engine/account.h"
#include "engine/blocks.h"
#include "engine/pgtable.h"
#include "engine/readers.h"
#include "engine/tlb.h"

/* The entry of an address in a table of entries; NULL: there is none. */
static pte_t *find_pte(struct mm *mm, u64 addr)
{
	pmd_t *pmd = pmd_offset(mm, addr);

	return pmd && pmd_table(*pmd) ? pte_offset(mm, pmd, addr) : NULL;
}

void refold_at(struct mm *mm, u64 addr)
{
	pte_t *ptep = find_pte(mm, addr);

	if (ptep && mm->arch.ops->fold_block)
		mm->arch.ops->fold_block(&mm->arch, ALIGN_DOWN(addr, page_size(mm)), ptep);
}

/* ---- khuge_cont ---- */

/* pages_to_scan of khugepaged, by default: eight tables' worth. */
#define TABLES_A_SCAN 8

/* The whole blocks of a VMA in one table, by their first entries. */
static void scan_table(struct mm *mm, u64 start, u64 end, pte_t *ptep)
{
	u64 size = mm->arch.geometry->cont_ptes * page_size(mm), addr;
	pte_t pte;

	for (addr = ALIGN_UP(start, size); addr + size <= end; addr += size) {
		pte_t *first = ptep + ((addr - start) >> mm->arch.geometry->page_shift);

		pte = read_pte(mm, addr, first, RF_SITE_khugepaged_scan);
		if (pte_valid(pte) && !pte_cont(pte))
			mm->arch.ops->fold_block(&mm->arch, addr, first);
	}
}

/* From scan->addr on; what is left of the tables. scan->addr is where the next scan goes on, 0 at the end of the mm. */
static u32 scan_mm(struct mm *mm, struct scan *scan, u32 tables)
{
	u64 addr = scan->addr, end;
	const struct vm_area *vma;

	for (vma = vma_find(mm, addr); tables && vma; vma = vma_next(vma)) {
		for (addr = max_u64(addr, vma->start); tables && addr < vma->end; addr = end) {
			if (!pmd_next(mm, &addr, vma->end)) {
				addr = vma->end;
				break;
			}
			end = min_u64(ALIGN_DOWN(addr, pmd_size(mm)) + pmd_size(mm), vma->end);
			if (!find_pte(mm, addr))
				continue;
			scan_table(mm, addr, end, find_pte(mm, addr));
			tables--;
		}
	}
	scan->addr = tables ? 0 : addr;
	return tables;
}

/* As khugepaged does: from one address space to the next. True: it came past the last one. */
static bool scan_some(struct rf_machine *machine)
{
	struct scan *scan = &machine->scan;
	u32 tables = TABLES_A_SCAN, asked = 0;
	bool around = false;

	while (tables && asked++ < machine->max_mms) {
		struct mm *mm = machine_mm(machine, scan->mm);
		enum rf_row row;

		if (mm)
			machine->owner = account_own(machine, mm->id);
		if (mm && machine->accounts && account_op(machine, mm->id, RF_ROW_collapse)) {
			machine->error = -ENOMEM;
			return true;
		}
		if (mm) {
			row = machine_set_row(machine, mm, RF_ROW_collapse);
			tables = scan_mm(mm, scan, tables);
			end_operation(mm);
			machine_set_row(machine, mm, row);
		}
		if (!mm || tables)
			*scan = (struct scan){ .next = scan->next, .mm = scan->mm + 1 };
		around |= scan->mm >= machine->max_mms;
		if (scan->mm >= machine->max_mms)
			scan->mm = 0;
	}
	return around;
}

/* While nothing else happens, who has been everywhere twice finds nothing new: further scans are not counted. */
int khuge_cont_until(struct rf_machine *machine, u64 time)
{
	u64 interval = (u64)machine->policy.mm.khuge_cont * 1000000;
	struct scan *scan = &machine->scan;
	u32 rounds = 0;

	if (!scan->next)
		scan->next = time + interval;
	if (!machine->policy.arch->fold_block || !machine->policy.arch_knobs.cont)
		return 0;
	while (time >= scan->next && rounds < 2 && !machine->error) {
		rounds += scan_some(machine);
		scan->next += interval;
	}
	if (time >= scan->next)
		scan->next += ((time - scan->next) / interval + 1) * interval;
	return machine->error;
}

/* ---- the end of an operation ---- */

/*
 * unfold_free_split: the entries that went with the block and that the operation has not written itself. Whether they
 * are used again no recording tells: here each is, and faults. As with numa_rebuild_large_mapping() the first fault can
 * bring the rest of the block, too.
 */
static void refault_block(struct mm *mm, u64 addr)
{
	u64 size = mm->arch.geometry->cont_ptes * page_size(mm), start = ALIGN_DOWN(addr, size), at;
	bool each = mm->arch.knobs->unfold_free_split == SPLIT_REFAULTS_ENTRY, faulted = false;
	pte_t *ptep = find_pte(mm, start), pte;

	for (at = start; ptep && at < start + size; at += page_size(mm), ptep++) {
		if (!(ptep->val & PTE_REFAULT))
			continue;
		if (each || !faulted) {
			mm->arch.counters->faults++;
			read_pte_lockless(mm, at, ptep, RF_SITE_fault_entry);
		}
		faulted = true;
		pte = read_pte(mm, at, ptep, RF_SITE_fault_recheck);
		mm->arch.ops->set_ptes(&mm->arch, at, ptep, pte, 1);
		update_mmu_cache(mm, at, 1);
	}
}

static void refault_split(struct mm *mm)
{
	struct arch_blocks *split = &mm->arch.split;
	size_t i;

	for (i = 0; i < split->nr; i++)
		refault_block(mm, split->addrs[i]);
	split->nr = 0;
}

/* fold_sites=end-of-op: the blocks that the operation has left unfolded, in the order in which it came by. */
static void fold_touched(struct mm *mm)
{
	struct arch_blocks *touched = &mm->arch.touched;
	size_t i;

	for (i = 0; i < touched->nr; i++)
		refold_at(mm, touched->addrs[i]);
	touched->nr = 0;
}

void settle_blocks(struct mm *mm)
{
	refault_split(mm);
	fold_touched(mm);
	if (mm->arch.owed.end)
		flush_tlb_ptes(mm, mm->arch.owed.start, mm->arch.owed.end, FLUSH_SYNC);
	else if (mm->arch.owed.wait)
		mm->arch.ops->tlbbatch_flush(&mm->arch);
	mm->arch.owed = (struct arch_owed){ 0 };
}
