// SPDX-License-Identifier: MIT
/*
 * The machine: which address space an operation is for, which row it counts
 * in, and what must hold after it. The work is in the other files.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/hugetlb.h"
#include "engine/rescale.h"

/* ---- address spaces -------------------------------------------------------------- */

struct mm *machine_mm(struct rf_machine *machine, u32 id)
{
	return id < machine->max_mms ? machine->mms[id] : NULL;
}

static int mm_table_grow(struct rf_machine *machine, u32 id)
{
	u32 max = machine->max_mms ? machine->max_mms : 64, i;
	struct mm **mms;

	while (max <= id)
		max *= 2;
	if (max == machine->max_mms)
		return 0;
	mms = realloc(machine->mms, max * sizeof(struct mm *));
	if (!mms)
		return -ENOMEM;
	for (i = machine->max_mms; i < max; i++)
		mms[i] = NULL;
	machine->mms = mms;
	machine->max_mms = max;
	return 0;
}

/* Structures of dead mms are used again, with their array of VMAs. */
static struct mm *mm_alloc(struct rf_machine *machine)
{
	struct mm *mm = machine->free_mms;

	if (mm) {
		machine->free_mms = mm->next_free;
		return mm;
	}
	return calloc(1, sizeof(*mm));
}

struct mm *machine_new_mm(struct rf_machine *machine, u32 id)
{
	struct mm *mm;

	if (mm_table_grow(machine, id))
		return NULL;
	mm = mm_alloc(machine);
	if (!mm)
		return NULL;
	*mm = (struct mm){
		.arch = {
			.ops = machine->policy.arch,
			.knobs = &machine->arch_knobs,
			.geometry = &machine->policy.geometry,
			.counters = &machine->stats.rows[machine->row],
			.batches = &machine->stats.batches,
			.live_blocks = &machine->stats.live_blocks,
			.user = true,
		},
		.machine = machine,
		.id = id,
		.vmas = mm->vmas,
		.max_vmas = mm->max_vmas,
		.cached_pmd_index = ~0ull,
	};
	machine->mms[id] = mm;
	return mm;
}

void machine_free_mm(struct rf_machine *machine, struct mm *mm)
{
	pgtable_destroy(mm);
	huge_pages_destroy(mm);
	machine->mms[mm->id] = NULL;
	mm->nr_vmas = 0;
	mm->next_free = machine->free_mms;
	machine->free_mms = mm;
}

enum rf_row machine_set_row(struct rf_machine *machine, struct mm *mm, enum rf_row row)
{
	enum rf_row old = machine->row;

	machine->row = row;
	if (machine->accounts)
		account_row(machine, row);
	mm->arch.counters = &machine->stats.rows[row];
	return old;
}

/* ---- the machine ------------------------------------------------------------------- */

/*
 * Which places read one entry of a folded block. The norecency RFC gave those it converted a getter of their own; where
 * it left ptep_get_lockless(), that gathers as ever.
 */
static void convert_readers(struct rf_machine *machine)
{
	machine->arch_knobs = machine->policy.arch_knobs;
	if (machine->policy.arch_knobs.lockless == LOCKLESS_NORECENCY) {
		machine->norecency_sites |= rf_sites_of(RECENCY_RFC);
		machine->arch_knobs.lockless = machine->arch_knobs.getter == GETTER_EARLY ? LOCKLESS_EARLY :
											   LOCKLESS_FULL;
	}
	if (machine->policy.mm.locked_norecency)
		machine->norecency_sites |= rf_sites_of(RECENCY_UNUSED);
}

struct rf_machine *rf_machine_create(const struct rf_policy *policy)
{
	struct rf_machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		return NULL;
	machine->policy = *policy;
	machine->tables = table_pool_create(policy->geometry.table_shift);
	machine->exclusive_bits = calloc((1ull << policy->geometry.table_shift) / 64 + 1, sizeof(u64));
	convert_readers(machine);
	machine->load_batches = calloc(1, sizeof(*machine->load_batches));
	if (!machine->tables || !machine->exclusive_bits || !machine->load_batches) {
		rf_machine_destroy(machine);
		return NULL;
	}
	return machine;
}

