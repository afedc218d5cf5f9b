// SPDX-License-Identifier: MIT
/*
 * What must hold after each single helper call, whoever made it: the parts of section 8 that speak of helpers (I1,
 * I4-I7, I13-I15, I18). The knobs of a policy say where a posting did otherwise by intent.
 */
#include <string.h>

#include "properties/call.h"

#define where(call) (call)->name, (unsigned long long)(call)->addr, (call)->nr

static u32 block_size(const struct call *call)
{
	return call->mm->arch.geometry->cont_ptes;
}

static const struct arch_knobs *knobs_of(const struct call *call)
{
	return call->mm->arch.knobs;
}

/* The exit of v1 and v2 clears the entries of a folded block one by one, and leaves the rest folded meanwhile. */
static bool clears_in_part(const struct call *call)
{
	return call->full && knobs_of(call)->zap_full_trick != ZAP_FULL_TRICK_NONE;
}

static bool in_range(const struct call *call, u32 i)
{
	const pte_t *entry = call->block + i;

	return entry >= call->ptep && entry < call->ptep + call->nr;
}

static bool any_cont(const pte_t *block, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (pte_cont(block[i]))
			return true;
	return false;
}

static u32 folded_blocks(const struct call *call, const pte_t *entries)
{
	u32 n = block_size(call), i, folded = 0;

	for (i = 0; i < call->size; i += n)
		folded += any_cont(entries + i, n);
	return folded;
}

/* A/D of a block: that of any entry. */
static u64 block_bits(const pte_t *block, u32 n)
{
	u64 bits = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		bits |= pte_young(block[i]) ? PTE_AF : 0;
		bits |= pte_dirty(block[i]) ? PTE_DIRTY : 0;
	}
	return bits;
}

static u64 entry_bits(pte_t pte)
{
	return (pte_young(pte) ? PTE_AF : 0) | (pte_dirty(pte) ? PTE_DIRTY : 0);
}

/* ---- before: what callers promise ---- */

/* I5: the entries of one call are of one VMA, and if present of one folio. */
static void check_run(struct trial *t, const struct call *call)
{
	struct vm_area *vma = vma_lookup(call->mm, call->addr);
	u64 end = call->addr + ((u64)call->nr << t->reference->page_shift);
	u32 i;

	/* A split PMD is filled for all the VMAs that shared it. */
	if (call->nr < t->reference->table_pages)
		require(t, "I5", vma && end <= vma->end, "%s at %llx+%u crosses a VMA", where(call));
	for (i = 1; i < call->nr; i++) {
		pte_t first = call->ptep[0], pte = call->ptep[i];

		require(t, "I5", pte_present(pte) == pte_present(first), "%s at %llx+%u: not all are present",
			where(call));
		if (!pte_present(pte))
			continue;
		require(t, "I5", pte_folio_pfn(pte) == pte_folio_pfn(first) && pte_pfn(pte) == pte_pfn(first) + i,
			"%s at %llx+%u: not pages of one folio in a row", where(call));
	}
}

void check_call_begins(struct trial *t, const struct call *call)
{
	if (call->kind != CALL_SET && call->nr > 1)
		check_run(t, call);
}

/* I4, I5 of set_ptes(): only its argument tells what it sets. */
static void check_set(struct trial *t, const struct call *call)
{
	u64 size = 1ull << pte_folio_order(call->arg), i;

	if (call->nr == 1)
		return;
	if (pte_present(call->arg))
		require(t, "I5", (pte_pfn(call->arg) & (size - 1)) + call->nr <= size, "%s at %llx+%u crosses a folio",
			where(call));
	for (i = 0; i < call->nr && !knobs_of(call)->set_ptes_checks_old; i++)
		require(t, "I4", !pte_present(call->before[call->ptep - call->block + i]),
			"%s at %llx+%u over a present entry", where(call));
}

/* ---- after: what helpers promise ---- */

/* I1: as a whole or not at all. */
static void check_whole_blocks(struct trial *t, const struct call *call)
{
	u32 n = block_size(call), i, j;

	if (clears_in_part(call))
		return;
	for (i = 0; i < call->size; i += n)
		for (j = 1; j < n; j++)
			require(t, "I1", pte_cont(call->block[i + j]) == pte_cont(call->block[i]),
				"%s at %llx+%u leaves a block folded in part", where(call));
}

