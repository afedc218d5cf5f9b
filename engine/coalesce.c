// SPDX-License-Identifier: MIT
/*
 * What hardware could coalesce, kept up to date: every helper that writes entries is a hook of the backend, and the
 * hooks of an address space are these here if the policy asks. Each looks at the groups around what it is about to
 * write, calls the backend's, looks again, and adds the difference. Without the knob nothing of this is called.
 */
#include <stdlib.h>

#include "engine/coalesce.h"

struct coalescing {
	struct arch_ops ops;		/* the backend's but for the hooks that write */
	u32 group;			/* entries that make one, aligned */
	u32 span;			/* and those that a hook may write for one: a block, if that is larger */
	struct covered now, last;	/* last: since the time of the last change */
	u64 last_change;
	unsigned __int128 valid_time, coalesced_time;	/* page-nanoseconds */
};

/* What a TLB keeps of an entry. Bits of software are not among it: neither contiguous hint nor uffd. */
static u64 tlb_bits(pte_t pte)
{
	u64 bits = pte.val & (PTE_VALID | PTE_PROTNONE | PTE_WRITE | PTE_RDONLY | PTE_EXEC | PTE_AF | PTE_PFN_MASK);

	return pte_dirty(pte) ? bits | PTE_DIRTY : bits;
}

static bool is_one(const pte_t *ptes, u32 nr)
{
	u32 i;

	if (!pte_valid(ptes[0]) || pte_pfn(ptes[0]) & (nr - 1))
		return false;
	for (i = 1; i < nr; i++)
		if (tlb_bits(ptes[i]) != tlb_bits(pte_advance_pfn(ptes[0], i)))
			return false;
	return true;
}

static struct covered look(const struct coalescing *coalescing, const pte_t *ptes, u32 nr)
{
	struct covered covered = { 0 };
	u32 i;

	for (i = 0; i < nr; i++)
		covered.valid += pte_valid(ptes[i]);
	for (i = 0; i < nr; i += coalescing->group)
		covered.coalesced += is_one(ptes + i, coalescing->group) ? coalescing->group : 0;
	return covered;
}

/* ---- hooks ------------------------------------------------------------------ */

struct watch {
	struct coalescing *coalescing;
	const pte_t *ptes;
	u32 nr;
	struct covered before;
};

static struct mm *mm_of(struct arch_mm *arch)
{
	return (struct mm *)((char *)arch - offsetof(struct mm, arch));
}

/* From here on the backend's hooks are its own: some call each other. */
static struct watch watch_begin(struct arch_mm *arch, u64 addr, const pte_t *ptep, u32 nr)
{
	struct mm *mm = mm_of(arch);
	struct coalescing *coalescing = mm->machine->coalescing;
	u32 index = pte_index(mm, addr), first = ALIGN_DOWN(index, coalescing->span);
	struct watch watch = { .coalescing = coalescing, .ptes = ptep - (index - first) };

	watch.nr = ALIGN_UP(index + nr, coalescing->span) - first;
	watch.before = look(coalescing, watch.ptes, watch.nr);
	arch->ops = mm->machine->policy.arch;
	return watch;
}

static void watch_end(struct arch_mm *arch, const struct watch *watch)
{
	struct covered after = look(watch->coalescing, watch->ptes, watch->nr);

	watch->coalescing->now.valid += after.valid - watch->before.valid;
	watch->coalescing->now.coalesced += after.coalesced - watch->before.coalesced;
	arch->ops = &watch->coalescing->ops;
}

#define WATCHED(hook, nr, parameters, arguments)						\
	static void watched_##hook parameters							\
	{											\
		struct watch watch = watch_begin(mm, addr, ptep, nr);				\
												\
		mm->ops->hook arguments;							\
		watch_end(mm, &watch);								\
	}

#define WATCHED_VALUE(type, hook, nr, parameters, arguments)					\
	static type watched_##hook parameters							\
	{											\
		struct watch watch = watch_begin(mm, addr, ptep, nr);				\
		type value = mm->ops->hook arguments;						\
												\
		watch_end(mm, &watch);								\
		return value;									\
	}

WATCHED(set_ptes, nr, (struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr),
	(mm, addr, ptep, pte, nr))
