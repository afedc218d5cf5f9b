// SPDX-License-Identifier: MIT
/*
 * Contiguous-PTE blocks: what helpers do to folded ones. Follows
 * arch/arm64/mm/contpte.c from the third posting of the series to 7.3; what changed between them is a knob.
 * kernel-model.md sections 2 and 10.
 */
#include "arch/contpte/contpte.h"

/* ---- readers ---- */

/*
 * Scan a folded block for A/D; returns the number of loads. GETTER_EARLY stops when both bits are known; after the
 * first dirty entry it looks at that one again for young, as the kernel's two nested loops do.
 */
static unsigned int gather(const pte_t *block, unsigned int n, bool early, pte_t *pte)
{
	unsigned int loads, i;

	if (!early) {
		*pte = arch_merge_access_dirty(*pte, block, n);
		return n;
	}
	for (i = 0; i < n && !pte_dirty(block[i]) && !pte_young(block[i]); i++)
		;
	if (i == n)
		return n;
	loads = i + 1;
	if (pte_dirty(block[i])) {
		*pte = pte_mkdirty(*pte);
		for (; i < n; i++) {
			loads++;
			if (pte_young(block[i])) {
				*pte = pte_mkyoung(*pte);
				break;
			}
		}
		return loads;
	}
	*pte = pte_mkyoung(*pte);
	for (i++; i < n; i++) {
		loads++;
		if (pte_dirty(block[i])) {
			*pte = pte_mkdirty(*pte);
			break;
		}
	}
	return loads;
}

/* *ptep is valid and CONT. One load for the inline gate, then the scan. */
pte_t contpte_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	const struct arch_knobs *knobs = mm->knobs;
	unsigned int loads = 0;
	pte_t pte = *ptep;

	if (knobs->getter != GETTER_RAW)
		loads = gather(ptep - cont_index(mm, addr), mm->geometry->cont_ptes, knobs->getter == GETTER_EARLY,
			       &pte);
	mm->counters->pte_loads += 1 + loads;
	mm->counters->pte_lines += loads ? contpte_scan_lines(mm, addr, loads) : 1;
	return pte;
}

/*
 * *ptep is valid and CONT. The lockless getter loads the entry twice, by the inline gate and for itself. Nobody races
 * here, so it never retries, and LOCKLESS_BOUNDED never gives up.
 */
pte_t contpte_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	enum arch_lockless lockless = mm->knobs->lockless;
	unsigned int loads;
	pte_t pte = *ptep;

	if (lockless == LOCKLESS_UNLOCKED_GET)
		return contpte_ptep_get(mm, addr, ptep);
	if (lockless == LOCKLESS_NORECENCY) {
		mm->counters->pte_loads++;
		mm->counters->pte_lines++;
		return pte;
	}
	loads = gather(ptep - cont_index(mm, addr), mm->geometry->cont_ptes, lockless == LOCKLESS_EARLY, &pte);
	mm->counters->pte_loads += 2 + loads;
	mm->counters->pte_lines += contpte_scan_lines(mm, addr, loads);
	return pte;
}

/* ---- writers of several entries ---- */

/* v1-v4: make room for one chunk of a block whose targets may be present. */
static void clear_chunk_before_set(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool cont)
{
	unsigned int n = mm->geometry->cont_ptes, i = 0;

	if (nr != n) {
		mm->counters->pte_loads++;
		if (pte_cont(*ptep))
			contpte_unfold(mm, addr, ptep, *ptep);
	}
	mm->counters->pte_loads++;
	if (!pte_cont(*ptep)) {
		if (!cont)
			return;
		while (i < nr && !(mm->knobs->fold_present ? pte_present(ptep[i]) : pte_valid(ptep[i])))
			i++;
		mm->counters->pte_loads += i < nr ? i + 1 : nr;
		if (i == nr)
			return;
	} else {
		mm->counters->erased++;
		--*mm->live_blocks;
	}
	memset(ptep, 0, nr * sizeof(*ptep));
	mm->counters->pte_stores += nr;
	arch_flush_ptes(mm, addr, nr, FLUSH_SYNC);
}

