// SPDX-License-Identifier: MIT
/*
 * A loaded table as an arch_ops. What is the same for every backend is counted here: calls, and how many entries each
 * is about; what touches entries and TLBs is counted behind the interface.
 */
#include "arch/entry.h"
#include "arch/loaded/loaded.h"

/* The interface repeats what arch.h and counters.h say: neither changes behind a backend's back. */
#define SAME(name)                                                                                 \
	_Static_assert(REFOLD_##name * sizeof(u64) == offsetof(struct arch_counters, name), "counter " #name)
SAME(pte_loads);
SAME(pte_stores);
SAME(pte_atomics);
SAME(pte_lines);
SAME(fold);
SAME(unfold);
SAME(born);
SAME(erased);
SAME(flush_calls);
SAME(tlbi);
SAME(tlbi_va);
SAME(tlbi_range);
SAME(tlbi_asid);
SAME(tlbi_repeat);
SAME(tlbi_local);
SAME(tlbi_walk);
SAME(tlbi_pages);
SAME(dsb);
SAME(dsb_ishst);
SAME(dsb_ish);
SAME(dsb_nsh);
SAME(isb);
#undef SAME
#define SAME(name) _Static_assert(REFOLD_PTE_##name == PTE_##name, "entries: " #name)
SAME(VALID);
SAME(CONT);
SAME(WRITE);
SAME(RDONLY);
SAME(DIRTY);
SAME(AF);
SAME(SPECIAL);
SAME(UFFD);
SAME(PROTNONE);
SAME(EXEC);
SAME(SWAP);
SAME(MIGRATION);
SAME(PFN_SHIFT);
SAME(PFN_MASK);
SAME(HW_MASK);
SAME(ORDER_SHIFT);
SAME(ORDER_MASK);
SAME(ANON);
SAME(EXCLUSIVE);
SAME(SHMEM);
#undef SAME
_Static_assert(REFOLD_FLUSH_SYNC == (int)FLUSH_SYNC && REFOLD_FLUSH_NOSYNC == (int)FLUSH_NOSYNC &&
	       REFOLD_FLUSH_LOCAL == (int)FLUSH_LOCAL, "flush modes");
_Static_assert(sizeof(pte_t) == sizeof(refold_pte), "entries");

/* ---- into a hook, and out of it ---- */

static __thread struct {
	const struct arch_loaded *loaded;
	const char *hook;
} now;

bool arch_loaded_in_hook(const struct arch_loaded **loaded, const char **hook)
{
	*loaded = now.loaded;
	*hook = now.hook;
	return now.hook;
}

void arch_loaded_leave_hook(void)
{
	now.loaded = NULL;
	now.hook = NULL;
	loaded_guard_leave();
}

static void flush_seen(struct refold_mm *mm, const struct refold_flush *seen)
{
	struct arch_mm *host = mm->host;
	struct arch_flush flush;

	if (seen)
		flush = (struct arch_flush){
			.start = seen->start, .end = seen->end, .stride = seen->stride,
			.last_level = seen->last_level, .level = seen->level, .mode = seen->mode,
		};
	host->observer->flush(host->observer, seen ? &flush : NULL);
}

static void warn(struct refold_mm *mm, const char *where, const char *what)
{
	const struct arch_mm *host = mm->host;

	arch_loaded_warn((struct arch_loaded *)host->ops->loaded, where, what);
}

static inline struct refold_mm outside(struct arch_mm *mm)
{
	const struct arch_knobs *knobs = mm->knobs;

	return (struct refold_mm){
		.size = sizeof(struct refold_mm),
		.cpu = knobs->tlbi_range * REFOLD_CPU_TLBI_RANGE | knobs->kpti * REFOLD_CPU_KPTI |
		       knobs->lpa2 * REFOLD_CPU_LPA2 | knobs->bbml3 * REFOLD_CPU_BBML3 |
		       (knobs->repeat_tlbi != REPEAT_TLBI_OFF) * REFOLD_CPU_REPEAT_TLBI,
		.flags = mm->user * REFOLD_MM_USER | mm->copying * REFOLD_MM_COPYING |
			 mm->tlb_flush_pending * REFOLD_MM_FLUSH_PENDING | mm->remote_cpus * REFOLD_MM_REMOTE_CPUS,
		.max_dvm_ops = knobs->max_dvm_ops,
		.page_shift = mm->geometry->page_shift,
		.table_entries = 1u << mm->geometry->table_shift,
		.cont_ptes = mm->geometry->cont_ptes,
		.counters = (u64 *)mm->counters,
		.live_blocks = (int64_t *)mm->live_blocks,
		.own = &loaded_own,
		.flush_seen = unlikely(mm->observer) ? flush_seen : NULL,
		.warn = warn,
		.host = mm,
	};
}

/* Who else runs the mm, the loaded code does not look at. */
struct flushed {
	u64 calls, shared, cpus;
};

static struct flushed flushed(const struct arch_mm *mm)
{
	const struct arch_counters *c = mm->counters;

	return (struct flushed){ c->flush_calls, c->flush_shared, c->flush_cpus };
}

static void count_cpus(struct arch_mm *mm, const struct flushed *before)
{
	struct arch_counters *c = mm->counters;
	u64 calls = c->flush_calls - before->calls;

	c->flush_cpus = before->cpus + calls * mm->cpus;
	if (mm->remote_cpus)
		c->flush_shared = before->shared + calls;
}

/* Hooks nest: an observer of flushes may call some. */
#define ENTER(name)                                                                                \
	const struct arch_loaded *loaded = mm->ops->loaded, *outer = now.loaded;                   \
	const char *outer_hook = now.hook;                                                         \
	const struct flushed before = flushed(mm);                                                 \
	struct refold_mm m = outside(mm);                                                          \
	now.loaded = loaded;                                                                       \
	now.hook = name
#define LEAVE()                                                                                    \
	do {                                                                                       \
		count_cpus(mm, &before);                                                           \
		now.loaded = outer;                                                                \
		now.hook = outer_hook;                                                             \
	} while (0)

#define ENTER_ENTRIES(name)                                                                        \
	ENTER(name);                                                                               \
	refold_pte *p = unlikely(loaded->guarded) ? loaded_guard_begin(mm, ptep) : (refold_pte *)&ptep->val
#define LEAVE_ENTRIES()                                                                            \
	do {                                                                                       \
		if (unlikely(loaded->guarded))                                                     \
			loaded_guard_end(mm);                                                      \
		LEAVE();                                                                           \
	} while (0)

/* ---- hooks: entries ---- */

static pte_t loaded_ptep_get(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte;
	ENTER_ENTRIES("ptep_get");

	mm->counters->ptep_get++;
	pte.val = loaded->backend.ptep_get(&m, addr, p);
	LEAVE_ENTRIES();
	return pte;
}

static pte_t loaded_ptep_get_lockless(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte;
	ENTER_ENTRIES("ptep_get_lockless");

	mm->counters->ptep_get_lockless++;
	pte.val = loaded->backend.ptep_get_lockless(&m, addr, p);
	LEAVE_ENTRIES();
	return pte;
}

static unsigned int loaded_pte_batch_hint(struct arch_mm *mm, u64 addr, pte_t pte)
{
	unsigned int hint;

	if (!pte_cont(pte))
		return 1;
	ENTER("pte_batch_hint");
	hint = loaded->backend.pte_batch_hint(&m, addr, pte.val);
	LEAVE();
	return hint;
}

static void loaded_set_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr)
{
	ENTER_ENTRIES("set_ptes");

	arch_count_batch(mm, ARCH_HELPER_set_ptes, nr);
	loaded->backend.set_ptes(&m, addr, p, pte.val, nr);
	LEAVE_ENTRIES();
}