WATCHED(pte_clear, 1, (struct arch_mm *mm, u64 addr, pte_t *ptep), (mm, addr, ptep))
WATCHED_VALUE(pte_t, ptep_get_and_clear, 1, (struct arch_mm *mm, u64 addr, pte_t *ptep), (mm, addr, ptep))
WATCHED(clear_full_ptes, nr, (struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full),
	(mm, addr, ptep, nr, full))
WATCHED_VALUE(pte_t, get_and_clear_full_ptes, nr,
	      (struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full), (mm, addr, ptep, nr, full))
WATCHED(wrprotect_ptes, nr, (struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr), (mm, addr, ptep, nr))
WATCHED_VALUE(bool, ptep_set_access_flags, 1,
	      (struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty), (mm, addr, ptep, entry, dirty))
WATCHED_VALUE(bool, test_and_clear_young_ptes, nr, (struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr),
	      (mm, addr, ptep, nr))
WATCHED_VALUE(bool, clear_flush_young_ptes, nr, (struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr),
	      (mm, addr, ptep, nr))
WATCHED(clear_young_dirty_ptes, nr,
	(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young, bool dirty),
	(mm, addr, ptep, nr, young, dirty))
WATCHED_VALUE(pte_t, modify_prot_start_ptes, nr, (struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr),
	      (mm, addr, ptep, nr))
WATCHED(modify_prot_commit_ptes, nr,
	(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte, unsigned int nr),
	(mm, addr, ptep, old, pte, nr))
WATCHED_VALUE(pte_t, ptep_clear_flush, 1, (struct arch_mm *mm, u64 addr, pte_t *ptep), (mm, addr, ptep))
WATCHED(fold_block, 1, (struct arch_mm *mm, u64 addr, pte_t *ptep), (mm, addr, ptep))

void coalescing_write(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte)
{
	struct watch watch;

	if (!mm->machine->coalescing) {
		*ptep = pte;
		return;
	}
	watch = watch_begin(&mm->arch, addr, ptep, 1);
	*ptep = pte;
	watch_end(&mm->arch, &watch);
}

struct coalescing *coalescing_create(const struct rf_policy *policy)
{
	struct coalescing *coalescing = calloc(1, sizeof(*coalescing));

	if (!coalescing)
		return NULL;
	coalescing->group = 2u << policy->mm.coalesce;
	coalescing->span = coalescing->group;
	if (policy->geometry.cont_ptes > coalescing->span)
		coalescing->span = policy->geometry.cont_ptes;
	coalescing->ops = *policy->arch;
#define WATCH(hook) coalescing->ops.hook = watched_##hook
	WATCH(set_ptes);
	WATCH(pte_clear);
	WATCH(ptep_get_and_clear);
	WATCH(clear_full_ptes);
	WATCH(get_and_clear_full_ptes);
	WATCH(wrprotect_ptes);
	WATCH(ptep_set_access_flags);
	WATCH(test_and_clear_young_ptes);
	WATCH(clear_flush_young_ptes);
	WATCH(clear_young_dirty_ptes);
	WATCH(modify_prot_start_ptes);
	WATCH(modify_prot_commit_ptes);
	WATCH(ptep_clear_flush);
	if (policy->arch->fold_block)
		WATCH(fold_block);
#undef WATCH
	return coalescing;
}

/* ---- over time ---------------------------------------------------------------- */

const struct arch_ops *coalescing_ops(const struct coalescing *coalescing)
{
	return &coalescing->ops;
}

struct covered coalescing_now(const struct coalescing *coalescing)
{
	return coalescing->now;
}

void coalescing_account(struct rf_machine *machine, u64 time)
{
	struct coalescing *coalescing = machine->coalescing;
	u64 passed = time > coalescing->last_change ? time - coalescing->last_change : 0;

	coalescing->valid_time += (unsigned __int128)coalescing->last.valid * passed;
	coalescing->coalesced_time += (unsigned __int128)coalescing->last.coalesced * passed;
	coalescing->last_change += passed;
	coalescing->last = coalescing->now;
	machine->stats.valid_time = coalescing->valid_time >> 20;
	machine->stats.coalesced_time = coalescing->coalesced_time >> 20;
}
