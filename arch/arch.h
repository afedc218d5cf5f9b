/* SPDX-License-Identifier: MIT */
/*
 * Page-table backends: what touches page-table entries, and what that costs.
 *
 * engine/ models core mm and calls these hooks where the kernel calls its
 * helpers of the same name; a backend changes the simulated entries as the
 * architecture would and counts every load, store, atomic, fold, unfold and
 * TLB flush. arch/ knows nothing of address spaces, operations or traces.
 *
 * The specification is kernel-model.md, sections 1-3 and 10.
 */
#ifndef REFOLD_ARCH_ARCH_H
#define REFOLD_ARCH_ARCH_H

#include "arch/counters.h"
#include "arch/knobs.h"
#include "base/types.h"

/* ---- the simulated entry ------------------------------------------------ */

/*
 * 8 bytes, one layout for all backends. Bits 0-51 are what the hardware or the
 * kernel's PTE would hold and what comparisons look at; bits 52-63 are facts
 * about the page behind it, kept here so that no folio lookup is ever needed:
 * folios are naturally aligned, so pfn and order give the head. Backends carry
 * bits 52-63 along entry by entry and never compare them; set_ptes() gives all
 * nr entries those of its argument. The caller may change them in place: they
 * stand for struct page and struct folio, so that costs no access to an entry.
 */
typedef struct { u64 val; } pte_t;

#define PTE_VALID	BIT_ULL(0)
#define PTE_CONT	BIT_ULL(1)	/* the contiguous hint (arm64 contpte, riscv NAPOT) */
#define PTE_WRITE	BIT_ULL(2)	/* arm64 DBM/WRITE, x86 RW */
#define PTE_RDONLY	BIT_ULL(3)	/* arm64 AP[2]; WRITE && !RDONLY is "hardware dirty" */
#define PTE_DIRTY	BIT_ULL(4)	/* software dirty (arm64), the D bit (x86) */
#define PTE_AF		BIT_ULL(5)	/* accessed: young */
#define PTE_SPECIAL	BIT_ULL(6)
#define PTE_UFFD	BIT_ULL(7)
#define PTE_PROTNONE	BIT_ULL(8)	/* present for the kernel, not valid for the hardware */
#define PTE_EXEC	BIT_ULL(9)
#define PTE_SWAP	BIT_ULL(10)	/* not present: swap, migration or marker entry */
#define PTE_MIGRATION	BIT_ULL(11)	/* with SWAP */
#define PTE_PFN_SHIFT	12
#define PTE_PFN_MASK	(0xffffffffffull << PTE_PFN_SHIFT)	/* or the swap slot */
#define PTE_HW_MASK	(BIT_ULL(52) - 1)

#define PTE_ORDER_SHIFT	52		/* order of the folio, 0-15 */
#define PTE_ORDER_MASK	(0xfull << PTE_ORDER_SHIFT)
#define PTE_ANON	BIT_ULL(56)	/* anonymous page (of a private mapping) */
#define PTE_EXCLUSIVE	BIT_ULL(57)	/* PageAnonExclusive */
#define PTE_SHMEM	BIT_ULL(58)	/* shmem: counted as file, but swap-backed */
#define PTE_REFAULT	BIT_ULL(59)	/* unfold_free_split: not there until the operation ends and it faults */

static inline bool pte_none(pte_t pte)
{
	return !pte.val;
}

static inline bool pte_valid(pte_t pte)
{
	return pte.val & PTE_VALID;
}

/* As the kernel means it: valid, or protnone. */
static inline bool pte_present(pte_t pte)
{
	return pte.val & (PTE_VALID | PTE_PROTNONE);
}

static inline bool pte_cont(pte_t pte)
{
	return (pte.val & (PTE_VALID | PTE_CONT)) == (PTE_VALID | PTE_CONT);
}

static inline bool pte_write(pte_t pte)
{
	return pte.val & PTE_WRITE;
}

static inline bool pte_young(pte_t pte)
{
	return pte.val & PTE_AF;
}

static inline bool pte_hw_dirty(pte_t pte)
{
	return (pte.val & (PTE_WRITE | PTE_RDONLY)) == PTE_WRITE;
}

static inline bool pte_dirty(pte_t pte)
{
	return (pte.val & PTE_DIRTY) || pte_hw_dirty(pte);
}

static inline bool pte_protnone(pte_t pte)
{
	return (pte.val & (PTE_VALID | PTE_PROTNONE)) == PTE_PROTNONE;
}

static inline u64 pte_pfn(pte_t pte)
{
	return (pte.val & PTE_PFN_MASK) >> PTE_PFN_SHIFT;
}