/* contpte_set_ptes(), nr > 1: blocks that are covered whole and congruent are born folded. */
void contpte_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	unsigned int n = mm->geometry->cont_ptes, chunk;
	bool congruent = cont_index(mm, addr) == (pte_pfn(pte) & (n - 1));
	bool may_cont = pte_valid(pte) || (mm->knobs->protnone_cont != PROTNONE_CONT_NONE && pte_protnone(pte));
	u64 mkcont = PTE_CONT | (mm->knobs->protnone_cont == PROTNONE_CONT_VALID ? PTE_VALID : 0);
	pte_t value;

	for (; nr; nr -= chunk) {
		chunk = n - cont_index(mm, addr);
		if (chunk > nr)
			chunk = nr;
		value = pte;
		if (chunk == n && congruent && may_cont)
			value.val |= mkcont;
		if (mm->knobs->set_ptes_checks_old)
			clear_chunk_before_set(mm, addr, ptep, chunk, value.val & PTE_CONT);
		arch_write_ptes(ptep, value, chunk);
		bare_count_stores(mm, value, chunk);
		if (pte_cont(value)) {
			mm->counters->born++;
			++*mm->live_blocks;
		} else if (mm->knobs->fold_sites == FOLD_END) {
			contpte_try_fold(mm, addr, ptep, *ptep, false);
		}
		addr += (u64)chunk << mm->geometry->page_shift;
		ptep += chunk;
		pte = pte_advance_pfn(pte, chunk);
	}
}

static bool any_cont(const pte_t *block, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && !pte_cont(block[i]); i++)
		;
	return i < n;
}

/* v1's first loop: reads until an entry that is gone tells that the block has been dealt with; the number of loads. */
static unsigned int exiting_block_loads(const pte_t *block, unsigned int n, bool *dealt_with)
{
	unsigned int i;

	for (i = 0; i < n && !pte_none(block[i]); i++)
		;
	*dealt_with = i < n;
	return *dealt_with ? i + 1 : n;
}

/*
 * contpte_ptep_get_and_clear_full(). v1 reads the A/D of the block when the first of its entries goes, so that the
 * others can still tell; the posted code computes the new entries and does not store them. v2 leaves it to core mm to
 * see all of the block sooner or later. The block counts as folded until its last entry is gone.
 */
pte_t contpte_clear_exiting(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	unsigned int n = mm->geometry->cont_ptes, i;
	pte_t *block = ptep - cont_index(mm, addr), pte, merged = { 0 };
	bool dealt_with = true;

	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	if (mm->knobs->zap_full_trick == ZAP_FULL_TRICK_V1) {
		mm->counters->pte_loads += exiting_block_loads(block, n, &dealt_with);
		mm->counters->pte_lines += dealt_with ? 0 : arch_lines(mm, 0, cont_size(mm) - 1) - 1;
	}
	if (!dealt_with) {
		merged = arch_merge_access_dirty(merged, block, n);
		mm->counters->pte_loads += n;
		for (i = 0; i < n && mm->knobs->exit_spread_stored; i++) {
			block[i] = arch_merge_access_dirty(block[i], &merged, 1);
			mm->counters->pte_stores++;
		}
	}
	pte = *ptep;
	ptep->val = 0;
	mm->counters->pte_atomics++;
	if (!any_cont(block, n)) {
		mm->counters->erased++;
		--*mm->live_blocks;
	}
	return pte;
}

/* Before a run is cleared, its edges unfolded: the blocks that will vanish whole. Bookkeeping, no access counted. */
void contpte_count_erased(struct arch_mm *mm, u64 addr, const pte_t *ptep, unsigned int nr)
{
	unsigned int n = mm->geometry->cont_ptes, i;

	for (i = (n - cont_index(mm, addr)) & (n - 1); i + n <= nr; i += n) {
		if (pte_cont(ptep[i])) {
			mm->counters->erased++;
			--*mm->live_blocks;
		}
	}
}

/* contpte_set_wrprotects() of v1-v4: block by block, and the last entry of a partial one may fold it again. */
static void wrprotect_chunks(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int n = mm->geometry->cont_ptes, chunk;
	u64 first, last, last_addr, lines, block_lines = arch_lines(mm, 0, cont_size(mm) - 1);
	bool unfolded;

	for (; nr; nr -= chunk) {
		chunk = n - cont_index(mm, addr);
		if (chunk > nr)
			chunk = nr;
		lines = mm->counters->pte_lines;
		first = addr;
		last = last_addr = arch_last_addr(mm, addr, chunk);
		mm->counters->pte_loads += chunk != n;
		unfolded = chunk != n && pte_cont(*ptep);
		if (unfolded) {
			contpte_unfold(mm, addr, ptep, *ptep);
			first = ALIGN_DOWN(addr, cont_size(mm));
			last = first + cont_size(mm) - 1;
		}
		mm->counters->pte_lines += arch_lines(mm, first, last);
		bare_wrprotect_run(mm, ptep, chunk);
		addr += (u64)chunk << mm->geometry->page_shift;
		ptep += chunk;
		if (chunk != n && mm->knobs->fold_sites >= FOLD_V3) {
			mm->counters->pte_loads += mm->knobs->fold_sites != FOLD_END;
			contpte_try_fold(mm, last_addr, ptep - 1, ptep[-1], unfolded);
			/* The scan met lines that the chunk had touched already. */
			mm->counters->pte_lines = min_u64(mm->counters->pte_lines, lines + block_lines);
		}
	}
}

