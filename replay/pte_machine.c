// SPDX-License-Identifier: MIT
/*
 * Running PTE scripts: page tables without core mm around them. The backend is called as the engine calls it; what is
 * counted here besides comes from watching its flush calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/pte_machine.h"

struct folio {
	u64 pfn;
	unsigned int order;
};

struct pte_machine {
	struct arch_flush_observer observer;	/* first: the observer is the machine */
	struct rf_policy policy;
	struct arch_knobs single_knobs;		/* the policy on a CPU without range TLBI */
	struct arch_mm mms[SCRIPT_NR_MMS];
	struct arch_mm ranged, single;		/* recount each flush call for T and Tn */
	struct arch_counters counters, ranged_counters, single_counters;
	struct arch_batches batches;
	s64 live;
	pte_t *tables[SCRIPT_NR_MMS];
	u64 window_start, window_pages;
	bool window_used;
	enum script_mm selected;
	struct folio *folios;
	size_t nr_folios;
	struct pte_flush flushes[PTE_MAX_FLUSHES];
	size_t nr_flushes, dropped_flushes;
};

/* A line and where it is, for the functions below. */
struct step {
	struct pte_machine *machine;
	const struct script_line *line;
	unsigned int line_number;
	struct arch_mm *mm;
	u64 addr;
	unsigned int nr;
	pte_t *ptep;
	struct pte_outcome *outcome;
	struct rf_error *err;
};

static u64 page_size(const struct pte_machine *machine)
{
	return 1ull << machine->policy.geometry.page_shift;
}

static u64 table_entries(const struct pte_machine *machine)
{
	return 1ull << machine->policy.geometry.table_shift;
}

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

#define fail(step, ...) rf_error_set((step)->err, -EINVAL, (step)->line_number, __VA_ARGS__)

/* ---- lines that are no operations ---- */

static int run_window(struct step *step)
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

static int run_folio(struct step *step)
{
	struct pte_machine *machine = step->machine;
	u64 pfn = step->line->numbers[0], order = step->line->numbers[1], end;
	struct folio *folios;
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
	folios[machine->nr_folios++] = (struct folio){ pfn, order };
	machine->folios = folios;
	return 0;
}

static int run_opt(struct step *step)
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

/* ---- operations ---- */

/* The entry of an address and nr entries after it, in one page table of the window. */
static pte_t *entries(struct step *step, enum script_mm mm, u64 addr, u64 nr)
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
	if ((index & (table_entries(machine) - 1)) + nr > table_entries(machine) && step->line->command != SCRIPT_DUMP) {
		fail(step, "%llu pages at %#llx are not in one page table", (unsigned long long)nr,
		     (unsigned long long)addr);
		return NULL;
	}
	if (!machine->tables[mm]) {
		machine->tables[mm] = calloc(machine->window_pages, sizeof(pte_t));
		if (!machine->tables[mm]) {
			rf_error_set(step->err, -ENOMEM, step->line_number, "out of memory");
			return NULL;
		}
	}
	return &machine->tables[mm][index];
}

static unsigned int folio_order(const struct pte_machine *machine, u64 pfn)
{
	size_t i;

	for (i = 0; i < machine->nr_folios; i++)
		if (pfn >> machine->folios[i].order == machine->folios[i].pfn >> machine->folios[i].order)
			return machine->folios[i].order;
	return 0;
}

static pte_t with_order(const struct pte_machine *machine, pte_t pte)
{
	u64 order = folio_order(machine, pte_pfn(pte));

	if (!pte_present(pte))
		return pte;
	return (pte_t){ (pte.val & ~PTE_ORDER_MASK) | order << PTE_ORDER_SHIFT };
}

/* A run may cross folios that the script declared; each entry gets its own. */
static void note_orders(const struct pte_machine *machine, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		ptep[i] = with_order(machine, ptep[i]);
}

static void result_number(struct step *step, u64 number)
{
	step->outcome->result = PTE_RESULT_NUMBER;
	step->outcome->number = number;
}

