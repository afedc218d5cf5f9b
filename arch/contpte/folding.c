// SPDX-License-Identifier: MIT
/*
 * The helpers that core mm calls where entries fold: the fast paths of arch/arm64/include/asm/pgtable.h, which look at
 * one entry and leave folded blocks to contpte.c. Without contpte (knob cont off) they are the bare __ptep_* helpers.
 */
#include "arch/contpte/contpte.h"

/* __ptep_set_access_flags(): only ever widens. */
bool bare_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	u64 flags = entry.val & (PTE_AF | PTE_WRITE | PTE_DIRTY);

	mm->counters->pte_loads++;
	if (!((ptep->val ^ entry.val) & PTE_HW_MASK))
		return false;
	mm->counters->pte_atomics++;
	ptep->val = (ptep->val & ~PTE_REFAULT) | flags;
	if (!(entry.val & PTE_RDONLY))
		ptep->val &= ~PTE_RDONLY;
	if (dirty)
		arch_flush_ptes(mm, addr, 1, mm->knobs->reuse_flush_local ? FLUSH_LOCAL : FLUSH_SYNC);
	return true;
}

/* __wrprotect_ptes(): a load and a cmpxchg each. */
void bare_wrprotect_run(struct arch_mm *mm, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		ptep[i].val = pte_wrprotect(ptep[i]).val & ~PTE_REFAULT;
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += nr;
}

static bool clear_young_run(struct arch_mm *mm, pte_t *ptep, unsigned int nr)
{
	u64 young = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		young |= ptep[i].val & PTE_AF;
		ptep[i].val &= ~PTE_AF;
	}
	mm->counters->pte_loads += nr;
	mm->counters->pte_atomics += nr;
	return young;
}

static u64 block_lines(const struct arch_mm *mm, u64 addr)
{
	u64 start = ALIGN_DOWN(addr, cont_size(mm));

	return arch_lines(mm, start, start + cont_size(mm) - 1);
}

/* The probe with which most single-entry mutators begin: one load, and an unfold if the entry is of a folded block. */
static inline bool probe_and_unfold(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->pte_lines++;
	if (!mm->knobs->cont)
		return false;
	mm->counters->pte_loads++;
	if (!unlikely(pte_cont(*ptep)))
		return false;
	contpte_unfold(mm, addr, ptep, *ptep);
	mm->counters->pte_lines += block_lines(mm, addr) - 1;
	return true;
}

pte_t folding_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->ptep_get++;
	if (unlikely(pte_cont(*ptep)))
		return contpte_ptep_get(mm, addr, ptep);
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	return *ptep;
}

pte_t folding_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	mm->counters->ptep_get_lockless++;
	if (unlikely(pte_cont(*ptep)))
		return contpte_ptep_get_lockless(mm, addr, ptep);
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	return *ptep;
}

unsigned int folding_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte)
{
	if (!mm->knobs->hint || !pte_cont(pte))
		return 1;
	return mm->geometry->cont_ptes - cont_index(mm, addr);
}

static inline void set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	const struct arch_knobs *knobs = mm->knobs;
	bool unfolded;

	pte.val &= ~(PTE_CONT | PTE_REFAULT);
	if (nr == 1 && unlikely(mm->copying) && knobs->fork_full) {
		*ptep = pte;
		bare_count_stores(mm, pte, 1);
		mm->counters->pte_lines++;
		return;
	}
	if (nr == 1) {
		unfolded = probe_and_unfold(mm, addr, ptep);
		*ptep = pte;
		bare_count_stores(mm, pte, 1);
		if (knobs->cont && knobs->fold_sites != FOLD_NONE)
			contpte_try_fold(mm, addr, ptep, pte, unfolded);
		return;
	}
	mm->counters->pte_lines += arch_lines(mm, addr, arch_last_addr(mm, addr, nr));
	if (knobs->cont && mm->user) {
		contpte_set_ptes(mm, addr, ptep, pte, nr);
		return;
	}
	arch_write_ptes(ptep, pte, nr);
	bare_count_stores(mm, pte, nr);
}

void folding_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_set_ptes, nr);
	set_ptes(mm, addr, ptep, pte, nr);
}

void folding_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_pte_clear, 1);
	probe_and_unfold(mm, addr, ptep);
	ptep->val = 0;
	mm->counters->pte_stores++;
}

static inline pte_t get_and_clear_one(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte;

	probe_and_unfold(mm, addr, ptep);
	mm->counters->pte_atomics++;
	pte = *ptep;
	ptep->val = 0;
	return pte;
}

/* Generic loop of the series before its last patches: each block is unfolded although all of it goes. */
static pte_t get_and_clear_each(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	pte_t pte = get_and_clear_one(mm, addr, ptep), next;
	unsigned int i;

	for (i = 1; i < nr; i++) {
		addr += 1ull << mm->geometry->page_shift;
		next = get_and_clear_one(mm, addr, &ptep[i]);
		if (pte_dirty(next))
			pte = pte_mkdirty(pte);
		if (pte_young(next))
			pte = pte_mkyoung(pte);
	}
	return pte;
}

