// SPDX-License-Identifier: MIT
/*
 * A backend around the backend: every hook passes the call on and tells the oracles what changed. It keeps no opinion
 * of its own, and nobody calls it but the one machine under test.
 */
#include <string.h>

#include "arch/loaded/loaded.h"
#include "base/array.h"
#include "properties/call.h"

static struct trial *spied;
static struct call the_call;	/* one at a time */

static struct mm *mm_of_arch(struct arch_mm *arch)
{
	return (struct mm *)((char *)arch - offsetof(struct mm, arch));
}

/* ---- flushes ---- */

static struct mm *flushing;	/* whose flush is going on */

static void absorb(struct trial *t, struct call *call, u32 first, u32 end);

/* For who wants to know afterwards; nothing depends on it. */
static void log_call(struct trial *t, const char *name, u32 mm, u64 addr, u32 nr)
{
	struct call_log *log = t->log;

	if (log && !array_grow(log->calls, log->room, log->nr + 1))
		log->calls[log->nr++] = (struct logged_call){ t->step_number, name, mm, nr, addr };
}

/* Whatever changed before the flush is flushed by it; what changes after it is not. */
static void observe(struct arch_flush_observer *observer, const struct arch_flush *flush)
{
	struct trial *t = spied;
	struct call *call = t->call;
	u64 page = 1ull << t->reference->page_shift, block = page * t->config->policy.geometry.cont_ptes;

	flush_cost_add(t, t->flushes, flush);
	if (call) {
		log_call(t, "TLB flush", flushing->id, flush ? flush->start : 0,
			 flush ? (flush->end - flush->start) / page : 0);
		call->flushes++;
		call->block_flushes += flush && flush->mode == FLUSH_SYNC && flush->end - flush->start == block &&
				       !(flush->start & (block - 1)) && flush->stride == page && flush->last_level;
		arch_loaded_show();
		absorb(t, call, 0, call->size);
		arch_loaded_hide();
	}
	tlb_flushed(t, flushing->id, flush);
}

static struct arch_flush_observer observer = { .flush = observe };

static void attach(struct arch_mm *arch)
{
	arch->observer = &observer;
	flushing = mm_of_arch(arch);
}

/* A hook that flushes; nr 0: the whole mm. */
static void begin_flush(struct arch_mm *arch, const char *name, u64 addr, u32 nr)
{
	attach(arch);
	log_call(spied, name, flushing->id, addr, nr);
}

/* ---- one call ---- */

static void absorb(struct trial *t, struct call *call, u32 first, u32 end)
{
	/* x86 does not flush what gained permission: the fault itself has dropped the old entry. */
	bool faulted = call->kind == CALL_ACCESS && call->dirty && t->arm64, widened;
	u32 i;

	for (i = first; i < end; i++) {
		if (call->seen[i].val == call->block[i].val)
			continue;
		/* What a TLB has of another page does not matter to the fault, unless it is a block with that one. */
		widened = faulted && (call->block + i == call->ptep || pte_cont(call->seen[i]));
		if (call->reachable)
			tlb_entry_changed(t, call->mm->id, call->page + i, call->seen[i], call->block[i], widened);
		call->seen[i] = call->block[i];
	}
}