static inline unsigned int pte_folio_order(pte_t pte)
{
	return (pte.val & PTE_ORDER_MASK) >> PTE_ORDER_SHIFT;
}

static inline u64 pte_folio_pfn(pte_t pte)
{
	return ALIGN_DOWN(pte_pfn(pte), 1ull << pte_folio_order(pte));
}

static inline pte_t pte_advance_pfn(pte_t pte, u64 nr)
{
	return (pte_t){ pte.val + (nr << PTE_PFN_SHIFT) };
}

/*
 * Changing a value, not an entry: what arm64's pte_mk*() do to the bits, which is right for every backend. A writable
 * entry that is not dirty has RDONLY set; x86 keeps DIRTY whenever RDONLY is clear.
 */
static inline pte_t pte_mkold(pte_t pte)
{
	return (pte_t){ pte.val & ~PTE_AF };
}

static inline pte_t pte_mkyoung(pte_t pte)
{
	return (pte_t){ pte.val | PTE_AF };
}

static inline pte_t pte_mkclean(pte_t pte)
{
	return (pte_t){ (pte.val & ~PTE_DIRTY) | PTE_RDONLY };
}

static inline pte_t pte_mkdirty(pte_t pte)
{
	pte.val |= PTE_DIRTY;
	if (pte.val & PTE_WRITE)
		pte.val &= ~PTE_RDONLY;
	return pte;
}

/* Writable; writes without a fault only if it is dirty already. */
static inline pte_t pte_mkwrite(pte_t pte)
{
	pte.val |= PTE_WRITE;
	if (pte.val & PTE_DIRTY)
		pte.val &= ~PTE_RDONLY;
	return pte;
}

static inline pte_t pte_wrprotect(pte_t pte)
{
	if (pte_hw_dirty(pte))
		pte.val |= PTE_DIRTY;
	pte.val = (pte.val & ~PTE_WRITE) | PTE_RDONLY;
	return pte;
}

/* pte_modify() of mprotect: new protection, the same page, A/D and uffd bits. none: PROT_NONE or NUMA hinting. */
static inline pte_t pte_modify(pte_t pte, bool write, bool exec, bool none)
{
	bool dirty = pte_dirty(pte);

	pte.val &= ~(PTE_VALID | PTE_PROTNONE | PTE_WRITE | PTE_EXEC | PTE_DIRTY);
	pte.val |= PTE_RDONLY;
	pte.val |= none ? PTE_PROTNONE : PTE_VALID | (write ? PTE_WRITE : 0) | (exec ? PTE_EXEC : 0);
	return dirty ? pte_mkdirty(pte) : pte;
}

/* ---- geometry ------------------------------------------------------------ */

struct arch_geometry {
	u8 page_shift;
	u8 table_shift;		/* log2 of entries per table: 9, 11, 13 */
	u8 levels;
	u16 cont_ptes;		/* N; 1: no contiguous blocks */
};

/* Where the entries of a huge page are. */
enum arch_huge_level { HUGE_LEVEL_PTE = 1, HUGE_LEVEL_PMD, HUGE_LEVEL_PUD };

/*
 * A size of huge page that hugetlb offers with a base page size, and how one page of it is mapped. A directory entry
 * that stands for a whole huge page (hugepd) is one entry.
 */
struct arch_huge_size {
	u8 page_shift;		/* of base pages */
	u8 size_shift;
	u8 level;		/* enum arch_huge_level */
	bool breaks;		/* set_huge_pte_at() clears the entries and flushes first */
	u16 entries;		/* several: they are contiguous, PTE_CONT is set in each */
	u16 getter_loads;	/* of huge_ptep_get(), which gathers A and D where the architecture does */
};

/* ---- what else a backend says of itself ------------------------------------ */

/* Taken for granted whatever was recorded; every report says so. */
struct arch_assumption {
	bool (*holds)(const struct arch_knobs *knobs);	/* NULL: always */
	const char *name, *text;
};

/* ---- context of a call ---------------------------------------------------- */

struct arch_loaded;
struct arch_ops;
struct arch_flush;

/* Told of each flush call as it was asked for (NULL: the whole mm): refold pte and tests. */
struct arch_flush_observer {
	void (*flush)(struct arch_flush_observer *observer, const struct arch_flush *flush);
};

/*
 * What conversions of blocks have left to their operation (knobs unfold, unfold_flush): a range to flush, and to wait
 * for what was flushed. A flush that covers the range, and one that waits, settle it on the way.
 */
struct arch_owed {
	u64 start, end;			/* end 0: none */
	bool wait;
};