static void mm_destroy(struct mm *mm)
{
	huge_pages_destroy(mm);
	free(mm->vmas);
	free(mm);
}

void rf_machine_destroy(struct rf_machine *machine)
{
	struct mm *mm, *next;
	u32 i;

	if (!machine)
		return;
	for (i = 0; i < machine->max_mms; i++)
		if (machine->mms[i])
			mm_destroy(machine->mms[i]);
	for (mm = machine->free_mms; mm; mm = next) {
		next = mm->next_free;
		mm_destroy(mm);
	}
	free(machine->mms);
	free(machine->exclusive_bits);
	free(machine->load_batches);
	accounts_destroy(machine->accounts);
	rescale_destroy(machine->rescale);
	table_pool_destroy(machine->tables);
	free(machine);
}

const struct rf_policy *rf_machine_policy(const struct rf_machine *machine)
{
	return &machine->policy;
}

const struct rf_stats *rf_machine_stats(const struct rf_machine *machine)
{
	return &machine->stats;
}

pte_t rf_machine_lookup(struct rf_machine *machine, u32 id, u64 addr)
{
	struct mm *mm = machine_mm(machine, id);
	pmd_t *pmd = mm ? pmd_offset(mm, addr) : NULL;

	if (!pmd || pmd_none(*pmd))
		return (pte_t){ 0 };
	if (pmd_leaf(*pmd))
		return pte_advance_pfn(pmd_pte(*pmd), pte_index(mm, addr));
	return *pte_offset(mm, pmd, addr);
}

/* ---- dispatch ------------------------------------------------------------------------ */

static enum rf_row row_of_why(u8 why)
{
	static const enum rf_row rows[] = {
		[RF_WHY_NONE] = RF_ROW_zap_other,
		[RF_WHY_MUNMAP] = RF_ROW_zap_munmap,
		[RF_WHY_BRK] = RF_ROW_zap_brk,
		[RF_WHY_MMAP_FIXED] = RF_ROW_zap_mmap_fixed,
		[RF_WHY_MREMAP] = RF_ROW_zap_mremap,
		[RF_WHY_SHMDT] = RF_ROW_zap_shmdt,
		[RF_WHY_DONTNEED] = RF_ROW_zap_dontneed,
		[RF_WHY_GUARD] = RF_ROW_zap_guard,
		[RF_WHY_REMOVE] = RF_ROW_zap_remove,
		[RF_WHY_TRUNCATE] = RF_ROW_zap_truncate,
		[RF_WHY_OTHER] = RF_ROW_zap_other,
		[RF_WHY_PROCESS_EXIT] = RF_ROW_zap_exit,
		[RF_WHY_EXEC] = RF_ROW_zap_exec,
	};

	return why < ARRAY_SIZE(rows) ? rows[why] : RF_ROW_zap_other;
}