/* I6, I18: events and blocks agree; what is not folded is not unfolded. */
static void check_events(struct trial *t, const struct call *call, u64 fold, u64 unfold)
{
	const struct arch_counters *now = call->mm->arch.counters;
	u32 before = folded_blocks(call, call->before), after = folded_blocks(call, call->block);
	u64 born = now->born - call->counters.born, erased = now->erased - call->counters.erased;

	require(t, "I6", before + fold + born - unfold - erased == after,
		"%s at %llx+%u: %u blocks, %llu folded, %llu born, %llu unfolded, %llu erased, but %u remain",
		where(call), before, (unsigned long long)fold, (unsigned long long)born, (unsigned long long)unfold,
		(unsigned long long)erased, after);
	require(t, "I18", unfold <= before + fold, "%s at %llx+%u unfolds %llu of %u blocks", where(call),
		(unsigned long long)unfold, before);
	if (unfold + fold)
		require(t, "I18", knobs_of(call)->cont, "%s at %llx+%u converts where nothing folds", where(call));
}

/* I7: what the call costs but for N atomics, N stores and a flush for each conversion; -1 if it depends. */
struct base_cost {
	s64 atomics, stores, flushes;
};

/* Erratum 2645198: what was executable is flushed by mprotect's first half. */
static bool flushes_executable(const struct call *call)
{
	return knobs_of(call)->exec_prot_flush != EXEC_PROT_FLUSH_OFF && pte_valid(call->result) &&
	       (call->result.val & PTE_EXEC) && !strcmp(call->name, "modify_prot_start_ptes");
}

static struct base_cost base_cost(const struct call *call)
{
	const struct arch_knobs *knobs = knobs_of(call);
	s64 nr = call->nr;

	/* Its helpers flush what they change, and its flushes do nothing. */
	if (!strcmp(call->mm->arch.ops->name, "powerpc-hash"))
		return (struct base_cost){ -1, -1, -1 };
	switch (call->kind) {
	case CALL_SET:
		/* Early postings clear and flush what they find. */
		if (nr > 1 && knobs->set_ptes_checks_old)
			return (struct base_cost){ 0, -1, -1 };
		return (struct base_cost){ 0, nr, 0 };
	case CALL_CLEAR:
		return (struct base_cost){ 0, 1, 0 };
	case CALL_GET_AND_CLEAR:
		/* v1 may store what it spreads over a block. */
		return (struct base_cost){ nr, clears_in_part(call) ? -1 : 0, flushes_executable(call) };
	case CALL_CLEAR_FLUSH:
		return (struct base_cost){ 1, 0,
			call->mm->arch.tlb_flush_pending ? pte_present(call->result) : pte_valid(call->result) };
	case CALL_WRPROTECT:
		/* A cmpxchg may fail once, if the unfold has changed the entry in between. */
		return (struct base_cost){ nr > 1 && knobs->batch_helpers ? nr : -1, 0, 0 };
	case CALL_ACCESS:
		return (struct base_cost){ -1, 0, -1 };
	default:
		return (struct base_cost){ -1, -1, -1 };
	}
}

static void check_conversions(struct trial *t, const struct call *call, u64 conversions)
{
	const struct arch_counters *now = call->mm->arch.counters;
	s64 entries = conversions * block_size(call), flushes = knobs_of(call)->bbml3 ? 0 : conversions;
	s64 atomics = now->pte_atomics - call->counters.pte_atomics;
	s64 stores = now->pte_stores - call->counters.pte_stores;
	struct base_cost base = base_cost(call);

	require(t, "I7", call->block_flushes >= (u64)flushes, "%s at %llx+%u: %llu conversions, %u flushes of a block",
		where(call), (unsigned long long)conversions, call->block_flushes);
	/* What else loaded code pays is its own affair. */
	if (t->loaded)
		return;
	require(t, "I7", base.flushes < 0 || base.flushes + flushes == call->flushes,
		"%s at %llx+%u: %llu conversions, %u flushes", where(call), (unsigned long long)conversions,
		call->flushes);
	if (!t->arm64)
		return;
	require(t, "I7", base.atomics < 0 ? atomics >= entries : atomics == base.atomics + entries,
		"%s at %llx+%u: %llu conversions, %lld atomics", where(call), (unsigned long long)conversions,
		(long long)atomics);
	require(t, "I7", base.stores < 0 ? stores >= entries : stores == base.stores + entries,
		"%s at %llx+%u: %llu conversions, %lld stores", where(call), (unsigned long long)conversions,
		(long long)stores);
}

