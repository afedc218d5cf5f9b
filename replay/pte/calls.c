// SPDX-License-Identifier: MIT
/* The operations of PTE scripts: the backend is called here as the engine calls it. */
#include <string.h>

#include "replay/pte/calls.h"

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

static void result_number(struct pte_step *step, u64 number)
{
	step->outcome->result = PTE_RESULT_NUMBER;
	step->outcome->number = number;
}

static void result_pte(struct pte_step *step, pte_t pte)
{
	step->outcome->result = PTE_RESULT_PTE;
	step->outcome->pte = pte;
}

/* What ptep_get() would return, without anything being counted. */
static pte_t peek(struct pte_step *step, pte_t *ptep, u64 addr)
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

static int run_set(struct pte_step *step)
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
static int run_swap(struct pte_step *step)
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
static int run_batch(struct pte_step *step)
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

static int run_access(struct pte_step *step)
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

static int run_mprotect(struct pte_step *step)
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

static int run_move(struct pte_step *step)
{
	struct pte_machine *machine = step->machine;
	enum script_mm target_mm = step->line->has_mm ? step->line->mm : machine->selected;
	u64 target = step->line->numbers[2];
	pte_t *target_ptep = pte_entries(step, target_mm, target, step->nr), pte;

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
static int run_hw(struct pte_step *step)
{
	if (!pte_valid(*step->ptep))
		return fail(step, "hardware cannot have used an entry that is not valid");
	if (step->line->words & (WORD_YOUNG | WORD_WRITE))
		step->ptep->val |= PTE_AF;
	if (step->line->words & (WORD_DIRTY | WORD_WRITE) && pte_write(*step->ptep)) {
		step->ptep->val &= ~PTE_RDONLY;
		if (step->mm->ops->one_dirty_bit)
			step->ptep->val |= PTE_DIRTY;
	}
	return 0;
}

static int run_flush(struct pte_step *step)
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

static int run_clear(struct pte_step *step)
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
static int run_simple(struct pte_step *step)
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

int pte_run_operation(struct pte_step *step)
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