static enum rf_row row_of_op(const struct rf_op *op)
{
	static const enum rf_row rows[RF_NR_OPS] = {
		[RF_OP_MM_NEW] = RF_ROW_vma,
		[RF_OP_FORK] = RF_ROW_fork,
		[RF_OP_EXEC_STACK] = RF_ROW_exec,
		[RF_OP_MAP] = RF_ROW_vma,
		[RF_OP_VMA_FLAGS] = RF_ROW_vma,
		[RF_OP_VMA_GROW] = RF_ROW_vma,
		[RF_OP_FAULT_ANON] = RF_ROW_fault_anon,
		[RF_OP_FAULT_ZERO] = RF_ROW_fault_zero,
		[RF_OP_FAULT_FILE] = RF_ROW_fault_file,
		[RF_OP_FAULT_COW] = RF_ROW_cow,
		[RF_OP_FAULT_REUSE] = RF_ROW_reuse,
		[RF_OP_FAULT_SWAP] = RF_ROW_fault_swap,
		[RF_OP_FAULT_HUGETLB] = RF_ROW_fault_hugetlb,
		[RF_OP_FAULT_NONE] = RF_ROW_fault_none,
		[RF_OP_GUP_SLOW] = RF_ROW_gup_slow,
		[RF_OP_GUP_FAST] = RF_ROW_gup_fast,
		[RF_OP_MPROTECT] = RF_ROW_mprotect,
		[RF_OP_MREMAP] = RF_ROW_mremap,
		[RF_OP_VMA_EXPAND] = RF_ROW_vma,
		[RF_OP_MADV_FREE] = RF_ROW_madv_free,
		[RF_OP_MADV_COLD] = RF_ROW_madv_cold,
		[RF_OP_MADV_PAGEOUT] = RF_ROW_madv_pageout,
		[RF_OP_UNMAP_SWAP] = RF_ROW_unmap_swap,
		[RF_OP_UNMAP_FILE] = RF_ROW_unmap_file,
		[RF_OP_MIGRATE_OUT] = RF_ROW_migrate,
		[RF_OP_MIGRATE_IN] = RF_ROW_migrate,
		[RF_OP_RECLAIM_FLUSH] = RF_ROW_reclaim_flush,
		[RF_OP_COLLAPSE] = RF_ROW_collapse,
		[RF_OP_FOLIO_SPLIT] = RF_ROW_folio_split,
		[RF_OP_MKCLEAN] = RF_ROW_mkclean,
		[RF_OP_WINDOW] = RF_ROW_vma,
	};

	switch (op->kind) {
	case RF_OP_MUNMAP:
	case RF_OP_ZAP:
	case RF_OP_MM_EXIT:
		return row_of_why(op->why);
	case RF_OP_FAULT_ANON ... RF_OP_FAULT_HUGETLB:
		if (op->flags & RF_OP_EXEC)
			return RF_ROW_exec;
		if (op->flags & RF_OP_POPULATE)
			return RF_ROW_populate;
		break;
	}
	return rows[op->kind];
}

static bool is_fault(const struct rf_op *op)
{
	return op->kind >= RF_OP_FAULT_ANON && op->kind <= RF_OP_FAULT_HUGETLB;
}

/* A fault-around is one fault however many runs it maps. */
static bool counts_as_fault(const struct rf_op *op)
{
	return op->kind != RF_OP_FAULT_FILE || (op->flags & RF_OP_FIRST);
}

static bool has_range(const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_MAP:
	case RF_OP_VMA_FLAGS:
	case RF_OP_VMA_GROW:
	case RF_OP_VMA_EXPAND:
	case RF_OP_MUNMAP:
	case RF_OP_ZAP:
	case RF_OP_MPROTECT:
	case RF_OP_MREMAP:
	case RF_OP_EXEC_STACK:
	case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD:
	case RF_OP_MADV_PAGEOUT:
		return true;
	}
	return false;
}

/* Page aligned and inside what the radix can hold; anything else would be an operation on nothing. */
static bool addresses_make_sense(const struct rf_machine *machine, const struct rf_op *op)
{
	const struct arch_geometry *geometry = &machine->policy.geometry;
	unsigned int bits = geometry->page_shift + geometry->levels * geometry->table_shift;
	u64 limit = bits < 63 ? 1ull << bits : 1ull << 62;
	u64 mask = (1ull << geometry->page_shift) - 1;

	if (op->kind == RF_OP_WINDOW)
		return true;
	if (op->addr >= limit)
		return false;
	if (op->kind == RF_OP_GUP_SLOW || op->kind == RF_OP_GUP_FAST)
		return op->addr < op->end && op->end <= limit;
	if (op->kind == RF_OP_FAULT_HUGETLB)
		return op->order >= geometry->page_shift && op->order < bits;
	if (is_fault(op) || op->kind >= RF_OP_UNMAP_SWAP)
		return op->nr <= MAX_RUN && op->nr <= (limit - op->addr) >> geometry->page_shift && op->order < 16;
	if (!has_range(op))
		return true;
	if (((op->addr | op->end) & mask) || op->end <= op->addr || op->end > limit)
		return false;
	/* Where the stack is to end, not begin: without randomisation at the very top. */
	if (op->kind == RF_OP_EXEC_STACK)
		return !(op->addr2 & mask) && op->addr2 <= limit && op->addr2 >= op->end - op->addr;
	if (op->kind != RF_OP_MREMAP)
		return true;
	return !(op->addr2 & mask) && op->addr2 < limit && op->nr <= (limit - op->addr2) >> geometry->page_shift &&
	       op->end - op->addr <= limit - op->addr2;
}

