// SPDX-License-Identifier: MIT
/*
 * The TLB oracle (I9). A TLB may have cached any entry that was valid, so whatever an operation takes from an entry
 * (the page, a permission, dirtiness) must be flushed after the change and before the operation returns; only reclaim
 * may leave its flushes for later, and then others must wait for them. The same for whole tables and PMD leaves.
 */
#include <stdlib.h>
#include <string.h>

#include "properties/tlb.h"

/* By page. */
#define STALE	1	/* something was taken away, no flush yet */
#define WIDENED	2	/* write permission was given to a write fault: this CPU must not keep the old entry */
#define PENDING	4	/* flush issued or noted, nobody has waited */
#define ISSUED	8	/* the same, but not reclaim's: whoever issued it waits before the operation ends */

struct slot {
	pmd_t before;
	bool flushed;		/* in this step, any kind that other CPUs obey */
	bool walks_flushed;	/* with what the walker has cached of tables */
};

struct tlb {
	u8 *state[REFERENCE_MMS];
	pte_t *cached[REFERENCE_MMS];	/* of a stale page: what a TLB may hold */
	u32 nr_stale[REFERENCE_MMS], nr_widened[REFERENCE_MMS], nr_pending[REFERENCE_MMS], nr_issued[REFERENCE_MMS];
	struct slot slots[REFERENCE_MMS][MAX_TABLES];
	u64 gather_start[REFERENCE_MMS], gather_end[REFERENCE_MMS];
};

struct tlb *tlb_create(const struct trial *t)
{
	struct tlb *tlb = calloc(1, sizeof(*tlb));
	u32 mm;

	if (!tlb)
		abort();
	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		tlb->state[mm] = calloc(nr_pages(t), 1);
		tlb->cached[mm] = calloc(nr_pages(t), sizeof(pte_t));
		if (!tlb->state[mm] || !tlb->cached[mm])
			abort();
	}
	return tlb;
}

void tlb_destroy(struct tlb *tlb)
{
	u32 mm;

	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		free(tlb->state[mm]);
		free(tlb->cached[mm]);
	}
	free(tlb);
}

static void set_state(struct tlb *tlb, u32 mm, u32 page, u8 state)
{
	u8 old = tlb->state[mm][page];

	tlb->nr_stale[mm] += !!(state & STALE) - !!(old & STALE);
	tlb->nr_widened[mm] += !!(state & WIDENED) - !!(old & WIDENED);
	tlb->nr_pending[mm] += !!(state & PENDING) - !!(old & PENDING);
	tlb->nr_issued[mm] += !!(state & ISSUED) - !!(old & ISSUED);
	tlb->state[mm][page] = state;
}

void tlb_forget_mm(struct trial *t, u32 mm)
{
	struct tlb *tlb = t->tlb;

	memset(tlb->state[mm], 0, nr_pages(t));
	tlb->nr_stale[mm] = tlb->nr_widened[mm] = tlb->nr_pending[mm] = tlb->nr_issued[mm] = 0;
}

/* Does the hardware use this entry? */
static bool walkable(pte_t pte)
{
	return (pte.val & (PTE_VALID | PTE_PROTNONE)) == PTE_VALID;
}

static bool takes_away(pte_t old, pte_t new)
{
	if (!walkable(old))
		return false;
	if (!walkable(new) || pte_pfn(old) != pte_pfn(new))
		return true;
	return (old.val & ~new.val & (PTE_WRITE | PTE_EXEC)) || (pte_hw_dirty(old) && !pte_hw_dirty(new));
}

void tlb_entry_changed(struct trial *t, u32 mm, u32 page, pte_t old, pte_t new, bool widened)
{
	u8 state = t->tlb->state[mm][page];
	pte_t *cached = &t->tlb->cached[mm][page];

	if (!(state & STALE))
		*cached = old;
	/* An entry that was taken away may come back as it was: mprotect() clears it meanwhile. */
	state &= ~STALE;
	if (takes_away(*cached, new))
		state |= STALE;
	else if (widened && walkable(old) && !pte_hw_dirty(old) && pte_hw_dirty(new))
		state |= WIDENED;
	set_state(t->tlb, mm, page, state);
}

static u8 state_after_flush(const struct trial *t, u8 state, enum arch_flush_mode mode)
{
	u8 awaited = t->deferring ? PENDING : ISSUED;

	switch (mode) {
	case FLUSH_SYNC:
		return 0;
	case FLUSH_LOCAL:
		return state & ~WIDENED;
	case FLUSH_NOSYNC:
		break;
	}
	return state & STALE ? (state & ~(STALE | WIDENED)) | awaited : state & ~WIDENED;
}

