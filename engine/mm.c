// SPDX-License-Identifier: MIT
/*
 * Address spaces: how they come, go and are found. The ground that all of engine/ stands on: nothing here knows of
 * operations.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "engine/account.h"
#include "engine/coalesce.h"
#include "engine/huge_pages.h"
#include "engine/pgtable.h"

struct mm *machine_mm(struct rf_machine *machine, u32 id)
{
	return id < machine->max_mms ? machine->mms[id] : NULL;
}

static int mm_table_grow(struct rf_machine *machine, u32 id)
{
	return array_grow_zeroed(machine->mms, machine->max_mms, id + 1ul);
}

/* Structures of dead mms are used again. */
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
			.ops = machine->coalescing ? coalescing_ops(machine->coalescing) : machine->policy.arch,
			.knobs = &machine->arch_knobs,
			.geometry = &machine->policy.geometry,
			.counters = &machine->stats.rows[machine->row],
			.batches = &machine->stats.batches,
			.live_blocks = &machine->stats.live_blocks,
			.user = true,
		},
		.machine = machine,
		.id = id,
		.cached_pmd_index = ~0ull,
	};
	machine->mms[id] = mm;
	return mm;
}

void machine_free_mm(struct rf_machine *machine, struct mm *mm)
{
	pgtable_destroy(mm);
	huge_pages_destroy(mm);
	free(mm->arch.touched.addrs);
	free(mm->arch.split.addrs);
	mm->arch.touched = mm->arch.split = (struct arch_blocks){ 0 };
	machine->mms[mm->id] = NULL;
	vmas_clear(mm);
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

pte_t rf_machine_lookup(struct rf_machine *machine, u32 id, u64 addr)
{
	struct mm *mm = machine_mm(machine, id);

	return mm ? pte_peek(mm, addr) : (pte_t){ 0 };
}