static void result_pte(struct step *step, pte_t pte)
{
	step->outcome->result = PTE_RESULT_PTE;
	step->outcome->pte = pte;
}

/* What ptep_get() would return, without anything being counted. */
static pte_t peek(struct step *step, pte_t *ptep, u64 addr)
{
	struct arch_mm mm = *step->mm;
	struct arch_counters nowhere;

	mm.counters = &nowhere;
	memset(&nowhere, 0, sizeof(nowhere));
	return mm.ops->ptep_get(&mm, addr, ptep);
}

static bool any_present(const pte_t *ptep, unsigned int nr)
{
	while (nr--)
		if (pte_present(*ptep++))
			return true;
	return false;
}

static int run_set(struct step *step)
{
	unsigned int words = step->line->words;
	pte_t pte = { step->line->numbers[1] << PTE_PFN_SHIFT | PTE_RDONLY };

	if ((step->line->numbers[1] + step->nr - 1) >> 40)
		return fail(step, "PFNs are below 2^40");
	if (step->nr > 1 && any_present(step->ptep, step->nr) && !step->mm->knobs->set_ptes_checks_old)
		return fail(step, "set of several entries needs targets that are not present");
	pte.val |= words & WORD_NONE ? PTE_PROTNONE : PTE_VALID;
	pte.val |= words & WORD_RW ? PTE_WRITE : 0;
	pte.val |= words & WORD_SPECIAL ? PTE_SPECIAL : 0;
	pte.val |= words & WORD_UFFD ? PTE_UFFD : 0;
	pte.val |= words & WORD_EXEC ? PTE_EXEC : 0;
	if (words & WORD_YOUNG)
		pte = pte_mkyoung(pte);
	if (words & WORD_DIRTY)
		pte = pte_mkdirty(pte);
	step->mm->ops->set_ptes(step->mm, step->addr, step->ptep, with_order(step->machine, pte), step->nr);
	note_orders(step->machine, step->ptep, step->nr);
	return 0;
}

/* Swap entries are set one by one; their slots are made up from the address. */
static int run_swap(struct step *step)
{
	unsigned int i;
	u64 addr, slot;

	for (i = 0; i < step->nr; i++) {
		addr = step->addr + i * page_size(step->machine);
		slot = (addr / page_size(step->machine)) + 0x1000;
		step->mm->ops->set_ptes(step->mm, addr, &step->ptep[i],
					(pte_t){ slot << PTE_PFN_SHIFT | PTE_SWAP }, 1);
	}
	return 0;
}

static pte_t ignore_bits(pte_t pte, unsigned int respect)
{
	if (!(respect & WORD_DIRTY))
		pte = pte_mkclean(pte);
	if (!(respect & WORD_WRITE))
		pte = pte_wrprotect(pte);
	return (pte_t){ pte_mkold(pte).val & PTE_HW_MASK };
}

/* folio_pte_batch() with its first entry in hand. */
static int run_batch(struct step *step)
{
	const struct arch_ops *ops = step->mm->ops;
	unsigned int respect = step->line->words, max_nr = step->nr, nr, hint;
	pte_t pte = peek(step, step->ptep, step->addr), expected;
	u64 in_folio, in_table, addr;

	if (!pte_present(pte))
		return fail(step, "batch needs a present entry");
	in_folio = pte_folio_pfn(pte) + (1ull << pte_folio_order(pte)) - pte_pfn(pte);
	in_table = table_entries(step->machine) -
		   (step->addr / page_size(step->machine) & (table_entries(step->machine) - 1));
	max_nr = min_u64(max_nr, min_u64(in_folio, in_table));
	nr = ops->pte_batch_hint(step->mm, step->addr, pte);
	expected = ignore_bits(pte_advance_pfn(pte, nr), respect);
	while (nr < max_nr) {
		addr = step->addr + nr * page_size(step->machine);
		pte = ops->ptep_get(step->mm, addr, &step->ptep[nr]);
		if (ignore_bits(pte, respect).val != expected.val)
			break;
		hint = ops->pte_batch_hint(step->mm, addr, pte);
		expected = pte_advance_pfn(expected, hint);
		nr += hint;
	}
	result_number(step, nr < max_nr ? nr : max_nr);
	return 0;
}

