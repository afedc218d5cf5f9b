// SPDX-License-Identifier: MIT
/*
 * Our own hooks as a loaded backend may call them, before or after what it does itself. That core mm called a hook was
 * counted when it did; what hooks call among themselves is no call of core mm's.
 */
#include "arch/entry.h"
#include "arch/loaded/loaded.h"

static struct arch_mm *host_of(const struct refold_mm *mm)
{
	return mm->host;
}

static const struct arch_ops *ours(const struct refold_mm *mm)
{
	return host_of(mm)->ops->loaded->like;
}

/* Calls, and the flushes that they leave to others, are counted here meanwhile. */
static __thread struct arch_batches nobodys_batches;

struct aside {
	struct arch_batches *batches;
	u64 gets, lockless_gets;
	u32 pending;
};

static inline struct aside step_aside(struct arch_mm *mm)
{
	struct aside aside = { mm->batches, mm->counters->ptep_get, mm->counters->ptep_get_lockless,
			       mm->tlbbatch_pending };

	mm->batches = &nobodys_batches;
	return aside;
}

static inline void step_back(struct arch_mm *mm, const struct aside *aside)
{
	mm->batches = aside->batches;
	mm->counters->ptep_get = aside->gets;
	mm->counters->ptep_get_lockless = aside->lockless_gets;
	mm->tlbbatch_pending = aside->pending;
}

#define CALL(name, ...)                                                                            \
	do {                                                                                       \
		struct aside aside = step_aside(host_of(mm));                                      \
		ours(mm)->name(host_of(mm), ##__VA_ARGS__);                                        \
		step_back(host_of(mm), &aside);                                                    \
	} while (0)
#define RESULT_OF(name, ...)                                                                       \
	({                                                                                         \
		struct aside aside = step_aside(host_of(mm));                                      \
		__auto_type result = ours(mm)->name(host_of(mm), ##__VA_ARGS__);                   \
		step_back(host_of(mm), &aside);                                                    \
		result;                                                                            \
	})

#define ENTRIES(p) ((pte_t *)(p))

static refold_pte own_ptep_get(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	return RESULT_OF(ptep_get, addr, ENTRIES(ptep)).val;
}

static refold_pte own_ptep_get_lockless(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	return RESULT_OF(ptep_get_lockless, addr, ENTRIES(ptep)).val;
}

static uint32_t own_pte_batch_hint(struct refold_mm *mm, uint64_t addr, refold_pte pte)
{
	return RESULT_OF(pte_batch_hint, addr, (pte_t){ pte });
}

static void own_set_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte pte, uint32_t nr)
{
	CALL(set_ptes, addr, ENTRIES(ptep), (pte_t){ pte }, nr);
}

static void own_pte_clear(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	CALL(pte_clear, addr, ENTRIES(ptep));
}

static refold_pte own_ptep_get_and_clear(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	return RESULT_OF(ptep_get_and_clear, addr, ENTRIES(ptep)).val;
}

static void own_clear_full_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool full)
{
	CALL(clear_full_ptes, addr, ENTRIES(ptep), nr, full);
}

static refold_pte own_get_and_clear_full_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr,
					      bool full)
{
	return RESULT_OF(get_and_clear_full_ptes, addr, ENTRIES(ptep), nr, full).val;
}

static void own_wrprotect_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	CALL(wrprotect_ptes, addr, ENTRIES(ptep), nr);
}

static bool own_ptep_set_access_flags(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte entry,
				      bool dirty)
{
	return RESULT_OF(ptep_set_access_flags, addr, ENTRIES(ptep), (pte_t){ entry }, dirty);
}

static bool own_test_and_clear_young_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	return RESULT_OF(test_and_clear_young_ptes, addr, ENTRIES(ptep), nr);
}

static bool own_clear_flush_young_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	return RESULT_OF(clear_flush_young_ptes, addr, ENTRIES(ptep), nr);
}

static void own_clear_young_dirty_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool young,
				       bool dirty)
{
	CALL(clear_young_dirty_ptes, addr, ENTRIES(ptep), nr, young, dirty);
}

static refold_pte own_modify_prot_start_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	return RESULT_OF(modify_prot_start_ptes, addr, ENTRIES(ptep), nr).val;
}

static void own_modify_prot_commit_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte old,
					refold_pte pte, uint32_t nr)
{
	CALL(modify_prot_commit_ptes, addr, ENTRIES(ptep), (pte_t){ old }, (pte_t){ pte }, nr);
}

static refold_pte own_ptep_clear_flush(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	return RESULT_OF(ptep_clear_flush, addr, ENTRIES(ptep)).val;
}

static bool own_pte_needs_flush(struct refold_mm *mm, refold_pte old, refold_pte new)
{
	return RESULT_OF(pte_needs_flush, (pte_t){ old }, (pte_t){ new });
}

static void own_flush_pmd_access(struct refold_mm *mm, uint64_t addr)
{
	CALL(flush_pmd_access, addr);
}

static struct arch_flush flush_of(const struct refold_flush *flush)
{
	return (struct arch_flush){
		.start = flush->start, .end = flush->end, .stride = flush->stride,
		.last_level = flush->last_level, .level = flush->level, .mode = flush->mode,
	};
}

static void own_flush_tlb_range(struct refold_mm *mm, const struct refold_flush *flush)
{
	struct arch_flush f = flush_of(flush);

	CALL(flush_tlb_range, &f);
}

static void own_flush_tlb_page(struct refold_mm *mm, uint64_t addr, uint32_t mode)
{
	CALL(flush_tlb_page, addr, mode);
}

static void own_flush_tlb_mm(struct refold_mm *mm)
{
	CALL(flush_tlb_mm);
}

static void own_tlb_flush(struct refold_mm *mm, const struct refold_flush *flush, bool fullmm, bool freed_tables)
{
	struct arch_flush f = flush_of(flush);

	CALL(tlb_flush, &f, fullmm, freed_tables);
}

static void own_tlbbatch_add_pending(struct refold_mm *mm, uint64_t addr, uint32_t nr)
{
	CALL(tlbbatch_add_pending, addr, nr);
}

static void own_tlbbatch_flush(struct refold_mm *mm)
{
	CALL(tlbbatch_flush);
}

static void own_flush_tlb_batched_pending(struct refold_mm *mm)
{
	host_of(mm)->tlbbatch_pending = 1;
	CALL(flush_tlb_batched_pending);
}

static void own_flush_tlb_fix_spurious_fault(struct refold_mm *mm, uint64_t addr)
{
	CALL(flush_tlb_fix_spurious_fault, addr);
}

#define HOOK(name) .name = own_##name,
const struct refold_backend loaded_own = {
	.abi = REFOLD_BACKEND_ABI, .size = sizeof(struct refold_backend), LOADED_HOOKS(HOOK)
};
