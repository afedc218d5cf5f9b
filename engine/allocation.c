// SPDX-License-Identifier: MIT
/*
 * Anonymous folios as the policy's kernel would allocate them, not as the recorded one did: mm/memory.c
 * (alloc_anon_folio(), do_anonymous_page(), do_wp_page()), mm/huge_memory.c. allocation.h has the rules.
 */
#include <errno.h>

#include "engine/allocation.h"
#include "engine/dispatch.h"
#include "engine/pgtable.h"

/* What a step works on. */
struct allocating {
	struct rf_machine *machine;
	struct allocation *allocation;
	struct mm *mm;
	const struct rf_op *op;
};

static pte_t entry_at(const struct allocating *a, u64 addr)
{
	return rf_machine_lookup(a->machine, a->mm->id, addr);
}

static bool in_leaf(const struct allocating *a, u64 addr)
{
	pmd_t *pmd = pmd_offset(a->mm, addr);

	return pmd && pmd_leaf(*pmd);
}

static u64 page_start(const struct allocating *a, u64 addr)
{
	return ALIGN_DOWN(addr, page_size(a->mm));
}

/* ---- which folio ------------------------------------------------------------------------ */

static bool allows_folios(const struct allocating *a, const struct vm_area *vma)
{
	return !(a->op->flags & RF_OP_EXEC) && allocation_allows(a->machine, vma);
}

/* Is there nothing in the table where a folio of this order would be? */
static bool is_empty(const struct allocating *a, u64 addr, unsigned int order)
{
	pmd_t *pmd = pmd_offset(a->mm, addr);
	const pte_t *ptes;
	u32 i;

	if (!pmd || !pmd_table(*pmd))
		return true;
	ptes = pte_offset(a->mm, pmd, ALIGN_DOWN(addr, page_size(a->mm) << order));
	for (i = 0; i < 1u << order && !ptes[i].val; i++)
		;
	return i == 1u << order;
}