static struct call *begin_call(struct arch_mm *arch, const char *name, enum call_kind kind, u64 addr, pte_t *ptep,
			       u32 nr)
{
	struct trial *t = spied;
	struct call *call = &the_call;
	u32 n = arch->geometry->cont_ptes, index = (addr >> arch->geometry->page_shift) & (n - 1), page;
	u64 last;
	pmd_t *pmd;

	attach(arch);
	log_call(t, name, flushing->id, addr, nr);
	memset(call, 0, offsetof(struct call, before));
	call->name = name;
	call->kind = kind;
	call->mm = mm_of_arch(arch);
	call->addr = addr;
	call->ptep = ptep;
	call->nr = nr;
	call->counters = *arch->counters;
	page = addr_page(t, addr);
	last = addr + ((u64)(nr - 1) << t->reference->page_shift);
	require(t, "I5", page != NO_PAGE && addr_page(t, last) == page + nr - 1,
		"%s: [%llx +%u) is where nothing was ever mapped", name, (unsigned long long)addr, nr);
	call->block = ptep - index;
	call->page = page - index;
	call->size = ALIGN_UP(index + nr, n);
	require(t, "I5", (call->page ^ (call->page + call->size - 1)) < t->reference->table_pages,
		"%s: [%llx +%u) crosses a table", name, (unsigned long long)addr, nr);
	memcpy(call->before, call->block, call->size * sizeof(pte_t));
	memcpy(call->seen, call->block, call->size * sizeof(pte_t));
	pmd = pmd_offset(call->mm, addr);
	call->reachable = pmd && pmd_table(*pmd) && pte_offset(call->mm, pmd, addr) == ptep;
	touch(t, call->mm->id, call->page, call->page + call->size - 1);
	t->call = call;
	check_call_begins(t, call);
	return call;
}

static void end_call(struct call *call)
{
	struct trial *t = spied;

	absorb(t, call, 0, call->size);
	check_call(t, call);
	t->call = NULL;
}

/* ---- hooks: readers ---- */

static pte_t expected_read(struct arch_mm *arch, u64 addr, const pte_t *ptep, bool gathers)
{
	u32 n = arch->geometry->cont_ptes, index = (addr >> arch->geometry->page_shift) & (n - 1), i;
	pte_t pte = *ptep;

	for (i = 0; gathers && pte_cont(*ptep) && i < n; i++) {
		if (pte_young(ptep[(s64)i - index]))
			pte = pte_mkyoung(pte);
		if (pte_dirty(ptep[(s64)i - index]))
			pte = pte_mkdirty(pte);
	}
	return pte;
}

/* Another page, or only not what is known of its use? */
static const char *oracle_of(pte_t pte, pte_t expected)
{
	return (pte.val ^ expected.val) & ~(PTE_AF | PTE_DIRTY | PTE_RDONLY) ? "I11" : "I12";
}

static pte_t spy_ptep_get(struct arch_mm *arch, u64 addr, pte_t *ptep)
{
	struct trial *t = spied;
	pte_t pte = t->backend->ptep_get(arch, addr, ptep);
	pte_t expected = expected_read(arch, addr, ptep, arch->knobs->getter != GETTER_RAW);

	require(t, oracle_of(pte, expected), pte.val == expected.val, "ptep_get at %llx is %llx, not %llx",
		(unsigned long long)addr, (unsigned long long)pte.val, (unsigned long long)expected.val);
	return pte;
}

static pte_t spy_ptep_get_lockless(struct arch_mm *arch, u64 addr, pte_t *ptep)
{
	struct trial *t = spied;
	pte_t pte = t->backend->ptep_get_lockless(arch, addr, ptep);
	bool gathers = arch->knobs->lockless == LOCKLESS_FULL || arch->knobs->lockless == LOCKLESS_EARLY ||
		       arch->knobs->lockless == LOCKLESS_BOUNDED ||
		       (arch->knobs->lockless == LOCKLESS_UNLOCKED_GET && arch->knobs->getter != GETTER_RAW);
	pte_t expected = expected_read(arch, addr, ptep, gathers);

	/* Which way lockless readers go is a choice that loaded code has, too. */
	if (t->loaded && pte.val == expected_read(arch, addr, ptep, !gathers).val)
		return pte;
	require(t, oracle_of(pte, expected), pte.val == expected.val, "ptep_get_lockless at %llx is %llx, not %llx",
		(unsigned long long)addr, (unsigned long long)pte.val, (unsigned long long)expected.val);
	return pte;
}

static unsigned int spy_pte_batch_hint(struct arch_mm *arch, u64 addr, pte_t pte)
{
	struct trial *t = spied;
	u32 n = arch->geometry->cont_ptes, index = (addr >> arch->geometry->page_shift) & (n - 1);
	unsigned int hint = t->backend->pte_batch_hint(arch, addr, pte);

	require(t, "I18", hint == 1 || (pte_cont(pte) && hint == n - index), "pte_batch_hint at %llx is %u",
		(unsigned long long)addr, hint);
	return hint;
}