static int run_access(struct step *step)
{
	unsigned int words = step->line->words;
	pte_t entry = peek(step, step->ptep, step->addr);

	if (words & WORD_YOUNG)
		entry = pte_mkyoung(entry);
	if (words & WORD_DIRTY)
		entry = pte_mkdirty(entry);
	if (words & WORD_RW)
		entry = pte_mkwrite(entry);
	result_number(step, step->mm->ops->ptep_set_access_flags(step->mm, step->addr, step->ptep, entry,
								 words & WORD_DIRTY));
	return 0;
}

static int run_mprotect(struct step *step)
{
	const struct arch_ops *ops = step->mm->ops;
	unsigned int words = step->line->words, batch = step->machine->policy.mm.batch_mprotect ? step->nr : 1, i;
	pte_t old, new;
	u64 addr;

	for (i = 0; i < step->nr; i += batch) {
		addr = step->addr + i * page_size(step->machine);
		old = ops->modify_prot_start_ptes(step->mm, addr, &step->ptep[i], batch);
		new = pte_modify(old, words & WORD_RW, false, words & WORD_NONE);
		ops->modify_prot_commit_ptes(step->mm, addr, &step->ptep[i], old, new, batch);
		note_orders(step->machine, &step->ptep[i], batch);
	}
	return 0;
}

static int run_move(struct step *step)
{
	struct pte_machine *machine = step->machine;
	enum script_mm target_mm = step->line->has_mm ? step->line->mm : machine->selected;
	u64 target = step->line->numbers[2];
	pte_t *target_ptep = entries(step, target_mm, target, step->nr), pte;

	if (!target_ptep)
		return step->err->code;
	if (target_ptep < step->ptep + step->nr && step->ptep < target_ptep + step->nr)
		return fail(step, "source and target of a move overlap");
	if (step->nr > 1 && any_present(target_ptep, step->nr) && !step->mm->knobs->set_ptes_checks_old)
		return fail(step, "move of several entries needs targets that are not present");
	pte = step->mm->ops->get_and_clear_full_ptes(step->mm, step->addr, step->ptep, step->nr, false);
	step->mm->ops->set_ptes(&machine->mms[target_mm], target, target_ptep, pte, step->nr);
	note_orders(machine, target_ptep, step->nr);
	result_pte(step, pte);
	return 0;
}

/* The table walker sets A, or makes a writable entry dirty. */
static int run_hw(struct step *step)
{
	if (!pte_valid(*step->ptep))
		return fail(step, "hardware cannot have used an entry that is not valid");
	if (step->line->words & (WORD_YOUNG | WORD_WRITE))
		step->ptep->val |= PTE_AF;
	if (step->line->words & (WORD_DIRTY | WORD_WRITE) && pte_write(*step->ptep)) {
		step->ptep->val &= ~PTE_RDONLY;
		if (!strcmp(step->mm->ops->name, "x86"))
			step->ptep->val |= PTE_DIRTY;
	}
	return 0;
}

static int run_flush(struct step *step)
{
	const struct arch_ops *ops = step->mm->ops;
	unsigned int words = step->line->words;
	struct arch_flush flush = {
		.start = step->addr,
		.end = step->addr + step->nr * page_size(step->machine),
		.stride = page_size(step->machine),
		.last_level = true,
		.level = FLUSH_LEVEL_PTE,
		.mode = words & WORD_LOCAL ? FLUSH_LOCAL : words & WORD_NOSYNC ? FLUSH_NOSYNC : FLUSH_SYNC,
	};

	if (step->line->command == SCRIPT_FLUSHPAGE)
		ops->flush_tlb_page(step->mm, step->addr, flush.mode);
	else
		ops->flush_tlb_range(step->mm, &flush);
	return 0;
}