/* splitmix64 */
static u64 mix(u64 value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/*
 * Memory has no folio of this order just now. By lot, which depends on what is asked for and when, and on nothing that
 * was allocated before: columns that differ in something else have the same luck.
 */
static bool none_left(const struct allocating *a, u64 addr, unsigned int order)
{
	const struct rf_mm_knobs *knobs = mm_knobs(a->mm);
	u64 start = ALIGN_DOWN(addr, page_size(a->mm) << order), lot;
	bool none = knobs->recorded_fragmentation && a->allocation->failed_orders & BIT(order);

	if (knobs->alloc_fail && !none) {
		lot = mix(mix(knobs->alloc_seed + ((u64)order << 32)) ^ a->op->time);
		lot = mix(lot ^ start ^ (u64)a->mm->id << 48);
		none = lot % 100 < knobs->alloc_fail;
	}
	a->machine->stats.allocation.failed += none;
	return none;
}

/* Is there nothing yet where a folio of this order would be, and is all of it in the VMA? */
static bool is_suitable(const struct allocating *a, const struct vm_area *vma, u64 addr, unsigned int order)
{
	u64 size = page_size(a->mm) << order, start = ALIGN_DOWN(addr, size);
	pmd_t *pmd = pmd_offset(a->mm, addr);

	if (start < vma->start || start + size > vma->end)
		return false;
	if (!pmd || pmd_none(*pmd))
		return true;
	if (order == a->mm->arch.geometry->table_shift || pmd_leaf(*pmd))
		return false;
	return is_empty(a, addr, order);
}

static unsigned int choose_order(const struct allocating *a, const struct vm_area *vma, u64 addr)
{
	u32 orders = allows_folios(a, vma) ? allocation_enabled_orders(a->machine) : 0;
	unsigned int order;

	while (orders) {
		order = 31 - (unsigned int)__builtin_clz(orders);
		if (is_suitable(a, vma, addr, order) && !none_left(a, addr, order))
			return order;
		orders &= ~BIT(order);
	}
	return 0;
}

/* ---- faults ----------------------------------------------------------------------------- */

/* The recording uses a page, of ours or not. */
static void use_frame(const struct allocating *a, u64 pfn)
{
	if (allocation_use(a->allocation, pfn))
		a->machine->stats.allocation.unused_pages--;
}

static int run_page(const struct allocating *a, enum rf_op_kind kind, u64 pfn)
{
	struct rf_op op = *a->op;

	op.kind = kind;
	op.addr = page_start(a, op.addr);
	op.pfn = pfn;
	op.order = 0;
	op.nr = 1;
	op.flags = (op.flags & RF_OP_POPULATE) | RF_OP_WRITE;
	return machine_run_op(a->machine, &op);
}

static int copy_page(const struct allocating *a)
{
	u64 pfn = a->op->kind == RF_OP_FAULT_REUSE ? allocation_take(a->allocation, 0) : a->op->pfn;

	a->machine->stats.allocation.faults_changed += a->op->kind != RF_OP_FAULT_COW;
	return pfn ? run_page(a, RF_OP_FAULT_COW, pfn) : -ENOMEM;
}

static int reuse_page(const struct allocating *a)
{
	a->machine->stats.allocation.faults_changed += a->op->kind != RF_OP_FAULT_REUSE;
	return run_page(a, RF_OP_FAULT_REUSE, 0);
}

/* do_wp_page() or do_huge_pmd_wp_page() of a folio of ours: wp_can_reuse_anon_folio() */
static int write_protected(const struct allocating *a, u64 addr, pte_t pte)
{
	bool may_reuse = in_leaf(a, addr) || mm_knobs(a->mm)->reuse_large;

	if (pte.val & PTE_EXCLUSIVE)
		return reuse_page(a);
	return may_reuse && allocation_is_sole(a->machine, a->mm, addr, pte) ? reuse_page(a) : copy_page(a);
}

/* A fault that was recorded where a folio of ours has its page. */
static int fault_on_ours(const struct allocating *a, u64 addr, pte_t pte, bool write)
{
	use_frame(a, pte_pfn(pte));
	if (write && !pte_write(pte) && !pte_protnone(pte))
		return write_protected(a, addr, pte);
	a->machine->stats.allocation.faults_saved++;
	return 0;
}

static int fault_anon(const struct allocating *a)
{
	const struct vm_area *vma = vma_lookup(a->mm, a->op->addr);
	unsigned int order = vma ? choose_order(a, vma, a->op->addr) : 0, recorded = a->op->order;
	unsigned int least = recorded < order ? recorded : order;
	u64 size = page_size(a->mm), addr = ALIGN_DOWN(a->op->addr, size << least);
	struct rf_op op = *a->op;
	u32 i;

	/* Where the recording had nothing, a folio of ours may have left swap entries. */
	if (order <= recorded && (!recorded || is_empty(a, a->op->addr, recorded))) {
		a->machine->stats.allocation.folios_kept += recorded && order < recorded;
		a->machine->stats.allocation.folios[recorded]++;
		return machine_run_op(a->machine, &op);
	}
	op.order = order;
	op.pfn = allocation_take(a->allocation, order);
	if (!op.pfn)
		return -ENOMEM;
	a->machine->stats.allocation.folios[order]++;
	a->machine->stats.allocation.unused_pages += (1u << order);
	for (i = 0; i < 1u << least; i++, addr += size)
		use_frame(a, op.pfn + addr % (size << order) / size);
	return machine_run_op(a->machine, &op);
}

/* do_huge_pmd_anonymous_page(): the huge zero page where a huge page could be. */
static int fault_zero(const struct allocating *a)
{
	const struct vm_area *vma = vma_lookup(a->mm, a->op->addr);
	unsigned int huge = a->mm->arch.geometry->table_shift;
	struct rf_op op = *a->op;

	if (vma && allows_folios(a, vma) && allocation_enabled_orders(a->machine) & BIT(huge) &&
	    is_suitable(a, vma, op.addr, huge)) {
		op.order = huge;
		op.pfn = 0;
	}
	return machine_run_op(a->machine, &op);
}

/* Are the swap entries of what would be a folio of this order its slots, in line? can_swapin_thp() */
static bool may_swap_in(const struct allocating *a, const struct vm_area *vma, u64 addr, pte_t pte, unsigned int order)
{
	u64 size = page_size(a->mm), start = ALIGN_DOWN(addr, size << order), first, i;

	first = pte_pfn(pte) - (addr - start) / size;
	if (start < vma->start || start + (size << order) > vma->end || first & ((1u << order) - 1))
		return false;
	for (i = 0; i < 1u << order; i++) {
		pte_t other = entry_at(a, start + i * size);

		if (!pte_swap(other) || is_migration_entry(other) || pte_pfn(other) != first + i ||
		    (other.val ^ pte.val) & PTE_EXCLUSIVE)
			return false;
	}
	return true;
}

/* A recorded swap-in of several pages, of which ours has some already, or has dropped them: the page that it is for. */
static void limit_swap_in(const struct allocating *a, struct rf_op *op)
{
	u32 i;

	for (i = 0; i < op->nr; i++)
		if (!pte_swap(entry_at(a, page_start(a, op->addr) + i * page_size(a->mm))))
			op->nr = 1;
}

/* alloc_swap_folio(): a large folio comes back from memory that stands for a disk, not from a disk. */
static int fault_swap(const struct allocating *a, u64 addr, pte_t pte)
{
	const struct vm_area *vma = vma_lookup(a->mm, addr);
	unsigned int order = a->mm->arch.geometry->table_shift - 1;
	struct rf_op op = *a->op;
	u32 orders = allocation_enabled_orders(a->machine);
	u64 slot = pte_pfn(pte);

	use_frame(a, slot);
	if (!mm_knobs(a->mm)->swapin_large || mm_knobs(a->mm)->swap_readahead || !vma || !allows_folios(a, vma))
		orders = 0;
	for (; order; order--)
		if (orders & BIT(order) && may_swap_in(a, vma, addr, pte, order) && !none_left(a, addr, order))
			break;
	if (order > op.order) {
		op.order = order;
		op.nr = 1u << order;
		op.addr = ALIGN_DOWN(addr, page_size(a->mm) << order);
		op.pfn = allocation_take(a->allocation, order);
		if (!op.pfn)
			return -ENOMEM;
		allocation_inherit_use(a->allocation, op.pfn, slot - (addr - op.addr) / page_size(a->mm), op.nr);
	}
	limit_swap_in(a, &op);
	a->machine->stats.allocation.refaults += op.nr ? op.nr : 1;
	return machine_run_op(a->machine, &op);
}

/* The recording had nothing there yet; a folio of ours had, and it was swapped out or is being migrated. */
static int first_use(const struct allocating *a, u64 addr, pte_t pte)
{
	struct rf_op op = *a->op;
	struct allocating swapped = *a;

	if (is_migration_entry(pte)) {	/* migration_entry_wait(), and all is well */
		a->machine->stats.allocation.faults_saved++;
		return 0;
	}
	swapped.op = &op;
	op.flags = (op.flags & ~RF_OP_WRITE) | (op.kind == RF_OP_FAULT_ANON ? RF_OP_WRITE : 0);
	op.kind = RF_OP_FAULT_SWAP;
	op.addr = addr;
	op.order = 0;
	op.nr = 1;
	op.pfn = allocation_take(a->allocation, 0);
	a->machine->stats.allocation.faults_changed++;
	return op.pfn ? fault_swap(&swapped, addr, pte) : -ENOMEM;
}

/*
 * A write to zeroes, which the recording may not have had there. do_huge_zero_wp_pmd(): a huge page replaces the huge
 * zero page, where before it was split.
 */
static int copy_zeroes(const struct allocating *a, u64 addr)
{
	const struct vm_area *vma = vma_lookup(a->mm, addr);
	struct rf_op op = *a->op;

	if (op.kind == RF_OP_FAULT_ANON) {	/* the recording had nothing there */
		op.kind = RF_OP_FAULT_COW;
		op.addr = addr;
		op.order = 0;
		a->machine->stats.allocation.faults_changed++;
	}
	if (in_leaf(a, addr) && mm_knobs(a->mm)->huge_zero_wp && vma && allows_folios(a, vma) &&
	    !none_left(a, addr, a->mm->arch.geometry->table_shift)) {
		op.order = a->mm->arch.geometry->table_shift;
		op.pfn = allocation_take(a->allocation, op.order);
		if (!op.pfn)
			return -ENOMEM;
		a->machine->stats.allocation.folios[op.order]++;
		a->machine->stats.allocation.unused_pages += 1u << op.order;
		use_frame(a, op.pfn + pte_index(a->mm, addr));
	}
	return machine_run_op(a->machine, &op);
}

static bool is_write(const struct rf_op *op)
{
	return op->kind != RF_OP_FAULT_ZERO && (op->kind != RF_OP_FAULT_SWAP || op->flags & RF_OP_WRITE);
}

static int allocation_fault(const struct allocating *a)
{
	u64 addr = page_start(a, a->op->addr);
	pte_t pte = entry_at(a, addr);
	struct rf_op op = *a->op;

	if (pte_present(pte) && is_ours(pte))
		return fault_on_ours(a, addr, pte, is_write(a->op));
	if (a->op->kind == RF_OP_FAULT_ZERO && pte_present(pte)) {
		a->machine->stats.allocation.faults_saved++;
		return 0;
	}
	if ((a->op->kind == RF_OP_FAULT_ANON || a->op->kind == RF_OP_FAULT_ZERO) && pte_swap(pte) && is_ours(pte))
		return first_use(a, addr, pte);
	if (a->op->kind == RF_OP_FAULT_SWAP && is_ours(pte) && !is_migration_entry(pte))
		return fault_swap(a, addr, pte);
	if ((a->op->kind == RF_OP_FAULT_COW || a->op->kind == RF_OP_FAULT_ANON) && pte_present(pte) && pte_special(pte))
		return copy_zeroes(a, addr);
	if (a->op->kind == RF_OP_FAULT_ANON && pte_none(pte))
		return fault_anon(a);
	if (a->op->kind == RF_OP_FAULT_ZERO && pte_none(pte))
		return fault_zero(a);
	if (op.kind == RF_OP_FAULT_SWAP)
		limit_swap_in(a, &op);
	return machine_run_op(a->machine, &op);
}

/* ---- through the reverse map -------------------------------------------------------------- */

static bool can_be_done(const struct rf_op *op, pte_t pte)
{
	return op->kind == RF_OP_MIGRATE_IN ? is_migration_entry(pte) : pte_present(pte);
}

static bool is_of_folio(const struct allocating *a, u64 addr, u64 folio, unsigned int order)
{
	pte_t pte = entry_at(a, addr);

	return is_ours(pte) && can_be_done(a->op, pte) && pte_folio_order(pte) == order && pte_folio_pfn(pte) == folio;
}

/* All of the folio that the entry at addr maps, in stretches of what is still mapped. */
static int run_folio(const struct allocating *a, u64 addr, pte_t pte)
{
	unsigned int order = pte_folio_order(pte);
	u64 folio = pte_folio_pfn(pte), size = page_size(a->mm), start = addr - (pte_pfn(pte) - folio) * size;
	u64 first = a->op->kind == RF_OP_UNMAP_SWAP ? allocation_take(a->allocation, order) : folio;
	u32 pages = 1u << order, i = 0, nr;
	struct rf_op op = *a->op;
	int err = first ? 0 : -ENOMEM;

	if (first && first != folio)
		allocation_inherit_use(a->allocation, first, folio, pages);
	op.order = order;
	op.flags &= ~RF_OP_ZERO;
	for (; i < pages && !err; i += nr) {
		nr = 0;
		while (i + nr < pages && is_of_folio(a, start + (i + nr) * size, folio, order))
			nr++;
		op.addr = start + i * size;
		op.pfn = first + i;
		op.nr = nr;
		if (nr)
			err = machine_run_op(a->machine, &op);
		nr += !nr;
	}
	return err;
}

static int run_others(const struct allocating *a, u32 first, u32 nr)
{
	struct rf_op op = *a->op;

	op.addr += first * page_size(a->mm);
	op.pfn += first;
	op.nr = nr;
	return nr ? machine_run_op(a->machine, &op) : 0;
}

static int allocation_run(const struct allocating *a)
{
	u32 i, others = 0;	/* pages before i that are not of folios of ours */
	int err = 0;

	if (!a->op->nr)
		return machine_run_op(a->machine, a->op);
	for (i = 0; i < a->op->nr && !err; i++) {
		u64 addr = a->op->addr + i * page_size(a->mm);
		pte_t pte = entry_at(a, addr);

		/* None: it has gone with a folio of ours, now or before. */
		if (!is_ours(pte) && !pte_none(pte)) {
			others++;
			continue;
		}
		err = run_others(a, i - others, others);
		others = 0;
		if (!err && can_be_done(a->op, pte) &&
		    allocation_stands_for(a->allocation, pte_pfn(pte), pte_folio_order(pte)))
			err = run_folio(a, addr, pte);
	}
	return err ? err : run_others(a, i - others, others);
}

/* What the recorded kernel split was not of ours. */
static int allocation_split(const struct allocating *a)
{
	return a->op->nr && is_ours(entry_at(a, a->op->addr)) ? 0 : machine_run_op(a->machine, a->op);
}

/* madvise_cold_or_pageout_pte_range() splits what the range holds in part. */
static int split_at(const struct allocating *a, u64 edge)
{
	pte_t pte = entry_at(a, edge);
	struct rf_op op = {
		.kind = RF_OP_FOLIO_SPLIT, .mm = a->op->mm, .time = a->op->time, .addr = edge, .nr = 1,
		.flags = RF_OP_RELOCK,
	};

	if (!pte_present(pte) || !is_ours(pte) || !pte_folio_order(pte) || !(pte.val & PTE_EXCLUSIVE) ||
	    pte_pfn(pte) == pte_folio_pfn(pte))
		return 0;
	return machine_run_op(a->machine, &op);
}

static int allocation_pageout(const struct allocating *a)
{
	int err = machine_run_op(a->machine, a->op);

	if (!err)
		err = split_at(a, a->op->addr);
	return err ? err : split_at(a, a->op->end);
}

static int allocation_collapse(const struct allocating *a)
{
	return in_leaf(a, a->op->addr) ? 0 : machine_run_op(a->machine, a->op);
}

/* ---- what the recorded kernel got --------------------------------------------------------------- */

/* An order that was not there, and what is larger, is not there until one as large is got. */
static int allocation_failed(const struct allocating *a)
{
	a->allocation->failed_orders |= ~0u << min_u64(a->op->nr, 31);
	return 0;
}

static void note_success(struct allocation *allocation, const struct rf_op *op)
{
	if (op->kind == RF_OP_FAULT_ANON && op->order)
		allocation->failed_orders &= ~0u << 1 << op->order;
}

/* ---- dispatch ------------------------------------------------------------------------------ */

/* Address spaces that come, go and fork; before: an address space that ends has no relatives any more. */
static int allocation_mm(const struct allocating *a)
{
	int err = allocation_note_mm(a->allocation, a->op);

	return err ? err : machine_run_op(a->machine, a->op);
}

int allocation_op(struct rf_machine *machine, const struct rf_op *op)
{
	static int (*const functions[RF_NR_OPS])(const struct allocating *a) = {
		[RF_OP_MM_NEW] = allocation_mm, [RF_OP_MM_EXIT] = allocation_mm, [RF_OP_FORK] = allocation_mm,
		[RF_OP_FAULT_ANON] = allocation_fault, [RF_OP_FAULT_ZERO] = allocation_fault,
		[RF_OP_FAULT_COW] = allocation_fault, [RF_OP_FAULT_REUSE] = allocation_fault,
		[RF_OP_FAULT_SWAP] = allocation_fault,
		[RF_OP_UNMAP_SWAP] = allocation_run, [RF_OP_UNMAP_FILE] = allocation_run,
		[RF_OP_MIGRATE_OUT] = allocation_run, [RF_OP_MIGRATE_IN] = allocation_run,
		[RF_OP_FOLIO_SPLIT] = allocation_split, [RF_OP_MADV_PAGEOUT] = allocation_pageout,
		[RF_OP_COLLAPSE] = allocation_collapse, [RF_OP_ALLOC_FAILED] = allocation_failed,
	};
	struct allocating a = { .machine = machine, .allocation = machine->allocation, .op = op };

	if (machine->allocation) {
		allocation_account(machine, op->time);
		note_success(machine->allocation, op);
		if (machine->policy.mm.khugepaged && khugepaged_until(machine, op))
			return -ENOMEM;
	}
	if (!machine->allocation || op->kind >= RF_NR_OPS || op->flags & RF_OP_LOAD || !functions[op->kind])
		return machine_run_op(machine, op);
	a.mm = machine_mm(machine, op->mm);
	if (!a.mm && functions[op->kind] != allocation_mm && functions[op->kind] != allocation_failed)
		return machine_run_op(machine, op);
	return functions[op->kind](&a);
}