static int run_fork(struct rf_machine *machine, struct mm *parent, u32 child_id)
{
	struct mm *child = machine_mm(machine, child_id);

	if (child == parent)
		return 0;
	if (child) {
		count_anomaly(machine, RF_ANOMALY_unknown_mm);
		machine_free_mm(machine, child);
	}
	child = machine_new_mm(machine, child_id);
	if (!child)
		return -ENOMEM;
	return parent ? op_fork(parent, child) : 0;
}

static int run_in_mm(struct mm *mm, const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_MM_EXIT:
		exit_mmap(mm);
		machine_free_mm(mm->machine, mm);
		return 0;
	case RF_OP_EXEC_STACK:	return op_exec_stack(mm, op);
	case RF_OP_MAP:		return op_map(mm, op);
	case RF_OP_VMA_FLAGS:	return op_vma_flags(mm, op);
	case RF_OP_MUNMAP:	return op_munmap(mm, op);
	case RF_OP_MPROTECT:	return op_mprotect(mm, op);
	case RF_OP_MREMAP:	return op_mremap(mm, op);
	case RF_OP_VMA_GROW:	op_vma_grow(mm, op); break;
	case RF_OP_VMA_EXPAND:	op_vma_expand(mm, op); break;
	case RF_OP_FAULT_ANON:	op_fault_anon(mm, op); break;
	case RF_OP_FAULT_ZERO:	op_fault_zero(mm, op); break;
	case RF_OP_FAULT_FILE:	op_fault_file(mm, op); break;
	case RF_OP_FAULT_COW:	op_fault_cow(mm, op); break;
	case RF_OP_FAULT_REUSE:	op_fault_reuse(mm, op); break;
	case RF_OP_FAULT_SWAP:	op_fault_swap(mm, op); break;
	case RF_OP_FAULT_HUGETLB: op_fault_hugetlb(mm, op); break;
	case RF_OP_FAULT_NONE:	op_fault_none(mm, op); break;
	case RF_OP_GUP_SLOW:	op_gup_slow(mm, op); break;
	case RF_OP_GUP_FAST:	op_gup_fast(mm, op); break;
	case RF_OP_ZAP:		op_zap(mm, op); break;
	case RF_OP_MADV_FREE:	op_madv_free(mm, op); break;
	case RF_OP_MADV_COLD:	op_madv_cold(mm, op); break;
	case RF_OP_MADV_PAGEOUT: op_madv_pageout(mm, op); break;
	case RF_OP_UNMAP_SWAP:
	case RF_OP_UNMAP_FILE:	op_unmap(mm, op); break;
	case RF_OP_MIGRATE_OUT:	op_migrate_out(mm, op); break;
	case RF_OP_MIGRATE_IN:	op_migrate_in(mm, op); break;
	case RF_OP_RECLAIM_FLUSH: op_reclaim_flush(mm, op); break;
	case RF_OP_COLLAPSE:	op_collapse(mm, op); break;
	case RF_OP_FOLIO_SPLIT:	op_folio_split(mm, op); break;
	case RF_OP_MKCLEAN:	op_mkclean(mm, op); break;
	}
	return mm->machine->error;
}

/* The integral changes only where the number of blocks does. */
static void account_live_blocks(struct rf_machine *machine, u64 time)
{
	struct rf_stats *stats = &machine->stats;

	if (time > machine->last_change) {
		machine->live_time += (unsigned __int128)machine->last_live * (time - machine->last_change);
		machine->last_change = time;
	}
	machine->last_live = stats->live_blocks;
	if (stats->live_blocks > (s64)stats->peak_live_blocks)
		stats->peak_live_blocks = stats->live_blocks;
	stats->live_block_time = machine->live_time >> 20;
}

