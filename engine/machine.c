// SPDX-License-Identifier: MIT
/*
 * The machine: its life, the loop over operations, and what must hold after
 * them. The work is in the other files.
 */
#include <assert.h>
#include <stdlib.h>

#include "engine/account.h"
#include "engine/allocation.h"
#include "engine/blocks.h"
#include "engine/coalesce.h"
#include "engine/dispatch.h"
#include "engine/huge_pages.h"
#include "engine/pgtable.h"
#include "engine/rescale.h"

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
	assert(1u << policy->geometry.table_shift <= MAX_PTRS_PER_PTE);
	machine->policy = *policy;
	machine->tables = table_pool_create(policy->geometry.table_shift);
	convert_readers(machine);
	machine->load_batches = calloc(1, sizeof(*machine->load_batches));
	if (policy->mm.anon_folios)
		machine->allocation = allocation_create();
	if (policy->mm.coalesce)
		machine->coalescing = coalescing_create(policy);
	if (!machine->tables || !machine->load_batches || (policy->mm.anon_folios && !machine->allocation) ||
	    (policy->mm.coalesce && !machine->coalescing)) {
		rf_machine_destroy(machine);
		return NULL;
	}
	return machine;
}

static void mm_destroy(struct mm *mm)
{
	huge_pages_destroy(mm);
	free(mm->arch.touched.addrs);
	free(mm->arch.split.addrs);
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
	free(machine->huge_pmds);	/* with their last users they went */
	free(machine->load_batches);
	accounts_destroy(machine->accounts);
	allocation_destroy(machine->allocation);
	free(machine->coalescing);
	rescale_destroy(machine->rescale);
	table_pool_destroy(machine->tables);
	vma_slabs_destroy(machine);
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

static u64 blocks_left(const struct arch_counters *counters)
{
	return counters->born + counters->fold - counters->unfold - counters->erased;
}

/* I6: every block that is folded was born or folded, and not unfolded or erased since. */
static void check_block_balance(struct rf_machine *machine)
{
	u64 live = blocks_left(&machine->stats.loaded);

	for (u32 row = 0; row < RF_NR_ROWS; row++)
		live += blocks_left(&machine->stats.rows[row]);
	if ((s64)live != machine->stats.live_blocks)
		count_anomaly(machine, RF_ANOMALY_block_balance);
}

int rf_machine_run(struct rf_machine *machine, const struct rf_op *ops, size_t nr)
{
	return rf_machine_run_for(machine, ops, NULL, nr);
}

int rf_machine_run_for(struct rf_machine *machine, const struct rf_op *ops, const u32 *owners, size_t nr)
{
	size_t i;
	int err;

	if (nr && !machine->last_change)
		machine->last_change = ops[0].time;
	machine->owned = owners;
	for (i = 0; i < nr; i++) {
		if (machine->policy.mm.khuge_cont && khuge_cont_until(machine, ops[i].time))
			return machine->error;
		machine->owner = owners ? owners[i] : ops[i].mm;
		err = machine->rescale ? rescale_op(machine, &ops[i]) : allocation_op(machine, &ops[i]);
		if (err)
			return err;
		tables_settle(machine);
		if (machine->stats.live_blocks != machine->last_live)
			account_live_blocks(machine, ops[i].time);
		if (machine->coalescing)
			coalescing_account(machine, ops[i].time);
	}
	if (nr)
		account_live_blocks(machine, ops[nr - 1].time);
	check_block_balance(machine);
	return 0;
}