static void loaded_pte_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	ENTER_ENTRIES("pte_clear");

	arch_count_batch(mm, ARCH_HELPER_pte_clear, 1);
	loaded->backend.pte_clear(&m, addr, p);
	LEAVE_ENTRIES();
}

static pte_t loaded_ptep_get_and_clear(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte;
	ENTER_ENTRIES("ptep_get_and_clear");

	arch_count_batch(mm, ARCH_HELPER_ptep_get_and_clear, 1);
	pte.val = loaded->backend.ptep_get_and_clear(&m, addr, p);
	LEAVE_ENTRIES();
	return pte;
}

static void loaded_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	ENTER_ENTRIES("clear_full_ptes");

	arch_count_batch(mm, ARCH_HELPER_clear_full_ptes, nr);
	loaded->backend.clear_full_ptes(&m, addr, p, nr, full);
	LEAVE_ENTRIES();
}

static pte_t loaded_get_and_clear_full_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full)
{
	pte_t pte;
	ENTER_ENTRIES("get_and_clear_full_ptes");

	arch_count_batch(mm, ARCH_HELPER_get_and_clear_full_ptes, nr);
	pte.val = loaded->backend.get_and_clear_full_ptes(&m, addr, p, nr, full);
	LEAVE_ENTRIES();
	return pte;
}

static void loaded_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	ENTER_ENTRIES("wrprotect_ptes");

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	loaded->backend.wrprotect_ptes(&m, addr, p, nr);
	LEAVE_ENTRIES();
}

static bool loaded_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	bool changed;
	ENTER_ENTRIES("ptep_set_access_flags");

	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	changed = loaded->backend.ptep_set_access_flags(&m, addr, p, entry.val, dirty);
	LEAVE_ENTRIES();
	return changed;
}

static bool loaded_test_and_clear_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	bool young;
	ENTER_ENTRIES("test_and_clear_young_ptes");

	arch_count_batch(mm, ARCH_HELPER_test_and_clear_young_ptes, nr);
	young = loaded->backend.test_and_clear_young_ptes(&m, addr, p, nr);
	LEAVE_ENTRIES();
	return young;
}