/* ---- hooks: writers ---- */

static void spy_set_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	struct call *call = begin_call(arch, "set_ptes", CALL_SET, addr, ptep, nr);

	call->arg = pte;
	spied->backend->set_ptes(arch, addr, ptep, pte, nr);
	end_call(call);
}

static void spy_pte_clear(struct arch_mm *arch, u64 addr, pte_t *ptep)
{
	struct call *call = begin_call(arch, "pte_clear", CALL_CLEAR, addr, ptep, 1);

	spied->backend->pte_clear(arch, addr, ptep);
	end_call(call);
}

static pte_t spy_ptep_get_and_clear(struct arch_mm *arch, u64 addr, pte_t *ptep)
{
	struct call *call = begin_call(arch, "ptep_get_and_clear", CALL_GET_AND_CLEAR, addr, ptep, 1);
	pte_t pte = spied->backend->ptep_get_and_clear(arch, addr, ptep);

	call->result = pte;
	call->returns = true;
	end_call(call);
	return pte;
}

static void spy_clear_full_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	struct call *call = begin_call(arch, "clear_full_ptes", CALL_GET_AND_CLEAR, addr, ptep, nr);

	call->full = full;
	spied->backend->clear_full_ptes(arch, addr, ptep, nr, full);
	tlb_gathered(spied, call->mm->id, addr, nr);
	end_call(call);
}

static pte_t spy_get_and_clear_full_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	struct call *call = begin_call(arch, "get_and_clear_full_ptes", CALL_GET_AND_CLEAR, addr, ptep, nr);
	pte_t pte;

	call->full = full;
	pte = spied->backend->get_and_clear_full_ptes(arch, addr, ptep, nr, full);
	call->result = pte;
	call->returns = true;
	tlb_gathered(spied, call->mm->id, addr, nr);
	end_call(call);
	return pte;
}

static void spy_wrprotect_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct call *call = begin_call(arch, "wrprotect_ptes", CALL_WRPROTECT, addr, ptep, nr);

	spied->backend->wrprotect_ptes(arch, addr, ptep, nr);
	end_call(call);
}

static bool spy_ptep_set_access_flags(struct arch_mm *arch, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	struct call *call = begin_call(arch, "ptep_set_access_flags", CALL_ACCESS, addr, ptep, 1);
	bool changed;

	call->arg = entry;
	call->dirty = dirty;
	changed = spied->backend->ptep_set_access_flags(arch, addr, ptep, entry, dirty);
	end_call(call);
	return changed;
}

static bool spy_test_and_clear_young_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct call *call = begin_call(arch, "test_and_clear_young_ptes", CALL_YOUNG, addr, ptep, nr);
	bool young = spied->backend->test_and_clear_young_ptes(arch, addr, ptep, nr);

	call->found = young;
	end_call(call);
	return young;
}

static bool spy_clear_flush_young_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct call *call = begin_call(arch, "clear_flush_young_ptes", CALL_YOUNG, addr, ptep, nr);
	bool young = spied->backend->clear_flush_young_ptes(arch, addr, ptep, nr);

	call->found = young;
	end_call(call);
	return young;
}

static void spy_clear_young_dirty_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr, bool young,
				       bool dirty)
{
	struct call *call = begin_call(arch, "clear_young_dirty_ptes", CALL_YOUNG_DIRTY, addr, ptep, nr);

	spied->backend->clear_young_dirty_ptes(arch, addr, ptep, nr, young, dirty);
	tlb_gathered(spied, call->mm->id, addr, nr);
	end_call(call);
}

static pte_t spy_modify_prot_start_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, unsigned int nr)
{
	struct call *call = begin_call(arch, "modify_prot_start_ptes", CALL_GET_AND_CLEAR, addr, ptep, nr);
	pte_t pte = spied->backend->modify_prot_start_ptes(arch, addr, ptep, nr);

	call->result = pte;
	call->returns = true;
	end_call(call);
	return pte;
}