static inline pte_t get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	u64 first = addr, last;

	if (nr == 1)
		return get_and_clear_one(mm, addr, ptep);
	if (!mm->knobs->batch_helpers)
		return get_and_clear_each(mm, addr, ptep, nr);
	mm->counters->pte_atomics += nr;
	if (mm->knobs->cont) {
		contpte_unfold_partial(mm, addr, ptep, nr, &first, &last);
		contpte_count_erased(mm, addr, ptep, nr);
	} else {
		last = arch_last_addr(mm, addr, nr);
	}
	mm->counters->pte_lines += arch_lines(mm, first, last);
	return arch_take_ptes(ptep, nr);
}

/*
 * [get_and_]clear_full_ptes(). Only the exit tricks of v1 and v2 made anything of full, and they took one entry at a
 * time.
 */
static pte_t get_and_clear_full(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	pte_t pte = { 0 }, next;
	unsigned int i;

	if (!full || mm->knobs->zap_full_trick == ZAP_FULL_TRICK_NONE || !mm->knobs->cont)
		return get_and_clear(mm, addr, ptep, nr);
	for (i = 0; i < nr; i++, addr += 1ull << mm->geometry->page_shift) {
		if (pte_cont(ptep[i]))
			next = contpte_clear_exiting(mm, addr, &ptep[i]);
		else
			next = get_and_clear_one(mm, addr, &ptep[i]);
		if (!i)
			pte = next;
		else if (pte_dirty(next))
			pte = pte_mkdirty(pte);
		if (i && pte_young(next))
			pte = pte_mkyoung(pte);
	}
	return pte;
}

pte_t folding_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	arch_count_batch(mm, ARCH_HELPER_ptep_get_and_clear, 1);
	return get_and_clear(mm, addr, ptep, 1);
}

void folding_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	arch_count_batch(mm, ARCH_HELPER_clear_full_ptes, nr);
	get_and_clear_full(mm, addr, ptep, nr, full);
}

pte_t folding_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	arch_count_batch(mm, ARCH_HELPER_get_and_clear_full_ptes, nr);
	return get_and_clear_full(mm, addr, ptep, nr, full);
}

/*
 * nr == 1 since v4: the value read by the probe is used for the cmpxchg, which fails once if the unfold has put A/D of
 * other entries of the block into this one.
 */
static bool wrprotect_probed(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t seen = *ptep;
	bool unfold = pte_cont(seen);

	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	if (unlikely(unfold)) {
		contpte_unfold(mm, addr, ptep, seen);
		mm->counters->pte_lines += block_lines(mm, addr) - 1;
		seen.val &= ~PTE_CONT;
	}
	mm->counters->pte_atomics += (seen.val ^ ptep->val) & PTE_HW_MASK ? 2 : 1;
	ptep->val = pte_wrprotect(*ptep).val & ~PTE_REFAULT;
	return unfold;
}

static void wrprotect_one(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	const struct arch_knobs *knobs = mm->knobs;
	bool unfolded;

	if (knobs->wrprotect_reload) {
		unfolded = probe_and_unfold(mm, addr, ptep);
		bare_wrprotect_run(mm, ptep, 1);
	} else {
		unfolded = wrprotect_probed(mm, addr, ptep);
	}
	if (knobs->fold_sites < FOLD_V3 || (mm->copying && knobs->fork_full))
		return;
	mm->counters->pte_loads += knobs->fold_sites != FOLD_END;
	contpte_try_fold(mm, addr, ptep, *ptep, unfolded);
}

void folding_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	const struct arch_knobs *knobs = mm->knobs;
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	if (!knobs->cont) {
		mm->counters->pte_lines += arch_lines(mm, addr, arch_last_addr(mm, addr, nr));
		bare_wrprotect_run(mm, ptep, nr);
		return;
	}
	if (nr > 1 && knobs->batch_helpers) {
		contpte_wrprotect_ptes(mm, addr, ptep, nr);
		return;
	}
	for (i = 0; i < nr; i++, addr += 1ull << mm->geometry->page_shift)
		wrprotect_one(mm, addr, &ptep[i]);
}

bool folding_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	bool changed;

	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	entry.val &= ~PTE_CONT;
	if (mm->knobs->cont) {
		mm->counters->pte_loads++;
		if (unlikely(pte_cont(*ptep)))
			return contpte_set_access_flags(mm, addr, ptep, entry, dirty);
	}
	mm->counters->pte_lines++;
	changed = bare_set_access_flags(mm, addr, ptep, entry, dirty);
	if (changed && mm->knobs->cont && mm->knobs->fold_sites >= FOLD_ANY) {
		mm->counters->pte_loads += mm->knobs->fold_sites != FOLD_END;
		contpte_try_fold(mm, addr, ptep, *ptep, false);
	}
	return changed;
}