/* Only entries cost anything; VMAs are mapped as ever. */
static int run_load(struct mm *mm, const struct rf_op *op)
{
	struct rf_machine *machine = mm->machine;

	if (op->kind == RF_OP_MAP)
		return op_map(mm, op);
	mm->arch.counters = &machine->stats.loaded;
	mm->arch.batches = machine->load_batches;
	if (op->kind == RF_OP_FAULT_HUGETLB)
		op_fault_hugetlb(mm, op);
	else
		op_load(mm, op);
	mm->arch.batches = &machine->stats.batches;
	return machine->error;
}

/* GUP had not found what it wanted. That it looks again is in its own operation, but for exec, which has none. */
static int run_gup_fault(struct mm *mm, const struct rf_op *op)
{
	int err;

	gup_looks(mm, op->addr, false);
	err = run_in_mm(mm, op);
	if (!err && op->flags & RF_OP_EXEC)
		gup_looks(mm, op->addr, true);
	return err;
}

int machine_run_op(struct rf_machine *machine, const struct rf_op *op)
{
	struct mm *mm = machine_mm(machine, op->mm);
	enum rf_row row;

	if (op->kind >= RF_NR_OPS || !addresses_make_sense(machine, op)) {
		count_anomaly(machine, RF_ANOMALY_no_vma);
		return 0;
	}
	if (op->kind == RF_OP_WINDOW)
		return 0;
	row = row_of_op(op);
	machine->row = row;
	if (machine->accounts && account_op(machine, op->mm, row))
		return -ENOMEM;
	if (!(op->flags & RF_OP_LOAD))
		machine->stats.operations[row]++;
	if (op->kind == RF_OP_MM_NEW) {
		if (mm) {
			count_anomaly(machine, RF_ANOMALY_unknown_mm);
			machine_free_mm(machine, mm);
		}
		return machine_new_mm(machine, op->mm) ? 0 : -ENOMEM;
	}
	if (!mm)
		count_anomaly(machine, RF_ANOMALY_unknown_mm);
	else
		mm->arch.counters = &machine->stats.rows[row];
	if (op->kind == RF_OP_FORK)
		return run_fork(machine, mm, op->mm2);
	if (!mm)
		return 0;
	if (op->flags & RF_OP_LOAD)
		return run_load(mm, op);
	mm->tlb_flush_nested = op->flags & RF_OP_NESTED;
	mm->arch.tlb_flush_pending = mm->tlb_flush_nested;
	mm->arch.remote_cpus = op->remote_cpus;
	if (is_fault(op) && op->flags & (RF_OP_POPULATE | RF_OP_EXEC))
		return run_gup_fault(mm, op);
	if (is_fault(op) && counts_as_fault(op))
		mm->arch.counters->faults++;
	return run_in_mm(mm, op);
}

/* I6: every block that is folded was born or folded, and not unfolded or erased since. */
static void check_block_balance(struct rf_machine *machine)
{
	const struct arch_counters *loaded = &machine->stats.loaded;
	struct arch_counters totals;

	rf_stats_totals(&machine->stats, &totals);
	totals.born += loaded->born + loaded->fold;
	totals.erased += loaded->erased + loaded->unfold;
	if ((s64)(totals.born + totals.fold - totals.unfold - totals.erased) != machine->stats.live_blocks)
		count_anomaly(machine, RF_ANOMALY_block_balance);
}

int rf_machine_run(struct rf_machine *machine, const struct rf_op *ops, size_t nr)
{
	size_t i;
	int err;

	if (nr && !machine->last_change)
		machine->last_change = ops[0].time;
	for (i = 0; i < nr; i++) {
		err = machine->rescale ? rescale_op(machine, &ops[i]) : machine_run_op(machine, &ops[i]);
		if (err)
			return err;
		if (machine->stats.live_blocks != machine->last_live)
			account_live_blocks(machine, ops[i].time);
	}
	if (nr)
		account_live_blocks(machine, ops[nr - 1].time);
	check_block_balance(machine);
	return 0;
}