static void flush_pages(struct trial *t, u32 mm, u64 start, u64 end, enum arch_flush_mode mode)
{
	const struct reference *r = t->reference;
	struct tlb *tlb = t->tlb;
	u32 i, page, last;

	if (!tlb->nr_stale[mm] && !tlb->nr_widened[mm] && !tlb->nr_pending[mm])
		return;
	for (i = 0; i < ARRAY_SIZE(r->windows); i++) {
		const struct reference_window *window = &r->windows[i];
		u64 window_end = window->start + ((u64)window->nr << r->page_shift);
		u64 from = max_u64(start, window->start), to = min_u64(end, window_end);

		if (from >= to)
			continue;
		last = window->first + ((to - 1 - window->start) >> r->page_shift);
		for (page = window->first + ((from - window->start) >> r->page_shift); page <= last; page++)
			if (tlb->state[mm][page])
				set_state(tlb, mm, page, state_after_flush(t, tlb->state[mm][page], mode));
	}
}

static void forget_state(struct trial *t, u32 mm, u8 state)
{
	u32 page;

	if (state == ISSUED && !t->tlb->nr_issued[mm])
		return;
	for (page = 0; page < nr_pages(t); page++)
		set_state(t->tlb, mm, page, t->tlb->state[mm][page] & ~state);
}

void tlb_flushed(struct trial *t, u32 mm, const struct arch_flush *flush)
{
	u64 start = flush ? ALIGN_DOWN(flush->start, flush->stride) : 0;
	u64 end = flush ? ALIGN_UP(flush->end, flush->stride) : ~0ull;
	enum arch_flush_mode mode = flush ? flush->mode : FLUSH_SYNC;
	u64 table_size = (u64)t->reference->table_pages << t->reference->page_shift, first;
	u32 table;

	flush_pages(t, mm, start, end, mode);
	if (mode != FLUSH_SYNC)
		return;
	forget_state(t, mm, ISSUED);
	for (table = 0; table < nr_pages(t) / t->reference->table_pages; table++) {
		first = page_addr(t, table * t->reference->table_pages);
		if (start >= first + table_size || end <= first)
			continue;
		t->tlb->slots[mm][table].flushed = true;
		t->tlb->slots[mm][table].walks_flushed |= !flush || !flush->last_level;
	}
}

void tlb_deferred(struct trial *t, u32 mm, u64 addr, u32 nr)
{
	u32 page = addr_page(t, addr), i;

	for (i = 0; i < nr; i++)
		if (t->tlb->state[mm][page + i] & STALE)
			set_state(t->tlb, mm, page + i, PENDING);
}

void tlb_waited(struct trial *t, u32 mm)
{
	if (mm == REFERENCE_MMS) {
		for (mm = 0; mm < REFERENCE_MMS; mm++)
			tlb_waited(t, mm);
		return;
	}
	if (t->tlb->nr_pending[mm])
		forget_state(t, mm, PENDING);
	forget_state(t, mm, ISSUED);
}

u32 tlb_nr_widened(const struct trial *t, u32 mm)
{
	return t->tlb->nr_widened[mm];
}

/* ---- mmu_gather: its range is the hull of what it has seen since its last flush ---- */

static bool gathers(const struct trial *t)
{
	switch (t->step->op.kind) {
	case RF_OP_ZAP:
	case RF_OP_MUNMAP:
	case RF_OP_MPROTECT:
	case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD:
	case RF_OP_MADV_PAGEOUT:
		return true;
	}
	return false;
}

static void reset_gather(struct tlb *tlb, u32 mm)
{
	tlb->gather_start[mm] = ~0ull;
	tlb->gather_end[mm] = 0;
}

void tlb_gathered(struct trial *t, u32 mm, u64 addr, u32 nr)
{
	struct tlb *tlb = t->tlb;

	if (!gathers(t))
		return;
	tlb->gather_start[mm] = min_u64(tlb->gather_start[mm], addr);
	tlb->gather_end[mm] = max_u64(tlb->gather_end[mm], addr + ((u64)nr << t->reference->page_shift));
}

