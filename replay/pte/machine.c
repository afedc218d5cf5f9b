// SPDX-License-Identifier: MIT
/*
 * Running PTE scripts: page tables without core mm around them, and what an operation did to them. What is counted
 * beside the backend's counters comes from watching its flush calls.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/pte/calls.h"

static void observe_flush(struct arch_flush_observer *observer, const struct arch_flush *flush)
{
	struct pte_machine *machine = (struct pte_machine *)observer;
	const struct arch_ops *ops = machine->policy.arch;
	struct pte_flush *seen;

	if (flush) {
		ops->flush_tlb_range(&machine->ranged, flush);
		ops->flush_tlb_range(&machine->single, flush);
	} else {
		ops->flush_tlb_mm(&machine->ranged);
		ops->flush_tlb_mm(&machine->single);
	}
	if (machine->nr_flushes == PTE_MAX_FLUSHES) {
		machine->dropped_flushes++;
		return;
	}
	seen = &machine->flushes[machine->nr_flushes++];
	*seen = (struct pte_flush){ .mm = !flush };
	if (flush) {
		seen->mode = flush->mode;
		seen->start = ALIGN_DOWN(flush->start, flush->stride);
		seen->pages = (ALIGN_UP(flush->end, flush->stride) - seen->start) >>
			      machine->policy.geometry.page_shift;
	}
}

static void init_mm(struct pte_machine *machine, struct arch_mm *mm, const struct arch_knobs *knobs,
		    struct arch_counters *counters)
{
	*mm = (struct arch_mm){
		.ops = machine->policy.arch,
		.knobs = knobs,
		.geometry = &machine->policy.geometry,
		.counters = counters,
		.batches = &machine->batches,
		.live_blocks = &machine->live,
		.user = true,
	};
}

struct pte_machine *pte_machine_create(const struct rf_policy *policy)
{
	struct pte_machine *machine = calloc(1, sizeof(*machine));
	enum script_mm i;

	if (!machine)
		return NULL;
	machine->policy = *policy;
	machine->single_knobs = policy->arch_knobs;
	machine->single_knobs.tlbi_range = false;
	machine->observer.flush = observe_flush;
	for (i = 0; i < SCRIPT_NR_MMS; i++) {
		init_mm(machine, &machine->mms[i], &machine->policy.arch_knobs, &machine->counters);
		machine->mms[i].user = i != SCRIPT_MM_INIT && i != SCRIPT_MM_EFI;
		machine->mms[i].observer = &machine->observer;
	}
	init_mm(machine, &machine->ranged, &machine->policy.arch_knobs, &machine->ranged_counters);
	init_mm(machine, &machine->single, &machine->single_knobs, &machine->single_counters);
	machine->window_pages = max_u64(4096, table_entries(machine));
	machine->window_start = ALIGN_UP(0x10000000, table_entries(machine) * page_size(machine));
	return machine;
}

void pte_machine_destroy(struct pte_machine *machine)
{
	enum script_mm i;

	if (!machine)
		return;
	for (i = 0; i < SCRIPT_NR_MMS; i++)
		free(machine->tables[i]);
	free(machine->folios);
	free(machine);
}

const struct rf_policy *pte_machine_policy(const struct pte_machine *machine)
{
	return &machine->policy;
}

/* ---- lines that are no operations ---- */

static int run_window(struct pte_step *step)
{
	struct pte_machine *machine = step->machine;
	u64 span = table_entries(machine) * page_size(machine), pages = step->line->numbers[1];

	if (machine->window_used)
		return fail(step, "the window comes before the first operation");
	if (step->line->numbers[0] & (span - 1) || !pages || pages & (table_entries(machine) - 1) || pages > 1u << 24)
		return fail(step, "a window is whole page tables: VA a multiple of %#llx, NPAGES of %llu",
			    (unsigned long long)span, (unsigned long long)table_entries(machine));
	machine->window_start = step->line->numbers[0];
	machine->window_pages = pages;
	return 0;
}

static int run_folio(struct pte_step *step)
{
	struct pte_machine *machine = step->machine;
	u64 pfn = step->line->numbers[0], order = step->line->numbers[1], end;
	struct pte_folio *folios;
	size_t i;

	if (order > 15 || pfn & ((1ull << order) - 1) || pfn >> 40)
		return fail(step, "a folio is of order 0 to 15, its PFN aligned to its size and below 2^40");
	end = pfn + (1ull << order);
	for (i = 0; i < machine->nr_folios; i++)
		if (pfn < machine->folios[i].pfn + (1ull << machine->folios[i].order) && machine->folios[i].pfn < end)
			return fail(step, "overlaps the folio at %#llx", (unsigned long long)machine->folios[i].pfn);
	folios = realloc(machine->folios, (machine->nr_folios + 1) * sizeof(*folios));
	if (!folios)
		return rf_error_set(step->err, -ENOMEM, step->line_number, "out of memory");
	folios[machine->nr_folios++] = (struct pte_folio){ pfn, order };
	machine->folios = folios;
	return 0;
}

static int run_opt(struct pte_step *step)
{
	struct arch_knobs *knobs = &step->machine->policy.arch_knobs;
	bool on = step->line->numbers[0];
	enum script_mm i;

	if (step->line->numbers[0] > 1)
		return fail(step, "an option is 0 or 1");
	switch (step->line->words) {
	case WORD_RANGE:
		knobs->tlbi_range = on;
		break;
	case WORD_KPTI:
		knobs->kpti = on;
		break;
	case WORD_REPEAT:
		knobs->repeat_tlbi = on ? REPEAT_TLBI_NEW : REPEAT_TLBI_OFF;
		break;
	case WORD_LPA2:
		knobs->lpa2 = on;
		break;
	case WORD_BBML3:
		knobs->bbml3 = on;
		break;
	default:
		for (i = 0; i < SCRIPT_NR_MMS; i++)
			step->machine->mms[i].tlb_flush_pending = on;
	}
	step->machine->single_knobs = *knobs;
	step->machine->single_knobs.tlbi_range = false;
	return 0;
}