static bool loaded_clear_flush_young_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	bool young;
	ENTER_ENTRIES("clear_flush_young_ptes");

	arch_count_batch(mm, ARCH_HELPER_clear_flush_young_ptes, nr);
	young = loaded->backend.clear_flush_young_ptes(&m, addr, p, nr);
	LEAVE_ENTRIES();
	return young;
}

static void loaded_clear_young_dirty_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young,
					  bool dirty)
{
	ENTER_ENTRIES("clear_young_dirty_ptes");

	arch_count_batch(mm, ARCH_HELPER_clear_young_dirty_ptes, nr);
	loaded->backend.clear_young_dirty_ptes(&m, addr, p, nr, young, dirty);
	LEAVE_ENTRIES();
}

static pte_t loaded_modify_prot_start_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	pte_t pte;
	ENTER_ENTRIES("modify_prot_start_ptes");

	arch_count_batch(mm, ARCH_HELPER_modify_prot_start_ptes, nr);
	pte.val = loaded->backend.modify_prot_start_ptes(&m, addr, p, nr);
	LEAVE_ENTRIES();
	return pte;
}

static void loaded_modify_prot_commit_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte,
					   unsigned int nr)
{
	ENTER_ENTRIES("modify_prot_commit_ptes");

	arch_count_batch(mm, ARCH_HELPER_modify_prot_commit_ptes, nr);
	loaded->backend.modify_prot_commit_ptes(&m, addr, p, old.val, pte.val, nr);
	LEAVE_ENTRIES();
}

static pte_t loaded_ptep_clear_flush(struct arch_mm *mm, u64 addr, pte_t *ptep)
{
	pte_t pte;
	ENTER_ENTRIES("ptep_clear_flush");

	arch_count_batch(mm, ARCH_HELPER_ptep_get_and_clear, 1);
	pte.val = loaded->backend.ptep_clear_flush(&m, addr, p);
	LEAVE_ENTRIES();
	return pte;
}

/* ---- hooks: flushes ---- */

static bool loaded_pte_needs_flush(struct arch_mm *mm, pte_t old, pte_t new)
{
	bool needs;
	ENTER("pte_needs_flush");

	needs = loaded->backend.pte_needs_flush(&m, old.val, new.val);
	LEAVE();
	return needs;
}

static void loaded_flush_pmd_access(struct arch_mm *mm, u64 addr)
{
	ENTER("flush_pmd_access");

	loaded->backend.flush_pmd_access(&m, addr);
	LEAVE();
}

static struct refold_flush flush_of(const struct arch_flush *flush)
{
	return (struct refold_flush){
		.start = flush->start, .end = flush->end, .stride = flush->stride,
		.last_level = flush->last_level, .level = flush->level, .mode = flush->mode,
	};
}

static void loaded_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	struct refold_flush f = flush_of(flush);
	ENTER("flush_tlb_range");

	loaded->backend.flush_tlb_range(&m, &f);
	LEAVE();
}

static void loaded_flush_tlb_page(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode)
{
	ENTER("flush_tlb_page");

	loaded->backend.flush_tlb_page(&m, addr, mode);
	LEAVE();
}

static void loaded_flush_tlb_mm(struct arch_mm *mm)
{
	ENTER("flush_tlb_mm");

	loaded->backend.flush_tlb_mm(&m);
	LEAVE();
}

static void loaded_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	struct refold_flush f = flush_of(flush);
	ENTER("tlb_flush");

	loaded->backend.tlb_flush(&m, &f, fullmm, freed_tables);
	LEAVE();
}

static void loaded_tlbbatch_add_pending(struct arch_mm *mm, u64 addr, unsigned int nr)
{
	ENTER("tlbbatch_add_pending");

	mm->tlbbatch_pending++;
	loaded->backend.tlbbatch_add_pending(&m, addr, nr);
	LEAVE();
}

static void loaded_tlbbatch_flush(struct arch_mm *mm)
{
	ENTER("tlbbatch_flush");

	loaded->backend.tlbbatch_flush(&m);
	LEAVE();
}

static void loaded_flush_tlb_batched_pending(struct arch_mm *mm)
{
	if (!mm->tlbbatch_pending)
		return;
	mm->tlbbatch_pending = 0;
	ENTER("flush_tlb_batched_pending");
	loaded->backend.flush_tlb_batched_pending(&m);
	LEAVE();
}

static void loaded_flush_tlb_fix_spurious_fault(struct arch_mm *mm, u64 addr)
{
	ENTER("flush_tlb_fix_spurious_fault");

	loaded->backend.flush_tlb_fix_spurious_fault(&m, addr);
	LEAVE();
}

#define HOOK(name) .name = loaded_##name,
const struct arch_ops loaded_ops = { LOADED_HOOKS(HOOK) };