/* Blocks of an operation, by an entry of each. */
struct arch_blocks {
	u64 *addrs;
	size_t nr, room;
};

/*
 * One per address space (embedded in the engine's mm). Hooks count into
 * *counters and *batches, which the engine switches between operations.
 */
struct arch_mm {
	const struct arch_ops *ops;
	const struct arch_knobs *knobs;
	const struct arch_geometry *geometry;
	struct arch_counters *counters;
	struct arch_batches *batches;
	s64 *live_blocks;		/* of the machine: folded blocks now */
	bool user;			/* not init_mm, not the EFI mm */
	bool copying;			/* fork copies entries from or to this mm */
	u32 tlbbatch_pending;		/* deferred flushes not yet known to be done (flush_tlb_batched_pending) */
	bool tlb_flush_pending;		/* mm_tlb_flush_pending(): another mmu_gather is open on this mm */
	bool remote_cpus;		/* other CPUs run this mm, or did (keeps_cpus): flushes need an IPI */
	u8 cpus;			/* how many run it at this moment, this one included; 63 at most */
	bool global_asid;		/* x86: the mm was given one, so that its flushes are broadcast */
	bool dying;			/* exit_mmap(): this CPU runs it lazily, or has gone on to another */
	struct arch_flush_observer *observer;	/* or NULL */
	struct arch_owed owed;
	struct arch_blocks touched;	/* with fold_sites=end-of-op: what it has written to */
	struct arch_blocks split;	/* with unfold_free_split: what it has cleared */
};

/* How a flush is issued. */
enum arch_flush_mode {
	FLUSH_SYNC,		/* with trailing DSB */
	FLUSH_NOSYNC,		/* without: somebody else waits */
	FLUSH_LOCAL,		/* this CPU only */
};

#define FLUSH_LEVEL_UNKNOWN 0
#define FLUSH_LEVEL_PTE 3
#define FLUSH_LEVEL_PMD 2

/* What mmu_gather or a helper asks for: [start, end) in bytes, stride in bytes. */
struct arch_flush {
	u64 start, end, stride;
	bool last_level;	/* leaf entries only: no page table was freed */
	u8 level;		/* hint, FLUSH_LEVEL_* */
	enum arch_flush_mode mode;
};

/* ---- the contract ---------------------------------------------------------- */

/*
 * Hooks take ranges: addr is the virtual address of *ptep, nr entries follow
 * inside one page table. All are called as if under the page-table lock but for
 * ptep_get_lockless. A hook counts its own loads, stores, atomics, lines and
 * flushes; callers never touch entries behind its back. What it does and counts
 * depends on the entries, on *mm and on addr modulo 16 pages, or a block if that
 * is larger, and on nothing else: folios that are alike are not all shown to it
 * (engine/repeat.h). No hook may be NULL unless it says so.
 */
struct arch_ops {
	const char *name;
	const char *const *machines;		/* those it stands for, as uname has them; ended by NULL */
	/* From the smallest base pages, the default; ended by a page_shift of 0. */
	const struct arch_geometry *geometries;
	const struct knob *const *knobs;	/* tables of those that mean something on it; ended by NULL */
	const struct arch_assumption *assumptions; /* ended by one without name; NULL: none */

	/* Read one entry; gathers A/D over a folded block if the policy's getter does. Counts ptep_get. */
	pte_t (*ptep_get)(struct arch_mm *mm, u64 addr, pte_t *ptep);
	pte_t (*ptep_get_lockless)(struct arch_mm *mm, u64 addr, pte_t *ptep);
	/* Entries from this one to the end of its folded block; 1 where no hint applies. Touches nothing. */
	unsigned int (*pte_batch_hint)(struct arch_mm *mm, u64 addr, pte_t pte);