/* I13: entries that the call was not about keep their A/D, or have that of their block. */
static void check_union(struct trial *t, const struct call *call, u64 fold)
{
	u32 n = block_size(call), i, j;
	u64 least, most, bits;

	if (call->kind == CALL_YOUNG || call->kind == CALL_YOUNG_DIRTY || clears_in_part(call))
		return;
	for (i = 0; i < call->size; i += n) {
		bool was = any_cont(call->before + i, n), is = any_cont(call->block + i, n);

		least = block_bits(call->before + i, n);
		most = least | (call->kind == CALL_SET || call->kind == CALL_ACCESS ? entry_bits(call->arg) : 0);
		for (j = i; j < i + n; j++) {
			if (in_range(call, j))
				continue;
			bits = entry_bits(call->block[j]);
			if (was && (!is || fold))
				require(t, "I13", (bits & least) == least && !(bits & ~most),
					"%s at %llx+%u: page %u of an unfolded block lacks A/D of it", where(call),
					j - i);
			else if (!was && is)
				require(t, "I13", bits == entry_bits(*call->ptep) && !(bits & ~most),
					"%s at %llx+%u: page %u of a folded block differs in A/D", where(call), j - i);
			else if (!was && !is)
				require(t, "I13", call->before[j].val == call->block[j].val,
					"%s at %llx+%u changes page %u outside", where(call), j - i);
		}
	}
}

/* I14: no write gets through, and that there had been one is not forgotten. */
static void check_protected(struct trial *t, const struct call *call)
{
	u32 i;

	for (i = 0; i < call->size; i++) {
		pte_t old = call->before[i], new = call->block[i];

		if (!in_range(call, i))
			continue;
		require(t, "I14", !pte_write(new) && (new.val & PTE_RDONLY), "%s at %llx+%u: page %u is writable",
			where(call), i);
		require(t, "I14", !pte_dirty(old) || (new.val & PTE_DIRTY),
			"%s at %llx+%u: page %u is not dirty any more", where(call), i);
	}
}

/* I15: the first entry, with the A/D of all, and of the blocks they were in. v2 leaves it to its caller to add up. */
static void check_result(struct trial *t, const struct call *call)
{
	u32 n = block_size(call), index = call->ptep - call->block, i;
	u64 least = 0, most = 0, bits = entry_bits(call->result);
	pte_t first = call->before[index];

	for (i = 0; i < call->size; i++) {
		if (!in_range(call, i))
			continue;
		require(t, "I11", pte_none(call->block[i]), "%s at %llx+%u: page %u is still there", where(call), i);
		least |= entry_bits(call->before[i]);
		if (pte_cont(call->before[i]))
			most |= block_bits(call->before + i / n * n, n);
	}
	if (!call->returns)
		return;
	most |= least;
	if (knobs_of(call)->zap_full_trick != ZAP_FULL_TRICK_V2 || !call->full)
		least = most;
	require(t, "I15", pte_pfn(call->result) == pte_pfn(first) && pte_present(call->result) == pte_present(first),
		"%s at %llx+%u returns %llx, not %llx", where(call), (unsigned long long)call->result.val,
		(unsigned long long)first.val);
	if (pte_present(first))
		require(t, "I15", (bits & least) == least && !(bits & ~most),
			"%s at %llx+%u returns A/D %llx, not %llx", where(call), (unsigned long long)bits,
			(unsigned long long)least);
}

/* I12: pages whose age was cleared and not asked for are of the same blocks; somebody young is never overlooked. */
static void check_young(struct trial *t, const struct call *call)
{
	u32 n = block_size(call), i;
	u64 any = 0;

	for (i = 0; i < call->size; i++) {
		bool asked = in_range(call, i) || pte_cont(call->before[i]) || (call->before[i].val & PTE_CONT);

		if (in_range(call, i))
			any |= pte_cont(call->before[i]) ? block_bits(call->before + i / n * n, n) :
							   entry_bits(call->before[i]);
		require(t, "I12", asked || call->before[i].val == call->block[i].val,
			"%s at %llx+%u changes page %u outside", where(call), i);
	}
	if (call->kind == CALL_YOUNG)
		require(t, "I12", call->found == !!(any & PTE_AF), "%s at %llx+%u overlooks a young page", where(call));
}

void check_call(struct trial *t, const struct call *call)
{
	const struct arch_counters *now = call->mm->arch.counters;
	u64 fold = now->fold - call->counters.fold, unfold = now->unfold - call->counters.unfold;

	check_whole_blocks(t, call);
	check_events(t, call, fold, unfold);
	check_conversions(t, call, fold + unfold);
	check_union(t, call, fold);
	switch (call->kind) {
	case CALL_SET:
		check_set(t, call);
		break;
	case CALL_GET_AND_CLEAR:
	case CALL_CLEAR_FLUSH:
		check_result(t, call);
		break;
	case CALL_WRPROTECT:
		check_protected(t, call);
		break;
	case CALL_ACCESS:
		require(t, "I9", !tlb_nr_widened(t, call->mm->id),
			"%s at %llx+%u makes entries writable without a flush", where(call));
		break;
	case CALL_YOUNG:
	case CALL_YOUNG_DIRTY:
		check_young(t, call);
		break;
	default:
		break;
	}
}