/* contpte_wrprotect_ptes(), nr > 1. A block that is covered whole stays folded while its entries change one by one. */
void contpte_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	u64 first, last;

	if (mm->knobs->wrprotect_chunks) {
		wrprotect_chunks(mm, addr, ptep, nr);
		return;
	}
	contpte_unfold_partial(mm, addr, ptep, nr, &first, &last);
	mm->counters->pte_lines += arch_lines(mm, first, last);
	bare_wrprotect_run(mm, ptep, nr);
}

/* ---- one entry of a folded block ---- */

/* contpte_all_subptes_match_access_flags(): is there nothing to do? Stops at the first entry that differs. */
static bool all_match(struct arch_mm *mm, const pte_t *block, pte_t entry)
{
	const u64 mask = PTE_RDONLY | PTE_AF | PTE_WRITE | PTE_DIRTY;
	unsigned int n = mm->geometry->cont_ptes, i;

	for (i = 0; i < n && !((block[i].val ^ entry.val) & mask); i++)
		;
	mm->counters->pte_loads += i < n ? i + 1 : n;
	return i == n;
}

/* Nothing to do for the block? Otherwise *old is what decides whether the write bit changes. */
static bool access_is_noop(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, pte_t *old)
{
	if (mm->knobs->access_compare == ACCESS_RAW) {
		if (all_match(mm, ptep - cont_index(mm, addr), entry))
			return true;
		mm->counters->pte_loads++;
		*old = *ptep;
		return false;
	}
	mm->counters->pte_lines--; /* this function's caller counts the block */
	*old = contpte_ptep_get(mm, addr, ptep);
	return mm->knobs->access_compare == ACCESS_GATHERED && !((old->val ^ entry.val) & PTE_HW_MASK & ~PTE_CONT);
}

/* contpte_ptep_set_access_flags(). Without a change of the write bit the whole block is widened and stays folded. */
bool contpte_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	unsigned int n = mm->geometry->cont_ptes, i;
	u64 start = ALIGN_DOWN(addr, cont_size(mm)), lines = mm->counters->pte_lines;
	pte_t old;
	bool noop = access_is_noop(mm, addr, ptep, entry, &old);

	/* Whatever was touched, it was this block. */
	mm->counters->pte_lines = lines + arch_lines(mm, start, start + cont_size(mm) - 1);
	if (noop)
		return false;

	/* v1 thought that nobody could have cached the old entries, or that unfolding had flushed them. */
	dirty &= !mm->knobs->access_flush_never;
	if (pte_write(old) != pte_write(entry)) {
		contpte_unfold(mm, addr, ptep, old);
		bare_set_access_flags(mm, addr, ptep, entry, dirty);
		if (mm->knobs->fold_sites >= FOLD_V3)
			contpte_try_fold(mm, addr, ptep, entry, true);
		return true;
	}
	ptep -= cont_index(mm, addr);
	for (i = 0; i < n; i++)
		bare_set_access_flags(mm, start, &ptep[i], entry, false);
	if (dirty)
		arch_flush_ptes(mm, start, n, mm->knobs->reuse_flush_local ? FLUSH_LOCAL : FLUSH_SYNC);
	return true;
}

/* contpte_align_addr_ptep() of 7.0, and the same steps in contpte_clear_young_dirty_ptes(). */
void contpte_align_range(struct arch_mm *mm, u64 *addr, pte_t **ptep, unsigned int *nr)
{
	unsigned int n = mm->geometry->cont_ptes, index = cont_index(mm, *addr), tail;

	mm->counters->pte_loads += 2;
	if ((*ptep)[*nr - 1].val & PTE_CONT) {
		tail = (index + *nr) & (n - 1);
		if (tail)
			*nr += n - tail;
	}
	if ((*ptep)->val & PTE_CONT) {
		*addr -= (u64)index << mm->geometry->page_shift;
		*ptep -= index;
		*nr += index;
	}
}
