// SPDX-License-Identifier: MIT
/*
 * When contiguous blocks fold and unfold, and how: break-before-make. Follows the same code as contpte.c, with ideas
 * that no kernel has: who else may fold, and when a conversion is flushed and waited for. kernel-model.md 2 and 9.3.
 */
#include "arch/contpte/contpte.h"
#include "base/array.h"

/* The flush of a conversion; or its part in one of adjacent blocks, issued by the next one or the operation's end. */
static void flush_block(struct arch_mm *mm, u64 addr)
{
	enum arch_flush_mode mode = mm->knobs->unfold_nosync ? FLUSH_NOSYNC : FLUSH_SYNC;
	struct arch_owed *owed = &mm->owed;
	u64 end = addr + cont_size(mm), start = owed->start;

	owed->wait |= mm->knobs->unfold_nosync;
	if (!mm->knobs->unfold_merged) {
		arch_flush_ptes(mm, addr, mm->geometry->cont_ptes, mode);
		return;
	}
	if (owed->end && (addr > owed->end || end < start)) {
		arch_flush_ptes(mm, start, (owed->end - start) >> mm->geometry->page_shift, mode);
		owed->end = 0;
	}
	owed->start = owed->end ? min_u64(start, addr) : addr;
	owed->end = max_u64(owed->end, end);
}

/*
 * contpte_convert(): break-before-make of one block. All entries get the bits of pte, their own pfn, and the A/D of all
 * of them; facts about the pages stay with the entries. With unfold=nosync and unfold_flush=merged the new entries
 * are there before the old ones are known to be gone: a CPU may meet both, which only BBML2 promises to survive.
 */
static void contpte_convert(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte)
{
	unsigned int n = mm->geometry->cont_ptes, index = cont_index(mm, addr), i;
	u64 value;

	ptep -= index;
	addr = ALIGN_DOWN(addr, cont_size(mm));
	pte = arch_merge_access_dirty(pte, ptep, n);
	/* Gone while the flush goes on: what it has flushed cannot be cached again before the new entries are there. */
	for (i = 0; i < n; i++)
		ptep[i].val &= ~PTE_HW_MASK;
	mm->counters->pte_atomics += n;

	/* BBML3: no TLB conflict can arise, and the flush that the caller owes for its change covers this one too. */
	if (!mm->knobs->bbml3)
		flush_block(mm, addr);

	value = pte.val & PTE_HW_MASK & ~PTE_PFN_MASK;
	value |= ALIGN_DOWN(pte_pfn(pte), (u64)n) << PTE_PFN_SHIFT;
	for (i = 0; i < n; i++) {
		ptep[i].val |= value;
		value += 1ull << PTE_PFN_SHIFT;
	}
	bare_count_stores(mm, pte, n);
}

/* For the operation's end. Once is enough for what it comes by again and again. False: there is no memory. */
static bool note_block(const struct arch_mm *mm, struct arch_blocks *blocks, u64 addr)
{
	if (blocks->nr && !((blocks->addrs[blocks->nr - 1] ^ addr) & ~(cont_size(mm) - 1)))
		return true;
	if (array_grow(blocks->addrs, blocks->room, blocks->nr + 1))
		return false;
	blocks->addrs[blocks->nr++] = addr;
	return true;
}

/*
 * unfold_free_split: all entries go; what the operation does not write itself comes back when it is used. Nobody
 * flushes: TLBs may hold the block until then, which maps the same pages, and the flush that the caller owes for its
 * change hits the block as a whole. The entries stay here, marked, as what a fault will find.
 */
static void split_block(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte)
{
	unsigned int n = mm->geometry->cont_ptes, i;
	u64 value;

	ptep -= cont_index(mm, addr);
	pte = arch_merge_access_dirty(pte, ptep, n);
	value = pte.val & PTE_HW_MASK & ~PTE_PFN_MASK;
	for (i = 0; i < n; i++)
		ptep[i].val = (ptep[i].val & (~PTE_HW_MASK | PTE_PFN_MASK)) | value | PTE_REFAULT;
	mm->counters->pte_atomics += n;
}

/* __contpte_try_unfold(): pte is valid and CONT, and gives the block's bits. */
void contpte_unfold(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte)
{
	if (!mm->user)
		return;
	mm->counters->unfold++;
	--*mm->live_blocks;
	pte.val &= ~PTE_CONT;
	if (mm->knobs->unfold_free_split && note_block(mm, &mm->split, addr))
		split_block(mm, addr, ptep, pte);
	else
		contpte_convert(mm, addr, ptep, pte);
}