/* What pte_needs_flush() is asked about next. */
static struct {
	u64 addr;
	u32 nr;
} committed;

static void spy_modify_prot_commit_ptes(struct arch_mm *arch, u64 addr, pte_t *ptep, pte_t old, pte_t pte,
					unsigned int nr)
{
	struct call *call = begin_call(arch, "modify_prot_commit_ptes", CALL_SET, addr, ptep, nr);

	call->arg = pte;
	spied->backend->modify_prot_commit_ptes(arch, addr, ptep, old, pte, nr);
	end_call(call);
	committed.addr = addr;
	committed.nr = nr;
}

static void spy_fold_block(struct arch_mm *arch, u64 addr, pte_t *ptep)
{
	struct call *call = begin_call(arch, "fold_block", CALL_FOLD, addr, ptep, 1);

	spied->backend->fold_block(arch, addr, ptep);
	end_call(call);
}

static pte_t spy_ptep_clear_flush(struct arch_mm *arch, u64 addr, pte_t *ptep)
{
	struct call *call = begin_call(arch, "ptep_clear_flush", CALL_CLEAR_FLUSH, addr, ptep, 1);
	pte_t pte = spied->backend->ptep_clear_flush(arch, addr, ptep);

	call->result = pte;
	call->returns = true;
	end_call(call);
	return pte;
}

/* ---- hooks: flushes ---- */

static bool spy_pte_needs_flush(struct arch_mm *arch, pte_t old, pte_t new)
{
	bool needs = spied->backend->pte_needs_flush(arch, old, new);

	/* Leaves come here too, but their flush is not of this level. */
	if (needs && committed.nr)
		tlb_gathered(spied, mm_of_arch(arch)->id, committed.addr, committed.nr);
	committed.nr = 0;
	return needs;
}

static u32 pages_of(const struct arch_flush *flush)
{
	return (flush->end - flush->start) >> spied->reference->page_shift;
}

static void spy_flush_tlb_range(struct arch_mm *arch, const struct arch_flush *flush)
{
	begin_flush(arch, "flush_tlb_range", flush->start, pages_of(flush));
	spied->backend->flush_tlb_range(arch, flush);
}

static void spy_flush_tlb_page(struct arch_mm *arch, u64 addr, enum arch_flush_mode mode)
{
	begin_flush(arch, "flush_tlb_page", addr, 1);
	spied->backend->flush_tlb_page(arch, addr, mode);
}

static void spy_flush_tlb_mm(struct arch_mm *arch)
{
	begin_flush(arch, "flush_tlb_mm", 0, 0);
	spied->backend->flush_tlb_mm(arch);
}

static void spy_tlb_flush(struct arch_mm *arch, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	begin_flush(arch, "tlb_flush", flush->start, fullmm ? 0 : pages_of(flush));
	tlb_gather_flushes(spied, flushing->id, flush, fullmm, freed_tables);
	spied->backend->tlb_flush(arch, flush, fullmm, freed_tables);
}

static void spy_tlbbatch_add_pending(struct arch_mm *arch, u64 addr, unsigned int nr)
{
	begin_flush(arch, "tlbbatch_add_pending", addr, nr);
	spied->deferring = true;
	spied->backend->tlbbatch_add_pending(arch, addr, nr);
	spied->deferring = false;
	if (!spied->arm64)	/* x86 flushes nothing now */
		tlb_deferred(spied, flushing->id, addr, nr);
}

/* Nothing but the counters shows a wait: a DSB, or on x86 the IPI's flush. */
static bool has_waited(const struct trial *t, const struct arch_mm *arch, const struct arch_counters *before)
{
	return t->arm64 ? arch->counters->dsb_ish > before->dsb_ish : arch->counters->flush_calls > before->flush_calls;
}