static int run_clear(struct step *step)
{
	const struct arch_ops *ops = step->mm->ops;
	bool full = step->line->words & WORD_FULL;

	if (step->line->command == SCRIPT_GETCLEAR)
		result_pte(step, ops->get_and_clear_full_ptes(step->mm, step->addr, step->ptep, step->nr, full));
	else
		ops->clear_full_ptes(step->mm, step->addr, step->ptep, step->nr, full);
	return 0;
}

/* Commands that are one call of a helper. */
static int run_simple(struct step *step)
{
	const struct arch_ops *ops = step->mm->ops;
	unsigned int words = step->line->words;
	struct arch_mm *mm = step->mm;
	u64 addr = step->addr;
	pte_t pte;

	switch (step->line->command) {
	case SCRIPT_GET:
		result_pte(step, ops->ptep_get(mm, addr, step->ptep));
		break;
	case SCRIPT_LOCKLESS:
		result_pte(step, ops->ptep_get_lockless(mm, addr, step->ptep));
		break;
	case SCRIPT_HINT:
		pte = ops->ptep_get(mm, addr, step->ptep);
		result_number(step, ops->pte_batch_hint(mm, addr, pte));
		break;
	case SCRIPT_PTECLEAR:
		ops->pte_clear(mm, addr, step->ptep);
		break;
	case SCRIPT_PTEGETCLEAR:
		result_pte(step, ops->ptep_get_and_clear(mm, addr, step->ptep));
		break;
	case SCRIPT_CLEARFLUSH:
		result_pte(step, ops->ptep_clear_flush(mm, addr, step->ptep));
		break;
	case SCRIPT_WRPROTECT:
		ops->wrprotect_ptes(mm, addr, step->ptep, step->nr);
		break;
	case SCRIPT_TCYOUNG:
		result_number(step, ops->test_and_clear_young_ptes(mm, addr, step->ptep, step->nr));
		break;
	case SCRIPT_CFYOUNG:
		result_number(step, ops->clear_flush_young_ptes(mm, addr, step->ptep, step->nr));
		break;
	case SCRIPT_CYDIRTY:
		ops->clear_young_dirty_ptes(mm, addr, step->ptep, step->nr, !(words & WORD_CLEAR_DIRTY),
					    !(words & WORD_CLEAR_YOUNG));
		break;
	case SCRIPT_SPURIOUS:
		ops->flush_tlb_fix_spurious_fault(mm, addr);
		break;
	case SCRIPT_TLBADD:
		ops->tlbbatch_add_pending(mm, addr, step->nr);
		break;
	default: /* DUMP */
		step->outcome->dump = step->ptep;
		step->outcome->nr_dump = step->nr;
	}
	return 0;
}

static int run_operation(struct step *step)
{
	switch (step->line->command) {
	case SCRIPT_SET:
		return run_set(step);
	case SCRIPT_SWAP:
		return run_swap(step);
	case SCRIPT_BATCH:
		return run_batch(step);
	case SCRIPT_CLEAR:
	case SCRIPT_GETCLEAR:
		return run_clear(step);
	case SCRIPT_ACCESS:
		return run_access(step);
	case SCRIPT_MPROTECT:
		return run_mprotect(step);
	case SCRIPT_MOVE:
		return run_move(step);
	case SCRIPT_HW:
		return run_hw(step);
	case SCRIPT_FLUSHRANGE:
	case SCRIPT_FLUSHPAGE:
		return run_flush(step);
	case SCRIPT_FLUSHMM:
		step->mm->ops->flush_tlb_mm(step->mm);
		return 0;
	case SCRIPT_TLBSYNC:
		step->mm->ops->tlbbatch_flush(step->mm);
		return 0;
	default:
		return run_simple(step);
	}
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

static void finish_outcome(struct step *step, const struct arch_counters *before)
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
	struct step step = { .machine = machine, .line = line, .line_number = line_number,
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
		step.ptep = entries(&step, machine->selected, step.addr, line->command == SCRIPT_BATCH ? 1 : nr);
		if (!step.ptep)
			return err->code;
		step.nr = nr;
	}
	ret = run_operation(&step);
	if (!ret)
		finish_outcome(&step, &before);
	return ret;
}