u64 contpte_scan_lines(const struct arch_mm *mm, u64 addr, unsigned int loads)
{
	u64 start = ALIGN_DOWN(addr, cont_size(mm)), end;
	unsigned int n = mm->geometry->cont_ptes;

	end = arch_last_addr(mm, start, loads < n ? loads : n);
	return arch_lines(mm, start, end) + (addr > end && arch_lines(mm, end, addr) > 1);
}

/* What may fold, by its bits alone. v1 took PROT_NONE, which pte_mkcont() makes valid, and special entries. */
static bool may_fold(const struct arch_knobs *knobs, pte_t pte)
{
	if (knobs->fold_present)
		return pte_present(pte) && !(pte.val & PTE_CONT);
	return (pte.val & (PTE_VALID | PTE_CONT | PTE_SPECIAL)) == PTE_VALID;
}

/* By this entry alone: may its block fold? */
static bool may_be_of_block(const struct arch_mm *mm, u64 addr, pte_t pte)
{
	unsigned int n = mm->geometry->cont_ptes;

	return (pte_pfn(pte) & (n - 1)) == cont_index(mm, addr) && may_fold(mm->knobs, pte) && mm->user &&
	       (1u << pte_folio_order(pte) >= n || mm->knobs->fold_span);
}

/* __contpte_try_fold(): fold if all entries are alike. */
static void fold_if_alike(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, bool unfolded)
{
	unsigned int n = mm->geometry->cont_ptes, index = cont_index(mm, addr), i;
	pte_t *block = ptep - index;
	u64 expected;

	expected = pte_mkold(pte_mkclean(pte)).val & PTE_HW_MASK;
	expected -= (u64)index << PTE_PFN_SHIFT;
	for (i = 0; i < n; i++) {
		if ((pte_mkold(pte_mkclean(block[i])).val & (PTE_HW_MASK | PTE_REFAULT)) != expected)
			break;
		expected += 1ull << PTE_PFN_SHIFT;
	}
	mm->counters->pte_loads += i < n ? i + 1 : n;
	if (!unfolded)
		mm->counters->pte_lines += contpte_scan_lines(mm, addr, i + 1) - 1;
	if (i < n)
		return;

	mm->counters->fold++;
	++*mm->live_blocks;
	pte.val |= PTE_CONT | PTE_VALID; /* pte_mkcont() of v1 makes it a valid page descriptor */
	contpte_convert(mm, addr, ptep, pte);
}

/*
 * contpte_try_fold(). Only a write to the last entry of a block asks; a folio that is as large as a block covers it,
 * because folios are naturally aligned and the gate has seen that the pfn is congruent. The caller has counted the line
 * of the last entry, or (unfolded) those of the block.
 */
void contpte_try_fold(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, bool unfolded)
{
	enum arch_fold_sites sites = mm->knobs->fold_sites;

	if (cont_index(mm, addr) + 1 != mm->geometry->cont_ptes && sites < FOLD_ANY)
		return;
	if (!may_be_of_block(mm, addr, pte))
		return;
	if (sites == FOLD_END)
		note_block(mm, &mm->touched, addr);	/* it folds then if nothing else has come in between */
	else
		fold_if_alike(mm, addr, ptep, pte, unfolded);
}

void contpte_fold_block(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte = *ptep;

	if (!mm->knobs->cont || pte_cont(pte) || !may_be_of_block(mm, addr, pte))
		return;
	mm->counters->pte_loads++;
	mm->counters->pte_lines++;
	fold_if_alike(mm, addr, ptep, pte, false);
}

/* contpte_try_unfold_partial(). A block at both ends is unfolded once: the second probe finds it done. */
void contpte_unfold_partial(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, u64 *first, u64 *last)
{
	unsigned int n = mm->geometry->cont_ptes;
	u64 last_addr = arch_last_addr(mm, addr, nr);
	pte_t *last_ptep = ptep + nr - 1;

	*first = addr;
	*last = last_addr;
	if (cont_index(mm, addr) || nr < n) {
		mm->counters->pte_loads++;
		if (pte_cont(*ptep)) {
			contpte_unfold(mm, addr, ptep, *ptep);
			*first = ALIGN_DOWN(addr, cont_size(mm));
			*last = max_u64(*last, *first + cont_size(mm) - 1);
		}
	}
	if (cont_index(mm, last_addr) != n - 1) {
		mm->counters->pte_loads++;
		if (pte_cont(*last_ptep)) {
			contpte_unfold(mm, last_addr, last_ptep, *last_ptep);
			*last = ALIGN_DOWN(last_addr, cont_size(mm)) + cont_size(mm) - 1;
		}
	}
}