void tlb_gather_flushes(struct trial *t, u32 mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	struct tlb *tlb = t->tlb;

	bool sets = t->config->policy.arch_knobs.gather_sets;
	u64 start = tlb->gather_start[mm], end = tlb->gather_end[mm];

	/* Freed tables and PMD leaves widen the range by what no entry shows. */
	if (gathers(t) && !fullmm && !freed_tables && flush->level == FLUSH_LEVEL_PTE)
		require(t, "I9", sets ? flush->start >= start && flush->end <= end :
			flush->start == start && flush->end == end,
			"mmu_gather flushes [%llx, %llx), entries were changed in [%llx, %llx)",
			(unsigned long long)flush->start, (unsigned long long)flush->end,
			(unsigned long long)tlb->gather_start[mm], (unsigned long long)tlb->gather_end[mm]);
	if (fullmm || flush->mode == FLUSH_SYNC)
		reset_gather(tlb, mm);
}

/* ---- by step ---- */

static pmd_t slot_now(struct trial *t, u32 mm, u32 table)
{
	struct mm *space = mm_of(t, mm);
	pmd_t *pmd = space ? pmd_offset(space, page_addr(t, table * t->reference->table_pages)) : NULL;

	return pmd ? *pmd : (pmd_t){ 0 };
}

void tlb_begin_step(struct trial *t)
{
	u32 mm, table;

	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		reset_gather(t->tlb, mm);
		for (table = 0; table < nr_pages(t) / t->reference->table_pages; table++)
			t->tlb->slots[mm][table] = (struct slot){ .before = slot_now(t, mm, table) };
	}
}

static void check_slot(struct trial *t, u32 mm, u32 table)
{
	const struct slot *slot = &t->tlb->slots[mm][table];
	pmd_t now = slot_now(t, mm, table);
	unsigned long long addr = page_addr(t, table * t->reference->table_pages);
	pte_t none = { 0 };

	/* Nobody walks the tables of a machine with a hashed one, and it has no such leaves. */
	if (now.val == slot->before.val || !strcmp(t->backend->name, "powerpc-hash"))
		return;
	if (pmd_table(slot->before))
		require(t, "I9", slot->walks_flushed, "mm %u: the table at %llx went without a flush of walks", mm,
			addr);
	else if (pmd_leaf(slot->before) && takes_away(pmd_pte(slot->before), pmd_leaf(now) ? pmd_pte(now) : none))
		require(t, "I9", slot->flushed, "mm %u: the leaf at %llx changed without a flush", mm, addr);
}

static u32 find_state(const struct trial *t, u32 mm, u8 state)
{
	u32 page;

	for (page = 0; page < nr_pages(t) - 1; page++)
		if (t->tlb->state[mm][page] & state)
			break;
	return page;
}

/* What a zap has unmapped is about to be used again: nobody may wait any more. */
static void check_nothing_pending(struct trial *t, const struct rf_op *op)
{
	u32 first = addr_page(t, op->addr), last = addr_page(t, op->end - 1), page;

	for (page = first; t->tlb->nr_pending[op->mm] && page <= last; page++)
		require(t, "I9", !(t->tlb->state[op->mm][page] & PENDING),
			"mm %u: the deferred flush of %llx was not waited for", op->mm,
			(unsigned long long)page_addr(t, page));
}

void tlb_end_step(struct trial *t)
{
	struct tlb *tlb = t->tlb;
	u32 mm, table;

	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		if (!mm_of(t, mm))
			continue;
		require(t, "I9", !tlb->nr_stale[mm], "mm %u: %llx changed without a flush", mm,
			(unsigned long long)page_addr(t, find_state(t, mm, STALE)));
		require(t, "I9", !tlb->nr_widened[mm], "mm %u: %llx became writable without a flush", mm,
			(unsigned long long)page_addr(t, find_state(t, mm, WIDENED)));
		require(t, "I9", !tlb->nr_issued[mm], "mm %u: nobody waited for the flush of %llx", mm,
			(unsigned long long)page_addr(t, find_state(t, mm, ISSUED)));
		require(t, "I9", !tlb->gather_end[mm], "mm %u: mmu_gather has not flushed up to %llx", mm,
			(unsigned long long)tlb->gather_end[mm]);
		require(t, "I9", !tlb->nr_pending[mm] || t->step->op.kind != RF_OP_RECLAIM_FLUSH,
			"mm %u: reclaim has not waited for %llx", mm,
			(unsigned long long)page_addr(t, find_state(t, mm, PENDING)));
		for (table = 0; table < nr_pages(t) / t->reference->table_pages; table++)
			check_slot(t, mm, table);
	}
	if (t->step->op.kind == RF_OP_ZAP || t->step->op.kind == RF_OP_MUNMAP)
		check_nothing_pending(t, &t->step->op);
}