/* One ptep_test_and_clear_young() until 6.19; widens to the block. *start and *nr become what was looked at. */
static bool clear_young_one(struct arch_mm *mm, u64 *addr, pte_t *ptep, unsigned int *nr)
{
	*nr = 1;
	if (mm->knobs->cont) {
		mm->counters->pte_loads++;
		if (unlikely(pte_cont(*ptep))) {
			ptep -= cont_index(mm, *addr);
			*addr = ALIGN_DOWN(*addr, cont_size(mm));
			*nr = mm->geometry->cont_ptes;
		}
	}
	mm->counters->pte_lines += arch_lines(mm, *addr, arch_last_addr(mm, *addr, *nr));
	return clear_young_run(mm, ptep, *nr);
}

/* test_and_clear_young_ptes() of 7.0; clear_flush_young_ptes() looks at the edges once more before it flushes. */
static bool clear_young_batch(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool flush)
{
	u64 start = addr;
	unsigned int wide = nr;
	pte_t *first = ptep;
	bool young, blocks = mm->knobs->cont;

	if (blocks && nr == 1) {
		mm->counters->pte_loads++;
		blocks = ptep->val & PTE_CONT;
	}
	if (blocks)
		contpte_align_range(mm, &start, &first, &wide);
	mm->counters->pte_lines += arch_lines(mm, start, arch_last_addr(mm, start, wide));
	young = clear_young_run(mm, first, wide);
	if (young && flush) {
		if (blocks)
			mm->counters->pte_loads += 2;
		arch_flush_ptes(mm, start, wide, FLUSH_NOSYNC);
	}
	return young;
}

static bool clear_young(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool flush)
{
	unsigned int i, wide;
	bool young = false;
	u64 start;

	if (mm->knobs->batch_young)
		return clear_young_batch(mm, addr, ptep, nr, flush);
	for (i = 0; i < nr; i++, addr += 1ull << mm->geometry->page_shift) {
		start = addr;
		if (!clear_young_one(mm, &start, ptep + i, &wide))
			continue;
		young = true;
		if (flush)
			arch_flush_ptes(mm, start, wide, FLUSH_NOSYNC);
	}
	return young;
}

bool folding_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_test_and_clear_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr, false);
}

bool folding_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_clear_flush_young_ptes, nr);
	return clear_young(mm, addr, ptep, nr, true);
}

void folding_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young,
					 bool dirty)
{
	bool blocks = mm->knobs->cont;
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_clear_young_dirty_ptes, nr);
	if (blocks && nr == 1) {
		mm->counters->pte_loads++;
		blocks = ptep->val & PTE_CONT;
	}
	if (blocks)
		contpte_align_range(mm, &addr, &ptep, &nr);
	mm->counters->pte_lines += arch_lines(mm, addr, arch_last_addr(mm, addr, nr));
	for (i = 0; i < nr; i++) {
		if (young)
			ptep[i] = pte_mkold(ptep[i]);
		if (dirty)
			ptep[i] = pte_mkclean(ptep[i]);
	}
	mm->counters->pte_loads += nr;
	/* Hardware cannot set one of the two while both are cleared, so that a plain store does. */
	if (young && dirty)
		bare_count_stores(mm, *ptep, nr);
	else
		mm->counters->pte_atomics += nr;
}

pte_t folding_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_modify_prot_start_ptes, nr);
	return get_and_clear(mm, addr, ptep, nr);
}

void folding_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte,
					  unsigned int nr)
{
	arch_count_batch(mm, ARCH_HELPER_modify_prot_commit_ptes, nr);
	set_ptes(mm, addr, ptep, pte, nr);
}

const struct arch_ops folding_helpers = {
	.ptep_get = folding_ptep_get,
	.ptep_get_lockless = folding_ptep_get_lockless,
	.pte_batch_hint = folding_pte_batch_hint,
	.set_ptes = folding_set_ptes,
	.pte_clear = folding_pte_clear,
	.ptep_get_and_clear = folding_ptep_get_and_clear,
	.clear_full_ptes = folding_clear_full_ptes,
	.get_and_clear_full_ptes = folding_get_and_clear_full_ptes,
	.wrprotect_ptes = folding_wrprotect_ptes,
	.ptep_set_access_flags = folding_ptep_set_access_flags,
	.test_and_clear_young_ptes = folding_test_and_clear_young_ptes,
	.clear_flush_young_ptes = folding_clear_flush_young_ptes,
	.clear_young_dirty_ptes = folding_clear_young_dirty_ptes,
	.modify_prot_start_ptes = folding_modify_prot_start_ptes,
	.modify_prot_commit_ptes = folding_modify_prot_commit_ptes,
	.fold_block = contpte_fold_block,
};