	/*
	 * Write nr entries of consecutive pfns. nr > 1: targets are not present (6.9+). May fold (nr == 1) or let
	 * blocks be born folded (nr > 1).
	 */
	void (*set_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t pte, unsigned int nr);
	void (*pte_clear)(struct arch_mm *mm, u64 addr, pte_t *ptep);
	pte_t (*ptep_get_and_clear)(struct arch_mm *mm, u64 addr, pte_t *ptep);
	/* nr present entries of one folio. full: the whole address space goes (exit). */
	void (*clear_full_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full);
	/* The first entry, with A/D of all nr. */
	pte_t (*get_and_clear_full_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool full);
	/* Take away write permission; hardware dirty becomes software dirty. The caller flushes. */
	void (*wrprotect_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
	/* Widen A/D/write to entry's; dirty: flush as the architecture does. Returns whether anything changed. */
	bool (*ptep_set_access_flags)(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty);
	/*
	 * The flush of pmdp_set_access_flags() for a write fault on the huge page at addr; the caller changes the
	 * entry.
	 */
	void (*flush_pmd_access)(struct arch_mm *mm, u64 addr);
	bool (*test_and_clear_young_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
	bool (*clear_flush_young_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
	void (*clear_young_dirty_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr, bool young,
				       bool dirty);
	/* nr == 1 where the policy does not batch mprotect. */
	pte_t (*modify_prot_start_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr);
	void (*modify_prot_commit_ptes)(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t old, pte_t pte,
					unsigned int nr);
	/* ptep_get_and_clear, then a page flush if the old entry was accessible. */
	pte_t (*ptep_clear_flush)(struct arch_mm *mm, u64 addr, pte_t *ptep);

	/* May the change from old to new be left in TLBs without a flush? false: no flush needed. */
	bool (*pte_needs_flush)(struct arch_mm *mm, pte_t old, pte_t new);
	void (*flush_tlb_range)(struct arch_mm *mm, const struct arch_flush *flush);
	void (*flush_tlb_page)(struct arch_mm *mm, u64 addr, enum arch_flush_mode mode);
	void (*flush_tlb_mm)(struct arch_mm *mm);
	/* mmu_gather's tlb_flush(): fullmm and freed_tables as struct mmu_gather has them. */
	void (*tlb_flush)(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables);
	/* Reclaim and migration: note a flush now, wait for all of them later. */
	void (*tlbbatch_add_pending)(struct arch_mm *mm, u64 addr, unsigned int nr);
	void (*tlbbatch_flush)(struct arch_mm *mm);
	/*
	 * At the start of zap, mprotect, mremap and madvise: be sure that deferred flushes of this mm are done. Does
	 * nothing, and costs nothing, unless tlbbatch_pending.
	 */
	void (*flush_tlb_batched_pending)(struct arch_mm *mm);
	/* A fault found the entry already right: another CPU's local flush left a stale entry here. */
	void (*flush_tlb_fix_spurious_fault)(struct arch_mm *mm, u64 addr);

	/* Of all base page sizes, in order of size for each; ended by a size_shift of 0. NULL: no hugetlb. */
	const struct arch_huge_size *huge_sizes;

	bool merges_vmas;	/* MMU_GATHER_MERGE_VMAS: tlb_end_vma() does not flush */
	bool defers_for_others;	/* arch_tlbbatch_should_defer(): only if mm_cpumask() has another CPU */
	bool keeps_cpus;	/* mm_cpumask() never shrinks: riscv while ASIDs are in use */
	bool no_pmd_flush;	/* no __HAVE_ARCH_FLUSH_PMD_TLB_RANGE: a huge page is flushed as its base pages are */
	bool invalidate_ad_flushes; /* pmdp_invalidate_ad(): mprotect of a huge page flushes it at once */
	bool one_dirty_bit;	/* the table walker makes dirty what software does: it sets PTE_DIRTY, too */
	bool access_flags_cmpxchg; /* ptep_set_access_flags() compares and exchanges; else it stores */
	bool shares_huge_pmds;	/* ARCH_WANT_HUGE_PMD_SHARE; arm64: not with 64K pages */
	bool walks_unshared;	/* tlb_flush() drops cached walks of tables that are no longer shared: arm64 */
	bool moves_puds;	/* HAVE_MOVE_PUD: arm64 and x86 since 5.11, riscv */
	/*
	 * update_mmu_cache_range(): nr entries from addr on, or a huge one, became valid or ptep_set_access_flags()
	 * said that one changed. NULL: costs nothing.
	 */
	void (*update_mmu_cache)(struct arch_mm *mm, u64 addr, unsigned int nr);
	/*
	 * Fold the block that *ptep is in, if all of its entries allow it: for policies of knobs that no kernel has.
	 * NULL: nothing ever folds.
	 */
	void (*fold_block)(struct arch_mm *mm, u64 addr, pte_t *ptep);
	const struct arch_loaded *loaded; /* NULL: it is one of ours; else arch/loaded/ */
	bool old_prefaulted_ptes; /* arch_wants_old_prefaulted_pte(): what fault-around maps unasked is old */
};

/* Every backend, ended by NULL; arches.c is the explicit list. */
extern const struct arch_ops *const arch_list[];
const struct arch_ops *arch_by_name(const char *name);
/* Does the backend stand for what uname calls machine? */
bool arch_is_machine(const struct arch_ops *ops, const char *machine);

#endif