/* Whole tables, at multiples of their size. */
static pte_t *new_tables(const struct pte_machine *machine)
{
	size_t size = machine->window_pages * sizeof(pte_t);
	pte_t *tables = aligned_alloc(table_entries(machine) * sizeof(pte_t), size);

	if (tables)
		memset(tables, 0, size);
	return tables;
}

pte_t *pte_entries(struct pte_step *step, enum script_mm mm, u64 addr, u64 nr)
{
	struct pte_machine *machine = step->machine;
	u64 index = (addr - machine->window_start) / page_size(machine);

	if (addr & (page_size(machine) - 1)) {
		fail(step, "%#llx is not page aligned", (unsigned long long)addr);
		return NULL;
	}
	if (addr < machine->window_start || index >= machine->window_pages || !nr ||
	    nr > machine->window_pages - index) {
		fail(step, "%llu pages at %#llx are not in the window", (unsigned long long)nr,
		     (unsigned long long)addr);
		return NULL;
	}
	if ((index & (table_entries(machine) - 1)) + nr > table_entries(machine) &&
	    step->line->command != SCRIPT_DUMP) {
		fail(step, "%llu pages at %#llx are not in one page table", (unsigned long long)nr,
		     (unsigned long long)addr);
		return NULL;
	}
	if (!machine->tables[mm]) {
		machine->tables[mm] = new_tables(machine);
		if (!machine->tables[mm]) {
			rf_error_set(step->err, -ENOMEM, step->line_number, "out of memory");
			return NULL;
		}
	}
	return &machine->tables[mm][index];
}

/* How many entries a line is about: its second number, but for set, where that is the PFN. */
static u64 line_nr(const struct script_line *line)
{
	if (line->command == SCRIPT_SET)
		return line->numbers[2];
	return line->nr_numbers > 1 ? line->numbers[1] : 1;
}

static u64 count_mixed(const struct pte_machine *machine, enum script_mm mm)
{
	unsigned int n = machine->policy.geometry.cont_ptes, i;
	u64 mixed = 0, block, valid, cont;
	const pte_t *ptep = machine->tables[mm];

	for (block = 0; ptep && block < machine->window_pages; block += n, ptep += n) {
		for (i = valid = cont = 0; i < n; i++) {
			valid += pte_valid(ptep[i]);
			cont += pte_cont(ptep[i]);
		}
		mixed += cont && cont != valid;
	}
	return mixed;
}

static void subtract(struct arch_counters *counters, const struct arch_counters *before)
{
	u64 *to = (u64 *)counters;
	const u64 *from = (const u64 *)before;
	size_t i;

	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		to[i] -= from[i];
}

static void finish_outcome(struct pte_step *step, const struct arch_counters *before)
{
	struct pte_machine *machine = step->machine;
	struct pte_outcome *outcome = step->outcome;
	u64 both;

	outcome->counters = machine->counters;
	subtract(&outcome->counters, before);
	/* Blocks that one operation erased and made again were there before and are there now. */
	if (step->line->command != SCRIPT_MOVE) {
		both = min_u64(outcome->counters.born, outcome->counters.erased);
		outcome->counters.born -= both;
		outcome->counters.erased -= both;
	}
	outcome->tlbi_single = outcome->counters.tlbi - machine->ranged_counters.tlbi + machine->single_counters.tlbi;
	outcome->live = machine->live;
	outcome->mixed = count_mixed(machine, machine->selected);
	outcome->flushes = machine->flushes;
	outcome->nr_flushes = machine->nr_flushes;
	outcome->dropped_flushes = machine->dropped_flushes;
}

int pte_machine_run(struct pte_machine *machine, const struct script_line *line, unsigned int line_number,
		    struct pte_outcome *outcome, struct rf_error *err)
{
	struct arch_counters before = machine->counters;
	struct pte_step step = { .machine = machine, .line = line, .line_number = line_number,
			     .mm = &machine->mms[machine->selected], .outcome = outcome, .err = err };
	u64 nr = line_nr(line);
	int ret;

	memset(outcome, 0, sizeof(*outcome));
	switch (line->command) {
	case SCRIPT_WINDOW:
		return run_window(&step);
	case SCRIPT_FOLIO:
		return run_folio(&step);
	case SCRIPT_MM:
		machine->selected = line->mm;
		return 0;
	case SCRIPT_OPT:
		return run_opt(&step);
	case SCRIPT_RESET:
	case SCRIPT_TOTAL:
		return 0;
	default:
		break;
	}
	machine->window_used = true;
	machine->nr_flushes = machine->dropped_flushes = 0;
	memset(&machine->ranged_counters, 0, sizeof(machine->ranged_counters));
	memset(&machine->single_counters, 0, sizeof(machine->single_counters));
	if (line->nr_numbers) {
		step.addr = line->numbers[0];
		/* A batch may ask for more than is left of the table; the kernel's callers clip it as well. */
		step.ptep = pte_entries(&step, machine->selected, step.addr, line->command == SCRIPT_BATCH ? 1 : nr);
		if (!step.ptep)
			return err->code;
		step.nr = nr;
	}
	ret = pte_run_operation(&step);
	if (!ret)
		finish_outcome(&step, &before);
	return ret;
}