static void spy_tlbbatch_flush(struct arch_mm *arch)
{
	struct trial *t = spied;
	struct arch_counters before = *arch->counters;

	begin_flush(arch, "tlbbatch_flush", 0, 0);
	t->backend->tlbbatch_flush(arch);
	if (t->arm64)
		flush_cost_wait(t->flushes, &t->config->policy);
	else if (arch->knobs->invlpgb)
		flush_cost_broadcast(t->flushes);
	if (has_waited(t, arch, &before))
		tlb_waited(t, REFERENCE_MMS);
}

static void spy_flush_tlb_batched_pending(struct arch_mm *arch)
{
	struct trial *t = spied;
	struct arch_counters before = *arch->counters;
	bool pending = arch->tlbbatch_pending;

	begin_flush(arch, "flush_tlb_batched_pending", 0, 0);
	t->backend->flush_tlb_batched_pending(arch);
	if (pending && t->arm64 && !arch->knobs->batched_pending_mm)
		flush_cost_wait(t->flushes, &t->config->policy);
	if (has_waited(t, arch, &before))
		tlb_waited(t, flushing->id);
}

static void spy_flush_tlb_fix_spurious_fault(struct arch_mm *arch, u64 addr)
{
	begin_flush(arch, "flush_tlb_fix_spurious_fault", addr, 1);
	spied->backend->flush_tlb_fix_spurious_fault(arch, addr);
}

static void spy_flush_pmd_access(struct arch_mm *arch, u64 addr)
{
	begin_flush(arch, "flush_pmd_access", addr, 1);
	spied->backend->flush_pmd_access(arch, addr);
}

/* A hook that is not here passes unseen; if it flushes, the costs do not add up (I8). */
static void wrap(struct arch_ops *ops)
{
	ops->ptep_get = spy_ptep_get;
	ops->ptep_get_lockless = spy_ptep_get_lockless;
	ops->pte_batch_hint = spy_pte_batch_hint;
	ops->set_ptes = spy_set_ptes;
	ops->pte_clear = spy_pte_clear;
	ops->ptep_get_and_clear = spy_ptep_get_and_clear;
	ops->clear_full_ptes = spy_clear_full_ptes;
	ops->get_and_clear_full_ptes = spy_get_and_clear_full_ptes;
	ops->wrprotect_ptes = spy_wrprotect_ptes;
	ops->ptep_set_access_flags = spy_ptep_set_access_flags;
	ops->test_and_clear_young_ptes = spy_test_and_clear_young_ptes;
	ops->clear_flush_young_ptes = spy_clear_flush_young_ptes;
	ops->clear_young_dirty_ptes = spy_clear_young_dirty_ptes;
	ops->modify_prot_start_ptes = spy_modify_prot_start_ptes;
	ops->modify_prot_commit_ptes = spy_modify_prot_commit_ptes;
	if (ops->fold_block)
		ops->fold_block = spy_fold_block;
	ops->ptep_clear_flush = spy_ptep_clear_flush;
	ops->pte_needs_flush = spy_pte_needs_flush;
	ops->flush_tlb_range = spy_flush_tlb_range;
	ops->flush_tlb_page = spy_flush_tlb_page;
	ops->flush_tlb_mm = spy_flush_tlb_mm;
	ops->tlb_flush = spy_tlb_flush;
	ops->tlbbatch_add_pending = spy_tlbbatch_add_pending;
	ops->tlbbatch_flush = spy_tlbbatch_flush;
	ops->flush_tlb_batched_pending = spy_flush_tlb_batched_pending;
	ops->flush_tlb_fix_spurious_fault = spy_flush_tlb_fix_spurious_fault;
	ops->flush_pmd_access = spy_flush_pmd_access;
}

static struct arch_ops spy_ops;

void spy_attach(struct trial *t, struct rf_policy *policy)
{
	spied = t;
	committed.nr = 0;
	t->backend = t->config->backend;
	t->arm64 = !strcmp(t->backend->name, "arm64");
	spy_ops = *t->backend;
	wrap(&spy_ops);
	policy->arch = &spy_ops;
}

void spy_release(struct trial *t)
{
	t->call = NULL;
	spied = NULL;
}
